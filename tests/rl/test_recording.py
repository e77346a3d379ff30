"""Acting from recordings: the same rollouts as without, with a stand-in for CUDA graphs that overwrites like them."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.agent.state import leaves
from metta.rl.config import TrainerConfig
from metta.rl.recording import Function, Recorded
from metta.rl.rollout import Collector, Segments
from metta.rl.sampling import uniforms
from metta.rl.shards import Shards
from metta.rl.specs import spec_of
from metta.sim.vector_env import VectorEnv
from tests.rl.small_run import SIM

STEPS = 8


def again(run: Callable[[], None]) -> Callable[[], None]:
    """Stands in for a CUDA graph: playing back is doing it again with what lies in the same tensors."""
    run()
    return run


class Overwriting:
    """A recording whose results lie in the same memory after every playback, as a CUDA graph's do."""

    def __init__(self, function: Function, arguments: Sequence[Tensor]) -> None:
        self.recorded = Recorded(function, arguments, again)
        self.results: tuple[Tensor, ...] = ()

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        found = self.recorded(*arguments)
        self.results = self.results or tuple(torch.full_like(result, 1) for result in found)
        for mine, result in zip(self.results, found, strict=True):
            mine.copy_(result)
        return self.results


def rollouts(name: str, threads: int, record: Callable[[Function, Sequence[Tensor]], Function] | None) -> list[Tensor]:
    """Everything that is in six rollouts of two worlds, over the ends of their episodes."""
    shards = Shards(threads)  # first, as in training: from here on torch starts the policy off with one thread
    env = VectorEnv(SIM, num_worlds=2, seed=5, desynchronise=True, episode_steps=20)
    env.reset()
    policy = ARCHITECTURES[name].build(spec_of(SIM, TrainerConfig()), 3)
    collector = Collector(env, policy, STEPS, torch.device("cpu"), shards, record)
    found = []
    for index in range(6):
        segments: Segments = collector.collect(uniforms(0, "test", index, (STEPS, env.num_streams)))
        for value in vars(segments).values():
            found += [leaf.clone() for leaf in leaves(value)]
    shards.close()
    assert any(flag.any() for flag in found if flag.dtype == torch.bool)
    return found


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_recorded_rollouts_are_the_same(name: str, threads: int) -> None:
    plain, recorded = rollouts(name, threads, None), rollouts(name, threads, Overwriting)
    assert all(torch.equal(a, b) for a, b in zip(plain, recorded, strict=True))


def test_a_recording_reads_the_arguments_of_each_call_and_parameters_that_change_in_place() -> None:
    weight = torch.full((3,), 2.0)
    recorded = Recorded(lambda x, y: (x * weight + y,), (torch.zeros(3), torch.zeros(3)), again)
    assert recorded(torch.ones(3), torch.ones(3))[0].tolist() == [3, 3, 3]
    weight.mul_(10)
    assert recorded(torch.ones(3), torch.zeros(3))[0].tolist() == [20, 20, 20]


def test_a_recording_leaves_its_first_arguments_alone() -> None:
    first = torch.zeros(2)
    Recorded(lambda x: (x.add_(1),), (first,), again)(torch.ones(2))
    assert np.array_equal(first.numpy(), np.zeros(2))
