"""Training one run, from its configuration to its last checkpoint; started again, it continues as if never stopped.

The whole order is in `train`: collect, update, measure, save. Everything random is a function of the run's seed and a
counter, so a checkpoint holds no generator state besides the worlds' own.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from metta.agent.checkpoint import policy_record, policy_tensors, refuse_unfit
from metta.agent.policy import Policy
from metta.agent.state import leaves, with_leaves
from metta.base.errors import InputError
from metta.base.run_files import METRICS
from metta.base.seeding import derive_seed
from metta.rl.average import WeightAverage
from metta.rl.checkpoint import (
    checkpoint_name,
    keep_checkpoints,
    newest_sound,
    read_policy_files,
    read_trainer_files,
    remove_leftovers,
    remove_newer,
    write_checkpoint,
)
from metta.rl.config import RunConfig
from metta.rl.curriculum import Curriculum, start_curriculum
from metta.rl.device_rollout import DeviceCollector, make_collector
from metta.rl.devices import choose_device, choose_shares, choose_threads, choose_worlds, pinned
from metta.rl.learning_curve import curve_is_due, curve_point
from metta.rl.metrics import MetricsFile, Progress, best_record, episode_metrics, write_best
from metta.rl.recording import Play, recorder
from metta.rl.rollout import Collector
from metta.rl.sampling import uniforms
from metta.rl.shards import Shards
from metta.rl.specs import spec_of
from metta.rl.training_time import TrainingTime
from metta.rl.update import Learner, make_learner, update
from metta.sim.episodes import EpisodeRecord
from metta.sim.vector_env import Buffers, VectorEnv

if TYPE_CHECKING:
    from metta.sim.cuda.env import CudaVectorEnv

Env = TypeVar("Env", "VectorEnv", "CudaVectorEnv")

KEPT_CHECKPOINTS = 2


def train(
    config: RunConfig,
    folder: Path,
    on_update: Callable[[Progress], None] = lambda progress: None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Train to `config.trainer.total_timesteps`, from the newest sound checkpoint in `folder` if there is one.

    Writes `metrics.jsonl` (one line per update) and `checkpoints/` below `folder`.

    Args:
        config: the resolved run.
        folder: the run's folder; exists.
        on_update: called after every update, with what a progress line needs. What it raises ends the training; the
            update is saved first.
        clock: seconds; only rates and times depend on it.

    Raises:
        InputError: the checkpoints are damaged or of another configuration.
        RunError: a loss became non-finite, or the disk refused a file. The last good checkpoint is kept.
    """
    begun = clock()
    device = choose_device(config.system)
    torch.backends.cudnn.allow_tf32 = False  # else it rounds the factors of LSTMs to 10 bits
    worlds = choose_worlds(config)
    acting, learning = choose_shares(choose_threads(config.system), device, worlds)
    shards = Shards(learning)
    acting_shards = shards if acting == learning else Shards(acting)
    try:
        training = _start(config, device, worlds, acting_shards)
        remove_leftovers(folder / "checkpoints")
        checkpoint = newest_sound(folder / "checkpoints")
        if checkpoint is not None:
            remove_newer(folder / "checkpoints", checkpoint)
            _restore(training, checkpoint)
        metrics_file = MetricsFile(folder / METRICS, last_update=training.updates)
        if checkpoint is None:
            _save(training, folder, {})

        time_here = TrainingTime(training.seconds, clock() - begun)
        seconds_before, first_timesteps = training.seconds, training.timesteps
        trainer = config.trainer
        while training.timesteps < trainer.total_timesteps:
            before = clock()
            segments = training.collector.collect(action_uniforms(config, training.updates, training.env.num_streams))
            collected = clock()
            losses = update(
                training.learner,
                segments,
                trainer,
                shards,
                config.seed,
                training.updates,
                training.timesteps,
                training.play,
            )
            updated = clock()

            training.updates += 1
            training.average.add(training.updates)
            training.timesteps += segments.actions.numel()
            time_here.add(updated - before, last=training.timesteps >= trainer.total_timesteps)
            training.seconds = time_here.seconds
            ended = training.env.drain_episodes()
            episodes = [episode for episode in ended if episode.length == config.episode_length]
            choices = training.choose_tasks(episodes)
            before_update = training.timesteps - segments.actions.numel()
            held_out = {}
            if curve_is_due(config, before_update, training.timesteps):
                held_out = curve_point(config, training.average.policy, device, acting_shards)
            seconds_here = training.seconds - seconds_before or updated - before
            rate = (training.timesteps - first_timesteps) / max(seconds_here, 1e-9)
            progress = Progress(
                update=training.updates,
                timesteps=training.timesteps,
                total_timesteps=trainer.total_timesteps,
                steps_per_second=rate,
                seconds_left=max(0.0, (trainer.total_timesteps - training.timesteps) / rate),
                metrics={**losses, **held_out, **episode_metrics(episodes, config.sim), **choices},
                seconds=training.seconds,
                warm_up_seconds=time_here.warm_up,
            )
            timing = {
                "seconds": training.seconds,
                "rollout_seconds": collected - before,
                "update_seconds": updated - collected,
                "steps_per_second": rate,
            }
            metrics_file.append(progress, timing)
            if held_out or _checkpoint_is_due(training):
                _save(training, folder, held_out)
            try:
                on_update(progress)
            except BaseException:
                _save(training, folder, {})
                raise
    finally:
        acting_shards.close()
        shards.close()


