"""The folder of one run: what lies in it, and what its files say about where the run stands."""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from metta.analysis.results import Count, Name, Seconds, Text
from metta.base.addresses import CHECKPOINTS_FOLDER, check_run_name
from metta.base.config import Config
from metta.base.errors import InputError, RunError
from metta.base.files import make_folder, read_json, write_atomically, write_json
from metta.base.provenance import now, provenance
from metta.base.run_files import CHECKPOINT, CONFIGURATION, EVALUATION, LOG, STATUS
from metta.base.stopping import runner_is_gone, stop_this_process
from metta.lab.evaluation_key import differ

FORMAT = 1
HEARTBEAT_SECONDS = 5.0
"""Time between two writings of status.json while a run lives."""

State = Literal["training", "trained", "evaluating", "finished", "failed", "stopped"]


class RunStatus(Config):
    """`status.json`: where a run stands. Times are ISO 8601 in UTC."""

    state: State
    """trained: evaluation was left to another job; stopped: ended on request, to be continued; failed: `error` says
    why."""
    started: Name
    """Time of the first start."""
    heartbeat: str
    """Last sign of life."""
    pid: int
    """Process of the last start."""
    host: str
    """Machine of the last start."""
    starts: Count
    """How often the run was started."""
    timesteps: Count = 0
    """Agent-steps done."""
    total_timesteps: Count
    """Agent-steps wanted."""
    steps_per_second: float | None = None
    """Agent-steps per second in training since the last start."""
    seconds_left: float | None = None
    """Expected time to the end of training."""
    training_seconds: Seconds = 0.0
    """Time in the updates so far, over all starts."""
    warm_up_seconds: Seconds = 0.0
    """Time that the last start took to get ready, compiling included."""
    trained: bool = False
    """Whether training reached its end."""
    error: Text | None = None
    """What ended the run, if it failed."""


@dataclass(frozen=True)
class RunFolder:
    """`train_dir/<run>/` and the names of the files in it."""

    path: Path

    @classmethod
    def of(cls, train_dir: Path, run: str) -> "RunFolder":
        """The folder of a run; raises `InputError` if the name would leave train_dir."""
        return cls(train_dir / check_run_name(run))

    @property
    def configuration_file(self) -> Path:
        """The resolved configuration and every start's code, packages and machine."""
        return self.path / CONFIGURATION

    @property
    def status_file(self) -> Path:
        """Where the run stands."""
        return self.path / STATUS

    @property
    def evaluation_file(self) -> Path:
        """Results of the newest checkpoint on the run's own level with the run's own settings."""
        return self.path / EVALUATION

    @property
    def log_file(self) -> Path:
        """What the run said, start after start."""
        return self.path / LOG

    @property
    def lock_file(self) -> Path:
        """Held by the process that works on the run."""
        return self.path / ".lock"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints."""
        return self.path / CHECKPOINTS_FOLDER

    def steps_saved(self) -> int:
        """Agent-steps of the newest checkpoint; 0 without one."""
        steps = (path.name.removeprefix(CHECKPOINT) for path in self.checkpoints.glob(f"{CHECKPOINT}*"))
        return max((int(text) for text in steps if text.isdecimal()), default=0)

    def configuration(self) -> dict[str, Any] | None:
        """The configuration the run was started with, or None if it was never started."""
        if not self.configuration_file.exists():
            return None
        configuration: dict[str, Any] = self.record()["configuration"]
        return configuration

    def record(self) -> dict[str, Any]:
        """What config.json holds. Raises `InputError` if it is damaged or of another version."""
        record = read_json(self.configuration_file)
        kinds = {"configuration": dict, "starts": list}
        wrong = [name for name, kind in kinds.items() if not isinstance(record.get(name), kind)]
        if record.get("format") != FORMAT or wrong:
            raise InputError(
                f"{self.configuration_file} is damaged or of another version: 'format' must be {FORMAT}, "
                "'configuration' an object and 'starts' a list."
            )
        return record

    def status(self) -> RunStatus | None:
        """Where the run stands, or None if it was never started."""
        if not self.status_file.exists():
            return None
        return RunStatus.parse(read_json(self.status_file), where=str(self.status_file))

    def is_evaluated(self) -> bool:
        """Whether evaluation.json is there, can be read, and was made with the run's own settings."""
        try:
            return not differ(read_json(self.evaluation_file), self.configuration() or {})
        except InputError:
            return False  # evaluating again repairs it

    def is_finished(self) -> bool:
        """Whether training and evaluation are both done."""
        status = self.status()
        return status is not None and status.state == "finished" and self.is_evaluated()

    def check_same(self, configuration: dict[str, Any], otherwise: str = "another run= name") -> None:
        """Raise `InputError` naming the first differing key if the folder belongs to a run with other settings.

        Args:
            configuration: the settings wanted.
            otherwise: what to give for a run apart from this one.
        """
        existing = self.configuration()
        if existing is None:
            return
        difference = difference_of_settings(existing, configuration)
        if difference is not None:
            key, there, here = difference
            exists = f"run {self.path.name!r} exists in {self.path.parent}"
            if there == ABSENT:
                raise InputError(f"{exists} without {key}, which the code has by now ({here!r}); give {otherwise}.")
            if here == ABSENT:
                raise InputError(f"{exists} with {key}={there!r}, which is no setting any more; give {otherwise}.")
            raise InputError(
                f"{exists} with {key}={there!r}, not {here!r}; give the same settings to continue it, or {otherwise}."
            )

    def record_start(self, configuration: dict[str, Any]) -> None:
        """Create the folder if needed and write config.json, with this start added to the earlier ones."""
        make_folder(self.path)
        starts = self.record()["starts"] if self.configuration_file.exists() else []
        record = {"format": FORMAT, "configuration": configuration, "starts": [*starts, provenance()]}
        write_json(self.configuration_file, record)


