"""One run: its configuration and its folder, to be trained and evaluated; it knows no fleet, bucket or display."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metta.base.addresses import NEWEST, CheckpointAddress, path_text
from metta.lab.evaluation import EvaluateConfig, evaluate_into
from metta.lab.run_folder import Heartbeat, RunFolder
from metta.rl.config import RunConfig
from metta.rl.resolved_player import resolve_checkpoint

if TYPE_CHECKING:
    from metta.rl.metrics import Progress


@dataclass(frozen=True)
class Run:
    """What is to be trained, and where it lies."""

    config: RunConfig
    folder: RunFolder

    def train(self, heartbeat: Heartbeat, after_update: Callable[["Progress"], None]) -> None:
        """Train, or continue, to the end.

        Args:
            heartbeat: is told how far it is.
            after_update: called after every update; what it raises ends the training, which saves the update first.
        """
        from metta.rl.trainer import train

        def on_update(progress: "Progress") -> None:
            heartbeat.update(
                write=False,
                timesteps=progress.timesteps,
                steps_per_second=progress.steps_per_second,
                seconds_left=progress.seconds_left,
                training_seconds=round(progress.seconds, 3),
                warm_up_seconds=round(progress.warm_up_seconds, 3),
            )
            after_update(progress)

        train(self.config, self.folder.path, on_update)
        heartbeat.update(trained=True, seconds_left=0.0)

    def is_sound(self) -> bool:
        """Whether the last checkpoint is as it was written; training again makes another."""
        from metta.rl.checkpoint import is_sound, list_checkpoints

        written = list_checkpoints(self.folder.checkpoints)
        return bool(written) and is_sound(written[-1])

    def evaluate(self, say: Callable[[str], None]) -> dict[str, Any]:
        """Evaluate the newest checkpoint on the run's own level into evaluation.json; returns what is written."""
        config, newest = self.config, CheckpointAddress(self.folder.checkpoints, NEWEST)
        settings = EvaluateConfig(
            policy_uri=path_text(self.folder.checkpoints),
            level=config.level,
            evaluation_environments=config.evaluation_environments,
            evaluation=config.evaluation,
            system=config.system,
        )
        return evaluate_into(self.folder.evaluation_file, settings, lambda: resolve_checkpoint(newest), say)
