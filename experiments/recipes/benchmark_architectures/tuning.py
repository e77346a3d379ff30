"""Search for the trainer's settings: `uv run experiments/recipes/benchmark_architectures/tuning.py --trials 20`.

Trials are drawn at random, or are the points of a grid (`--vary learning_rate=0.001,0.002`). Trial i has the same
settings for every architecture, and all architectures have the same trials, so that none is tuned more than another; of
drawn ones trial 0 has the trainer's own defaults (one learning rate for all). Seeds and evaluation episodes are kept
apart from all published ones (`seeds.py`). Repeating a command continues it: finished runs are not repeated. `--help`
explains every flag.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.planning import (
    LEVELS,
    PACKAGE,
    at_least,
    call_text,
    chosen_names,
    planned_references,
    planned_runs,
    print_commands,
)
from experiments.recipes.benchmark_architectures.seeds import TUNING_EVALUATION_SEED, TUNING_SEEDS, check_tuning
from experiments.recipes.benchmark_architectures.tuning_space import SPACE
from metta.analysis.results import RunRecord
from metta.analysis.tuning import Trial, tuning_csv, tuning_markdown, value_text
from metta.base.addresses import local_path
from metta.base.endings import report_errors
from metta.base.errors import InputError
from metta.base.files import locked, make_folder, write_atomically
from metta.base.flags import Parser
from metta.lab.controller import Controller, Task
from metta.lab.decide import Rank, Rules
from metta.lab.dispatch.local import LocalDispatcher
from metta.lab.display import Display
from metta.lab.plan import id_part, plan
from metta.lab.provenance import code_version, cores
from metta.lab.records import reference_results, run_record, with_scores
from metta.lab.search import Settings, draw, grid
from metta.lab.tasks import PlannedReference, PlannedRun, ReferenceTask, RunTask
from metta.rl.config import TrainerConfig

MARKDOWN_NAME = "tuning.md"
CSV_NAME = "tuning.csv"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return the exit status."""
    return report_errors(lambda: _tuning(list(sys.argv[1:] if arguments is None else arguments)))


def _tuning(words: list[str]) -> int:
    given = _parser().parse_intermixed_args(words)
    tuning = build_tuning(given, call_text("tuning.py", _without_folders(words)))
    if given.dry_run:
        print_commands(tuning.runs)
        return 0
    return tuning.execute(LocalDispatcher(given.parallel))


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
        description="Try the same settings of the trainer, random ones or a grid, with every architecture, rank them "
        "by hearts per agent, and name those to freeze; repeating the command continues it, a larger --trials adds "
        "trials.",
        epilog="key=value words are settings for every run that the search leaves alone: evaluation.worlds=8",
    )
    add = parser.add_argument
    add("--trials", type=int, default=20, metavar="N", help="trials, the defaults among them (default: 20)")
    add(
        "--vary",
        action="append",
        default=[],
        metavar="KEY=A,B",
        help="instead of drawn trials every value of a trainer's setting, and of several every combination; then each "
        "architecture has its own best frozen",
    )
    add("--timesteps", type=int, default=1_000_000, metavar="N", help="agent-steps per run (default: 1000000)")
    add("--architectures", default="", metavar="A,B", help="keys of ARCHITECTURES (default: all)")
    add("--levels", default=LEVELS[0], metavar="A,B", help=f"level modules (default: {LEVELS[0]})")
    add("--seeds", type=int, default=1, metavar="N", help="seeds per trial, architecture and level (default: 1)")
    add(
        "--first-seed",
        type=int,
        default=TUNING_SEEDS.start,
        metavar="N",
        help=f"seeds are N, N+1, ..., of {TUNING_SEEDS.start} to {TUNING_SEEDS.stop - 1} (default: %(default)s)",
    )
    add("--search-seed", type=int, default=0, metavar="N", help="what the trials are drawn with (default: 0)")
    add("--parallel", type=int, default=1, metavar="N", help="runs at a time, which share the cores (default: 1)")
    add("--output", default="./train_dir/tuning", metavar="DIR", help="results, run folders (default: %(default)s)")
    add("--evidence", metavar="DIR", help=f"write {MARKDOWN_NAME} and {CSV_NAME} here, too, e.g. docs")
    add("--dry-run", action="store_true", help="print the commands; nothing is run or written")
    add("settings", nargs="*", metavar="key=value", help="settings for every run")
    return parser


