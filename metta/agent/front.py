"""The front view: what stands in front of the agent, shown a second time under feature ids of its own.

The window is never rotated, so "the generator that I face" is spread over four cells and an orientation far away from
it; learned from rewards, that conjunction alone takes networks of this size longer than a laptop's budget
(`uv run python benchmarks/perception.py`). Each token of the cell in front is therefore repeated in the agent's own
cell with its feature id moved up by the number of features. The repeats follow the global tokens; the farthest tokens
make room for them where an observation is full. The environment's observations stay as they are.

Axes: n observations, M tokens of an observation.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from metta.agent.spec import EnvironmentSpec
from metta.agent.table import Table

NUM_GLOBAL_TOKENS = 4
"""The first rows of every observation: completion, last action, its argument, last reward."""

ORIENTATION_FEATURE = 3

STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""Rows and columns from an agent to the cell in front, by orientation: north, south, west, east."""


def add_front_tokens(observations: Tensor, spec: EnvironmentSpec) -> Tensor:
    """Observations uint8 [..., M, 3] with the front view: a new tensor of the same shape.

    The orientation is the agent's own: the first token of that feature in the window's centre. Without one, or where
    nothing stands in front, nothing is added.
    """
    flat_nM3 = observations.reshape(-1, *observations.shape[-2:])
    if flat_nM3.device.type == "cpu":
        return _with_a_loop(flat_nM3, spec).view(observations.shape)
    return with_tensor_operations(flat_nM3, spec).view(observations.shape)


def _with_a_loop(observations_nM3: Tensor, spec: EnvironmentSpec) -> Tensor:
    from metta.agent.front_kernels import repeat_front

    observations_nM3 = observations_nM3.contiguous()
    result_nM3 = torch.empty_like(observations_nM3)
    repeat_front(
        observations_nM3.numpy(),
        centre_of(spec),
        _places_in_front(spec).numbers,
        ORIENTATION_FEATURE,
        NUM_GLOBAL_TOKENS,
        spec.num_features,
        result_nM3.numpy(),
    )
    return result_nM3


def with_tensor_operations(observations_nM3: Tensor, spec: EnvironmentSpec) -> Tensor:
    """The same for any device."""
    _, rows, _ = observations_nM3.shape
    location, feature, value = observations_nM3.unbind(-1)
    centre = centre_of(spec)
    own = (location == centre) & (feature == ORIENTATION_FEATURE)
    first = own.to(torch.uint8).argmax(1, keepdim=True)
    orientation = value.gather(1, first)[:, 0].long()
    sees = own.any(1) & (orientation < len(STEPS))
    places = _places_in_front(spec).on(observations_nM3.device, torch.uint8)
    in_front = (location == places[orientation.clamp(max=len(STEPS) - 1)].unsqueeze(1)) & sees.unsqueeze(1)
    in_front &= feature < spec.num_features
    in_front[:, :NUM_GLOBAL_TOKENS] = False

    repeats = torch.stack([torch.full_like(location, centre), feature + spec.num_features, value], 2)
    number = in_front.cumsum(1)
    end = 2 * rows - 1  # of a wider copy: where rows go that are not wanted
    index = torch.arange(rows, device=observations_nM3.device)
    moved = index + number[:, -1:] * (index >= NUM_GLOBAL_TOKENS)
    copied = torch.where(in_front, NUM_GLOBAL_TOKENS + number - 1, end)
    wide = observations_nM3.new_full((len(observations_nM3), 2 * rows, 3), 255)
    wide.scatter_(1, moved.unsqueeze(-1).expand(-1, -1, 3), observations_nM3)
    wide.scatter_(1, copied.unsqueeze(-1).expand(-1, -1, 3), repeats)
    return wide[:, :rows].contiguous()


def centre_of(spec: EnvironmentSpec) -> int:
    """Location of the agent's own cell."""
    return (spec.obs_height // 2 << 4) | spec.obs_width // 2


@cache
def _places_in_front(spec: EnvironmentSpec) -> Table:
    """Locations of the cell in front, uint8 [4] by orientation; 255 where the window does not show it."""
    centre_row, centre_column = spec.obs_height // 2, spec.obs_width // 2
    places = []
    for down, right in STEPS:
        row, column = centre_row + down, centre_column + right
        inside = 0 <= row < spec.obs_height and 0 <= column < spec.obs_width
        places.append((row << 4) | column if inside else 255)
    return Table(np.asarray(places, np.uint8))
