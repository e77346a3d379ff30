"""What probes say: hearts kept with a disturbed memory, the value of memory, and its horizon; pure functions.

E episodes, R bootstrap draws.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from metta.analysis.bootstrap import RESAMPLES, percentile_interval
from metta.analysis.intervals import CONFIDENCE, FEWEST, Estimate, estimate, t_quantile

KEPT = 0.95
"""Share of the hearts that the memory horizon keeps."""


class Horizon(NamedTuple):
    """Steps that a policy must see to keep `KEPT` of its hearts, its own step among them; None: more than measured."""

    steps: int | None
    low: int | None
    high: int | None
    """Ends of the 95 % bootstrap interval over episodes."""


def difference(disturbed: Sequence[float], untouched: Sequence[float]) -> Estimate:
    """Hearts with the disturbance minus hearts without, over the same E episodes, with a paired t interval."""
    return estimate([one - other for one, other in zip(disturbed, untouched, strict=True)])


def kept(disturbed: Sequence[float], untouched: Sequence[float]) -> Estimate | None:
    """Share of the hearts that are kept: ratio of means over the same E episodes; None without hearts to lose.

    Interval: Student's t with the standard error of the linearised ratio (Cochran 1977, Sampling Techniques, 6.13).
    """
    above, below = np.asarray(disturbed, float), np.asarray(untouched, float)
    if below.mean() <= 0:
        return None
    ratio = float(above.mean() / below.mean())
    if len(below) < FEWEST:
        return Estimate(ratio)
    error = (above - ratio * below).std(ddof=1) / (np.sqrt(len(below)) * below.mean())
    half = float(t_quantile(0.5 + CONFIDENCE / 2, len(below) - 1) * error)
    return Estimate(ratio, max(0.0, ratio - half), ratio + half)


def horizon(emptied: Mapping[int, Sequence[float]], untouched: Sequence[float], seed: int = 0) -> Horizon | None:
    """The smallest number of steps from which on every larger one measured keeps `KEPT`; None without hearts to lose.

    Args:
        emptied: steps between two emptyings -> hearts of E episodes.
        untouched: hearts of the same episodes with the state left alone.
        seed: decides the bootstrap's draws.
    """
    steps = sorted(emptied)
    table = np.array([untouched, *(emptied[k] for k in steps)])
    if table[0].mean() <= 0:
        return None
    drawn = np.random.default_rng(seed).integers(0, table.shape[1], (RESAMPLES, table.shape[1]))

    def place(means: np.ndarray) -> np.ndarray:
        """[...] index into `steps`, or its length for more than measured, of means [1 + steps, ...]."""
        enough = means[1:] >= KEPT * means[0]
        index: np.ndarray = len(steps) - np.logical_and.accumulate(enough[::-1]).sum(0)
        return index

    ends = percentile_interval(place(table[:, drawn].mean(2)).astype(float))
    named = [*steps, None]
    low, high = (named[int(end)] for end in (np.floor(ends[0]), np.ceil(ends[1])))
    return Horizon(named[int(place(table.mean(1)))], low, high)
