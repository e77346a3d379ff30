"""The benchmark on this machine: `uv run experiments/recipes/benchmark_architectures/run_benchmark.py --quick`.

Repeating a command continues it: finished runs are not repeated. `--help` explains every flag.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from experiments.recipes.benchmark_architectures.learning_rates import untuned
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.levels import EVERY_LEVEL
from experiments.recipes.benchmark_architectures.planning import (
    add_forecast,
    add_replays,
    at_least,
    benchmark_study,
    call_text,
    check_forecast,
    chosen_names,
    print_forecast,
)
from experiments.recipes.benchmark_architectures.rungs import KNOWN_LEVELS
from metta.base.addresses import local_path
from metta.base.endings import report_errors
from metta.base.flags import Parser
from metta.base.provenance import cores
from metta.lab.benchmark import Benchmark
from metta.lab.decide import RetryPolicy
from metta.lab.executors import local
from metta.lab.plan import id_part, plan
from metta.lab.study import Study


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
    levels=EVERY_LEVEL,
    max_timesteps=1_000_000,
    seeds=3,
    output_dir="./train_dir/benchmark",
    parallel=1,
)

QUICK = Extent(
    # A pair that differs clearly, and was chosen for that (docs/protocol.md).
    architectures="transformer,trxl",
    levels="level_1_basic",
    max_timesteps=800_000,
    seeds=3,
    output_dir="./train_dir/quick",
    parallel=min(2, cores()),  # one-thread runs side by side beat one run on all cores by a third
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return the exit status."""
    return report_errors(lambda: _benchmark(list(sys.argv[1:] if arguments is None else arguments)))


def _benchmark(words: list[str]) -> int:
    given = _parser().parse_intermixed_args(words)
    study = build_study(given, command=call_text("run_benchmark.py", words))
    if given.dry_run:
        print_forecast(study, given)
        return 0
    return study.execute(local.LocalExecutor(study.parallel))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="run_benchmark.py",
        description="Train every architecture on every level with every seed, evaluate, and compare; repeating the "
        "command continues it.",
        epilog="key=value words are settings for every run, as in tools/run.py: trainer.learning_rate=0.001",
    )
    quick = f"with --quick {QUICK.architectures}"
    parser.add_argument("--architectures", metavar="A,B", help=f"keys of ARCHITECTURES (default: all; {quick})")
    parser.add_argument(
        "--levels",
        metavar="A,B",
        help=f"level modules (default: all but the rungs of the memory ladder; with --quick {QUICK.levels})",
    )
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
    add_replays(parser)
    add_forecast(parser)
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings for every run")
    return parser


def build_study(given: argparse.Namespace, command: str) -> Study:
    """The benchmark that the flags ask for, every run of it checked. Raises `InputError` for a bad flag."""
    flags = {field.name: getattr(given, field.name) for field in fields(Extent)}
    extent = replace(
        QUICK if given.quick else FULL, **{name: value for name, value in flags.items() if value is not None}
    )
    chosen = chosen_names("--architectures", extent.architectures, ARCHITECTURES)
    levels = chosen_names("--levels", extent.levels, KNOWN_LEVELS)
    for name in ("max_timesteps", "seeds", "parallel"):
        at_least(name, getattr(extent, name), 1)
    at_least("first_seed", given.first_seed, 0)
    check_forecast(given)
    output = local_path(extent.output_dir)
    seeds = range(given.first_seed, given.first_seed + extent.seeds)
    otherwise = max(1, cores() // extent.parallel) if extent.parallel > 1 else 0
    specs = plan(id_part(output.resolve().name), chosen, levels, seeds)
    if given.quick:  # all runs of the slower architecture first, so that none of them is left alone at the end
        specs = sorted(specs, key=lambda spec: chosen.index(spec.architecture))
    results = Benchmark(extent.max_timesteps, command, given.replays, untuned(ARCHITECTURES))
    return benchmark_study(given, specs, output, results, RetryPolicy(retries=0), extent.parallel, otherwise)


if __name__ == "__main__":
    sys.exit(main())