@dataclass
class Training:
    """Everything that changes while a run trains."""

    config: RunConfig
    env: "VectorEnv | CudaVectorEnv"
    policy: Policy
    learner: Learner
    collector: "Collector | DeviceCollector"
    play: Play
    average: WeightAverage
    """What is evaluated and kept."""
    curriculum: Curriculum | None = None
    updates: int = 0
    timesteps: int = 0
    seconds: float = 0.0
    """In the updates so far, over all starts of the run (see training_time.py)."""
    best: dict[str, Any] | None = None
    """Which checkpoint was best so far (see `metta.rl.metrics.best_record`)."""

    def choose_tasks(self, episodes: Sequence[EpisodeRecord]) -> dict[str, float]:
        """Let the curriculum, if there is one, learn from the episodes that just ended; returns its metrics."""
        if self.curriculum is None:
            return {}
        self.curriculum = self.curriculum.after(episodes)
        self.env.set_variant_weights(self.curriculum.weights)
        return self.curriculum.metrics()


def initial_policy(config: RunConfig) -> Policy:
    """The policy before its first update."""
    return config.policy.build(spec_of(config.sim, config.trainer), derive_seed(config.seed, "weights"))


def action_uniforms(config: RunConfig, update: int, num_streams: int) -> torch.Tensor:
    """float32 [T, N] in [0, 1): what the actions of the rollout before an update are drawn with."""
    return uniforms(config.seed, "sampling", update, (config.trainer.rollout_steps, num_streams))


def training_worlds(config: RunConfig, curriculum: Curriculum | None) -> VectorEnv:
    """The worlds of a run at the start of their first episodes, on the CPU."""
    return _started_worlds(VectorEnv, config, curriculum)


def device_worlds(
    config: RunConfig, curriculum: Curriculum | None, where: str, device: torch.device
) -> "VectorEnv | CudaVectorEnv":
    """The same worlds for a policy on `device`, on the CPU ("cpu") or on a GPU ("cuda"), which is there."""
    if where == "cpu":
        if device.type == "cpu":
            return training_worlds(config, curriculum)
        num_streams = config.num_worlds * config.sim.num_agents
        buffers = pinned(Buffers.allocate(num_streams, config.sim.num_observation_tokens))
        return _started_worlds(partial(VectorEnv, buffers=buffers), config, curriculum)
    from metta.sim.cuda.env import CudaVectorEnv

    return _started_worlds(CudaVectorEnv, config, curriculum)


def _started_worlds(kind: Callable[..., Env], config: RunConfig, curriculum: Curriculum | None) -> Env:
    env = kind(
        config.sim,
        num_worlds=config.num_worlds,
        seed=derive_seed(config.seed, "worlds"),
        desynchronise=True,
        episode_steps=config.trainer.episode_steps or None,
        variants=[task.sim for task in curriculum.tasks] if curriculum else (),
    )
    if curriculum:
        env.set_variant_weights(curriculum.weights)
    env.reset()
    return env


