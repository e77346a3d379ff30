"""The window as a box of features, and the convolutions that read it: the first from the tokens, the second dense.

Each token adds value / scale to one cell of one feature's plane; rows that do not count (padding, unknown features,
places outside the window) write nothing.

Axes: n observations, M tokens, F features, Y X rows and columns of the kernel, G g rows and columns of the first
convolution's output, O output and C input channels, p = n * G * g patches of K = F * Y * X numbers.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metta.agent.encoders import tokens as token_rows
from metta.agent.init import initialise
from metta.agent.lanes import WIDTH
from metta.agent.path import at_hand
from metta.agent.spec import EnvironmentSpec
from metta.agent.table import Table
from metta.base.errors import InputError

FIRST_KERNEL, FIRST_STRIDE, SECOND_KERNEL = 5, 3, 3


class BoxGeometry:
    """What the convolutions need to know of the environment."""

    def __init__(self, spec: EnvironmentSpec) -> None:
        self.spec = spec
        self.reciprocals_F: np.ndarray = token_rows.scale_reciprocals(spec)
        self.reciprocals = Table(self.reciprocals_F)
        self.by_feature = Table(_by_feature(self.reciprocals_F))
        self.grid = tuple((size - FIRST_KERNEL) // FIRST_STRIDE + 1 for size in (spec.obs_height, spec.obs_width))
        if min(self.grid) < SECOND_KERNEL:
            smallest = FIRST_KERNEL + FIRST_STRIDE * (SECOND_KERNEL - 1)
            raise InputError(
                f"A window of {spec.obs_height} x {spec.obs_width} cells is too small for the convolutions; "
                f"use one of {smallest} x {smallest} or more, or the perception 'perceiver'."
            )
        # One number more at least, for tokens that are not seen; rows of products begin at multiples of 32 bytes.
        self.patch_width = (spec.num_features * FIRST_KERNEL**2 // 8 + 1) * 8
        self.places = Table(_places(spec, self.grid, self.patch_width))

    @property
    def num_outputs(self) -> int:
        """Cells of the second convolution's output."""
        return (self.grid[0] - SECOND_KERNEL + 1) * (self.grid[1] - SECOND_KERNEL + 1)


def patches(observations_nM3: Tensor, geometry: BoxGeometry, dtype: torch.dtype) -> Tensor:
    """What the first convolution's kernel sees of the box at each of its places, [n * G * g, F * kernel * kernel].

    The kernel sees a cell from up to four places, so a token is added to four numbers; those that are not needed are
    the last ones of patches, which are cut off. Few operations, and none whose shape depends on values.
    """
    location, feature, value = observations_nM3.unbind(-1)
    feature_nM = feature.long()
    scaled_nM4 = geometry.by_feature.on(value.device, dtype)[feature_nM] * value.unsqueeze(2)
    places_nM4 = geometry.places.on(value.device, torch.int64)[torch.add(feature_nM, location, alpha=256)]
    patches_nP = scaled_nM4.new_zeros(len(value), math.prod(geometry.grid) * geometry.patch_width)
    patches_nP.scatter_add_(1, places_nM4.flatten(1), scaled_nM4.flatten(1))
    return patches_nP.view(-1, geometry.patch_width)[:, : geometry.spec.num_features * FIRST_KERNEL**2]


def _by_feature(reciprocals_F: np.ndarray) -> np.ndarray:
    """1 / scale by feature id, four times in a row, [256, 4]; 0 for unknown ones."""
    reciprocals = np.zeros((256, 4), np.float32)
    reciprocals[: len(reciprocals_F)] = reciprocals_F[:, None]
    return reciprocals


def _places(spec: EnvironmentSpec, grid: tuple[int, ...], patch_width: int) -> np.ndarray:
    """Where in an observation's patches a token goes, by 256 * location + feature, [65536, 4]."""
    places = np.empty((256, 256, 4), np.int64)
    places[:] = patch_width * np.arange(1, 5) - 1
    features = np.arange(spec.num_features) * FIRST_KERNEL**2
    for row in range(spec.obs_height):
        for column in range(spec.obs_width):
            under = 0
            for i, j in np.ndindex(*grid):
                down, right = row - FIRST_STRIDE * i, column - FIRST_STRIDE * j
                if 0 <= down < FIRST_KERNEL and 0 <= right < FIRST_KERNEL:
                    start = (i * grid[1] + j) * patch_width + down * FIRST_KERNEL + right
                    places[row << 4 | column, : spec.num_features, under] = start + features
                    under += 1
    return places.reshape(256 * 256, 4)


