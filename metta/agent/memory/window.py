"""Windowed memory: which of the steps in front of a segment, and in it, each step may attend to.

A memory of M slots holds the last M steps in front of a segment; together with the T steps of the segment they are
the context of S = M + T slots. A step attends to itself and to the M slots before it, of the same episode only,
whatever the length of the segment. A slot of an earlier episode, or one that was never written, is masked.

Long segments are worked on in blocks of queries, so that a block's scores are [c, M + c] instead of [T, M + T].

Axes: B batch, T time, M memory slots, S = M + T context slots, c queries of a block.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from metta.agent.path import at_hand
from metta.agent.table import Table

BLOCK = 32
"""Queries worked on at once: long enough for matrix products, short against a segment of 64 with its memory."""

EMPTY = -1
"""Episode number of a slot that belongs to no current episode; the episode that goes on has number 0."""


class Block(NamedTuple):
    """Some consecutive queries of a segment and the slots of the context that they may see."""

    queries: slice
    """Steps of the segment."""
    slots: slice
    """Slots of the context: from M before the first query to the last query."""
    forbidden: Tensor | None
    """bool [B, 1, c, M + c]: the slot is empty or of another episode; None when there is no such pair. The window
    itself (a slot later than the query, or more than M before) is not in here: see `outside_window`."""


class Context(NamedTuple):
    """The blocks of one segment, and what of its context the next segment may still see."""

    blocks: tuple[Block, ...]
    valid: Tensor
    """bool [B, M]: the slot belongs to the episode that goes on."""


def context_of(valid: Tensor, resets: Tensor, block: int = BLOCK) -> Context:
    """The blocks of a segment, from the validity [B, M] of the memory in front and the resets [B, T]."""
    M, T = valid.shape[1], resets.shape[1]
    in_segment = resets.cumsum(1)
    episode_BS = torch.cat([valid.to(in_segment.dtype) - 1, in_segment], 1)
    single = at_hand(valid) and not bool(episode_BS.any())
    block = block if at_hand(valid) else T  # a GPU has room for all scores at once
    blocks = []
    for first in range(0, T, block):
        queries, slots = slice(first, min(first + block, T)), slice(first, min(first + block, T) + M)
        forbidden = None
        if not single:
            forbidden = (in_segment[:, queries, None] != episode_BS[:, None, slots]).unsqueeze(1)
        blocks.append(Block(queries, slots, forbidden))
    return Context(tuple(blocks), episode_BS[:, T:] == in_segment[:, -1:])


def outside_window(block: Block, memory: int, device: torch.device) -> Tensor:
    """bool [c, M + c]: the slot is later than the query or more than `memory` steps before it."""
    return _outside(block.queries.stop - block.queries.start, memory).on(device, torch.bool)


@lru_cache(maxsize=64)
def _outside(queries: int, memory: int) -> Table:
    ahead = np.arange(memory + queries) - np.arange(queries)[:, None]
    return Table((ahead < 0) | (ahead > memory))


def next_memory(context_BSD: Tensor, memory: int) -> Tensor:
    """The last `memory` slots of a context, detached.

    After a single step a view, whose storage has one slot more: copying would cost as much as all else in acting.
    """
    last = context_BSD[:, -memory:].detach()
    return last if context_BSD.shape[1] == memory + 1 else last.contiguous()


def steps_in_episode(start: Tensor, resets: Tensor) -> Tensor:
    """Position of each step in its episode, [B, T], from the position of the first one if it is no reset, [B]."""
    steps = torch.arange(resets.shape[1], device=resets.device)
    # Without a reset in the segment, the episode began `start` steps in front of it.
    return steps - torch.where(resets, steps, -start.unsqueeze(1)).cummax(1).values
