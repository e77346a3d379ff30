"""What a run reports of itself: one JSON line per update, episode summaries, and which checkpoint was best.

docs/training.md lists every metric with its unit.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metta.base.errors import RunError
from metta.base.files import replace_file, replace_json

if TYPE_CHECKING:
    from metta.sim.config import SimConfig
    from metta.sim.episodes import EpisodeRecord


@dataclass(frozen=True)
class Progress:
    """Where a run stands after an update."""

    update: int
    timesteps: int
    """Agent-steps so far."""
    total_timesteps: int
    steps_per_second: float
    """Agent-steps per second of wall time since this start of the run."""
    seconds_left: float
    metrics: Mapping[str, float]


class MetricsFile:
    """`metrics.jsonl`: lines of {update, timesteps, <metrics>, timing: {...}}.

    Everything outside `timing` is the same for the same seed, machine and thread setting. Lines after the checkpoint
    that a run continues from are dropped first, because they will be written again.
    """

    def __init__(self, path: Path, last_update: int) -> None:
        self._path = path
        kept = []
        if path.exists():
            for line in path.read_text().splitlines():
                try:
                    number = json.loads(line)["update"]
                except (ValueError, KeyError, TypeError):
                    break  # the torn last line of a killed run
                if number > last_update:
                    break
                kept.append(line + "\n")
        replace_file(path, "".join(kept))

    def append(self, progress: Progress, timing: Mapping[str, float]) -> None:
        """Add one line. Raises RunError when the disk refuses it."""
        record = {
            "update": progress.update,
            "timesteps": progress.timesteps,
            **progress.metrics,
            "timing": dict(timing),
        }
        data = (json.dumps(record) + "\n").encode()
        try:
            # One write call per line, so that a kill leaves at most one torn line, at the end.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(descriptor, data)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise RunError(f"could not write {self._path}: {error.strerror or error}.") from error


def best_record(best: dict[str, Any] | None, name: str, recent_hearts: Sequence[float]) -> dict[str, Any] | None:
    """The better of `best` and the checkpoint `name`, judged by the mean of `recent_hearts` (none yet: no judgement)."""
    if not recent_hearts:
        return best
    hearts = sum(recent_hearts) / len(recent_hearts)
    if best is None or hearts > best["hearts_per_agent"]:
        return {"checkpoint": name, "hearts_per_agent": hearts, "episodes": len(recent_hearts)}
    return best


def write_best(checkpoints: Path, best: dict[str, Any] | None) -> None:
    """Write `best.json` beside the checkpoints."""
    if best is not None:
        replace_json(checkpoints / "best.json", best)
