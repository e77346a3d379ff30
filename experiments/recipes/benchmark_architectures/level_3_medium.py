"""Level 3: a still larger room, small rewards on the way, and combat."""

from experiments.recipes.benchmark_architectures.level import Level
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES

LEVEL = Level(
    name="level_3_medium",
    purpose=(
        "The chain in a larger room among agents that can attack for one laser: armour, lasers and thefts "
        "begin to count."
    ),
    size=25,
    num_agents=20,
    altar_ratio=3,
    initial_count=0,
    laser_cost=1,
    rewards={"ore": 0.1, "battery": 0.3, "laser": 0.2, "armor": 0.2, "blueprint": 0.1},
    caps={"ore": 1.0, "battery": 1.0, "laser": 1.0, "armor": 1.0, "blueprint": 1.0},
    evaluation_laser_costs={"basic": 100, "combat": 1},
    architectures=ARCHITECTURES,
)

train = LEVEL.train
evaluate = LEVEL.evaluate
probe = LEVEL.probe
play = LEVEL.play
replay = LEVEL.replay
make_env = LEVEL.make_env
make_evals = LEVEL.make_evals
