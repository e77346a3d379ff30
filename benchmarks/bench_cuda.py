"""Speed of worlds on a GPU: `uv run --group cuda python benchmarks/bench_cuda.py [--level 4] [--worlds 256,4096]`.

Random actions drawn beforehand on the device, complete observations, worlds in the middle of their episodes, new maps
included; no policy. Prints a table and, as the last line, JSON. A figure is the median over the repeats, in agent-steps
per second of wall time; the seconds of the first step are those of compiling and are not in it. Without a GPU it ends
with one sentence and exit status 2; `benchmarks/bench_sim.py` measures the CPU.
W worlds, A agents in a world, N = W * A agent streams.
"""

import json
import statistics
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import torch

from metta.base.endings import report_errors
from metta.base.flags import Parser
from metta.sim.config import SimConfig
from metta.sim.constants import NUM_ACTIONS
from metta.sim.devices import check_cuda

if TYPE_CHECKING:
    from metta.sim.cuda_env import CudaVectorEnv

LEVELS = {1: "level_1_basic", 2: "level_2_easy", 3: "level_3_medium", 4: "level_4_hard", 5: "level_5_expert"}
DRAWN_STEPS = 16
SEED = 0


def level_config(level: int) -> SimConfig:
    """The configuration of a level's training environment."""
    config: SimConfig = import_module(f"experiments.recipes.benchmark_architectures.{LEVELS[level]}").LEVEL.make_env()
    return config


def run(env: "CudaVectorEnv", actions: torch.Tensor, steps: int) -> float:
    """Seconds of wall time that so many steps take, until the GPU is done; `actions` [DRAWN_STEPS, N]."""
    started = time.perf_counter()
    for step in range(steps):
        env.step(actions[step % DRAWN_STEPS])
    env.drain_episodes()
    wait()
    return time.perf_counter() - started


def wait() -> None:
    """Until the GPU has done everything; in numba's simulator it has."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(config: SimConfig, num_worlds: int, steps: int, repeats: int) -> dict[str, float]:
    """One line of the table."""
    from metta.sim.cuda_env import DEVICE, CudaVectorEnv

    env = CudaVectorEnv(config, num_worlds=num_worlds, seed=SEED, desynchronise=True)
    started = time.perf_counter()
    env.reset()
    generator = torch.Generator().manual_seed(SEED)
    actions = torch.randint(NUM_ACTIONS, (DRAWN_STEPS, env.num_streams), generator=generator, dtype=torch.int32)
    actions = actions.to(DEVICE)
    env.step(actions[0])
    wait()
    first = time.perf_counter() - started
    run(env, actions, steps)
    seconds = statistics.median(run(env, actions, steps) for _ in range(repeats))
    rate = round(steps * env.num_streams / seconds)
    return {
        "worlds": num_worlds,
        "agents": env.num_streams,
        "agent_steps_per_second": rate,
        "milliseconds_per_step": 1000 * seconds / steps,
        "first_step_seconds": first,
    }


def whole_numbers(text: str) -> list[int]:
    """A comma-separated list."""
    return [int(part) for part in text.split(",")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and print the line of JSON; returns the exit status."""
    parser = Parser("bench_cuda.py", str(__doc__).splitlines()[0])
    parser.add_argument("--level", type=int, choices=LEVELS, default=4)
    parser.add_argument("--worlds", type=whole_numbers, default=[64, 256, 1024, 4096, 16384], help="comma-separated")
    parser.add_argument("--steps", type=int, default=500, help="steps per measurement (default 500)")
    parser.add_argument("--repeats", type=int, default=5, help="measurements per figure, the median counts (default 5)")
    given = parser.parse_args(arguments)
    check_cuda("this benchmark needs a GPU", instead="benchmarks/bench_sim.py measures the CPU")
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "numba's simulator of CUDA"
    print(f"level {given.level} on {name}")
    print(
        f"{'worlds':>8}{'agents':>10}{'million agent-steps/s':>24}{'ms per step':>14}{'first step, s':>16}", flush=True
    )
    results = []
    for num_worlds in given.worlds:
        row = measure(level_config(given.level), num_worlds, given.steps, given.repeats)
        results.append(row)
        print(
            f"{num_worlds:>8}{row['agents']:>10}{row['agent_steps_per_second'] / 1e6:>24.3f}"
            f"{row['milliseconds_per_step']:>14.3f}{row['first_step_seconds']:>16.1f}",
            flush=True,
        )
    print(json.dumps({"benchmark": "cuda", "device": name, "level": given.level, "results": results}))
    return 0


if __name__ == "__main__":
    sys.exit(report_errors(main))
