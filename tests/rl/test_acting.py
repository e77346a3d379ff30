"""A loaded policy acts in a loop of one's own as it does in an evaluation: with its state, and reproducibly."""

from pathlib import Path

import numpy as np
import pytest

import metta
from metta.base.errors import InputError
from metta.rl.acting import ActingPolicy
from metta.rl.trainer import train
from metta.sim.vector_env import VectorEnv
from tests.rl.small_run import SIM, small_run

STEPS = 6


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(small_run(), folder)
    return folder


def played(policy: ActingPolicy) -> list[list[int]]:
    """Some steps of one world."""
    env = VectorEnv(SIM, num_worlds=1, seed=3)
    env.reset()
    found = []
    for _ in range(STEPS):
        actions = policy.act(env.buffers.observations.copy())
        env.step(actions)
        found.append(actions.tolist())
    return found


def test_the_same_seed_acts_alike_and_another_does_not(run_folder: Path) -> None:
    first, again, other = (played(metta.load_policy(run_folder, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert all(0 <= action < 16 for row in first for action in row)


def test_the_state_goes_on_until_reset(run_folder: Path) -> None:
    policy = metta.load_policy(run_folder)
    observations = np.zeros((2, SIM.num_observation_tokens, 3), np.uint8)
    policy.act(observations)
    with pytest.raises(InputError, match="observations of 1 agents follow those of 2"):
        policy.act(observations[0])
    policy.reset()
    assert policy.act(observations[0]).shape == ()


def test_wrong_observations_are_a_sentence(run_folder: Path) -> None:
    with pytest.raises(InputError, match=r"must be uint8 \[agents, 200, 3\]"):
        metta.load_policy(run_folder).act(np.zeros((2, 7, 3), np.uint8))


def test_nothing_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="checkpoint"):
        metta.load_policy(tmp_path)


@pytest.mark.parametrize("name", ["random", "blind", "reflex", "scripted"])
def test_a_reference_player_acts_as_in_an_evaluation(name: str) -> None:
    streams = metta.make_env("level_1_basic", num_worlds=2)
    observations, _ = streams.reset(seed=3)
    player, again = (metta.load_policy(name, seed=1, streams=streams) for _ in range(2))
    for _ in range(STEPS):
        actions = player.act(observations)
        assert actions.tolist() == again.act(observations).tolist()
        observations, *_ = streams.step(actions)
    assert actions.shape == (24,)


def test_a_reference_player_needs_its_worlds() -> None:
    with pytest.raises(InputError, match=r"load_policy\('scripted', streams=streams\)"):
        metta.load_policy("scripted")
    with pytest.raises(InputError, match="Did you mean the reference player 'scripted'"):
        metta.load_policy("scriptd")
