"""Adds runs to `published/`: `uv run python -m experiments.recipes.benchmark_architectures.publish [FOLDER ...]`.

FOLDER holds run folders (a benchmark's output folder) or archives of batch.py, from any machine. Complete runs of the
levels' own settings are added, each once; a run that is there with another start or machine is a repetition. Then
results, report, and the scoreboard in README.md and docs/results.md are written anew; without FOLDER, only these.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from experiments.recipes.benchmark_architectures.learning_rates import untuned
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.levels import LEVELS, PACKAGE
from experiments.recipes.benchmark_architectures.seeds import PUBLISHED_SEEDS, TUNING_SEEDS
from metta.analysis.published import PublishedRun
from metta.analysis.results import (
    FILE_NAME,
    BenchmarkResults,
    EnvironmentResult,
    EvaluationRecord,
    Key,
    RunRecord,
    TrainingRecord,
    write_results,
)
from metta.base.addresses import PLAYERS, RANDOM, local_path
from metta.base.config import sentence
from metta.base.endings import command
from metta.base.errors import InputError
from metta.base.files import locked, make_folder, read_json, write_atomically, write_json
from metta.base.flags import Parser
from metta.base.markers import between_markers
from metta.base.provenance import REPOSITORY
from metta.lab.core import core_mark
from metta.lab.evaluation import evaluate_into, results_of
from metta.lab.evaluation_key import marks_by_environment
from metta.lab.executors.contract import command_text
from metta.lab.identity import training_mark
from metta.lab.publishing import Published, check, offered_records, published_run, unfinished
from metta.lab.records import benchmark_results
from metta.rl.config import SystemConfig
from metta.rl.resolved_player import choose

if TYPE_CHECKING:
    from metta.analysis.scoreboard import Group

References = dict[str, dict[str, dict[str, EnvironmentResult]]]
"""Level -> reference player -> evaluation environment -> result."""
KNOWN = TypeAdapter(References)


@dataclass(frozen=True)
class Pages:
    """Where things are written."""

    home: Path = REPOSITORY / "published"
    readme: Path = REPOSITORY / "README.md"
    results: Path = REPOSITORY / "docs" / "results.md"


@cache
def expected(architecture: str, level: str, steps: int) -> tuple[str, Mapping[str, str]]:
    """Settings and rules of a level's own run (`check`). Raises `InputError` for a name that is not known."""
    if architecture not in ARCHITECTURES or level not in LEVELS:
        raise InputError(f"there is no {architecture} on {level} in this version.")
    job = LEVELS[level].train(arch_type=architecture)
    trainer = job.config.trainer.model_copy(update={"total_timesteps": steps})
    configuration = job.config.model_copy(update={"trainer": trainer}).model_dump(mode="json")
    return training_mark(configuration), marks_by_environment(configuration)


def publish(
    folders: Sequence[Path],
    pages: Pages,
    say: Callable[[str], None],
    play: Callable[[str], Mapping[str, Mapping[str, EnvironmentResult]]],
    mark: Callable[[str], str] = core_mark,
) -> None:
    """Add the runs of folders, and write everything that follows from the published runs anew.

    Args:
        folders: of run folders or archives.
        pages: what is written.
        say: gets a line for people about each run that is left out, and what was done.
        play: level -> results of the reference players.
        mark: commit -> mark of the numerical core.

    Raises:
        InputError: a run is damaged or does not belong to the published ones; nothing is changed then.
    """
    make_folder(pages.home)
    with locked(pages.home / ".lock", f"{pages.home}"):
        published = Published(pages.home)
        offered = []
        core = published.core
        for folder in folders:
            for where, record in offered_records(folder):
                why = unfinished(record)
                if why is not None:
                    say(f"left out: {where}: {why}")
                    continue
                run = published_run(record, mark, where)
                if run.seed in TUNING_SEEDS:
                    raise InputError(f"{where}: settings were chosen on seed {run.seed}, so it is not published.")
                core = core or run.core
                check(run, *expected(run.architecture, run.level, run.total_timesteps), core, where)
                offered.append(run)
        added = published.add(offered)
        say(f"{added['new']} runs added, {added['repeated']} repetitions, {added['known']} published before")
        write_pages(published, pages, play)


def write_pages(
    published: Published, pages: Pages, play: Callable[[str], Mapping[str, Mapping[str, EnvironmentResult]]]
) -> None:
    """Results and report of every number of agent-steps, and the generated parts of both pages."""
    from metta.analysis.figures import svg
    from metta.analysis.file_memory import FileMemory
    from metta.analysis.report import refresh_report
    from metta.analysis.scoreboard import results_page, scoreboard

    references = _references(published, pages.home / "references.json", play)
    for budget in published.budgets:
        file = pages.home / str(budget) / FILE_NAME
        results = _merged(published.of(budget), budget, references)
        write_results(file, results)
        fault = refresh_report(file, results, FileMemory())
        if fault is not None:
            raise InputError(fault)
    groups, pairs = read_groups(pages.home)
    for group in groups:
        folder = pages.home / str(group.steps) / "figures"
        make_folder(folder)
        for name, figure in group.figures.items():
            write_atomically(folder / f"{name}.svg", svg(figure.spec))
        for file in folder.glob("*.svg"):
            if file.stem not in group.figures:
                file.unlink()
    between_markers(pages.readme, "scoreboard", scoreboard(groups))
    between_markers(pages.results, "results", results_page(groups, pairs))


