"""trxl: perceiver and Transformer-XL (Dai et al. 2019)."""

from typing import Any

from metta.agent.encoders.config import PerceiverConfig
from metta.agent.heads_config import HeadConfig
from metta.agent.memory.config import TransformerXLConfig
from metta.agent.parts import EncoderConfig, MemoryConfig
from metta.agent.policies.config import PolicyConfig


class TrXLPolicyConfig(PolicyConfig):
    """Perceiver width 32 -> Transformer-XL -> heads."""

    encoder: EncoderConfig = PerceiverConfig(width=32, num_layers=1)
    memory: MemoryConfig = TransformerXLConfig(width=32, num_heads=2, num_layers=1, feed_forward=128, memory=32)
    actor: HeadConfig = HeadConfig(hidden=(256,))
    critic: HeadConfig = HeadConfig(hidden=(512,))


def trxl_policy_config(**changes: Any) -> TrXLPolicyConfig:
    """The configuration with changes to its parts or their sizes, e.g. `trxl_policy_config(num_layers=2)`."""
    return TrXLPolicyConfig(**changes)
