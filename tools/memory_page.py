"""Fills the tables of docs/memory.md: `uv run python -m tools.memory_page`.

The tables are made from docs/memory.json. `--ladder`, `--probes`, `--crossplay`, `--imitation` and `--benchmark` take
over what those commands wrote, each in the place of what was there; `--check` only says whether the page fits the file
(exit status 2 if not).
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from metta.analysis.intervals import interval_text
from metta.analysis.results import read_results
from metta.analysis.summary import aligned_table
from metta.base.addresses import PLAYERS, local_path
from metta.base.endings import command
from metta.base.errors import InputError
from metta.base.files import read_json, write_json
from metta.base.flags import Parser
from metta.base.markers import between_markers, read_between
from metta.base.provenance import REPOSITORY
from metta.probes.crossplay import best_first, standings_table
from metta.probes.imitation import imitation_rows
from metta.probes.memory import state_text

PAGE = REPOSITORY / "docs" / "memory.md"
RESULTS = REPOSITORY / "docs" / "memory.json"
NOTHING = "No results yet."


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m tools.memory_page", description="Fill the tables of docs/memory.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is out of date")
    parser.add_argument(
        "--ladder", nargs="+", type=local_path, metavar="FILE", help="benchmark_results.json of rungs of the ladder"
    )
    parser.add_argument("--probes", nargs="+", type=local_path, metavar="FILE", help="files of the verb probe")
    parser.add_argument("--crossplay", type=local_path, metavar="FILE", help="file of crossplay.py")
    parser.add_argument("--imitation", nargs="+", type=local_path, metavar="FILE", help="files of imitation.py")
    parser.add_argument(
        "--benchmark", type=local_path, metavar="FILE", help="benchmark_results.json to compare orders with"
    )
    return parser


@command
def main(words: list[str]) -> int:
    """Take over results and write the page, or compare it; returns the exit status."""
    given = _parser().parse_args(words)
    results = read_json(RESULTS) if RESULTS.exists() else {}
    if given.ladder:
        results["ladder"] = [_ladder_summary(file) for file in given.ladder]
    if given.probes:
        results["probes"] = [_probe_summary(read_json(file)) for file in given.probes]
    if given.crossplay:
        results["crossplay"] = _crossplay_summary(read_json(given.crossplay), given.crossplay)
    if given.imitation:
        results["imitation"] = _imitation_summary([read_json(file) for file in given.imitation])
    if given.benchmark:
        results["benchmark"] = _benchmark_summary(given.benchmark)
    tables = {name: "\n".join(table(results) if results.get(name) else [NOTHING]) for name, table in TABLES.items()}
    if given.check:
        if any(read_between(PAGE, name) != table for name, table in tables.items()):
            raise InputError(f"{PAGE} is out of date; run `python3 tasks.py docs`.")
        return 0
    if results:
        write_json(RESULTS, results)
    for name, table in tables.items():
        between_markers(PAGE, name, table)
    print(f"Written: {PAGE}")
    return 0


def _ladder_summary(file: Path) -> dict[str, Any]:
    """What the page keeps of a benchmark on rungs: hearts of every seed, and of the reference players."""
    results = read_results(file)
    merged = results.provenance.get("merged", {str(file): results.provenance})
    hearts: dict[str, dict[str, list[float]]] = {}
    for run in results.runs:
        for result in run.evaluation.results.values():
            own = hearts.setdefault(run.training.level, {})
            own.setdefault(run.training.architecture, []).append(result.hearts_per_agent)
    return {
        "max_timesteps": results.max_timesteps,
        "settings": [*dict.fromkeys(word for word in shlex.split(results.command) if word.startswith("trainer."))],
        "hearts": hearts,
        "players": {
            level: {name: result.hearts_per_agent for name, played in players.items() for result in played.values()}
            for level, players in results.references.items()
        },
        "commits": [own.get("code", {}).get("commit") for own in merged.values()],
    }


def _ladder_table(results: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for found in results["ladder"]:
        levels = list(found["hearts"])
        rows = []
        for name in dict.fromkeys(name for own in found["hearts"].values() for name in own):
            of_levels = [found["hearts"][level].get(name, []) for level in levels]
            rows.append([name, *map(_seeds_text, of_levels)])
        rows.sort(key=lambda row: -float(row[1].split()[0].replace("-", "0")))
        for player in PLAYERS:
            own = [found["players"].get(level, {}).get(player) for level in levels]
            rows.append([f"*{player}*", *("-" if value is None else f"{value:.2f}" for value in own)])
        settings = "".join(f", {word}" for word in found["settings"])
        about = f"{found['max_timesteps']:,} agent-steps{settings}, mean over seeds and each of them"
        lines += [*([""] if lines else []), f"{about} ({_commits(found['commits'])}).", ""]
        lines += aligned_table(["hearts per agent", *levels], rows)
    return lines


def _seeds_text(values: Sequence[float]) -> str:
    """Seeds one by one: they either found the use of the cue or did not, which an interval would hide."""
    return f"{sum(values) / len(values):.2f} ({', '.join(f'{value:.1f}' for value in values)})" if values else "-"


def _probe_summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the page keeps of a probe, without the places of files."""
    names = ("run", "architecture", "timesteps", "level", "environment", "value_of_memory", "memory_horizon")
    return {
        **{name: record[name] for name in (*names, "emptied_minus_exchanged")},
        "episodes": record["evaluation"]["worlds"],
        "hearts_per_agent": record["interventions"][0]["hearts_per_agent"],
        "kept": {state_text(entry["state"], entry["steps"]): entry["kept"] for entry in record["interventions"]},
        "commit": record["provenance"]["code"]["commit"],
    }


