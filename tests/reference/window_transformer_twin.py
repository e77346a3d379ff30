"""Textbook pre-norm transformer over the last steps of an episode, one row and one query at a time, in float64.

A step is a list of tokens; parameters carry our own names (there is no published code with this window).
"""

import math

import torch
from torch import Tensor

from tests.reference.textbook import layer_norm, softmax, under


def window_transformer_twin(
    p: dict[str, Tensor], layers: int, heads: int, window: int, tokens: Tensor, resets: Tensor
) -> Tensor:
    """One row from a fresh start: tokens (positions added) [T, K, D], resets [T] -> [T, K, D] before any final norm."""
    history: list[list[list[tuple[Tensor, Tensor]]]] = []
    outputs = []
    for t in range(tokens.shape[0]):
        if t == 0 or resets[t]:
            history = [[] for _ in range(layers)]
        stream = list(tokens[t])
        for i in range(layers):
            own = under(p, f"layers.{i}")
            queries, keys_values = [], []
            for token in stream:
                normal = layer_norm(token, own["attention_norm.weight"], own["attention_norm.bias"], 1e-5)
                q, k, v = (own["query_key_value.weight"] @ normal + own["query_key_value.bias"]).chunk(3)
                queries.append(q)
                keys_values.append((k, v))
            history[i] = [*history[i], keys_values][-(window + 1) :]
            seen = [pair for step in history[i] for pair in step]
            stream = [_token(own, heads, token, q, seen) for token, q in zip(stream, queries, strict=True)]
        outputs.append(torch.stack(stream))
    return torch.stack(outputs)


def _token(p: dict[str, Tensor], heads: int, x: Tensor, q: Tensor, seen: list[tuple[Tensor, Tensor]]) -> Tensor:
    d = q.numel() // heads
    results = []
    for h in range(heads):
        part = slice(h * d, (h + 1) * d)
        shares = softmax([q[part] @ k[part] / math.sqrt(d) for k, _ in seen])
        terms = [share * v[part] for share, (_, v) in zip(shares, seen, strict=True)]
        results.append(sum(terms[1:], terms[0]))
    x = x + p["output.weight"] @ torch.cat(results) + p["output.bias"]
    normal = layer_norm(x, p["feed_forward_norm.weight"], p["feed_forward_norm.bias"], 1e-5)
    hidden = p["expand.weight"] @ normal + p["expand.bias"]
    hidden = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2.0)))
    return x + p["contract.weight"] @ hidden + p["contract.bias"]
