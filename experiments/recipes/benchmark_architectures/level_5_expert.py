"""Level 5: hearts are the only reward, with combat; a curriculum of 64 tasks draws the training episodes."""

from experiments.recipes.benchmark_architectures.level import Level
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.rl.config import CurriculumConfig

LEVEL = Level(
    name="level_5_expert",
    purpose="Exploration: hearts alone are rewarded, so the whole chain must be found before anything pays.",
    size=25,
    num_agents=24,
    altar_ratio=3,
    initial_count=0,
    laser_cost=1,
    rewards={},
    caps={},
    evaluation_laser_costs={"basic": 100, "combat": 1},
    architectures=ARCHITECTURES,
    curriculum=CurriculumConfig(sampler="learning_progress"),
)

train = LEVEL.train
evaluate = LEVEL.evaluate
probe = LEVEL.probe
play = LEVEL.play
replay = LEVEL.replay
make_env = LEVEL.make_env
make_evals = LEVEL.make_evals
