"""Evaluation: one full episode in each of a fixed set of worlds that no training run ever sees.

A world, its spawns and the uniform numbers that actions are drawn with depend on the evaluation seed and the world's
index alone, so every architecture and every training seed meets the same episodes (paired comparisons), and the first
k worlds play the same episodes whatever their number. Since a policy's arithmetic rounds differently with the number of
rows at once, a policy always acts in blocks of the same worlds (`Player.worlds_at_once`), the last one filled up with
worlds that do not count.

Axes: W worlds, A agents, N = W * A streams, T steps.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from metta.agent.policy import Policy
from metta.base.errors import InputError
from metta.base.seeding import derive_seed
from metta.rl.checkpoint import check_fits, load_policy
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.rl.devices import choose_device, choose_threads
from metta.rl.metrics import episode_result
from metta.rl.players import REFERENCE_PLAYERS, Player, PolicyPlayer
from metta.rl.sampling import uniforms
from metta.rl.shards import Shards
from metta.rl.specs import spec_of
from metta.sim.config import SimConfig
from metta.sim.vector_env import VectorEnv


class Episodes(NamedTuple):
    """Which episodes are played: maps, spawns and the randomness of actions."""

    seed: int
    """Seed of the worlds."""
    worlds: int
    """Worlds, from 0."""
    rounds: int
    """Episodes in each world, from 0."""
    kept: int
    """Episodes that count: the first ones, ordered by (episode, world)."""
    sampling_seed: int
    sampling: str
    """Seed and purpose of the uniform numbers that actions are drawn with."""

    def numbers(self, sim: SimConfig, first: int, last: int) -> Tensor:
        """float32 [T, n] in [0, 1) that the agents of worlds first..last-1 act with, all rounds after another."""
        shape = (self.rounds * sim.max_steps, sim.num_agents)
        return torch.cat([uniforms(self.sampling_seed, self.sampling, w, shape) for w in range(first, last)], dim=1)


def held_out(evaluation: EvaluationConfig) -> Episodes:
    """The episodes of an evaluation: one in each world, on maps that no training run meets."""
    seed = derive_seed(evaluation.seed, "evaluation worlds")
    return Episodes(seed, evaluation.worlds, 1, evaluation.worlds, evaluation.seed, "evaluation sampling")


def evaluate(
    player: Path | str | Policy,
    environments: Mapping[str, SimConfig],
    evaluation: EvaluationConfig,
    system: SystemConfig,
    episodes: Episodes | None = None,
) -> dict[str, Any]:
    """Results per environment: a summary and every episode.

    Args:
        player: folder of one checkpoint, its policy, or a reference player's name.
        environments: evaluation environments by name.
        evaluation: number of worlds and seed.
        system: device and threads; results do not depend on the threads.
        episodes: other episodes than the held-out ones of `evaluation`.

    Raises:
        InputError: the checkpoint is missing, damaged, or does not fit an environment.
    """
    device = choose_device(system)
    shards = Shards(choose_threads(system) if device.type == "cpu" else 1)
    try:
        results = {}
        for name, sim in environments.items():
            actor = choose_player(player, sim, device)
            results[name] = evaluate_player(actor, sim, episodes or held_out(evaluation), shards)
        return results
    finally:
        shards.close()


def choose_player(player: Path | str | Policy, sim: SimConfig, device: torch.device) -> Player:
    """The player of a checkpoint's folder or of its policy, or a reference player by its name.

    Raises:
        InputError: the checkpoint is missing, damaged, or does not fit the environment.
    """
    if isinstance(player, str) and player in REFERENCE_PLAYERS:
        return REFERENCE_PLAYERS[player](sim)
    if isinstance(player, Policy):
        check_fits(player, spec_of(sim))
        return PolicyPlayer(player, sim, device)
    return PolicyPlayer(load_policy(Path(player), spec_of(sim)), sim, device)


def evaluate_player(player: Player, sim: SimConfig, wanted: Episodes, shards: Shards) -> dict[str, Any]:
    """Full episodes of one environment; the summary holds means over episodes of means over agents."""
    size = player.worlds_at_once
    blocks = [(first, first + size) for first in range(0, wanted.worlds, size)]
    env = VectorEnv(sim, num_worlds=size * len(blocks), seed=wanted.seed)
    env.reset()
    actions = np.zeros(env.num_streams, dtype=np.int32)

    def play(worlds: tuple[int, int]) -> None:
        first, last = worlds
        here = slice(first * env.num_agents, last * env.num_agents)
        state = player.initial_state(size)
        for numbers in wanted.numbers(sim, first, last):
            actions[here], state = player.choose(env, first, last, state, numbers)
            env.step_worlds(actions, first, last)

    shards.map(play, blocks)
    ended = [episode for episode in env.drain_episodes() if episode.world < wanted.worlds]
    played = sorted(ended, key=lambda episode: (episode.episode, episode.world))
    return summary([episode_result(episode, sim) for episode in played[: wanted.kept]])


def summary(episodes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over episodes of each episode's mean over agents, their spread, and the episodes themselves."""
    reward = [float(np.mean(episode["reward"])) for episode in episodes]
    hearts = [float(np.mean(episode["hearts"])) for episode in episodes]
    return {
        "reward": float(np.mean(reward)),
        "hearts_per_agent": float(np.mean(hearts)),
        "episodes": len(episodes),
        "spread": {"reward": spread(reward), "hearts_per_agent": spread(hearts)},
        "worlds_hash": worlds_hash(episodes),
        "per_episode": list(episodes),
    }


def one_episode(
    sim: SimConfig, evaluation: EvaluationConfig, episode: int, at_once: int = 1
) -> tuple[VectorEnv, int, Tensor]:
    """The world of one held-out episode, at its start, among those that are played at once with it.

    Args:
        sim: the environment.
        evaluation: number of worlds and seed.
        episode: from 0.
        at_once: worlds in a block: `Player.worlds_at_once`, for exactly what the player did in the evaluation.

    Returns:
        The block's worlds, which of them it is, and the numbers float32 [T, at_once * A] that actions are drawn with.

    Raises:
        InputError: there is no such episode.
    """
    if not 0 <= episode < evaluation.worlds:
        raise InputError(f"episode={episode} is not one of the {evaluation.worlds} of this evaluation, 0 is the first.")
    wanted = held_out(evaluation)
    first = episode - episode % at_once
    env = VectorEnv(sim, num_worlds=at_once, seed=wanted.seed, first_world=first)
    env.reset()
    return env, episode - first, wanted.numbers(sim, first, first + at_once)


def spread(values: Sequence[float]) -> dict[str, float]:
    """How far episodes differ: sample standard deviation (0 for one episode), smallest and largest."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"standard_deviation": deviation, "minimum": min(values), "maximum": max(values)}


def worlds_hash(episodes: Sequence[Mapping[str, Any]]) -> str:
    """One hash of all maps with their spawns: equal hashes mean that the same episodes were played."""
    return hashlib.blake2b("".join(episode["map_hash"] for episode in episodes).encode(), digest_size=16).hexdigest()
