"""Runs done within a time, on a GPU and on processor cores at once, with an archive that is whole at every moment."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from metta.base.endings import STOPPED
from metta.base.errors import InputError
from metta.base.provenance import cores, now
from metta.base.stopping import Ending
from metta.lab.archive import read_archive, run_record, write_archive
from metta.lab.evaluation_key import marks_by_environment
from metta.lab.executors.contract import Command, Ended
from metta.lab.executors.local import LocalExecutor
from metta.lab.identity import training_mark
from metta.lab.planned import PlannedRun

SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_BETWEEN_ARCHIVES = 20.0
NAMED = 5
"""Unfinished runs that the last line names."""
ON_ONE_CORE = ("system.device=cpu", "system.threads=1")
TRAINED_ON_ONE_CORE = (*ON_ONE_CORE, "sim.device=cpu")

AT_WORK = ("training", "trained", "evaluating")

Place = Literal["gpu", "cpu"]
State = Literal["waiting", "training", "trained", "evaluating", "finished", "failed", "stopped", "not started"]


@dataclass
class BatchRun:
    """One line of the plan, and where its run stands."""

    planned: PlannedRun
    place: Place
    state: State = "waiting"
    error: str | None = None
    started: float = field(default=0.0, repr=False)
    steps: int = field(default=0, repr=False)
    """Agent-steps that were left when it was started."""
    ending: Ending = field(default_factory=Ending, repr=False)
    """Asks its training to stop, where that is a thread of this process."""

    @property
    def name(self) -> str:
        """Of the run, its folder and its record."""
        return self.planned.spec.id

    @property
    def kind(self) -> tuple[Place, str]:
        """Runs of one kind are about equally fast."""
        return self.place, self.planned.spec.architecture

    @property
    def steps_left(self) -> int:
        """Agent-steps still to train for."""
        status = None
        with suppress(InputError):  # a damaged one is named by its job
            status = self.planned.folder.status()
        return max(1, self.total_steps - (status.timesteps if status else 0))

    @property
    def total_steps(self) -> int:
        """Agent-steps to train for."""
        return self.planned.job.config.trainer.total_timesteps


class Batch:
    """Does the runs of a plan, and keeps the archive up to date."""

    def __init__(
        self,
        runs: Sequence[BatchRun],
        archive: Path,
        deadline: float,
        at_once: int,
        cpu_jobs: int,
        say: Callable[[str], None],
        rates: Mapping[tuple[Place, str], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is started yet.

        Args:
            runs: in the order in which they are to be done.
            archive: path of the archive; finished runs in it are kept, and not repeated.
            deadline: time of `clock` at which everything is stopped.
            at_once: runs that train side by side in this process.
            cpu_jobs: training processes of one thread. Evaluations of the runs of this process take the other cores.
            say: gets every line for people.
            rates: agent-steps per second by kind of run, where they are known before.
            clock: seconds.
        """
        self.runs, self._archive, self._deadline, self._say, self._clock = runs, archive, deadline, say, clock
        self._at_once, self._cpu_jobs = at_once, cpu_jobs
        self._evaluators = max(1, cores() - cpu_jobs - 1)
        self._executor = LocalExecutor(cpu_jobs + self._evaluators)
        self._paces = {kind: 1 / rate for kind, rate in (rates or {}).items()}
        """Seconds per agent-step, with all that a run needs besides training."""
        self._lock = threading.Lock()
        self._changed = True
        self._stopping = False
        self._before = read_archive(archive) if archive.exists() else {}

    def execute(self) -> None:
        """Do what can be done until the deadline. KeyboardInterrupt stops it early; the archive is written anyway."""
        for run in self.runs:
            try:
                if self._finished_before(run):
                    run.state = "finished"
                    self._say(f"{run.name}: finished before")
            except InputError as error:
                self._enter(run, "failed", str(error))
        workers = [threading.Thread(target=self._train_here, name=f"training {i}") for i in range(self._at_once)]
        written, busy = -SECONDS_BETWEEN_ARCHIVES, True
        try:
            for worker in workers:
                worker.start()
            while busy and self._clock() < self._deadline:
                by_name = {run.name: run for run in self.runs}
                for ended in self._executor.poll():
                    self._job_ended(by_name[ended.command.name], ended)
                self._start_processes()
                if self._changed or self._clock() - written > SECONDS_BETWEEN_ARCHIVES:
                    written = self._clock()
                    self._write()
                busy = any(run.state in AT_WORK for run in self.runs)
                busy = busy or any(worker.is_alive() for worker in workers)
                time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            self._stopping = True
            for run in self.runs:
                run.ending.ask()
            self._executor.close()
            for worker in workers:
                if worker.ident is not None:
                    worker.join()
            for run in self.runs:
                if run.state in AT_WORK:
                    with suppress(InputError):
                        run.state = "finished" if run.planned.folder.is_finished() else "stopped"
                if run.state not in ("finished", "failed"):
                    run.state = "not started" if run.state == "waiting" else "stopped"
            self._write()
            self._say(f"written to {self._archive}")
            unfinished = [f"{run.name} ({run.state})" for run in self.runs if run.state != "finished"]
            if unfinished:
                more = f", and {len(unfinished) - NAMED} more" if len(unfinished) > NAMED else ""
                named = ", ".join(unfinished[:NAMED]) + more
                self._say(f"not finished: {len(unfinished)} of {len(self.runs)}: {named}")

    def records(self) -> dict[str, dict[str, Any]]:
        """The record of every run of the plan, also of those not started, and of the others in the archive, by name."""
        own = {run.name: self._record(run) for run in self.runs}
        return {**own, **{name: record for name, record in self._before.items() if name not in own}}

    def _finished_before(self, run: BatchRun) -> bool:
        """Whether the archive or its folder says so. Raises `InputError` if that is a run with other settings."""
        before, folder = self._before.get(run.name, {}), run.planned.folder
        if before.get("state") == "finished":
            there = before.get("settings"), (before.get("evaluation") or {}).get("rules")
        elif folder.is_finished():
            there = _marks(folder.configuration() or {})
        else:
            return False
        if there != _marks(run.planned.job.config.model_dump(mode="json")):
            raise InputError("it is finished with other settings; give its line experiment=<name>.")
        return True

    def _next(self, place: Place) -> BatchRun | None:
        """The first waiting run of a place that is expected to end in time, by those that have ended.

        One whose own kind is unknown is taken to be as slow as the slowest of its place. Of lines that are one run, one
        is done at a time.
        """
        at_work = {run.planned.folder for run in self.runs if run.state in AT_WORK}
        left = self._deadline - self._clock()
        slowest = max((pace for kind, pace in self._paces.items() if kind[0] == place), default=0.0)
        waiting = (
            run
            for run in self.runs
            if run.state == "waiting" and run.place == place and run.planned.folder not in at_work
        )
        return next((run for run in waiting if run.steps_left * self._paces.get(run.kind, slowest) < left), None)

    def _train_here(self) -> None:
        """What each thread of this process does: one run after the other."""
        while not self._stopping:
            with self._lock:
                run = self._next("gpu")
                if run is None:
                    return
                self._enter(run, "training")
            try:
                with own_stream():
                    stopped = replace(run.planned.job, evaluate=False).execute(run.ending)
                self._enter(run, "stopped" if stopped else "trained")
            except BrokenPipeError:
                self._enter(run, "stopped")
            except Exception as error:
                self._enter(run, "failed", f"{type(error).__name__}: {error}")

    def _start_processes(self) -> None:
        training = sum(run.state == "training" for run in self.runs if run.place == "cpu")
        while training < self._cpu_jobs and (run := self._next("cpu")):
            self._dispatch(run, "training", run.planned.train_words)
            training += 1
        free = self._evaluators - sum(run.state == "evaluating" for run in self.runs)
        for run in [run for run in self.runs if run.state == "trained"][:free]:
            words = [word for word in run.planned.evaluate_words if not word.startswith("system.")]
            self._dispatch(run, "evaluating", (*words, *ON_ONE_CORE))

    def _dispatch(self, run: BatchRun, state: State, words: tuple[str, ...]) -> None:
        self._enter(run, state)
        log = run.planned.job.train_dir / "logs" / f"{run.name}.txt"
        self._executor.start(Command(run.name, words, log, threads=1))

    def _job_ended(self, run: BatchRun, ended: Ended) -> None:
        if ended.fault is not None:
            self._enter(run, "stopped" if ended.status == STOPPED else "failed", ended.fault)
            return
        if run.steps > run.total_steps / 2:  # what takes as long however few steps are left says nothing
            with self._lock:
                self._paces[run.kind] = (self._clock() - run.started) / run.steps
        self._enter(run, "finished")

    def _enter(self, run: BatchRun, state: State, error: str | None = None) -> None:
        if state == "training":
            run.started, run.steps = self._clock(), run.steps_left
        run.state, run.error = state, error
        on = f" on {run.place}" if state == "training" else f" after {self._clock() - run.started:.1f} s"
        self._say(f"{run.name}: {state}{on}{f': {error}' if error else ''}")
        self._changed = True

    def _record(self, run: BatchRun) -> dict[str, Any]:
        folder = run.planned.folder
        started = folder.configuration_file.exists()
        before = self._before.get(run.name)
        if before is not None and (before.get("state") == "finished" or not started):
            return before
        record = {
            **(run_record(folder) if started else {"run": run.name}),
            "words": [word for word in run.planned.train_words if not word.startswith("train_dir=")],
            "place": run.place,
            "state": run.state,
            "error": run.error,
            "noted": now(),
        }
        if run.state == "finished":
            self._before[run.name] = record  # it will not change
        return record

    def _write(self) -> None:
        self._changed = False
        write_archive(self._archive, self.records())


def _marks(configuration: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Of the settings of training and evaluation that change numbers."""
    return training_mark(configuration), marks_by_environment(configuration)


def own_stream() -> AbstractContextManager[object]:
    """A queue of its own on the GPU, if there is one, so that runs side by side do not wait for each other."""
    import torch

    return torch.cuda.stream(torch.cuda.Stream()) if torch.cuda.is_available() else nullcontext()
