"""Levels that rank no architecture, because all are at the floor or at the ceiling.

The floor is the blind player's score and the ceiling the scripted player's, each widened by `MARGIN` of what lies
between them: there, differences say who was luckier, or who stopped first at what the arena holds.
"""

from statistics import fmean

from metta.analysis.gather import Gathered
from metta.base.addresses import BLIND, SCRIPTED

FLOOR, CEILING = "floor", "ceiling"
MARGIN = 0.05
"""Share of the span from blind to scripted that counts as floor above the one, and as ceiling below the other."""


def extremes_of(benchmark: Gathered) -> dict[str, str]:
    """Level -> `FLOOR` or `CEILING`, for levels on which the means over seeds of all architectures are there.

    A level without results of both players is not judged.
    """
    found = {}
    for level in benchmark.levels:
        runs = [benchmark.of(name, level) for name in benchmark.architectures]
        means = [fmean(map(benchmark.hearts, own)) for own in runs if own]
        low, high = (benchmark.hearts_of_player(player, level) for player in (BLIND, SCRIPTED))
        if not means or low is None or high is None:
            continue
        margin = MARGIN * (high - low)
        if max(means) <= low + margin:
            found[level] = FLOOR
        elif min(means) >= high - margin:
            found[level] = CEILING
    return found
