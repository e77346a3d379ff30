"""The levels in order: an entry here and its module are all that a further one needs."""

from experiments.recipes.benchmark_architectures import (
    level_1_basic,
    level_2_easy,
    level_3_medium,
    level_4_hard,
    level_5_expert,
)
from experiments.recipes.benchmark_architectures.level import Level

PACKAGE = "experiments.recipes.benchmark_architectures"
LEVELS: dict[str, Level] = {
    module.LEVEL.name: module.LEVEL
    for module in (level_1_basic, level_2_easy, level_3_medium, level_4_hard, level_5_expert)
}
"""Name of the level, which is its module's -> its record."""
FIRST_LEVEL = next(iter(LEVELS))
EVERY_LEVEL = ",".join(LEVELS)
