"""AGaLiTe memory: gated linear attention whose state has constant size and whose recurrence is linear in time.

Axes: B batch, T time, D width, H heads, d head width, E eta, X = E * d, F distinct frequencies, L layers.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from metta.agent.init import initialise
from metta.agent.memory.agalite_recurrence import LayerState, cosines_at, distinct_frequencies, recurrence
from metta.agent.memory.gate import GRUGate
from metta.agent.memory.window import steps_in_episode

if TYPE_CHECKING:
    from metta.agent.memory.config import AGaLiTeConfig

AGaLiTeState = tuple[tuple[LayerState, ...], Tensor]


class AGaLiTe(nn.Module):
    """Approximate gated linear transformer.

    State: (for each layer (K of each distinct frequency and last S [B, H, F + 1, X], V [B, H, F, d]); tick int64 [B],
    1 when fresh). Frequencies omega and -omega have the same cosines and so the same K and V, kept once:
    F = ceil(r / 2), in the order i = 0, 1, ... of omega_i = linspace(-pi, pi, r).

    Parameters and their names in subho406/agalite, src_pure/models/agalite.py (flax; every `kernel` is the transpose
    of our `weight`), layer i (theirs from 1):
    `embedding.weight` [D, input width], `.bias`: `layer1.emb_layer`;
    `layers.i.attention_norm`, `.feed_forward_norm` (weight, bias [D]): `LayerNorm_0`, `LayerNorm_1` (scale, bias);
    `layers.i.main.weight` [5 H d, D], `.bias`: `AttentionORLiTLayer_0.linear_kqvbetagammas` (head by head: keys,
    queries, values, beta, gamma);
    `layers.i.expansion.weight` [3 H E, D], `.bias`: `AttentionORLiTLayer_0.linear_p1p2p3` (head by head: p1, p2, p3);
    `layers.i.output.weight` [D, H d], `.bias`: `AttentionORLiTLayer_0.project`;
    `layers.i.attention_gate`, `layers.i.feed_forward_gate`: `GRUGatingUnit_0`, `GRUGatingUnit_1` (see `GRUGate`);
    `layers.i.expand.weight` [F, D], `.bias`, `layers.i.contract.weight` [D, F], `.bias`: the two dense maps between.

    Source: Pramanik et al., TMLR 2024, https://arxiv.org/abs/2310.15719; code https://github.com/subho406/agalite.
    Differs in: a reset also sets the tick back to 1 (the code leaves it running); the tick is an integer and the
    oscillation's period is taken on integers; the memory is one state per distinct frequency.
    """

    extra_inputs = 0

    def __init__(self, config: "AGaLiTeConfig", input_width: int) -> None:
        super().__init__()
        self.input_width, self.output_width = input_width, config.width
        self.heads, self.head_width = config.num_heads, config.head_width
        self.eta, self.oscillations = config.eta, config.oscillations
        self.embedding = nn.Linear(input_width, config.width)
        self.layers = nn.ModuleList(AGaLiTeLayer(config) for _ in range(config.num_layers))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                initialise(module, "relu")

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> AGaLiTeState:
        """Zeros and tick 1; device and dtype default to the parameters'."""
        like = self.embedding.weight
        frequencies = len(distinct_frequencies(self.oscillations)[0])
        keys_shape = (batch, self.heads, frequencies + 1, self.eta * self.head_width)
        values_shape = (batch, self.heads, frequencies, self.head_width)
        layers = tuple(
            (
                like.new_zeros(keys_shape, device=device, dtype=dtype),
                like.new_zeros(values_shape, device=device, dtype=dtype),
            )
            for _ in self.layers
        )
        return layers, torch.ones(batch, dtype=torch.int64, device=layers[0][0].device)

    def forward(self, x: Tensor, resets: Tensor, state: AGaLiTeState) -> tuple[Tensor, AGaLiTeState]:
        """x [B, T, input_width], resets bool [B, T], state -> [B, T, D], new state."""
        layer_states, tick = state
        # A fresh tick is 1 and the first step uses 2, one more than when counting steps from 1.
        ticks = steps_in_episode(tick - 1, resets) + 2
        cosines = cosines_at(ticks, self.oscillations, x.dtype)
        keep = (~resets).to(x.dtype)
        stream = functional.relu(self.embedding(x))
        new_states = []
        for layer, layer_state in zip(self.layers, layer_states, strict=True):
            stream, new_state = layer(stream, cosines, keep, layer_state)
            new_states.append(new_state)
        return stream, (tuple(new_states), ticks[:, -1].contiguous())


class AGaLiTeLayer(nn.Module):
    """gate(x, relu(attention(norm(x)))), then gate(., relu(W2 relu(W1 norm(.))))."""

    def __init__(self, config: "AGaLiTeConfig") -> None:
        super().__init__()
        inner = config.num_heads * config.head_width
        self.heads, self.oscillations = config.num_heads, config.oscillations
        self.attention_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.main = nn.Linear(config.width, 5 * inner)
        self.expansion = nn.Linear(config.width, 3 * config.num_heads * config.eta)
        self.output = nn.Linear(inner, config.width)
        self.attention_gate = GRUGate(config.width, config.gate_bias, "relu")
        self.feed_forward_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.expand = nn.Linear(config.width, config.feed_forward)
        self.contract = nn.Linear(config.feed_forward, config.width)
        self.feed_forward_gate = GRUGate(config.width, config.gate_bias, "relu")

    def forward(self, x_BTD: Tensor, cosines: Tensor, keep: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Stream [B, T, D], cosines [B, T, F], keep [B, T], the layer's state -> stream, new state."""
        normal = self.attention_norm(x_BTD)
        main, expansion = (part(normal).unflatten(2, (self.heads, -1)) for part in (self.main, self.expansion))
        attended, state = recurrence(main, expansion, cosines, keep, self.oscillations, state)
        x_BTD = self.attention_gate(x_BTD, functional.relu(self.output(attended.flatten(2))))
        expanded = functional.relu(self.expand(self.feed_forward_norm(x_BTD)))
        return self.feed_forward_gate(x_BTD, functional.relu(self.contract(expanded))), state
