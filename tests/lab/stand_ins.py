"""Stand-ins for training and evaluation, so that the laboratory's own rules are tested in milliseconds.

They keep the contract of metta.rl: checkpoints appear in the run folder, training continues from the newest one, and
hearts rise with the agent-steps. The real ones are run by tests/docs.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from metta.analysis.replays import Choice
from metta.analysis.results import read_results
from metta.base.errors import RunError
from metta.cli.main import resolve
from metta.lab.executors.contract import Command, Ended, Executor
from metta.rl.metrics import Progress
from tests.analysis.records import evaluated

STEPS_PER_UPDATE = 100


class Bench:
    """What the stand-in trainer does; a test may replace `on_step`."""

    def __init__(self) -> None:
        self.on_step: Callable[[int], None] = lambda timesteps: None
        self.started_at: list[int] = []
        self.latency: dict[str, Any] = {"median_milliseconds": 1.5, "busy": False}
        self.replay_kinds: list[str] = []
        self.replay_processes: list[int] = []

    def write_replays(self, wanted: Sequence[Choice], processes: int, say: Callable[[str], None]) -> list[str]:
        """Keep which kinds of replays are asked for, and in how many processes; play nothing."""
        self.replay_kinds += dict.fromkeys(choice.kind for choice in wanted)
        self.replay_processes.append(processes)
        return []

    def train(self, config: Any, folder: Path, on_update: Callable[[Progress], None]) -> None:
        """Count to the wanted steps and leave a checkpoint at every update."""
        checkpoints = folder / "checkpoints"
        done = [int(path.name.removeprefix("step_")) for path in checkpoints.glob("step_*")]
        timesteps = max(done, default=0)
        self.started_at.append(timesteps)
        seconds = 0.0
        while timesteps < config.trainer.total_timesteps:
            self.on_step(timesteps)
            timesteps += STEPS_PER_UPDATE
            place = checkpoints / f"step_{timesteps:012d}"
            place.mkdir(parents=True)
            record = {"architecture": config.architecture, "timesteps": timesteps, "level": config.level}
            (place / "policy.json").write_text(json.dumps(record))
            total = config.trainer.total_timesteps
            seconds += 0.1
            on_update(Progress(1, timesteps, total, 1000.0, 1.0, {"episode/hearts_per_agent": 0.5}, seconds, 0.5))

    def evaluate(
        self, player: Path | str, environments: Mapping[str, Any], evaluation: Any, system: Any
    ) -> dict[str, Any]:
        """Hearts are 1 for any checkpoint and 0 for players that see nothing."""
        hearts = 0.0 if player in ("random", "blind") else 1.0
        return {name: evaluated([hearts] * evaluation.worlds) for name in environments}


def install(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Put stand-ins in the place of what trains, evaluates, knows checkpoints, measures latency and writes replays."""
    bench = Bench()
    stand_ins: dict[str, Any] = {
        "metta.rl.trainer.train": bench.train,
        "metta.rl.evaluate.evaluate": bench.evaluate,
        "metta.rl.checkpoint.list_checkpoints": lambda folder: sorted(folder.glob("step_*")),
        "metta.rl.checkpoint.is_sound": lambda checkpoint: not (checkpoint / "damaged").exists(),
        "metta.rl.checkpoint.load_policy": lambda checkpoint: checkpoint,
        "metta.rl.latency.acting_latency": lambda *given: dict(bench.latency),
        "metta.lab.replays.write_replays": bench.write_replays,
    }
    for place, stand_in in stand_ins.items():
        monkeypatch.setattr(place, stand_in)
    return bench


class Here(Executor):
    """Runs commands in this process, in the place of subprocesses; `faults` names those that fail, with the reason."""

    slots = 1

    def __init__(self) -> None:
        self.done: list[str] = []
        self.faults: dict[str, str] = {}
        self.results: Path | None = None
        """Looked at whenever a command starts."""
        self.results_seen: list[int] = []
        self._command: Command | None = None

    def start(self, command: Command) -> None:
        self._command = command

    def poll(self) -> list[Ended]:
        command, self._command = self._command, None
        if command is None:
            return []
        self.done.append(command.name)
        fault = self.faults.get(command.name)
        if fault:
            command.log_file.parent.mkdir(parents=True, exist_ok=True)
            command.log_file.write_text(f"error: {fault}\n")
            return [Ended(command, 1)]
        if self.results is not None:
            self.results_seen.append(len(read_results(self.results).runs))
        try:
            return [Ended(command, resolve(command.words).execute())]
        except RunError:
            return [Ended(command, 1)]

    def end(self, name: str) -> None:
        raise AssertionError(name)

    def close(self) -> None:
        self._command = None
