"""Copies of environments go on exactly as their originals, in whatever way and whenever they were made."""

import ast
import copy
import multiprocessing
import os
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metta
from experiments.environments import LoneAgent
from metta.base.provenance import REPOSITORY
from metta.sim.gymnasium_env import ArenaStreams
from metta.sim.pettingzoo_env import ArenaParallelEnv
from metta.sim.vector_env import VectorEnv
from tests.sim.test_vector_env import CONFIG, FIELDS

STEPS = 200
"""Episodes have 30 steps, those of a level's lone agent 1000."""


def native(threads: int) -> VectorEnv:
    return VectorEnv(CONFIG, num_worlds=3, seed=3, threads=threads, desynchronise=True)


def streams(threads: int) -> ArenaStreams:
    return ArenaStreams(CONFIG, num_worlds=2, threads=threads, desynchronise=True)


def parallel(threads: int) -> ArenaParallelEnv:
    return ArenaParallelEnv(CONFIG, render_mode="ansi")


def by_name(threads: int) -> ArenaStreams:
    return metta.make_env("level_5_expert", threads=threads)


def parallel_by_name(threads: int) -> ArenaParallelEnv:
    return metta.parallel_env("level_3_medium", render_mode="ansi")


def alone(threads: int) -> LoneAgent:
    return LoneAgent("level_1_basic", render_mode="ansi")


def through_pickle(env: Any) -> Any:
    return pickle.loads(pickle.dumps(env))


KINDS: list[Callable[[int], Any]] = [native, streams, parallel, by_name, parallel_by_name, alone]
WAYS: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, through_pickle]


def play(env: Any, steps: int, seed: int) -> list[Any]:
    """Random actions; everything that the environment shows of them, as plain data."""
    rng = np.random.default_rng(seed)
    shown: list[Any] = []
    for _ in range(steps):
        if isinstance(env, VectorEnv):
            env.step(rng.integers(0, 16, env.num_streams).astype(np.int32))
            shown.append([getattr(env.buffers, name).tobytes() for name in FIELDS])
            shown.append([(episode.map_hash, episode.returns.tolist()) for episode in env.drain_episodes()])
        elif isinstance(env, ArenaStreams):
            *arrays, infos = env.step(rng.integers(0, 16, env.num_envs).astype(np.int32))
            shown.append([array.tobytes() for array in arrays])
            shown.append(repr(infos))
        elif isinstance(env, LoneAgent):
            tokens, *rest = env.step(int(rng.integers(16)))
            shown.append([tokens.tobytes(), rest, env.render()])
            if rest[1] or rest[2]:
                shown.append(env.reset()[0].tobytes())
        else:
            if not env.agents:
                observations, _ = env.reset()
                shown.append([tokens.tobytes() for tokens in observations.values()])
            observations, *others = env.step({agent: int(rng.integers(16)) for agent in env.agents})
            shown.append([tokens.tobytes() for tokens in observations.values()])
            shown.append([others, env.render()])
    return shown


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    kind=st.sampled_from(KINDS),
    way=st.sampled_from(WAYS),
    threads=st.integers(1, 2),
    before=st.one_of(st.none(), st.integers(0, 70), st.integers(850, 950)),
    seed=st.integers(0, 2**32),
)
def test_a_copy_and_its_original_agree(
    kind: Callable[[int], Any], way: Callable[[Any], Any], threads: int, before: int | None, seed: int
) -> None:
    """Over episode ends, copied before `reset` or after any number of steps; the copying disturbs no original."""
    original, undisturbed = kind(threads), kind(threads)
    if before is not None:
        for env in (original, undisturbed):
            env.reset(seed=seed)
            play(env, before, seed)
    twin = way(original)
    if before is None:
        for env in (original, undisturbed, twin):
            env.reset(seed=seed)
    ahead = play(twin, STEPS, seed + 1)
    assert play(original, STEPS, seed + 1) == ahead
    assert play(undisturbed, STEPS, seed + 1) == ahead
    assert play(twin, 1, seed + 2) == play(way(original), 1, seed + 2), "a copy of what was copied"


def test_episodes_not_drained_are_in_both() -> None:
    env = native(1)
    env.reset()
    for _ in range(40):
        env.step(np.zeros(env.num_streams, np.int32))
    twin = copy.copy(env)
    hashes = [episode.map_hash for episode in env.drain_episodes()]
    assert len(hashes) >= 3
    assert [episode.map_hash for episode in twin.drain_episodes()] == hashes


def test_buffers_of_the_caller_stay_with_the_original() -> None:
    env = native(1)
    env.reset()
    twin = copy.deepcopy(env)
    before = env.buffers.observations.copy()
    play(twin, 5, 0)
    assert np.array_equal(env.buffers.observations, before)
    assert not np.array_equal(twin.buffers.observations, before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_copy_in_another_process_agrees(kind: Callable[[int], Any], start: str) -> None:
    env = kind(2)
    env.reset(seed=5)
    play(env, 20, 1)  # its threads are running
    context = multiprocessing.get_context(start)
    here, there = context.Pipe()
    process = context.Process(target=_play_and_tell, args=(env, there))  # type: ignore[attr-defined]
    process.start()
    there.close()
    shown = here.recv()  # ends with an error when the process does
    process.join()
    assert process.exitcode == 0
    assert shown == (process.pid, play(env, STEPS, 2))


def _play_and_tell(env: Any, pipe: Any) -> None:
    pipe.send((os.getpid(), play(env, STEPS, 2)))


def test_every_environment_is_among_them() -> None:
    """Every class of the project that steps worlds for a caller; those on a GPU are in cuda_cases.py."""
    found = set()
    for folder in ("metta", "experiments"):
        for file in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                methods = {part.name for part in getattr(node, "body", ()) if isinstance(part, ast.FunctionDef)}
                if isinstance(node, ast.ClassDef) and methods >= {"reset", "step"}:
                    found.add(node.name)
    assert found == {type(kind(1)).__name__ for kind in KINDS} | {"CudaVectorEnv"}
