"""Where further seeds decide: a rule fixed beforehand, which pays for looking more than once.

After a round, architectures are ordered by their means. Neighbours that are not told apart, by the verdicts' test at
the strict level `EARLY`, both get seeds up to the next stage, until they are told apart or have the most seeds allowed.
When nobody gets any more, the verdicts judge what is there once, as always. So a false "better" comes from one
judgement at the usual level and from a few stops at the strict one; docs/statistics.md has what both together amount to
in simulation.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean

import numpy as np

from metta.analysis.verdicts import judge

EARLY = 0.01
"""Level of the studentized range at which neighbours get no further seeds."""
GROWTH = 1.5
"""Seeds of a stage over those of the one before, rounded up: 3, 5, 8, 12, 18."""


def further_seeds(values: Mapping[str, Sequence[float]], most: int) -> dict[str, int]:
    """Architecture -> number of seeds that it should have next, of those that should have more; empty: done.

    Args:
        values: architecture -> one score per seed, at least one, of one level.
        most: seeds that an architecture may have.
    """
    order = sorted(values, key=lambda name: -fmean(values[name]))
    verdicts = judge({name: np.array(values[name], np.float64)[:, None] for name in order}, EARLY)
    apart = {(verdict.a, verdict.b): verdict.better is not None for verdict in verdicts}
    open_pairs = [pair for pair in pairwise(order) if not apart[pair]]
    return {
        name: next_stage(len(values[name]), most)
        for name in values
        if len(values[name]) < most and any(name in pair for pair in open_pairs)
    }


def next_stage(seeds: int, most: int) -> int:
    """Seeds of the stage after one with so many."""
    return min(most, max(seeds + 1, math.ceil(GROWTH * seeds)))
