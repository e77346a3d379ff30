"""Playing one evaluation episode once more and keeping every step of it.

The episode is the one that `metta.rl.evaluate` plays: same map, same spawns, same uniform numbers. A policy's rounding
may differ with the number of rows computed at once, and with it, rarely, an action.

T steps, A agents, C converters, R resources, K actions.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metta.agent.policy import Policy
from metta.base.addresses import RANDOM, SCRIPTED
from metta.base.errors import InputError
from metta.base.seeding import derive_seed
from metta.rl.checkpoint import load_policy
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.rl.metrics import episode_result
from metta.rl.players import Player, RandomPlayer, ScriptedPlayer
from metta.rl.sampling import sample_actions, uniforms
from metta.rl.trainer import choose_device, spec_of
from metta.sim.config import SimConfig
from metta.sim.constants import NUM_ACTIONS, NUM_RESOURCES
from metta.sim.vector_env import VectorEnv


@dataclass(frozen=True)
class Recording:
    """One episode. Row t is the state in front of step t, the action taken in it, and the reward it gave."""

    start_rows: list[str]
    """The map, one character per cell."""
    legend: dict[str, str]
    """Character -> empty, agent or an object's name."""
    agents: NDArray[np.uint8]
    """[T, A, 6] row, column, orientation, actions still frozen, action, whether it succeeded."""
    inventories: NDArray[np.uint8]
    """[T, A, R]."""
    converters: NDArray[np.uint8]
    """[T, C, R + 1] contents, and 1 while converting, 2 while cooling down."""
    converter_places: list[tuple[int, int, str]]
    """Row, column and name of each converter."""
    rewards: NDArray[np.float32]
    """[T, A]."""
    probabilities: NDArray[np.uint8] | None
    """[T, A, K] of the actions, in 255ths; None for the scripted player, which has none."""
    values: NDArray[np.float32] | None
    """[T, A] predicted return; None for reference players."""
    result: dict[str, Any]
    """What an evaluation keeps of the episode (see `metta.rl.metrics.episode_result`)."""


class WatchedPolicy:
    """A policy that acts as in an evaluation and leaves probabilities and values to be read after each step."""

    def __init__(self, policy: Policy, sim: SimConfig, device: torch.device) -> None:
        self._policy, self._sim, self._device = policy.to(device), sim, device
        self.probabilities = np.zeros((sim.num_agents, NUM_ACTIONS), np.float32)
        self.values = np.zeros(sim.num_agents, np.float32)

    def initial_state(self, worlds: int) -> Any:
        return self._policy.initial_state(worlds * self._sim.num_agents, device=self._device)

    def act(self, env: VectorEnv, first: int, last: int, state: Any, uniforms: Tensor) -> tuple[NDArray[np.int32], Any]:
        here = slice(first * env.num_agents, last * env.num_agents)
        observations = torch.from_numpy(env.buffers.observations[here]).to(self._device)
        resets = torch.from_numpy(env.buffers.resets[here]).to(self._device)
        with torch.no_grad():
            output = self._policy(observations.unsqueeze(1), resets.unsqueeze(1), state)
            actions, _ = sample_actions(output.logits[:, 0], uniforms.to(self._device))
            self.probabilities = torch.softmax(output.logits[:, 0].float(), dim=-1).cpu().numpy()
            self.values = output.values[:, 0].float().cpu().numpy()
        return actions.cpu().numpy().astype(np.int32), output.state


def choose_player(player: Path | str, sim: SimConfig, system: SystemConfig) -> Player:
    """The player of a checkpoint's folder, of "random" or of "scripted".

    Raises:
        InputError: the checkpoint is missing, damaged, or does not fit the environment.
    """
    if player == RANDOM:
        return RandomPlayer()
    if player == SCRIPTED:
        return ScriptedPlayer(sim)
    return WatchedPolicy(load_policy(Path(player), spec_of(sim)), sim, choose_device(system))


def record(
    player: Path | str, sim: SimConfig, evaluation: EvaluationConfig, system: SystemConfig, episode: int
) -> Recording:
    """Play episode number `episode` of an evaluation and keep its steps.

    Args:
        player: folder of one checkpoint, "random" or "scripted".
        sim: the evaluation environment.
        evaluation: number of worlds and seed of the evaluation.
        system: device.
        episode: from 0; below `evaluation.worlds`.

    Raises:
        InputError: there is no such episode, or the checkpoint is missing, damaged, or does not fit.
    """
    if not 0 <= episode < evaluation.worlds:
        raise InputError(f"episode={episode} is not one of the {evaluation.worlds} of this evaluation, 0 is the first.")
    actor = choose_player(player, sim, system)
    env = VectorEnv(sim, num_worlds=1, seed=derive_seed(evaluation.seed, "evaluation worlds"), first_world=episode)
    env.reset()
    T, A = sim.max_steps, env.num_agents
    here = slice(episode * A, (episode + 1) * A)
    numbers = uniforms(evaluation.seed, "evaluation sampling", 0, (T, evaluation.worlds * A))[:, here]
    places = env.converters(0)
    agents = np.zeros((T, A, 6), np.uint8)
    inventories = np.zeros((T, A, NUM_RESOURCES), np.uint8)
    converters = np.zeros((T, len(places), NUM_RESOURCES + 1), np.uint8)
    rewards, values = np.zeros((T, A), np.float32), np.zeros((T, A), np.float32)
    probabilities = np.full((T, A, NUM_ACTIONS), round(255 / NUM_ACTIONS), np.uint8)
    start_rows = env.start_rows(0)
    state = actor.initial_state(1)
    actions = np.zeros(A, np.int32)
    for step in range(T):
        agents[step, :, :4] = env.agent_state(0)
        inventories[step] = env.inventory(0)
        converters[step] = converter_row(env)
        actions[:], state = actor.act(env, 0, 1, state, numbers[step])
        if isinstance(actor, WatchedPolicy):
            probabilities[step] = np.rint(255 * actor.probabilities)
            values[step] = actor.values
        env.step_worlds(actions, 0, 1)
        agents[step, :, 4], agents[step, :, 5] = actions, env.buffers.action_success
        rewards[step] = env.buffers.rewards
    watched = isinstance(actor, WatchedPolicy)
    return Recording(
        start_rows=start_rows,
        legend=env.legend,
        agents=agents,
        inventories=inventories,
        converters=converters,
        converter_places=[(row, column, name) for row, column, name, *_ in places],
        rewards=rewards,
        probabilities=probabilities if watched or player == RANDOM else None,
        values=values if watched and math.isfinite(float(values.sum())) else None,
        result=episode_result(env.drain_episodes()[0], sim),
    )


def converter_row(env: VectorEnv) -> NDArray[np.uint8]:
    """[C, R + 1] contents and state of the converters of world 0."""
    names = env.config.resource_names
    rows = [
        [contents.get(name, 0) for name in names] + [0] * (NUM_RESOURCES - len(names)) + [converting + 2 * cooling]
        for _, _, _, contents, converting, cooling in env.converters(0)
    ]
    return np.array(rows, np.uint8).reshape(-1, NUM_RESOURCES + 1)
