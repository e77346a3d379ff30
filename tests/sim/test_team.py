"""Threads that step shares of the worlds: asleep, awake, about to fall asleep, and gone with their environment."""

import gc
import threading
import time

import numpy as np
import pytest

from metta.sim import team
from metta.sim.vector_env import VectorEnv
from tests.sim.test_vector_env import CONFIG, actions, same, started, trace


def members() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("worlds ")]


@pytest.fixture(autouse=True)
def no_others() -> None:
    gc.collect()
    wait_for(0)


def wait_for(number: int) -> None:
    """Threads need a moment to end."""
    until = time.monotonic() + 300
    while len(members()) != number and time.monotonic() < until:
        time.sleep(0.01)
    assert len(members()) == number


def test_threads_that_fell_asleep_are_woken_up() -> None:
    acts = actions(40, 6 * 7)
    expected = trace(started(), acts)
    env = started(threads=3)
    found = []
    for number, act in enumerate(acts):
        if number % 10 == 0:
            time.sleep(0.05)  # far longer than anybody looks for news
        found += trace(env, act[None])
    assert same(expected, found)


@pytest.mark.parametrize("patience", [0, 1, 50])
def test_no_step_is_missed_by_threads_about_to_fall_asleep(monkeypatch: pytest.MonkeyPatch, patience: int) -> None:
    monkeypatch.setattr(team, "PATIENCE", patience)
    acts = actions(300, 6 * 7)
    assert same(trace(started(), acts), trace(started(threads=4), acts))


def test_threads_end_with_their_environment() -> None:
    env = started(threads=3)
    assert members() == []  # nothing is started before it is needed
    env.step(np.zeros(env.num_streams, np.int32))
    wait_for(2)
    del env
    gc.collect()
    assert members() == []  # waited for: Python must not end around them


def test_wrong_actions_reach_no_thread() -> None:
    env = VectorEnv(CONFIG, num_worlds=2, seed=0, threads=2)
    with pytest.raises(RuntimeError, match="call reset"):
        env.step(np.zeros(14, np.int32))
    env.reset()
    with pytest.raises(ValueError, match="int32 array"):
        env.step(np.zeros(13, np.int32))
    assert members() == []