def _start(config: RunConfig, device: torch.device, worlds: str, shards: Shards) -> Training:
    """A run at its very beginning."""
    policy = initial_policy(config).to(device)
    curriculum = start_curriculum(config.sim, config.curriculum, config.seed, config.episode_length)
    env = device_worlds(config, curriculum, worlds, device)
    # Before anything is recorded: it moves parameters in memory.
    learner = make_learner(policy, config.trainer, env.num_streams)
    play = recorder(device, config.system)
    collector = make_collector(env, policy, config.trainer.rollout_steps, device, shards, play)
    average = WeightAverage(policy, config.trainer.average_share)
    return Training(config, env, policy, learner, collector, play, average, curriculum)


def _checkpoint_is_due(training: Training) -> bool:
    steps_per_update = training.env.num_streams * training.config.trainer.rollout_steps
    every = training.config.trainer.checkpoint_every
    return (
        training.timesteps >= training.config.trainer.total_timesteps
        or training.timesteps // every > (training.timesteps - steps_per_update) // every
    )


def _save(training: Training, folder: Path, held_out: Mapping[str, float]) -> None:
    """Write a checkpoint, note it if it is the best on held-out worlds so far, and drop those no longer needed."""
    name = checkpoint_name(training.timesteps)
    training.best = best_record(training.best, name, held_out)
    tensors = {
        **{f"optimizer/{key}": value for key, value in training.learner.optimizer.state_dict().items()},
        **{f"state/{index}": leaf for index, leaf in enumerate(leaves(training.collector.state))},
        **{f"weights/{key}": value for key, value in training.policy.state_dict().items()},
        **{f"reward_scale/{key}": value for key, value in training.learner.reward_scale.state_dict().items()},
        **{f"worlds/{key}": torch.from_numpy(value) for key, value in training.env.state_dict().items()},
    }
    if training.curriculum:
        arrays = training.curriculum.arrays()
        tensors |= {f"curriculum/{name}": torch.from_numpy(array) for name, array in arrays.items()}
    record = {
        "updates": training.updates,
        "timesteps": training.timesteps,
        "seconds": training.seconds,
        "best": training.best,
    }
    record_of_policy = {
        **policy_record(training.config.policy, training.policy.spec, training.config.architecture),
        "level": training.config.level,
        "run": training.config.run,
        "seed": training.config.seed,
        "timesteps": training.timesteps,
    }
    checkpoints = folder / "checkpoints"
    write_checkpoint(
        checkpoints, training.timesteps, policy_tensors(training.average.policy), record_of_policy, tensors, record
    )
    write_best(checkpoints, training.best)
    keep_checkpoints(checkpoints, KEPT_CHECKPOINTS, {training.best["checkpoint"]} if training.best else set())


def _restore(training: Training, checkpoint: Path) -> None:
    """Put a run where it was when `checkpoint` was written."""
    weights, saved = read_policy_files(checkpoint)
    tensors, record = read_trainer_files(checkpoint)
    own = training.config.policy.model_dump(mode="json")
    if saved.get("policy") != own:
        raise InputError(
            f"{checkpoint} holds the architecture {saved.get('architecture')!r}, "
            f"not the {training.config.architecture!r} of this run; use another run name."
        )
    refuse_unfit(training.policy.state_dict(), weights, str(checkpoint))
    training.average.policy.load_state_dict(weights)
    training.policy.load_state_dict(_below("weights", tensors))
    training.learner.optimizer.load_state_dict(_below("optimizer", tensors))
    training.learner.reward_scale.load_state_dict(_below("reward_scale", tensors))
    template = training.collector.state
    count = sum(1 for _ in leaves(template))
    training.collector.state = with_leaves(template, [tensors[f"state/{index}"] for index in range(count)])
    training.env.load_state_dict({name: tensor.numpy() for name, tensor in _below("worlds", tensors).items()})
    if training.curriculum:
        known = {name: tensors[f"curriculum/{name}"].numpy() for name in training.curriculum.arrays()}
        training.curriculum = training.curriculum.restored(known)
    training.updates = record["updates"]
    training.timesteps = record["timesteps"]
    training.seconds = record["seconds"]
    training.best = record["best"]


def _below(part: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of one part of a checkpoint, by their names in it."""
    prefix = f"{part}/"
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
