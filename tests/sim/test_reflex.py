"""The reflex player: a function of what an agent sees and of a random number; no memory, no view behind the window."""

import numpy as np
import pytest
import torch

from metta.rl.players import ReflexPlayer
from metta.sim.constants import FIRST_MOVE, GET_ITEMS, HEART, LAST_MOVE, PUT_ITEMS
from metta.sim.scripted.reflex import RANDOM_MOVES
from metta.sim.scripted.reflex import ReflexPlayer as Reflexes
from metta.sim.vector_env import VectorEnv
from tests.sim.test_scripted import level, small

CALM = np.array([0.5], np.float32)
"""A random number that brings no random move."""


def acted(rows: tuple[str, ...], steps: int, uniforms: np.ndarray) -> list[int]:
    """The actions of the first agent of a map, everybody playing."""
    config = small(rows, steps + 1, initial_count=1)
    env = VectorEnv(config, num_worlds=1, seed=0)
    env.reset()
    player = ReflexPlayer(config)
    actions = []
    for step in range(steps):
        chosen, _ = player.choose(env, 0, 1, None, torch.from_numpy(uniforms[step, : env.num_streams]))
        actions.append(int(chosen[0]))
        env.step(chosen)
    return actions


def corridor(behind: str) -> tuple[str, ...]:
    """A closed room whose agent sees five cells around it, and what stands beyond."""
    return ("#" * 16, f"#@  m  #{behind}#", f"#G  A  #{behind[::-1]}#", "#" * 16)


def test_the_world_outside_its_window_changes_nothing() -> None:
    uniforms = np.random.default_rng(0).random((40, 2), dtype=np.float32)
    here = acted(corridor("       "), 40, uniforms)
    assert here == acted(corridor("mAG #Am"), 40, uniforms)
    assert here == acted(corridor("Gm   @A"), 40, uniforms)
    assert here != acted(("#" * 16, "#@ m   #       #", "#G  A  #       #", "#" * 16), 40, uniforms)


def test_it_has_no_memory_and_agents_do_not_share_thoughts() -> None:
    config = level(15, 12, 1, 2)
    env = VectorEnv(config, num_worlds=2, seed=3)
    env.reset()
    player = Reflexes(config)
    generator = np.random.default_rng(1)
    seen, drawn, chosen = [], [], []
    for _ in range(50):
        uniforms = generator.random(env.num_streams, dtype=np.float32)
        actions = player.act(env.buffers.observations, uniforms)
        seen.append(env.buffers.observations.copy())
        drawn.append(uniforms)
        chosen.append(actions)
        env.step(actions)
    order = generator.permutation(50 * env.num_streams)
    again = Reflexes(config).act(np.concatenate(seen)[order], np.concatenate(drawn)[order])
    assert np.array_equal(again, np.concatenate(chosen)[order])


@pytest.mark.parametrize(
    ("rows", "initial", "action"),
    [
        (("###", "#m#", "#@#", "###"), 1, GET_ITEMS),
        (("###", "#A#", "#@#", "###"), 1, GET_ITEMS),
        (("####", "# @#", "#m##", "####"), 1, FIRST_MOVE + 2),  # first west, then it faces the mine
        (("####", "#@m#", "####"), 1, FIRST_MOVE + 3),  # turn to the mine
        (("#####", "#  @#", "#####"), 0, FIRST_MOVE + 2),  # nothing to use: where it is free
    ],
)
def test_what_it_does_in_plain_sights(rows: tuple[str, ...], initial: int, action: int) -> None:
    config = small(rows, 10, initial_count=initial)
    env = VectorEnv(config, num_worlds=1, seed=0)
    env.reset()
    assert Reflexes(config).act(env.buffers.observations, CALM).tolist() == [action]


def test_it_walks_the_chain_to_a_heart() -> None:
    rows = ("#######", "#m@G  #", "#    A#", "#######")
    config = small(rows, 60)
    env = VectorEnv(config, num_worlds=1, seed=0)
    env.reset()
    player = Reflexes(config)
    generator = np.random.default_rng(2)
    actions = []
    for _ in range(60):
        chosen = player.act(env.buffers.observations, generator.random(1, dtype=np.float32))
        actions.append(int(chosen[0]))
        env.step(chosen)
    assert PUT_ITEMS in actions
    assert env.drain_episodes()[0].final_inventory[0, HEART] >= 1


def test_some_moves_are_random() -> None:
    config = small(("###", "#m#", "#@#", "###"), 10, initial_count=1)
    env = VectorEnv(config, num_worlds=1, seed=0)
    env.reset()
    uniforms = np.linspace(0, 0.999, 1000, dtype=np.float32)
    actions = Reflexes(config).act(np.repeat(env.buffers.observations, 1000, axis=0), uniforms)
    moves = (actions >= FIRST_MOVE) & (actions <= LAST_MOVE)
    assert moves.mean() == pytest.approx(RANDOM_MOVES, abs=0.002)
    assert set(actions[moves]) == set(range(FIRST_MOVE, LAST_MOVE + 1))
