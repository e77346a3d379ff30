"""A run small enough for tests, and `python -m tests.rl.small_run FOLDER UPDATES`, which trains it."""

import contextlib
import sys
from pathlib import Path

from metta.agent.policies.config import PolicyConfig
from metta.agent.policies.fast import FastConfig
from metta.rl.config import CurriculumConfig, EvaluationConfig, RunConfig, SystemConfig, TrainerConfig
from metta.rl.metrics import Progress
from metta.sim.arena import arena_config

SIM = arena_config(
    size=8,
    num_agents=3,
    altar_ratio=1,
    initial_count=2,
    laser_cost=1,
    rewards={"ore": 0.5, "battery": 0.9},
    caps={"ore": 2, "battery": 2},
    max_steps=40,
)
STEPS_PER_UPDATE = 6 * 8


def small_run(
    updates: int = 10,
    seed: int = 0,
    threads: int = 1,
    policy: PolicyConfig | None = None,
    **trainer: object,
) -> RunConfig:
    """Two worlds of three agents, episodes of 40 steps, rollouts of 8, a checkpoint after every second update."""
    settings = {
        "total_timesteps": updates * STEPS_PER_UPDATE,
        "num_streams": 6,
        "rollout_steps": 8,
        "minibatches": 2,
        "checkpoint_every": 2 * STEPS_PER_UPDATE,
        **trainer,
    }
    return RunConfig(
        run="small",
        level="test",
        architecture="fast",
        seed=seed,
        policy=policy or FastConfig(width=32, num_layers=1, actor={"hidden": (16,)}, critic={"hidden": (16,)}),
        sim=SIM,
        evaluation_environments={"basic": SIM},
        trainer=TrainerConfig(**settings),
        evaluation=EvaluationConfig(worlds=3),
        system=SystemConfig(device="cpu", threads=threads),
    )


def curriculum_run(updates: int, sampler: str = "learning_progress", seed: int = 0) -> RunConfig:
    """A small run of 64 tasks, four of them active at a time."""
    config = small_run(updates=updates, seed=seed)
    return config.model_copy(update={"curriculum": CurriculumConfig(sampler=sampler, active_tasks=4)})


def stopped_after(update: int, folder: Path, config: RunConfig) -> None:
    """Train a run that ends without warning after so many updates."""
    from metta.rl.trainer import train

    class Stopped(Exception):
        """Stands for whatever ends a run."""

    def stop(progress: Progress) -> None:
        if progress.update == update:
            raise Stopped

    folder.mkdir(exist_ok=True)
    with contextlib.suppress(Stopped):
        train(config, folder, stop)
        raise AssertionError(f"the run was over before update {update}")


if __name__ == "__main__":
    from metta.rl.trainer import train

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    train(small_run(int(sys.argv[2])), folder)
