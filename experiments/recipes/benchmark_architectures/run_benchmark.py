"""The benchmark on this machine: `uv run experiments/recipes/benchmark_architectures/run_benchmark.py --quick`.

Repeating a command continues it: finished runs are not repeated. `--help` explains every flag.
"""

import sys
from collections.abc import Sequence

from experiments.recipes.benchmark_architectures.planning import (
    add_extent,
    add_of_benchmarks,
    benchmark_study,
    call_text,
    print_forecast,
)
from experiments.recipes.benchmark_architectures.rungs import KNOWN_LEVELS
from metta.base.addresses import local_path
from metta.base.endings import report_errors
from metta.base.flags import Parser, at_least
from metta.base.provenance import cores
from metta.lab.decide import RetryPolicy
from metta.lab.executors import local
from metta.lab.plan import id_part, plan

QUICK = {
    # A pair that differs clearly, and was chosen for that (docs/protocol.md); its runs are six of the published ones.
    "architectures": "trxl,transformer",
    "levels": "level_1_basic",
    "output_dir": "./train_dir/quick",
    "parallel": min(2, cores()),  # one-thread runs side by side beat one run on all cores by a third
}
"""Defaults of flags with --quick, where they are others than without."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return the exit status."""
    return report_errors(lambda: _benchmark(list(sys.argv[1:] if arguments is None else arguments)))


def _benchmark(words: list[str]) -> int:
    given = _parser("--quick" in words).parse_intermixed_args(words)
    output = given.output_dir
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    specs = plan(id_part(output.resolve().name), given.architectures, given.levels, seeds)
    threads = max(1, cores() // given.parallel) if given.parallel > 1 else 0
    command = call_text("run_benchmark.py", words)
    study = benchmark_study(given, command, specs, output, RetryPolicy(retries=0), given.parallel, threads)
    if given.dry_run:
        print_forecast(study, given)
        return 0
    return study.execute(local.LocalExecutor(study.parallel))


def _parser(quick: bool) -> Parser:
    parser = Parser(
        prog="run_benchmark.py",
        description="Train every architecture on every level with every seed, evaluate, and compare; repeating the "
        "command continues it.",
        epilog="key=value words are settings for every run, as in tools/run.py: trainer.learning_rate=0.001",
    )
    add = parser.add_argument
    add_extent(parser, "--max-timesteps", "--seeds", KNOWN_LEVELS)
    add("--output-dir", type=local_path, default="./train_dir/benchmark", metavar="DIR", help="results and run folders")
    add("--parallel", type=at_least(1), default=1, metavar="N", help="runs at a time, which share the cores")
    others = ", ".join(f"{name}={value}" for name, value in QUICK.items())
    add("--quick", action="store_true", help=f"a small real benchmark within minutes on a laptop CPU: {others}")
    add_of_benchmarks(parser)
    if quick:
        parser.set_defaults(**QUICK)
    return parser


if __name__ == "__main__":
    sys.exit(main())
