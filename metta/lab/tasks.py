"""The controller's tasks: runs, evaluations of runs that exist, and reference players."""

import os
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from metta.base.addresses import CHECKPOINTS_FOLDER
from metta.base.errors import InputError, RunError
from metta.base.files import holder, read_json
from metta.lab.bucket import RECORDS, Bucket
from metta.lab.controller import Look
from metta.lab.decide import Rank
from metta.lab.dispatch.contract import Command
from metta.lab.evaluation import results_in
from metta.lab.plan import RunSpec
from metta.lab.rules import differ
from metta.lab.run import RunFolder
from metta.lab.training import TrainJob

SECONDS_BETWEEN_FETCHES = 15.0
"""Time between two looks into the bucket while a job works on a run."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of the plan with its commands, checked before anything starts."""

    number: int
    spec: RunSpec
    job: TrainJob
    train_words: tuple[str, ...]
    """Trains, or continues, and evaluates."""
    evaluate_words: tuple[str, ...]
    """Evaluates the newest checkpoint."""
    bucket: Bucket | None = None
    """Where the run's truth lies, if not in its folder alone."""
    elsewhere: bool = False
    """Other machines work on the run, and what they write is to be fetched."""

    @cached_property
    def folder(self) -> RunFolder:
        """Where the run lies."""
        return RunFolder.of(self.job.train_dir, self.job.config.run)


@dataclass(frozen=True)
class PlannedReference:
    """The evaluation of a reference player on one level."""

    player: str
    level: str
    file: Path
    words: tuple[str, ...]
    rules: Mapping[str, Any]
    """The evaluation settings and environments that the file must have been made with (`metta.lab.rules`)."""

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


class _RemoteRecords:
    """What the job of a run writes on another machine."""

    def __init__(self, run: PlannedRun) -> None:
        self._run = run
        self._fetched_at = time.monotonic()  # the benchmark fetches everything at its start

    def fetch(self, at_once: bool) -> None:
        """Bring it into the run's folder, but not too often."""
        if self._run.bucket is None or not self._run.elsewhere:
            return
        if time.monotonic() - self._fetched_at > (1.0 if at_once else SECONDS_BETWEEN_FETCHES):
            with suppress(RunError):  # what was fetched before counts until the store answers again
                self._run.bucket.fetch(lambda name: name in RECORDS)
            self._fetched_at = time.monotonic()


@dataclass(frozen=True)
class RunTask:
    """A run from its start to its evaluation."""

    run: PlannedRun
    threads: int
    """Threads of its jobs; 0: the job chooses."""
    split: bool
    """Training and evaluation are two jobs, so that all training can go first."""
    gives_signs: bool = True
    _records: "_RemoteRecords" = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_records", _RemoteRecords(self.run))

    @property
    def name(self) -> str:
        """The run's id."""
        return self.run.spec.id

    def look(self, active: bool) -> Look:
        """What status.json and the lock say. Raises `InputError` if status.json is damaged."""
        folder = self.run.folder
        self._records.fetch(at_once=not active)
        held = False if active else holder(folder.lock_file) is not None
        status = folder.status()
        if status is None:
            return Look(Rank.TRAIN, None, held)
        beat = (status.heartbeat, status.timesteps, status.starts)
        if status.state == "finished" and folder.is_evaluated():
            return Look(None, beat, held)
        return Look(Rank.EVALUATE if status.trained else Rank.TRAIN, beat, held)

    def command(self, rank: Rank) -> Command:
        """The training command; repeated after training, it evaluates."""
        words = self.run.train_words
        if self.split and rank == Rank.TRAIN:
            words = (*words, "evaluate=false")
        return Command(self.name, words, self.run.folder.log_file, self.threads)

    def end_holder(self) -> None:
        """Kill the process that holds the run's lock. Raises `RunError` if it is on another machine."""
        found = holder(self.run.folder.lock_file)
        if found is None:
            return
        if found.host != socket.gethostname() or not found.pid:
            raise RunError(f"{found} holds the run and gives no sign of life; end it, then repeat the command.")
        try:
            os.kill(found.pid, signal.SIGKILL)
        except OSError as error:
            raise RunError(f"{found} holds the run, gives no sign of life and cannot be ended: {error}.") from None


@dataclass(frozen=True)
class EvaluationTask:
    """A fresh evaluation of a run that was trained before (--skip-training)."""

    run: PlannedRun
    threads: int
    gives_signs: bool = False
    _before: tuple[int, int] | None = field(init=False)
    _records: "_RemoteRecords" = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_before", self._stamp())
        object.__setattr__(self, "_records", _RemoteRecords(self.run))

    @property
    def name(self) -> str:
        """The run's id."""
        return self.run.spec.id

    def look(self, active: bool) -> Look:
        """Done when evaluation.json is another than at first. Raises `InputError` if there is no checkpoint."""
        self._records.fetch(at_once=not active)
        if not active and not has_checkpoint(self.run):
            where = self.run.evaluate_words[1].removeprefix("policy_uri=")
            raise InputError(f"there is no checkpoint in {where} to evaluate (--skip-training).")
        return Look(None if self._stamp() not in (None, self._before) else Rank.EVALUATE)

    def command(self, rank: Rank) -> Command:
        """The evaluation command."""
        return Command(self.name, self.run.evaluate_words, self.run.folder.log_file, self.threads)

    def end_holder(self) -> None:
        """Evaluation needs no lock, so nobody is ended."""

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self.run.folder.evaluation_file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns


def has_checkpoint(run: PlannedRun) -> bool:
    """Whether the run has a checkpoint, here or in its bucket. Raises `RunError` if the bucket does not answer."""
    if any(run.folder.checkpoints.glob("*")):
        return True
    return run.bucket is not None and run.bucket.holds(lambda name: name.startswith(f"{CHECKPOINTS_FOLDER}/"))


@dataclass(frozen=True)
class ReferenceTask:
    """A reference player's evaluation, which normalises the scores of a level."""

    reference: PlannedReference
    threads: int
    gives_signs: bool = False

    @property
    def name(self) -> str:
        """Player and level."""
        return self.reference.name

    def look(self, active: bool) -> Look:
        """Done when its file is there, whole."""
        return Look(None if self.reference.is_done() else Rank.REFERENCE)

    def command(self, rank: Rank) -> Command:
        """The evaluation command."""
        file = self.reference.file
        return Command(self.name, self.reference.words, file.with_suffix(".log"), self.threads)

    def end_holder(self) -> None:
        """Nobody holds a reference."""