def _probes_table(results: Mapping[str, Any]) -> list[str]:
    head = ["architecture", "run", "steps", "hearts", "value of memory", "horizon", "exchanged", "delayed by 1"]
    rows = [
        [
            probe["architecture"],
            probe["run"],
            f"{probe['timesteps']:,}",
            f"{probe['hearts_per_agent']:.2f}",
            _share(probe["value_of_memory"]),
            _horizon(probe["memory_horizon"]),
            _share(probe["kept"].get("exchanged")),
            _share(probe["kept"].get("delayed by 1")),
        ]
        for probe in results["probes"]
    ]
    first = results["probes"][0]
    about = (
        f"{first['level']} {first['environment']}, {first['episodes']} episodes, 95 % intervals over paired episodes"
    )
    return [f"{about} ({_commits(probe['commit'] for probe in results['probes'])}).", "", *aligned_table(head, rows)]


def _share(interval: Mapping[str, float | None] | None) -> str:
    return "-" if interval is None else interval_text(interval, "{:.0%}")


def _horizon(steps: Mapping[str, int | None] | None) -> str:
    if steps is None:
        return "-"
    named = ["more" if steps[end] is None else str(steps[end]) for end in ("steps", "low", "high")]
    return f"{named[0]} [{named[1]}, {named[2]}]"


