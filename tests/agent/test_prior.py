"""The prior over actions: every verb the same, and what a new policy starts from."""

import math

import pytest
import torch

from metta.agent.policies.fast import FastConfig
from metta.agent.policies.puffer import PufferPolicyConfig
from metta.agent.spec import EnvironmentSpec, arena_spec
from metta.agent.synthetic import synthetic_observations

ARENA = arena_spec().model_copy(update={"verbs_prior": True})


def test_the_arena_has_eight_verbs_and_its_nine_attacks_share_one():
    prior = [math.exp(number) for number in ARENA.log_prior()]
    assert prior[:7] == pytest.approx([1 / 8] * 7)
    assert prior[7:] == pytest.approx([1 / 72] * 9)


def test_any_action_set_has_a_prior():
    names = ("look", "cast_1", "cast_2", "turn_left", "turn_right")
    spec = EnvironmentSpec(feature_scales=(1.0,), action_names=names, verbs_prior=True)
    assert [math.exp(number) for number in spec.log_prior()] == pytest.approx([1 / 4, 1 / 8, 1 / 8, 1 / 4, 1 / 4])
    without = spec.model_copy(update={"verbs_prior": False})
    assert [math.exp(number) for number in without.log_prior()] == pytest.approx([1 / 5] * 5)


@pytest.mark.parametrize("config", [FastConfig(), PufferPolicyConfig()])
def test_a_new_policy_starts_near_the_prior(config):
    policy = config.build(ARENA, seed=0)
    observations = torch.from_numpy(synthetic_observations(ARENA, 4, seed=0)).unsqueeze(1)
    with torch.no_grad():
        logits, _ = policy.act(observations, torch.zeros(4, 1, dtype=torch.bool), policy.initial_state(4))
    expected = torch.tensor(ARENA.log_prior()).exp().expand(4, -1)
    torch.testing.assert_close(logits[:, 0].softmax(-1), expected, rtol=0.1, atol=0)
