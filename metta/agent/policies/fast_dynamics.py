"""fast_dynamics: fast that also learns to predict the next reward, the discounted return and its next perception."""

from metta.agent.dynamics_config import DynamicsConfig
from metta.agent.parts import AuxiliaryConfig
from metta.agent.policies.fast import FastConfig


class FastDynamicsConfig(FastConfig):
    """fast with three auxiliary predictions; their losses are added with weight 1 each."""

    auxiliary: AuxiliaryConfig | None = DynamicsConfig()
