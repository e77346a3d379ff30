"""The benchmark on this machine: `uv run experiments/recipes/benchmark_architectures/run_benchmark.py --quick`.

Repeating a command continues it: finished runs are not repeated. `--help` explains every flag.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.base.addresses import PLAYERS
from metta.base.errors import InputError
from metta.cli.main import report_errors, resolve
from metta.lab.benchmark import Benchmark, PlannedReference, PlannedRun
from metta.lab.evaluation import EvaluateJob
from metta.lab.plan import RunSpec, id_part, plan
from metta.lab.provenance import cores
from metta.lab.training import TrainJob

PACKAGE = "experiments.recipes.benchmark_architectures"
LEVELS = ("level_1_basic", "level_2_easy", "level_3_medium", "level_4_hard", "level_5_expert")


@dataclass(frozen=True)
class Extent:
    """What a benchmark covers; each field is a flag of the same name."""

    architectures: str
    """Keys of ARCHITECTURES, separated by commas; empty: all."""
    levels: str
    """Level modules, separated by commas."""
    max_timesteps: int
    """Agent-steps per run."""
    seeds: int
    """Seeds per architecture and level."""
    output_dir: str
    """Folder of results and run folders."""
    parallel: int
    """Runs at a time."""


FULL = Extent(
    architectures="",
    levels=",".join(LEVELS),
    max_timesteps=1_000_000,
    seeds=3,
    output_dir="./train_dir/benchmark",
    parallel=1,
)

QUICK = Extent(
    architectures="fast,vit,memory_free",
    levels="level_1_basic",
    max_timesteps=200_000,
    seeds=2,
    output_dir="./train_dir/quick",
    parallel=min(2, cores()),  # one-thread runs side by side beat one run on all cores by a third
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return the exit status."""
    return report_errors(lambda: _benchmark(list(sys.argv[1:] if arguments is None else arguments)))


def _benchmark(words: list[str]) -> int:
    given = _parser().parse_args(words)
    benchmark = build_benchmark(
        given, command=shlex.join(["uv", "run", f"{PACKAGE.replace('.', '/')}/run_benchmark.py", *words])
    )
    if given.dry_run:
        for run in benchmark.runs:
            print(shlex.join(["uv", "run", "./tools/run.py", *run.train_words]))
        return 0
    return benchmark.execute()


class _Parser(argparse.ArgumentParser):
    """Reports a wrong flag like every other wrong input: as one sentence."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (--help explains every flag).")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        allow_abbrev=False,
        prog="run_benchmark.py",
        description="Train every architecture on every level with every seed, evaluate, and compare; repeating the "
        "command continues it.",
        epilog="key=value words are settings for every run, as in tools/run.py: trainer.learning_rate=0.001",
    )
    quick = f"with --quick {QUICK.architectures}"
    parser.add_argument("--architectures", metavar="A,B", help=f"keys of ARCHITECTURES (default: all; {quick})")
    parser.add_argument("--levels", metavar="A,B", help=f"level modules (default: all; with --quick {QUICK.levels})")
    parser.add_argument(
        "--max-timesteps",
        type=int,
        metavar="N",
        help=f"agent-steps per run (default: {FULL.max_timesteps}; with --quick {QUICK.max_timesteps})",
    )
    parser.add_argument(
        "--output-dir",
        metavar="DIR",
        help=f"results and run folders (default: {FULL.output_dir}; with --quick {QUICK.output_dir})",
    )
    parser.add_argument("--skip-training", action="store_true", help="only evaluate the checkpoints that are there")
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help=f"seeds per architecture and level (default: {FULL.seeds}; --quick {QUICK.seeds})",
    )
    parser.add_argument("--first-seed", type=int, default=0, metavar="N", help="seeds are N, N+1, ... (default: 0)")
    parser.add_argument(
        "--parallel",
        type=int,
        metavar="N",
        help="runs at a time, which share the cores (default: 1; with --quick 2 where there are two cores)",
    )
    parser.add_argument("--quick", action="store_true", help="a small real benchmark within minutes on a laptop CPU")
    parser.add_argument("--dry-run", action="store_true", help="print the commands; nothing is run or written")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings for every run")
    return parser


def build_benchmark(given: argparse.Namespace, command: str) -> Benchmark:
    """The benchmark that the flags ask for, every run of it checked. Raises `InputError` for a bad flag."""
    flags = {field.name: getattr(given, field.name) for field in fields(Extent)}
    extent = replace(
        QUICK if given.quick else FULL, **{name: value for name, value in flags.items() if value is not None}
    )
    names = list(ARCHITECTURES)
    chosen = _names("--architectures", extent.architectures or ",".join(names), names)
    levels = _names("--levels", extent.levels, LEVELS)
    for name in ("max_timesteps", "seeds", "parallel"):
        _at_least(name, getattr(extent, name), 1)
    _at_least("first_seed", given.first_seed, 0)
    output = Path(extent.output_dir)
    threads = max(1, cores() // extent.parallel) if extent.parallel > 1 else 0
    seeds = range(given.first_seed, given.first_seed + extent.seeds)
    settings = [f"trainer.total_timesteps={extent.max_timesteps}", *given.settings]
    if threads:
        settings.append(f"system.threads={threads}")
    specs = plan(id_part(output.resolve().name), chosen, levels, seeds)
    return Benchmark(
        output=output,
        runs=[_planned_run(number, spec, output, settings) for number, spec in enumerate(specs, start=1)],
        references=[_planned_reference(player, level, output, settings) for level in levels for player in PLAYERS],
        max_timesteps=extent.max_timesteps,
        parallel=extent.parallel,
        threads=threads,
        train=not given.skip_training,
        command=command,
    )


def _names(flag: str, text: str, known: Sequence[str]) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InputError(f"{flag} names nothing; known: {', '.join(known)}.")
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise InputError(f"{flag}: unknown name {name!r}; did you mean {near!r}? Known: {', '.join(known)}.")
    return list(dict.fromkeys(names))


def _at_least(flag: str, value: int, least: int) -> None:
    if value < least:
        raise InputError(f"--{flag.replace('_', '-')} must be at least {least} (given: {value}).")


def _planned_run(number: int, spec: RunSpec, output: Path, settings: Sequence[str]) -> PlannedRun:
    level = f"{PACKAGE}.{spec.level}"
    train = [f"{level}.train", f"run={spec.id}", f"arch_type={spec.architecture}", f"seed={spec.seed}"]
    train += [f"train_dir={output}", *settings]
    job = resolve(train)
    assert isinstance(job, TrainJob)
    evaluate = [f"{level}.evaluate", f"policy_uri=file://{job.train_dir / spec.id / 'checkpoints'}"]
    return PlannedRun(number, spec, job, tuple(train), (*evaluate, *_evaluation_settings(settings)))


def _planned_reference(player: str, level: str, output: Path, settings: Sequence[str]) -> PlannedReference:
    file = output / "references" / f"{level}.{player}.json"
    words = [f"{PACKAGE}.{level}.evaluate", f"policy_uri={player}", f"output={file}", *_evaluation_settings(settings)]
    job = resolve(words)
    assert isinstance(job, EvaluateJob)
    return PlannedReference(player, level, file, tuple(words), job.config.evaluation.model_dump(mode="json"))


def _evaluation_settings(settings: Sequence[str]) -> list[str]:
    """Those settings that an evaluation has, too."""
    return [word for word in settings if word.startswith(("evaluation.", "evaluation_environments.", "system."))]


if __name__ == "__main__":
    sys.exit(main())
