"""The egocentric view: what is turned, and that both forms are the plain one."""

import numpy as np
import pytest
import torch

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.agent import laws
from metta.agent.egocentric import orientations, turn, turn_back, with_tensor_operations
from metta.agent.front import add_front_tokens
from metta.agent.policies.fast import FastConfig
from metta.agent.spec import CHOICES, EnvironmentSpec, arena_spec
from metta.agent.synthetic import synthetic_observations
from metta.base.errors import InputError
from metta.sim.constants import (
    ACTION_NAMES,
    COLUMN_STEP,
    FIRST_MOVE,
    NUM_ACTIONS,
    ROW_STEP,
)
from tests.agent.encoders.cases import odd_observations

SPEC = arena_spec().model_copy(update={"egocentric_view": True})
BOTH = SPEC.model_copy(update={"front_view": True})
CENTRE = 5


def turned_step(orientation, down, right):
    """The offset in the frame whose first axis points ahead and whose second to the agent's right."""
    ahead = (ROW_STEP[orientation], COLUMN_STEP[orientation])
    to_the_right = (ahead[1], -ahead[0])
    forward = down * ahead[0] + right * ahead[1]
    sideways = down * to_the_right[0] + right * to_the_right[1]
    return -forward, sideways


def turned_orientation(orientation, other):
    step = turned_step(orientation, ROW_STEP[other], COLUMN_STEP[other])
    return list(zip(ROW_STEP, COLUMN_STEP, strict=True)).index(step)


def plain(observation, spec):
    """The definition, token by token."""
    rows = [tuple(int(byte) for byte in row) for row in observation]
    own = [value for place, feature, value in rows if place == 0x55 and feature == 3]
    facing = own[0] if own and own[0] < 4 else 0
    last = max([0, *(value for _, feature, value in rows[:4] if feature == 8)])
    moved = 1 <= last <= 4
    result = []
    for index, (place, feature, value) in enumerate(rows):
        row, column = place >> 4, place & 15
        if row < 11 and column < 11:
            down, right = turned_step(facing, row - CENTRE, column - CENTRE)
            place_seen = (CENTRE + down) << 4 | (CENTRE + right)
        else:
            place_seen = place
        if index < 4 and feature == 8:
            seen = 1 + turned_orientation(facing, value - 1) if 1 <= value <= 4 else value
        elif (index < 4 and feature == 9 and moved) or (
            index >= 4 and ((feature == 3 and place != 0x55) or (spec.front_view and feature == 3 + 27))
        ):
            seen = turned_orientation(facing, value) if value < 4 else value
        else:
            seen = value
        result.append((place_seen, feature, seen))
    return result


@pytest.mark.parametrize("spec", [SPEC, BOTH])
@pytest.mark.parametrize("how", [turn, with_tensor_operations])
def test_both_forms_are_the_plain_one(how, spec):
    observations = torch.cat([odd_observations(), torch.from_numpy(synthetic_observations(SPEC, 100, seed=3))])
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, 31, observations.shape).astype(np.uint8))
    noise[:, 5, 0] = noise[:, 9, 0] = 0x55
    for given in (observations, noise, add_front_tokens(observations, spec), observations[:, :3]):
        seen = how(given, spec)
        assert [[tuple(row) for row in rows] for rows in seen.tolist()] == [plain(rows, spec) for rows in given.numpy()]


@pytest.mark.parametrize("orientation", range(4))
def test_what_is_ahead_is_up_and_a_move_there_is_the_move_north(orientation):
    ahead = (CENTRE + ROW_STEP[orientation]) << 4 | (CENTRE + COLUMN_STEP[orientation])
    tokens = [(0x55, 7, 0), (0x55, 8, FIRST_MOVE + orientation), (0x55, 9, orientation), (0x55, 10, 0)]
    tokens += [(0x55, 0, 0), (0x55, 3, orientation), (ahead, 0, 0), (ahead, 3, orientation)]
    observation = torch.tensor(tokens, dtype=torch.uint8)
    seen = turn(observation, SPEC).tolist()
    assert seen[1][2] == FIRST_MOVE
    assert seen[2][2] == 0
    assert seen[5] == [0x55, 3, orientation]
    assert seen[6:] == [[0x45, 0, 0], [0x45, 3, 0]]
    logits = torch.arange(NUM_ACTIONS, dtype=torch.float32)
    back = turn_back(logits, observation, SPEC)
    assert back[FIRST_MOVE + orientation] == logits[FIRST_MOVE]
    assert sorted(back.tolist()) == logits.tolist()
    others = [action for action in range(NUM_ACTIONS) if not ACTION_NAMES[action].startswith("move")]
    assert torch.equal(back[others], logits[others])


