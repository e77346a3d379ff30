"""Transformer-XL with the parameters and the function of `transformer_xl`, on fused attention (`trxl_nvidia`).

Axes: B batch, H heads, d head width, c queries of a block, S slots of a block.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from metta.agent.memory.relative_attention import RelativeAttention
from metta.agent.memory.transformer_xl import SlotState, TransformerXL, TransformerXLLayer

if TYPE_CHECKING:
    from metta.agent.memory.config import FusedTransformerXLConfig, TransformerXLConfig


class FusedTransformerXL(TransformerXL):
    """Transformer-XL on `scaled_dot_product_attention`; weights of `TransformerXL` load as they are.

    With `precision="bfloat16"` the layers run in bfloat16 on a GPU that supports it (parameters, state and output
    keep their type), and in the parameters' type on every other device.

    Source: as `TransformerXL`; fused kernels as in NVIDIA's
    https://github.com/NVIDIA/DeepLearningExamples/tree/master/PyTorch/LanguageModeling/Transformer-XL.
    Differs in: what `TransformerXL` differs in; the position term is the fused kernel's additive bias.
    """

    def __init__(self, config: "FusedTransformerXLConfig", input_width: int) -> None:
        super().__init__(config, input_width)
        self.reduced = config.precision == "bfloat16"

    @staticmethod
    def make_layer(config: "TransformerXLConfig") -> TransformerXLLayer:
        """One layer with fused attention."""
        return FusedTransformerXLLayer(config)

    def forward(self, x: Tensor, resets: Tensor, state: SlotState) -> tuple[Tensor, SlotState]:
        """x [B, T, input_width], resets bool [B, T], state -> [B, T, D], new state."""
        if not (self.reduced and x.is_cuda and x.dtype == torch.float32 and torch.cuda.is_bf16_supported()):
            return super().forward(x, resets, state)
        with torch.autocast("cuda", torch.bfloat16):
            output, (memories, valid) = super().forward(x, resets, state)
        return output.to(x.dtype), (tuple(memory.to(x.dtype) for memory in memories), valid)


class FusedTransformerXLLayer(TransformerXLLayer):
    """The same layer with fused attention."""

    @staticmethod
    def make_attention(config: "TransformerXLConfig") -> RelativeAttention:
        """The fused attention of one layer, without biases."""
        return FusedRelativeAttention(config.width, config.num_heads, config.memory, bias=False)


class FusedRelativeAttention(RelativeAttention):
    """Relative attention whose softmax and products are one kernel, the position term its additive bias."""

    def attend(self, q_BHcd: Tensor, k_BHdS: Tensor, v_BHSd: Tensor, bias_BHcS: Tensor) -> Tensor:
        """softmax(q k + bias) v for one block, [B, H, c, d]; q is already divided by sqrt(d)."""
        return functional.scaled_dot_product_attention(
            q_BHcd, k_BHdS.transpose(2, 3), v_BHSd, attn_mask=bias_BHcS, scale=1.0
        )
