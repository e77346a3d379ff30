"""Search for the trainer's settings: `uv run .../tuning.py --vary learning_rate=0.001,0.002 --seeds 2 --parallel 2`.

Trials are the points of a grid. Trial i has the same settings for every architecture, and all architectures have the
same trials, so that none is tuned more than another. Seeds and evaluation episodes are kept apart from all published
ones (`seeds.py`). Repeating a command continues it: finished runs are not repeated. `--help` explains every flag.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from experiments.recipes.benchmark_architectures.levels import FIRST_LEVEL
from experiments.recipes.benchmark_architectures.planning import (
    add_extent,
    call_text,
    planned_references,
    planned_runs,
    print_commands,
)
from experiments.recipes.benchmark_architectures.seeds import TUNING_EVALUATION_SEED, TUNING_SEEDS, check_tuning
from metta.analysis.results import RunRecord
from metta.analysis.tuning import Trial, tuning_csv, tuning_markdown, value_text
from metta.base.addresses import local_path
from metta.base.endings import command
from metta.base.errors import InputError
from metta.base.files import make_folder, write_atomically
from metta.base.flags import Parser, at_least
from metta.base.provenance import code_version, cores
from metta.lab.decide import RetryPolicy
from metta.lab.executors import local
from metta.lab.plan import id_part, plan
from metta.lab.planned import PlannedRun
from metta.lab.records import reference_results, with_scores
from metta.lab.study import Reducer, Study

MARKDOWN_NAME = "tuning.md"
CSV_NAME = "tuning.csv"
Value = bool | int | float
Settings = dict[str, Value]


@command
def main(words: list[str]) -> int:
    """Run one command line."""
    given = _parser().parse_intermixed_args(words)
    study = build_study(given, call_text("tuning.py", _without_folders(words)))
    if given.dry_run:
        print_commands(study.runs)
        return 0
    return study.execute(local.LocalExecutor(study.parallel))


def _without_folders(words: list[str]) -> list[str]:
    """The words that say what was measured, not where one machine keeps it."""
    folders = ("--output", "--evidence")
    return [
        word
        for before, word in zip(["", *words], words, strict=False)
        if before not in folders and word.partition("=")[0] not in folders
    ]


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="tuning.py",
        description="Try the same trainer settings with every architecture, rank them by hearts per agent, and name "
        "each architecture's best; repeating the command continues it.",
        epilog="key=value words are settings for every run, other than those that are varied: evaluation.worlds=8",
    )
    add = parser.add_argument
    add(
        "--vary",
        action="append",
        required=True,
        metavar="KEY=A,B",
        help="a trainer setting and the values to try; may be repeated, and then every combination is tried",
    )
    kept = f", of {TUNING_SEEDS.start} to {TUNING_SEEDS.stop - 1}"
    add_extent(parser, "--timesteps", "--seeds", first_seed=kept)
    parser.set_defaults(levels=FIRST_LEVEL, seeds=1, first_seed=TUNING_SEEDS.start)
    add("--parallel", type=at_least(1), default=1, metavar="N", help="runs at a time, which share the cores")
    add("--output", type=local_path, default="./train_dir/tuning", metavar="DIR", help="results and run folders")
    add("--evidence", type=local_path, metavar="DIR", help=f"write {MARKDOWN_NAME} and {CSV_NAME} in this folder, too")
    add("--dry-run", action="store_true", help="print the commands; nothing is run or written")
    return parser


def build_study(given: argparse.Namespace, command: str) -> Study:
    """The search that the flags ask for, every run of it checked. Raises `InputError` for a bad flag."""
    chosen = any(word.startswith("system.threads=") for word in given.settings)
    threads = max(1, cores() // given.parallel) if given.parallel > 1 and not chosen else 0
    common = [f"trainer.total_timesteps={given.timesteps}", f"evaluation.seed={TUNING_EVALUATION_SEED}"]
    common += [f"system.threads={threads}"] if threads else []
    trials = grid(given.vary)
    common += given.settings

    seeds = range(given.first_seed, given.first_seed + given.seeds)
    experiment = id_part(given.output.resolve().name)
    runs: list[PlannedRun] = []
    trial_of: dict[str, int] = {}
    for number, settings in enumerate(trials):
        specs = plan(f"{experiment}-t{number:03d}", given.architectures, given.levels, seeds)
        words, note = [*common, *_words(settings)], f"trial {number}, "
        own = planned_runs(specs, given.output, words, first_number=len(runs) + 1, threads=threads, note=note)
        trial_of |= {run.name: number for run in own}
        runs += own
    check_tuning(run.job.config for run in runs)
    table = TuningTable(
        evidence=given.evidence,
        trial_of=trial_of,
        settings=trials,
        heading=_heading(given, command, seeds, len(trials)),
    )
    references = planned_references(given.levels, given.output, common, threads)
    return Study(given.output, runs, references, table, RetryPolicy(retries=0), given.parallel)


def grid(texts: Sequence[str]) -> list[Settings]:
    """Every combination of the values in texts like "learning_rate=0.001,0.002", the last one varying fastest.

    Raises:
        InputError: a text is not of that form, or a key or value occurs twice.
    """
    rows: dict[str, list[Value]] = {}
    for text in texts:
        key, _, values = text.partition("=")
        found = [_value(value) for value in values.split(",")]
        known = [value for value in found if value is not None]
        if not key or key in rows or len(known) < len(found) or len(set(known)) < len(known):
            raise InputError(f"--vary {text!r} is not KEY=A,B with a new key and different numbers, true or false.")
        rows[key] = known
    return [dict(zip(rows, point, strict=True)) for point in product(*rows.values())]


def _value(text: str) -> Value | None:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _words(settings: Settings) -> list[str]:
    return [f"trainer.{key}={value_text(value)}" for key, value in settings.items()]


def _heading(given: argparse.Namespace, command: str, seeds: range, trials: int) -> list[str]:
    code = code_version()
    version = f"commit {code['commit']}" if code["commit"] else f"source {code['source_sha256'][:16]}"
    return [
        "# Tuning",
        f"Written by `{command}` ({version}{', with changes' if code['modified'] else ''}).",
        f"Grid of {trials} trials, all values of {' and of '.join(given.vary)}, everything else the defaults. "
        f"Each trial: {', '.join(given.levels)}; "
        f"training seeds {', '.join(map(str, seeds))}; {given.timesteps:,} agent-steps; evaluation seed "
        f"{TUNING_EVALUATION_SEED}. Training seeds {TUNING_SEEDS.start} to {TUNING_SEEDS.stop - 1} and that "
        "evaluation seed are refused by `run_benchmark.py` and `adaptive.py`.",
    ]


@dataclass
class TuningTable(Reducer):
    """Ranks the trials of a study: its reducer."""

    evidence: Path | None
    """Folder that gets the tables, too."""
    trial_of: dict[str, int]
    """Run id -> trial."""
    settings: Sequence[Settings]
    """What each trial sets."""
    heading: Sequence[str]
    what: str = "tuning"
    other_folder: str = "another folder (--output)"

    def write(self, study: Study, final: bool) -> None:
        """Replace the tables. Raises `RunError` if the disk is full."""
        trials = self.trials(study)
        for folder in [study.output, *([self.evidence] if self.evidence else [])]:
            make_folder(folder)
            write_atomically(folder / MARKDOWN_NAME, tuning_markdown(trials, self.heading))
            write_atomically(folder / CSV_NAME, tuning_csv(trials))

    def end(self, study: Study) -> str:
        """The page."""
        page = tuning_markdown(self.trials(study), self.heading)
        return f"{page}\nTables: {study.output / MARKDOWN_NAME}, {CSV_NAME}"

    def trials(self, study: Study) -> list[Trial]:
        """What came of the trials so far."""
        references = reference_results(study.references)
        found: list[list[RunRecord]] = [[] for _ in self.settings]
        for run in study.runs:
            if run.name in study.records:
                found[self.trial_of[run.name]].append(with_scores(study.records[run.name], references))
        planned = len(study.runs) // len(self.settings)
        return [Trial(number, settings, found[number], planned) for number, settings in enumerate(self.settings)]


if __name__ == "__main__":
    sys.exit(main())
