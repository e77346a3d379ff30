"""memory_free: perceiver without any memory."""

from metta.agent.encoders.config import PerceiverConfig
from metta.agent.heads_config import HeadConfig
from metta.agent.memory.config import NoMemoryConfig
from metta.agent.parts import EncoderConfig, MemoryConfig
from metta.agent.policies.config import PolicyConfig


class MemoryFreeConfig(PolicyConfig):
    """Perceiver -> heads."""

    encoder: EncoderConfig = PerceiverConfig()
    memory: MemoryConfig = NoMemoryConfig()
    actor: HeadConfig = HeadConfig(hidden=(256, 256))
    critic: HeadConfig = HeadConfig(hidden=(512,))
