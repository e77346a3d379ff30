"""Writes docs/levels.md: `uv run python -m tools.levels_page [--measure]`.

The page shows the numbers of every level, the physical limit of its environments, the scores of the reference players
on the held-out episodes, and what each level tests. Scores are read from docs/levels.json; `--measure` plays them anew
and writes that file (minutes), `--check` only says whether page and scores fit the levels (exit status 2 if not).
"""

import hashlib
import sys
from collections.abc import Sequence
from typing import Any

from experiments.recipes.benchmark_architectures.level import Level
from experiments.recipes.benchmark_architectures.levels import LEVELS
from metta.analysis.summary import aligned_table
from metta.base.addresses import PLAYERS, RANDOM, SCRIPTED
from metta.base.endings import report_errors
from metta.base.errors import InputError
from metta.base.files import read_json, write_atomically, write_json
from metta.base.flags import Parser
from metta.base.provenance import REPOSITORY
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.sim.config import RoomConfig, SimConfig

COMMAND = "uv run python -m tools.levels_page"
PAGE = REPOSITORY / "docs" / "levels.md"
SCORES = REPOSITORY / "docs" / "levels.json"

HEAD = f"""# The levels

Written by `{COMMAND}` from the code; scores measured with `--measure`."""
NUMBERS = """## Numbers

A level is a square room with a wall around it, filled at random. Combat is off where an attack costs 100 lasers: an
agent holds at most 50. A heart always pays 1, capped at 100."""
CONTENTS = "## Contents of a room"
LIMITS = """## Limits and scores

Hearts per agent in an episode of 1000 steps. The limit is what the machines of the room can yield, whatever anybody
does (derivation: `metta/sim/limits.py`). The players met the held-out episodes of every evaluation: mean and standard
deviation over the episodes. `random` draws every action alike; `blind` has the best fixed action probabilities
(`metta/sim/scripted/blind.py`); `reflex` remembers nothing and sees its own window (`metta/sim/scripted/reflex.py`);
`scripted` sees the whole map. What is above `blind` has learned to look; memory counts only where a player that has
one is clearly above `reflex`."""


def environment_hash(sim: SimConfig, evaluation: EvaluationConfig) -> str:
    """16 hexadecimal digits: scores with another hash are of another environment or of other episodes."""
    text = sim.model_dump_json() + evaluation.model_dump_json()
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def measure(levels: Sequence[Level], evaluation: EvaluationConfig, system: SystemConfig) -> dict[str, Any]:
    """Per level, evaluation environment and reference player: hearts per agent, and what they were measured on."""
    from metta.rl.evaluate import evaluate

    scores: dict[str, Any] = {}
    for level in levels:
        environments = level.make_evals()
        results = {player: evaluate(player, environments, evaluation, system) for player in PLAYERS}
        scores[level.name] = {
            name: {
                "environment_hash": environment_hash(sim, evaluation),
                "worlds_hash": results[RANDOM][name]["worlds_hash"],
                **{
                    player: {
                        "hearts_per_agent": results[player][name]["hearts_per_agent"],
                        "standard_deviation": results[player][name]["spread"]["hearts_per_agent"]["standard_deviation"],
                        "episodes": results[player][name]["episodes"],
                    }
                    for player in PLAYERS
                },
            }
            for name, sim in environments.items()
        }
    return scores


def check_scores(levels: Sequence[Level], scores: dict[str, Any]) -> None:
    """Raises InputError if a level has no scores or they were measured on another environment."""
    for level in levels:
        for name, sim in level.make_evals().items():
            entry = scores.get(level.name, {}).get(name, {})
            if entry.get("environment_hash") != environment_hash(sim, EvaluationConfig()):
                raise InputError(
                    f"{SCORES} has no scores of {level.name} {name} as it is now; run `{COMMAND} --measure`."
                )


def page(levels: Sequence[Level], scores: dict[str, Any]) -> str:
    """The page as Markdown. Raises InputError as `check_scores`."""
    check_scores(levels, scores)
    purposes = "\n".join(f"- **{level.name}** {_sentence(level)}" for level in levels)
    parts = [HEAD, purposes, NUMBERS, _numbers(levels), CONTENTS, _contents(levels), LIMITS, _scores(levels, scores)]
    return "\n\n".join(parts) + "\n"


def _sentence(level: Level) -> str:
    drawn = (
        "" if level.curriculum.sampler == "off" else " Training episodes are drawn by a curriculum (docs/training.md)."
    )
    return level.purpose + drawn


def _numbers(levels: Sequence[Level]) -> str:
    items = ("ore", "battery", "laser", "armor", "blueprint")

    def table_of(values: dict[str, float]) -> str:
        return " ".join(f"{values[item]:g}" for item in items) if values else "-"

    head = ["level", "room", "agents", "batteries per heart", "initial count", "lasers per attack", "rewards", "caps"]
    rows = [
        [
            level.name,
            f"{level.size} x {level.size}",
            str(level.num_agents),
            str(level.altar_ratio),
            str(level.initial_count),
            str(level.laser_cost),
            table_of(level.rewards),
            table_of(level.caps),
        ]
        for level in levels
    ]
    note = f"Rewards and caps per item, in reward units: {', '.join(items)}."
    return note + "\n\n" + "\n".join(aligned_table(head, rows))


def _contents(levels: Sequence[Level]) -> str:
    worlds = {level.name: level.make_env().world for level in levels}
    names = list(
        dict.fromkeys(name for world in worlds.values() if isinstance(world, RoomConfig) for name in world.objects)
    )
    rows = [
        [level, *(str(world.objects.get(name, 0)) for name in names)]
        for level, world in worlds.items()
        if isinstance(world, RoomConfig)
    ]
    return "\n".join(aligned_table(["level", *names], rows))


def _scores(levels: Sequence[Level], scores: dict[str, Any]) -> str:
    from metta.sim.limits import arena_limit

    rows = []
    for level in levels:
        for name, sim in level.make_evals().items():
            limit, entry = arena_limit(sim), scores[level.name][name]
            most = limit.hearts / level.num_agents
            shown = [
                f"{entry[player]['hearts_per_agent']:.2f} ± {entry[player]['standard_deviation']:.2f}"
                for player in PLAYERS
            ]
            share = f"{100 * entry[SCRIPTED]['hearts_per_agent'] / most:.1f} %"
            episodes = str(entry[SCRIPTED]["episodes"])
            rows.append([level.name, name, f"{most:.2f}", limit.bottleneck, *shown, share, episodes])
    head = ["level", "environment", "limit", "bounded by", *PLAYERS, f"{SCRIPTED} / limit", "episodes"]
    return "\n".join(aligned_table(head, rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, compare or write; returns the exit status."""
    parser = Parser("python -m tools.levels_page", str(__doc__))
    parser.add_argument("--measure", action="store_true", help="play the reference players' episodes anew (minutes)")
    parser.add_argument("--check", action="store_true", help="only compare")
    given = parser.parse_args(arguments)
    levels = list(LEVELS.values())
    if given.measure:
        write_json(SCORES, measure(levels, EvaluationConfig(), SystemConfig(device="cpu")))
    text = page(levels, read_json(SCORES) if SCORES.exists() else {})
    if given.check:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            raise InputError(f"{PAGE} is out of date; run `{COMMAND}`.")
        return 0
    write_atomically(PAGE, text)
    print(f"Written: {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(report_errors(main))
