"""The actor's and critic's multi-layer perceptron."""

from collections.abc import Sequence

import torch
from torch import nn

from metta.agent.heads_config import HeadConfig
from metta.agent.init import initialise
from metta.agent.tanh import Tanh

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": Tanh}


def build_head(config: HeadConfig, input_width: int, output_width: int, last: str) -> nn.Sequential:
    """[..., input_width] -> [..., output_width].

    Args:
        config: hidden widths and activation.
        input_width: width of the memory's output.
        output_width: number of actions, or 1.
        last: initialisation scheme of the last layer, "actor" or "critic".
    """
    layers: list[nn.Module] = []
    width = input_width
    for hidden in config.hidden:
        linear = nn.Linear(width, hidden)
        initialise(linear, config.activation)
        layers += [linear, _ACTIVATIONS[config.activation]()]
        width = hidden
    linear = nn.Linear(width, output_width)
    initialise(linear, last)
    return nn.Sequential(*layers, linear)


def set_bias(head: nn.Sequential, bias: Sequence[float]) -> None:
    """Set the last layer's bias, which without learning is what the head says."""
    with torch.no_grad():
        list(head.parameters())[-1].copy_(torch.tensor(bias))
