"""agalite: perceiver and the approximate gated linear transformer (Pramanik et al. 2024)."""

from metta.agent.encoders.config import PerceiverConfig
from metta.agent.heads_config import HeadConfig
from metta.agent.memory.config import AGaLiTeConfig as AGaLiTeMemoryConfig
from metta.agent.parts import EncoderConfig, MemoryConfig
from metta.agent.policies.config import PolicyConfig


class AGaLiTeConfig(PolicyConfig):
    """Perceiver with 16 latents and 1 layer -> AGaLiTe, width 64, 3 layers -> heads."""

    encoder: EncoderConfig = PerceiverConfig(
        feature_width=12, num_frequencies=4, num_latents=16, num_layers=1, width=64
    )
    memory: MemoryConfig = AGaLiTeMemoryConfig(
        width=64, num_heads=4, head_width=16, num_layers=3, feed_forward=256, eta=4, oscillations=2
    )
    actor: HeadConfig = HeadConfig(hidden=(128,))
    critic: HeadConfig = HeadConfig(hidden=(256,))
