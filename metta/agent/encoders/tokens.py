"""What the perceptions read from an observation's tokens: which of them count, where they lie, and their scales.

Axes: n observations, M tokens of an observation, F feature ids.
"""

import numpy as np
import torch
from torch import Tensor

from metta.agent.spec import EnvironmentSpec


def rows_in_use(observations_nM3: Tensor, spec: EnvironmentSpec, max_tokens: int) -> Tensor:
    """The first rows of the observations, `max_tokens` at most, up to the last one that counts in any of them.

    uint8 [n, M, 3] -> uint8 [n, m, 3] with 1 <= m <= max_tokens. For the CPU: a GPU would have to be waited for.
    """
    observations_nM3 = observations_nM3[:, :max_tokens]
    features_in_row_M = observations_nM3[:, :, 1].amin(0)  # padding is 255, beyond every feature id
    used = torch.nonzero(features_in_row_M < spec.num_features)
    return observations_nM3[:, : int(used[-1, 0]) + 1 if len(used) else 1]


def split(observations_nM3: Tensor, spec: EnvironmentSpec) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Rows, columns, feature ids (int64), raw values (uint8) and whether the token counts (bool), each [n, M].

    Padding, unknown feature ids and places outside the window do not count; their row, column and feature are 0.
    """
    location, feature, value = observations_nM3.unbind(-1)
    row, column = location >> 4, location & 15
    counts = (feature < spec.num_features) & (row < spec.obs_height) & (column < spec.obs_width)
    return (row * counts).long(), (column * counts).long(), (feature * counts).long(), value, counts


def scale_reciprocals(spec: EnvironmentSpec) -> np.ndarray:
    """1 / scale of each feature's values, float32 [F]."""
    return np.asarray([1.0 / scale for scale in spec.feature_scales], np.float32)


def fourier_features(size: int, num_frequencies: int) -> np.ndarray:
    """Sines, then cosines, of 2^j times a coordinate that runs from -1 to 1 over the window: float64 [size, 2 J].

    No factor pi: with it both edges of the window would look the same.
    """
    places = np.linspace(-1.0, 1.0, size) if size > 1 else np.zeros(1)
    angles = places[:, None] * 2.0 ** np.arange(num_frequencies)
    return np.concatenate([np.sin(angles), np.cos(angles)], 1)
