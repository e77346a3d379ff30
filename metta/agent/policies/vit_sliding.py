"""vit_sliding: perceiver and a sliding-window transformer over the last 20 steps."""

from metta.agent.encoders.config import PerceiverConfig
from metta.agent.heads_config import HeadConfig
from metta.agent.memory.config import SlidingConfig
from metta.agent.parts import EncoderConfig, MemoryConfig
from metta.agent.policies.config import PolicyConfig


class ViTSlidingTransConfig(PolicyConfig):
    """Perceiver -> sliding transformer, width 32, 2 layers -> heads."""

    encoder: EncoderConfig = PerceiverConfig()
    memory: MemoryConfig = SlidingConfig(width=32, num_layers=2, window=20)
    actor: HeadConfig = HeadConfig()
    critic: HeadConfig = HeadConfig(hidden=(1024,))
