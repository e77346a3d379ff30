"""What policies did besides earning their score."""

from collections.abc import Mapping

import numpy as np

from metta.analysis.gather import Gathered

RESOURCES = (
    *("gained_ore_red", "gained_battery_red", "lost_battery_red", "gained_heart", "gained_laser", "gained_armor"),
    *("failed_actions", "moves"),
)
COMBAT = ("attacks_tried", "attacks_hit", "attacks_blocked", "items_stolen", "items_lost_to_theft", "steps_frozen")


def behaviour_of(benchmark: Gathered) -> dict[tuple[str, str], dict[str, dict[str, float]]]:
    """(level, evaluation environment) -> architecture -> counter -> mean over seeds."""
    found: dict[tuple[str, str], dict[str, list[Mapping[str, float]]]] = {}
    for run in benchmark.evaluated:
        for environment, counters in run.files.evaluated.behaviour.items():
            by_name = found.setdefault((run.key.level, environment), {})
            by_name.setdefault(run.key.architecture, []).append(counters)
    return {
        where: {
            name: {
                counter: float(np.mean([counters[counter] for counters in own]))
                for counter in own[0]
                if all(counter in counters for counters in own)
            }
            for name in benchmark.architectures
            if (own := by_name.get(name))
        }
        for where, by_name in sorted(found.items())
    }
