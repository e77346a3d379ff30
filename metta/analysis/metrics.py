"""What is measured: every metric with its name, unit, range and meaning, declared once for all that shows it."""

import math
from typing import NamedTuple


class Metric(NamedTuple):
    """A quantity that is shown."""

    name: str
    """In tables and on axes."""
    unit: str = ""
    meaning: str = ""
    """One or two sentences."""
    digits: int = 3
    """After the point."""
    lowest: float = 0.0
    """What is possible."""

    @property
    def title(self) -> str:
        """Of an axis or a column."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


HEARTS = Metric("hearts per agent", "", "Hearts that an agent holds at the end of an episode on held-out maps.", 2)
SCORE = Metric(
    "score",
    "",
    "Hearts per agent on held-out maps, on the scale from the random player (0) to the scripted player (1); mean over "
    "a level's evaluation environments.",
    lowest=-math.inf,  # of no hearts at all; `Gathered.lowest` knows it for each level
)
REWARD = Metric("reward", "", "Shaped reward per agent and episode.", lowest=-math.inf)
STEPS = Metric("agent-steps", "", "Steps of single agents in training.", 0)
SECONDS = Metric(
    "training",
    "s",
    "Seconds of training, mean over runs; they compare only if all runs had a machine to themselves.",
    0,
)
LATENCY = Metric(
    "latency",
    "ms",
    "Time to one action for one agent alone (batch 1), one processor thread or the GPU: the median over steps and "
    "runs, without runs that had to share their processor. It compares only between equal machines.",
)
PARAMETERS = Metric("parameters", "", "Weights of the policy, heads included.", 0)
IMPROVEMENT = Metric(
    "probability of improvement",
    "",
    "How often a run of one scores more than a run of the other, on a level drawn at random (Agarwal et al. 2021).",
    2,
)
KEPT = Metric(
    "hearts kept", "share", "Hearts with a disturbed memory divided by hearts without, on the same episodes.", 2
)
RATING = Metric(
    "rating", "", "Bradley-Terry strength on the Elo scale: 400 points more are ten times the hearts.", 0, -math.inf
)

REWARD_CURVE, HEARTS_CURVE = "rollout/reward_per_step", "held_out/hearts_per_agent"
"""Names in `metrics.jsonl`."""
CURRICULUM = "curriculum/"
"""Prefix of the names of a curriculum's metrics."""
CURVES = {
    HEARTS_CURVE: HEARTS._replace(
        meaning="Each point is one full episode on a held-out map (more with trainer.curve_worlds), the same for all "
        "runs, played in training; the score after training is over more maps, so a curve need not end at it."
    ),
    REWARD_CURVE: Metric(
        "reward per agent-step",
        "",
        "Shaped reward differs from level to level. The first steps look better than they are, because all worlds "
        "start fresh and shaped rewards are earned early in an episode.",
        4,
        -math.inf,
    ),
}
CURRICULUM_CURVES = {
    "curriculum/success": Metric(
        "success of the known tasks",
        "share",
        "Hearts made in an episode, as a share of those that its task allows; hard and easy tasks count the same.",
    ),
    "curriculum/progress": Metric(
        "learning progress",
        "",
        "How far success has moved, up or down, on the tasks that are drawn: the distance of its fast and slow mean.",
    ),
}

COUNTERS = {
    "gained_ore_red": "ore",
    "gained_battery_red": "batteries",
    "lost_battery_red": "spent batteries",
    "gained_heart": "hearts",
    "gained_laser": "lasers",
    "gained_armor": "armor",
    "failed_actions": "failed actions",
    "moves": "moves",
    "attacks_tried": "attacks",
    "attacks_hit": "hits",
    "attacks_blocked": "blocked",
    "items_stolen": "stolen",
    "items_lost_to_theft": "lost to theft",
    "steps_frozen": "frozen steps",
}
"""What episodes count per agent: name in `evaluation.json` -> name in tables, in the order of the chain."""
