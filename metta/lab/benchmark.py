"""A benchmark: plan -> jobs -> run folders -> results, rewritten after every run; repeated, it continues."""

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from metta.analysis.results import (
    FILE_NAME,
    REPORT_NAME,
    BenchmarkResults,
    Key,
    RunRecord,
    read_results,
    write_results,
)
from metta.base.addresses import CHECKPOINTS_FOLDER, REFERENCES_FOLDER
from metta.base.errors import InputError, RunError
from metta.base.files import locked, make_folder, write_atomically
from metta.lab.attempts import Attempts
from metta.lab.bucket import SECONDS_BETWEEN_SENDINGS, Bucket
from metta.lab.controller import Controller, Task
from metta.lab.decide import Rank, Rules
from metta.lab.dispatch.contract import Dispatcher
from metta.lab.display import Display
from metta.lab.identity import training_mark
from metta.lab.log import duration_text
from metta.lab.provenance import cores, now
from metta.lab.records import References, benchmark_results, reference_results, run_record
from metta.lab.report_writer import ReportWriter
from metta.lab.rules import RULES, marks_by_environment
from metta.lab.tasks import EvaluationTask, PlannedReference, PlannedRun, ReferenceTask, RunTask

ATTEMPTS_NAME = "attempts.json"
REPLAYS = ("none", "best", "all")
"""Of each architecture on each level: no replay; of the best episode; of the best and of the median one."""
MANY_RUNS = 500
"""Up to so many, the results are rewritten after every run; beyond that it takes seconds."""
OTHER_FOLDER = "another folder (--output-dir, --experiment-id)"
"""What to give for runs apart from those that are there."""
WRITING_SHARE = 0.1
"""No more than this share of the time is spent on the results of many runs."""


class Pace:
    """Keeps something that takes long to a share of the time."""

    def __init__(self) -> None:
        self._again_at = 0.0

    def allows(self) -> bool:
        """Whether it may be done now."""
        return time.monotonic() >= self._again_at

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """Do it inside."""
        before = time.monotonic()
        try:
            yield
        finally:
            after = time.monotonic()
            self._again_at = after + (after - before) / WRITING_SHARE


