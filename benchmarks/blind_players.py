"""What players that see nothing earn: fixed action probabilities, hearts and reward per agent on level 1.

    uv run python benchmarks/blind_players.py [--worlds 40]

How often a player puts decides its hearts, almost whatever else it does, while the reward for putting goes to whoever
takes what comes out. docs/log.md tells what follows for learning. The last line is JSON.
"""

import json
import sys
from pathlib import Path

from metta.base.endings import report_errors
from metta.base.flags import Parser

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

PUT, GET, ATTACK = (0.01, 0.02, 0.04, 0.08), (0.12, 0.25, 0.5), (0.1, 0.4)
SEED = 5


def main() -> None:
    """Play and print."""
    parser = Parser("blind_players.py", str(__doc__))
    parser.add_argument("--worlds", type=int, default=40, help="worlds per player, one full episode each")
    arguments = parser.parse_args()

    results = []
    for put in PUT:
        for get in GET:
            for attack in ATTACK:
                move = 1.0 - put - get - attack
                if move < 0.05:
                    continue
                hearts, reward = _play(put, get, attack, arguments.worlds)
                results.append({"put": put, "get": get, "attack": attack, "hearts": hearts, "reward": reward})
                print(
                    f"put {put:.2f}  get {get:.2f}  attack {attack:.1f}  move {move:.2f}: "
                    f"hearts per agent {hearts:.2f}, reward {reward:.2f}",
                    flush=True,
                )
    print(json.dumps({"benchmark": "blind_players", "results": results}))


def _play(put: float, get: float, attack: float, worlds: int) -> tuple[float, float]:
    """Hearts and reward per agent of a player with these probabilities; the rest of the time it moves."""
    import numpy as np

    from experiments.recipes.benchmark_architectures.level_1_basic import make_env
    from metta.sim.constants import FIRST_ATTACK, FIRST_MOVE, GET_ITEMS, HEART, LAST_MOVE, NUM_ACTIONS, PUT_ITEMS
    from metta.sim.vector_env import VectorEnv

    sim = make_env()
    probabilities = np.zeros(NUM_ACTIONS)
    probabilities[FIRST_MOVE : LAST_MOVE + 1] = (1.0 - put - get - attack) / (LAST_MOVE + 1 - FIRST_MOVE)
    probabilities[PUT_ITEMS], probabilities[GET_ITEMS] = put, get
    probabilities[FIRST_ATTACK:] = attack / (NUM_ACTIONS - FIRST_ATTACK)
    generator = np.random.default_rng(SEED)
    env = VectorEnv(sim, num_worlds=worlds, seed=SEED)
    env.reset()
    for _ in range(sim.max_steps):
        env.step(generator.choice(NUM_ACTIONS, size=env.num_streams, p=probabilities).astype(np.int32))
    episodes = env.drain_episodes()
    hearts = float(np.mean([episode.final_inventory[:, HEART].mean() for episode in episodes]))
    return hearts, float(np.mean([episode.returns.mean() for episode in episodes]))


if __name__ == "__main__":
    sys.exit(report_errors(main))
