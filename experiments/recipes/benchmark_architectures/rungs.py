"""The memory ladder, in order: levels beside the five, which no benchmark runs unless they are named.

An entry here and its module are all that a further one needs.
"""

from experiments.recipes.benchmark_architectures import memory_1, memory_2, memory_3
from experiments.recipes.benchmark_architectures.level import Verbs
from experiments.recipes.benchmark_architectures.levels import LEVELS
from experiments.recipes.benchmark_architectures.rung import Rung

RUNGS: dict[str, Rung] = {module.LEVEL.name: module.LEVEL for module in (memory_1, memory_2, memory_3)}
"""Name of the rung, which is its module's -> its record."""
KNOWN_LEVELS: dict[str, Verbs] = {**LEVELS, **RUNGS}
"""All that a flag for levels may name."""
