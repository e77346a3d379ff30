"""The reference players on every level's evaluation environments, against the arena's physical limit.

    uv run python benchmarks/players.py [--level level_1_basic] [--worlds 16]

Prints hearts per agent of every reference player in the held-out worlds of the evaluation, the limits of level and
maps (metta/sim/limits.py), and the shares of them that the scripted player reaches; the last line is the same as JSON.
"""

import json
import sys
import time

import numpy as np

from experiments.recipes.benchmark_architectures.levels import LEVELS
from metta.base.addresses import PLAYERS
from metta.base.endings import report_errors
from metta.base.flags import Parser, at_least
from metta.base.seeding import derive_seed
from metta.rl.config import EvaluationConfig
from metta.rl.players import REFERENCE_PLAYERS
from metta.rl.sampling import uniforms
from metta.sim.config import SimConfig
from metta.sim.constants import HEART
from metta.sim.episodes import EpisodeRecord
from metta.sim.limits import arena_limit, map_limit
from metta.sim.vector_env import VectorEnv


def main() -> None:
    """Parse, play, print."""
    parser = Parser("players.py", str(__doc__).splitlines()[0])
    parser.add_argument("--level", choices=LEVELS, help="one level instead of all")
    parser.add_argument(
        "--worlds", type=at_least(1), default=EvaluationConfig().worlds, help="held-out worlds, one episode each"
    )
    options = parser.parse_args()
    heads = (*PLAYERS, "limit", "share", "map limit", "share", "limited by", "seconds")
    print(f"{'level':<16}{'environment':<13}" + "".join(f"{head:>11}" for head in heads), flush=True)
    results = []
    for name in LEVELS if options.level is None else (options.level,):
        for environment, config in LEVELS[name].make_evals().items():
            result = {"level": name, "environment": environment, **measure(config, options.worlds)}
            print_row(result)
            results.append(result)
    print(json.dumps({"benchmark": "players", "worlds": options.worlds, "results": results}))


def measure(config: SimConfig, worlds: int) -> dict[str, float | str | list[int]]:
    """Hearts per agent of every player and of the limits, means over the held-out worlds."""
    agents = config.num_agents
    found: dict[str, float | str | list[int]] = {}
    for player in PLAYERS:
        start = time.perf_counter()
        records, legend = play(config, worlds, player)
        hearts = [hearts_of(record) for record in records]
        found[player] = float(np.mean(hearts)) / agents
        seconds = time.perf_counter() - start
    limit = arena_limit(config)
    maps = [map_limit(config, record.start_rows, legend).hearts for record in records]
    return {
        **found,
        "limit": limit.hearts / agents,
        "share_of_limit": float(np.mean(hearts)) / limit.hearts,
        "map_limit": float(np.mean(maps)) / agents,
        "share_of_map_limit": float(np.mean(hearts) / np.mean(maps)),
        "limited_by": limit.bottleneck,
        "scripted_seconds": seconds,
        "hearts_per_world": hearts,
        "map_limit_per_world": maps,
    }


def play(config: SimConfig, worlds: int, name: str) -> tuple[list[EpisodeRecord], dict[str, str]]:
    """The records of one episode in each held-out world, and the legend of their maps."""
    seed = EvaluationConfig().seed
    env = VectorEnv(config, num_worlds=worlds, seed=derive_seed(seed, "evaluation worlds"))
    env.reset()
    player = REFERENCE_PLAYERS[name](config)
    state = player.initial_state(worlds)
    for step in range(config.max_steps):
        actions, state = player.choose(env, 0, worlds, state, uniforms(seed, "players", step, (env.num_streams,)))
        env.step(actions)
    return sorted(env.drain_episodes(), key=lambda record: record.world), env.legend


def hearts_of(record: EpisodeRecord) -> int:
    """Hearts that all agents of a world hold at the end."""
    return int(record.final_inventory[:, HEART].sum())


def print_row(result: dict[str, float | str | list[int]]) -> None:
    """One line of the table; hearts per agent, shares in per cent."""
    print(
        f"{result['level']:<16}{result['environment']:<13}"
        + "".join(f"{result[player]:>11.2f}" for player in PLAYERS)
        + f"{result['limit']:>11.2f}{100 * float(str(result['share_of_limit'])):>10.1f}%{result['map_limit']:>11.2f}"
        f"{100 * float(str(result['share_of_map_limit'])):>10.1f}%{result['limited_by']:>11}"
        f"{result['scripted_seconds']:>11.1f}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(report_errors(main))
