"""Level 1: the small room with generous rewards and full converters, where combat is off; and the registry."""

from experiments.recipes.benchmark_architectures.level import Level
from metta.agent.policies.agalite import AGaLiTeConfig
from metta.agent.policies.config import PolicyConfig
from metta.agent.policies.fast import FastConfig
from metta.agent.policies.fast_dynamics import FastDynamicsConfig
from metta.agent.policies.fast_lstm_reset import FastLSTMResetConfig
from metta.agent.policies.gtrxl import gtrxl_policy_config
from metta.agent.policies.memory_free import MemoryFreeConfig
from metta.agent.policies.puffer import PufferPolicyConfig
from metta.agent.policies.transformer import TransformerPolicyConfig
from metta.agent.policies.trxl import trxl_policy_config
from metta.agent.policies.trxl_nvidia import trxl_nvidia_policy_config
from metta.agent.policies.vit import ViTDefaultConfig
from metta.agent.policies.vit_reset import ViTResetConfig
from metta.agent.policies.vit_sliding import ViTSlidingTransConfig

ARCHITECTURES: dict[str, PolicyConfig] = {
    "vit": ViTDefaultConfig(),
    "vit_sliding": ViTSlidingTransConfig(),
    "vit_reset": ViTResetConfig(),
    "transformer": TransformerPolicyConfig(),
    "fast": FastConfig(),
    "fast_lstm_reset": FastLSTMResetConfig(),
    "fast_dynamics": FastDynamicsConfig(),
    "memory_free": MemoryFreeConfig(),
    "agalite": AGaLiTeConfig(),
    "gtrxl": gtrxl_policy_config(),
    "trxl": trxl_policy_config(),
    "trxl_nvidia": trxl_nvidia_policy_config(),
    "puffer": PufferPolicyConfig(),
}
"""Every architecture of the suite by key; an entry added here is available in all levels and benchmarks."""

LEVEL = Level(
    name="level_1_basic",
    purpose=(
        "Whether the chain is learned at all: one battery is a heart, machines start full, and every item on "
        "the way pays, so that single steps of the chain are rewarded at once."
    ),
    size=15,
    num_agents=12,
    altar_ratio=1,
    initial_count=2,
    laser_cost=100,
    rewards={"ore": 0.5, "battery": 0.9, "laser": 0.7, "armor": 0.7, "blueprint": 0.5},
    caps={"ore": 2.0, "battery": 2.0, "laser": 2.0, "armor": 2.0, "blueprint": 2.0},
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
