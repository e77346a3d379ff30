"""Results and learning curves as pandas frames in long format: `metta.load_results`, `metta.load_curves`."""

from pathlib import Path

import pandas

from metta.analysis.gather import Gathered, gather
from metta.analysis.results import EnvironmentResult
from metta.base.addresses import local_path

RESULT_COLUMNS = (
    *("architecture", "level", "seed", "environment", "hearts_per_agent", "score", "reward", "hearts_sd_of_episodes"),
    *("episodes", "timesteps", "training_seconds", "parameters", "acting_milliseconds", "run"),
)
CURVE_COLUMNS = ("architecture", "level", "seed", "timesteps", "metric", "value")


def load_results(*paths: str | Path) -> pandas.DataFrame:
    """One row per evaluated run and evaluation environment, then one per reference player, level and environment.

    Args:
        paths: results folders, or their `benchmark_results.json`; several are read as one benchmark.

    Returns:
        Columns `RESULT_COLUMNS`. `hearts_per_agent` and `reward` are means over the episodes, `score` is 0 for the
        random player and 1 for the scripted one, `seed` is a nullable integer and <NA> for reference players.

    Raises:
        InputError: a file is missing or damaged, or they do not belong together; the sentence names file and field.
    """
    return results_frame(gather([local_path(str(path)) for path in paths]))


def results_frame(gathered: Gathered) -> pandas.DataFrame:
    """`load_results` of results that have been read."""
    rows = []
    for run in gathered.evaluated:
        training = run.record.training
        own = {
            "seed": training.seed,
            "timesteps": training.timesteps,
            "training_seconds": training.duration_seconds,
            "parameters": run.files.parameters,
            "acting_milliseconds": run.files.evaluated.latency,
            "run": training.run_name,
        }
        rows += [
            _row(training.architecture, training.level, environment, result) | own
            for environment, result in run.record.evaluation.results.items()
        ]
    for level, players in gathered.references.items():
        for player, found in players.items():
            rows += [_row(player, level, environment, result) for environment, result in found.items()]
    frame = pandas.DataFrame(rows, columns=list(RESULT_COLUMNS))
    whole = dict.fromkeys(("seed", "episodes", "timesteps", "parameters"), "Int64")
    numbers = dict.fromkeys(("score", "training_seconds", "acting_milliseconds"), "float64")
    return frame.astype(whole | numbers)


def _row(who: str, level: str, environment: str, result: EnvironmentResult) -> dict[str, object]:
    return {
        "seed": pandas.NA,  # a missing one would make floats of all seeds, which hold no more than 53 bits
        "architecture": who,
        "level": level,
        "environment": environment,
        "hearts_per_agent": result.hearts_per_agent,
        "score": result.normalised_score,
        "reward": result.reward,
        "hearts_sd_of_episodes": result.spread["hearts_per_agent"].standard_deviation,
        "episodes": result.episodes,
    }


def load_curves(*paths: str | Path) -> pandas.DataFrame:
    """Learning curves of every run whose folder is there: one row per run, metric and update that has the metric.

    Args:
        paths: results folders, or their `benchmark_results.json`.

    Returns:
        Columns `CURVE_COLUMNS`; `timesteps` counts agent-steps. docs/training.md says what the metrics are.

    Raises:
        InputError: as `load_results`.
    """
    gathered = gather([local_path(str(path)) for path in paths])
    rows = [
        (*run.key, int(steps), metric, float(value))
        for run in gathered.runs.values()
        for metric, (timesteps, values) in run.files.curves.items()
        for steps, value in zip(timesteps, values, strict=True)
    ]
    return pandas.DataFrame(rows, columns=list(CURVE_COLUMNS))
