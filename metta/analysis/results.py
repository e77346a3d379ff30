"""`benchmark_results.json`: the record of a benchmark, versioned, read and written as a whole (docs/interface.md)."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from metta.base.addresses import RANDOM, SCRIPTED
from metta.base.config import Config
from metta.base.errors import InputError
from metta.base.files import read_json, write_json

FORMAT = 2
FILE_NAME = "benchmark_results.json"
REPORT_NAME = "report.html"

LARGEST = 1e9
"""Of rewards, hearts and scores; real ones stay far below, and sums of squares of these far below what floats hold."""
LONGEST_SENTENCE = 600
"""Characters of a fault's sentence; longer ones quote a damaged value at length."""

Plain = TypeVar("Plain")


def encodable(value: Plain) -> Plain:
    """`value` if it can be written as UTF-8, else `ValueError`."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("must be text that can be written as UTF-8") from None
    return value


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("must be printable characters on one line")
    return name


Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
"""Of something that may become the name of a file."""
Text = Annotated[str, Field(max_length=1_000_000), AfterValidator(encodable)]
Place = Annotated[str, Field(max_length=4096), AfterValidator(encodable)]
"""The path of a folder, as long as the system takes it."""
Measured = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Seconds = Annotated[float, Field(ge=0, le=1e10)]
Count = Annotated[int, Field(ge=0, le=10**15)]
Seed = Annotated[int, Field(ge=0, lt=2**64)]


class Key(NamedTuple):
    """Which run."""

    architecture: Name
    level: Name
    seed: Seed


class TrainingRecord(Config):
    """How the training of one run went."""

    architecture: Name
    level: Name
    seed: Seed
    run_name: Name
    command: Text
    """The command that does this run, as it can be typed."""
    start_time: Name | None
    """ISO 8601, UTC; null if training was skipped."""
    status: Literal["success", "failed"]
    """With --skip-training: whether there is a checkpoint to evaluate."""
    duration_seconds: Seconds | None
    """Time in training, over all starts of the run."""
    error: Text | None
    """What went wrong, in a sentence."""
    timesteps: Count | None
    """Agent-steps that the evaluated policy was trained for, or the run so far; null where it was never started."""
    total_timesteps: Count
    """Agent-steps that the run is to be trained for."""
    run_folder: Place
    """Where configuration, metrics, checkpoints and log lie, seen from the folder of the results file."""
    settings: Name
    """Mark of the settings that training depends on; runs of an architecture on a level are its seeds only where it is
    the same."""

    @property
    def key(self) -> Key:
        """Which run."""
        return Key(self.architecture, self.level, self.seed)

    def is_whole(self, steps: int) -> bool:
        """Whether it was trained to its end in a benchmark of so many agent-steps per run; only whole runs compare."""
        return self.status == "success" and self.total_timesteps == steps and (self.timesteps or 0) >= steps

    @property
    def trained_words(self) -> str:
        """How far it was trained, for people."""
        return f"trained {self.timesteps or 0:,} of {self.total_timesteps:,} steps"


class Spread(Config):
    """How far episodes differ."""

    standard_deviation: Annotated[float, Field(ge=0, le=2 * LARGEST)]
    """Sample standard deviation."""
    minimum: Measured
    maximum: Measured


class EnvironmentResult(Config):
    """Results in one evaluation environment."""

    reward: Measured
    """Shaped reward per agent and episode, mean over agents and episodes."""
    hearts_per_agent: Measured
    """Hearts an agent holds at the end of an episode, mean over agents and episodes."""
    normalised_score: Measured | None
    """(hearts - random) / (scripted - random); null where no scripted player has been evaluated."""
    episodes: Annotated[int, Field(ge=1, le=10**6)]
    """Number of episodes."""
    spread: dict[Name, Spread]
    """Spread over episodes of reward and hearts_per_agent."""
    hearts_of_episodes: list[Measured]
    """Hearts per agent of each episode; episodes are the same for everybody, so they can be compared in pairs."""
    worlds_hash: Name
    """Hash of the maps played; results compare only where it is the same."""
    rules: Name
    """Mark of the settings of evaluation and environment; results compare only where it is the same."""

    @model_validator(mode="after")
    def _every_episode_has_hearts(self) -> Self:
        if len(self.hearts_of_episodes) != self.episodes:
            raise ValueError(
                f"'hearts_of_episodes' must hold a number for each of the {self.episodes} episodes, but holds "
                f"{len(self.hearts_of_episodes)}"
            )
        return self

    def same_episodes(self, other: "EnvironmentResult") -> bool:
        """Whether both were played on the same maps and under the same rules."""
        return (self.worlds_hash, self.episodes, self.rules) == (other.worlds_hash, other.episodes, other.rules)


class EvaluationRecord(Config):
    """How the evaluation of one run went."""

    status: Literal["success", "failed", "skipped"]
    duration_seconds: Seconds | None
    results: dict[Name, EnvironmentResult]
    """By evaluation environment; empty unless successful."""
    error: Text | None
    """What went wrong, in a sentence."""


class RunRecord(Config):
    """One run of the plan that has been worked on."""

    run_number: Count
    """Place in the plan, from 1."""
    total_runs: Count
    """Number of planned runs."""
    training: TrainingRecord
    evaluation: EvaluationRecord


class BenchmarkResults(Config):
    """A finished or half-finished benchmark."""

    format: Literal[2] = 2
    start_time: Name
    end_time: Name | None
    """Null while runs are left."""
    max_timesteps: Count
    """Agent-steps per run."""
    architectures: list[Name]
    levels: list[Name]
    seeds: list[Seed]
    planned: list[Key]
    """Architecture, level and seed of every run of every call."""
    command: Text
    untuned: list[Name] = Field(default_factory=list)
    """Architectures whose learning rate is not one that was tuned for them."""
    references: dict[Name, dict[Name, dict[Name, EnvironmentResult]]]
    """Results of the reference players by level, player and evaluation environment."""
    runs: list[RunRecord]
    provenance: Annotated[dict[str, Any], AfterValidator(encodable)]
    """Code version, package versions, machine of the last start."""

    @property
    def planned_runs(self) -> list[Key]:
        """Every run that was planned, each once, also those of which nothing is recorded yet."""
        return list(dict.fromkeys([*self.planned, *(record.training.key for record in self.runs)]))

    @property
    def partly_trained(self) -> list[RunRecord]:
        """Runs that have a result and were not trained to their end, so that nothing compares with them."""
        return [
            record
            for record in self.runs
            if record.evaluation.results and not record.training.is_whole(self.max_timesteps)
        ]

    @model_validator(mode="after")
    def _each_run_once(self) -> Self:
        names: dict[Key, str] = {}
        for record in self.runs:
            key, name = record.training.key, record.training.run_name
            if key in names:
                raise ValueError(
                    f"{key.architecture} on {key.level}, seed {key.seed}, is there twice, as {names[key]} and as "
                    f"{name}; a run counts once, whatever its name"
                )
            names[key] = name
        return self


def environment_result(evaluated: dict[str, Any], rules: str) -> EnvironmentResult:
    """The record of one evaluation environment, from a run's evaluation.json, with the mark of its rules."""
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
            "rules": rules,
        }
    )


