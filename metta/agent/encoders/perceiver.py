"""Token perception: learned latents attend to the observation's tokens.

A token is embedding(feature id) | Fourier features of its row and of its column | value / scale. Per layer, with
pre-norm on the latents only:

    latents <- latents + W_o softmax((W_q norm(latents)) (W_k tokens)^T / sqrt(d_head)) (W_v tokens)
    latents <- latents + W_2 gelu(W_1 norm(latents))

then a final norm and the mean over latents.

Keys and values are linear in tokens that are about 21 wide, so they are never formed: the query is taken back through
W_k and the weighted sum of raw tokens goes through W_v and W_o (`token_attention`; on a GPU `token_products`). An
observation without any token leaves the latents as they are.

Axes: n observations, M tokens, L latents, D width, H heads, K token width, F feature ids.

Source: Jaegle et al. 2021, Perceiver (https://arxiv.org/abs/2103.03206), section 3.1.
differs in: no norm on the tokens and no bias on queries, keys and values; no latent self-attention; weights are not
shared between layers; Fourier features of octaves without the factor pi.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metta.agent.encoders.config import PerceiverConfig
from metta.agent.encoders.token_attention import TokenGeometry, attend
from metta.agent.encoders.token_products import TokenRows, attend_to_rows, closed
from metta.agent.encoders.tokens import rows_in_use
from metta.agent.init import initialise
from metta.agent.path import at_hand
from metta.agent.spec import FRONT_GAIN, EnvironmentSpec

OBSERVATIONS_AT_ONCE = 512
"""On a CPU. With more, the feed-forward's activations fall out of the caches between operations (docs/diary.md)."""


class PerceiverLayer(nn.Module):
    """One cross-attention block. `query`, `key`, `value` and `project` are the textbook's W_q, W_k, W_v and W_o."""

    def __init__(self, config: PerceiverConfig, token_width: int) -> None:
        super().__init__()
        width = config.width
        self.num_heads = config.num_heads
        self.norm_attention = nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(token_width, width, bias=False)
        self.value = nn.Linear(token_width, width, bias=False)
        self.project = nn.Linear(width, width)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.expand = nn.Linear(width, config.feed_forward_factor * width)
        self.contract = nn.Linear(config.feed_forward_factor * width, width)
        for linear in (self.query, self.key, self.value, self.project, self.expand, self.contract):
            initialise(linear, "attention")

    def forward(self, latents_nLD: Tensor, tokens: Tensor, embedding_FE: Tensor, geometry: TokenGeometry) -> Tensor:
        """latents [n or 1, L, D] (1: the same for every observation), tokens uint8 [n, M, 3] -> latents [n, L, D]."""
        num_heads, width = self.num_heads, latents_nLD.shape[-1]
        head_width = width // num_heads
        query_HdD = self.query.weight.view(num_heads, head_width, width) * (1.0 / math.sqrt(head_width))
        key_HdK = self.key.weight.view(num_heads, head_width, -1)
        value_HdK = self.value.weight.view(num_heads, head_width, -1)
        project_DHd = self.project.weight.view(width, num_heads, head_width)
        query_to_token_KHD = torch.einsum("hdi,hdk->khi", query_HdD, key_HdK)
        token_to_output_DKH = torch.einsum("hdk,ohd->okh", value_HdK, project_DHd)

        normed_nLD = self.norm_attention(latents_nLD)
        u_nLKH = F.linear(normed_nLD, query_to_token_KHD.flatten(0, 1)).unflatten(-1, (-1, num_heads))
        z_nLKH = attend(u_nLKH, tokens, embedding_FE, geometry)
        latents_nLD = latents_nLD + F.linear(z_nLKH.flatten(2), token_to_output_DKH.flatten(1), self.project.bias)
        return self.feed_forward(latents_nLD)

    def by_products(self, latents_nLD: Tensor, rows_nMZ: Tensor, key_DZ: Tensor, value_DZ: Tensor) -> Tensor:
        """The same from the tokens' rows, with this layer's keys and values of rows (`token_products`)."""
        num_heads, width = self.num_heads, latents_nLD.shape[-1]
        head_width = width // num_heads
        query_HdD = (self.query.weight * (1.0 / math.sqrt(head_width))).view(num_heads, head_width, width)
        project_HdD = self.project.weight.t().view(num_heads, head_width, width)
        key_HZd, value_HZd = (part.view(num_heads, head_width, -1).transpose(1, 2) for part in (key_DZ, value_DZ))
        query_to_row_HZD, row_to_output_HZD = torch.bmm(key_HZd, query_HdD), torch.bmm(value_HZd, project_HdD)

        normed_nLD = self.norm_attention(latents_nLD)
        u_nLHZ = F.linear(normed_nLD, query_to_row_HZD.flatten(0, 1), closed(num_heads, rows_nMZ))
        z_nLHZ = attend_to_rows(u_nLHZ, rows_nMZ, num_heads)
        latents_nLD = latents_nLD + F.linear(z_nLHZ, row_to_output_HZD.flatten(0, 1).t(), self.project.bias)
        return self.feed_forward(latents_nLD)

    def feed_forward(self, latents_nLD: Tensor) -> Tensor:
        """The second sub-layer."""
        return latents_nLD + self.contract(F.gelu(self.expand(self.norm_feed_forward(latents_nLD))))


