"""Auxiliary dynamics predictions: the targets and masks of their losses, and what they train."""

import pytest
import torch

from metta.agent.dynamics_config import DynamicsConfig
from metta.agent.policies.fast_dynamics import FastDynamicsConfig
from metta.agent.policy import AuxiliaryTargets
from metta.agent.spec import arena_spec
from metta.agent.synthetic import synthetic_observations

B, T, D = 2, 5, 3


def case():
    torch.manual_seed(0)
    predictions = {
        "reward": torch.randn(B, T),
        "return": torch.randn(B, T),
        "next_perception": torch.randn(B, T, D),
        "perception": torch.randn(B, T, D),
    }
    resets = torch.zeros(B, T, dtype=torch.bool)
    resets[0, 0] = resets[1, 3] = True
    return predictions, AuxiliaryTargets(torch.randn(B, T), torch.randn(B, T), resets)


def test_losses_are_the_documented_means():
    predictions, targets = case()
    losses = DynamicsConfig(return_weight=2.0).build(D, 4).losses(predictions, targets)
    reward = sum((predictions["reward"][b, t] - targets.rewards[b, t]) ** 2 for b in range(B) for t in range(T))
    returns = sum((predictions["return"][b, t] - targets.returns[b, t]) ** 2 for b in range(B) for t in range(T))
    errors = [
        ((predictions["next_perception"][b, t] - predictions["perception"][b, t + 1]) ** 2).mean()
        for b in range(B)
        for t in range(T - 1)
        if not targets.resets[b, t + 1]
    ]
    assert len(errors) == 7
    assert losses["reward"].item() == pytest.approx(reward.item() / (B * T), rel=1e-5)
    assert losses["return"].item() == pytest.approx(2.0 * returns.item() / (B * T), rel=1e-5)
    assert losses["next_perception"].item() == pytest.approx(torch.stack(errors).mean().item(), rel=1e-5)


def test_a_segment_without_a_next_step_gives_a_finite_loss():
    predictions, targets = case()
    losses = DynamicsConfig().build(D, 4).losses(predictions, targets._replace(resets=torch.ones(B, T).bool()))
    assert losses["next_perception"].item() == 0.0


def test_predictions_train_perception_but_not_through_the_target():
    policy = FastDynamicsConfig().build(arena_spec(), seed=0)
    observations = torch.from_numpy(synthetic_observations(arena_spec(), B * T, 0)).unflatten(0, (B, T))
    resets = torch.zeros(B, T, dtype=torch.bool)
    output = policy(observations, resets, policy.initial_state(B))
    assert not output.auxiliary["perception"].requires_grad
    targets = AuxiliaryTargets(torch.ones(B, T), torch.ones(B, T), resets)
    losses = policy.auxiliary.losses(output.auxiliary, targets)
    assert set(losses) == {"reward", "return", "next_perception"}
    losses["next_perception"].backward()
    assert policy.encoder.output.weight.grad.abs().max() > 0
    assert policy.actor[-1].weight.grad is None
