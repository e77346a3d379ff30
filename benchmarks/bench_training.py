"""Training speed, rollout and update together, per architecture.

    uv run python benchmarks/bench_training.py [--architectures fast,vit] [--level level_1_basic] [--threads 2]

Prints a table and, as its last line, {"benchmark": "training", "results": [{"architecture", "threads",
"agent_steps_per_second", ...}]}. Beside `fast` runs the same network in a plain eager loop in the style of CleanRL, so
that the ratio of the two holds on a noisy machine too. Sizes are fixed here, not the trainer's defaults: rollouts of
64 steps, 4 minibatches, one pass over each rollout (`--epochs`). A rate is the median over repeats; run it on
an idle machine.

The account of limits: the operations of matrix products, convolutions and attention that torch does per agent-step
(once forward to act, and thrice per pass to learn: forward, and twice as much backward), against the rate of large
float32 products on the same threads in the same minute. Peak memory is the process's so far: measure one
architecture per call to have its own. `of limit` is the share of what the processor could do if it
did nothing else: no simulation, no first layers over tokens (compiled, not counted), no optimiser, no copies.
"""

import argparse
import importlib
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    from metta.rl.config import TrainerConfig

RECIPES = "experiments.recipes.benchmark_architectures"


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architectures", default="fast,vit", help="comma-separated keys, or all")
    parser.add_argument("--level", default="level_1_basic")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=5, help="measured updates per architecture")
    parser.add_argument("--streams", type=int, default=240, help="agents acting in parallel")
    parser.add_argument("--epochs", type=int, default=1, help="passes over each rollout; the plain loop makes one")
    parser.add_argument("--no-plain-loop", action="store_true", help="leave out the plain eager loop")
    options = parser.parse_args()

    registry = importlib.import_module(f"{RECIPES}.level_1_basic").ARCHITECTURES
    names = list(registry) if options.architectures == "all" else options.architectures.split(",")
    unknown = [name for name in names if name not in registry]
    if unknown:
        parser.error(f"unknown architecture {unknown[0]!r}; known: {', '.join(registry)}")
    results = []
    flops_per_second = matrix_rate(options.threads)
    print(f"Matrix products, float32, {options.threads} threads: {flops_per_second / 1e9:.0f} GFLOP/s")
    print(
        f"{'architecture':<20}{'threads':>8}{'steps/s':>10}{'rollout':>9}{'update':>9}{'peak MB':>9}"
        f"{'MFLOP':>8}{'of limit':>10}",
        flush=True,
    )
    for name in names:
        result = measure_trainer(name, options)
        result["limit_share"] = result["agent_steps_per_second"] * result["flops_per_step"] / flops_per_second
        results.append(result)
        _print_row(result)
        if name == "fast" and not options.no_plain_loop:
            result = measure_plain_loop(options)
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


def _print_row(result: dict[str, Any]) -> None:
    print(
        f"{result['architecture']:<20}{result['threads']:>8}{result['agent_steps_per_second']:>10,.0f}"
        f"{result['rollout_share']:>9.0%}{result['update_share']:>9.0%}{result['peak_memory_mb']:>9,.0f}"
        + (f"{result['flops_per_step'] / 1e6:>8.1f}{result['limit_share']:>10.0%}" if "limit_share" in result else ""),
        flush=True,
    )


def measure_trainer(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The product's own collector and update."""
    from metta.agent.ledger import forward_flops
    from metta.base.seeding import derive_seed
    from metta.rl.config import SystemConfig
    from metta.rl.rollout import Collector
    from metta.rl.sampling import uniforms
    from metta.rl.shards import Shards
    from metta.rl.trainer import choose_device, spec_of
    from metta.rl.update import make_learner, update
    from metta.sim.vector_env import VectorEnv

    sim = importlib.import_module(f"{RECIPES}.{options.level}").LEVEL.make_env()
    registry = importlib.import_module(f"{RECIPES}.level_1_basic").ARCHITECTURES
    trainer = _trainer(options)
    device = choose_device(SystemConfig())
    shards = Shards(options.threads if device.type == "cpu" else 1)
    worlds = max(1, round(trainer.num_streams / sim.num_agents))
    env = VectorEnv(sim, num_worlds=worlds, seed=derive_seed(0, "worlds"), desynchronise=True)
    env.reset()
    policy = registry[name].build(spec_of(sim, trainer.front_view), derive_seed(0, "weights")).to(device)
    learner = make_learner(policy, trainer)
    collector = Collector(env, policy, trainer.rollout_steps, device, shards)
    steps = env.num_streams * trainer.rollout_steps
    index = 0

    def one_update() -> tuple[float, float]:
        nonlocal index
        started = time.perf_counter()
        segments = collector.collect(uniforms(0, "sampling", index, (trainer.rollout_steps, env.num_streams)))
        collected = time.perf_counter()
        update(learner, segments, trainer, shards, 0, index, trainer.entropy_weight)
        index += 1
        return collected - started, time.perf_counter() - collected

    result = _measured(name, options.threads, steps, one_update, options.repeats)
    shards.close()
    forward = forward_flops(registry[name], spec_of(sim, trainer.front_view), compiled=True)
    return result | {"flops_per_step": forward * (1 + 3 * trainer.epochs)}


def measure_plain_loop(options: argparse.Namespace) -> dict[str, Any]:
    """The same network as `fast`, in a plain eager loop."""
    from benchmarks.plain_loop import PlainLoop

    sim = importlib.import_module(f"{RECIPES}.{options.level}").LEVEL.make_env()
    loop = PlainLoop(sim, options.threads, _trainer(options))
    return _measured(PLAIN, options.threads, loop.steps_per_update, loop.one_update, options.repeats)


def matrix_rate(threads: int) -> float:
    """Floating-point operations per second of large float32 matrix products, one product at a time on every thread."""
    from concurrent.futures import ThreadPoolExecutor

    import torch

    torch.set_num_threads(1)
    rows, width, repeats = 4096, 512, 20
    pairs = [(torch.randn(rows, width), torch.randn(width, width)) for _ in range(threads)]

    def multiply(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
        for _ in range(repeats):
            torch.mm(*pair)

    with ThreadPoolExecutor(threads) as pool:
        times = []
        for _ in range(7):
            started = time.perf_counter()
            list(pool.map(multiply, pairs))
            times.append(time.perf_counter() - started)
    return threads * repeats * 2 * rows * width * width / min(times)


def _measured(
    name: str, threads: int, steps: int, one_update: Callable[[], tuple[float, float]], repeats: int
) -> dict[str, Any]:
    for _ in range(2):
        one_update()  # compiles, fills caches
    times = [one_update() for _ in range(repeats)]
    rollout = statistics.median(rollout for rollout, _ in times)
    learning = statistics.median(learning for _, learning in times)
    return {
        "architecture": name,
        "threads": threads,
        "agent_steps_per_second": steps / statistics.median(sum(pair) for pair in times),
        "rollout_share": rollout / (rollout + learning),
        "update_share": learning / (rollout + learning),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    main()
