"""Writes docs/levels.md: `uv run python -m tools.levels_page [--measure]`.

The page shows the numbers of every level, the physical limit of its environments, the scores of the reference players
on the held-out episodes, what each level tests, and the same of the memory ladder. Scores are read from
docs/levels.json; `--measure` plays them anew and writes that file (minutes), `--check` only says whether page and
scores fit the levels (exit status 2 if not).
"""

import hashlib
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experiments.recipes.benchmark_architectures.level import Level, Verbs
from experiments.recipes.benchmark_architectures.levels import LEVELS
from experiments.recipes.benchmark_architectures.rung import Rung
from experiments.recipes.benchmark_architectures.rungs import RUNGS
from metta.analysis.summary import aligned_table
from metta.base.addresses import PLAYERS, RANDOM, REFLEX, SCRIPTED
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

A level is a square room with a wall around it, filled at random. Where an attack costs 100 lasers, combat is off: an
agent holds at most 50. The table has the training environment; evaluation has an environment `basic` without combat
and, from level 3 on, another one, `combat`, in which an attack costs one laser. A heart always pays 1, up to 100
hearts."""
CONTENTS = "## Contents of a room"
LIMITS = """## Limits and scores

Hearts per agent in an episode of 1000 steps. The limit is the most that the machines of the room can yield, whatever
the agents do (derivation: `metta/sim/limits.py`). The reference players played the held-out episodes that every
evaluation uses; given are mean and standard deviation over episodes. `random` chooses all actions with the same
probability; `blind` has the best fixed action probabilities (`metta/sim/scripted/blind.py`); `reflex` remembers nothing
and sees its own window (`metta/sim/scripted/reflex.py`); `scripted` sees the whole map. A policy above `blind` has
learned to look; a score up to that of `reflex` can be reached without memory."""

LADDER = """## The memory ladder

On the five levels memory makes little difference. The memory ladder has three further levels, its rungs, on which
nothing else does. No benchmark includes them unless they are named (`--levels memory_1`). How to read their results,
and which rung was learned with which budget, is in [memory.md](memory.md)."""
RULES = """\
A rung is a room with altars and nothing else; a heart pays 1. Every agent plays rounds of its own. A round begins with
a cue, `put_items` or `get_items`, drawn by the toss of a coin and shown to this agent alone in a single observation
(feature 11 or 12 with value 1, at its own cell). During the wait that follows the agent is frozen: its actions are
lost, and whatever it tries shows as noop. After that, its first `put_items` or `get_items` in front of an altar ends
the round: the action that the cue named brings a heart, the other one nothing, and the next round begins in the same
step."""
HEADROOM = """\
While an agent waits, neither its place nor its inventory nor anything in sight can store the cue. So **a player without
memory is right in half of its rounds on average, whatever it does**. The limit is max_steps // (wait + 1) rounds, and
half of them without memory. `reflex` and `scripted` are different players here (`metta/sim/scripted/oracles.py`): both
see their own window, walk to the nearest altar and stay there; `reflex` always gives the same answer, `scripted` the
one that its last cue named.

