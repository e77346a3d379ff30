"""Constant numbers that policies compute with, copied to a device once."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Table:
    """Numbers that never change, as a tensor of the device and dtype that a forward pass works with.

    A copy to a GPU inside a forward pass makes the processor wait, and cannot be recorded in a CUDA graph; so there is
    one copy per device and dtype, made when it is asked for first.
    """

    def __init__(self, numbers: NDArray[np.generic]) -> None:
        self.numbers = numbers
        self._copies: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def on(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """The numbers there; not to be written to."""
        if (device, dtype) not in self._copies:
            with torch.inference_mode(False):  # what is made in inference mode could not be used in training
                self._copies[device, dtype] = torch.as_tensor(self.numbers, device=device, dtype=dtype)
        return self._copies[device, dtype]
