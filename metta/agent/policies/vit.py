"""vit: perceiver and a plain LSTM, whose memory runs on across episodes; the suite's default architecture."""

from metta.agent.encoders.config import PerceiverConfig
from metta.agent.heads_config import HeadConfig
from metta.agent.memory.config import LSTMConfig
from metta.agent.parts import EncoderConfig, MemoryConfig
from metta.agent.policies.config import PolicyConfig


class ViTDefaultConfig(PolicyConfig):
    """Perceiver -> plain LSTM 64 -> 32 -> heads."""

    encoder: EncoderConfig = PerceiverConfig()
    memory: MemoryConfig = LSTMConfig(width=32, num_layers=1, honour_resets=False, input_gain=1.0)
    actor: HeadConfig = HeadConfig(hidden=(256, 256))
    critic: HeadConfig = HeadConfig(hidden=(512,))
