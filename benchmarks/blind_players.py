"""The best blind player of each level: fixed probabilities of put_items and get_items, moves for the rest.

    uv run python benchmarks/blind_players.py [--level level_1_basic] [--worlds 48]

Searches a grid, then twice around the best with halved distances, on worlds that neither training nor evaluation meets
(`TUNING_SEED`); prints every player tried and at last what `FOUND` and `FOUND_FOR_WAITS` in metta/sim/scripted/blind.py
are to hold. Levels that differ in rewards alone are one. How often a player puts decides its hearts, almost whatever
else it does.
"""

import sys

import numpy as np

from experiments.recipes.benchmark_architectures.rungs import KNOWN_LEVELS
from metta.base.endings import report_errors
from metta.base.flags import Parser, at_least
from metta.base.seeding import derive_seed
from metta.sim.config import SimConfig
from metta.sim.constants import HEART, NUM_ACTIONS
from metta.sim.scripted.blind import spread_over_actions
from metta.sim.scripted.chain import make_chain
from metta.sim.vector_env import VectorEnv

LEVELS = ("level_1_basic", "level_2_easy", "level_3_medium", "level_4_hard", "memory_1", "memory_2", "memory_3")
PUT, GET = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32), (0.04, 0.08, 0.16, 0.32, 0.64)
TUNING_SEED = 5


def main() -> None:
    """Search and print."""
    parser = Parser("blind_players.py", str(__doc__))
    parser.add_argument("--level", choices=LEVELS, help="one level instead of all")
    parser.add_argument("--worlds", type=at_least(1), default=48, help="worlds per player, one full episode each")
    options = parser.parse_args()
    found, for_waits = {}, {}
    for level in LEVELS if options.level is None else (options.level,):
        sim = KNOWN_LEVELS[level].make_env()
        (put, get), hearts = search(level, sim, options.worlds)
        if sim.rounds is None:
            found[make_chain(sim).battery_per_heart, sim.num_agents] = (put, get)
        else:
            for_waits[sim.rounds.wait] = get
        print(f"{level}: best put {put}, get {get}: {hearts:.3f} hearts per agent", flush=True)
    print(f"FOUND = {found}\nFOUND_FOR_WAITS = {for_waits}")


def search(level: str, sim: SimConfig, worlds: int) -> tuple[tuple[float, float], float]:
    """The best probabilities of put_items and get_items, and their hearts per agent on the tuning worlds."""
    tried: dict[tuple[float, float], float] = {}

    def best(players: list[tuple[float, float]]) -> tuple[float, float]:
        for put, get in players:
            if (put, get) not in tried and put + get < 1:
                tried[put, get] = hearts_of(sim, put, get, worlds)
                print(f"{level}  put {put:.4f}  get {get:.3f}: {tried[put, get]:.3f}", flush=True)
        return max(tried, key=lambda player: tried[player])

    puts = PUT if sim.rounds is None else (0.0,)  # an oracle takes either: only how often it is answered counts
    put, get = best([(put, get) for put in puts for get in GET])
    for step in (2**0.5, 2**0.25):
        near = [(round(put * step**i, 4), round(get * step**j, 3)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        put, get = best(near)
    return (put, get), tried[put, get]


def hearts_of(sim: SimConfig, put: float, get: float, worlds: int) -> float:
    """Hearts per agent of a player with these probabilities."""
    generator = np.random.default_rng(derive_seed(TUNING_SEED, "blind player"))
    env = VectorEnv(sim, num_worlds=worlds, seed=derive_seed(TUNING_SEED, "tuning worlds"))
    env.reset()
    cumulative = np.cumsum(spread_over_actions(put, get))
    for _ in range(sim.max_steps):
        drawn = np.searchsorted(cumulative, generator.random(env.num_streams), side="right")
        env.step(np.minimum(drawn, NUM_ACTIONS - 1).astype(np.int32))
    return float(np.mean([episode.final_inventory[:, HEART].mean() for episode in env.drain_episodes()]))


if __name__ == "__main__":
    sys.exit(report_errors(main))
