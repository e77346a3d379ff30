"""Textbook GTrXL (Parisotto et al. 2019), one row, one step and one slot at a time, in float64.

Parameters carry the names and layouts of subho406/agalite, src_pure/models/gtrxl.py (flax: kernels are [in, out]).
"""

import torch
from torch import Tensor

from tests.reference.textbook import gru_gate, layer_norm, relative_attention, relu, sinusoid, under


def gtrxl_twin(
    p: dict[str, Tensor],
    layers: int,
    memory: int,
    normalize_query: bool,
    x: Tensor,
    resets: Tensor,
    memories: list[list[Tensor]],
) -> tuple[Tensor, list[list[Tensor]]]:
    """One row: inputs [T, input width], resets [T], each layer's raw inputs -> outputs [T, D], memories."""
    memories = [list(slots) for slots in memories]
    outputs = []
    for t in range(x.shape[0]):
        if resets[t]:
            memories = [[] for _ in range(layers)]
        stream = relu(x[t] @ p["embedding.kernel"] + p["embedding.bias"])
        for i in range(layers):
            slots = [*memories[i], stream][-(memory + 1) :]
            memories[i] = slots[-memory:]
            stream = _layer(under(p, f"layers_{i}"), p["u"], p["v"], normalize_query, stream, slots)
        outputs.append(stream)
    return torch.stack(outputs), memories


def _dense(p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ p[f"{name}.kernel"] + p[f"{name}.bias"]


def _layer(p: dict[str, Tensor], u: Tensor, w: Tensor, normalize_query: bool, x: Tensor, slots: list[Tensor]) -> Tensor:
    D = x.numel()
    normal = [layer_norm(s, p["layernorm1.scale"], p["layernorm1.bias"], 1e-6) for s in slots]
    keys_values = [_dense(p, "attention.attention_kv", s) for s in normal]
    attended = relative_attention(
        _dense(p, "attention.attention_q", normal[-1] if normalize_query else x),
        [kv[:D] for kv in keys_values],
        [kv[D:] for kv in keys_values],
        [_dense(p, "attention.project_pos", sinusoid(len(slots) - 1 - j, D)) for j in range(len(slots))],
        u,
        w,
    )
    x = gru_gate(under(p, "gate1"), x, relu(_dense(p, "attention.project", attended)))
    normal_x = layer_norm(x, p["layernorm2.scale"], p["layernorm2.bias"], 1e-6)
    hidden = relu(_dense(p, "mlp_0", normal_x))
    return gru_gate(under(p, "gate2"), x, relu(_dense(p, "mlp_1", hidden)))
