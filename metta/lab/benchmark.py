"""A benchmark: plan -> commands -> run folders -> results, rewritten after every run; repeated, it continues."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metta.analysis.results import (
    FILE_NAME,
    BenchmarkResults,
    EnvironmentResult,
    EvaluationRecord,
    RunRecord,
    TrainingRecord,
    environment_result,
    read_results,
    scored,
    write_results,
)
from metta.analysis.summary import CSV_NAME, MARKDOWN_NAME, summary_csv, summary_markdown
from metta.base.errors import InputError, RunError
from metta.base.files import locked, make_folder, read_json, write_atomically
from metta.lab.log import duration_text
from metta.lab.plan import RunSpec
from metta.lab.provenance import now, provenance
from metta.lab.run import RunFolder
from metta.lab.runner import Command, Ended, command_text, run_commands
from metta.lab.training import TrainJob


@dataclass(frozen=True)
class PlannedRun:
    """One run of the plan with its commands, checked before anything starts."""

    number: int
    spec: RunSpec
    job: TrainJob
    train_words: tuple[str, ...]
    evaluate_words: tuple[str, ...]

    @property
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
    evaluation: Mapping[str, Any]
    """The evaluation settings that the file must have been made with."""

    @property
    def name(self) -> str:
        """For logs and messages."""
        return f"{self.player} on {self.level}"

    def is_done(self) -> bool:
        """Whether the file is there and was made with these settings."""
        return self.file.exists() and read_json(self.file).get("evaluation") == self.evaluation


@dataclass
class Benchmark:
    """Runs a plan into an output folder."""

    output: Path
    runs: Sequence[PlannedRun]
    references: Sequence[PlannedReference]
    max_timesteps: int
    parallel: int
    threads: int
    train: bool
    """False: only evaluate the checkpoints that are there."""
    command: str
    say: Callable[[str], None] = print
    _records: dict[str, RunRecord] = field(default_factory=dict)
    _kept: list[RunRecord] = field(default_factory=list)
    _start_time: str = ""
    _faults: list[str] = field(default_factory=list)

    @property
    def results_file(self) -> Path:
        """The results of the benchmark."""
        return self.output / FILE_NAME

    def execute(self) -> int:
        """Do all that is not done yet; returns 0 if every run succeeded, else 1.

        Raises:
            InputError: the output folder cannot be written, is in use, or holds runs with other settings.
        """
        if self.train:
            for run in self.runs:
                run.folder.check_same(run.job.config.model_dump(mode="json"))
        self._continue_from_file()
        make_folder(self.output)
        with locked(self.output / ".lock", f"the benchmark in {self.output}"):
            commands = self._open_commands()
            self._write(end_time=None)
            by_name = {run.spec.id: run for run in self.runs}

            def on_end(ended: Ended) -> None:
                run = by_name.get(ended.command.name)
                if run is None:
                    self._reference_ended(ended)
                else:
                    self._run_ended(run, ended)
                self._write(end_time=None)

            line = WaitingLine(by_name, len(commands))
            run_commands(commands, self.parallel, lambda c: self._started(c, by_name, line), on_end, line.show)
            line.clear()
            self._write(end_time=now(), final=True)
        self.say("")
        self.say(summary_markdown(self._results(now())))
        self.say(f"\nResults: {self.results_file}")
        for fault in self._faults:
            print(f"failed: {fault}", file=sys.stderr)
        return 1 if self._faults else 0

    def _continue_from_file(self) -> None:
        """Take over the start time and the runs of other architectures, levels and seeds from an earlier call."""
        self._start_time = now()
        if not self.results_file.exists():
            return
        earlier = read_results(self.results_file)
        if not self.train:
            self.max_timesteps = earlier.max_timesteps
        if earlier.max_timesteps != self.max_timesteps:
            raise InputError(
                f"{self.results_file} holds a benchmark of {earlier.max_timesteps} steps, not {self.max_timesteps}; "
                "give the same --max-timesteps to continue it, or another --output-dir."
            )
        self._start_time = earlier.start_time
        planned = {run.spec.id for run in self.runs}
        self._kept = [record for record in earlier.runs if record.training.run_name not in planned]

    def _open_commands(self) -> list[Command]:
        """The commands of everything that is not finished; what is finished is recorded at once."""
        commands = [
            Command(item.name, item.words, item.file.with_suffix(".log"), self.threads)
            for item in self.references
            if not item.is_done()
        ]
        for run in self.runs:
            nothing_to_do = run.folder.is_finished() if self.train else not any(run.folder.checkpoints.glob("*"))
            if nothing_to_do:
                self._run_ended(run, None)
            else:
                words = run.train_words if self.train else run.evaluate_words
                commands.append(Command(run.spec.id, words, run.folder.log_file, self.threads))
        finished = len(self.runs) - sum(command.name in {run.spec.id for run in self.runs} for command in commands)
        if finished and self.train:
            self.say(f"{finished} of {len(self.runs)} runs are finished already.")
        return commands

    def _started(self, command: Command, by_name: Mapping[str, PlannedRun], line: "WaitingLine") -> None:
        line.clear()
        run = by_name.get(command.name)
        if run is None:
            self.say(f"Reference player {command.name}: evaluating ...")
            return
        verb = "training and evaluating" if self.train else "evaluating"
        spec = run.spec
        self.say(f"[{run.number}/{len(self.runs)}] {spec.architecture} on {spec.level}, seed {spec.seed}: {verb} ...")

    def _reference_ended(self, ended: Ended) -> None:
        if ended.fault:
            self._faults.append(f"{ended.command.name}: {ended.fault}")

    def _run_ended(self, run: PlannedRun, ended: Ended | None) -> None:
        record = run_record(run, len(self.runs), self.train, ended.fault if ended else None)
        self._records[run.spec.id] = record
        label = f"[{run.number}/{len(self.runs)}] {run.spec.architecture} on {run.spec.level}, seed {run.spec.seed}"
        fault = record.training.error or record.evaluation.error
        if fault:
            self._faults.append(f"{run.spec.id}: {fault}")
            self.say(f"{label}: failed: {fault}")
        elif ended:
            hearts = ", ".join(f"{r.hearts_per_agent:.3f} ({name})" for name, r in record.evaluation.results.items())
            took = duration_text(record.training.duration_seconds or 0.0)
            self.say(f"{label}: trained in {took}, hearts per agent {hearts}")

    def _results(self, end_time: str | None) -> BenchmarkResults:
        planned = [self._records[run.spec.id] for run in self.runs if run.spec.id in self._records]
        kept = [
            record.model_copy(update={"run_number": len(self.runs) + index + 1})
            for index, record in enumerate(self._kept)
        ]
        total = len(self.runs) + len(kept)
        records = [record.model_copy(update={"total_runs": total}) for record in planned + kept]
        references: dict[str, dict[str, dict[str, EnvironmentResult]]] = {}
        for item in self.references:
            if item.is_done():
                references.setdefault(item.level, {})[item.player] = _results_in(item.file)
        named = [(run.spec.architecture, run.spec.level, run.spec.seed) for run in self.runs]
        named += [(record.training.architecture, record.training.level, record.training.seed) for record in kept]
        return BenchmarkResults(
            start_time=self._start_time,
            end_time=end_time,
            max_timesteps=self.max_timesteps,
            architectures=list(dict.fromkeys(architecture for architecture, _, _ in named)),
            levels=sorted({level for _, level, _ in named}),
            seeds=sorted({seed for _, _, seed in named}),
            command=self.command,
            references={
                level: {player: _all_scored(results, found) for player, results in found.items()}
                for level, found in references.items()
            },
            runs=[_scored(record, references.get(record.training.level, {})) for record in records],
            provenance=provenance(),
        )

    def _write(self, end_time: str | None, final: bool = False) -> None:
        """Rewrite the results; a disk that is full for a while costs nothing, because the run folders have it all."""
        results = self._results(end_time)
        try:
            write_results(self.results_file, results)
            write_atomically(self.output / MARKDOWN_NAME, summary_markdown(results) + "\n")
            write_atomically(self.output / CSV_NAME, summary_csv(results))
        except RunError as error:
            if final:
                raise
            print(f"warning: {error} The benchmark goes on.", file=sys.stderr)


def _all_scored(
    results: Mapping[str, EnvironmentResult], references: Mapping[str, Mapping[str, EnvironmentResult]]
) -> dict[str, EnvironmentResult]:
    """Results by environment with normalised scores where the reference players allow them."""
    return {name: scored(result, name, references) for name, result in results.items()}


def _scored(record: RunRecord, references: Mapping[str, Mapping[str, EnvironmentResult]]) -> RunRecord:
    results = _all_scored(record.evaluation.results, references)
    return record.model_copy(update={"evaluation": record.evaluation.model_copy(update={"results": results})})


def run_record(run: PlannedRun, total: int, trained_here: bool, fault: str | None) -> RunRecord:
    """What the run's folder says about how it went.

    Args:
        run: the run.
        total: number of runs in the plan.
        trained_here: False if training was skipped on request.
        fault: why its command failed, or None.
    """
    folder = run.folder
    status = folder.status()
    trained = status is not None and status.trained
    if not trained_here:
        trained = any(folder.checkpoints.glob("*"))
        fault = fault if trained else f"there is no checkpoint in {folder.checkpoints} to evaluate (--skip-training)."
    words = run.train_words if trained_here else run.evaluate_words
    training = TrainingRecord(
        architecture=run.spec.architecture,
        level=run.spec.level,
        seed=run.spec.seed,
        run_name=run.spec.id,
        command=command_text(words),
        start_time=status.started if status else None,
        status="success" if trained else "failed",
        duration_seconds=status.training_seconds if status else None,
        error=None if trained else fault or "the run ended before its training did.",
        timesteps=status.timesteps if status else None,
        run_folder=str(folder.path),
    )
    return RunRecord(
        run_number=run.number,
        total_runs=total,
        training=training,
        evaluation=_evaluation_record(folder, trained, fault),
    )


def _evaluation_record(folder: RunFolder, trained: bool, fault: str | None) -> EvaluationRecord:
    if not trained:
        return EvaluationRecord(status="skipped", duration_seconds=None, results={}, error=None)
    try:
        if fault:
            raise InputError(fault)
        return EvaluationRecord(
            status="success",
            duration_seconds=read_json(folder.evaluation_file).get("duration_seconds"),
            results=_results_in(folder.evaluation_file),
            error=None,
        )
    except InputError as error:
        return EvaluationRecord(status="failed", duration_seconds=None, results={}, error=str(error))


def _results_in(file: Path) -> dict[str, EnvironmentResult]:
    """The results of an evaluation file by environment. Raises `InputError` if it is missing or damaged."""
    try:
        return {name: environment_result(result) for name, result in read_json(file)["results"].items()}
    except (KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise InputError(f"{file} is damaged: {type(error).__name__} {error}.") from None


class WaitingLine:
    """One redrawn line with the progress of the running runs; silent where the output is not a terminal."""

    def __init__(self, runs: Mapping[str, PlannedRun], total: int) -> None:
        self._runs = runs
        self._total = total
        self._on_terminal = sys.stdout.isatty()
        self._text = ""

    def show(self, running: Sequence[Command]) -> None:
        """Draw what the running runs' status files say."""
        if not self._on_terminal:
            return
        text = "  ".join(self._progress(command) for command in running)
        if text != self._text:
            print(f"\r\x1b[K  {text}", end="", flush=True)
            self._text = text

    def clear(self) -> None:
        """Remove the line."""
        if self._text:
            print("\r\x1b[K", end="", flush=True)
            self._text = ""

    def _progress(self, command: Command) -> str:
        run = self._runs.get(command.name)
        status = run.folder.status() if run else None
        if run is None or status is None:
            return f"{command.name}: starting"
        share = min(100, 100 * status.timesteps // status.total_timesteps)
        name = f"{run.spec.architecture} s{run.spec.seed}"
        if status.state == "evaluating":
            return f"{name}: evaluating"
        left = "" if status.seconds_left is None else f", {duration_text(status.seconds_left)} left"
        return f"{name}: {share} %{left}"
