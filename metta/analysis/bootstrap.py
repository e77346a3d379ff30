"""What statistics without a formula for their error draw: resamples, and the ends between which most of them lie."""

import numpy as np
from numpy.typing import NDArray

from metta.analysis.intervals import CONFIDENCE

RESAMPLES = 2000
"""Bootstrap draws; the ends of an interval then move by about 2 % of its width from one seed argument to another."""


def percentile_interval(draws: NDArray[np.float64], confidence: float = CONFIDENCE) -> NDArray[np.float64]:
    """[2, ...] the ends between which the middle `confidence` of the R draws [R, ...] lie."""
    tail = (1 - confidence) / 2
    ends: NDArray[np.float64] = np.quantile(draws, [tail, 1 - tail], axis=0)
    return ends
