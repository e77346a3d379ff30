"""The scale of rewards: running returns, the mean of their variance, and what rewards become."""

import math

import numpy as np
import pytest
import torch

from metta.rl.reward_scale import DECAY, RewardScale

CPU = torch.device("cpu")


def plain_returns(rewards, ended, gamma, running):
    """Step by step, from what earlier rollouts left."""
    returns, running = np.zeros_like(rewards), list(running)
    for n in range(rewards.shape[0]):
        for t in range(rewards.shape[1]):
            running[n] = gamma * running[n] + rewards[n, t]
            returns[n, t] = running[n]
            if ended[n, t]:
                running[n] = 0.0
    return returns, running


def test_equals_the_plain_twin_over_several_updates():
    random = np.random.default_rng(0)
    scale = RewardScale(streams=3, constant=0.5, gamma=0.9, device=CPU)
    running, mean, known = [0.0] * 3, 0.0, 0.0
    for _ in range(4):
        rewards = random.normal(size=(3, 5))
        ended = random.random((3, 5)) < 0.2
        given = torch.tensor(rewards, dtype=torch.float32)
        factor = scale.scale(given, torch.from_numpy(ended))
        returns, running = plain_returns(rewards, ended, 0.9, running)
        mean, known = DECAY * mean + (1 - DECAY) * returns.var(), DECAY * known + (1 - DECAY)
        assert float(factor) == pytest.approx(0.5 / math.sqrt(mean / known), rel=1e-4)
        np.testing.assert_allclose(given.numpy(), rewards * float(factor), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("times", [0.01, 1.0, 1000.0])
def test_what_is_learned_from_does_not_depend_on_the_units_of_rewards(times):
    rewards = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    never = torch.zeros(8, 16, dtype=torch.bool)
    scaled = []
    for given in (rewards.clone(), times * rewards):
        RewardScale(8, 1.0, 0.99, CPU).scale(given, never)
        scaled.append(given)
    torch.testing.assert_close(*scaled)


def test_without_rewards_or_with_constant_0_nothing_is_scaled():
    never = torch.zeros(2, 4, dtype=torch.bool)
    assert float(RewardScale(2, 0.5, 0.99, CPU).scale(torch.zeros(2, 4), never)) == 1.0
    given = torch.rand(2, 4)
    before = given.clone()
    assert float(RewardScale(2, 0.0, 0.99, CPU).scale(given, never)) == 1.0
    assert torch.equal(given, before)


def test_a_copy_with_the_saved_state_goes_on_alike():
    rewards = [torch.randn(2, 4, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    never = torch.zeros(2, 4, dtype=torch.bool)
    first = RewardScale(2, 0.5, 0.99, CPU)
    first.scale(rewards[0].clone(), never)
    second = RewardScale(2, 0.5, 0.99, CPU)
    second.load_state_dict({name: tensor.clone() for name, tensor in first.state_dict().items()})
    for given in rewards[1:]:
        assert torch.equal(first.scale(given.clone(), never), second.scale(given.clone(), never))
