"""Evaluation: one full episode in each of a fixed set of worlds that no training run ever sees.

The worlds, their spawns and the uniform numbers that actions are drawn with depend on the evaluation seed alone, so
every architecture and every training seed meets the same episodes (paired comparisons).

Axes: W worlds, A agents, N = W * A streams, T steps.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from metta.base.addresses import RANDOM, SCRIPTED
from metta.base.errors import InputError
from metta.base.seeding import derive_seed
from metta.rl.checkpoint import load_policy
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.rl.devices import choose_device, choose_threads
from metta.rl.metrics import episode_result
from metta.rl.players import Player, PolicyPlayer, RandomPlayer, ScriptedPlayer
from metta.rl.sampling import uniforms
from metta.rl.shards import Shards, split
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


def held_out(evaluation: EvaluationConfig) -> Episodes:
    """The episodes of an evaluation: one in each world, on maps that no training run meets."""
    seed = derive_seed(evaluation.seed, "evaluation worlds")
    return Episodes(seed, evaluation.worlds, 1, evaluation.worlds, evaluation.seed, "evaluation sampling")


def evaluate(
    player: Path | str,
    environments: Mapping[str, SimConfig],
    evaluation: EvaluationConfig,
    system: SystemConfig,
    episodes: Episodes | None = None,
) -> dict[str, Any]:
    """Results per environment: a summary and every episode.

    Args:
        player: folder of one checkpoint, "random" or "scripted".
        environments: evaluation environments by name.
        evaluation: number of worlds and seed.
        system: device and threads; results do not depend on the threads beyond rounding of the policy's arithmetic.
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


def choose_player(player: Path | str, sim: SimConfig, device: torch.device) -> Player:
    """The player of a checkpoint's folder, of "random" or of "scripted".

    Raises:
        InputError: the checkpoint is missing, damaged, or does not fit the environment.
    """
    if player == RANDOM:
        return RandomPlayer()
    if player == SCRIPTED:
        return ScriptedPlayer(sim)
    return PolicyPlayer(load_policy(Path(player), spec_of(sim)), sim, device)


def evaluate_player(player: Player, sim: SimConfig, wanted: Episodes, shards: Shards) -> dict[str, Any]:
    """Full episodes of one environment; the summary holds means over episodes of means over agents."""
    env = VectorEnv(sim, num_worlds=wanted.worlds, seed=wanted.seed)
    env.reset()
    actions = np.zeros(env.num_streams, dtype=np.int32)
    steps = wanted.rounds * sim.max_steps
    uniforms_TN = uniforms(wanted.sampling_seed, wanted.sampling, 0, (steps, env.num_streams))

    def play(worlds: tuple[int, int]) -> None:
        first, last = worlds
        here = slice(first * env.num_agents, last * env.num_agents)
        state = player.initial_state(last - first)
        for step in range(steps):
            actions[here], state = player.choose(env, first, last, state, uniforms_TN[step, here])
            env.step_worlds(actions, first, last)

    shards.map(play, split(env.num_worlds, shards.threads))
    played = sorted(env.drain_episodes(), key=lambda episode: (episode.episode, episode.world))
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


def one_episode(sim: SimConfig, evaluation: EvaluationConfig, episode: int) -> tuple[VectorEnv, Tensor]:
    """The world of one held-out episode, at its start, and the numbers float32 [T, A] that actions are drawn with.

    Raises:
        InputError: there is no such episode.
    """
    if not 0 <= episode < evaluation.worlds:
        raise InputError(f"episode={episode} is not one of the {evaluation.worlds} of this evaluation, 0 is the first.")
    wanted = held_out(evaluation)
    env = VectorEnv(sim, num_worlds=1, seed=wanted.seed, first_world=episode)
    env.reset()
    here = slice(episode * env.num_agents, (episode + 1) * env.num_agents)
    shape = (sim.max_steps, wanted.worlds * env.num_agents)
    return env, uniforms(wanted.sampling_seed, wanted.sampling, 0, shape)[:, here]


def spread(values: Sequence[float]) -> dict[str, float]:
    """How far episodes differ: sample standard deviation (0 for one episode), smallest and largest."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"standard_deviation": deviation, "minimum": min(values), "maximum": max(values)}


def worlds_hash(episodes: Sequence[Mapping[str, Any]]) -> str:
    """One hash of all maps with their spawns: equal hashes mean that the same episodes were played."""
    return hashlib.blake2b("".join(episode["map_hash"] for episode in episodes).encode(), digest_size=16).hexdigest()
