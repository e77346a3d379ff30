"""transformer: perceiver and a standard pre-norm transformer over the last 64 steps."""

from metta.agent.encoders.config import PerceiverConfig
from metta.agent.heads_config import HeadConfig
from metta.agent.memory.config import TransformerConfig
from metta.agent.parts import EncoderConfig, MemoryConfig
from metta.agent.policies.config import PolicyConfig


class TransformerPolicyConfig(PolicyConfig):
    """Perceiver -> standard transformer, width 64, 2 layers -> heads."""

    encoder: EncoderConfig = PerceiverConfig()
    memory: MemoryConfig = TransformerConfig(width=64, num_layers=2, num_heads=4, feed_forward=256, window=64)
    actor: HeadConfig = HeadConfig(hidden=(256,))
    critic: HeadConfig = HeadConfig(hidden=(512,))
