"""Every perception with every memory, at one width and nearly one number of parameters: what factorial.py compares.

The architectures of the suite are whole systems: each memory comes with an encoder and heads of its own, so a
difference between two of them may be due to any of these. Here the architectures with one perception differ in their
memory alone, and those with one memory in their perception. Each may be named wherever an architecture is
(`arch_type=cnn_gtrxl`).
"""

from typing import Any

from metta.agent.encoders.config import CNNConfig, PerceiverConfig
from metta.agent.heads_config import HeadConfig
from metta.agent.memory.config import (
    AGaLiTeConfig,
    GTrXLConfig,
    LSTMConfig,
    NoMemoryConfig,
    SlidingConfig,
    TransformerConfig,
    TransformerXLConfig,
)
from metta.agent.parts import EncoderConfig, MemoryConfig
from metta.agent.policies.config import PolicyConfig

WIDTH = 64
"""Numbers per step that leave every perception and every memory."""
REACH = 32
"""Steps that a memory with a window looks back."""

PERCEPTIONS: dict[str, EncoderConfig] = {
    "cnn": CNNConfig(width=WIDTH),
    "perceiver": PerceiverConfig(width=WIDTH, num_layers=1),
}
_ATTENTION: dict[str, Any] = {"width": WIDTH, "num_heads": 4, "num_layers": 1}
MEMORIES: dict[str, MemoryConfig] = {
    "none": NoMemoryConfig(),
    # Feed-forward layers are as wide as it takes for the parameters of two layers of LSTM.
    "lstm": LSTMConfig(width=WIDTH, num_layers=2, input_gain=1.0),
    "sliding": SlidingConfig(**_ATTENTION, feed_forward=384, window=REACH),
    "transformer": TransformerConfig(**_ATTENTION, feed_forward=416, window=REACH),
    "transformer_xl": TransformerXLConfig(**_ATTENTION, feed_forward=384, memory=REACH),
    "gtrxl": GTrXLConfig(**_ATTENTION, feed_forward=16, memory=REACH),
    "agalite": AGaLiTeConfig(**_ATTENTION, head_width=8, feed_forward=32),
}


def crossed_name(perception: str, memory: str) -> str:
    """What the architecture of the two is called."""
    return f"{perception}_{memory}"


CROSSED: dict[str, PolicyConfig] = {
    crossed_name(perception, memory): PolicyConfig(
        encoder=encoder,
        memory=kept,
        actor=HeadConfig(hidden=(256,)),
        critic=HeadConfig(hidden=(512,)),
    )
    for perception, encoder in PERCEPTIONS.items()
    for memory, kept in MEMORIES.items()
}
"""Name -> policy configuration."""