def centre_of_patches(patches_pK: Tensor, geometry: BoxGeometry) -> Tensor:
    """The box's features in the agent's own cell, [n, F], as a view of `patches`."""
    middle = geometry.spec.obs_height // 2, geometry.spec.obs_width // 2
    i, j = (min(at // FIRST_STRIDE, cells - 1) for at, cells in zip(middle, geometry.grid, strict=True))
    down, right = middle[0] - FIRST_STRIDE * i, middle[1] - FIRST_STRIDE * j
    patches_nPK = patches_pK.unflatten(0, (-1, math.prod(geometry.grid)))
    return patches_nPK[:, i * geometry.grid[1] + j, down * FIRST_KERNEL + right :: FIRST_KERNEL**2]


def centre_features(observations_nM3: Tensor, geometry: BoxGeometry, dtype: torch.dtype) -> Tensor:
    """The box's features in the agent's own cell, [n, F], from the first F rows (see `EnvironmentSpec`)."""
    spec = geometry.spec
    observations_nM3 = observations_nM3[:, : spec.num_features]
    row, column, feature, value, counts = token_rows.split(observations_nM3, spec)
    counts = counts & (row == spec.obs_height // 2) & (column == spec.obs_width // 2)
    reciprocals_F = geometry.reciprocals.on(value.device, dtype)
    centre = torch.zeros(len(value), spec.num_features, device=value.device, dtype=dtype)
    return centre.scatter_add_(1, feature, value.to(dtype) * reciprocals_F[feature] * counts)


def first_convolution(observations_nM3: Tensor, weight_OFYX: Tensor, bias_O: Tensor, geometry: BoxGeometry) -> Tensor:
    """relu(convolution of the box, kernel 5, stride 3), channels last: [n, G, g, O]."""
    if has_compiled_convolution(weight_OFYX):
        return first_convolution_from_tokens(observations_nM3, weight_OFYX, bias_O, geometry)
    patches_pK = patches(observations_nM3, geometry, weight_OFYX.dtype)
    return first_convolution_of_patches(patches_pK, weight_OFYX, bias_O, geometry)


def has_compiled_convolution(weight_OFYX: Tensor) -> bool:
    """Whether `first_convolution_from_tokens` is the way for this weight."""
    return at_hand(weight_OFYX) and weight_OFYX.dtype == torch.float32 and len(weight_OFYX) % WIDTH == 0


def first_convolution_of_patches(
    patches_pK: Tensor, weight_OFYX: Tensor, bias_O: Tensor, geometry: BoxGeometry
) -> Tensor:
    """The convolution as one product, for any device and dtype."""
    output_pO = F.linear(patches_pK, weight_OFYX.flatten(1), bias_O).relu()
    return output_pO.view(-1, *geometry.grid, len(bias_O))


def first_convolution_from_tokens(
    observations_nM3: Tensor, weight_OFYX: Tensor, bias_O: Tensor, geometry: BoxGeometry
) -> Tensor:
    """The same on the CPU in float32 without patches, for a number of channels that is a multiple of 16."""
    result: Tensor = _TokenConvolution.apply(observations_nM3, weight_OFYX.permute(1, 2, 3, 0), bias_O, geometry)
    return result


def second_convolution(x_nGgC: Tensor, weight_OCYX: Tensor, bias_O: Tensor) -> Tensor:
    """Convolution with kernel 3, stride 1, flattened as [n, O * rows * columns]; one product on an 11 x 11 window."""
    if x_nGgC.shape[1:3] == weight_OCYX.shape[2:]:
        return F.linear(x_nGgC.flatten(1), weight_OCYX.permute(0, 2, 3, 1).flatten(1), bias_O)
    return F.conv2d(x_nGgC.permute(0, 3, 1, 2), weight_OCYX, bias_O).flatten(1)


class Kernel(nn.Module):
    """Weight [O, C, kernel, kernel] and bias [O] of a convolution, orthogonal for a ReLU behind it."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.empty(outputs))
        initialise(self, "relu")


class _TokenConvolution(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, observations_nM3: Tensor, weight_FYXO: Tensor, bias_O: Tensor, geometry: BoxGeometry
    ) -> Tensor:
        from metta.agent.encoders.box_kernels import convolve

        spec = geometry.spec
        observations_nM3 = observations_nM3.contiguous()
        output_nGgO = torch.empty(len(observations_nM3), *geometry.grid, len(bias_O))
        convolve(
            observations_nM3.numpy(),
            weight_FYXO.detach().contiguous().numpy(),
            bias_O.detach().contiguous().numpy(),
            geometry.reciprocals_F,
            spec.obs_height,
            spec.obs_width,
            FIRST_STRIDE,
            output_nGgO.numpy(),
        )
        context.save_for_backward(observations_nM3, output_nGgO)
        context.geometry, context.weight_shape = geometry, weight_FYXO.shape
        return output_nGgO

    @staticmethod
    def backward(context: Any, doutput_nGgO: Tensor) -> tuple[None, Tensor, Tensor, None]:
        from metta.agent.encoders.box_kernels import convolve_backward

        observations_nM3, output_nGgO = context.saved_tensors
        geometry: BoxGeometry = context.geometry
        dweight_FYXO = torch.zeros(context.weight_shape)
        dbias_O = torch.zeros(output_nGgO.shape[-1])
        convolve_backward(
            observations_nM3.numpy(),
            output_nGgO.detach().numpy(),
            doutput_nGgO.contiguous().numpy(),
            geometry.reciprocals_F,
            geometry.spec.obs_height,
            geometry.spec.obs_width,
            FIRST_STRIDE,
            dweight_FYXO.numpy(),
            dbias_O.numpy(),
        )
        return None, dweight_FYXO, dbias_O, None