class Alike:
    """Refuses what does not compare with what was there before: runs of another length, results of other episodes or
    under other rules on the same level and environment, runs trained with other settings than those of the same
    architecture and level, and another result of the same reference player.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, ...], tuple[object, object]] = {}

    def _other(self, what: tuple[str, ...], value: object, source: object) -> tuple[object, object] | None:
        """Where the first value stands, and which it is, if it is another one."""
        first, known = self._first.setdefault(what, (source, value))
        return None if known == value else (first, known)

    def check(self, level: str, environment: str, marks: Mapping[str, str], source: object, field: str) -> None:
        """Raises `InputError`, which names what differs, `field` of `source`, and where the first one stands.

        `marks` are those of a result that say what compares with it: `worlds_hash`, `rules`, or both.
        """
        for what, mark in marks.items():
            if other := self._other((level, environment, what), mark, source):
                kind = "under different rules" if what == "rules" else "on different evaluation maps"
                raise InputError(
                    f"{source}: '{field}.{what}' is {mark}, but others on {level} {environment} (first in {other[0]}) "
                    f"have {other[1]}; results {kind} are not compared; evaluate them in the same way."
                )

    def check_training(self, key: Key, name: str, settings: str, source: object) -> None:
        """Raises `InputError` if the run is no seed of its architecture: it was trained with other settings."""
        if other := self._other((key.architecture, key.level, "settings"), settings, source):
            raise InputError(
                f"{source}: {name} was trained with other settings than other runs of {key.architecture} on "
                f"{key.level} (first in {other[0]}); they are not seeds of the same thing; keep them in "
                "separate folders."
            )

    def check_all(self, results: "BenchmarkResults", source: object) -> None:
        """Every run and every result, also those of the reference players."""
        if other := self._other(("max_timesteps",), results.max_timesteps, source):
            raise InputError(
                f"{source}: 'max_timesteps' is {results.max_timesteps}, but in {other[0]} it is {other[1]}; runs of "
                "different lengths are not compared."
            )
        for field, level, environment, result in _all_results(results):
            marks = {"worlds_hash": result.worlds_hash, "rules": result.rules}
            self.check(level, environment, marks, source, field)
            if field.startswith("references.") and (other := self._other((field,), result.hearts_of_episodes, source)):
                raise InputError(f"{source}: '{field}' differs from the result of this player in {other[0]}.")
        for record in results.runs:
            training = record.training
            self.check_training(training.key, training.run_name, training.settings, source)


def _all_results(results: "BenchmarkResults") -> Iterator[tuple[str, str, str, EnvironmentResult]]:
    """Where each stands, its level, its environment, itself."""
    for level, players in results.references.items():
        for player, found in players.items():
            for environment, result in found.items():
                yield f"references.{level}.{player}.{environment}", level, environment, result
    for index, record in enumerate(results.runs):
        for environment, result in record.evaluation.results.items():
            yield f"runs.{index}.evaluation.results.{environment}", record.training.level, environment, result


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
    if low is None or high is None:
        return result
    span = high.hearts_per_agent - low.hearts_per_agent
    score = None
    if span > 0 and low.same_episodes(result) and high.same_episodes(result) and high.same_episodes(low):
        score = (result.hearts_per_agent - low.hearts_per_agent) / span
    if score is not None and abs(score) > LARGEST:  # the two are equal but for rounding
        score = None
    return result.model_copy(update={"normalised_score": score})


def lowest_score(environment: str, references: Mapping[str, Mapping[str, EnvironmentResult]]) -> float:
    """The score of a policy without a heart, the lowest one; -inf where it is not known. Arguments as of `scored`."""
    low, high = (references.get(player, {}).get(environment) for player in (RANDOM, SCRIPTED))
    if low is None or high is None or high.hearts_per_agent <= low.hearts_per_agent:
        return -math.inf
    return -low.hearts_per_agent / (high.hearts_per_agent - low.hearts_per_agent)


def read_results(path: Path) -> BenchmarkResults:
    """Read a results file. Raises `InputError` naming the file and the field that is wrong."""
    if not path.exists():
        raise InputError(f"there are no results of a benchmark: {path} does not exist.{_results_near(path)}")
    record = read_json(path)
    if record.get("format") != FORMAT:
        raise InputError(
            f"{path}: 'format' is {record.get('format')!r}; this version reads format {FORMAT}. Delete it: the command "
            "that wrote it makes it again from the run folders."
        )
    try:
        return BenchmarkResults.parse(record)
    except InputError as error:
        raise InputError(f"{path} is damaged: {_shortened(str(error))}") from None


def _results_near(path: Path) -> str:
    """What to give instead."""
    there = {
        str(file.parent): None
        for file in [*path.parent.parent.glob(f"*/{path.name}"), *Path().glob(f"*/*/{path.name}")]
    }
    near = [*get_close_matches(str(path.parent), there, n=1), *there][:1]
    meant = f" Did you mean {near[0]}?" if near else ""
    return f"{meant} Give the folder that a benchmark writes to (--output-dir), or the {FILE_NAME} in it."


def _shortened(sentence: str) -> str:
    if len(sentence) <= LONGEST_SENTENCE:
        return sentence
    half = LONGEST_SENTENCE // 2
    return f"{sentence[:half]} ... {sentence[-half:]}"


def results_file(path: Path) -> Path:
    """The results file that a path means: itself, or the one in the folder, which need not exist yet."""
    named = path.is_file() or (path.suffix == ".json" and not path.is_dir())
    return path if named else path / FILE_NAME


def find_folder(results_file: Path, run_name: str, run_folder: str) -> Path:
    """Where the run lies: where its record says, or beside the results, which may have been moved together."""
    beside, recorded = results_file.parent / run_name, Path(os.path.normpath(results_file.parent / run_folder))
    moved = os.path.isdir(beside) and not os.path.exists(recorded)
    return beside if moved or not run_folder else recorded


def folder_from(results_folder: Path, folder: Path) -> str:
    """What a record in `results_folder` calls the folder of its run; `find_folder` finds it again."""
    return os.path.relpath(folder.absolute(), results_folder.absolute())


def write_results(path: Path, results: BenchmarkResults) -> None:
    """Replace a results file atomically."""
    write_json(path, results.model_dump(mode="json"))
