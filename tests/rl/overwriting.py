"""A stand-in for CUDA graphs where there is no GPU, which overwrites its results as they do."""

from collections.abc import Sequence

import torch
from torch import Tensor

from metta.rl.recording import Function, Recordings, Run


def again(run: Run) -> Run:
    """Stands in for a CUDA graph: playing back is doing it again with what lies in the same tensors."""
    run()
    return run


class Overwriting:
    """Recordings whose results lie in the same memory after every playback, as a CUDA graph's do."""

    def __init__(self) -> None:
        self.recordings = Recordings(again)
        self.results: dict[object, tuple[Tensor, ...]] = {}

    def __call__(
        self, name: object, function: Function, arguments: Sequence[Tensor], changed: Sequence[Tensor] = ()
    ) -> tuple[Tensor, ...]:
        found = self.recordings(name, function, arguments, changed)
        if name not in self.results:
            self.results[name] = tuple(torch.full_like(result, 1) for result in found)
        for mine, result in zip(self.results[name], found, strict=True):
            mine.copy_(result)
        return self.results[name]
