"""Textbook Transformer-XL (Dai et al. 2019, pre-norm), one row, one step and one slot at a time, in float64.

Parameters carry the names and layouts of kimiyoung/transformer-xl (pytorch).
"""

import torch
from torch import Tensor

from tests.reference.textbook import layer_norm, relative_attention, relu, sinusoid, under


def transformer_xl_twin(
    p: dict[str, Tensor], layers: int, memory: int, x: Tensor, resets: Tensor, memories: list[list[Tensor]]
) -> tuple[Tensor, list[list[Tensor]]]:
    """One row.

    Args:
        p: parameters.
        layers: number of layers.
        memory: how many previous steps a step sees.
        x: inputs [T, D].
        resets: bool [T].
        memories: for each layer its raw inputs at the last steps of the episode, oldest first.

    Returns:
        outputs [T, D], memories after the last step.
    """
    memories = [list(slots) for slots in memories]
    outputs = []
    for t in range(x.shape[0]):
        if resets[t]:
            memories = [[] for _ in range(layers)]
        stream = x[t]
        for i in range(layers):
            own = under(p, f"layers.{i}")
            slots = [*memories[i], stream][-(memory + 1) :]
            memories[i] = slots[-memory:]
            stream = _layer(own, p["r_w_bias"], p["r_r_bias"], stream, slots)
        outputs.append(stream)
    return torch.stack(outputs), memories


def _layer(p: dict[str, Tensor], u: Tensor, w: Tensor, x: Tensor, slots: list[Tensor]) -> Tensor:
    D = x.numel()
    W_q, W_k, W_v = p["dec_attn.qkv_net.weight"].split(D)
    normal = [layer_norm(s, p["dec_attn.layer_norm.weight"], p["dec_attn.layer_norm.bias"], 1e-5) for s in slots]
    distances = [len(slots) - 1 - j for j in range(len(slots))]
    attended = relative_attention(
        W_q @ normal[-1],
        [W_k @ s for s in normal],
        [W_v @ s for s in normal],
        [p["dec_attn.r_net.weight"] @ sinusoid(n, D) for n in distances],
        u,
        w,
    )
    x = x + p["dec_attn.o_net.weight"] @ attended
    normal_x = layer_norm(x, p["pos_ff.layer_norm.weight"], p["pos_ff.layer_norm.bias"], 1e-5)
    hidden = relu(p["pos_ff.CoreNet.0.weight"] @ normal_x + p["pos_ff.CoreNet.0.bias"])
    return x + p["pos_ff.CoreNet.3.weight"] @ hidden + p["pos_ff.CoreNet.3.bias"]
