"""What the run folders say, as the records of benchmark_results.json."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from metta.analysis.results import (
    BenchmarkResults,
    EnvironmentResult,
    EvaluationRecord,
    Key,
    RunRecord,
    TrainingRecord,
    folder_from,
    scored,
)
from metta.base.errors import InputError
from metta.base.files import read_json
from metta.lab.evaluation import results_in
from metta.lab.executors.contract import command_text
from metta.lab.identity import training_mark
from metta.lab.planned import PlannedReference, PlannedRun

References = Mapping[str, Mapping[str, Mapping[str, EnvironmentResult]]]
"""Results of the reference players: level -> player -> environment."""


def run_record(run: PlannedRun, home: Path, fault: str | None) -> RunRecord:
    """What the run's folder says about how it went; `benchmark_results` fills in the number of runs.

    Args:
        run: the run.
        home: folder of the results.
        fault: why it was given up, or None.
    """
    folder = run.folder
    try:
        status = folder.status()
    except InputError as error:
        status, fault = None, str(error)
    trained = status is not None and status.trained
    if not run.train:
        # What could be evaluated has a checkpoint, which may lie in a bucket only.
        trained = trained or fault is None or any(folder.checkpoints.glob("*"))
    configuration = run.job.config.model_dump(mode="json")
    try:
        configuration = folder.configuration() or configuration
    except InputError as error:
        fault = fault or str(error)
    evaluation, evaluated_steps = _evaluation_record(run, trained, fault)
    training = TrainingRecord(
        architecture=run.spec.architecture,
        level=run.spec.level,
        seed=run.spec.seed,
        run_name=folder.path.name,
        command=command_text(run.words),
        start_time=status.started if status else None,
        status="success" if trained else "failed",
        duration_seconds=status.training_seconds if status else None,
        error=None if trained else fault or "the run ended before its training did.",
        timesteps=evaluated_steps if evaluated_steps is not None else status.timesteps if status else None,
        total_timesteps=configuration.get("trainer", {}).get("total_timesteps", run.job.config.trainer.total_timesteps),
        run_folder=folder_from(home, folder.path),
        settings=training_mark(configuration),
    )
    return RunRecord(run_number=run.number, total_runs=0, training=training, evaluation=evaluation)


def _evaluation_record(run: PlannedRun, trained: bool, fault: str | None) -> tuple[EvaluationRecord, int | None]:
    """And the agent-steps that the evaluated policy was trained for, where there is one."""
    file = run.folder.evaluation_file
    if not trained:
        return EvaluationRecord(status="skipped", duration_seconds=None, results={}, error=None), None
    try:
        if fault:
            raise InputError(fault)
        record = read_json(file)
        evaluation = EvaluationRecord.parse(
            {
                "status": "success",
                "duration_seconds": record.get("duration_seconds"),
                "results": results_in(file),
                "error": None,
            },
            where=str(file),
        )
        steps = record.get("timesteps")
        return evaluation, steps if isinstance(steps, int) else None
    except InputError as error:
        return EvaluationRecord(status="failed", duration_seconds=None, results={}, error=str(error)), None


def reference_results(references: Sequence[PlannedReference]) -> References:
    """The results of those reference players that have been evaluated, with their own scores."""
    found: dict[str, dict[str, dict[str, EnvironmentResult]]] = {}
    for item in references:
        if item.is_done():
            found.setdefault(item.level, {})[item.player] = results_in(item.file)
    return {
        level: {player: _all_scored(results, players) for player, results in players.items()}
        for level, players in found.items()
    }


def benchmark_results(
    records: Iterable[RunRecord],
    planned: Sequence[Key],
    references: References,
    untuned: Collection[str],
    **further: Any,
) -> BenchmarkResults:
    """The record of a whole benchmark: what follows from the plan, and scores, are filled in.

    Args:
        records: runs that have been worked on, with their numbers.
        planned: every run that was planned, also before it has ended.
        references: what normalises the scores.
        untuned: architectures whose learning rate was not tuned, among others.
        further: the other fields of `BenchmarkResults`.
    """
    architectures = list(dict.fromkeys(key.architecture for key in planned))
    numbered = (record.model_copy(update={"total_runs": len(planned)}) for record in records)
    return BenchmarkResults(
        architectures=architectures,
        untuned=[name for name in architectures if name in untuned],
        levels=sorted({key.level for key in planned}),
        seeds=sorted({key.seed for key in planned}),
        planned=list(planned),
        references={level: {player: dict(own) for player, own in found.items()} for level, found in references.items()},
        runs=[with_scores(record, references) for record in numbered],
        **further,
    )


def with_scores(record: RunRecord, references: References) -> RunRecord:
    """`record` with normalised scores where the reference players allow them."""
    results = _all_scored(record.evaluation.results, references.get(record.training.level, {}))
    return record.model_copy(update={"evaluation": record.evaluation.model_copy(update={"results": results})})


def _all_scored(
    results: Mapping[str, EnvironmentResult], references: Mapping[str, Mapping[str, EnvironmentResult]]
) -> dict[str, EnvironmentResult]:
    return {name: scored(result, name, references) for name, result in results.items()}
