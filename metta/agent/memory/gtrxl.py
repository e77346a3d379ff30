"""Gated Transformer-XL memory: relative attention over the last steps of the episode, GRU gates for residual sums.

Axes: B batch, T time, M memory slots, D width, H heads, d = D / H, L layers.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from metta.agent.init import initialise
from metta.agent.memory.gate import GRUGate
from metta.agent.memory.relative_attention import RelativeAttention
from metta.agent.memory.transformer_xl import SlotState
from metta.agent.memory.window import Context, context_of, next_memory

if TYPE_CHECKING:
    from metta.agent.memory.config import GTrXLConfig


class GTrXL(nn.Module):
    """GTrXL whose memory is each layer's raw input at the last M steps.

    State: (memory of each layer, a tuple of L tensors [B, M, D], oldest first; valid bool [B, M]).

    Parameters and their names in subho406/agalite, src_pure/models/gtrxl.py (flax; every `kernel` is the transpose of
    our `weight`), layer i:
    `embedding.weight` [D, input width], `.bias`: `embedding.layers_0`;
    `u`, `w` [H, d]: `u`, `v`;
    `layers.i.attention.query.weight` [D, D], `.bias`: `layers_i.attention.attention_q`;
    `layers.i.attention.key_value.weight` [2D, D], `.bias`: `attention.attention_kv` (keys first in both);
    `layers.i.attention.position.weight`, `.bias`: `attention.project_pos`;
    `layers.i.attention.output.weight`, `.bias`: `attention.project`;
    `layers.i.attention_norm.weight`, `.bias` [D]: `layernorm1.scale`, `.bias`; `layers.i.feed_forward_norm`:
    `layernorm2`;
    `layers.i.attention_gate`, `layers.i.feed_forward_gate`: `gate1`, `gate2` (see `GRUGate`);
    `layers.i.expand.weight` [F, D], `.bias`, `layers.i.contract.weight` [D, F], `.bias`: the two dense maps of `mlp`.

    Source: Parisotto et al. 2019, https://arxiv.org/abs/1910.06764; code
    https://github.com/subho406/agalite. Differs in: a query sees exactly itself and M previous steps (the code masks
    only the future inside a segment); queries are normalised as in the paper (the code leaves them raw:
    `normalize_query=False`); the code keeps one more memory than layers, which nothing reads; no dropout.
    """

    extra_inputs = 0

    def __init__(self, config: "GTrXLConfig", input_width: int) -> None:
        super().__init__()
        self.input_width, self.output_width = input_width, config.width
        self.memory = config.memory
        self.embedding = nn.Linear(input_width, config.width)
        self.layers = nn.ModuleList(GTrXLLayer(config) for _ in range(config.num_layers))
        self.u = nn.Parameter(torch.zeros(config.num_heads, config.width // config.num_heads))
        self.w = nn.Parameter(torch.zeros_like(self.u))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                initialise(module, "lecun")

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> SlotState:
        """Empty memories: zeros, none valid; device and dtype default to the parameters'."""
        shape = (batch, self.memory, self.output_width)
        memories = tuple(self.u.new_zeros(shape, device=device, dtype=dtype) for _ in self.layers)
        return memories, torch.zeros(batch, self.memory, dtype=torch.bool, device=memories[0].device)

    def forward(self, x: Tensor, resets: Tensor, state: SlotState) -> tuple[Tensor, SlotState]:
        """x [B, T, input_width], resets bool [B, T], state -> [B, T, D], new state."""
        memories, valid = state
        context = context_of(valid, resets)
        stream = functional.relu(self.embedding(x))
        new_memories = []
        for layer, memory in zip(self.layers, memories, strict=True):
            slots = torch.cat([memory.detach().to(stream.dtype), stream], 1)
            new_memories.append(next_memory(slots, self.memory))
            stream = layer(stream, slots, context, self.u, self.w)
        return stream, (tuple(new_memories), context.valid)


class GTrXLLayer(nn.Module):
    """gate(x, relu(attention(norm([memory; x])))), then gate(., relu(W2 relu(W1 norm(.))))."""

    def __init__(self, config: "GTrXLConfig") -> None:
        super().__init__()
        self.normalize_query = config.normalize_query
        self.attention_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.attention = RelativeAttention(config.width, config.num_heads, config.memory, bias=True)
        self.attention_gate = GRUGate(config.width, config.gate_bias, "lecun")
        self.feed_forward_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.expand = nn.Linear(config.width, config.feed_forward)
        self.contract = nn.Linear(config.feed_forward, config.width)
        self.feed_forward_gate = GRUGate(config.width, config.gate_bias, "lecun")

    def forward(self, x_BTD: Tensor, slots_BSD: Tensor, context: Context, u: Tensor, w: Tensor) -> Tensor:
        """Stream [B, T, D] and context [B, M + T, D] (its last T slots are the stream) -> stream."""
        normal = self.attention_norm(slots_BSD)
        queries = normal[:, -x_BTD.shape[1] :] if self.normalize_query else x_BTD
        attended = functional.relu(self.attention(queries, normal, context, u, w))
        x_BTD = self.attention_gate(x_BTD, attended)
        expanded = functional.relu(self.expand(self.feed_forward_norm(x_BTD)))
        return self.feed_forward_gate(x_BTD, functional.relu(self.contract(expanded)))
