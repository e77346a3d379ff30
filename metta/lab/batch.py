"""Runs done within a time, on a GPU and on processor cores at once, with an archive that is whole at every moment."""

import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from metta.base.endings import STOPPED
from metta.base.provenance import cores, now
from metta.lab.archive import read_archive, run_record, write_archive
from metta.lab.executors.contract import Command, Ended
from metta.lab.executors.local import LocalExecutor
from metta.lab.planned import PlannedRun
from metta.lab.run import Run
from metta.lab.run_folder import Heartbeat

SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_BETWEEN_ARCHIVES = 20.0
NAMED = 5
"""Unfinished runs that the last line names."""
ON_ONE_CORE = ("system.device=cpu", "system.threads=1")
TRAINED_ON_ONE_CORE = (*ON_ONE_CORE, "sim.device=cpu")

Place = Literal["gpu", "cpu"]
State = Literal["waiting", "training", "trained", "evaluating", "finished", "failed", "stopped", "not started"]


class _TimeIsUp(Exception):
    """Ends the training of a run at the end of the time; its last checkpoint stays."""


@dataclass
class BatchRun:
    """One line of the plan, and where its run stands."""

    planned: PlannedRun
    place: Place
    state: State = "waiting"
    error: str | None = None
    seconds: float = 0.0
    """In training, in this batch."""
    done_before: int = 0
    """Agent-steps of earlier batches."""
    started: float = field(default=0.0, repr=False)

    @property
    def name(self) -> str:
        """Of the run, its folder and its record."""
        return self.planned.spec.id

    @property
    def kind(self) -> tuple[Place, str]:
        """Runs of one kind are about equally fast."""
        return self.place, self.planned.spec.architecture

    @property
    def timesteps_here(self) -> int:
        """Agent-steps to train for in this batch."""
        return max(1, self.planned.job.config.trainer.total_timesteps - self.done_before)


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
        self._known_rates = dict(rates or {})
        self._evaluation_seconds: dict[str, float] = {}
        self._lock = threading.Lock()
        self._changed = True
        self._stop = threading.Event()
        self._before = read_archive(archive) if archive.exists() else {}

    def execute(self) -> None:
        """Do what can be done until the deadline. KeyboardInterrupt stops it early; the archive is written anyway."""
        self._skip_finished()
        workers = [threading.Thread(target=self._train_here, name=f"training {i}") for i in range(self._at_once)]
        for worker in workers:
            worker.start()
        written = -SECONDS_BETWEEN_ARCHIVES
        try:
            while self._clock() < self._deadline:
                self._poll()
                self._start_processes()
                if self._changed or self._clock() - written > SECONDS_BETWEEN_ARCHIVES:
                    written = self._clock()
                    self._write()
                if not self._is_busy(workers):
                    break
                time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            self._stop.set()
            self._executor.close()
            for worker in workers:
                worker.join()
            self._mark_unfinished()
            self._write()
            self._say_unfinished()

    def records(self) -> dict[str, dict[str, Any]]:
        """The record of every run of the plan, also of those not started, and of the others in the archive, by name."""
        own = {run.name: self._record(run) for run in self.runs}
        return {**own, **{name: record for name, record in self._before.items() if name not in own}}

    def _skip_finished(self) -> None:
        for run in self.runs:
            if self._before.get(run.name, {}).get("state") == "finished" or run.planned.folder.is_finished():
                run.state = "finished"
                self._say(f"{run.name}: finished before")

    def _is_busy(self, workers: Sequence[threading.Thread]) -> bool:
        busy = any(run.state in ("training", "trained", "evaluating") for run in self.runs)
        return busy or any(worker.is_alive() for worker in workers) or self._next("cpu") is not None

    def _next(self, place: Place) -> BatchRun | None:
        """The first waiting run of a place that is expected to end in time."""
        left = self._deadline - self._clock()
        waiting = (run for run in self.runs if run.state == "waiting" and run.place == place)
        return next((run for run in waiting if self._expected_seconds(run) < left), None)

    def _expected_seconds(self, run: BatchRun) -> float:
        """Of training and evaluating; by the slowest run of its place where its own kind is unknown, 0 without any."""
        trained = [run for run in self.runs if run.seconds > 0 and run.state in ("trained", "evaluating", "finished")]
        rates = {**self._known_rates, **{run.kind: run.timesteps_here / run.seconds for run in trained}}
        of_place = [rate for (place, _), rate in rates.items() if place == run.place]
        rate = rates.get(run.kind, min(of_place, default=float("inf")))
        evaluation = self._evaluation_seconds.get(
            run.planned.spec.architecture, max(self._evaluation_seconds.values(), default=0.0)
        )
        return run.timesteps_here / rate + (evaluation if run.place == "gpu" else 0.0)

    def _train_here(self) -> None:
        """What each thread of this process does: one run after the other."""
        while not self._stop.is_set():
            with self._lock:
                run = self._next("gpu")
                if run is None:
                    return
                self._start(run, "training")
            try:
                with own_stream():
                    train_run(run.planned, self._check_time, self._say)
                self._end(run, "trained")
            except _TimeIsUp:
                self._end(run, "stopped")
            except Exception as error:
                self._say(f"{run.name}: failed\n{traceback.format_exc()}")
                run.error = f"{type(error).__name__}: {error}"
                self._end(run, "failed")

    def _check_time(self) -> None:
        if self._stop.is_set():
            raise _TimeIsUp

    def _start(self, run: BatchRun, state: State) -> None:
        if state == "training":
            status = run.planned.folder.status()
            run.done_before = status.timesteps if status else 0
        run.state, run.started = state, self._clock()
        self._say(f"{run.name}: {state} on {run.place if state == 'training' else 'a core'}")
        self._changed = True

    def _end(self, run: BatchRun, state: State) -> None:
        seconds = self._clock() - run.started
        if run.state == "training":
            run.seconds = seconds
        else:
            self._evaluation_seconds[run.planned.spec.architecture] = seconds
        run.state = state
        rate = f", {run.timesteps_here / seconds:,.0f} agent-steps/s" if state == "trained" else ""
        self._say(f"{run.name}: {state} after {seconds:.1f} s{rate}")
        self._changed = True

    def _start_processes(self) -> None:
        states = [run.state for run in self.runs if run.place == "cpu"]
        for _ in range(self._cpu_jobs - states.count("training")):
            run = self._next("cpu")
            if run is None:
                break
            self._start(run, "training")
            self._dispatch(run, run.planned.train_words)
        free = self._evaluators - sum(run.state == "evaluating" for run in self.runs)
        for run in [run for run in self.runs if run.state == "trained"][:free]:
            self._start(run, "evaluating")
            words = [word for word in run.planned.evaluate_words if not word.startswith("system.")]
            self._dispatch(run, (*words, *ON_ONE_CORE))

    def _dispatch(self, run: BatchRun, words: tuple[str, ...]) -> None:
        log = run.planned.job.train_dir / "logs" / f"{run.name}.txt"
        self._executor.start(Command(run.name, words, log, threads=1))

    def _poll(self) -> None:
        by_name = {run.name: run for run in self.runs}
        for ended in self._executor.poll():
            self._note(by_name[ended.command.name], ended)

    def _note(self, run: BatchRun, ended: Ended) -> None:
        if ended.fault is None:
            self._end(run, "finished")
            return
        run.error = ended.fault
        self._say(f"{run.name}: {ended.fault}")
        self._end(run, "stopped" if ended.status == STOPPED else "failed")

    def _mark_unfinished(self) -> None:
        for run in self.runs:
            if run.state == "waiting":
                run.state = "not started"
            elif run.state in ("training", "trained", "evaluating"):
                run.state = "stopped"

    def _say_unfinished(self) -> None:
        unfinished = [f"{run.name} ({run.state})" for run in self.runs if run.state != "finished"]
        if unfinished:
            more = f", and {len(unfinished) - NAMED} more" if len(unfinished) > NAMED else ""
            self._say(f"not finished: {len(unfinished)} of {len(self.runs)}: {', '.join(unfinished[:NAMED])}{more}")

    def _record(self, run: BatchRun) -> dict[str, Any]:
        folder = run.planned.folder
        started = folder.configuration_file.exists()
        before = self._before.get(run.name)
        if before is not None and (before["state"] == "finished" or not started):
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


def train_run(planned: PlannedRun, check: Callable[[], None], say: Callable[[str], None]) -> None:
    """Train a run, or continue it, in this thread; it is left to be evaluated.

    Args:
        planned: the run.
        check: called after every update; what it raises ends the run, which saves the update first.
        say: gets warnings.
    """
    run = Run(planned.job.config, planned.folder)
    run.check_and_record_start()
    with Heartbeat(run.folder, run.config.trainer.total_timesteps, say) as heartbeat:
        try:
            run.train(heartbeat, lambda progress: check())
        except BaseException as error:
            stopped = isinstance(error, _TimeIsUp)
            heartbeat.update(state="stopped" if stopped else "failed", error=None if stopped else repr(error))
            raise
        heartbeat.update(state="trained")


@contextmanager
def own_stream() -> Iterator[None]:
    """A queue of its own on the GPU, if there is one, so that runs side by side do not wait for each other."""
    import torch

    if not torch.cuda.is_available():
        yield
        return
    with torch.cuda.stream(torch.cuda.Stream()):
        yield
