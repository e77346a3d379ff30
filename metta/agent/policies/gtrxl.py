"""gtrxl: perceiver and the gated Transformer-XL (Parisotto et al. 2019)."""

from typing import Any

from metta.agent.encoders.config import PerceiverConfig
from metta.agent.heads_config import HeadConfig
from metta.agent.memory.config import GTrXLConfig
from metta.agent.parts import EncoderConfig, MemoryConfig
from metta.agent.policies.config import PolicyConfig


class GTrXLPolicyConfig(PolicyConfig):
    """Perceiver width 32 -> GTrXL -> heads."""

    encoder: EncoderConfig = PerceiverConfig(width=32, num_layers=1)
    memory: MemoryConfig = GTrXLConfig(width=32, num_heads=2, num_layers=1, feed_forward=128, memory=32)
    actor: HeadConfig = HeadConfig(hidden=(256,))
    critic: HeadConfig = HeadConfig(hidden=(512,))


def gtrxl_policy_config(**changes: Any) -> GTrXLPolicyConfig:
    """The configuration with changes to its parts or their sizes, e.g. `gtrxl_policy_config(num_layers=2)`."""
    return GTrXLPolicyConfig(**changes)
