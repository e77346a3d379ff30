"""The imitation probe: a policy learns to do what the reflex player would, in one pass over a number of samples.

Half of the worlds are played by the teacher, the others by the learner; in all of them the teacher says what it would
do, and that is what the learner is taught (Ross et al. 2011, "A Reduction of Imitation Learning and Structured
Prediction to No-Regret Online Learning", with a constant mixture in place of a falling one). Acting, segments,
recurrent state and Adam are those of reinforcement learning, so what differs from it is the signal alone: no
exploration and no delayed reward.

Axes: N streams, B streams of a minibatch, T steps, W worlds, A agents.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from metta.agent.policy import Policy
from metta.agent.state import rows
from metta.base.addresses import REFLEX
from metta.base.errors import RunError
from metta.rl.adam import Adam
from metta.rl.config import RunConfig
from metta.rl.devices import choose_device, choose_shares, choose_threads
from metta.rl.evaluate import evaluate_player, held_out
from metta.rl.players import REFERENCE_PLAYERS, Actions, Decision, Player, PolicyPlayer
from metta.rl.recording import recorder
from metta.rl.rollout import Collector, Segments
from metta.rl.sampling import permutation, uniforms
from metta.rl.shards import Shards, split
from metta.rl.trainer import action_uniforms, initial_policy, training_worlds
from metta.sim.config import SimConfig
from metta.sim.vector_env import Buffers, VectorEnv

SMALLEST = 1e-12
"""Probability below which an action counts as having this one, so that one step costs at most 28 nats."""


class TaughtWorlds:
    """Worlds in which a teacher says what it would do in every step and, in every second world, does it."""

    def __init__(self, env: VectorEnv, teacher: Player, steps: int) -> None:
        """`env` has been reset; `teacher` remembers nothing; `steps` is T."""
        self._env, self._teacher = env, teacher
        self.num_worlds, self.num_agents, self.num_streams = env.num_worlds, env.num_agents, env.num_streams
        self.buffers: Buffers = env.buffers
        self.labels = torch.zeros(env.num_streams, steps, dtype=torch.int64)
        """[N, T] what the teacher would have done in the steps since `begin`."""
        self._taken = np.zeros(env.num_worlds, np.int64)
        self._taught = np.repeat(np.arange(env.num_worlds) % 2 == 0, env.num_agents)

    def begin(self, uniforms_TN: Tensor) -> None:
        """Begin a segment; uniforms float32 [T, N] are the teacher's."""
        self._uniforms_TN = uniforms_TN
        self._taken[:] = 0

    def step_worlds(self, actions: Actions, first: int, last: int) -> None:
        """One step of worlds first..last-1, as `VectorEnv.step_worlds`; the teacher's actions are written over."""
        here, t = slice(first * self.num_agents, last * self.num_agents), int(self._taken[first])
        wanted, _ = self._teacher.choose(self._env, first, last, None, self._uniforms_TN[t, here])
        self.labels[here, t] = torch.from_numpy(wanted.astype(np.int64))
        actions[here] = np.where(self._taught[here], wanted, actions[here])
        self._env.step_worlds(actions, first, last)
        self._taken[first:last] += 1


