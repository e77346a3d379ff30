"""A study: planned runs, done by an executor under a retry policy; a reducer makes results of what they leave."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from metta.analysis.results import RunRecord
from metta.base.addresses import CHECKPOINTS_FOLDER
from metta.base.errors import RunError
from metta.base.files import locked, make_folder
from metta.base.patience import patience
from metta.base.stopping import continued_when_repeated
from metta.lab.bucket import SECONDS_BETWEEN_SENDINGS, Bucket
from metta.lab.controller import Controller, Task
from metta.lab.decide import Rank, RetryPolicy
from metta.lab.display import Display
from metta.lab.executors.contract import Executor
from metta.lab.forecast import seconds_left
from metta.lab.log import duration_text
from metta.lab.planned import PlannedReference, PlannedRun
from metta.lab.records import run_record

ATTEMPTS_NAME = "attempts.json"


class Reducer(Protocol):
    """Makes results of a study's records: those of a benchmark, or the table of a tuning."""

    what: str
    """benchmark or tuning."""
    other_folder: str
    """What to give for runs apart from those that are there."""

    def begin(self, study: "Study") -> None:
        """Look at what an earlier call left; nothing is written. Raises `InputError` if it does not belong together."""
        return  # every run is planned anew

    def write(self, study: "Study", final: bool) -> None:
        """Write the results so far. Raises `RunError` if the disk is full."""

    def end(self, study: "Study") -> str:
        """After the last `write`: what else is to be done; returns what is printed."""

    def owns(self, name: str) -> bool:
        """Whether it sends the file of this name below the study's folder to a bucket; the runs' jobs send theirs."""
        return False


