"""`benchmark_results.json`: the record of a benchmark, versioned, read and written as a whole (docs/interface.md)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from metta.base.addresses import RANDOM, SCRIPTED
from metta.base.config import Config
from metta.base.errors import InputError
from metta.base.files import read_json, write_json

FORMAT = 1
FILE_NAME = "benchmark_results.json"
REPORT_NAME = "report.html"


class TrainingRecord(Config):
    """How the training of one run went."""

    architecture: str
    level: str
    seed: int
    run_name: str
    command: str
    """The command that does this run, as it can be typed."""
    start_time: str | None
    """ISO 8601, UTC; null if training was skipped."""
    status: Literal["success", "failed"]
    """With --skip-training: whether there is a checkpoint to evaluate."""
    duration_seconds: float | None
    """Time in training, over all starts of the run."""
    error: str | None
    """What went wrong, in a sentence."""
    timesteps: int | None
    """Agent-steps trained."""
    run_folder: str
    """Where configuration, metrics, checkpoints and log lie."""


class Spread(Config):
    """How far episodes differ."""

    standard_deviation: float
    """Sample standard deviation."""
    minimum: float
    maximum: float


class EnvironmentResult(Config):
    """Results in one evaluation environment."""

    reward: float
    """Shaped reward per agent and episode, mean over agents and episodes."""
    hearts_per_agent: float
    """Hearts an agent holds at the end of an episode, mean over agents and episodes."""
    normalised_score: float | None
    """(hearts - random) / (scripted - random); null where no scripted player has been evaluated."""
    episodes: int
    """Number of episodes."""
    spread: dict[str, Spread]
    """Spread over episodes of reward and hearts_per_agent."""
    hearts_of_episodes: list[float]
    """Hearts per agent of each episode; episodes are the same for everybody, so they can be compared in pairs."""
    worlds_hash: str
    """Hash of the maps played; results compare only where it is the same."""


class EvaluationRecord(Config):
    """How the evaluation of one run went."""

    status: Literal["success", "failed", "skipped"]
    duration_seconds: float | None
    results: dict[str, EnvironmentResult]
    """By evaluation environment; empty unless successful."""
    error: str | None
    """What went wrong, in a sentence."""


class RunRecord(Config):
    """One run of the plan that has been worked on."""

    run_number: int
    """Place in the plan, from 1."""
    total_runs: int
    training: TrainingRecord
    evaluation: EvaluationRecord


class BenchmarkResults(Config):
    """A finished or half-finished benchmark."""

    format: Literal[1] = 1
    start_time: str
    end_time: str | None
    """Null while runs are left."""
    max_timesteps: int
    """Agent-steps per run."""
    architectures: list[str]
    levels: list[str]
    seeds: list[int]
    command: str
    references: dict[str, dict[str, dict[str, EnvironmentResult]]]
    """Results of the reference players by level, player and evaluation environment."""
    runs: list[RunRecord]
    provenance: dict[str, Any]
    """Code version, package versions, machine of the last start."""


def environment_result(evaluated: dict[str, Any]) -> EnvironmentResult:
    """The record of one evaluation environment, from a run's evaluation.json."""
    return EnvironmentResult.parse(
        {
            "reward": evaluated["reward"],
            "hearts_per_agent": evaluated["hearts_per_agent"],
            "normalised_score": None,
            "episodes": evaluated["episodes"],
            "spread": evaluated["spread"],
            "hearts_of_episodes": [
                sum(episode["hearts"]) / len(episode["hearts"]) for episode in evaluated["per_episode"]
            ],
            "worlds_hash": evaluated["worlds_hash"],
        }
    )


def scored(
    result: EnvironmentResult, environment: str, references: Mapping[str, Mapping[str, EnvironmentResult]]
) -> EnvironmentResult:
    """`result` with its normalised score, where both reference players played the same episodes.

    Args:
        result: a policy's result.
        environment: the evaluation environment it is from.
        references: the level's reference players: name -> environment -> result.
    """
    low, high = (references.get(player, {}).get(environment) for player in (RANDOM, SCRIPTED))
    if low is None or high is None or not result.worlds_hash == low.worlds_hash == high.worlds_hash:
        return result
    span = high.hearts_per_agent - low.hearts_per_agent
    if span <= 0:
        return result
    score = (result.hearts_per_agent - low.hearts_per_agent) / span
    return result.model_copy(update={"normalised_score": score})


def read_results(path: Path) -> BenchmarkResults:
    """Read a results file. Raises `InputError` naming the file and the field that is wrong."""
    record = read_json(path)
    if record.get("format") != FORMAT:
        raise InputError(f"{path}: 'format' is {record.get('format')!r}; this version reads format {FORMAT}.")
    try:
        return BenchmarkResults.parse(record)
    except InputError as error:
        raise InputError(f"{path} is damaged: {error}") from None


def write_results(path: Path, results: BenchmarkResults) -> None:
    """Replace a results file atomically."""
    write_json(path, results.model_dump(mode="json"))