Hearts per agent, mean with 95 % interval (Student's t) over the held-out worlds; headroom is how much more `scripted`
has than `reflex`, with the interval of a ratio of means over the same worlds."""


def environment_hash(sim: SimConfig, evaluation: EvaluationConfig) -> str:
    """16 hexadecimal digits: scores with another hash are of another environment or of other episodes."""
    text = sim.model_dump_json() + evaluation.model_dump_json()
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def measure(levels: Sequence[Level], evaluation: EvaluationConfig, system: SystemConfig) -> dict[str, Any]:
    """Per level, evaluation environment and reference player: hearts per agent, and what they were measured on."""

    def kept(result: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "hearts_per_agent": result["hearts_per_agent"],
            "standard_deviation": result["spread"]["hearts_per_agent"]["standard_deviation"],
            "episodes": result["episodes"],
        }

    return _played(levels, evaluation, system, kept)


def measure_rungs(rungs: Sequence[Rung], evaluation: EvaluationConfig, system: SystemConfig) -> dict[str, Any]:
    """Per rung, evaluation environment and reference player: hearts per agent of every episode."""

    def kept(result: Mapping[str, Any]) -> list[float]:
        return [statistics.fmean(episode["hearts"]) for episode in result["per_episode"]]

    return _played(rungs, evaluation, system, kept)


def _played(
    levels: Sequence[Verbs],
    evaluation: EvaluationConfig,
    system: SystemConfig,
    kept: Callable[[Mapping[str, Any]], Any],
) -> dict[str, Any]:
    """What is kept of every reference player in every environment, with the marks of what it met."""
    from metta.rl.evaluate import evaluate

    scores: dict[str, Any] = {}
    for level in levels:
        environments = level.make_evals()
        results = {player: evaluate(player, environments, evaluation, system) for player in PLAYERS}
        scores[level.name] = {
            name: {
                "environment_hash": environment_hash(sim, evaluation),
                "worlds_hash": results[RANDOM][name]["worlds_hash"],
                **{player: kept(results[player][name]) for player in PLAYERS},
            }
            for name, sim in environments.items()
        }
    return scores


def check_scores(levels: Sequence[Verbs], scores: dict[str, Any]) -> None:
    """Raises InputError if a level has no scores or they were measured on another environment."""
    for level in levels:
        for name, sim in level.make_evals().items():
            entry = scores.get(level.name, {}).get(name, {})
            if entry.get("environment_hash") != environment_hash(sim, EvaluationConfig()):
                raise InputError(
                    f"{SCORES} has no scores of {level.name} {name} as it is now; run `{COMMAND} --measure`."
                )


def page(levels: Sequence[Level], scores: dict[str, Any], rungs: Sequence[Rung] = ()) -> str:
    """The page as Markdown. Raises InputError as `check_scores`."""
    check_scores([*levels, *rungs], scores)
    purposes = "\n".join(f"- **{level.name}** {_sentence(level)}" for level in levels)
    parts = [HEAD, purposes, NUMBERS, _numbers(levels), CONTENTS, _contents(levels), LIMITS, _scores(levels, scores)]
    if rungs:
        named = "\n".join(f"- **{rung.name}** {rung.purpose}" for rung in rungs)
        parts += [LADDER, named, RULES, _rungs(rungs), HEADROOM, _headroom(rungs, scores)]
    return "\n\n".join(parts) + "\n"


def _rungs(rungs: Sequence[Rung]) -> str:
    rows = [[r.name, f"{r.size} x {r.size}", str(r.num_agents), str(r.altars), str(r.wait)] for r in rungs]
    return "\n".join(aligned_table(["rung", "room", "agents", "altars", "wait"], rows))


def _headroom(rungs: Sequence[Rung], scores: dict[str, Any]) -> str:
    from metta.analysis.intervals import estimate
    from metta.analysis.memory_value import kept

    rows = []
    for rung in rungs:
        for name, sim in rung.make_evals().items():
            entry = scores[rung.name][name]
            rounds = sim.max_steps // (rung.wait + 1)
            more = kept(entry[SCRIPTED], entry[REFLEX])
            assert more is not None
            headroom = "+{:.0f} % [+{:.0f}, +{:.0f}]".format(*(100 * (end - 1) for end in more[:3] if end is not None))
            shown = [estimate(entry[player]).text(2) for player in PLAYERS]
            rows.append([rung.name, str(rounds), f"{rounds / 2:g}", *shown, headroom, str(len(entry[REFLEX]))])
    return "\n".join(aligned_table(["rung", "limit", "without memory", *PLAYERS, "headroom", "worlds"], rows))


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
    levels, rungs = list(LEVELS.values()), list(RUNGS.values())
    if given.measure:
        evaluation, system = EvaluationConfig(), SystemConfig(device="cpu")
        write_json(SCORES, measure(levels, evaluation, system) | measure_rungs(rungs, evaluation, system))
    text = page(levels, read_json(SCORES) if SCORES.exists() else {}, rungs)
    if given.check:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            raise InputError(f"{PAGE} is out of date; run `{COMMAND}`.")
        return 0
    write_atomically(PAGE, text)
    print(f"Written: {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(report_errors(main))
