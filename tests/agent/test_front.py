import numpy as np
import pytest
import torch

from metta.agent.front import NUM_GLOBAL_TOKENS, add_front_tokens, with_tensor_operations
from metta.agent.spec import EnvironmentSpec, arena_spec
from metta.agent.synthetic import synthetic_observations
from metta.base.errors import InputError
from metta.sim.observations import GLOBAL_TOKENS
from tests.agent.encoders.cases import odd_observations

SPEC = arena_spec()
FRONT = SPEC.model_copy(update={"front_view": True})


def plain(observation, spec):
    """The definition, token by token."""
    centre = (spec.obs_height // 2, spec.obs_width // 2)
    rows = [tuple(int(byte) for byte in row) for row in observation]
    own = [value for place, feature, value in rows if (place >> 4, place & 15) == centre and feature == 3]
    front = []
    if own and own[0] < 4:
        down, right = ((-1, 0), (1, 0), (0, -1), (0, 1))[own[0]]
        there = (centre[0] + down, centre[1] + right)
        front = [
            ((centre[0] << 4) | centre[1], feature + spec.num_features, value)
            for place, feature, value in rows[4:]
            if (place >> 4, place & 15) == there and feature < spec.num_features
        ]
    return (rows[:4] + front + rows[4:])[: len(rows)]


def facing(value, spec=SPEC):
    """A generator with a battery to the east and a wall to the north of an agent with this orientation."""
    observation = np.full((spec.num_observation_tokens, 3), 255, np.uint8)
    tokens = [(85, 7, 9), (85, 8, 1), (85, 9, 0), (85, 10, 0), (85, 0, 0), (85, 3, value), (69, 0, 1), (86, 0, 5)]
    tokens += [(86, 5, 1), (86, 20, 2)]
    observation[: len(tokens)] = tokens
    return torch.from_numpy(observation)


def test_the_number_of_global_tokens_is_the_simulators():
    assert NUM_GLOBAL_TOKENS == GLOBAL_TOKENS


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [(0, [(85, 27, 1)]), (1, []), (2, []), (3, [(85, 27, 5), (85, 32, 1), (85, 47, 2)]), (7, [])],
)
def test_what_stands_in_front_is_repeated_behind_the_global_tokens(orientation, expected):
    observation = facing(orientation)
    seen = add_front_tokens(observation, SPEC)
    assert [tuple(row) for row in seen[4 : 4 + len(expected)].tolist()] == expected
    assert torch.equal(seen[:4], observation[:4])
    assert torch.equal(seen[4 + len(expected) :], observation[4 : len(observation) - len(expected)])


@pytest.mark.parametrize("how", [add_front_tokens, with_tensor_operations])
def test_both_forms_are_the_plain_one(how):
    observations = torch.cat([odd_observations(), torch.from_numpy(synthetic_observations(SPEC, 200, seed=3))])
    full = torch.from_numpy(np.random.default_rng(0).integers(0, 30, observations.shape).astype(np.uint8))
    near = torch.where(torch.rand(full.shape[:2], generator=torch.Generator().manual_seed(1)) < 0.5, 85, 69)
    full[:, :, 0] = near.to(torch.uint8)  # more tokens in front than there is room for
    for given in (observations, full):
        seen = how(given, SPEC)
        assert [[tuple(row) for row in rows] for rows in seen.tolist()] == [plain(rows, SPEC) for rows in given.numpy()]


def test_few_rows_and_narrow_windows():
    for rows in (1, 3, 4, 5):
        observation = facing(3)[:rows]
        assert add_front_tokens(observation, SPEC).tolist() == [list(row) for row in plain(observation.numpy(), SPEC)]
    narrow = SPEC.model_copy(update={"obs_width": 1, "obs_height": 1})
    observation = torch.tensor([[0, 7, 0]] * 4 + [[0, 3, 3], [255, 255, 255]], dtype=torch.uint8)
    assert torch.equal(add_front_tokens(observation, narrow), observation)


def test_a_policy_with_the_front_view_sees_it_and_no_other_does():
    from metta.agent.policies.fast import FastConfig

    left, right = facing(2), facing(2)
    right[7:10, 0] = 84  # the generator to the west: in front
    for spec, num_features in ((SPEC, 27), (FRONT, 54)):
        policy = FastConfig().build(spec, seed=0)
        assert policy.spec == spec
        assert policy.encoder.first.weight.shape[1] == num_features
        with torch.no_grad():
            outputs = policy(
                torch.stack([left, right])[:, None], torch.zeros(2, 1, dtype=torch.bool), policy.initial_state(2)
            )
        assert torch.isfinite(outputs.logits).all()


def test_too_many_features_for_one_byte_are_refused():
    with pytest.raises(InputError, match="at most 127 features"):
        EnvironmentSpec.parse({"feature_scales": [1.0] * 128, "action_names": ["wait"], "front_view": True}, "spec")