@dataclass
class Benchmark:
    """Runs a plan into an output folder."""

    output: Path
    runs: Sequence[PlannedRun]
    references: Sequence[PlannedReference]
    max_timesteps: int
    parallel: int
    """Jobs at a time."""
    threads: int
    """Threads of each job; 0: the job chooses."""
    train: bool
    """False: only evaluate the checkpoints that are there."""
    command: str
    rules: Rules
    split: bool = False
    """Training and evaluation are separate jobs, and all training goes first."""
    replays: str = "all"
    """Which replays are written at the end, one of `REPLAYS`."""
    bucket: Bucket | None = None
    """Where the experiment lies, if not in `output` alone, which is its local folder then."""
    _display: Display = field(default_factory=Display)
    _records: dict[str, RunRecord] = field(default_factory=dict)
    _send_at: float = 0.0
    _kept: list[RunRecord] = field(default_factory=list)
    _kept_references: References = field(default_factory=dict)
    _planned: list[Key] = field(default_factory=list)
    """The runs of this call, then those of earlier ones."""
    _start_time: str = ""
    _faults: dict[str, str] = field(default_factory=dict)
    _worked_on: set[str] = field(default_factory=set)
    _results_pace: Pace = field(default_factory=Pace)
    _report: ReportWriter = field(init=False)

    def __post_init__(self) -> None:
        self._report = ReportWriter(self.results_file)

    @property
    def results_file(self) -> Path:
        """The results of the benchmark."""
        return self.output / FILE_NAME

    def execute(self, dispatcher: Dispatcher) -> int:
        """Do all that is not done yet; returns 0 if every run succeeded, else 1.

        Raises:
            InputError: the output folder cannot be written, is in use, or holds runs with other settings or results
                under other rules.
        """
        if self.bucket is None:
            return self._execute(dispatcher)
        with self.bucket.owned(f"the benchmark in {self.bucket.address}"):
            # Checkpoints stay there until a job needs them.
            self.bucket.fetch(lambda name: f"/{CHECKPOINTS_FOLDER}/" not in f"/{name}")
            return self._execute(dispatcher)

    def _execute(self, dispatcher: Dispatcher) -> int:
        if self.train:
            for run in self.runs:
                if run.folder.configuration_file.exists():
                    run.folder.check_same(run.job.config.model_dump(mode="json"), OTHER_FOLDER)
        self._continue_from_file()
        make_folder(self.output)
        with locked(self.output / ".lock", f"the benchmark in {self.output}"):
            self._write(end_time=None)
            try:
                attempts = Attempts(self.output / ATTEMPTS_NAME)
                tasks: list[Task] = [ReferenceTask(item, self.threads) for item in self.references]
                tasks += self.run_tasks()
                Controller(tasks, dispatcher, self.rules, self, attempts=attempts).run()
            finally:
                self._display.close()
            self._write(end_time=now(), final=True)
            self._send(final=True)
            self._write_replays()
        from metta.analysis.summary import summary_markdown, terminal_width

        print()
        print(summary_markdown(self._results(now()), terminal_width()))
        print(f"\nResults: {self.results_file}\nReport: {self.output / REPORT_NAME}")
        for name, fault in self._faults.items():
            print(f"failed: {name}: {fault}", file=sys.stderr)
        return 1 if self._faults else 0

    def run_tasks(self) -> list[RunTask] | list[EvaluationTask]:
        """What is to be done with the runs."""
        if self.train:
            return [RunTask(run, self.threads, self.split) for run in self.runs]
        return [EvaluationTask(run, self.threads) for run in self.runs]

    def _continue_from_file(self) -> None:
        """Take over what an earlier call did and planned besides the runs of this one, and its start time."""
        self._start_time = now()
        self._planned = [Key(run.spec.architecture, run.spec.level, run.spec.seed) for run in self.runs]
        if not self.results_file.exists():
            if not self.train:
                self._take_steps_of_runs()
            return
        earlier = read_results(self.results_file)
        if not self.train:
            self.max_timesteps = earlier.max_timesteps
        if earlier.max_timesteps != self.max_timesteps:
            raise InputError(
                f"{self.results_file} holds a benchmark of {earlier.max_timesteps} steps, not {self.max_timesteps}; "
                f"give the same number of steps to continue it, or {OTHER_FOLDER}."
            )
        self._start_time = earlier.start_time
        here = set(self._planned)
        self._kept = [record for record in earlier.runs if record.training.key not in here]
        self._refuse_other_rules()
        self._refuse_other_settings()
        self._planned = list(dict.fromkeys([*self._planned, *earlier.planned_runs]))
        levels = {item.level for item in self.references}
        self._kept_references = {level: found for level, found in earlier.references.items() if level not in levels}

    def _take_steps_of_runs(self) -> None:
        """The runs that are there say how many steps a run has, where they agree."""
        found = {
            configuration.get("trainer", {}).get("total_timesteps")
            for run in self.runs
            if (configuration := run.folder.configuration())
        }
        if len(found) == 1 and isinstance(steps := found.pop(), int):
            self.max_timesteps = steps

    def _refuse_other_rules(self) -> None:
        """Raise `InputError` if earlier results were made under other rules than those of this call on their level."""
        wanted: dict[str, dict[str, str]] = {}
        for run in self.runs:
            if run.spec.level not in wanted:
                rules = run.job.config.model_dump(mode="json", include=set(RULES))
                wanted[run.spec.level] = marks_by_environment(rules)
        for record in self._kept:
            level = record.training.level
            for environment, result in record.evaluation.results.items():
                if wanted.get(level, {}).get(environment, result.rules) != result.rules:
                    raise InputError(
                        f"{self.results_file} holds {record.training.run_name}, evaluated on {level} {environment} "
                        "with other evaluation settings or environments than these runs; such results are not "
                        "compared. Give the same settings, or another folder; or evaluate all of its runs alike with "
                        "--skip-training."
                    )

    def _refuse_other_settings(self) -> None:
        """Raise `InputError` if an earlier run of an architecture on a level is no seed of the same training."""
        wanted: dict[tuple[str, str], str] = {}
        for run in self.runs:
            own = None if self.train else run.folder.configuration()
            mark = training_mark(own or run.job.config.model_dump(mode="json"))
            wanted.setdefault((run.spec.architecture, run.spec.level), mark)
        for record in self._kept:
            training = record.training
            if wanted.get(training.key[:2], training.settings) != training.settings:
                raise InputError(
                    f"{self.results_file} holds {training.run_name}, trained with other settings than these runs; they "
                    f"are not seeds of one thing. Give the same settings, or {OTHER_FOLDER}."
                )

    def started(self, task: Task, rank: Rank) -> None:
        """Say so."""
        self._say_what_was_done()
        self._worked_on.add(task.name)
        if not isinstance(task, RunTask | EvaluationTask):
            self._display.say(f"Reference player {task.name}: evaluating ...")
            return
        verb = "evaluating"
        if rank == Rank.TRAIN:
            verb = "training" if self.split else "training and evaluating"
        self._display.say(f"{self._label(task.run)}: {verb} ...")

    def ended(self, task: Task, fault: str | None, settled: bool) -> None:
        """Say how an attempt went; record the run when it is done or given up."""
        if isinstance(task, RunTask | EvaluationTask):
            self._run_ended(task.run, fault, settled)
        elif fault and settled:
            self._faults[task.name] = fault
        if settled and task.name in self._worked_on:
            self._write(end_time=None)

    def waiting(self, active: Sequence[Task]) -> None:
        """Draw the running jobs."""
        self._send()
        folders = [(task.name, task.run.folder if isinstance(task, RunTask) else None) for task in active]
        failed = sum(name in self._faults for name in self._records)
        done = len(self._records) - failed
        self._display.draw(f"{done} of {len(self.runs)} runs done, {failed} failed, {len(active)} at work", folders)

    def _send(self, final: bool = False) -> None:
        """Put the results into the bucket, now and then and at the end; the runs' jobs send their own folders."""
        if self.bucket is None or not (final or time.monotonic() > self._send_at):
            return
        self._send_at = time.monotonic() + SECONDS_BETWEEN_SENDINGS
        try:
            self.bucket.send(_is_of_the_benchmark)
        except RunError as error:
            if final:
                raise
            print(f"warning: {error} The benchmark goes on.", file=sys.stderr)

    def _run_ended(self, run: PlannedRun, fault: str | None, settled: bool) -> None:
        label = self._label(run)
        if not settled:
            self._display.say(f"{label}: trained." if fault is None else f"{label}: {fault} It will be tried again.")
            return
        record = run_record(run, self.output, len(self.runs), self.train, fault)
        self._records[run.spec.id] = record
        fault = fault or record.training.error or record.evaluation.error
        if fault:
            self._faults[run.spec.id] = fault
            self._display.say(f"{label}: failed: {fault}")
        elif run.spec.id in self._worked_on:
            hearts = ", ".join(f"{r.hearts_per_agent:.3f} ({name})" for name, r in record.evaluation.results.items())
            done = f"trained in {duration_text(record.training.duration_seconds or 0.0)}"
            if not record.training.is_whole(self.max_timesteps):
                done = f"{record.training.trained_words} and not compared"
            elif not self.train:
                done = "evaluated"
            self._display.say(f"{label}: {done}, hearts per agent {hearts}")

    def _say_what_was_done(self) -> None:
        """Once, before the first job starts."""
        done = sum(name not in self._faults for name in self._records)
        if done and not self._worked_on:
            self._display.say(f"{done} of {len(self.runs)} runs are finished already.")

    def _label(self, run: PlannedRun) -> str:
        spec = run.spec
        return f"[{run.number}/{len(self.runs)}] {spec.architecture} on {spec.level}, seed {spec.seed}"

    def _results(self, end_time: str | None) -> BenchmarkResults:
        own = [self._records[run.spec.id] for run in self.runs if run.spec.id in self._records]
        total = len(self._planned)
        kept = [
            record.model_copy(update={"run_number": len(self.runs) + index + 1})
            for index, record in enumerate(self._kept)
        ]
        return benchmark_results(
            [record.model_copy(update={"total_runs": total}) for record in own + kept],
            self._planned,
            {**self._kept_references, **reference_results(self.references)},
            self._start_time,
            end_time,
            self.max_timesteps,
            self.command,
        )

    def _write(self, end_time: str | None, final: bool = False) -> None:
        """Rewrite the results; a disk that is full for a while costs nothing, because the run folders have it all."""
        try:
            if final or len(self.runs) <= MANY_RUNS or self._results_pace.allows():
                with self._results_pace.measured():
                    results = self._results(end_time)
                    write_with_tables(self.results_file, results)
                    if final:
                        self._report.finish(results)
                    else:
                        self._report.refresh(results)
        except RunError as error:
            if final:
                raise
            print(f"warning: {error} The benchmark goes on.", file=sys.stderr)

    def _write_replays(self) -> None:
        """Replays, as many at a time as jobs; one that fails costs the benchmark nothing."""
        if self.replays == "none":
            return
        from metta.analysis.gather import combine
        from metta.analysis.replays import BEST, KINDS
        from metta.lab import replays

        results = read_results(self.results_file)
        kinds = [BEST] if self.replays == "best" else [*KINDS]
        benchmark = combine({self.results_file: results})
        wanted = replays.wanted(benchmark, kinds)
        if not wanted:
            return
        processes = min(self.parallel, cores(), len(wanted))
        if self.bucket is not None:
            players = {folder.resolve() for folder in replays.players(wanted)}
            self.bucket.fetch(lambda name: (self.output / name).resolve().parent in players)
        print(f"Writing {len(wanted)} replays; --replays best or none writes fewer.", flush=True)
        if processes > 1:
            threads = max(1, cores() // processes)
            faults = replays.write_side_by_side(self.results_file, kinds, processes, threads)
        else:
            faults = replays.write_missing(benchmark, print, kinds)
        for fault in faults:
            print(f"warning: {fault}", file=sys.stderr)
        self._report.finish(results)
        self._send(final=True)


def _is_of_the_benchmark(name: str) -> bool:
    """Whether a file is not one of a run's job, which sends its own: results, reports, references, replays."""
    from metta.analysis.replays import REPLAY_PATTERN

    folder, _, file = name.rpartition("/")
    return folder.split("/")[0] in ("", REFERENCES_FOLDER, Path(REPORT_NAME).stem) or fnmatch(file, REPLAY_PATTERN)


def write_with_tables(results_file: Path, results: BenchmarkResults) -> None:
    """Replace a results file and the tables beside it. Raises `RunError` if the disk is full."""
    from metta.analysis.summary import CSV_NAME, MARKDOWN_NAME, summary_csv, summary_markdown

    write_results(results_file, results)
    write_atomically(results_file.parent / MARKDOWN_NAME, summary_markdown(results) + "\n")
    write_atomically(results_file.parent / CSV_NAME, summary_csv(results))
