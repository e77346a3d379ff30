"""A run's curriculum: its tasks, what was learned about them, what that says about the next draws, and its metrics.

K tasks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metta.base.seeding import derive_seed
from metta.rl.config import CurriculumConfig
from metta.rl.curriculum_tasks import Task, make_tasks
from metta.rl.learning_progress import ProgressState, initial_state, learn, learning_progress, means, task_weights
from metta.sim.config import SimConfig
from metta.sim.constants import HEART
from metta.sim.episodes import EpisodeRecord


@dataclass(frozen=True)
class Curriculum:
    """Tasks and what is known of them; `after` gives the next one."""

    settings: CurriculumConfig
    tasks: Sequence[Task]
    """K, at least one; a task's place is the environment's variant."""
    state: ProgressState

    def after(self, episodes: Sequence[EpisodeRecord]) -> "Curriculum":
        """The curriculum after these whole episodes; the caller leaves out those of a random length."""
        results = [
            (episode.variant, self.tasks[episode.variant].success(float(episode.final_inventory[:, HEART].mean())))
            for episode in episodes
        ]
        return replace(self, state=learn(self.state, results, self.settings.time_scale))

    @property
    def weights(self) -> NDArray[np.float64]:
        """[K] how likely each task is drawn, relative to the others."""
        if self.settings.sampler == "uniform":
            return np.ones(len(self.tasks))
        return task_weights(self.state, self.settings.time_scale, self.settings.exploration_bonus)

    def metrics(self) -> dict[str, float]:
        """What is known and chosen now.

        Whole episodes learned from, and tasks that had one; means of success over these tasks, and of learning progress
        over those that are drawn and had two; for each value of each axis the whole episodes that had it, and the
        probability that the next one has it.
        """
        probabilities = self.weights / self.weights.sum()
        episodes = self.state.episodes
        fast, _ = means(self.state, self.settings.time_scale)
        progress = learning_progress(self.state, self.settings.time_scale)
        values: dict[str, float] = {}
        for task, count, probability in zip(self.tasks, episodes.tolist(), probabilities.tolist(), strict=True):
            for axis, choice in task.choices.items():
                for name, value in (("episodes", float(count)), ("probability", probability)):
                    key = f"curriculum/{name}_{axis}_{choice}"
                    values[key] = values.get(key, 0.0) + value
        return {
            "curriculum/episodes": float(episodes.sum()),
            "curriculum/tasks_known": float((episodes > 0).sum()),
            "curriculum/success": _mean(fast[episodes > 0]),
            "curriculum/progress": _mean(progress[(probabilities > 0) & (episodes >= 2)]),
            **dict(sorted(values.items())),
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state by name, for a checkpoint."""
        return dict(self.state._asdict())

    def restored(self, arrays: Mapping[str, NDArray[Any]]) -> "Curriculum":
        """This curriculum with the state that `arrays` gave. Raises ValueError if it is another curriculum's."""
        own = self.state._asdict()
        for name, array in own.items():
            if name not in arrays or arrays[name].shape != array.shape or arrays[name].dtype != array.dtype:
                raise ValueError(f"{name} of the saved curriculum does not fit {len(self.tasks)} tasks")
        return replace(self, state=ProgressState(**{name: arrays[name].copy() for name in own}))


def start_curriculum(sim: SimConfig, settings: CurriculumConfig, seed: int, episode_length: int) -> Curriculum | None:
    """The curriculum of a run at its beginning, or None when it is off.

    Args:
        sim: the training environment.
        settings: which tasks, and how they are drawn.
        seed: the run's seed.
        episode_length: steps of a whole training episode.

    Raises:
        InputError: as `make_tasks`.
    """
    tasks = make_tasks(sim, settings, seed, episode_length)
    if not tasks:
        return None
    generator = np.random.Generator(np.random.Philox(key=derive_seed(seed, "curriculum turns")))
    active_tasks = len(tasks) if settings.sampler == "uniform" else settings.active_tasks
    return Curriculum(settings, tasks, initial_state(generator.permutation(len(tasks)), active_tasks))


def _mean(values: NDArray[np.float64]) -> float:
    """The mean, 0 of nothing."""
    return float(values.mean()) if values.size else 0.0
