"""Acting and learning from recordings: the same numbers as without, with stand-ins for CUDA graphs that overwrite."""

import numpy as np
import pytest
import torch
from torch import Tensor

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.agent.state import leaves
from metta.rl.device_rollout import DeviceCollector
from metta.rl.recording import Play, Recorded, plainly
from metta.rl.rollout import Collector, Segments
from metta.rl.sampling import uniforms
from metta.rl.shards import Shards
from metta.rl.specs import spec_of
from metta.rl.update import make_learner, update
from metta.sim.vector_env import VectorEnv
from tests.rl.overwriting import Overwriting, again
from tests.rl.small_run import SIM, small_run
from tests.rl.tensor_worlds import TensorWorlds

STEPS = 8
UPDATES = 4
TRAINER = small_run(rollout_steps=STEPS, epochs=2, minibatches=3).trainer


def trained(
    name: str, play: Play, threads: int = 1, on_device: bool = False, learning: bool = True
) -> tuple[list[Tensor], dict[str, float]]:
    """Everything in four rollouts over the ends of episodes, each learned from, the weights, and the last losses."""
    shards = Shards(threads)  # first, as in training: from here on torch starts the policy off with one thread
    env = VectorEnv(SIM, num_worlds=2, seed=5, desynchronise=True, episode_steps=20)
    env.reset()
    policy = ARCHITECTURES[name].build(spec_of(SIM, TRAINER), 3)
    learner = make_learner(policy, TRAINER, env.num_streams)
    collector: Collector | DeviceCollector
    if on_device:
        collector = DeviceCollector(TensorWorlds(env), policy, STEPS, torch.device("cpu"), play)
    else:
        collector = Collector(env, policy, STEPS, torch.device("cpu"), shards, play)
    found, losses = [], {}
    for index in range(UPDATES):
        segments: Segments = collector.collect(uniforms(0, "test", index, (STEPS, env.num_streams)))
        for value in vars(segments).values():
            found += [leaf.clone() for leaf in leaves(value)]
        if learning:
            losses = update(learner, segments, TRAINER, shards, 0, index, index * 10_000, play)
    shards.close()
    assert any(flag.any() for flag in found if flag.dtype == torch.bool)
    return found + [parameter.detach() for parameter in policy.parameters()], losses


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_recorded_training_is_the_same(name: str, threads: int) -> None:
    (plain, losses), (recorded, recorded_losses) = (
        trained(name, plainly, threads),
        trained(name, Overwriting(), threads),
    )
    assert all(torch.equal(a, b) for a, b in zip(plain, recorded, strict=True))
    assert losses == recorded_losses


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_recorded_training_in_worlds_on_the_policys_device_is_the_same(name: str) -> None:
    """Recorded or told, bit for bit; values of cut episodes are those of the general collector up to rounding."""
    told, losses = trained(name, plainly, on_device=True)
    recorded, recorded_losses = trained(name, Overwriting(), on_device=True)
    assert all(torch.equal(a, b) for a, b in zip(told, recorded, strict=True))
    assert losses == recorded_losses
    general, _ = trained(name, plainly, learning=False)
    special, _ = trained(name, Overwriting(), on_device=True, learning=False)
    for a, b in zip(general, special, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_a_recording_reads_the_arguments_of_each_call_and_parameters_that_change_in_place() -> None:
    weight = torch.full((3,), 2.0)
    recorded = Recorded(lambda x, y: (x * weight + y,), (torch.zeros(3), torch.zeros(3)), again)
    assert recorded(torch.ones(3), torch.ones(3))[0].tolist() == [3, 3, 3]
    weight.mul_(10)
    assert recorded(torch.ones(3), torch.zeros(3))[0].tolist() == [20, 20, 20]


def test_making_a_recording_changes_nothing() -> None:
    first, count = torch.zeros(2), torch.zeros(1)

    def function(x: Tensor) -> tuple[Tensor, ...]:
        count.add_(1)
        return (x.add_(1),)

    recorded = Recorded(function, (first,), again, changed=[count])
    assert not count
    recorded(torch.ones(2))
    assert count == 1
    assert np.array_equal(first.numpy(), np.zeros(2))
