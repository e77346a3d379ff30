"""Functions of tensors that a GPU plays back from a recording (a CUDA graph) instead of being told every operation.

A small policy acting for a few hundred agents is some hundred operations of microseconds each, and telling a GPU about
them takes longer than doing them. A recording holds addresses, not values: what goes in is copied to where it was when
the recording was made, and what comes out lies where the next playback will overwrite it. So a function that is
recorded may not wait for the device, nor change what it does with the values (`tests/agent/test_waits.py`).

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from metta.rl.config import SystemConfig

Function = Callable[..., tuple[Tensor, ...]]
WARM_UP = 3
"""Calls before the recording: libraries choose and load their kernels."""


class Recorded:
    """A function of tensors of fixed shapes, recorded with its first arguments and then played back."""

    def __init__(
        self,
        function: Function,
        arguments: Sequence[Tensor],
        record: Callable[[Callable[[], None]], Callable[[], None]] | None = None,
    ) -> None:
        """Record `function(*arguments)`.

        Args:
            function: of tensors on one GPU; whatever else it reads, like parameters, may change only in place.
            arguments: of the shapes and dtypes that all later ones have; they are copied.
            record: runs what it is given a few times and returns what plays it back; a CUDA graph unless a test
                says otherwise.
        """
        self._arguments = [argument.clone() for argument in arguments]
        self._results: tuple[Tensor, ...] = ()

        def run() -> None:
            self._results = function(*self._arguments)

        self._play = (record or cuda_graph)(run)

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """What the function returns for these arguments; the next call overwrites it."""
        for own, given in zip(self._arguments, arguments, strict=True):
            own.copy_(given)
        self._play()
        return self._results


def recorder(device: torch.device, system: SystemConfig) -> type[Recorded] | None:
    """What acting is recorded with: nothing on a CPU, which is told an operation in no time, or where not wanted."""
    return Recorded if device.type == "cuda" and system.cuda_graphs else None


def cuda_graph(run: Callable[[], None]) -> Callable[[], None]:
    """Record what `run` does on the current GPU; returns what does it again."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            run()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay
