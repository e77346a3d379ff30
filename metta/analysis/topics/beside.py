"""What other tools left beside the results: tuning, memory probes, play against each other, imitation.

Looked at are the folders of the results, and nothing above them, where files of other benchmarks may lie: give the
tools an --output there. A file that is damaged or of another kind is named and costs only its part.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas

from metta.analysis.blocks import Block, Cell, Column, Section, Table, Text
from metta.analysis.figures import Axis, Figure, Record, axis_of, dots, lines
from metta.analysis.gather import Gathered
from metta.analysis.intervals import Estimate, estimate
from metta.analysis.metrics import HEARTS, KEPT, RATING, SCORE
from metta.base.errors import InputError
from metta.base.files import file_part, read_json

Json = Mapping[str, Any]


def sections(benchmark: Gathered) -> list[Section]:
    """A section for each tool that has left something readable."""
    faults: list[str] = []
    found = [
        (
            "memory",
            "Memory",
            [*_each(_records(benchmark, "probe.*.json", "*/probe.*.json"), probes, benchmark, faults)],
        ),
        ("crossplay", "Against each other", _each(_files(benchmark, "crossplay*.json"), crossplay, benchmark, faults)),
        ("imitation", "Imitation", _each(_records(benchmark, "imitation/*.json"), imitation, benchmark, faults)),
        ("tuning", "Tuning", _each(_files(benchmark, "tuning.csv", "tuning/tuning.csv"), tuning, benchmark, faults)),
    ]
    made = [Section(name, title, blocks) for name, title, blocks in found if blocks]
    if faults:
        made.append(Section("unread", "Files beside the results that could not be read", [*map(Text, faults)]))
    return made


def _files(benchmark: Gathered, *patterns: str) -> list[list[Path]]:
    """Files of these kinds, each by itself."""
    homes = dict.fromkeys(source.parent.resolve() for source in benchmark.sources)
    return [[file] for home in homes for pattern in patterns for file in sorted(home.glob(pattern))]


def _records(benchmark: Gathered, *patterns: str) -> list[list[Path]]:
    """Files of these kinds, all together."""
    found = [file for (file,) in _files(benchmark, *patterns)]
    return [found] if found else []


def _each(
    groups: Sequence[Sequence[Path]],
    read: Callable[[Sequence[Path], Gathered], list[Block]],
    benchmark: Gathered,
    faults: list[str],
) -> list[Block]:
    """The blocks of every group of files that can be read."""
    blocks: list[Block] = []
    for files in groups:
        try:
            blocks += read(files, benchmark)
        except InputError as error:
            faults.append(str(error))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OSError) as error:
            names = ", ".join(file.name for file in files)
            faults.append(f"{names}: not understood ({type(error).__name__} {error}).")
    return blocks


def _interval(plain: Json | None) -> Estimate | None:
    return None if plain is None else Estimate(plain["mean"], plain["low"], plain["high"])


def _colours(benchmark: Gathered, names: Sequence[str]) -> list[str]:
    """Everybody with the colour that they have elsewhere, then others."""
    return list(dict.fromkeys([*benchmark.architectures, *names]))


def probes(files: Sequence[Path], benchmark: Gathered) -> list[Block]:
    """What a policy's memory is worth in hearts, and how many steps of it, by level."""
    records = [read_json(file) for file in files]
    blocks: list[Block] = []
    for place in dict.fromkeys((record["level"], record["environment"]) for record in records):
        own = [record for record in records if (record["level"], record["environment"]) == place]
        points: list[Record] = []
        rows: list[list[Cell]] = []
        for record in own:
            name = record["architecture"]
            for entry in record["interventions"]:
                share = _interval(entry["kept"])
                if entry["state"] == "emptied" and share:
                    ends = {"low": share.low, "high": share.high, "run": record["run"]}
                    points.append({"who": name, "x": entry["steps"], "y": share.mean, **ends})
            steps = record["memory_horizon"] or {}
            hearts = record["interventions"][0]["hearts_per_agent"]
            rows.append([name, record["run"], hearts, _interval(record["value_of_memory"]), steps.get("steps")])
        title = f"{place[0]}, {place[1]}: hearts kept when the memory is emptied"
        if points:
            x = axis_of(HEARTS._replace(name="steps between two emptyings"), [point["x"] for point in points], log=True)
            y = Axis(KEPT.title, domain=(0.0, max(1.0, *(point["y"] for point in points))))
            who = _colours(benchmark, [point["who"] for point in points])
            caption = (
                f"{KEPT.meaning} On the left the memory is emptied every step; an architecture that stays at 1 there "
                "does not use its memory."
            )
            blocks.append(
                Figure(f"memory_{file_part(place[0])}_{file_part(place[1])}", title, lines(who, points, x, y), caption)
            )
        blocks.append(
            Table(
                f"memory_{file_part(place[0])}_{file_part(place[1])}",
                f"{place[0]}, {place[1]}: value of memory (share of hearts lost without it), intervals over episodes",
                [
                    "architecture",
                    "run",
                    Column("hearts", HEARTS.digits),
                    Column("value of memory", 2),
                    "steps that keep 95 %",
                ],
                rows,
            )
        )
    return blocks


def crossplay(files: Sequence[Path], benchmark: Gathered) -> list[Block]:
    """Ratings, and hearts of the row among the column."""
    record = read_json(files[0])
    standings, settings = record["standings"], record["settings"]
    where = f"{settings['level']}, {settings['environment']}"
    name = file_part(files[0].stem)
    if standings is None:
        return [Text(f"{files[0].name}: games are missing; repeat the command that wrote it.")]
    players = standings["players"]
    order = sorted(range(len(players)), key=lambda place: -players[place]["rating"]["mean"])
    ratings = {players[place]["name"]: _interval(players[place]["rating"]) for place in order}
    known = {who: rating for who, rating in ratings.items() if rating}
    most = max(max(row) for row in standings["hearts"])
    return [
        Figure(
            name,
            f"{where}: ratings",
            dots(_colours(benchmark, list(known)), known, Axis("rating", zero=False), zero=True),
            f"{RATING.meaning} {standings['worlds']} worlds, mirrored seats; 95 % intervals over worlds.",
        ),
        Table(
            name,
            f"{where}: hearts of the row's agents among the column's; the diagonal: among themselves",
            ["player", *(Column(who, 1, (0.0, most)) for who in known)],
            [[players[one]["name"], *(standings["hearts"][one][other] for other in order)] for one in order],
        ),
    ]


def imitation(files: Sequence[Path], benchmark: Gathered) -> list[Block]:
    """What architectures got of the reflex player in one pass, by level and number of samples."""
    frame = pandas.DataFrame(
        [
            {
                "what": (record["level"], record["environment"], record["result"]["samples"]),
                "architecture": record["architecture"],
                "hearts": record["result"]["hearts_per_agent"],
                "own": record["result"]["own_states"]["cross_entropy"],
                "teacher": record["result"]["teacher_states"]["cross_entropy"],
                "agreement": record["result"]["teacher_states"]["agreement"],
            }
            for record in map(read_json, files)
        ]
    )
    blocks: list[Block] = []
    for (level, environment, samples), table in frame.groupby("what"):
        by_name = {str(who): own for who, own in table.groupby("architecture")}
        hearts = {name: estimate(own["hearts"].tolist(), 0.0) for name, own in by_name.items()}
        order = sorted(hearts, key=lambda name: -hearts[name].mean)
        name = f"imitation_{file_part(level)}_{file_part(environment)}_{samples}"
        title = f"{level}, {environment}: imitating the reflex player, one pass over {samples:,} samples"
        who = _colours(benchmark, order)
        players = {
            player: found[environment].hearts_per_agent
            for player, found in benchmark.references.get(level, {}).items()
            if environment in found
        }
        rows: list[list[Cell]] = [
            [
                who_,
                hearts[who_],
                *(estimate(by_name[who_][key].tolist(), 0.0) for key in ("own", "teacher")),
                estimate(by_name[who_]["agreement"].tolist(), 0.0, 1.0),
            ]
            for who_ in order
        ]
        blocks += [
            Figure(name, title, dots(who, {n: hearts[n] for n in order}, axis_of(HEARTS), players), HEARTS.meaning),
            Table(
                name, title, ["architecture", HEARTS, "nats, own states", "nats, reflex's states", "agreement"], rows
            ),
        ]
    return blocks


def tuning(files: Sequence[Path], benchmark: Gathered) -> list[Block]:
    """Score by the value of the setting that was tried; where several were, the trials in order."""
    table = pandas.read_csv(files[0])
    settings = list(table.columns[list(table.columns).index("error") + 1 :])
    varied = [name for name in settings if table[name].nunique() > 1]
    scored = table.dropna(subset=["score"])
    if scored.empty or not varied:
        return []
    level = ", ".join(sorted(scored["level"].unique()))
    name = f"tuning_{file_part(files[0].parent.name)}"
    title = f"{level}: trials of {', '.join(varied)}"
    if len(varied) == 1:
        key = varied[0]
        means = scored.groupby(["architecture", key])["score"].agg(["mean", "count"]).reset_index()
        points: list[Record] = [
            {"who": row.architecture, "x": float(value), "y": float(row.mean_), "runs": int(row.count_)}
            for row, value in zip(
                means.rename(columns={"mean": "mean_", "count": "count_"}).itertuples(), means[key], strict=True
            )
        ]
        values = [point["x"] for point in points]
        log = min(values) > 0 and max(values) / min(values) >= 3
        x = axis_of(SCORE._replace(name=key), values, log) if log else Axis(key, zero=False)
        who = _colours(benchmark, [point["who"] for point in points])
        y = axis_of(SCORE, [point["y"] for point in points if math.isfinite(point["y"])])
        return [
            Figure(
                name,
                title,
                lines(who, points, x, y),
                f"Means over runs of the tuning's own seeds and maps. {SCORE.meaning}",
            )
        ]
    ranked = scored.groupby(["trial", *varied])["score"].mean().reset_index().sort_values("score", ascending=False)
    rows: list[list[Cell]] = [[str(row[0]), row[-1], *row[1:-1]] for row in ranked.itertuples(index=False)]
    return [Table(name, title, ["trial", SCORE, *varied], rows)]
