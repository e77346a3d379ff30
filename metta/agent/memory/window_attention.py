"""Standard pre-norm transformer layer over a windowed context of cached keys and values.

Axes: B batch, T time, M memory steps, K tokens per step, D width, H heads, d = D / H, c queries of a block, S slots.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from metta.agent.memory.window import Context, next_memory, outside_window
from metta.agent.table import Table


class WindowLayer(nn.Module):
    """x + attention(norm(x)), then + W2 gelu(W1 norm(.)); keys and values of the last M steps are the memory.

    A step has K tokens; each attends to all tokens of its own step and of the M steps before it, same episode.

    Parameters: `attention_norm`, `feed_forward_norm` (weight and bias [D]); `query_key_value.weight` [3D, D] (queries,
    keys, values; heads are consecutive runs of d rows), `output.weight` [D, D], `expand.weight` [F, D],
    `contract.weight` [D, F], each with `bias`.

    Source: Vaswani et al. 2017 in the pre-norm order of Radford et al. 2019 (GPT-2). Differs in: the window.
    """

    def __init__(self, width: int, heads: int, feed_forward: int, memory: int, tokens: int) -> None:
        super().__init__()
        self.heads, self.memory, self.tokens = heads, memory, tokens
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, feed_forward)
        self.contract = nn.Linear(feed_forward, width)

    def forward(self, x: Tensor, cache: Tensor, context: Context, masks: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Stream [B, T * K, D], keys and values of the memory [B, M, K * 2D], blocks and masks -> stream, new cache."""
        B, _, D = x.shape
        H, K = self.heads, self.tokens
        query, key_value = self.query_key_value(self.attention_norm(x)).split([D, 2 * D], 2)
        slots = torch.cat([cache.detach().to(x.dtype), key_value.reshape(B, -1, K * 2 * D)], 1)
        k_BHSd, v_BHSd = slots.view(B, -1, 2, H, D // H).permute(2, 0, 3, 1, 4).unbind(0)
        q_BHTd = query.unflatten(2, (H, D // H)).transpose(1, 2)
        results = []
        for block, mask in zip(context.blocks, masks, strict=True):
            own = slice(block.queries.start * K, block.queries.stop * K)
            seen = slice(block.slots.start * K, block.slots.stop * K)
            results.append(
                functional.scaled_dot_product_attention(
                    q_BHTd[:, :, own], k_BHSd[:, :, seen], v_BHSd[:, :, seen], attn_mask=mask
                )
            )
        attended = results[0] if len(results) == 1 else torch.cat(results, 2)
        x = x + self.output(attended.transpose(1, 2).flatten(2))
        x = x + self.contract(functional.gelu(self.expand(self.feed_forward_norm(x))))
        return x, next_memory(slots, self.memory)


def masks_of(context: Context, memory: int, tokens: int, like: Tensor) -> tuple[Tensor, ...]:
    """Per block what attention adds to its scores: 0 where a query may look, minus infinity elsewhere.

    [B or 1, 1, c * K, (M + c) * K], of the type of `like`.
    """
    masks = []
    for block in context.blocks:
        hidden = outside_window(block, memory, like.device)
        if block.forbidden is not None:
            hidden = hidden | block.forbidden
        if hidden.dim() == 2:
            hidden = hidden.unsqueeze(0).unsqueeze(1)
        open_, shut = (table.on(like.device, like.dtype) for table in _SCORES)
        c, S = hidden.shape[2:]
        by_token = hidden[:, :, :, None, :, None].expand(-1, -1, c, tokens, S, tokens)
        masks.append(torch.where(by_token, shut, open_).flatten(4, 5).flatten(2, 3))
    return tuple(masks)


_SCORES = Table(np.asarray(0.0)), Table(np.asarray(-np.inf))
"""What attention adds to a score that counts, and to one that does not."""
