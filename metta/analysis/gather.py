"""One or several results files as one benchmark: what was planned, what is there, what is missing, and the matrices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metta.analysis.aggregates import Matrix
from metta.analysis.file_memory import FileMemory
from metta.analysis.intervals import Estimate, estimate
from metta.analysis.metrics import HEARTS, SCORE, Metric
from metta.analysis.results import (
    Alike,
    BenchmarkResults,
    EnvironmentResult,
    Key,
    RunRecord,
    find_folder,
    lowest_score,
    read_results,
    results_file,
)
from metta.analysis.run_files import RunFiles, begun_runs, read_run_files
from metta.base.addresses import PLAYERS, RANDOM
from metta.base.errors import InputError


@dataclass(frozen=True)
class Run:
    """A run that has been worked on."""

    record: RunRecord
    source: Path
    """The results file it stands in."""
    files: RunFiles
    is_whole: bool
    """It was trained to its end; others are shown and never compared."""

    @property
    def key(self) -> Key:
        """Which run."""
        return self.record.training.key

    @property
    def failure(self) -> str | None:
        """Why it has no result, in a sentence; None if it has."""
        if "failed" in (self.record.training.status, self.record.evaluation.status):
            return self.record.training.error or self.record.evaluation.error or "it says nothing."
        return None


@dataclass(frozen=True)
class Gathered:
    """A finished or half-finished benchmark from one or several results files."""

    sources: dict[Path, BenchmarkResults]
    architectures: list[str]
    levels: list[str]
    seeds: list[int]
    runs: dict[Key, Run]
    references: dict[str, dict[str, dict[str, EnvironmentResult]]]
    """Level -> reference player -> evaluation environment -> result."""
    planned: list[Key]
    """Every run of the plan, each once."""
    measure: Metric
    """What the matrices hold: `SCORE`, or `HEARTS` where a scripted player is missing."""
    begun: dict[Key, str]
    """Planned runs of which nothing is recorded, but whose folders say where they stand."""

    @property
    def untuned(self) -> list[str]:
        """Architectures whose learning rate was not tuned."""
        return [name for name in self.architectures if any(name in own.untuned for own in self.sources.values())]

    @property
    def missing(self) -> list[Key]:
        """Planned runs of which there is nothing."""
        return [key for key in self.planned if key not in self.runs and key not in self.begun]

    @property
    def evaluated(self) -> list[Run]:
        """The whole runs that have a result: what is compared."""
        return [run for run in self.runs.values() if run.record.evaluation.results and run.is_whole]

    @property
    def partly_trained(self) -> list[Run]:
        """The runs that have a result and were not trained to their end."""
        return [run for run in self.runs.values() if run.record.evaluation.results and not run.is_whole]

    @property
    def merged(self) -> BenchmarkResults:
        """All of it as one results record, in memory only."""
        first = next(iter(self.sources.values()))
        return first.model_copy(
            update={
                "architectures": self.architectures,
                "levels": self.levels,
                "seeds": self.seeds,
                "planned": self.planned,
                "references": self.references,
                "runs": [run.record for run in self.runs.values()],
            }
        )

    @property
    def failed(self) -> list[Run]:
        """The runs that ended without a result."""
        return [run for run in self.runs.values() if run.failure]

    @property
    def waiting(self) -> list[Run]:
        """Runs without a result that did not fail."""
        return [run for run in self.runs.values() if not run.failure and not run.record.evaluation.results]

    def of(self, architecture: str, level: str) -> list[Run]:
        """The evaluated runs of an architecture on a level, by seed."""
        found = [run for run in self.evaluated if run.key[:2] == (architecture, level)]
        return sorted(found, key=lambda run: run.key.seed)

    def value(self, run: Run) -> float:
        """The run's score, or hearts per agent (see `measure`): mean over its evaluation environments."""
        results = run.record.evaluation.results.values()
        if self.measure == SCORE:
            return float(np.mean([result.normalised_score for result in results]))
        return self.hearts(run)

    def hearts(self, run: Run) -> float:
        """The run's hearts per agent, mean over its evaluation environments."""
        return float(np.mean([result.hearts_per_agent for result in run.record.evaluation.results.values()]))

    def hearts_over_seeds(self, architecture: str, level: str) -> Estimate | None:
        """Hearts per agent of an architecture on a level; None without a run."""
        own = self.of(architecture, level)
        return estimate([self.hearts(run) for run in own], HEARTS.lowest) if own else None

    def lowest(self, level: str) -> float:
        """The value of a run without a heart on a level: less is not possible."""
        if self.measure != SCORE:
            return HEARTS.lowest
        players = self.references.get(level, {})
        found = [lowest_score(environment, players) for environment in players.get(RANDOM, {})]
        return float(np.mean(found)) if found else SCORE.lowest

    def value_of_player(self, player: str, level: str, hearts: bool = False) -> float | None:
        """A reference player's score or hearts on a level, as `value`; None where it has no result."""
        results = self.references.get(level, {}).get(player, {}).values()
        if self.measure != SCORE or hearts:
            return float(np.mean([result.hearts_per_agent for result in results])) if results else None
        scores = [result.normalised_score for result in results if result.normalised_score is not None]
        return float(np.mean(scores)) if scores and len(scores) == len(results) else None

    def hearts_of_player(self, player: str, level: str) -> float | None:
        """A reference player's hearts per agent on a level, mean over environments; None where it has no result."""
        return self.value_of_player(player, level, hearts=True)

    def players(self, levels: Sequence[str], hearts: bool = False) -> dict[str, float]:
        """Reference player -> value, or hearts, mean over levels; those that have one on all of them, worst first."""
        found = {player: [self.value_of_player(player, level, hearts) for level in levels] for player in PLAYERS}
        known = {player: [value for value in values if value is not None] for player, values in found.items()}
        return {player: float(np.mean(own)) for player, own in known.items() if own and len(own) == len(levels)}

    def matrix(self, architecture: str, levels: Sequence[str]) -> Matrix:
        """[S, L] values of an architecture's runs, NaN where a run has none."""
        matrix = np.full((len(self.seeds), len(levels)), np.nan)
        for column, level in enumerate(levels):
            for run in self.of(architecture, level):
                matrix[self.seeds.index(run.key.seed), column] = self.value(run)
        return matrix

    def seeds_of(self, architecture: str, levels: Sequence[str]) -> list[int]:
        """The seeds of which an architecture has a run on every one of these levels."""
        rows = np.isfinite(self.matrix(architecture, levels))
        return [seed for seed, there in zip(self.seeds, rows, strict=True) if there.all()]

    def compared(self) -> tuple[list[str], list[str]]:
        """Architectures and levels of the overall comparison: those that have a result on every level they share.

        Architectures without any result are left out, and so are levels on which one of the others has none.
        """
        present = [name for name in self.architectures if any(self.of(name, level) for level in self.levels)]
        levels = [level for level in self.levels if present and all(self.of(name, level) for name in present)]
        return present, levels


