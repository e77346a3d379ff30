"""The mean of weights: what it holds after updates, and that training does not depend on it."""

import pytest
import torch

from metta.agent.policies.fast import FastConfig
from metta.agent.spec import arena_spec
from metta.rl.average import WeightAverage
from metta.rl.checkpoint import newest_sound, read_policy_files, read_trainer_files
from metta.rl.trainer import train
from tests.rl.small_run import small_run


def test_the_mean_follows_the_weights_over_a_share_of_the_updates():
    policy = FastConfig(width=32, num_layers=1).build(arena_spec(), seed=0)
    average = WeightAverage(policy, share=0.5)
    weight, mean = policy.actor[-1].bias, average.policy.actor[-1].bias
    expected = 0.0
    for update in range(1, 9):
        with torch.no_grad():
            weight.fill_(float(update))
        average.add(update)
        expected += (update - expected) / max(1.0, 0.5 * update)
        assert mean.tolist() == pytest.approx([expected] * len(mean), rel=1e-6)
    assert not any(parameter.requires_grad for parameter in average.policy.parameters())


def test_training_does_not_depend_on_it_and_without_it_the_newest_weights_are_kept(tmp_path):
    kept = {}
    for share in (0.0, 0.5):
        folder = tmp_path / str(share)
        folder.mkdir()
        train(small_run(updates=6, average_share=share), folder)
        checkpoint = newest_sound(folder / "checkpoints")
        own = {
            name.removeprefix("weights/"): tensor
            for name, tensor in read_trainer_files(checkpoint)[0].items()
            if name.startswith("weights/")
        }
        kept[share] = read_policy_files(checkpoint)[0], own
    newest, without = kept[0.0]
    assert all(torch.equal(newest[name], without[name]) for name in newest)
    mean, own = kept[0.5]
    assert all(torch.equal(own[name], without[name]) for name in own)
    assert any(not torch.equal(mean[name], own[name]) for name in own)
