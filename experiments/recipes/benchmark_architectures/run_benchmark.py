"""The benchmark on this machine: `uv run experiments/recipes/benchmark_architectures/run_benchmark.py --quick`.

Repeating a command continues it: finished runs are not repeated. `--help` explains every flag.
"""

import argparse
import sys
from collections.abc import Iterable

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.planning import (
    add_extent,
    add_of_benchmarks,
    benchmark_study,
    call_text,
    print_forecast,
)
from metta.base.addresses import local_path
from metta.base.endings import command
from metta.base.flags import Parser, at_least
from metta.base.provenance import cores
from metta.lab.decide import RetryPolicy
from metta.lab.executors import local
from metta.lab.plan import id_part, plan
from metta.lab.study import Study

QUICK = {
    # A pair that differs clearly, and was chosen for that (docs/protocol.md).
    "architectures": "transformer,trxl",
    "levels": "level_1_basic",
    "timesteps": 800_000,
    "output_dir": "./train_dir/quick",
    "parallel": min(2, cores()),  # one-thread runs side by side beat one run on all cores by a third
}
"""Defaults of flags with --quick, where they are others than without."""


@command
def main(words: list[str]) -> int:
    """Run one command line."""
    given = _parser("--quick" in words).parse_intermixed_args(words)
    study = local_study(given, call_text("run_benchmark.py", words), given.quick)
    if given.dry_run:
        print_forecast(study, given)
        return 0
    status = study.execute(local.LocalExecutor(study.parallel))
    if given.quick and ",".join(given.architectures) == QUICK["architectures"]:
        print("\nThe pair was chosen because it differs (docs/protocol.md): an example of a verdict, not a finding.")
    return status


def local_study(given: argparse.Namespace, command: str, by_architecture: bool = False) -> Study:
    """The benchmark on this machine that the flags ask for. Raises `InputError`.

    `by_architecture`: all runs of the first architecture come first, not one seed of everything. If that is the slowest
    one, none of its runs is left alone at the end.
    """
    output = given.output_dir
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    specs = plan(id_part(output.resolve().name), given.architectures, given.levels, seeds)
    if by_architecture:
        specs = sorted(specs, key=lambda spec: given.architectures.index(spec.architecture))
    threads = max(1, cores() // given.parallel) if given.parallel > 1 else 0
    return benchmark_study(given, command, specs, output, RetryPolicy(retries=0), given.parallel, threads)


def _parser(quick: bool) -> Parser:
    parser = local_parser(
        "run_benchmark.py",
        "Train every architecture on every level with every seed, evaluate, and compare; repeating the command "
        "continues it.",
        "./train_dir/benchmark",
        ARCHITECTURES,
    )
    others = ", ".join(f"{name}={value}" for name, value in QUICK.items())
    parser.add_argument(
        "--quick", action="store_true", help=f"a small real benchmark within minutes on a laptop CPU: {others}"
    )
    if quick:
        parser.set_defaults(**QUICK)
    return parser


def local_parser(prog: str, description: str, output_dir: str, architectures: Iterable[str] = ()) -> Parser:
    """The flags of a benchmark on this machine; without --architectures where none are given to choose from."""
    parser = Parser(
        prog=prog,
        description=description,
        epilog="key=value words are settings for every run, as in tools/run.py: trainer.learning_rate=0.001",
    )
    add = parser.add_argument
    add_extent(parser, "--max-timesteps", "--seeds", architectures=architectures)
    add("--output-dir", type=local_path, default=output_dir, metavar="DIR", help="results and run folders")
    add("--parallel", type=at_least(1), default=1, metavar="N", help="runs at a time, which share the cores")
    add_of_benchmarks(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