class Perceiver(nn.Module):
    """uint8 [..., M, 3] -> [..., D]."""

    def __init__(self, config: PerceiverConfig, spec: EnvironmentSpec) -> None:
        super().__init__()
        self.spec = spec
        self.max_tokens = config.max_tokens
        self.geometry = TokenGeometry(spec, config.num_frequencies)
        self.rows = TokenRows(spec, config.num_frequencies)
        token_width = config.feature_width + 4 * config.num_frequencies + 1
        self.feature_embedding = nn.Parameter(torch.empty(spec.num_features, config.feature_width))
        self.latents = nn.Parameter(torch.empty(config.num_latents, config.width))
        self.layers = nn.ModuleList(PerceiverLayer(config, token_width) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.width)
        initialise(self, "normal_0.02")
        # Much smaller embeddings leave a new policy blind to what a token is about (benchmarks/perception.py).
        nn.init.normal_(self.feature_embedding)
        with torch.no_grad():
            self.feature_embedding[spec.num_features - spec.num_front_features :] *= FRONT_GAIN

    def forward(self, observations: Tensor) -> Tensor:
        """The perception vectors of any number of observations."""
        leading = observations.shape[:-2]
        observations_nM3 = observations.flatten(0, -3)
        if not at_hand(observations_nM3):
            return self.perceive_by_products(observations_nM3).unflatten(0, leading)
        pieces = [self.perceive(piece_nM3) for piece_nM3 in observations_nM3.split(OBSERVATIONS_AT_ONCE)]
        return torch.cat(pieces).unflatten(0, leading)

    def perceive(self, observations_nM3: Tensor) -> Tensor:
        """uint8 [n, M, 3] -> [n, D]."""
        tokens_nM3 = rows_in_use(observations_nM3, self.spec, self.max_tokens)
        latents_nLD = self.latents.unsqueeze(0)
        for layer in self.layers:
            latents_nLD = layer(latents_nLD, tokens_nM3, self.feature_embedding, self.geometry)
        return self.norm(latents_nLD).mean(1)

    def perceive_by_products(self, observations_nM3: Tensor) -> Tensor:
        """The same by few operations whose shapes depend on no value."""
        rows_nMZ = self.rows.of(observations_nM3[:, : self.max_tokens], self.latents.dtype)
        layers = [layer for layer in self.layers if isinstance(layer, PerceiverLayer)]
        linears = [linear for layer in layers for linear in (layer.key, layer.value)]
        weights = self.rows.keys_and_values(linears, self.feature_embedding)
        latents_nLD = self.latents.unsqueeze(0)
        for layer, key_DZ, value_DZ in zip(layers, weights[::2], weights[1::2], strict=True):
            latents_nLD = layer.by_products(latents_nLD, rows_nMZ, key_DZ, value_DZ)
        return self.norm(latents_nLD).mean(1)
