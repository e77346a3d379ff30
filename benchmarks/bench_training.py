"""Training speed, rollout and update together, per architecture.

    uv run python benchmarks/bench_training.py [--architectures fast,vit] [--level level_1_basic] [--threads 2]

Prints a table and, as its last line, {"benchmark": "training", "results": [{"architecture", "threads",
"agent_steps_per_second", ...}]}. Beside `fast` runs the same network in a plain eager loop in the style of CleanRL, so
that the ratio of the two holds on a noisy machine too. Sizes are fixed here, not the trainer's defaults: rollouts of
64 steps, 4 minibatches, one pass over each rollout (`--epochs`). A rate is the median over repeats; run it on
an idle machine.

The account of limits: the operations of matrix products, convolutions and attention that torch does per agent-step
(once forward to act, and thrice per pass to learn: forward, and twice as much backward), against the rate of large
float32 products on the same threads in the same minute. `of limit` is the share of what the processor could do if it
did nothing else: no simulation, no first layers over tokens (compiled, not counted), no optimiser, no copies.

Each architecture is measured in a process of its own, as it trains, so that peak memory is its own, too.
"""

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.levels import LEVELS
from metta.base.endings import report_errors
from metta.base.flags import Parser, at_least, one_of, some_of

if TYPE_CHECKING:
    from metta.rl.config import TrainerConfig


def main() -> None:
    """Parse, measure, print."""
    parser = Parser("bench_training.py", str(__doc__).splitlines()[0])
    parser.add_argument(
        "--architectures", type=some_of(ARCHITECTURES), default="fast,vit", help="comma-separated keys, or all"
    )
    parser.add_argument("--level", type=one_of(LEVELS), default="level_1_basic")
    parser.add_argument("--threads", type=at_least(1), default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=at_least(1), default=5, help="measured updates per architecture")
    parser.add_argument("--streams", type=at_least(1), default=240, help="agents acting in parallel")
    parser.add_argument(
        "--epochs", type=at_least(1), default=1, help="passes over each rollout; the plain loop makes one"
    )
    parser.add_argument("--no-plain-loop", action="store_true", help="leave out the plain eager loop")
    options = parser.parse_args()

    from benchmarks.training_rate import in_own_process, matrix_rate, training_rate

    sim = LEVELS[options.level].make_env()
    results = []
    flops_per_second = in_own_process(matrix_rate, options.threads)
    print(f"Matrix products, float32, {options.threads} threads: {flops_per_second / 1e9:.0f} GFLOP/s")
    print(
        f"{'architecture':<20}{'threads':>8}{'steps/s':>10}{'simulate':>10}{'act':>6}{'update':>8}{'peak MB':>9}"
        f"{'MFLOP':>8}{'of limit':>10}",
        flush=True,
    )
    for name in options.architectures:
        rate = in_own_process(
            training_rate, ARCHITECTURES[name], sim, _trainer(options), options.threads, options.repeats
        )
        result = _named(name, options.threads, rate)
        result["limit_share"] = result["agent_steps_per_second"] * result["flops_per_step"] / flops_per_second
        results.append(result)
        _print_row(result)
        if name == "fast" and not options.no_plain_loop:
            result = _named(PLAIN, options.threads, in_own_process(measure_plain_loop, options))
            results.append(result)
            _print_row(result)
    rates = {result["architecture"]: result["agent_steps_per_second"] for result in results}
    if PLAIN in rates:
        print(f"fast is {rates['fast'] / rates[PLAIN]:.2f} times as fast as the plain loop of the same network")
    print(
        json.dumps(
            {"benchmark": "training", "level": options.level, "flops_per_second": flops_per_second, "results": results}
        )
    )


PLAIN = "fast_plain_loop"


def _trainer(options: argparse.Namespace) -> "TrainerConfig":
    from metta.rl.config import TrainerConfig

    return TrainerConfig(num_streams=options.streams, rollout_steps=64, minibatches=4, epochs=options.epochs)


def _named(name: str, threads: int, rate: dict[str, Any]) -> dict[str, Any]:
    return {"architecture": name, "threads": threads} | rate


def _print_row(result: dict[str, Any]) -> None:
    print(
        f"{result['architecture']:<20}{result['threads']:>8}{result['agent_steps_per_second']:>10,.0f}"
        f"{result['simulation_share']:>10.0%}{result['acting_share']:>6.0%}{result['update_share']:>8.0%}"
        f"{result['peak_memory_mb']:>9,.0f}"
        + (f"{result['flops_per_step'] / 1e6:>8.1f}{result['limit_share']:>10.0%}" if "limit_share" in result else ""),
        flush=True,
    )


def measure_plain_loop(options: argparse.Namespace) -> dict[str, Any]:
    """The same network as `fast`, in a plain eager loop."""
    from benchmarks.plain_loop import PlainLoop
    from benchmarks.training_rate import measured

    sim = LEVELS[options.level].make_env()
    loop = PlainLoop(sim, options.threads, _trainer(options))

    def one_update() -> tuple[float, float, float]:
        rollout, learning = loop.one_update()
        return 0.0, rollout, learning  # the loop does not tell its simulation apart

    return measured(one_update, loop.steps_per_update, options.repeats)


if __name__ == "__main__":
    sys.exit(report_errors(main))
