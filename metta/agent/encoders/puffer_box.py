"""PufferLib's perception: a convolutional network over the window beside a linear layer on the agent's own cell.

Box [feature, x, y], each value / max(scale, 1): conv 5 x 5, stride 3 (128) - ReLU - conv 3 x 3 (128) - ReLU -
linear 256 - ReLU; beside it the centre cell's features through a linear 256 - ReLU; output [centre, CNN].
The kernels' first spatial axis is the column (x). Parameters and their published names:

    first   network.0        second  network.2        linear  network.5        centre  self_encoder.0

Source: PufferLib 3.0, pufferlib/environments/metta/torch.py (https://github.com/PufferAI/PufferLib).
differs in: the published copy turns every byte 255 into 0 (also values and the padding, which then writes into cell
(0, 0)); here padding writes nothing and a value of 255 counts.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metta.agent.encoders.box import (
    FIRST_KERNEL,
    SECOND_KERNEL,
    BoxGeometry,
    Kernel,
    centre_features,
    centre_of_patches,
    first_convolution_from_tokens,
    first_convolution_of_patches,
    has_compiled_convolution,
    patches,
    second_convolution,
)
from metta.agent.encoders.config import PufferBoxConfig
from metta.agent.init import initialise
from metta.agent.spec import EnvironmentSpec


class PufferBox(nn.Module):
    """uint8 [..., M, 3] -> [..., D]."""

    def __init__(self, config: PufferBoxConfig, spec: EnvironmentSpec) -> None:
        super().__init__()
        scales = tuple(max(scale, 1.0) for scale in spec.feature_scales)
        self.geometry = BoxGeometry(spec.model_copy(update={"feature_scales": scales}))
        self.first = Kernel(spec.num_features, config.channels, FIRST_KERNEL)
        self.second = Kernel(config.channels, config.channels, SECOND_KERNEL)
        self.linear = nn.Linear(config.channels * self.geometry.num_outputs, config.cnn_width)
        self.centre = nn.Linear(spec.num_features, config.centre_width)
        for linear in (self.linear, self.centre):
            initialise(linear, "relu")

    def forward(self, observations: Tensor) -> Tensor:
        """The perception vectors of any number of observations."""
        leading = observations.shape[:-2]
        observations_nM3 = observations.flatten(0, -3)
        # Rows first in the window, columns first in the weights.
        weight, bias = self.first.weight.transpose(2, 3), self.first.bias
        if has_compiled_convolution(weight):
            x_nGgC = first_convolution_from_tokens(observations_nM3, weight, bias, self.geometry)
            centre_nF = centre_features(observations_nM3, self.geometry, weight.dtype)
        else:
            patches_pK = patches(observations_nM3, self.geometry, weight.dtype)
            x_nGgC = first_convolution_of_patches(patches_pK, weight, bias, self.geometry)
            centre_nF = centre_of_patches(patches_pK, self.geometry)
        x = second_convolution(x_nGgC, self.second.weight.transpose(2, 3), self.second.bias)
        if self.geometry.num_outputs > 1:
            rows, columns = (size - SECOND_KERNEL + 1 for size in self.geometry.grid)
            x = x.unflatten(1, (-1, rows, columns)).transpose(2, 3).flatten(1)
        cnn = F.relu(self.linear(F.relu(x)))
        centre = F.relu(self.centre(centre_nF))
        return torch.cat([centre, cnn], -1).unflatten(0, leading)
