"""Probes: no memory, nothing changes; a memory of n steps is measured as n; what is exchanged and delayed."""

import pytest
import torch

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.analysis.memory_value import horizon
from metta.rl.config import EvaluationConfig
from metta.rl.evaluate import evaluate_player, held_out
from metta.rl.players import PolicyPlayer
from metta.rl.probes import DELAYED, EMPTIED, EXCHANGED, UNTOUCHED, Intervention, ProbedMemory, probe
from metta.rl.shards import Shards
from metta.rl.specs import spec_of
from tests.rl.small_run import SIM
from tests.rl.synthetic_policies import Countdown, needs

CPU = torch.device("cpu")
EPISODES = held_out(EvaluationConfig(worlds=2))
ALL = [
    Intervention(UNTOUCHED),
    *(Intervention(EMPTIED, steps) for steps in (1, 2, 4, 8, 16)),
    Intervention(EXCHANGED),
    Intervention(DELAYED, 3),
]


@pytest.fixture(scope="module")
def shards():
    made = Shards(1)
    yield made
    made.close()


def test_a_policy_without_memory_comes_out_unchanged_to_the_last_bit(shards):
    sim = SIM.model_copy(update={"max_steps": 300})
    policy = ARCHITECTURES["memory_free"].build(spec_of(sim), seed=1)
    hearts = probe(policy, sim, ALL, EPISODES, CPU, shards)
    assert sum(hearts[0]) > 0
    assert all(found == hearts[0] for found in hearts)


@pytest.mark.parametrize("name", ["fast", "gtrxl"])
def test_the_state_left_alone_is_the_evaluation(name, shards):
    sim = SIM.model_copy(update={"max_steps": 100})
    policy = ARCHITECTURES[name].build(spec_of(sim), seed=1)
    expected = evaluate_player(PolicyPlayer(policy, sim, CPU), sim, EPISODES, shards)
    (hearts,) = probe(policy, sim, [Intervention(UNTOUCHED)], EPISODES, CPU, shards)
    assert hearts == [sum(episode["hearts"]) / SIM.num_agents for episode in expected["per_episode"]]


@pytest.mark.parametrize("needed", [2, 4, 16])
def test_a_policy_that_needs_so_many_steps_is_measured_as_that(needed, shards):
    sim = SIM.model_copy(update={"max_steps": 640})
    untouched, *emptied, exchanged, _ = probe(needs(needed, sim), sim, ALL, EPISODES, CPU, shards)
    assert sum(untouched) > 0
    assert emptied[0] == [0.0] * len(untouched)
    found = horizon(dict(zip((1, 2, 4, 8, 16), emptied, strict=True)), untouched)
    assert found == (needed, needed, needed)
    assert exchanged == untouched, "all agents of a world count alike"


def state_of(agents_of_two_worlds: list[float]) -> torch.Tensor:
    return torch.tensor(agents_of_two_worlds)


def step(memory: ProbedMemory, state: object) -> tuple[list[float], object]:
    said, state = memory(torch.zeros(6, 1, 1), torch.zeros(6, 1, dtype=torch.bool), state)
    return said[:, 0, 0].tolist(), state


def test_an_agent_acts_on_the_state_of_the_next_one_of_its_world_and_keeps_its_own():
    memory = ProbedMemory(Countdown(10), Intervention(EXCHANGED), agents=3)
    clock, _ = memory.initial_state(6)
    said, (_, (own,)) = step(memory, (clock, (state_of([9, 1, 2, 3, 9, 9]),)))
    assert said == [0, 0, 1, 1, 1, 0]
    assert own.tolist() == [0, 2, 3, 4, 0, 0]


def test_a_delayed_state_is_that_of_so_many_steps_ago():
    memory = ProbedMemory(Countdown(4), Intervention(DELAYED, 2), agents=3)
    state = memory.initial_state(6)
    spoken = []
    for _ in range(10):
        said, state = step(memory, state)
        spoken.append(said[0])
    assert spoken == [0, 0, 0, 0, 0, 1, 0, 0, 0, 1]


def test_an_emptied_state_is_the_initial_one():
    memory = ProbedMemory(Countdown(3), Intervention(EMPTIED, 4), agents=3)
    state = memory.initial_state(6)
    spoken = []
    for _ in range(9):
        said, state = step(memory, state)
        spoken.append(said[0])
    assert spoken == [0, 0, 1, 0, 0, 0, 1, 0, 0]


def test_segments_are_refused():
    memory = ProbedMemory(Countdown(3), Intervention(UNTOUCHED), agents=1)
    with pytest.raises(ValueError, match="one step at a time"):
        memory(torch.zeros(1, 2, 1), torch.zeros(1, 2, dtype=torch.bool), memory.initial_state(1))
