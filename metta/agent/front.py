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

from metta.agent.path import at_hand
from metta.agent.spec import EnvironmentSpec
from metta.agent.table import Table
from metta.sim.constants import FEATURE_ORIENTATION

NUM_GLOBAL_TOKENS = 4
"""The first rows of every observation: completion, last action, its argument, last reward."""

STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""Rows and columns from an agent to the cell in front, by orientation: north, south, west, east."""


def add_front_tokens(observations: Tensor, spec: EnvironmentSpec) -> Tensor:
    """Observations uint8 [..., M, 3] with the front view: a new tensor of the same shape.

    The orientation is the agent's own: the first token of that feature in the window's centre. Without one, or where
    nothing stands in front, nothing is added.
    """
    flat_nM3 = observations.reshape(-1, *observations.shape[-2:])
    if at_hand(flat_nM3):
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
        FEATURE_ORIENTATION,
        NUM_GLOBAL_TOKENS,
        spec.num_features,
        result_nM3.numpy(),
    )
    return result_nM3


def with_tensor_operations(observations_nM3: Tensor, spec: EnvironmentSpec) -> Tensor:
    """The same for any device, by few operations whose shapes depend on no value."""
    n, M, _ = observations_nM3.shape
    device = observations_nM3.device
    location, feature, value = observations_nM3.unbind(-1)
    index_M, late_M, none, end = (table.on(device, torch.int64) for table in _numbers(M))
    # Place in the observation and value as one number: the least of them is that of the first such token.
    own = (location == centre_of(spec)) & (feature == FEATURE_ORIENTATION)
    first_n1 = torch.where(own, torch.add(value, index_M, alpha=256), none).amin(1, keepdim=True)
    orientation_n1 = first_n1.bitwise_and(255)
    places, moves = _in_front(spec)
    in_front = location == places.on(device, torch.int16)[orientation_n1]
    in_front &= feature < _ids_in_front(M, spec).on(device, torch.uint8)

    number = in_front.cumsum(1)
    moved = torch.addcmul(index_M, number[:, -1:], late_M)
    copied = torch.where(in_front, number + (NUM_GLOBAL_TOKENS - 1), end)
    wide = observations_nM3.new_full((n, 2 * M, 3), 255)  # the end is where rows go that are not wanted
    wide.scatter_(1, moved.unsqueeze(-1).expand(-1, -1, 3), observations_nM3)
    repeats_nM3 = observations_nM3 + moves.on(device, torch.uint8)[orientation_n1]
    wide.scatter_(1, copied.unsqueeze(-1).expand(-1, -1, 3), repeats_nM3)
    return wide[:, :M]


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


@cache
def _numbers(rows: int) -> tuple[Table, ...]:
    """Of each row its index, and whether it comes after the global tokens; more than 256 * any index, with value 255;
    the last row of an observation twice as long.
    """
    index = np.arange(rows)
    return tuple(Table(np.asarray(x)) for x in (index, index >= NUM_GLOBAL_TOKENS, 256 * rows + 255, 2 * rows - 1))


@cache
def _ids_in_front(rows: int, spec: EnvironmentSpec) -> Table:
    """How many feature ids a row is repeated for: none of a global token."""
    return Table(np.where(np.arange(rows) >= NUM_GLOBAL_TOKENS, spec.num_features, 0))


@cache
def _in_front(spec: EnvironmentSpec) -> tuple[Table, Table]:
    """By orientation [256]: the location in front, -1 for no orientation; and what turns its tokens' bytes, modulo 256,
    into those of the front view, [256, 3].
    """
    places = np.full(256, -1)
    places[: len(STEPS)] = _places_in_front(spec).numbers
    moves = np.zeros((256, 3), np.int64)
    moves[:, 0] = (centre_of(spec) - places) % 256
    moves[:, 1] = spec.num_features
    return Table(places), Table(moves)
