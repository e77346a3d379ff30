"""fast_lstm_reset: fast with an LSTM that starts afresh with every episode."""

from metta.agent.memory.config import LSTMConfig
from metta.agent.parts import MemoryConfig
from metta.agent.policies.fast import FastConfig


class FastLSTMResetConfig(FastConfig):
    """CNN 128 -> reset LSTM 128, 2 layers -> heads."""

    memory: MemoryConfig = LSTMConfig(width=128, num_layers=2, honour_resets=True)
