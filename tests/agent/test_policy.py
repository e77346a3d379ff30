"""The policy: reading the last action from the observation, shapes, and several threads at once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.agent.policy import last_action
from metta.agent.spec import arena_spec
from metta.agent.synthetic import synthetic_observations

SPEC = arena_spec()


def test_the_last_action_is_scaled():
    observations = torch.full((1, 3, 200, 3), 255, dtype=torch.uint8)
    for t, action in enumerate([15, 0, 4]):
        rows = [[85, 7, 9], [85, 8, action], [85, 9, 3], [85, 10, 246]]
        observations[0, t, :4] = torch.tensor(rows, dtype=torch.uint8)
    found = last_action(observations, SPEC, torch.zeros(1))
    assert found.dtype == torch.float32
    assert torch.allclose(found[0], torch.tensor([[1.5], [0.0], [0.4]]))


def test_without_global_tokens_it_is_zero():
    observations = torch.full((2, 1, 200, 3), 255, dtype=torch.uint8)
    assert not last_action(observations, SPEC, torch.zeros(1)).any()


@pytest.mark.parametrize("name", ["vit", "fast", "agalite", "gtrxl"])
def test_several_threads_run_one_policy_at_once(name):
    policy = ARCHITECTURES[name].build(SPEC, seed=0)
    observations = torch.from_numpy(synthetic_observations(SPEC, 8 * 4, 1)).view(8, 4, 200, 3)
    resets = torch.zeros(8, 4, dtype=torch.bool)

    def gradients(row):
        part = slice(2 * row, 2 * row + 2)
        output = policy(observations[part], resets[part], policy.initial_state(2))
        return torch.autograd.grad(output.logits.square().sum() + output.values.sum(), list(policy.parameters()))

    alone = [gradients(row) for row in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for expected, found in zip(alone, pool.map(gradients, range(4)), strict=True):
                assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_any_number_of_feature_ids_works():
    spec = SPEC.model_copy(update={"feature_scales": SPEC.feature_scales[:6]})
    observations = torch.from_numpy(np.tile(synthetic_observations(SPEC, 1, 1), (2, 1, 1))).view(1, 2, 200, 3)
    for name in ("vit", "fast", "vit_sliding"):
        policy = ARCHITECTURES[name].build(spec, seed=0)
        output = policy(observations, torch.zeros(1, 2, dtype=torch.bool), policy.initial_state(1))
        assert torch.isfinite(output.logits).all()
