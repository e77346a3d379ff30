"""Token attention as products with one-hot rows, for GPUs: few operations, and no gradient into what depends on tokens.

A token's vector, embedding(feature) | Fourier features | value, is linear in a row of constants: one-hot feature |
Fourier features | value. So the embedding belongs to the weights, and the rows, looked up in a table by the token's two
first bytes, serve every layer. A row that does not count is zero but for its last number, which a query meets with a
score so low that softmax leaves it nothing; where no row counts, all share equally in sums of zeros.

Axes: n observations, M tokens, L latents, D width, H heads, d = D / H, K token width, F feature ids, E embedding width,
Z = F + (K - E) + 1 numbers of a row.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from metta.agent.encoders import tokens as token_rows
from metta.agent.spec import EnvironmentSpec
from metta.agent.table import Table

CLOSED = -1e30
"""Score of rows that do not count: finite, so that a softmax over such rows alone is one."""


class TokenRows:
    """The rows of an environment's tokens."""

    def __init__(self, spec: EnvironmentSpec, num_frequencies: int) -> None:
        self.spec, self.num_frequencies = spec, num_frequencies

    def of(self, tokens_nM3: Tensor, dtype: torch.dtype) -> Tensor:
        """Rows [n, M, Z] of tokens uint8 [n, M, 3]."""
        location, feature, value = tokens_nM3.unbind(-1)
        index = torch.add(feature.long(), location, alpha=256)
        rows_nMZ = functional.embedding(index, _table(self.spec, self.num_frequencies).on(tokens_nM3.device, dtype))
        rows_nMZ[..., -2].mul_(value)  # the table holds 1 / scale
        return rows_nMZ

    def keys_and_values(self, linears: list[nn.Linear], embedding_FE: Tensor) -> tuple[Tensor, ...]:
        """The weights [D, K] of these maps of token vectors as weights [D, Z] of rows."""
        weights = torch.cat([linear.weight for linear in linears])
        of_features, of_the_rest = weights.split([embedding_FE.shape[1], weights.shape[1] - embedding_FE.shape[1]], 1)
        by_row = torch.cat([of_features @ embedding_FE.t(), of_the_rest, torch.zeros_like(weights[:, :1])], 1)
        return by_row.split([linear.out_features for linear in linears])


@cache
def _table(spec: EnvironmentSpec, num_frequencies: int) -> Table:
    """Rows by 256 * location + feature, with 1 / scale in place of the value."""
    rows_RP = token_rows.fourier_features(spec.obs_height, num_frequencies)
    columns_CP = token_rows.fourier_features(spec.obs_width, num_frequencies)
    F, P = spec.num_features, 2 * num_frequencies
    table = np.zeros((16, 16, 256, F + 2 * P + 2))
    table[..., -1] = 1.0
    known = table[: spec.obs_height, : spec.obs_width, :F]
    known[..., :F] = np.eye(F)
    known[..., F : F + P] = rows_RP[:, None, None]
    known[..., F + P : F + 2 * P] = columns_CP[None, :, None]
    known[..., -2] = token_rows.scale_reciprocals(spec)
    known[..., -1] = 0.0
    return Table(table.reshape(256 * 256, -1))


def closed(heads: int, rows_nMZ: Tensor) -> Tensor:
    """What is added to every head's query of rows, [H * Z]."""
    return _closed(heads, rows_nMZ.shape[2]).on(rows_nMZ.device, rows_nMZ.dtype)


@cache
def _closed(heads: int, width: int) -> Table:
    numbers = np.zeros((heads, width))
    numbers[:, -1] = CLOSED
    return Table(numbers.reshape(-1))


def attend_to_rows(u_nLHZ: Tensor, rows_nMZ: Tensor, heads: int) -> Tensor:
    """Attention-weighted sums of rows for queries [n or 1, L, H * Z], [n, L, H * Z]."""
    n, _, Z = rows_nMZ.shape
    u_nQZ = u_nLHZ.unflatten(2, (heads, Z)).flatten(1, 2).expand(n, -1, -1)
    weights_nQM = torch.bmm(u_nQZ, rows_nMZ.transpose(1, 2)).softmax(-1)
    return torch.bmm(weights_nQM, rows_nMZ).view(n, -1, heads * Z)
