"""Time of an evaluation: the default number of worlds, one full episode each, per architecture, level, environment.

    uv run python benchmarks/bench_evaluation.py [--architectures fast] [--levels level_1_basic] [--threads 2]

Prints a table and, as its last line, {"benchmark": "evaluation", "results": [{"architecture", "level", "environment",
"threads", "seconds", "cpu_seconds", "agent_steps_per_second"}]}. Policies are untrained, which takes as long. Seconds
are the median over `--repeats` after one evaluation of a single world that compiles and warms up; on a busy machine
`cpu_seconds / threads` says what an idle one would need at least.
"""

import json
import os
import statistics
import sys
import time

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.levels import LEVELS
from metta.base.endings import report_errors
from metta.base.flags import Parser, at_least, some_of


def main() -> None:
    """Parse, measure, print."""
    parser = Parser("bench_evaluation.py", str(__doc__).splitlines()[0])
    parser.add_argument(
        "--architectures", type=some_of(ARCHITECTURES), default="fast", help="comma-separated keys, or all"
    )
    parser.add_argument(
        "--levels", type=some_of(LEVELS), default=",".join(LEVELS), help="comma-separated level modules"
    )
    parser.add_argument("--threads", type=at_least(1), default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=at_least(1), default=3)
    options = parser.parse_args()
    results = []
    print(f"{'architecture':<18}{'level':<17}{'environment':<13}{'seconds':>9}{'CPU s':>8}{'steps/s':>10}", flush=True)
    for name in options.architectures:
        for level in options.levels:
            for result in measure(name, level, options.threads, options.repeats):
                results.append(result)
                print(
                    f"{name:<18}{level:<17}{result['environment']:<13}{result['seconds']:>9.1f}"
                    f"{result['cpu_seconds']:>8.1f}{result['agent_steps_per_second']:>10,.0f}",
                    flush=True,
                )
    print(json.dumps({"benchmark": "evaluation", "results": results}))


def measure(name: str, level: str, threads: int, repeats: int) -> list[dict[str, object]]:
    """One result per evaluation environment of the level."""
    from metta.base.seeding import derive_seed
    from metta.rl.config import EvaluationConfig, SystemConfig, TrainerConfig
    from metta.rl.devices import choose_device
    from metta.rl.evaluate import evaluate_player, held_out
    from metta.rl.players import PolicyPlayer
    from metta.rl.shards import Shards
    from metta.rl.specs import spec_of

    device = choose_device(SystemConfig())
    shards = Shards(threads if device.type == "cpu" else 1)
    results: list[dict[str, object]] = []
    for environment, sim in LEVELS[level].make_evals().items():
        policy = ARCHITECTURES[name].build(spec_of(sim, TrainerConfig()), derive_seed(0, "weights"))
        player = PolicyPlayer(policy, sim, device)
        evaluation = EvaluationConfig()
        evaluate_player(player, sim, held_out(evaluation.model_copy(update={"worlds": 1})), shards)
        times, loads = [], []
        for _ in range(repeats):
            started, load = time.perf_counter(), time.process_time()
            evaluate_player(player, sim, held_out(evaluation), shards)
            times.append(time.perf_counter() - started)
            loads.append(time.process_time() - load)
        seconds = statistics.median(times)
        results.append(
            {
                "architecture": name,
                "level": level,
                "environment": environment,
                "threads": threads,
                "seconds": seconds,
                "cpu_seconds": statistics.median(loads),
                "agent_steps_per_second": evaluation.worlds * sim.num_agents * sim.max_steps / seconds,
            }
        )
    shards.close()
    return results


if __name__ == "__main__":
    sys.exit(report_errors(main))
