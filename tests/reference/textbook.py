"""Formulas that several textbook twins share, written out on single vectors in float64."""

import math

import torch
from torch import Tensor


def layer_norm(x: Tensor, scale: Tensor, bias: Tensor, eps: float) -> Tensor:
    """(x - mean) / sqrt(variance + eps), scaled and shifted, of one vector."""
    mean = x.sum() / x.numel()
    variance = ((x - mean) ** 2).sum() / x.numel()
    return (x - mean) / torch.sqrt(variance + eps) * scale + bias


def sinusoid(position: int, width: int) -> Tensor:
    """All sines of n f_i, then all cosines, f_i = 10000^(-2i / width)."""
    angles = [position * 10000.0 ** (-2.0 * i / width) for i in range(width // 2)]
    return torch.tensor([math.sin(a) for a in angles] + [math.cos(a) for a in angles], dtype=torch.float64)


def softmax(scores: list[Tensor]) -> list[Tensor]:
    """exp(s_j) / sum of exp(s_k)."""
    largest = max(float(s.detach()) for s in scores)
    powers = [torch.exp(s - largest) for s in scores]
    total = sum(powers[1:], powers[0])
    return [power / total for power in powers]


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + torch.exp(-x))


def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return torch.where(x > 0, x, torch.zeros_like(x))


def gru_gate(p: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    """GTrXL's gate; `p` in flax layout: Wr.kernel ... Ug.kernel [in, out], bgp."""
    r = sigmoid(y @ p["Wr.kernel"] + x @ p["Ur.kernel"])
    z = sigmoid(y @ p["Wz.kernel"] + x @ p["Uz.kernel"] - p["bgp"])
    h = torch.tanh(y @ p["Wg.kernel"] + (r * x) @ p["Ug.kernel"])
    return (1 - z) * x + z * h


def under(p: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below `prefix.`, without it."""
    return {name.removeprefix(prefix + "."): value for name, value in p.items() if name.startswith(prefix + ".")}


def relative_attention(
    queries: Tensor, keys: list[Tensor], values: list[Tensor], positions: list[Tensor], u: Tensor, w: Tensor
) -> Tensor:
    """One step: ((q + u) . k_j + (q + w) . r_j) / sqrt(d), softmax over j, weighted sum of values, heads side by side.

    Args:
        queries: q [H * d].
        keys, values, positions: for each slot k_j, v_j and W_R P(distance of j), [H * d] each.
        u, w: [H, d].
    """
    H, d = u.shape
    heads = []
    for h in range(H):
        part = slice(h * d, (h + 1) * d)
        scores = [
            ((queries[part] + u[h]) @ k[part] + (queries[part] + w[h]) @ r[part]) / math.sqrt(d)
            for k, r in zip(keys, positions, strict=True)
        ]
        shares = softmax(scores)
        terms = [share * v[part] for share, v in zip(shares, values, strict=True)]
        heads.append(sum(terms[1:], terms[0]))
    return torch.cat(heads)