class Examined:
    """A learner and its teacher on the same observations; one of them acts, and the learner's surprise is noted."""

    def __init__(self, learner: Player, teacher: Player, worlds: int, learner_acts: bool) -> None:
        """`worlds` of the evaluation count."""
        self._learner, self._teacher, self._learner_acts = learner, teacher, learner_acts
        self.worlds_at_once = learner.worlds_at_once
        places = -(-worlds // self.worlds_at_once) * self.worlds_at_once
        self._nats, self._agreed = (np.zeros((places, 2)) for _ in range(2))
        self._worlds = worlds

    def initial_state(self, worlds: int) -> Any:
        """The learner's."""
        return self._learner.initial_state(worlds)

    def act(self, env: VectorEnv, first: int, last: int, state: Any, uniforms: Tensor) -> Decision:
        """What the one who acts does; the probabilities and values are the learner's."""
        decision = self._learner.act(env, first, last, state, uniforms)
        wanted, _ = self._teacher.choose(env, first, last, None, uniforms)
        assert decision.probabilities is not None
        chances = np.take_along_axis(decision.probabilities, wanted[:, None].astype(np.int64), 1)[:, 0]
        agreed = decision.probabilities.argmax(1) == wanted
        for noted, values in ((self._nats, -np.log(np.maximum(chances, SMALLEST))), (self._agreed, agreed)):
            noted[first:last, 0] += values.reshape(last - first, -1).mean(1)
            noted[first:last, 1] += 1
        return decision if self._learner_acts else decision._replace(actions=wanted)

    def choose(self, env: VectorEnv, first: int, last: int, state: Any, uniforms: Tensor) -> tuple[Actions, Any]:
        """As `act`."""
        decision = self.act(env, first, last, state, uniforms)
        return decision.actions, decision.state

    def means(self) -> dict[str, float]:
        """Per step: cross-entropy in nats, and the share in which the likeliest action is the teacher's."""
        sums = {"cross_entropy": self._nats, "agreement": self._agreed}
        return {name: float((s[: self._worlds, 0] / s[: self._worlds, 1]).mean()) for name, s in sums.items()}


def imitate(
    config: RunConfig, environment: str, on_update: Callable[[int, float], None] = lambda samples, loss: None
) -> dict[str, Any]:
    """Train a policy to imitate, and examine it on held-out episodes.

    Args:
        config: a run of reinforcement learning; architecture, seed, worlds, segments, minibatches, learning rate and
            gradient limit are taken from it, `trainer.total_timesteps` is the number of samples.
        environment: evaluation environment of the examination.
        on_update: hears the samples so far and the cross-entropy of the last update.

    Returns:
        `samples`; `learning`: lists of samples and cross-entropy per update; `hearts_per_agent`, `spread`, `episodes`
        and `worlds_hash` of the learner's held-out episodes; `own_states` and `teacher_states`: see `Examined.means`,
        where the learner and where the teacher acts.

    Raises:
        RunError: the loss became non-finite.
        InputError: the environment does not hold the chain that the reflex player knows.
    """
    device = choose_device(config.system)
    acting, learning = choose_shares(choose_threads(config.system), device, "cpu")
    shards = Shards(learning)
    acting_shards = shards if acting == learning else Shards(acting)
    try:
        policy = initial_policy(config).to(device)
        curve = _pass(config, policy, device, shards, acting_shards, on_update)
        sim = config.evaluation_environments[environment]
        own = _examine(policy, sim, config, device, acting_shards, learner_acts=True)
        teacher = _examine(policy, sim, config, device, acting_shards, learner_acts=False)
    finally:
        acting_shards.close()
        shards.close()
    result, own_means = own
    return {
        "samples": curve[-1][0],
        "learning": [list(column) for column in zip(*curve, strict=True)],
        **{name: result[name] for name in ("hearts_per_agent", "episodes", "worlds_hash")},
        "spread": result["spread"]["hearts_per_agent"],
        "hearts_of_episodes": [float(np.mean(episode["hearts"])) for episode in result["per_episode"]],
        "own_states": own_means,
        "teacher_states": teacher[1],
    }


def _pass(
    config: RunConfig,
    policy: Policy,
    device: torch.device,
    shards: Shards,
    acting_shards: Shards,
    on_update: Callable[[int, float], None],
) -> list[tuple[int, float]]:
    """One pass over the samples; samples and cross-entropy after each update."""
    trainer = config.trainer
    env = training_worlds(config, None)
    worlds = TaughtWorlds(env, REFERENCE_PLAYERS[REFLEX](config.sim), trainer.rollout_steps)
    # Before anything is recorded: it moves parameters in memory.
    optimizer = Adam([parameter for parameter in policy.parameters() if parameter.requires_grad], trainer)
    play = recorder(device, config.system)
    collector = Collector(worlds, policy, trainer.rollout_steps, device, acting_shards, play)  # type: ignore[arg-type]
    curve: list[tuple[int, float]] = []
    samples = 0
    while samples < trainer.total_timesteps:
        index = len(curve)
        worlds.begin(uniforms(config.seed, "teacher", index, (trainer.rollout_steps, env.num_streams)))
        segments = collector.collect(action_uniforms(config, index, env.num_streams))
        loss = imitation_update(policy, optimizer, segments, worlds.labels.to(device), config, shards, index, samples)
        samples += segments.actions.numel()
        curve.append((samples, loss))
        on_update(samples, loss)
    return curve


def imitation_update(
    policy: Policy,
    optimizer: Adam,
    segments: Segments,
    labels_NT: Tensor,
    config: RunConfig,
    shards: Shards,
    index: int,
    samples: int,
) -> float:
    """One pass over one rollout: minibatches of streams, shared out over threads as in `metta.rl.update`.

    Args:
        policy: its parameters change in place.
        optimizer: of all of them.
        segments: what was seen, and the recurrent states in front.
        labels_NT: int64 [N, T], the teacher's actions.
        config: the run; with `index` its seed decides the minibatches.
        shards: threads that share each minibatch.
        index: number of this update.
        samples: before this rollout; they decide the learning rate.

    Returns:
        The mean cross-entropy in nats before each minibatch's step.

    Raises:
        RunError: it is not finite.
    """
    trainer = config.trainer
    order_N = permutation(config.seed, "minibatches", index, len(labels_NT)).to(labels_NT.device)
    total = 0.0
    for low, high in split(len(labels_NT), trainer.minibatches):
        chosen_B = order_N[low:high]

        def differentiate(share: tuple[int, int], chosen_B: Tensor = chosen_B) -> tuple[Tensor, tuple[Tensor, ...]]:
            streams_B = chosen_B[slice(*share)]
            logits_BTC, _ = policy.act(
                segments.observations[streams_B], segments.resets[streams_B], rows(segments.state, streams_B)
            )
            labels = labels_NT[streams_B].flatten()
            summed = functional.cross_entropy(logits_BTC.flatten(0, 1).float(), labels, reduction="sum")
            loss = summed / (chosen_B.numel() * labels_NT.shape[1])
            # Critic and auxiliary predictions have no part in this; their gradients are 0.
            gradients = torch.autograd.grad(loss, optimizer.parameters, allow_unused=True, materialize_grads=True)
            return loss.detach(), gradients

        results = shards.map(differentiate, split(chosen_B.numel(), shards.threads))
        gradients = [
            torch.stack(parts).sum(0).contiguous() for parts in zip(*(parts for _, parts in results), strict=True)
        ]
        norm = torch.nn.utils.get_total_norm(gradients)
        torch._foreach_mul_(gradients, (trainer.max_gradient_norm / (norm + 1e-6)).clamp(max=1.0))
        loss = float(torch.stack([loss for loss, _ in results]).sum())
        if not math.isfinite(loss) or not math.isfinite(float(norm)):
            raise RunError(f"the cross-entropy became {loss}; a lower trainer.learning_rate usually helps.")
        optimizer.step(gradients, trainer.learning_rate_at(samples))
        total += loss * chosen_B.numel()
    return total / len(labels_NT)


def _examine(
    policy: Policy, sim: SimConfig, config: RunConfig, device: torch.device, shards: Shards, learner_acts: bool
) -> tuple[dict[str, Any], dict[str, float]]:
    """The evaluation's result, and the means of the examination."""
    teacher = REFERENCE_PLAYERS[REFLEX](sim)
    examined = Examined(PolicyPlayer(policy, sim, device), teacher, config.evaluation.worlds, learner_acts)
    result = evaluate_player(examined, sim, held_out(config.evaluation), shards)
    return result, examined.means()
