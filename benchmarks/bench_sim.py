"""Speed of the simulator: `uv run python benchmarks/bench_sim.py [--levels 1,4] [--threads 1,2] [--repeats 9]`.

Random actions drawn beforehand, complete observations, worlds in the middle of their episodes, new maps included.
Prints a table and, as the last line, JSON. A figure is the median over the repeats, in agent-steps per second of wall
time; per CPU second (one thread only) is what remains when other programs take turns on the core. Beside it stands how
many observations could be copied in memory in that time, which is the least that any simulator has to move.
W worlds, A agents in a world, N = W * A agent streams.
"""

import json
import statistics
import sys
import time

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from experiments.recipes.benchmark_architectures.levels import LEVELS
from metta.base.endings import report_errors
from metta.base.flags import Parser, at_least, some_of
from metta.sim.config import SimConfig
from metta.sim.constants import NUM_ACTIONS
from metta.sim.vector_env import VectorEnv

NUMBERED = dict(enumerate(LEVELS.values(), start=1))
STREAMS = 1536
"""N, about: enough that the call from Python does not count, few enough that observations stay near the core."""
DRAWN_STEPS = 128
STEPS_PER_REPEAT = 600
SEED = 0


def draw_actions(num_streams: int) -> NDArray[np.int32]:
    """[DRAWN_STEPS, N] uniformly random actions."""
    return np.random.default_rng(SEED).integers(0, NUM_ACTIONS, (DRAWN_STEPS, num_streams), dtype=np.int32)


def run(env: VectorEnv, actions: NDArray[np.int32], steps: int) -> tuple[float, float]:
    """Seconds of wall time and of this thread's CPU time that so many steps take."""
    wall, cpu = time.perf_counter(), time.thread_time()
    for step in range(steps):
        env.step(actions[step % DRAWN_STEPS])
    env.drain_episodes()
    return time.perf_counter() - wall, time.thread_time() - cpu


def measure(config: SimConfig, thread_counts: list[int], repeats: int) -> list[tuple[float, float]]:
    """Median agent-steps per second of wall time and of CPU time, for each number of threads.

    They take turns, so that a noisy minute of the machine falls on all of them.
    """
    envs = []
    for threads in thread_counts:
        num_worlds = -(-STREAMS // config.num_agents)
        envs.append(VectorEnv(config, num_worlds=num_worlds, seed=SEED, threads=threads, desynchronise=True))
        envs[-1].reset()
    actions = draw_actions(envs[0].num_streams)
    for env in envs:
        run(env, actions, config.max_steps)
    times = [[run(env, actions, STEPS_PER_REPEAT) for env in envs] for _ in range(repeats)]
    agent_steps = STEPS_PER_REPEAT * envs[0].num_streams
    rates = []
    for own in zip(*times, strict=True):
        wall, cpu = (
            statistics.median(agent_steps / seconds for seconds in column) for column in zip(*own, strict=True)
        )
        rates.append((wall, cpu))
    return rates


def reset_share(config: SimConfig, cpu_rate: float, repeats: int) -> float:
    """Share of an episode's CPU time that goes into its end: record, new map, new world, first observations."""
    ending = config.model_copy(update={"max_steps": 1})
    env = VectorEnv(ending, num_worlds=-(-STREAMS // config.num_agents), seed=SEED)
    env.reset()
    actions = draw_actions(env.num_streams)
    run(env, actions, 10)
    steps = 50
    per_world = statistics.median(run(env, actions, steps)[1] for _ in range(repeats)) / (steps * env.num_worlds)
    per_step = config.num_agents / cpu_rate
    end = max(per_world - per_step, 0.0)
    return end / (config.max_steps * per_step)


def copy_rate(config: SimConfig, repeats: int) -> float:
    """Observations per second that one thread copies, in arrays as large as those of `measure`."""
    num_streams = -(-STREAMS // config.num_agents) * config.num_agents
    source = np.full((num_streams, config.num_observation_tokens, 3), 255, np.uint8)
    target = source.copy()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        for _ in range(DRAWN_STEPS):
            np.copyto(target, source)
        times.append(time.perf_counter() - started)
    return DRAWN_STEPS * num_streams / statistics.median(times)


def main() -> None:
    """Measure, print the table, and print the line of JSON."""
    parser = Parser("bench_sim.py", "Agent-steps per second of the simulator, levels 1 to 5.")
    parser.add_argument("--levels", type=some_of(map(str, NUMBERED)), default="1,2,3,4,5", help="comma-separated")
    parser.add_argument(
        "--threads",
        type=lambda text: [int(at_least(1)(part)) for part in text.split(",")],
        default="1,2",
        help="comma-separated",
    )
    parser.add_argument("--repeats", type=at_least(1), default=9, help="measurements per figure, the median counts")
    arguments = parser.parse_args()

    table = Table(
        "level", "threads", "million agent-steps/s", "per CPU second", "share of episode ends", "million copies/s"
    )
    results = []
    for level in map(int, arguments.levels):
        config = NUMBERED[level].make_env()
        rates = measure(config, arguments.threads, arguments.repeats)
        for threads, (wall_rate, cpu_rate) in zip(arguments.threads, rates, strict=True):
            share = reset_share(config, cpu_rate, arguments.repeats) if threads == 1 else None
            results.append({"level": level, "threads": threads, "agent_steps_per_second": round(wall_rate)})
            if share is None:
                table.add_row(str(level), str(threads), f"{wall_rate / 1e6:.2f}", "", "", "")
            else:
                copies = copy_rate(config, arguments.repeats)
                results[-1] |= {"agent_steps_per_cpu_second": round(cpu_rate), "episode_end_share": round(share, 5)}
                results[-1] |= {"copies_per_second": round(copies)}
                cells = f"{wall_rate / 1e6:.2f}", f"{cpu_rate / 1e6:.2f}", f"{share:.2%}", f"{copies / 1e6:.1f}"
                table.add_row(str(level), str(threads), *cells)
    Console().print(table)
    print(json.dumps({"benchmark": "sim", "results": results}))


if __name__ == "__main__":
    sys.exit(report_errors(main))
