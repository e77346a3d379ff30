"""Playing one evaluation episode once more and keeping every step of it.

The episode is the one that `metta.rl.evaluate` plays, step by step: same map, same spawns, same uniform numbers, and,
because rounding depends on it, the same worlds beside it.

T steps, A agents, C converters, R resources, K actions.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from metta.rl.config import EvaluationConfig, SystemConfig
from metta.rl.devices import choose_device
from metta.rl.evaluate import choose_player, one_episode
from metta.rl.metrics import episode_result
from metta.sim.config import SimConfig
from metta.sim.constants import NUM_RESOURCES
from metta.sim.vector_env import VectorEnv


@dataclass(frozen=True)
class Recording:
    """One episode. Row t is the state in front of step t, the action taken in it, and the reward it gave."""

    start_rows: list[str]
    """The map, one character per cell."""
    legend: dict[str, str]
    """Character -> empty, agent or an object's name."""
    agents: NDArray[np.uint8]
    """[T, A, 6] row, column, orientation, actions still frozen (255: so many or more), action, whether it succeeded."""
    inventories: NDArray[np.uint8]
    """[T, A, R]."""
    converters: NDArray[np.uint8]
    """[T, C, R + 1] contents, and 1 while converting, 2 while cooling down."""
    converter_places: list[tuple[int, int, str]]
    """Row, column and name of each converter."""
    rewards: NDArray[np.float32]
    """[T, A]."""
    probabilities: NDArray[np.uint8] | None
    """[T, A, K] of the actions, in 255ths; None for players that tell none."""
    values: NDArray[np.float32] | None
    """[T, A] predicted return; None for reference players."""
    result: dict[str, Any]
    """What an evaluation keeps of the episode (see `metta.rl.metrics.episode_result`)."""


def record(
    player: Path | str, sim: SimConfig, evaluation: EvaluationConfig, system: SystemConfig, episode: int
) -> Recording:
    """Play episode number `episode` of an evaluation and keep its steps.

    Args:
        player: folder of one checkpoint, or a reference player's name.
        sim: the evaluation environment.
        evaluation: number of worlds and seed of the evaluation.
        system: device.
        episode: from 0; below `evaluation.worlds`.

    Raises:
        InputError: there is no such episode, or the checkpoint is missing, damaged, or does not fit.
    """
    actor = choose_player(player, sim, choose_device(system))
    env, world, numbers = one_episode(sim, evaluation, episode, actor.worlds_at_once)
    torch.set_num_threads(1)  # as in an evaluation
    T, A = sim.max_steps, env.num_agents
    here = slice(world * A, (world + 1) * A)
    places = env.converters(world)
    agents = np.zeros((T, A, 6), np.uint8)
    inventories = np.zeros((T, A, NUM_RESOURCES), np.uint8)
    converters = np.zeros((T, len(places), NUM_RESOURCES + 1), np.uint8)
    rewards = np.zeros((T, A), np.float32)
    probabilities: list[NDArray[np.uint8]] = []
    values: list[NDArray[np.float32]] = []
    start_rows = env.start_rows(world)
    state = actor.initial_state(env.num_worlds)
    for step in range(T):
        agents[step, :, :4] = agent_rows(env, world)
        inventories[step] = env.inventory(world)
        converters[step] = converter_row(env, world)
        decision = actor.act(env, 0, env.num_worlds, state, numbers[step])
        state = decision.state
        if decision.probabilities is not None:
            probabilities.append(in_255ths(decision.probabilities[here]))
        if decision.values is not None:
            values.append(decision.values[here])
        env.step(decision.actions)
        agents[step, :, 4], agents[step, :, 5] = decision.actions[here], env.buffers.action_success[here]
        rewards[step] = env.buffers.rewards[here]
    ended = next(played for played in env.drain_episodes() if played.world == episode)
    return Recording(
        start_rows=start_rows,
        legend=env.legend,
        agents=agents,
        inventories=inventories,
        converters=converters,
        converter_places=[(row, column, name) for row, column, name, *_ in places],
        rewards=rewards,
        probabilities=np.stack(probabilities) if probabilities else None,
        values=np.stack(values) if values else None,
        result=episode_result(ended, sim),
    )


def in_255ths(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Probabilities as whole numbers from 0 to 255, which is as exact as a page shows them."""
    return np.rint(255 * probabilities).astype(np.uint8)


def agent_rows(env: VectorEnv, world: int) -> NDArray[np.uint8]:
    """[A, 4] row, column, orientation and actions still frozen of a world's agents; a rung may freeze them for 256."""
    return np.minimum(env.agent_state(world), 255).astype(np.uint8)


def converter_row(env: VectorEnv, world: int) -> NDArray[np.uint8]:
    """[C, R + 1] contents and state of a world's converters."""
    names = env.config.resource_names
    rows = [
        [contents.get(name, 0) for name in names] + [0] * (NUM_RESOURCES - len(names)) + [converting + 2 * cooling]
        for _, _, _, contents, converting, cooling in env.converters(world)
    ]
    return np.array(rows, np.uint8).reshape(-1, NUM_RESOURCES + 1)
