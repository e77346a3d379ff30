"""Functions of tensors that a GPU plays back from a recording (a CUDA graph) instead of being told every operation.

A small policy acting for a few hundred agents is some hundred operations of microseconds each, and telling a GPU about
them takes longer than doing them. A recording holds addresses, not values: what goes in is copied to where it was when
the recording was made, and what comes out lies where the next playback will overwrite it. So a function that is
recorded may not wait for the device, nor change what it does with the values.

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
"""

from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import Protocol

import torch
from torch import Tensor

from metta.rl.config import SystemConfig

Function = Callable[..., tuple[Tensor, ...]]
Run = Callable[[], None]
Recorder = Callable[[Run], Run]
"""Does what it is given, maybe several times, and returns what plays it back."""

WARM_UP = 3
"""Calls before the recording: libraries choose and load their kernels."""

_one_at_a_time = Lock()
"""A process can make one recording at a time; playing back is not held up."""


class Play(Protocol):
    """Has a function of tensors done: told operation by operation, or played back."""

    def __call__(
        self, name: Hashable, function: Function, arguments: Sequence[Tensor], changed: Sequence[Tensor] = ()
    ) -> tuple[Tensor, ...]:
        """What `function(*arguments)` returns; the next call of this name may overwrite it.

        Args:
            name: of the function, whose calls all have arguments of the same shapes and dtypes.
            function: whatever else it reads may change in place only.
            arguments: tensors.
            changed: what else it changes in place.
        """


def plainly(
    name: Hashable, function: Function, arguments: Sequence[Tensor], changed: Sequence[Tensor] = ()
) -> tuple[Tensor, ...]:
    """Operation by operation."""
    return function(*arguments)


class Recordings:
    """The recordings of one run: a function is recorded when it is first asked for, and played back from then on.

    Not for several threads under one name.
    """

    def __init__(self, record: Recorder) -> None:
        """`record` makes each recording: `CudaGraphs`, or a stand-in for it."""
        self._record = record
        self._recorded: dict[Hashable, Recorded] = {}

    def __call__(
        self, name: Hashable, function: Function, arguments: Sequence[Tensor], changed: Sequence[Tensor] = ()
    ) -> tuple[Tensor, ...]:
        """See `Play`."""
        if name not in self._recorded:
            self._recorded[name] = Recorded(function, arguments, self._record, changed)
        return self._recorded[name](*arguments)


class Recorded:
    """A function of tensors of fixed shapes, recorded with its first arguments and then played back."""

    def __init__(
        self, function: Function, arguments: Sequence[Tensor], record: Recorder, changed: Sequence[Tensor] = ()
    ) -> None:
        """Record `function(*arguments)`; arguments are copied, and `changed` is afterwards as it was before."""
        self._arguments = [argument.clone() for argument in arguments]
        self._results: tuple[Tensor, ...] = ()

        def run() -> None:
            self._results = function(*self._arguments)

        before = [tensor.clone() for tensor in changed]
        self._play = record(run)
        for tensor, value in zip(changed, before, strict=True):
            tensor.copy_(value)

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """What the function returns for these arguments; the next call overwrites it."""
        for own, given in zip(self._arguments, arguments, strict=True):
            own.copy_(given)
        self._play()
        return self._results


def recorder(device: torch.device, system: SystemConfig) -> Play:
    """How a run's functions are done: plainly on a CPU, which is told an operation in no time, or where so wanted."""
    return Recordings(CudaGraphs(device)) if device.type == "cuda" and system.cuda_graphs else plainly


class CudaGraphs:
    """Records what is done on a GPU; the recordings of one run share their memory, so they are played in turn."""

    def __init__(self, device: torch.device) -> None:
        current = torch.cuda.current_stream(device)
        # The default stream cannot be recorded. Another one is the caller's alone (`metta.rl.together`).
        self._stream = torch.cuda.Stream(device) if current == torch.cuda.default_stream(device) else current
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, run: Run) -> Run:
        """Do it a few times, record it, and return what queues it on the current stream."""
        graph = torch.cuda.CUDAGraph()
        # Backward in this thread, too: another one's calls would not count as part of the recording.
        with _one_at_a_time, torch.autograd.set_multithreading_enabled(False):
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                for _ in range(WARM_UP):
                    run()
            torch.cuda.current_stream().wait_stream(self._stream)
            # Other threads go on playing back, copying and allocating meanwhile.
            with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                run()
        return graph.replay
