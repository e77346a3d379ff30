"""Which of two equal ways a policy computes: compiled loops over numbers at hand, or torch operations alone.

Compiled loops (numba) need the numbers at hand, and may look at them before they choose what to do. On every other
device a policy is torch operations whose shapes and number do not depend on values, so that they can be queued, and
recorded as a CUDA graph. `as_on_a_gpu` makes a CPU take that way too: for tests, and to count its operations.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

_forced = False


def at_hand(tensor: Tensor) -> bool:
    """Whether compiled loops and decisions by value are the way for this tensor."""
    return tensor.device.type == "cpu" and not _forced


@contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Meanwhile CPU tensors take the way of a GPU, in every thread of the process. Not to be nested."""
    global _forced
    _forced = True
    try:
        yield
    finally:
        _forced = False