ABSENT = "absent"
LABEL = "run"
"""The key of a configuration that only names the run."""


def difference_of_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """`first_difference` of two configurations, whatever the runs are called."""
    one, other = ({key: value for key, value in settings.items() if key != LABEL} for settings in (old, new))
    return first_difference(one, other)


def first_difference(old: Any, new: Any, key: str = "") -> tuple[str, Any, Any] | None:
    """Dotted key, old and new value of the first difference between two trees of plain data."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            deeper = f"{key}.{name}" if key else name
            found = first_difference(old.get(name, ABSENT), new.get(name, ABSENT), deeper)
            if found is not None:
                return found
        return None
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return next((d for i, (a, b) in pairs if (d := first_difference(a, b, f"{key}.{i}"))), None)
    return None if old == new else (key, old, new)


class Heartbeat:
    """Keeps status.json current while a run works: on every change of state and every few seconds besides.

    Use as a context manager around the work. A heartbeat that cannot be written (full disk) is reported once through
    `warn` and does not end the run. A run whose runner has died stops itself.
    """

    def __init__(self, folder: RunFolder, total_timesteps: int, warn: Callable[[str], None]) -> None:
        before = folder.status()
        self._folder = folder
        self._warn = cache(warn)  # each sentence once
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self.status = RunStatus(
            state="evaluating" if before and before.trained else "training",
            started=before.started if before else now(),
            heartbeat=now(),
            pid=os.getpid(),
            host=socket.gethostname(),
            starts=before.starts + 1 if before else 1,
            timesteps=before.timesteps if before else 0,
            total_timesteps=total_timesteps,
            training_seconds=before.training_seconds if before else 0.0,
            trained=before.trained if before else False,
        )
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self.update(error=None)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def update(self, write: bool = True, **changes: Any) -> None:
        """Change fields of the status; `write=False` leaves the writing to the next beat."""
        with self._guard:
            self.status = self.status.model_copy(update=changes)
            if write:
                self._write()

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            if runner_is_gone():
                stop_this_process()
                return
            with self._guard:
                self._write()

    def _write(self) -> None:
        self.status = self.status.model_copy(update={"heartbeat": now()})
        try:
            write_atomically(self._folder.status_file, self.status.model_dump_json(indent=2) + "\n")
        except (RunError, InputError) as error:
            self._warn(f"{error} The run goes on; its status is out of date.")
