"""The egocentric view: the window turned so that the agent faces north, and the moves turned back.

What to do next depends on where things stand as seen from the agent, hardly ever on where north is; turned, one lesson
serves four orientations. Locations, the orientations of other agents, and the last move are turned; the agent's own
orientation stays, so that nothing is lost. A policy's logits for the four moves are then those for ahead, back, left
and right. Turning keeps distances, so tokens come nearest first as before, and the environment's observations stay as
they are.

Axes: n observations, M tokens of an observation, C actions.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from metta.agent.front import NUM_GLOBAL_TOKENS, STEPS, centre_of
from metta.agent.path import at_hand
from metta.agent.spec import EnvironmentSpec
from metta.agent.table import Table
from metta.sim.constants import FEATURE_LAST_ACTION, FEATURE_LAST_ACTION_ARGUMENT, FEATURE_ORIENTATION

BYTES = 256
SAME, ORIENTATION, ACTION = 0, 1, 2
"""How a value is turned: rows of `turned_values`."""


def turn(observations: Tensor, spec: EnvironmentSpec) -> Tensor:
    """Observations uint8 [..., M, 3] as seen by an agent that faces north: a new tensor of the same shape.

    Front tokens (`metta.agent.front`) are turned too. Without an orientation of its own the agent faces north.
    """
    flat_nM3 = observations.reshape(-1, *observations.shape[-2:])
    if at_hand(flat_nM3):
        return _with_a_loop(flat_nM3, spec).view(observations.shape)
    return with_tensor_operations(flat_nM3, spec).view(observations.shape)


def turn_back(logits: Tensor, observations: Tensor, spec: EnvironmentSpec) -> Tensor:
    """Logits [..., C] of a policy that sees observations [..., M, 3] turned -> logits of the environment's actions."""
    if not spec.moves:
        return logits
    index = turned_actions(spec).on(logits.device, torch.int64)[orientations(observations, spec)]
    return logits.gather(-1, index)


def orientations(observations: Tensor, spec: EnvironmentSpec) -> Tensor:
    """int64 [...] in 0..3: the value of the first orientation in the window's centre; 0 if there is none."""
    if at_hand(observations):
        return _orientations_with_a_loop(observations, spec)
    return _orientations_with_tensor_operations(observations, spec)


def _orientations_with_tensor_operations(observations: Tensor, spec: EnvironmentSpec) -> Tensor:
    location, feature, value = observations.unbind(-1)
    own = (location == centre_of(spec)) & (feature == FEATURE_ORIENTATION)
    first = own.to(torch.uint8).argmax(-1, keepdim=True)
    found = value.gather(-1, first) * own.gather(-1, first)
    return (found * (found < len(STEPS))).squeeze(-1).long()


def _orientations_with_a_loop(observations: Tensor, spec: EnvironmentSpec) -> Tensor:
    from metta.agent.egocentric_kernels import find_orientations

    flat_nM3 = observations.reshape(-1, *observations.shape[-2:])
    result_n = torch.empty(len(flat_nM3), dtype=torch.int64)
    find_orientations(flat_nM3.numpy(), centre_of(spec), FEATURE_ORIENTATION, len(STEPS), result_n.numpy())
    return result_n.view(observations.shape[:-2])


def _with_a_loop(observations_nM3: Tensor, spec: EnvironmentSpec) -> Tensor:
    from metta.agent.egocentric_kernels import turn_tokens

    observations_nM3 = observations_nM3.contiguous()
    result_nM3 = torch.empty_like(observations_nM3)
    turn_tokens(
        observations_nM3.numpy(),
        centre_of(spec),
        turned_places(spec).numbers,
        turned_values(spec).numbers,
        FEATURE_ORIENTATION,
        spec.num_features if spec.front_view else BYTES,
        FEATURE_LAST_ACTION,
        FEATURE_LAST_ACTION_ARGUMENT,
        NUM_GLOBAL_TOKENS,
        result_nM3.numpy(),
    )
    return result_nM3


def with_tensor_operations(observations_nM3: Tensor, spec: EnvironmentSpec) -> Tensor:
    """The same for any device."""
    device = observations_nM3.device
    facing_n1 = _orientations_with_tensor_operations(observations_nM3, spec).unsqueeze(1)
    location, feature, value = observations_nM3.unbind(-1)
    kind = (feature == FEATURE_ORIENTATION) & (location != centre_of(spec))
    if spec.front_view:
        kind = kind | (feature == FEATURE_ORIENTATION + spec.num_features)
    kind = kind.to(torch.uint8) * ORIENTATION
    # An action is a move if it looks different to an agent that faces another way.
    turned = turned_values(spec).on(device, torch.uint8)
    global_rows = slice(0, NUM_GLOBAL_TOKENS)
    is_action = feature[:, global_rows] == FEATURE_LAST_ACTION
    action_n1 = (value[:, global_rows] * is_action).amax(1, keepdim=True)
    moved_n1 = turned[ACTION, 1].take(action_n1.long()) != action_n1
    is_argument = (feature[:, global_rows] == FEATURE_LAST_ACTION_ARGUMENT) & moved_n1
    kind[:, global_rows] = is_action * ACTION + is_argument * ORIENTATION
    values = turned.view(-1).take((kind.long() * len(STEPS) + facing_n1) * BYTES + value)
    places = turned_places(spec).on(device, torch.uint8)
    locations = places.view(-1).take(facing_n1 * BYTES + location)
    return torch.stack([locations, feature, values], 2)


@cache
def turned_places(spec: EnvironmentSpec) -> Table:
    """uint8 [4, 256]: where a location lies for an agent of each orientation; places outside the window stay."""
    table = np.tile(np.arange(BYTES, dtype=np.uint8), (len(STEPS), 1))
    centre_row, centre_column = spec.obs_height // 2, spec.obs_width // 2
    for orientation in range(len(STEPS)):
        for row in range(spec.obs_height):
            for column in range(spec.obs_width):
                down, right = _turned(orientation, row - centre_row, column - centre_column)
                table[orientation, row << 4 | column] = (centre_row + down) << 4 | centre_column + right
    return Table(table)


@cache
def turned_values(spec: EnvironmentSpec) -> Table:
    """uint8 [3, 4, 256]: what a value is for an agent of each orientation, as it is, an orientation or an action."""
    table = np.tile(np.arange(BYTES, dtype=np.uint8), (3, len(STEPS), 1))
    for orientation in range(len(STEPS)):
        for other, (down, right) in enumerate(STEPS):
            seen = STEPS.index(_turned(orientation, down, right))
            table[ORIENTATION, orientation, other] = seen
            if spec.moves:
                table[ACTION, orientation, spec.moves[other]] = spec.moves[seen]
    return Table(table)


@cache
def turned_actions(spec: EnvironmentSpec) -> Table:
    """int64 [4, C]: the action that the environment's action is for an agent of each orientation."""
    return Table(turned_values(spec).numbers[ACTION, :, : spec.num_actions].astype(np.int64))


def _turned(orientation: int, down: int, right: int) -> tuple[int, int]:
    """An offset as seen by an agent of this orientation: what is ahead of it is up."""
    return ((down, right), (-down, -right), (right, -down), (-right, down))[orientation]
