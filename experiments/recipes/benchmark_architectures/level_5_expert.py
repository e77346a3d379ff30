"""Level 5: hearts are the only reward, with combat."""

from experiments.recipes.benchmark_architectures.level import Level

LEVEL = Level(
    name="level_5_expert",
    size=25,
    num_agents=24,
    altar_ratio=3,
    initial_count=0,
    laser_cost=1,
    rewards={},
    caps={},
    evaluation_laser_costs={"basic": 100, "combat": 1},
)

train = LEVEL.train
evaluate = LEVEL.evaluate
replay = LEVEL.replay
make_env = LEVEL.make_env
make_evals = LEVEL.make_evals
