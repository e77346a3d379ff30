"""Results of several machines as one: `uv run python -m metta.lab.merge A B --into C`; conflicts are refused.

A, B and C are folders as run_benchmark.py and adaptive.py write them, or their benchmark_results.json. The run folders
stay where they are, beside A's or B's results or where they were made; the merged file names them. C may exist: then A
and B are added to it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from metta.analysis.results import (
    Alike,
    BenchmarkResults,
    EnvironmentResult,
    Key,
    RunRecord,
    find_folder,
    folder_from,
    read_results,
    results_file,
)
from metta.base.addresses import local_path
from metta.base.endings import command
from metta.base.errors import InputError
from metta.base.files import locked, make_folder
from metta.base.flags import Parser
from metta.lab.benchmark import write_with_tables
from metta.lab.records import benchmark_results
from metta.lab.report_writer import ReportWriter


def merge(sources: Sequence[tuple[str, BenchmarkResults]]) -> BenchmarkResults:
    """All runs of the sources, each once.

    A run that one source lacks, or has as failed, is taken from another that has it. Two successful runs of the same
    architecture, level and seed must be the same record.

    Args:
        sources: name for messages, and results; at least one.

    Raises:
        InputError: the sources differ in a run that both did, or do not compare (`Alike`).
    """
    runs: dict[Key, tuple[str, RunRecord]] = {}
    references: dict[str, dict[str, dict[str, EnvironmentResult]]] = {}
    alike = Alike()
    for name, results in sources:
        alike.check_all(results.model_copy(update={"runs": []}), name)
    for name, results in sources:
        for level, players in results.references.items():
            for player, found in players.items():
                references.setdefault(level, {}).setdefault(player, {}).update(found)
        for record in results.runs:
            _add_run(runs, name, record)
    for name, results in sources:
        taken = [record for source, record in runs.values() if source == name]
        alike.check_all(results.model_copy(update={"runs": taken}), name)
    ordered = [runs[key][1] for key in sorted(runs, key=lambda key: (key[2], key[1]))]
    everything = [results for _, results in sources]
    planned = list(dict.fromkeys(key for results in everything for key in results.planned_runs))
    ends = [results.end_time for results in everything]
    return benchmark_results(
        [record.model_copy(update={"run_number": number}) for number, record in enumerate(ordered, start=1)],
        planned,
        references,
        {name for results in everything for name in results.untuned},
        start_time=min(results.start_time for results in everything),
        end_time=None if None in ends else max(end for end in ends if end is not None),
        max_timesteps=everything[0].max_timesteps,
        command=" && ".join(dict.fromkeys(results.command for results in everything)),
        provenance={"merged": {name: results.provenance for name, results in sources}},
    )


def _add_run(runs: dict[Key, tuple[str, RunRecord]], name: str, record: RunRecord) -> None:
    training = record.training
    key = training.key
    there = runs.get(key)
    if there is None or _rank(record) > _rank(there[1]):
        runs[key] = (name, record)
        return
    if _rank(record) == _rank(there[1]) == 2 and not _same(record, there[1]):
        raise InputError(
            f"{there[0]} and {name} both hold {training.architecture} on {training.level}, seed {training.seed}, with "
            "different results; remove one of them or give one machine other seeds (--first-seed)."
        )


def _rank(record: RunRecord) -> int:
    """How far the run came: 2 trained and evaluated, 1 trained, 0 neither."""
    return (record.training.status == "success") + (record.evaluation.status == "success")


def _same(one: RunRecord, other: RunRecord) -> bool:
    """Whether two records are of the same run: the same start, steps and episodes."""

    def told(record: RunRecord) -> tuple[object, ...]:
        hearts = {name: result.hearts_of_episodes for name, result in record.evaluation.results.items()}
        return record.training.start_time, record.training.timesteps, hearts

    return told(one) == told(other)


def _with_folders(file: Path, home: Path) -> BenchmarkResults:
    """The results of `file` with the run folders as they are seen from the folder `home`."""
    results = read_results(file)
    runs = []
    for record in results.runs:
        training = record.training
        folder = folder_from(home, find_folder(file, training.run_name, training.run_folder))
        runs.append(record.model_copy(update={"training": training.model_copy(update={"run_folder": folder})}))
    return results.model_copy(update={"runs": runs})


@command
def main(words: list[str]) -> int:
    """Run one command line."""
    parser = Parser(prog="python -m metta.lab.merge", description="Merge results of several machines.")
    add = parser.add_argument
    add("sources", nargs="+", type=local_path, metavar="FOLDER", help="results folders (or their results files)")
    add("--into", required=True, type=local_path, metavar="FOLDER", help="folder for the merged results")
    given = parser.parse_args(words)
    target = results_file(given.into)
    sources = [(str(name), _with_folders(results_file(name), target.parent)) for name in given.sources]
    merge(sources)  # before anything is written, a lock included
    make_folder(target.parent)
    with locked(target.parent / ".lock", f"the benchmark in {target.parent}"):
        if target.exists():
            sources.insert(0, (str(given.into), _with_folders(target, target.parent)))
        merged = merge(sources)
        write_with_tables(target, merged)
        ReportWriter(target).finish(merged)
    failed = [record for record in merged.runs if _rank(record) < 2]
    print(f"{len(merged.runs)} runs from {len(sources)} results, {len(failed)} of them not successful: {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