def _crossplay_summary(record: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """What the page keeps of crossplay. Raises `InputError` while games are missing."""
    if record["standings"] is None:
        raise InputError(f"{file}: games are missing; repeat the command that wrote it.")
    settings = record["settings"]
    return {
        "level": settings["level"],
        "environment": settings["environment"],
        "seed": settings["evaluation"]["seed"],
        **record["standings"],
        "commit": record["provenance"]["code"]["commit"],
    }


def _crossplay_table(results: Mapping[str, Any]) -> list[str]:
    found = results["crossplay"]
    order = best_first(found)
    players = [found["players"][place] for place in order]
    matrix = [
        [str(rank), players[rank - 1]["name"], *(f"{found['hearts'][place][other]:.1f}" for other in order)]
        for rank, place in enumerate(order, 1)
    ]
    ratings = [player["rating"] for player in players if player["name"] not in PLAYERS]
    pairs = list(combinations(ratings, 2))
    apart = sum(one["low"] > other["high"] or other["low"] > one["high"] for one, other in pairs)
    about = f"{found['level']} {found['environment']}, {found['worlds']} worlds of seed {found['seed']}"
    return [
        f"{about} ({_commits([found['commit']])}).",
        "",
        *standings_table(found),
        "",
        f"Ratings of {apart} of {len(pairs)} pairs have intervals apart (reference players left out).",
        "",
        "Hearts of the row's agents among those of the column's:",
        "",
        *aligned_table(["", "player", *(str(rank) for rank in range(1, len(order) + 1))], matrix),
    ]


def _imitation_summary(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the page keeps of imitation. Raises `InputError` if the records are not of one kind."""
    kinds = {(record["level"], record["environment"], record["result"]["samples"]) for record in records}
    if len(kinds) != 1:
        raise InputError("--imitation: the records are of several levels, environments or numbers of samples.")
    ((level, environment, samples),) = kinds
    return {
        "level": level,
        "environment": environment,
        "samples": samples,
        "rows": imitation_rows(records),
        "commits": sorted({str(record["provenance"]["code"]["commit"]) for record in records}),
    }


def _imitation_table(results: Mapping[str, Any]) -> list[str]:
    from scipy.stats import spearmanr

    found, benchmark = results["imitation"], results.get("benchmark", {})
    ppo = benchmark.get("hearts", {}).get(found["level"], {}).get(found["environment"], {})
    rows = [
        [
            row["architecture"],
            str(row["seeds"]),
            interval_text(row["hearts_per_agent"], "{:.2f}"),
            interval_text(row["own_states"], "{:.3f}"),
            interval_text(row["teacher_states"], "{:.3f}"),
            f"{row['agreement']['mean']:.0%}",
            f"{ppo[row['architecture']]:.2f}" if row["architecture"] in ppo else "-",
        ]
        for row in found["rows"]
    ]
    head = ["architecture", "seeds", "hearts", "nats, own states", "nats, teacher's", "agreement", "hearts with PPO"]
    about = f"{found['level']} {found['environment']}, {found['samples']:,} samples, 95 % intervals over seeds"
    lines = [
        f"{about} ({_commits(found['commits'])}).",
        "",
        *aligned_table(head, rows),
    ]
    both = [row for row in found["rows"] if row["architecture"] in ppo]
    if both:
        with_ppo = [ppo[row["architecture"]] for row in both]
        for name, measure, sign in (("hearts", "hearts_per_agent", 1), ("nats of own states", "own_states", -1)):
            values = [sign * row[measure]["mean"] for row in both]
            if len(set(values)) > 1 and len(set(with_ppo)) > 1:
                found_rank = spearmanr(values, with_ppo).statistic
                lines += [
                    "",
                    f"Rank correlation of {name} with PPO's hearts: {found_rank:+.2f} ({len(both)} architectures).",
                ]
    return lines


def _benchmark_summary(file: Path) -> dict[str, Any]:
    """Mean hearts of the seeds: level -> environment -> architecture."""
    results = read_results(file)
    hearts: dict[str, dict[str, dict[str, list[float]]]] = {}
    for run in results.runs:
        for environment, result in run.evaluation.results.items():
            own = hearts.setdefault(run.training.level, {}).setdefault(environment, {})
            own.setdefault(run.training.architecture, []).append(result.hearts_per_agent)
    return {
        "max_timesteps": results.max_timesteps,
        "hearts": {
            level: {
                environment: {name: sum(values) / len(values) for name, values in own.items()}
                for environment, own in environments.items()
            }
            for level, environments in hearts.items()
        },
    }


def _commits(commits: Iterable[str | None]) -> str:
    """At which commits results were made."""
    return "at " + ", ".join(sorted({"an unknown commit" if name is None else name[:7] for name in commits}))


TABLES: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "ladder": _ladder_table,
    "probes": _probes_table,
    "crossplay": _crossplay_table,
    "imitation": _imitation_table,
}
"""Name of a table's place on the page, and of its results in the file -> its lines."""

if __name__ == "__main__":
    sys.exit(main())
