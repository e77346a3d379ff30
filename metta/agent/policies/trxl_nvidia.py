"""trxl_nvidia: trxl, the same function and parameters, computed with fused attention."""

from typing import Any

from metta.agent.memory.config import FusedTransformerXLConfig
from metta.agent.parts import MemoryConfig
from metta.agent.policies.trxl import TrXLPolicyConfig


class TrXLNvidiaPolicyConfig(TrXLPolicyConfig):
    """Perceiver width 32 -> fused Transformer-XL -> heads; loads trxl's weights."""

    memory: MemoryConfig = FusedTransformerXLConfig(width=32, num_heads=2, num_layers=1, feed_forward=128, memory=32)


def trxl_nvidia_policy_config(**changes: Any) -> TrXLNvidiaPolicyConfig:
    """The configuration with changes to its parts or their sizes, e.g. `trxl_nvidia_policy_config(num_layers=2)`."""
    return TrXLNvidiaPolicyConfig(**changes)