def build_tuning(given: argparse.Namespace, command: str) -> "Tuning":
    """The search that the flags ask for, every run of it checked. Raises `InputError` for a bad flag."""
    for name in ("trials", "timesteps", "seeds", "parallel"):
        at_least(name, getattr(given, name), 1)
    for name in ("first_seed", "search_seed"):
        at_least(name, getattr(given, name), 0)
    names = list(ARCHITECTURES)
    architectures = chosen_names("--architectures", given.architectures or ",".join(names), names)
    levels = chosen_names("--levels", given.levels, LEVELS)
    output = local_path(given.output)
    threads = max(1, cores() // given.parallel) if given.parallel > 1 else 0
    common = [f"trainer.total_timesteps={given.timesteps}", f"evaluation.seed={TUNING_EVALUATION_SEED}"]
    common += [f"system.threads={threads}"] if threads else []
    settings = dict(enumerate(grid(given.vary))) if given.vary else _drawn(given.trials, given.search_seed)
    check_settings(given.settings, [*common, *_words(settings[0])])
    common += given.settings

    seeds = range(given.first_seed, given.first_seed + given.seeds)
    experiment = id_part(output.resolve().name)
    runs: list[PlannedRun] = []
    trial_of: dict[str, int] = {}
    for number in settings:
        specs = plan(f"{experiment}-t{number:03d}", architectures, levels, seeds)
        for run in planned_runs(specs, output, [*common, *_words(settings[number])]):
            runs.append(replace(run, number=len(runs) + 1))
            trial_of[run.spec.id] = number
    check_tuning(run.job.config for run in runs)
    return Tuning(
        output=output,
        evidence=local_path(given.evidence) if given.evidence else None,
        runs=runs,
        references=planned_references(levels, output, common),
        trial_of=trial_of,
        settings=settings,
        threads=threads,
        heading=_heading(given, command, levels, seeds, len(settings)),
        own=bool(given.vary),
    )


def _drawn(trials: int, search_seed: int) -> dict[int, Settings]:
    return {number: draw(SPACE, search_seed, number) if number else defaults() for number in range(trials)}


def defaults() -> Settings:
    """The defaults of everything that the search varies."""
    trainer = TrainerConfig()
    return {key: getattr(trainer, key) for dimension in SPACE for key in dimension.keys}


def check_settings(settings: Sequence[str], taken: Sequence[str]) -> None:
    """Raise `InputError` for a setting whose key the search or a flag sets."""
    keys = {word.partition("=")[0] for word in taken}
    for word in settings:
        key = word.partition("=")[0]
        if key in keys:
            raise InputError(f"{key} is set by the search or by a flag of tuning.py; leave it out.")


def _words(settings: Settings) -> list[str]:
    return [f"trainer.{key}={value_text(value)}" for key, value in settings.items()]


def _heading(given: argparse.Namespace, command: str, levels: Sequence[str], seeds: range, trials: int) -> list[str]:
    code = code_version()
    version = f"commit {code['commit']}" if code["commit"] else f"source {code['source_sha256'][:16]}"
    search = (
        f"Grid of {trials} trials, all values of {' and of '.join(given.vary)}, everything else the defaults."
        if given.vary
        else f"Random search: {trials} trials, trial 0 with the defaults and the others drawn with search seed "
        f"{given.search_seed} from `{PACKAGE.replace('.', '/')}/tuning_space.py`."
    )
    return [
        "# Tuning",
        f"Written by `{command}` ({version}{', with changes' if code['modified'] else ''}).",
        f"{search} Each trial: {', '.join(levels)}; "
        f"training seeds {', '.join(map(str, seeds))}; {given.timesteps:,} agent-steps; evaluation seed "
        f"{TUNING_EVALUATION_SEED}. Training seeds {TUNING_SEEDS.start} to {TUNING_SEEDS.stop - 1} and that "
        "evaluation seed are refused by `run_benchmark.py` and `adaptive.py`.",
    ]


@dataclass
class Tuning:
    """Runs a search into an output folder; a controller's listener."""

    output: Path
    evidence: Path | None
    """Folder that gets the tables, too."""
    runs: Sequence[PlannedRun]
    references: Sequence[PlannedReference]
    trial_of: dict[str, int]
    """Run id -> trial."""
    settings: dict[int, Settings]
    """Trial -> what it sets."""
    threads: int
    """Threads of each job; 0: the job chooses."""
    heading: Sequence[str]
    own: bool = False
    """Each architecture has its own best trial frozen."""
    _display: Display = field(default_factory=Display)
    _records: dict[str, RunRecord] = field(default_factory=dict)
    _faults: dict[str, str] = field(default_factory=dict)
    _worked_on: set[str] = field(default_factory=set)

    def execute(self, dispatcher: LocalDispatcher) -> int:
        """Do all that is not done yet; returns 0 if every run succeeded, else 1.

        Raises:
            InputError: the output folder cannot be written, is in use, or holds runs with other settings.
        """
        for run in self.runs:
            run.folder.check_same(run.job.config.model_dump(mode="json"), "another folder (--output)")
        make_folder(self.output)
        with locked(self.output / ".lock", f"the tuning in {self.output}"):
            tasks: list[Task] = [ReferenceTask(item, self.threads) for item in self.references]
            tasks += [RunTask(run, self.threads, split=False) for run in self.runs]
            try:
                Controller(tasks, dispatcher, Rules(retries=0), self).run()
            finally:
                self._display.close()
                self._write()
        print(f"\n{tuning_markdown(self.trials(), self.heading, self.own)}")
        print(f"Tables: {self.output / MARKDOWN_NAME}, {CSV_NAME}")
        for name, fault in self._faults.items():
            print(f"failed: {name}: {fault}", file=sys.stderr)
        return 1 if self._faults else 0

    def trials(self) -> list[Trial]:
        """What came of the trials so far."""
        references = reference_results(self.references)
        found: dict[int, list[RunRecord]] = {number: [] for number in self.settings}
        for run in self.runs:
            record = self._records.get(run.spec.id)
            if record is not None:
                found[self.trial_of[run.spec.id]].append(with_scores(record, references))
        planned = len(self.runs) // len(self.settings)
        return [Trial(number, settings, found[number], planned) for number, settings in self.settings.items()]

    def _write(self) -> None:
        trials = self.trials()
        for folder in [self.output, *([self.evidence] if self.evidence else [])]:
            make_folder(folder)
            write_atomically(folder / MARKDOWN_NAME, tuning_markdown(trials, self.heading, self.own))
            write_atomically(folder / CSV_NAME, tuning_csv(trials))

    def started(self, task: Task, rank: Rank) -> None:
        """Say so."""
        self._worked_on.add(task.name)
        self._display.say(
            f"{self._label(task)}: {'evaluating' if rank != Rank.TRAIN else 'training and evaluating'} ..."
        )

    def ended(self, task: Task, fault: str | None, settled: bool) -> None:
        """Say how it went, and note the record of a run that is done or given up."""
        if not settled:
            return  # trained; its evaluation follows
        if isinstance(task, RunTask):
            record = self._records[task.name] = run_record(task.run, self.output, len(self.runs), True, fault)
            fault = fault or record.training.error or record.evaluation.error
            if fault is None and task.name in self._worked_on:
                hearts = ", ".join(f"{r.hearts_per_agent:.3f} ({e})" for e, r in record.evaluation.results.items())
                self._display.say(f"{self._label(task)}: hearts per agent {hearts}")
        if fault is not None:
            self._faults[task.name] = fault
            self._display.say(f"{self._label(task)}: failed: {fault}")

    def waiting(self, active: Sequence[Task]) -> None:
        """Draw the running jobs."""
        folders = [(task.name, task.run.folder if isinstance(task, RunTask) else None) for task in active]
        self._display.draw(f"{len(self._records)} of {len(self.runs)} runs ended, {len(active)} at work", folders)

    def _label(self, task: Task) -> str:
        if not isinstance(task, RunTask):
            return f"Reference player {task.name}"
        run = task.run
        where = f"{run.spec.architecture} on {run.spec.level}, seed {run.spec.seed}"
        return f"[{run.number}/{len(self.runs)}] trial {self.trial_of[run.spec.id]}, {where}"


if __name__ == "__main__":
    sys.exit(main())
