"""The controller's tasks: planned runs, and the reference players that their scores are normalised with."""

import os
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from metta.base.addresses import CHECKPOINTS_FOLDER
from metta.base.errors import InputError, RunError
from metta.base.files import holder, read_json
from metta.lab.bucket import RECORDS, Bucket
from metta.lab.controller import Look
from metta.lab.decide import Rank
from metta.lab.evaluation import results_in
from metta.lab.evaluation_key import differ
from metta.lab.executors.contract import Command
from metta.lab.plan import RunSpec
from metta.lab.run_folder import RunFolder
from metta.lab.training import TrainJob

SECONDS_BETWEEN_FETCHES = 15.0
"""Time between two looks into the bucket while a job works on a run."""


@dataclass
class PlannedRun:
    """One run of the plan, checked before anything starts: its commands, and where its folder says that it stands."""

    number: int
    spec: RunSpec
    job: TrainJob
    train_words: tuple[str, ...]
    """Trains, or continues, and evaluates."""
    evaluate_words: tuple[str, ...]
    """Evaluates the newest checkpoint."""
    train: bool = True
    """False: only what was trained before is evaluated, anew (--skip-training)."""
    threads: int = 0
    """Threads of its jobs; 0: the job chooses."""
    bucket: Bucket | None = None
    """Where the run's truth lies, if not in its folder alone."""
    elsewhere: bool = False
    """Other machines work on the run, and what they write is to be fetched."""
    note: str = ""
    """Something to say before its name, such as the trial."""
    _fetched_at: float = field(default_factory=time.monotonic, init=False)  # a study fetches everything at its start
    _before: list[tuple[int, int] | None] = field(default_factory=list, init=False)
    """The stamp at the first look, after a study has fetched what is there."""

    @cached_property
    def folder(self) -> RunFolder:
        """Where the run lies."""
        return RunFolder.of(self.job.train_dir, self.job.config.run)

    @property
    def name(self) -> str:
        """The run's id."""
        return self.spec.id

    @property
    def words(self) -> tuple[str, ...]:
        """The command that does what is wanted of the run."""
        return self.train_words if self.train else self.evaluate_words

    @property
    def gives_signs(self) -> bool:
        """Whether its jobs give signs of life."""
        return self.train

    def look(self, active: bool) -> Look:
        """What the folder says. Raises `InputError` if it is damaged, or there is no checkpoint to evaluate."""
        self._fetch(at_once=not active)
        if not self.train:
            if not active and not self.has_checkpoint():
                where = self.evaluate_words[1].removeprefix("policy_uri=")
                raise InputError(f"there is no checkpoint in {where} to evaluate (--skip-training).")
            self._before = self._before or [self._stamp()]
            return Look(None if self._stamp() not in (None, *self._before) else Rank.EVALUATE)
        folder = self.folder
        held = False if active else holder(folder.lock_file) is not None
        status = folder.status()
        if status is None:
            return Look(Rank.TRAIN, None, held)
        beat = (status.heartbeat, status.timesteps, status.starts)
        if status.state == "finished" and folder.is_evaluated():
            return Look(None, beat, held)
        return Look(Rank.EVALUATE if status.trained else Rank.TRAIN, beat, held)

    def command(self) -> Command:
        """The job that does all that is left to do; the training command only evaluates a run that is trained."""
        return Command(self.name, self.words, self.folder.log_file, self.threads)

    def end_holder(self) -> None:
        """Kill the process that holds the run's lock. Raises `RunError` if it is on another machine."""
        found = holder(self.folder.lock_file) if self.train else None
        if found is None:
            return
        if found.host != socket.gethostname() or not found.pid:
            raise RunError(f"{found} holds the run and gives no sign of life; end it, then repeat the command.")
        try:
            os.kill(found.pid, signal.SIGKILL)
        except OSError as error:
            raise RunError(f"{found} holds the run, gives no sign of life and cannot be ended: {error}.") from None

    def has_checkpoint(self) -> bool:
        """Whether there is one, here or in the bucket. Raises `RunError` if the bucket does not answer."""
        if any(self.folder.checkpoints.glob("*")):
            return True
        return self.bucket is not None and self.bucket.holds(lambda name: name.startswith(f"{CHECKPOINTS_FOLDER}/"))

    def _fetch(self, at_once: bool) -> None:
        """Bring what a job writes on another machine into the folder, but not too often."""
        if self.bucket is None or not self.elsewhere:
            return
        if time.monotonic() - self._fetched_at > (1.0 if at_once else SECONDS_BETWEEN_FETCHES):
            with suppress(RunError):  # what was fetched before counts until the store answers again
                self.bucket.fetch(lambda name: name in RECORDS)
            self._fetched_at = time.monotonic()

    def _stamp(self) -> tuple[int, int] | None:
        """Changes with every evaluation."""
        try:
            found = self.folder.evaluation_file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns


@dataclass(frozen=True)
class PlannedReference:
    """The evaluation of a reference player on one level."""

    player: str
    level: str
    file: Path
    words: tuple[str, ...]
    rules: Mapping[str, Any]
    """The evaluation settings and environments that the file must have been made with (`metta.lab.evaluation_key`)."""
    threads: int = 0
    """Threads of its job; 0: the job chooses."""
    gives_signs: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """For logs and messages."""
        return f"{self.player} on {self.level}"

    def is_done(self) -> bool:
        """Whether the file is there and whole, and was made with these settings."""
        try:
            return not differ(read_json(self.file), self.rules) and bool(results_in(self.file))
        except InputError:
            return False  # playing again repairs it

    def look(self, active: bool) -> Look:
        """Done when its file is there, whole."""
        return Look(None if self.is_done() else Rank.REFERENCE)

    def command(self) -> Command:
        """The evaluation command."""
        return Command(self.name, self.words, self.file.with_suffix(".log"), self.threads, near=True)

    def end_holder(self) -> None:
        """Nobody holds a reference."""
