"""What policies do: flow of resources, combat."""

from metta.analysis import charts
from metta.analysis.findings import Findings
from metta.analysis.findings.behaviour import COMBAT, RESOURCES
from metta.analysis.sections.blocks import Block, Figure, file_part, paragraph
from metta.analysis.table import Table

BEHAVIOUR_WORDS = {
    "gained_ore_red": "ore",
    "gained_battery_red": "batteries",
    "lost_battery_red": "spent batt.",
    "gained_heart": "hearts",
    "gained_laser": "lasers",
    "gained_armor": "armor",
    "failed_actions": "failed act.",
    "moves": "moves",
    "attacks_tried": "attacks",
    "attacks_hit": "hits",
    "attacks_blocked": "blocked",
    "items_stolen": "stolen",
    "items_lost_to_theft": "lost",
    "steps_frozen": "frozen",
}


def behaviour(found: Findings) -> list[Block]:
    """Counts per agent and episode, for every evaluation environment."""
    blocks: list[Block] = []
    for (level, environment), by_name in found.behaviour.items():
        for kind, counters in (("resources", RESOURCES), ("combat", COMBAT)):
            present = [c for c in counters if any(c in own for own in by_name.values())]
            if kind == "combat" and not any(own.get(c) for own in by_name.values() for c in COMBAT[1:]):
                continue
            words = [BEHAVIOUR_WORDS[counter] for counter in present]
            values = {(name, BEHAVIOUR_WORDS[c]): own[c] for name, own in by_name.items() for c in present if c in own}
            scale = {word: (0.0, max([v for (_, w), v in values.items() if w == word], default=1.0)) for word in words}
            name = f"behaviour_{file_part(level)}_{file_part(environment)}_{kind}"
            rows = [row for row in found.compared if row in by_name] + [n for n in by_name if n not in found.compared]
            blocks.append(
                Figure(
                    name,
                    f"{level}, {environment}: {'flow of resources' if kind == 'resources' else 'combat'}",
                    charts.heat_map(
                        f"Behaviour on {level} {environment}",
                        "Rows are architectures, columns are counts per agent and episode; darker is more.",
                        rows,
                        words,
                        values,
                        scale,
                    ),
                    "Counts per agent and episode, mean over seeds; each column has its own scale. "
                    + (
                        "Follow the chain from ore to batteries to hearts: the column where a row fades is the link "
                        "that the architecture has not learned."
                        if kind == "resources"
                        else "Attacks without hits are wasted steps; frozen is the number of steps lost to others' "
                        "hits."
                    ),
                    Table(
                        name,
                        f"Behaviour on {level} {environment}, per agent and episode",
                        ["architecture", *present],
                        [[row, *(by_name[row].get(counter) for counter in present)] for row in rows],
                    ),
                )
            )
    return blocks or [paragraph("No run folder with an evaluation.json was found.")]
