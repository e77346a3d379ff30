"""A curve with its spread."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Band(NamedTuple):
    """A curve with its spread."""

    x: NDArray[np.float64]
    middle: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