def test_a_turned_world_gives_the_same_policy_but_for_the_own_orientation():
    """The world turned by a quarter: all tokens are seen as before, so an actor gives the turned moves the same."""
    seen = {}
    for orientation in range(4):
        observation = torch.full((200, 3), 255, dtype=torch.uint8)
        things = [(-1, 0, 5), (0, 2, 2), (3, -1, 8)]  # in the agent's frame: down, right, type
        tokens = [(0x55, 7, 0), (0x55, 8, 0), (0x55, 9, 0), (0x55, 10, 0), (0x55, 3, orientation)]
        for down, right, kind in things:
            places = [
                (row, column)
                for row in range(11)
                for column in range(11)
                if turned_step(orientation, row - CENTRE, column - CENTRE) == (down, right)
            ]
            (row, column) = places[0]
            tokens.append((row << 4 | column, 0, kind))
        observation[: len(tokens)] = torch.tensor(tokens, dtype=torch.uint8)
        assert int(orientations(observation, SPEC)) == orientation
        turned = turn(observation, SPEC)
        turned[4, 2] = 0
        seen[orientation] = turned
    assert all(torch.equal(seen[0], other) for other in seen.values())


def test_a_policy_with_the_view_gives_the_turned_logits_of_what_it_sees():
    policy = FastConfig().build(SPEC, seed=0)
    without = FastConfig().build(arena_spec(), seed=0)
    with torch.no_grad():
        policy.actor[-1].bias.copy_(torch.arange(16.0))
    without.load_state_dict(policy.state_dict())
    observations = torch.from_numpy(synthetic_observations(SPEC, 6, seed=1)).unsqueeze(1)
    resets, state = torch.zeros(6, 1, dtype=torch.bool), policy.initial_state(6)
    with torch.no_grad():
        found = policy(observations, resets, state).logits
        inside = without(turn(observations, SPEC), resets, state).logits
        assert torch.equal(found, policy.act(observations, resets, state)[0])
    assert torch.equal(found, turn_back(inside, observations, SPEC))
    assert not torch.equal(found, inside)


@pytest.mark.parametrize("name", ["fast", "trxl", "vit_sliding"])
def test_the_laws_hold_with_all_views(name):
    spec = arena_spec().model_copy(update=dict.fromkeys(CHOICES, True))
    verdicts = list(laws.check(name, ARCHITECTURES[name], {}, spec))
    assert all(verdict.passed for verdict in verdicts), [verdict for verdict in verdicts if not verdict.passed]


def test_the_moves_are_the_simulators():
    assert [ACTION_NAMES[move] for move in SPEC.moves] == ["move_north", "move_south", "move_west", "move_east"]


def test_an_environment_without_moves_keeps_its_logits():
    spec = EnvironmentSpec(feature_scales=(1.0,) * 12, action_names=("wait", "jump"), egocentric_view=True)
    logits = torch.tensor([[0.0, 1.0]])
    observation = torch.tensor([[[0x55, 3, 2]]], dtype=torch.uint8)
    assert spec.moves == ()
    assert torch.equal(turn_back(logits, observation, spec), logits)


@pytest.mark.parametrize("window", [{"obs_width": 9}, {"obs_width": 10, "obs_height": 10}])
def test_a_window_that_does_not_look_alike_when_turned_is_refused(window):
    with pytest.raises(InputError, match="as many rows as columns, an odd number"):
        EnvironmentSpec.parse({**SPEC.model_dump(), **window}, "spec")