@dataclass
class Study:
    """Brings runs to their end in an output folder; a controller's listener."""

    output: Path
    runs: Sequence[PlannedRun]
    references: Sequence[PlannedReference]
    reducer: Reducer
    policy: RetryPolicy
    parallel: int = 1
    """Jobs at a time."""
    bucket: Bucket | None = None
    """Where the study lies, if not in `output` alone, which is its local folder then."""
    records: dict[str, RunRecord] = field(default_factory=dict)
    """Of the runs that are done or given up, by name."""
    faults: dict[str, str] = field(default_factory=dict)
    """What went wrong with runs and reference players, by name."""
    _display: Display = field(default_factory=Display)
    _ready: Callable[[], None] = lambda: None
    """To be called when something has been done, or begins that tells how far it is."""
    _send_at: float = 0.0
    _worked_on: set[str] = field(default_factory=set)

    @property
    def train(self) -> bool:
        """False: checkpoints that are there are evaluated, and nothing else."""
        return all(run.train for run in self.runs)

    @continued_when_repeated()
    def execute(self, executor: Executor) -> int:
        """Do all that is not done yet; returns 0 if every run succeeded, else 1.

        Raises:
            InputError: the output folder cannot be written, is in use, or holds runs with other settings or results
                under other rules.
        """
        what = f"the {self.reducer.what} in {self.bucket.address if self.bucket else self.output}"
        with ExitStack() as held:
            if self.bucket is not None:
                held.enter_context(self.bucket.owned(what))
                # Checkpoints stay there until a job needs them.
                self.bucket.fetch(lambda name: f"/{CHECKPOINTS_FOLDER}/" not in f"/{name}")
            make_folder(self.output)
            held.enter_context(locked(self.output / ".lock", what))  # from here on nobody else writes results
            for run in self.runs:
                if run.train and run.folder.configuration_file.exists():
                    run.folder.check_same(run.job.config.model_dump(mode="json"), self.reducer.other_folder)
            self.reducer.begin(self)
            self._write()
            try:
                tasks: list[Task] = [*self.references, *self.runs]
                attempts = self.output / ATTEMPTS_NAME
                with patience(self._display.say) as self._ready:
                    Controller(tasks, executor, self.policy, self, attempts=attempts).run()
            finally:
                self._display.close()
            self._write(final=True)
            self.send(final=True)
            print(f"\n{self.reducer.end(self)}")
        for name, fault in self.faults.items():
            print(f"failed: {name}: {fault}", file=sys.stderr)
        return 1 if self.faults else 0

    def started(self, task: Task, rank: Rank) -> None:
        """Say so."""
        if rank != Rank.REFERENCE:
            self._ready()
        done = sum(name not in self.faults for name in self.records)
        if done and not self._worked_on:
            self._display.say(f"{done} of {len(self.runs)} runs are already finished.")
        self._worked_on.add(task.name)
        verb = "training and evaluating" if rank == Rank.TRAIN else "evaluating"
        if rank == Rank.TRAIN and isinstance(task, PlannedRun) and (steps := task.folder.steps_saved()):
            verb = f"continuing after {steps:,} agent-steps"
        self._display.say(f"{self._label(task)}: {verb} ...")

    def ended(self, task: Task, fault: str | None, settled: bool) -> None:
        """Say how an attempt went; record the run when it is done or given up."""
        self._ready()
        if not settled:
            after = "trained." if fault is None else f"{fault} It will be tried again."
            self._display.say(f"{self._label(task)}: {after}")
            return
        done = ""
        if isinstance(task, PlannedRun):
            record = self.records[task.name] = run_record(task, self.output, fault)
            fault = fault or record.training.error or record.evaluation.error
            done = _done_words(task, record)
        if fault:
            self.faults[task.name] = fault
            self._display.say(f"{self._label(task)}: failed: {fault}")
        elif done and task.name in self._worked_on:
            self._display.say(f"{self._label(task)}: {done}")
        if task.name in self._worked_on:
            self._write()

    def waiting(self, active: Sequence[Task]) -> None:
        """Draw the running jobs."""
        self.send()
        folders = [(task.name, task.folder if isinstance(task, PlannedRun) and task.train else None) for task in active]
        failed = sum(name in self.faults for name in self.records)
        done = len(self.records) - failed
        summary = f"{done} of {len(self.runs)} runs done{f', {failed} failed' * bool(failed)}, {len(active)} at work"
        begun = any(folder for _, folder in folders)
        self._display.draw(summary, lambda: self._left(begun), folders)

    def _left(self, begun: bool) -> str:
        """The time to the end of all runs in words; how long compiling takes before they begin is not known."""
        if not self.train:
            return ""
        seconds = seconds_left([run for run in self.runs if run.name not in self.faults], self.parallel)
        about = f"about {duration_text(max(1.0, seconds))}"
        return f", {about} left" if begun else f"; then {about} of training"

    def send(self, final: bool = False) -> None:
        """Put the results into the bucket, now and then and at the end; the runs' jobs send their own folders."""
        if self.bucket is not None and (final or time.monotonic() > self._send_at):
            self._send_at = time.monotonic() + SECONDS_BETWEEN_SENDINGS
            try:
                self.bucket.send(self.reducer.owns)
            except RunError as error:
                self._warn(error, final)

    def _write(self, final: bool = False) -> None:
        """Rewrite the results; a disk that is full for a while costs nothing, because the run folders have it all."""
        try:
            self.reducer.write(self, final)
        except RunError as error:
            self._warn(error, final)

    def _warn(self, error: RunError, final: bool) -> None:
        if final:
            raise error
        print(f"warning: {error} The {self.reducer.what} goes on.", file=sys.stderr)

    def _label(self, task: Task) -> str:
        if not isinstance(task, PlannedRun):
            return f"Reference player {task.name}"
        spec = task.spec
        where = f"{task.note}{spec.architecture} on {spec.level}, seed {spec.seed}"
        return f"[{task.number}/{len(self.runs)}] {where}"


def _done_words(run: PlannedRun, record: RunRecord) -> str:
    hearts = ", ".join(f"{r.hearts_per_agent:.3f} ({name})" for name, r in record.evaluation.results.items())
    training = record.training
    if not training.is_whole(training.total_timesteps):
        return f"{training.trained_words} and not compared, hearts per agent {hearts}"
    done = f"trained in {duration_text(training.duration_seconds or 0.0)}" if run.train else "evaluated"
    return f"{done}, hearts per agent {hearts}"
