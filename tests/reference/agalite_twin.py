"""Textbook AGaLiTe (Pramanik et al., TMLR 2024), one row, one step, one head and one oscillation at a time, in float64.

Parameters carry the names and layouts of subho406/agalite, src_pure/models/agalite.py (flax: kernels are [in, out]).
"""

import math

import torch
from torch import Tensor

from tests.reference.textbook import gru_gate, layer_norm, relu, sigmoid, under


def agalite_twin(
    p: dict[str, Tensor], layers: int, heads: int, head_width: int, eta: int, r: int, x: Tensor, resets: Tensor
) -> Tensor:
    """One row from a fresh state: inputs [T, input width], resets [T] -> outputs [T, D]."""
    H, d = heads, head_width
    outputs = []
    zeros = {"X": torch.zeros(eta * d, dtype=torch.float64), "d": torch.zeros(d, dtype=torch.float64)}
    K, V, S, tick = {}, {}, {}, 1
    for t in range(x.shape[0]):
        if t == 0 or resets[t]:
            K = {(layer, h, i): zeros["X"] for layer in range(layers) for h in range(H) for i in range(r)}
            V = {(layer, h, i): zeros["d"] for layer in range(layers) for h in range(H) for i in range(r)}
            S = {(layer, h): zeros["X"] for layer in range(layers) for h in range(H)}
            tick = 1
        tick += 1
        stream = relu(x[t] @ p["layer1.emb_layer.kernel"] + p["layer1.emb_layer.bias"])
        for layer in range(layers):
            own = under(p, f"layer{layer + 1}")
            attention = under(own, "AttentionORLiTLayer_0")
            normal = layer_norm(stream, own["LayerNorm_0.scale"], own["LayerNorm_0.bias"], 1e-6)
            main = _dense(attention, "linear_kqvbetagammas", normal).view(H, 5 * d)
            expansion = _dense(attention, "linear_p1p2p3", normal).view(H, 3 * eta)
            read = []
            for h in range(H):
                k, q, v, beta, gamma = main[h].split(d)
                p1, p2, p3 = expansion[h].split(eta)
                psi = torch.cat([relu(p1[e]) * relu(k) for e in range(eta)])
                phi = torch.cat([relu(p2[e]) * relu(q) for e in range(eta)])
                G = torch.cat([sigmoid(p3[e]) * sigmoid(gamma) for e in range(eta)])
                b = sigmoid(beta)
                S[layer, h] = (1 - G) * S[layer, h] + G * psi
                total = zeros["d"]
                for i in range(r):
                    omega = -math.pi + 2 * math.pi * i / (r - 1)
                    c = math.cos(omega * tick)
                    K[layer, h, i] = (1 - G) * K[layer, h, i] + G * psi * c
                    V[layer, h, i] = (1 - b) * V[layer, h, i] + b * v * c
                    total = total + V[layer, h, i] * (K[layer, h, i] @ phi)
                read.append(total / (2 * r * (S[layer, h] @ phi) + 1e-5))
            attended = relu(_dense(attention, "project", torch.cat(read)))
            stream = gru_gate(under(own, "GRUGatingUnit_0"), stream, attended)
            normal = layer_norm(stream, own["LayerNorm_1.scale"], own["LayerNorm_1.bias"], 1e-6)
            hidden = relu(_dense(own, "ffc_0", normal))
            stream = gru_gate(under(own, "GRUGatingUnit_1"), stream, relu(_dense(own, "ffc_1", hidden)))
        outputs.append(stream)
    return torch.stack(outputs)


def _dense(p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ p[f"{name}.kernel"] + p[f"{name}.bias"]
