"""Transformer-XL with the parameters and the function of `transformer_xl`, on fused attention (`trxl_nvidia`).

Axes: B batch, T time, M memory slots, S = M + T context slots, N = M + 1 distances, D width, H heads, d head width,
c queries of a block.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from metta.agent.memory.relative_attention import RelativeAttention
from metta.agent.memory.transformer_xl import SlotState, TransformerXL, TransformerXLLayer
from metta.agent.memory.window import Context
from metta.agent.memory.window_attention import masks_of
from metta.agent.path import at_hand
from metta.agent.table import Table

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

    def forward(self, queries_BTD: Tensor, slots_BSD: Tensor, context: Context, u: Tensor, w: Tensor) -> Tensor:
        """As `RelativeAttention`; on a GPU by fewer operations, which leave keys and values where they are."""
        if at_hand(slots_BSD):
            return super().forward(queries_BTD, slots_BSD, context, u, w)
        B, T = queries_BTD.shape[:2]
        H, d, M = self.heads, self.width // self.heads, self.memory
        weight = torch.cat([self.query.weight, self.key_value.weight])
        q_BSHd, k_BSHd, v_BSHd = functional.linear(slots_BSD, weight).unflatten(2, (3, H, d)).unbind(2)
        by_content_BTHd, by_position_BTHd = (q_BSHd[:, -T:] + torch.stack([u, w])[:, None, None]).unbind(0)
        offsets_HbN = torch.bmm(by_position_BTHd.view(B * T, H, d).transpose(0, 1), self.position_keys(slots_BSD))
        offsets_BHTN = offsets_HbN.view(H, B, T, M + 1).transpose(0, 1)
        if T > 1:
            columns_TS = _columns(T, M).on(slots_BSD.device, torch.int64)
            offsets_BHTN = offsets_BHTN.gather(3, columns_TS.expand(B, H, -1, -1))
        (mask_B1TS,) = masks_of(context, M, 1, slots_BSD)
        attended_BHTd = functional.scaled_dot_product_attention(
            by_content_BTHd.transpose(1, 2),
            k_BSHd.transpose(1, 2),
            v_BSHd.transpose(1, 2),
            attn_mask=torch.add(mask_B1TS, offsets_BHTN, alpha=d**-0.5),
        )
        return self.output(attended_BHTd.transpose(1, 2).flatten(2))

    def attend(self, q_BHcd: Tensor, k_BHdS: Tensor, v_BHSd: Tensor, bias_BHcS: Tensor) -> Tensor:
        """softmax(q k + bias) v for one block, [B, H, c, d]; q is already divided by sqrt(d)."""
        return functional.scaled_dot_product_attention(
            q_BHcd, k_BHdS.transpose(2, 3), v_BHSd, attn_mask=bias_BHcS, scale=1.0
        )


@lru_cache(maxsize=64)
def _columns(steps: int, memory: int) -> Table:
    """Which of the M + 1 terms by distance, oldest first, belongs to a query and a slot: int [T, M + T]."""
    return Table((np.arange(memory + steps) - np.arange(steps)[:, None]).clip(0, memory))