def read_groups(home: Path) -> tuple[list["Group"], list[tuple[PublishedRun, PublishedRun]]]:
    """What the pages show: the results of every number of agent-steps, and the repetitions."""
    from metta.analysis.findings import find
    from metta.analysis.gather import gather
    from metta.analysis.report import published_figures
    from metta.analysis.scoreboard import Group

    published = Published(home)
    benchmarks = {budget: gather([home / str(budget) / FILE_NAME]) for budget in published.budgets}
    found = {budget: find(own) for budget, own in benchmarks.items()}
    groups = [
        Group(budget, own, found[budget], published_figures(own, found[budget])) for budget, own in benchmarks.items()
    ]
    return groups, published.pairs()


def _merged(runs: Mapping[Path, PublishedRun], budget: int, references: References) -> BenchmarkResults:
    """The runs of one number of agent-steps as results; planned are the seeds of the plan, too."""
    names = [name for name in ARCHITECTURES if any(run.architecture == name for run in runs.values())]
    levels = sorted({run.level for run in runs.values()})
    there = {level: {run.seed for run in runs.values() if run.level == level} for level in levels}
    seeds = {level: sorted({*PUBLISHED_SEEDS, *own}) for level, own in there.items()}
    return benchmark_results(
        [_record(number, file, run) for number, (file, run) in enumerate(runs.items(), start=1)],
        [Key(name, level, seed) for level in levels for seed in seeds[level] for name in names],
        {level: references[level] for level in levels},
        untuned(names),
        start_time=min(run.start_time for run in runs.values()),
        end_time=max(run.start_time for run in runs.values()),
        max_timesteps=budget,
        command="python3 tasks.py publish",
        provenance={
            "core": next(iter(runs.values())).core,
            "commits": sorted({commit for run in runs.values() for commit in run.commits}),
            "machines": sorted({run.machine_words for run in runs.values()}),
        },
    )


def _record(number: int, file: Path, run: PublishedRun) -> RunRecord:
    words = [f"{PACKAGE}.{run.level}.train", f"arch_type={run.architecture}", f"seed={run.seed}"]
    training = TrainingRecord(
        architecture=run.architecture,
        level=run.level,
        seed=run.seed,
        run_name=run.name,
        command=command_text([*words, f"trainer.total_timesteps={run.total_timesteps}"]),
        start_time=run.start_time,
        status="success",
        duration_seconds=run.training_seconds,
        error=None,
        timesteps=run.timesteps,
        total_timesteps=run.total_timesteps,
        run_folder=f"{file.parent.name}/{file.name}",
        settings=run.settings,
    )
    evaluation = EvaluationRecord(
        status="success", duration_seconds=run.evaluation_seconds, results=run.results, error=None
    )
    return RunRecord(run_number=number, total_runs=0, training=training, evaluation=evaluation)


def _references(
    published: Published, file: Path, play: Callable[[str], Mapping[str, Mapping[str, EnvironmentResult]]]
) -> References:
    """The reference players on the levels of the runs: those in `file`, and where they miss or differ, played anew."""
    try:
        known = KNOWN.validate_python(read_json(file) if file.exists() else {})
    except ValidationError as error:
        raise InputError(sentence(error, EnvironmentResult, str(file))) from None
    references: References = {}
    for run in published.runs.values():
        if run.level in references:
            continue
        found = known.get(run.level, {})
        if set(found) != set(PLAYERS) or not all(_alike(run.results, own) for own in found.values()):
            found = {player: dict(results) for player, results in play(run.level).items()}
        references[run.level] = found
    if references:
        write_json(file, KNOWN.dump_python(dict(sorted(references.items())), mode="json"))
    return references


def _alike(results: Mapping[str, EnvironmentResult], reference: Mapping[str, EnvironmentResult]) -> bool:
    """Whether a reference player met the same episodes under the same rules."""
    return set(results) == set(reference) and all(results[name].same_episodes(reference[name]) for name in results)


def play_references(level: str) -> dict[str, dict[str, EnvironmentResult]]:
    """Every reference player on a level's held-out episodes (seconds)."""
    config = LEVELS[level].evaluate(RANDOM).config
    config = config.model_copy(update={"system": SystemConfig(device="cpu")})
    found = {}
    for player in PLAYERS:
        record = evaluate_into(None, config, partial(choose, player), print)
        found[player] = results_of(record)
    return found


@command
def main(words: list[str]) -> int:
    """Run the command."""
    parser = Parser(prog="python -m experiments.recipes.benchmark_architectures.publish", description=__doc__)
    parser.add_argument("folders", nargs="*", type=local_path, metavar="FOLDER", help="run folders or archives of runs")
    given = parser.parse_args(words)
    publish(given.folders, Pages(), print, play_references)
    return 0


if __name__ == "__main__":
    sys.exit(main())
