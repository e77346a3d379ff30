"""Level 2: a larger room, empty converters and smaller rewards on the way; combat is off."""

from experiments.recipes.benchmark_architectures.level import Level
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES

LEVEL = Level(
    name="level_2_easy",
    purpose=(
        "Carrying several batteries to one altar from empty machines: three to a heart, and smaller rewards on the way."
    ),
    size=20,
    num_agents=16,
    altar_ratio=3,
    initial_count=0,
    laser_cost=100,
    rewards={"ore": 0.2, "battery": 0.7, "laser": 0.4, "armor": 0.4, "blueprint": 0.3},
    caps={"ore": 1.0, "battery": 2.0, "laser": 1.0, "armor": 1.0, "blueprint": 1.0},
    evaluation_laser_costs={"basic": 100},
    architectures=ARCHITECTURES,
)

train = LEVEL.train
evaluate = LEVEL.evaluate
probe = LEVEL.probe
play = LEVEL.play
replay = LEVEL.replay
make_env = LEVEL.make_env
make_evals = LEVEL.make_evals