def gather(paths: Sequence[Path]) -> Gathered:
    """Read results files and the folders of their runs.

    Raises:
        InputError: a file is missing, damaged or of another version, or two of them do not belong together; the
            sentence names file and field.
    """
    sources: dict[Path, BenchmarkResults] = {}
    for path in map(results_file, paths):
        sources[path] = read_results(path)
    return combine(sources)


def combine(sources: dict[Path, BenchmarkResults], memory: FileMemory | None = None) -> Gathered:
    """The benchmark that these results make together.

    Args:
        sources: results by the file that holds them; run folders are looked for beside it.
        memory: what was read of the run folders before.

    Raises:
        InputError: as `gather`.
    """
    memory = memory or FileMemory()
    runs: dict[Key, Run] = {}
    alike = Alike()
    references: dict[str, dict[str, dict[str, EnvironmentResult]]] = {}
    for source, results in sources.items():
        alike.check_all(results, source)
        for level, players in results.references.items():
            for player, found in players.items():
                references.setdefault(level, {}).setdefault(player, {}).update(found)
        for index, record in enumerate(results.runs):
            run = _run(record, source, results.max_timesteps, memory)
            if run.key in runs:
                raise InputError(
                    f"{source}: 'runs.{index}' is {run.key.architecture} on {run.key.level}, seed {run.key.seed}, "
                    f"which is in {runs[run.key].source} as well; give each run once."
                )
            runs[run.key] = run
    keys = list(dict.fromkeys(key for results in sources.values() for key in results.planned_runs))
    unrecorded = set(keys) - set(runs)
    homes = dict.fromkeys(source.parent for source in sources) if unrecorded else ()
    states = {key: words for home in homes for key, words in begun_runs(home, memory).items()}
    results_ = [result for run in runs.values() for result in run.record.evaluation.results.values()]
    scored = all(result.normalised_score is not None for result in results_)
    return Gathered(
        sources=sources,
        architectures=list(dict.fromkeys(key.architecture for key in keys)),
        levels=sorted({key.level for key in keys}),
        seeds=sorted({key.seed for key in keys}),
        runs=runs,
        references=references,
        planned=keys,
        measure=SCORE if scored else HEARTS,
        begun={key: states[key] for key in keys if key in unrecorded and key in states},
    )


def _run(record: RunRecord, source: Path, steps: int, memory: FileMemory) -> Run:
    folder = find_folder(source, record.training.run_name, record.training.run_folder)
    files = read_run_files(folder, set(record.evaluation.results), memory)
    return Run(record, source, files, record.training.is_whole(steps))
