"""Checks that everything random about a run follows from its seed: equal seeds, equal results; others, other ones.

Each source of randomness is taken as training and evaluation take it, and reduced to a fingerprint of all its bytes.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metta.agent.checkpoint import policy_tensors
from metta.base.addresses import RANDOM
from metta.base.files import read_json
from metta.base.run_files import MANIFEST, POLICY_WEIGHTS
from metta.rl.checkpoint import newest_sound
from metta.rl.config import EvaluationConfig, RunConfig
from metta.rl.curriculum import start_curriculum
from metta.rl.evaluate import evaluate
from metta.rl.sampling import permutation
from metta.rl.trainer import action_uniforms, initial_policy, train, training_worlds
from metta.sim.constants import NUM_ACTIONS

STEPS = 20
"""Steps that worlds are played for, with the same actions whatever the seed."""


@dataclass(frozen=True)
class Finding:
    """What one source of randomness was seen to do."""

    source: str
    equal_seeds_agree: bool
    different_seeds_differ: bool
    fingerprint: str
    """Of the first seed."""

    @property
    def sound(self) -> bool:
        """Whether it did what it should."""
        return self.equal_seeds_agree and self.different_seeds_differ


def audit(config: RunConfig, other_seed: int) -> list[Finding]:
    """One finding per source of randomness.

    Args:
        config: a run, short enough to be trained three times; its seed is the first one.
        other_seed: another seed.
    """
    sources: dict[str, Callable[[RunConfig], Iterable[bytes]]] = {
        "weights": weights,
        "maps and spawns": maps,
        "world steps": world_steps,
        "curriculum": curriculum_draws,
        "action sampling": sampling,
        "minibatch order": minibatches,
        "whole training run": trained,
        "evaluation": evaluated,
    }
    if config.curriculum.sampler == "off":
        del sources["curriculum"]
    return [finding(name, source, config, other_seed) for name, source in sources.items()]


def finding(name: str, source: Callable[[RunConfig], Iterable[bytes]], config: RunConfig, other_seed: int) -> Finding:
    """The source's fingerprints for the seed, the same seed again, and the other seed."""
    other = with_seed(config, other_seed)
    first, again, different = (fingerprint(source(one)) for one in (config, config, other))
    return Finding(name, first == again, first != different, first)


def with_seed(config: RunConfig, seed: int) -> RunConfig:
    """The run with another seed, in training and in evaluation."""
    evaluation: EvaluationConfig = config.evaluation.model_copy(update={"seed": seed})
    return config.model_copy(update={"seed": seed, "evaluation": evaluation})


def fingerprint(parts: Iterable[bytes]) -> str:
    """16 hexadecimal digits of a hash over all parts."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def weights(config: RunConfig) -> Iterable[bytes]:
    """The policy before its first update."""
    return (
        tensor.detach().cpu().numpy().tobytes() for _, tensor in sorted(policy_tensors(initial_policy(config)).items())
    )


def maps(config: RunConfig) -> Iterable[bytes]:
    """The start maps of all training worlds, agents included."""
    env = training_worlds(config, None)
    return ("\n".join(env.start_rows(world)).encode() for world in range(env.num_worlds))


def world_steps(config: RunConfig) -> Iterable[bytes]:
    """The action orders of all training worlds, under the same actions whatever the seed."""
    env = training_worlds(config, None)
    actions = np.random.default_rng(0).integers(0, NUM_ACTIONS, (STEPS, env.num_streams), dtype=np.int32)
    for row in actions:
        env.step(row)
        for world in range(env.num_worlds):
            yield env.action_order(world).tobytes()


def curriculum_draws(config: RunConfig) -> Iterable[bytes]:
    """The tasks that the curriculum makes active first, and those that the worlds draw from all of them."""
    curriculum = start_curriculum(config.sim, config.curriculum, config.seed, config.episode_length)
    if curriculum is not None:
        yield curriculum.weights.tobytes()
        env = training_worlds(config, curriculum)
        yield str([env.variant(world) for world in range(env.num_worlds)]).encode()


def sampling(config: RunConfig) -> Iterable[bytes]:
    """What the actions of the first two rollouts are drawn with."""
    return (action_uniforms(config, update, config.sim.num_agents).numpy().tobytes() for update in range(2))


def minibatches(config: RunConfig) -> Iterable[bytes]:
    """How the streams of the first two updates are shuffled."""
    streams = config.num_worlds * config.sim.num_agents
    return (permutation(config.seed, "minibatches", index, streams).numpy().tobytes() for index in range(2))


def trained(config: RunConfig) -> Iterable[bytes]:
    """The weights and the reproducible metrics of the whole run."""
    with tempfile.TemporaryDirectory() as name:
        lines: list[Any] = []
        train(config, Path(name), lambda progress: lines.append(sorted(progress.metrics.items())))
        checkpoint = newest_sound(Path(name) / "checkpoints")
        assert checkpoint is not None
        yield str(read_json(checkpoint / MANIFEST)[POLICY_WEIGHTS]["sha256"]).encode()
        yield repr(lines).encode()


def evaluated(config: RunConfig) -> Iterable[bytes]:
    """Every episode of an evaluation of the random player."""
    return [repr(evaluate(RANDOM, config.evaluation_environments, config.evaluation, config.system)).encode()]
