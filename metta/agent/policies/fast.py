"""fast: convolutions over the window and a plain LSTM of two layers, whose memory runs on across episodes."""

from metta.agent.encoders.config import CNNConfig
from metta.agent.heads_config import HeadConfig
from metta.agent.memory.config import LSTMConfig
from metta.agent.parts import EncoderConfig, MemoryConfig
from metta.agent.policies.config import PolicyConfig


class FastConfig(PolicyConfig):
    """CNN 128 -> plain LSTM 128, 2 layers -> heads."""

    encoder: EncoderConfig = CNNConfig()
    memory: MemoryConfig = LSTMConfig(width=128, num_layers=2, honour_resets=False)
    actor: HeadConfig = HeadConfig(hidden=(512,), activation="relu")
    critic: HeadConfig = HeadConfig(hidden=(1024,), activation="tanh")
