"""The two reference players on every level's evaluation environments, against the arena's physical limit.

    uv run python benchmarks/players.py [--level level_1_basic] [--worlds 16]

Prints hearts per agent of `random` and `scripted` in the held-out worlds of the evaluation, the limits of level and
maps (metta/sim/limits.py), and the shares of them that the scripted player reaches; the last line is the same as JSON.
"""

import importlib
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from metta.base.endings import report_errors
from metta.base.flags import Parser
from metta.base.seeding import derive_seed
from metta.rl.config import EvaluationConfig
from metta.sim.config import SimConfig
from metta.sim.constants import HEART, NUM_ACTIONS
from metta.sim.episodes import EpisodeRecord
from metta.sim.limits import arena_limit, map_limit
from metta.sim.scripted.player import ScriptedPlayer
from metta.sim.vector_env import VectorEnv

RECIPES = "experiments.recipes.benchmark_architectures"
LEVELS = ("level_1_basic", "level_2_easy", "level_3_medium", "level_4_hard", "level_5_expert")


def main() -> None:
    """Parse, play, print."""
    parser = Parser("players.py", str(__doc__).splitlines()[0])
    parser.add_argument("--level", choices=LEVELS, help="one level instead of all")
    parser.add_argument(
        "--worlds", type=int, default=EvaluationConfig().worlds, help="held-out worlds, one episode each"
    )
    options = parser.parse_args()
    heads = ("random", "scripted", "limit", "share", "map limit", "share", "limited by", "seconds")
    print(f"{'level':<16}{'environment':<13}" + "".join(f"{head:>11}" for head in heads), flush=True)
    results = []
    for name in LEVELS if options.level is None else (options.level,):
        for environment, config in importlib.import_module(f"{RECIPES}.{name}").make_evals().items():
            result = {"level": name, "environment": environment, **measure(config, options.worlds)}
            print_row(result)
            results.append(result)
    print(json.dumps({"benchmark": "players", "worlds": options.worlds, "results": results}))


def measure(config: SimConfig, worlds: int) -> dict[str, float | str | list[int]]:
    """Hearts per agent of both players and of the limits, means over the held-out worlds."""
    start = time.perf_counter()
    random, _ = play(config, worlds, scripted=False)
    middle = time.perf_counter()
    scripted, legend = play(config, worlds, scripted=True)
    seconds = time.perf_counter() - middle
    limit = arena_limit(config)
    maps = [map_limit(config, record.start_rows, legend).hearts for record in scripted]
    agents = config.num_agents
    hearts = [hearts_of(record) for record in scripted]
    return {
        "random": float(np.mean([hearts_of(record) for record in random])) / agents,
        "scripted": float(np.mean(hearts)) / agents,
        "limit": limit.hearts / agents,
        "share_of_limit": float(np.mean(hearts)) / limit.hearts,
        "map_limit": float(np.mean(maps)) / agents,
        "share_of_map_limit": float(np.mean(hearts) / np.mean(maps)),
        "limited_by": limit.bottleneck,
        "scripted_seconds": seconds,
        "random_seconds": middle - start,
        "hearts_per_world": hearts,
        "map_limit_per_world": maps,
    }


def play(config: SimConfig, worlds: int, scripted: bool) -> tuple[list[EpisodeRecord], dict[str, str]]:
    """The records of one episode in each held-out world, and the legend of their maps."""
    seed = EvaluationConfig().seed
    env = VectorEnv(config, num_worlds=worlds, seed=derive_seed(seed, "evaluation worlds"))
    env.reset()
    player = ScriptedPlayer(config)
    memory = player.initial_memory(worlds)
    generator = np.random.default_rng(derive_seed(seed, "random player"))
    actions: NDArray[np.int32]
    for _ in range(config.max_steps):
        if scripted:
            actions, memory = player.act(env, 0, worlds, memory)
        else:
            actions = generator.integers(0, NUM_ACTIONS, env.num_streams, dtype=np.int32)
        env.step(actions)
    return sorted(env.drain_episodes(), key=lambda record: record.world), env.legend


def hearts_of(record: EpisodeRecord) -> int:
    """Hearts that all agents of a world hold at the end."""
    return int(record.final_inventory[:, HEART].sum())


def print_row(result: dict[str, float | str | list[int]]) -> None:
    """One line of the table; hearts per agent, shares in per cent."""
    print(
        f"{result['level']:<16}{result['environment']:<13}{result['random']:>11.3f}{result['scripted']:>11.2f}"
        f"{result['limit']:>11.2f}{100 * float(str(result['share_of_limit'])):>10.1f}%{result['map_limit']:>11.2f}"
        f"{100 * float(str(result['share_of_map_limit'])):>10.1f}%{result['limited_by']:>11}"
        f"{result['scripted_seconds']:>11.1f}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(report_errors(main))
