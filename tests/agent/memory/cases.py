"""Small memories of every kind, with random weights, and segments with resets to try them on."""

import torch
from torch import Tensor, nn

from metta.agent.memory.config import (
    AGaLiTeConfig,
    FusedTransformerXLConfig,
    GTrXLConfig,
    LSTMConfig,
    NoMemoryConfig,
    SlidingConfig,
    TransformerConfig,
    TransformerXLConfig,
)
from metta.agent.parts import MemoryConfig

INPUT_WIDTH = 6

MEMORIES: dict[str, MemoryConfig] = {
    "none": NoMemoryConfig(),
    "plain_lstm": LSTMConfig(width=12, num_layers=2, honour_resets=False),
    "reset_lstm": LSTMConfig(width=12, num_layers=2),
    "sliding": SlidingConfig(width=8, num_heads=2, window=5, feed_forward=16),
    "transformer": TransformerConfig(width=8, num_heads=2, window=5, feed_forward=16),
    "transformer_xl": TransformerXLConfig(width=8, num_heads=2, memory=5, feed_forward=16, num_layers=2),
    "transformer_xl_fused": FusedTransformerXLConfig(width=8, num_heads=2, memory=5, feed_forward=16, num_layers=2),
    "gtrxl": GTrXLConfig(width=8, num_heads=2, memory=5, feed_forward=16, num_layers=2),
    "gtrxl_raw_query": GTrXLConfig(width=8, num_heads=2, memory=5, feed_forward=16, normalize_query=False),
    "agalite": AGaLiTeConfig(width=8, num_heads=2, head_width=4, feed_forward=16),
    "agalite_r5": AGaLiTeConfig(width=8, num_heads=2, head_width=4, feed_forward=16, oscillations=5, eta=3),
}


def build(
    config: MemoryConfig, dtype: torch.dtype = torch.float64, seed: int = 0, width: int = INPUT_WIDTH
) -> nn.Module:
    """The module with every parameter moved off its initial value, so that no term is hidden by a zero."""
    torch.manual_seed(seed)
    module = config.build(width).to(dtype)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return module


def segment(
    module: nn.Module, rows: int, steps: int, dtype: torch.dtype = torch.float64, seed: int = 1, rate: float = 0.08
) -> tuple[Tensor, Tensor]:
    """Inputs [B, T, D] and resets [B, T] with about `rate` of the steps a reset; row 0 has none."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, steps, module.input_width + module.extra_inputs, generator=generator, dtype=dtype)
    resets = torch.rand(rows, steps, generator=generator) < rate
    resets[0] = False
    return x, resets


def close(found: Tensor, target: Tensor, tolerance: float) -> None:
    """|found - target| <= tolerance * max(1, |target|), everywhere."""
    assert found.shape == target.shape
    deviation = ((found - target).abs() / target.abs().clamp(min=1.0)).max().item() if found.numel() else 0.0
    assert deviation <= tolerance, f"deviates by {deviation:.2e}, allowed {tolerance:.0e}"
