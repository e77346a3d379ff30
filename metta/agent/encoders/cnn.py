"""Box perception: two convolutions over the window, then two linear layers.

box [features, 11, 11] -> conv 5 x 5, stride 3 (64) - ReLU - conv 3 x 3 (64) - ReLU - linear 128 - ReLU - linear 128 -
ReLU. The first convolution is computed from the tokens (`metta.agent.encoders.box`). Parameters: `first`, `second`
(weights [out, in, row, column]), `hidden`, `output`.

Source: the arena family's published `fast` policy (https://github.com/Metta-AI/metta, "fast" agent).
differs in: padding rows write nothing, not even into cell 0.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from metta.agent.encoders.box import (
    FIRST_KERNEL,
    SECOND_KERNEL,
    BoxGeometry,
    Kernel,
    first_convolution,
    second_convolution,
)
from metta.agent.encoders.config import CNNConfig
from metta.agent.init import initialise
from metta.agent.spec import EnvironmentSpec


class CNN(nn.Module):
    """uint8 [..., M, 3] -> [..., D]."""

    def __init__(self, config: CNNConfig, spec: EnvironmentSpec) -> None:
        super().__init__()
        self.geometry = BoxGeometry(spec)
        self.first = Kernel(spec.num_features, config.first_channels, FIRST_KERNEL)
        self.second = Kernel(config.first_channels, config.second_channels, SECOND_KERNEL)
        self.hidden = nn.Linear(config.second_channels * self.geometry.num_outputs, config.hidden)
        self.output = nn.Linear(config.hidden, config.width)
        for linear in (self.hidden, self.output):
            initialise(linear, "relu")

    def forward(self, observations: Tensor) -> Tensor:
        """The perception vectors of any number of observations."""
        leading = observations.shape[:-2]
        x_nGgC = first_convolution(observations.flatten(0, -3), self.first.weight, self.first.bias, self.geometry)
        x = F.relu(second_convolution(x_nGgC, self.second.weight, self.second.bias))
        return F.relu(self.output(F.relu(self.hidden(x)))).unflatten(0, leading)
