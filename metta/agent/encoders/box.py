"""The window as a box of features, and the convolutions that read it: the first from the tokens, the second dense.

Each token adds value / scale to one cell of one feature's plane; rows that do not count (padding, unknown features,
places outside the window) write nothing.

Axes: n observations, M tokens, F features, Y X rows and columns of the window, G g rows and columns of the first
convolution's output, O output and C input channels.
"""

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
        self.grid = tuple((size - FIRST_KERNEL) // FIRST_STRIDE + 1 for size in (spec.obs_height, spec.obs_width))
        if min(self.grid) < SECOND_KERNEL:
            smallest = FIRST_KERNEL + FIRST_STRIDE * (SECOND_KERNEL - 1)
            raise InputError(
                f"A window of {spec.obs_height} x {spec.obs_width} cells is too small for the convolutions; "
                f"use one of {smallest} x {smallest} or more, or the perception 'perceiver'."
            )

    @property
    def num_outputs(self) -> int:
        """Cells of the second convolution's output."""
        return (self.grid[0] - SECOND_KERNEL + 1) * (self.grid[1] - SECOND_KERNEL + 1)


def fill_box(observations_nM3: Tensor, geometry: BoxGeometry, dtype: torch.dtype) -> Tensor:
    """The box [n, F, Y, X]."""
    spec = geometry.spec
    row, column, feature, value, counts = token_rows.split(observations_nM3, spec)
    reciprocals_F = geometry.reciprocals.on(value.device, dtype)
    scaled_nM = value.to(dtype) * reciprocals_F[feature] * counts
    box = torch.zeros(
        len(value), spec.num_features * spec.obs_height * spec.obs_width, device=value.device, dtype=dtype
    )
    box.scatter_add_(1, (feature * spec.obs_height + row) * spec.obs_width + column, scaled_nM)
    return box.view(-1, spec.num_features, spec.obs_height, spec.obs_width)


def centre_features(observations_nM3: Tensor, geometry: BoxGeometry, dtype: torch.dtype) -> Tensor:
    """The box's features in the agent's own cell, [n, F]. Tokens come nearest first, each feature once per cell."""
    spec = geometry.spec
    observations_nM3 = observations_nM3[:, : spec.num_features]
    row, column, feature, value, counts = token_rows.split(observations_nM3, spec)
    counts = counts & (row == spec.obs_height // 2) & (column == spec.obs_width // 2)
    reciprocals_F = geometry.reciprocals.on(value.device, dtype)
    centre = torch.zeros(len(value), spec.num_features, device=value.device, dtype=dtype)
    return centre.scatter_add_(1, feature, value.to(dtype) * reciprocals_F[feature] * counts)


def first_convolution(observations_nM3: Tensor, weight_OFYX: Tensor, bias_O: Tensor, geometry: BoxGeometry) -> Tensor:
    """relu(convolution of the box, kernel 5, stride 3), channels last: [n, G, g, O]."""
    if at_hand(weight_OFYX) and weight_OFYX.dtype == torch.float32 and len(weight_OFYX) % WIDTH == 0:
        return first_convolution_from_tokens(observations_nM3, weight_OFYX, bias_O, geometry)
    return first_convolution_of_box(observations_nM3, weight_OFYX, bias_O, geometry)


def first_convolution_of_box(
    observations_nM3: Tensor, weight_OFYX: Tensor, bias_O: Tensor, geometry: BoxGeometry
) -> Tensor:
    """The definition, for any device and dtype."""
    box_nFYX = fill_box(observations_nM3, geometry, weight_OFYX.dtype)
    return F.conv2d(box_nFYX, weight_OFYX, bias_O, FIRST_STRIDE).relu().permute(0, 2, 3, 1)


def first_convolution_from_tokens(
    observations_nM3: Tensor, weight_OFYX: Tensor, bias_O: Tensor, geometry: BoxGeometry
) -> Tensor:
    """The same on the CPU in float32 without the box, for a number of channels that is a multiple of 16."""
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
