"""Attention of per-head vectors to raw tokens: a compiled form for CPUs and the definition.

For vectors u [n or 1, L, K, H] (n observations, L latents, K token width, H heads) and tokens x_m [K] of each
observation, z[n, l, :, h] = sum_m softmax_m(u[n, l, :, h] . x_m) x_m; 0 where no token counts.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from metta.agent.encoders import tokens as token_rows
from metta.agent.lanes import WIDTH
from metta.agent.spec import EnvironmentSpec
from metta.agent.table import Table


class TokenGeometry:
    """The constant parts of token vectors."""

    def __init__(self, spec: EnvironmentSpec, num_frequencies: int) -> None:
        self.spec = spec
        self.rows_RP = token_rows.fourier_features(spec.obs_height, num_frequencies)
        self.columns_CP = token_rows.fourier_features(spec.obs_width, num_frequencies)
        self.reciprocals_F = token_rows.scale_reciprocals(spec)
        self.rows32_RP = self.rows_RP.astype(np.float32)
        self.columns32_CP = self.columns_CP.astype(np.float32)
        self._tables = [Table(numbers) for numbers in (self.rows_RP, self.columns_CP, self.reciprocals_F)]

    def vectors(self, tokens_nM3: Tensor, embedding_FE: Tensor) -> tuple[Tensor, Tensor]:
        """Token vectors [n, M, K] and whether each counts, bool [n, M]."""
        row, column, feature, value, counts = token_rows.split(tokens_nM3, self.spec)
        rows_RP, columns_CP, reciprocals_F = (table.on(tokens_nM3.device, embedding_FE.dtype) for table in self._tables)
        scaled = value.to(embedding_FE.dtype) * reciprocals_F[feature]
        parts = [embedding_FE[feature], rows_RP[row], columns_CP[column], scaled.unsqueeze(-1)]
        return torch.cat(parts, -1), counts


def attend(u_nLKH: Tensor, tokens_nM3: Tensor, embedding_FE: Tensor, geometry: TokenGeometry) -> Tensor:
    """Attention-weighted sums of token vectors, [n, L, K, H]; differentiable in u and the embedding."""
    if u_nLKH.dtype != torch.float32:
        return attend_plainly(u_nLKH, tokens_nM3, embedding_FE, geometry)
    num_latents, num_heads = u_nLKH.shape[1], u_nLKH.shape[3]
    missing = -num_latents % (WIDTH // math.gcd(WIDTH, num_heads))  # latents that fill up the kernels' lanes
    padded = functional.pad(u_nLKH, (0, 0, 0, 0, 0, missing)) if missing else u_nLKH
    return attend_compiled(padded, tokens_nM3, embedding_FE, geometry)[:, :num_latents]


def attend_plainly(u_nLKH: Tensor, tokens_nM3: Tensor, embedding_FE: Tensor, geometry: TokenGeometry) -> Tensor:
    """The definition in torch operations, for any device and dtype."""
    vectors_nMK, counts_nM = geometry.vectors(tokens_nM3, embedding_FE)
    scores_nMLH = torch.einsum("nlkh,nmk->nmlh", u_nLKH.expand(len(tokens_nM3), -1, -1, -1), vectors_nMK)
    scores_nMLH = scores_nMLH.masked_fill(~counts_nM[:, :, None, None], torch.finfo(scores_nMLH.dtype).min)
    weights_nMLH = scores_nMLH.softmax(1) * counts_nM[:, :, None, None]
    return torch.einsum("nmlh,nmk->nlkh", weights_nMLH, vectors_nMK)


def attend_compiled(u_nLKH: Tensor, tokens_nM3: Tensor, embedding_FE: Tensor, geometry: TokenGeometry) -> Tensor:
    """The same on the CPU in float32, for a number of latents x heads that is a multiple of 16."""
    result: Tensor = _CompiledAttention.apply(u_nLKH, tokens_nM3, embedding_FE, geometry)
    return result


class _CompiledAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, u_nLKH: Tensor, tokens_nM3: Tensor, embedding_FE: Tensor, geometry: TokenGeometry
    ) -> Tensor:
        from metta.agent.encoders import token_attention_kernels as kernels

        _, num_latents, token_width, num_heads = u_nLKH.shape
        u_nLKH, embedding_FE = u_nLKH.contiguous(), embedding_FE.contiguous()
        z_nLKH = torch.empty(len(tokens_nM3), num_latents, token_width, num_heads)
        logsum_nQ = torch.empty(len(tokens_nM3), num_latents * num_heads)
        kernels.forward(
            tokens_nM3.numpy(),
            u_nLKH.detach().numpy(),
            embedding_FE.detach().numpy(),
            geometry.rows32_RP,
            geometry.columns32_CP,
            geometry.reciprocals_F,
            z_nLKH.numpy(),
            logsum_nQ.numpy(),
        )
        context.save_for_backward(tokens_nM3, u_nLKH, embedding_FE, z_nLKH, logsum_nQ)
        context.geometry = geometry
        return z_nLKH

    @staticmethod
    def backward(context: Any, dz_nLKH: Tensor) -> tuple[Tensor, None, Tensor, None]:
        from metta.agent.encoders import token_attention_kernels as kernels

        tokens_nM3, u_nLKH, embedding_FE, z_nLKH, logsum_nQ = context.saved_tensors
        geometry: TokenGeometry = context.geometry
        du_nLKH, dembedding_FE = torch.empty_like(u_nLKH), torch.zeros_like(embedding_FE)
        kernels.backward(
            tokens_nM3.numpy(),
            u_nLKH.detach().numpy(),
            embedding_FE.detach().numpy(),
            geometry.rows32_RP,
            geometry.columns32_CP,
            geometry.reciprocals_F,
            z_nLKH.detach().numpy(),
            logsum_nQ.numpy(),
            dz_nLKH.contiguous().numpy(),
            du_nLKH.numpy(),
            dembedding_FE.numpy(),
        )
        return du_nLKH, None, dembedding_FE, None
