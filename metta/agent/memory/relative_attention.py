"""Attention with the relative positions of Transformer-XL over a windowed context; also used by GTrXL.

Axes: B batch, T time, M memory slots, S = M + T context slots, D width, H heads, d = D / H, c queries of a block.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from metta.agent.memory.sinusoid import backwards
from metta.agent.memory.window import Block, Context
from metta.agent.path import at_hand


class RelativeAttention(nn.Module):
    """score(t, j) = ((q_t + u) . k_j + (q_t + w) . W_R P(t - j)) / sqrt(d), softmax over the slots of the window.

    Parameters (each with `bias` when `bias`): `query.weight` [D, D], `key_value.weight` [2D, D] (keys first),
    `position.weight` [D, D] (the W_R above), `output.weight` [D, D]; heads are consecutive runs of d rows.

    Source: Dai et al. 2019, section 3.3; https://github.com/kimiyoung/transformer-xl,
    pytorch/mem_transformer.py (RelPartialLearnableMultiHeadAttn).
    Differs in: every query sees exactly itself and the M slots before it (the published code masks only the future
    inside a segment), of its own episode; the shift is done per block, with minus infinity shifted in from outside
    the window.
    """

    def __init__(self, width: int, heads: int, memory: int, *, bias: bool) -> None:
        super().__init__()
        self.width, self.heads, self.memory = width, heads, memory
        self.query = nn.Linear(width, width, bias=bias)
        self.key_value = nn.Linear(width, 2 * width, bias=bias)
        self.position = nn.Linear(width, width, bias=bias)
        self.output = nn.Linear(width, width, bias=bias)

    def forward(self, queries_BTD: Tensor, slots_BSD: Tensor, context: Context, u: Tensor, w: Tensor) -> Tensor:
        """Attend from the segment's steps to the context.

        Args:
            queries_BTD: what queries are computed from [B, T, D].
            slots_BSD: what keys and values are computed from [B, M + T, D].
            context: blocks of the segment.
            u, w: the content and position biases [H, d].

        Returns:
            [B, T, D], projected.
        """
        if queries_BTD.shape[1] == 1 and at_hand(slots_BSD):
            return self.one_step(queries_BTD, slots_BSD, context, u, w)
        H, d = self.heads, self.width // self.heads
        scale = d**-0.5
        q_BTHd = self.query(queries_BTD).unflatten(2, (H, d))
        k_BSHd, v_BSHd = self.key_value(slots_BSD).unflatten(2, (2, H, d)).unbind(2)
        k_BHdS, v_BHSd = k_BSHd.permute(0, 2, 3, 1), v_BSHd.transpose(1, 2)
        content_BHTd = ((q_BTHd + u) * scale).transpose(1, 2)
        by_position_BHTd = ((q_BTHd + w) * scale).transpose(1, 2)
        position_HdN = self.position_keys(slots_BSD)
        results = []
        for block in context.blocks:
            offsets = by_position_BHTd[:, :, block.queries] @ position_HdN
            bias = shifted(offsets, block)
            results.append(
                self.attend(
                    content_BHTd[:, :, block.queries], k_BHdS[..., block.slots], v_BHSd[:, :, block.slots], bias
                )
            )
        attended = results[0] if len(results) == 1 else torch.cat(results, 2)
        return self.output(attended.transpose(1, 2).flatten(2))

    def one_step(self, queries_B1D: Tensor, slots_BSD: Tensor, context: Context, u: Tensor, w: Tensor) -> Tensor:
        """The same for T = 1, where a slot's keys and values would be made to be read once: so they are not made.

        The query is taken back through the keys' weights, and the values' weights are applied to the weighted sum of
        slots. The keys' bias adds the same to every score, so it drops out.
        """
        B, H, d = len(slots_BSD), self.heads, self.width // self.heads
        q_BHd = self.query(queries_B1D).view(B, H, d)
        key_HdD, value_HdD = self.key_value.weight.view(2, H, d, self.width).unbind(0)
        by_content_HBd, by_position_HBd = (((q_BHd + bias) * d**-0.5).transpose(0, 1) for bias in (u, w))
        to_slots_BHD = torch.bmm(by_content_HBd, key_HdD).transpose(0, 1)
        offsets_BHS = torch.bmm(by_position_HBd, self.position_keys(slots_BSD)).transpose(0, 1)
        bias_BHS = shifted(offsets_BHS.unsqueeze(2), context.blocks[0]).squeeze(2)
        scores_BHS = torch.baddbmm(bias_BHS, to_slots_BHD, slots_BSD.transpose(1, 2))
        mixed_BHD = torch.bmm(scores_BHS.softmax(-1), slots_BSD)
        attended_BHd = torch.bmm(mixed_BHD.transpose(0, 1), value_HdD.transpose(1, 2)).transpose(0, 1)
        attended_BD = attended_BHd.flatten(1)
        if self.key_value.bias is not None:
            attended_BD = attended_BD + self.key_value.bias[self.width :]  # weights sum to 1
        return self.output(attended_BD.unsqueeze(1))

    def position_keys(self, like: Tensor) -> Tensor:
        """W_R P(n) for n = M, ..., 1, 0 as [H, d, M + 1]."""
        keys = self.position(backwards(self.memory, self.width, like.dtype, like.device))
        return keys.unflatten(1, (self.heads, -1)).permute(1, 2, 0)

    def attend(self, q_BHcd: Tensor, k_BHdS: Tensor, v_BHSd: Tensor, bias_BHcS: Tensor) -> Tensor:
        """softmax(q k + bias) v for one block, [B, H, c, d]."""
        B, H = q_BHcd.shape[:2]
        scores = torch.baddbmm(bias_BHcS.flatten(0, 1), q_BHcd.flatten(0, 1), k_BHdS.flatten(0, 1))
        return torch.bmm(scores.softmax(-1), v_BHSd.flatten(0, 1)).unflatten(0, (B, H))


def shifted(offsets_BHcN: Tensor, block: Block) -> Tensor:
    """Position terms by distance [B, H, c, M + 1] (oldest first) as terms by slot [B, H, c, M + c].

    Minus infinity where a slot lies outside the query's window or in another episode.
    """
    c, N = offsets_BHcN.shape[2:]
    slots = N - 1 + c
    # A row of M + 1 terms and c times minus infinity, read with a row length one shorter, moves right by one per row.
    padded = functional.pad(offsets_BHcN, (0, c), value=float("-inf")).flatten(2)
    by_slot = padded[..., : c * slots].unflatten(2, (c, slots))
    return by_slot if block.forbidden is None else by_slot.masked_fill(block.forbidden, float("-inf"))
