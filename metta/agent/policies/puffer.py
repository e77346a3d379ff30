"""puffer: PufferLib's network for this arena, its LSTM honouring resets."""

from metta.agent.encoders.config import PufferBoxConfig
from metta.agent.heads_config import HeadConfig
from metta.agent.memory.config import LSTMConfig
from metta.agent.parts import EncoderConfig, MemoryConfig
from metta.agent.policies.config import PolicyConfig


class PufferPolicyConfig(PolicyConfig):
    """PufferLib's convolutions beside its centre cell, 512 -> LSTM 512 -> linear heads."""

    encoder: EncoderConfig = PufferBoxConfig()
    memory: MemoryConfig = LSTMConfig(width=512, num_layers=1, honour_resets=True, input_gain=1.0)
    actor: HeadConfig = HeadConfig()
    critic: HeadConfig = HeadConfig()
