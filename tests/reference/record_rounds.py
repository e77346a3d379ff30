"""Records the cases of tests/data/rounds: `uv run python -m tests.reference.record_rounds`.

Episodes of the twin with rounds, in the format of docs/simulator.md and as seed 0 draws their answers. Each agent has a
room of its own, so that the order of actions decides nothing. To be run again only if the rule is meant to change.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.reference.arena_twin import ArenaTwin
from tests.reference.cases import FLAVOURS, arena_case, random_actions
from tests.sim.lockstep import answers

FOLDER = Path(__file__).parent.parent / "data" / "rounds"
ROWS = ["##########", "#@m#.m.#_#", "#._#@_@#@#", "##########"]


def cases() -> dict[str, tuple[dict[str, Any], int]]:
    """Name -> configuration and steps."""
    heart = arena_case(ROWS)
    heart["objects"]["altar"] |= {"input_resources": {}, "max_conversions": 0}
    crowded = arena_case(ROWS, agent__action_failure_penalty=0.1, num_observation_tokens=9)
    crowded["objects"]["mine_red"] |= {"output_resources": {"ore_red": 3, "laser": 1}}
    return {
        "altar_wait_3": (heart | {"rounds": {"oracle": "altar", "wait": 3}, "max_steps": 80}, 80),
        "mine_wait_1": (
            crowded | {"rounds": {"oracle": "mine_red", "wait": 1}, "episode_truncates": True, "max_steps": 90},
            90,
        ),
    }


def record(case: dict[str, Any], steps: int) -> dict[str, np.ndarray]:
    """The arrays of a case."""
    twin = ArenaTwin(case, answers=answers(0, 0, 0))
    count = len(twin.agents)
    actions = random_actions(np.random.default_rng(steps), FLAVOURS[0], steps, count)
    actions[actions > 6] %= 7  # no attacks, which reach through walls
    told: dict[str, list[np.ndarray]] = {
        "observations": [twin.observations()],
        "inventory": [twin.inventory()],
        "agent_state": [twin.agent_state()],
    }
    outcome: dict[str, list[np.ndarray]] = {
        name: [] for name in ("rewards", "terminals", "truncations", "action_success")
    }
    for row in actions:
        step = twin.step(row.tolist(), range(count))
        told["observations"].append(step.observations)
        told["inventory"].append(twin.inventory())
        told["agent_state"].append(twin.agent_state())
        for name, values in outcome.items():
            values.append(getattr(step, name))
    config = json.dumps(case | {"final_converters": twin.final_converters()})
    arrays = {name: np.stack(values) for name, values in (told | outcome).items()}
    return arrays | {"config": np.array(config), "actions": actions, "final_inventory": twin.inventory()}


def main() -> None:
    """Write all cases."""
    FOLDER.mkdir(exist_ok=True)
    for name, (case, steps) in cases().items():
        np.savez_compressed(FOLDER / f"{name}.npz", **record(case, steps))


if __name__ == "__main__":
    main()
