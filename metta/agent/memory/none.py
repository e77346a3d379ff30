"""No memory: the output of a step is its input."""

import torch
from torch import Tensor, nn


class NoMemory(nn.Module):
    """The identity with the interface of a memory: x [B, T, D] -> the same x, and the empty state.

    Differs in: nothing published to differ from.
    """

    extra_inputs = 0

    def __init__(self, input_width: int) -> None:
        super().__init__()
        self.input_width = self.output_width = input_width

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> tuple[()]:
        """The empty tuple, whatever the batch."""
        return ()

    def forward(self, x: Tensor, resets: Tensor, state: tuple[()]) -> tuple[Tensor, tuple[()]]:
        """x [B, T, input_width], resets bool [B, T], () -> x, ()."""
        return x, ()
