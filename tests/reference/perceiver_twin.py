"""The perceiver as in the textbook: one observation and one head at a time, with keys and values formed.

Reads the parameters of `metta.agent.encoders.perceiver.Perceiver` by name; float64 throughout.
"""

import math

import torch


def perceive(parameters, observation, *, feature_scales, size, num_heads, num_layers, num_frequencies, max_tokens):
    """The perception vector of one observation [M, 3]; `parameters` by name; `size` is (rows, columns)."""
    tokens = []
    for location, feature, value in observation.tolist()[:max_tokens]:
        row, column = location // 16, location % 16
        if feature >= len(feature_scales) or row >= size[0] or column >= size[1]:
            continue
        numbers = []
        for place, extent in ((row, size[0]), (column, size[1])):
            coordinate = 2.0 * place / (extent - 1) - 1.0
            numbers += [math.sin(2**j * coordinate) for j in range(num_frequencies)]
            numbers += [math.cos(2**j * coordinate) for j in range(num_frequencies)]
        numbers.append(value / feature_scales[feature])
        tokens.append(torch.cat([parameters["feature_embedding"][feature], torch.tensor(numbers, dtype=torch.float64)]))

    latents = parameters["latents"]
    for i in range(num_layers):
        weights = {name.removeprefix(f"layers.{i}."): value for name, value in parameters.items()}
        latents = latents + attention(weights, norm(weights, "norm_attention", latents), tokens, num_heads)
        hidden = norm(weights, "norm_feed_forward", latents) @ weights["expand.weight"].T + weights["expand.bias"]
        hidden = hidden * 0.5 * (1.0 + torch.erf(hidden / math.sqrt(2.0)))
        latents = latents + hidden @ weights["contract.weight"].T + weights["contract.bias"]
    return norm(parameters, "norm", latents).mean(0)


def attention(weights, latents, tokens, num_heads):
    """Multi-head attention of latents [L, D] to a list of tokens [K]."""
    width = latents.shape[1]
    head_width = width // num_heads
    if not tokens:
        return weights["project.bias"].expand_as(latents)
    queries = latents @ weights["query.weight"].T
    keys = torch.stack(tokens) @ weights["key.weight"].T
    values = torch.stack(tokens) @ weights["value.weight"].T
    heads = []
    for head in range(num_heads):
        part = slice(head * head_width, (head + 1) * head_width)
        shares = torch.softmax(queries[:, part] @ keys[:, part].T / math.sqrt(head_width), 1)
        heads.append(shares @ values[:, part])
    return torch.cat(heads, 1) @ weights["project.weight"].T + weights["project.bias"]


def norm(weights, name, x):
    """Layer norm over the last axis."""
    centred = x - x.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True)
    return centred / torch.sqrt(variance + 1e-5) * weights[f"{name}.weight"] + weights[f"{name}.bias"]
