"""vit_reset: vit with an LSTM that starts afresh with every episode."""

from metta.agent.memory.config import LSTMConfig
from metta.agent.parts import MemoryConfig
from metta.agent.policies.vit import ViTDefaultConfig


class ViTResetConfig(ViTDefaultConfig):
    """Perceiver -> reset LSTM 64 -> 32 -> heads."""

    memory: MemoryConfig = LSTMConfig(width=32, num_layers=1, honour_resets=True, input_gain=1.0)
