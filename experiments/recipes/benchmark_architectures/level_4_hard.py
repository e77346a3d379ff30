"""Level 4: hardly any reward on the way to a heart, more agents, combat."""

from experiments.recipes.benchmark_architectures.level import Level
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES

LEVEL = Level(
    name="level_4_hard",
    purpose=("The chain with almost no reward on the way and more agents in the same room: credit over long delays."),
    size=25,
    num_agents=24,
    altar_ratio=3,
    initial_count=0,
    laser_cost=1,
    rewards={"ore": 0.01, "battery": 0.05, "laser": 0.05, "armor": 0.05, "blueprint": 0.01},
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
