"""The sections of the report: which sentences, figures and tables stand where, and what their captions say."""

import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from metta.analysis import charts
from metta.analysis.findings import COMBAT, RESOURCES, SHARES, Band, Cost, Findings, Step
from metta.analysis.gather import SCORE, Gathered
from metta.analysis.intervals import CONFIDENCE, Interval
from metta.analysis.markup import Child, Markup, element
from metta.analysis.replays import BEST, MEDIAN, Choice, Page, choices, page_of
from metta.analysis.run_files import CURVES
from metta.analysis.summary import interval_text, summary_rows
from metta.analysis.table import Cell, Link, Table, ends, shown
from metta.analysis.verdicts import POWER

AGGREGATE_ORDER = ("interquartile mean", "mean", "median", "optimality gap")


@dataclass(frozen=True)
class Figure:
    """A drawing, what to read from it, and its numbers."""

    name: str
    """Of its file."""
    title: str
    svg: Markup
    caption: str
    table: Table | None = None


Block = Markup | Figure | Table


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    id: str
    title: str
    blocks: Sequence[Block]


def title(benchmark: Gathered) -> str:
    """The page's heading."""
    return f"Architecture benchmark: {counted(len(benchmark.architectures), 'architecture')}"


def counted(number: int, thing: str) -> str:
    """`1 run`, `3 runs`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def status(benchmark: Gathered) -> str:
    """What was planned and how much of it is there."""
    planned = len(benchmark.runs) + len(benchmark.missing)
    steps = next(iter(benchmark.sources.values())).max_timesteps
    text = (
        f"{counted(len(benchmark.architectures), 'architecture')}, {counted(len(benchmark.levels), 'level')}, "
        f"{counted(len(benchmark.seeds), 'seed')}, {steps:,} agent-steps per run. "
        f"{len(benchmark.evaluated)} of {counted(planned, 'run')} evaluated"
    )
    left = [
        f"{len(group)} {word}"
        for group, word in (
            (benchmark.failed, "failed"),
            (benchmark.missing, "not started or not recorded yet"),
            (benchmark.waiting, "without an evaluation"),
        )
        if group
    ]
    return f"{text}; {', '.join(left)}." if left else f"{text}."


def paragraph(*children: Child, class_: str | None = None) -> Markup:
    """A paragraph."""
    return element("p", *children, class_=class_)


def all_sections(benchmark: Gathered, found: Findings, home: Path) -> list[Section]:
    """Every section in order; one that has nothing to show says why.

    Args:
        benchmark: gathered results.
        found: what was computed from them.
        home: folder of the page, from which links lead to replays.
    """
    numbers = {name: place for place, name in enumerate(benchmark.architectures)}
    return [
        Section("summary", "Summary", _summary(benchmark, found)),
        Section("levels", "Every level", _levels(benchmark, found)),
        Section("intervals", "How sure are the averages?", _intervals(found)),
        Section("pairs", "Pair by pair", _pairs(found)),
        Section("profiles", "Profiles and ranks", _profiles(found, numbers)),
        Section("learning", "Learning curves", _learning(benchmark, found, numbers)),
        Section("cost", "Score against cost", _cost(found, numbers)),
        Section("behaviour", "Behaviour", _behaviour(found)),
        Section("replays", "Watch them play", _replays(benchmark, home)),
        Section("ladder", "Up the ladder", _ladder(benchmark, found)),
        Section("curriculum", "Curriculum", _curriculum(found, numbers)),
        Section("gaps", "Failed and missing runs", _gaps(benchmark)),
        Section("provenance", "Settings and provenance", _provenance(benchmark)),
    ]


def measure_words(found: Findings) -> str:
    """What the numbers are, in a sentence."""
    if found.measure == SCORE:
        return (
            "Score: hearts per agent on held-out maps, on the scale from the random player (0) to the scripted player "
            "(1); mean over a level's evaluation environments."
        )
    return (
        "Numbers are hearts per agent on held-out maps: without results of both reference players there is no score. "
        "Averages over levels then weigh rich levels more."
    )


NOT_YET = "Nothing to compare yet: there is no level on which every architecture with results has one."


def _summary(benchmark: Gathered, found: Findings) -> list[Block]:
    blocks: list[Block] = [element("ul", [element("li", text) for text in verdict_sentences(benchmark, found)])]
    blocks.append(paragraph(measure_words(found)))
    if found.standings:
        blocks.append(standings_table(found))
    return blocks


def standings_table(found: Findings) -> Table:
    """Every architecture over all levels, best first."""
    return Table(
        "standings",
        f"Overall, {counted(len(found.compared_levels), 'level')}, best first",
        [
            *("architecture", "interquartile mean", "95 % from", "to", "mean", "mean rank"),
            *("runs", "training, s", "latency, ms", "parameters", "better than", "worse than"),
        ],
        [
            [
                row.architecture,
                *ends(row.aggregates["interquartile mean"]),
                row.aggregates["mean"].mean,
                row.mean_rank,
                row.runs,
                row.training_seconds,
                row.latency,
                row.parameters,
                _few(row.better_than, len(found.standings) - 1),
                _few(row.worse_than, len(found.standings) - 1),
            ]
            for row in found.standings
        ],
    )


FEW = 3
"""Names in a cell; more would make its row too high, and stand in the verdicts for every pair."""


def _few(names: Sequence[str], of: int) -> str:
    if len(names) > FEW:
        return f"{len(names)} of {of}"
    return ", ".join(names) or "-"


def verdict_sentences(benchmark: Gathered, found: Findings) -> list[str]:
    """What the benchmark says, one sentence each, most important first."""
    if not benchmark.evaluated:
        return ["No run has been evaluated yet."]
    if not found.standings:
        return [NOT_YET]
    leader = found.standings[0]
    best = leader.architecture
    sentences = [
        f"Highest interquartile mean over {counted(len(found.compared_levels), 'level')}: {best}, "
        f"{charts.text_of(leader.aggregates['interquartile mean'])}."
    ]
    if len(found.standings) > 1:
        unclear = [name for name in found.compared if name != best and name not in leader.better_than]
        unclear = [name for name in unclear if name not in leader.worse_than]
        if leader.better_than:
            sentences.append(f"{best} is better than {listed(leader.better_than)}.")
        if leader.worse_than:
            sentences.append(f"By the mean, {best} is worse than {listed(leader.worse_than)}.")
        if unclear:
            sentences.append(f"{best} is not distinguishable from {listed(unclear)} with these seeds.")
        sure = sum(verdict.better is not None for verdict in found.verdicts)
        sentences.append(
            f"Of {counted(len(found.verdicts), 'pair')}, {sure} can be told apart (Welch's t on the mean over levels; "
            f'by Holm\'s method the chance of even one false "better" is below {1 - CONFIDENCE:.0%}).'
        )
    sentences += _power_sentences(benchmark, found)
    left_out = [name for name in benchmark.architectures if name not in found.compared]
    if left_out:
        sentences.append(f"Without any result so far: {listed(left_out)}.")
    dropped = [level for level in benchmark.levels if level not in found.compared_levels]
    if dropped:
        sentences.append(
            f"Not in the overall comparison, because some architecture has no result there: {listed(dropped)}."
        )
    if benchmark.failed or benchmark.missing:
        sentences.append(
            f"{counted(len(benchmark.failed), 'run')} failed and {len(benchmark.missing)} missing; see the section on "
            "failed and missing runs."
        )
    return sentences


def _power_sentences(benchmark: Gathered, found: Findings) -> list[str]:
    seeds = len(benchmark.seeds)
    if seeds < 2:
        return ["With one seed nothing can be said about chance; two are the least, three or more are better."]
    if not found.smallest or len(found.standings) < 2:
        return []
    known = {count: value for count, value in found.smallest.items() if count <= seeds}
    count = max(known)
    text = (
        f"With {count} seeds, a true difference of {shown(known[count])} would have been shown {POWER:.0%} of the "
        "time; smaller ones may exist unseen."
    )
    more = [f"{shown(value)} with {n}" for n, value in found.smallest.items() if n > count]
    return [f"{text} More seeds would show {listed(more)}." if more else text]


def _levels(benchmark: Gathered, found: Findings) -> list[Block]:
    if not found.means:
        return [paragraph(NOT_YET)]
    values = {key: interval.mean for key, interval in found.means.items()}
    rows = best_first(benchmark, found)
    table = Table(
        "levels",
        f"{found.measure} by architecture and level: mean over seeds, Student's t interval, spread between seeds",
        ["architecture", "level", "seeds", "mean", "95 % from", "to", "standard deviation"],
        [
            [
                name,
                level,
                len(benchmark.of(name, level)),
                *ends(found.means[name, level]),
                found.deviations.get((name, level)),
            ]
            for level in benchmark.levels
            for name in rows
            if (name, level) in found.means
        ],
    )
    high = max(max(values.values()), 1e-9)
    figures: list[Block] = [
        Figure(
            "levels",
            f"{_capital(found.measure)} by architecture and level",
            charts.heat_map(
                f"{found.measure} by architecture and level",
                "Rows are architectures, best overall first; columns are levels; darker is higher.",
                rows,
                benchmark.levels,
                values,
                (min(0.0, min(values.values())), high),
            ),
            "Read along a row to see where an architecture loses its lead, and down a column to see who wins a level. "
            "Darker is better; a dash is a cell without a result. Differences between neighbours are often chance: "
            "the verdicts below say which are not.",
            table,
        )
    ]
    every = [
        Table(
            "evaluations",
            "Every evaluation environment, with the reference players",
            ["architecture", "level", "evaluation", "seeds", "hearts per agent", "score", "reward", "against random"],
            [
                [
                    row.architecture,
                    row.level,
                    row.environment,
                    row.seeds or None,
                    interval_text(row.hearts),
                    "-" if row.score is None else interval_text(row.score),
                    interval_text(row.reward),
                    row.verdict,
                ]
                for row in summary_rows(benchmark.merged)
            ],
            open=False,
        ),
        Table(
            "level_verdicts",
            "Verdicts within each level (differences that are more than chance; pairs of a level judged together)",
            ["level", "verdict", "difference"],
            _level_verdicts(found),
            open=False,
        ),
    ]
    return [*figures, *every]


def _level_verdicts(found: Findings) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for level, verdicts in found.level_verdicts.items():
        called = [verdict for verdict in verdicts if verdict.better is not None]
        rows += [[level, verdict.words, abs(verdict.difference.value)] for verdict in called]
        open_ = len(verdicts) - len(called)
        if open_:
            rows.append([level, f"{counted(open_, 'pair')} not distinguishable", None])
    return rows


def best_first(benchmark: Gathered, found: Findings) -> list[str]:
    """Architectures as overall, best first, then those without an overall place."""
    rest = [name for name in benchmark.architectures if name not in found.compared]
    return [*found.compared, *(name for name in rest if any(key[0] == name for key in found.means))]


def _intervals(found: Findings) -> list[Block]:
    if not found.standings:
        return [paragraph(NOT_YET)]
    table = Table(
        "aggregates",
        "Aggregates with 95 % stratified bootstrap intervals",
        ["architecture", *(text for name in AGGREGATE_ORDER for text in (name, "from", "to"))],
        [
            [row.architecture, *(cell for name in AGGREGATE_ORDER for cell in ends(row.aggregates[name]))]
            for row in found.standings
        ],
    )
    coverage = (
        f" With so few seeds such intervals are too narrow: about {found.coverage:.0%} of them cover the truth "
        "(simulated), which is why the verdicts do not rest on them."
        if found.coverage is not None and found.coverage < 0.93
        else ""
    )
    return [
        Figure(
            "aggregates",
            "Four averages over all levels and seeds",
            charts.intervals(
                "Aggregates with intervals",
                "One row per architecture; per aggregate a point and its 95 % interval.",
                found.standings,
                AGGREGATE_ORDER,
            ),
            "Look first at the interquartile mean, which leaves out the best and the worst quarter of the runs and so "
            "neither a lucky nor a broken run decides it. Mean and median are for comparison. The optimality gap is "
            "what is missing to the scripted player, less is better. Lines are 95 % stratified bootstrap intervals "
            f"(Agarwal et al. 2021).{coverage}",
            table,
        )
    ]


def _pairs(found: Findings) -> list[Block]:
    if len(found.standings) < 2:
        return [paragraph("A comparison in pairs needs two architectures with results on the same levels.")]
    names = found.compared
    notes = {}
    for verdict in found.verdicts:
        if verdict.better is not None:
            worse = verdict.b if verdict.better == verdict.a else verdict.a
            notes[verdict.better, worse] = f"{verdict.words}: more than chance"
            notes[worse, verdict.better] = f"{verdict.words}: more than chance"
    pairs = Table(
        "verdicts",
        f"Verdicts for every pair ({found.measure}, mean over levels)",
        ["pair", "verdict", "difference", "standard error", "p", "smallest difference that would have shown"],
        [
            [
                f"{verdict.a} / {verdict.b}",
                verdict.words,
                verdict.difference.value,
                verdict.difference.error,
                verdict.difference.p_value,
                verdict.smallest,
            ]
            for verdict in found.verdicts
        ],
        open=False,
    )
    matrix = Table(
        "improvement",
        "Probability of improvement of the row over the column, with 95 % stratified bootstrap intervals",
        ["architecture", "over", "probability", "95 % from", "to"],
        [[a, b, *ends(found.improvement[a, b])] for a in names for b in names if a != b],
    )
    return [
        Figure(
            "improvement",
            "Probability that a run of the row beats a run of the column",
            charts.heat_map(
                "Probability of improvement",
                "Rows and columns are architectures; the number is the probability that the row's run scores higher.",
                names,
                names,
                {pair: interval.mean for pair, interval in found.improvement.items()},
                (0.0, 1.0),
                notes,
                diverging=True,
            ),
            "0.5 means a coin's toss; purple rows win, orange rows lose. A dot marks pairs whose difference is more "
            "than chance; without a dot the two are not distinguishable with these seeds, however strong the colour.",
            matrix,
        ),
        pairs,
        Table(
            "power",
            "Smallest true difference that n seeds per level show four times in five, all pairs judged together",
            ["seeds", "difference"],
            [[str(n), value] for n, value in found.smallest.items()],
        )
        if found.smallest
        else paragraph("How large a difference more seeds would show is known once there are two seeds of something."),
    ]


def _profiles(found: Findings, numbers: Mapping[str, int]) -> list[Block]:
    if not found.profiles:
        return [paragraph(NOT_YET)]
    picked = range(0, len(found.thresholds), 10)
    return [
        Figure(
            "profiles",
            f"Share of runs above a {found.measure}",
            charts.lines(
                "Performance profiles",
                "Per architecture, the share of its runs over all levels that score more than the value on the axis.",
                found.profiles,
                found.measure,
                "share of runs above it",
                numbers,
            ),
            "A curve that lies above another everywhere belongs to the better architecture at every demand. Curves "
            "that cross say: one is steadier, the other better at its best. Bands are pointwise 95 % bootstrap "
            "intervals.",
            Table(
                "profiles",
                "Share of runs above each threshold",
                ["architecture", *(f"above {shown(float(found.thresholds[index]))}" for index in picked)],
                [[name, *(float(band.middle[index]) for index in picked)] for name, band in found.profiles.items()],
            ),
        ),
        Figure(
            "ranks",
            "How likely each place is",
            charts.ranks(
                "Distribution of ranks",
                "A bar per architecture; its pieces are the probabilities of the places, first place darkest.",
                found.standings,
            ),
            "Draw one run of every architecture on a random level and rank them: the darkest piece is the chance of "
            "the first place, numbers in the pieces are places. Long dark pieces are what to look for; a bar cut into "
            "many even pieces belongs to an architecture whose place is chance.",
            Table(
                "ranks",
                "Probability of each place",
                ["architecture", "mean place", *(f"place {index + 1}" for index in range(len(found.standings)))],
                [[row.architecture, row.mean_rank, *row.ranks] for row in found.standings],
            ),
        ),
    ]


def _learning(benchmark: Gathered, found: Findings, numbers: Mapping[str, int]) -> list[Block]:
    blocks: list[Block] = []
    for metric, unit in CURVES.items():
        for level, bands in found.curves.get(metric, {}).items():
            name = metric.split("/")[1]
            blocks.append(
                Figure(
                    f"learning_{_file_part(level)}_{name}",
                    f"{level}: {unit} in training",
                    charts.lines(
                        f"Learning curves on {level}",
                        f"Per architecture, {unit} over agent-steps of training, mean over seeds.",
                        bands,
                        "agent-steps",
                        unit,
                        numbers,
                    ),
                    "Lines are means over seeds; with up to six architectures, bands reach from the lowest to "
                    "the highest seed. Steep early lines "
                    "learn from few steps; lines that still rise at the end would gain from longer training. "
                    + (
                        "Shaped reward differs from level to level: compare within this figure only."
                        if name == "reward_per_step"
                        else "Hearts appear once whole episodes have ended."
                    ),
                    Table(
                        f"learning_{_file_part(level)}_{name}",
                        f"Learning curves on {level}, {unit}",
                        CURVE_HEADER,
                        _curve_rows(bands),
                    ),
                )
            )
    if not blocks:
        blocks.append(paragraph("No run folder with a learning curve of two points or more was found."))
    if found.learning:
        blocks.append(
            Table(
                "sample_efficiency",
                "Sample efficiency: shaped reward per agent-step in training",
                [
                    *("architecture", "level", "seeds", "mean over training", "at the end"),
                    *(text for share in SHARES for text in (f"steps to {share:.0%}", "seeds that did")),
                ],
                [
                    [
                        row.architecture,
                        row.level,
                        row.seeds,
                        row.area.mean,
                        row.last.mean,
                        *(cell for count, steps in row.steps for cell in (steps, f"{count} of {row.seeds}")),
                    ]
                    for row in found.learning
                ],
            )
        )
        blocks.append(
            paragraph(
                "Mean over training is the area under the learning curve divided by its length. The thresholds are "
                "shares of the way from the level's first reward to the best architecture's last one; steps are means "
                "over the seeds that got there, so read them together with how many did."
            )
        )
    return blocks


CURVE_HEADER = ("architecture", "agent-steps", "mean", "lowest seed", "highest seed")
CURRICULUM_CURVES = {
    "curriculum/success": (
        "mean success of the known tasks",
        "Success is the hearts of an episode as a share of what its task allows. The curriculum draws hard tasks and "
        "easy ones alike, so this says more about learning than the reward does.",
    ),
    "curriculum/progress": (
        "relative progress of the drawn tasks",
        "How far success has moved lately, up or down, on the tasks that are drawn. Near zero: nothing is learned or "
        "forgotten on them any more.",
    ),
}
"""Metric -> what it is, and what to read from its figure."""


def _curve_rows(bands: Mapping[str, Band]) -> list[list[Cell]]:
    return [
        [name, float(band.x[index]), float(band.middle[index]), float(band.low[index]), float(band.high[index])]
        for name, band in bands.items()
        for index in range(0, len(band.x), 6)
    ]


COST_NOTES = {
    "training_seconds": "Times compare only if all runs had the same machine to themselves.",
    "latency": "Measured after the evaluation for one agent alone (batch 1), one processor thread or the GPU, as the "
    "median over steps of an episode and over runs; it compares only between equal machines with equal load.",
    "parameters": "Numbers in the newest checkpoint's weights.",
}


def _cost(found: Findings, numbers: Mapping[str, int]) -> list[Block]:
    blocks: list[Block] = []
    kinds: list[tuple[str, str, Callable[[Cost], float | None]]] = [
        ("training_seconds", "seconds of training per run", lambda cost: cost.seconds),
        ("latency", "milliseconds to one action", lambda cost: cost.latency),
        ("parameters", "parameters", lambda cost: cost.parameters),
    ]
    for name, words, pick in kinds:
        points = {key: (value, cost.value) for key, cost in found.cost.items() if (value := pick(cost))}
        if len(points) < 2:
            blocks.append(paragraph(f"Two architectures with known {words} are needed to compare by them."))
            continue
        blocks.append(
            Figure(
                f"cost_{name}",
                f"Mean {found.measure} against {words}",
                charts.scatter(
                    f"{found.measure} against {words}",
                    f"Each point is an architecture; the axis of {words} is logarithmic.",
                    points,
                    words,
                    f"mean {found.measure}",
                    numbers,
                ),
                "Up and to the left is better. Points marked with a diamond after the name are the front: nothing else "
                "is both cheaper and better. What lies below the front costs more than it gives. " + COST_NOTES[name],
                Table(
                    f"cost_{name}",
                    f"Mean {found.measure} and {words}",
                    ["architecture", words, f"mean {found.measure}", "on the front"],
                    [
                        [key, cost, value, "yes" if key in charts.pareto(points) else "no"]
                        for key, (cost, value) in points.items()
                    ],
                ),
            )
        )
    if found.worth:
        blocks.append(
            Table(
                "worth",
                f"Mean {found.measure} per parameter and per second of training, as multiples of fast's",
                ["architecture", f"mean {found.measure}", "per parameter", "per second"],
                [[row.architecture, row.score, row.per_parameter, row.per_second] for row in found.worth],
            )
        )
        blocks.append(
            paragraph(
                "2 means twice as much for the same parameters, or the same seconds, as fast gives. A cheap "
                "architecture with a poor result can lead this table: use it to choose among those that are good "
                "enough."
            )
        )
    return blocks


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


def _behaviour(found: Findings) -> list[Block]:
    blocks: list[Block] = []
    for (level, environment), by_name in found.behaviour.items():
        for kind, counters in (("resources", RESOURCES), ("combat", COMBAT)):
            present = [c for c in counters if any(c in own for own in by_name.values())]
            if kind == "combat" and not any(own.get(c) for own in by_name.values() for c in COMBAT[1:]):
                continue
            words = [BEHAVIOUR_WORDS[counter] for counter in present]
            values = {(name, BEHAVIOUR_WORDS[c]): own[c] for name, own in by_name.items() for c in present if c in own}
            scale = {word: (0.0, max([v for (_, w), v in values.items() if w == word], default=1.0)) for word in words}
            name = f"behaviour_{_file_part(level)}_{_file_part(environment)}_{kind}"
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


def _replays(benchmark: Gathered, home: Path) -> list[Block]:
    found = choices(benchmark)
    if not found:
        return [paragraph("No run has been evaluated yet.")]
    pages = [(choice, page_of(choice)) for choice in found]
    missing = sum(page is None for _, page in pages)
    blocks: list[Block] = [
        paragraph(
            "Of all episodes of an architecture on a level, over its seeds and the evaluation environments, the one "
            "with the most hearts per agent and the one in the middle, as pages that play them. Watch the median "
            "first: the best shows what an architecture can do, the median what it does. A replay is played anew from "
            "the checkpoint; where its hearts differ from the evaluation's, rounding has turned an action."
        )
    ]
    if missing:
        sources = shlex.join(map(str, benchmark.sources))
        blocks.append(
            paragraph(
                f"{missing} of {counted(len(pages), 'replay')} not written yet; a benchmark writes them when its runs "
                "are done. To write them now: ",
                element("code", f"uv run python -m metta.lab.replays {sources}"),
            )
        )
    for level in benchmark.levels:
        cells: dict[str, list[Cell]] = {}
        for choice, page in pages:
            if choice.level == level:
                cells.setdefault(choice.architecture, []).extend(_replay_cells(choice, page, home))
        if cells:
            blocks.append(
                Table(
                    f"replays_{_file_part(level)}",
                    f"Episodes on {level}, hearts per agent",
                    ["architecture", *(text for kind in (BEST, MEDIAN) for text in (kind, "episode", "page"))],
                    [[name, *own] for name, own in cells.items()],
                )
            )
    return blocks


def _replay_cells(choice: Choice, page: Page | None, home: Path) -> list[Cell]:
    """Hearts, which episode, and the link to its page."""
    episode = choice.episode
    which = f"seed {episode.run.key.seed}, {episode.environment}, episode {episode.number}"
    if page is None:
        return [episode.hearts_per_agent, which, None]
    same = abs(page.hearts_per_agent - episode.hearts_per_agent) < SAME_HEARTS
    text = "watch" if same else f"watch ({page.hearts_per_agent:.3f} in the replay)"
    label = f"{text}, {choice.kind} episode of {choice.architecture} on {choice.level}"
    return [episode.hearts_per_agent, which, Link(text, label, address(page.file, home))]


SAME_HEARTS = 5e-4
"""Hearts per agent are shown with three decimals."""


def address(file: Path, home: Path) -> str:
    """The relative address of a file for a page in the folder `home`."""
    return quote(os.path.relpath(file.resolve(), home.resolve()).replace(os.sep, "/"))


def _curriculum(found: Findings, numbers: Mapping[str, int]) -> list[Block]:
    if not found.lessons:
        return [paragraph("No run folder with the metrics of a curriculum was found.")]
    blocks: list[Block] = []
    for metric, (words, caption) in CURRICULUM_CURVES.items():
        for level, bands in found.curves.get(metric, {}).items():
            name = f"{_file_part(metric.replace('/', '_'))}_{_file_part(level)}"
            blocks.append(
                Figure(
                    name,
                    f"{level}: {words}",
                    charts.lines(
                        f"Curriculum on {level}, {words}",
                        f"Per architecture, {words} over agent-steps of training, mean over seeds.",
                        bands,
                        "agent-steps",
                        words,
                        numbers,
                    ),
                    caption,
                    Table(name, f"Curriculum on {level}, {words}", CURVE_HEADER, _curve_rows(bands)),
                )
            )
    for level in dict.fromkeys(lesson.level for lesson in found.lessons):
        own = [lesson for lesson in found.lessons if lesson.level == level]
        columns = [name for name in own[0].choices if all(name in lesson.choices for lesson in own)]
        name = f"curriculum_choices_{_file_part(level)}"
        blocks.append(
            Figure(
                name,
                f"{level}: what the curriculum chose at the end of training",
                charts.heat_map(
                    f"Curriculum choices on {level}",
                    "Rows are architectures, columns are values of an axis of the tasks; darker is chosen more often.",
                    [lesson.architecture for lesson in own],
                    columns,
                    {(lesson.architecture, column): lesson.choices[column] for lesson in own for column in columns},
                    (0.0, 1.0),
                ),
                "Probability that the next training episode has this value, mean over seeds; the values of one axis "
                "add up to 1. Far from even: the curriculum saw progress, in either direction, on the tasks with the "
                "darker value.",
                Table(
                    name,
                    f"Curriculum on {level} at the end of training",
                    ["architecture", "seeds", "tasks known", "episodes", "success", *columns],
                    [
                        [
                            *(lesson.architecture, lesson.seeds, lesson.tasks_known, lesson.episodes, lesson.success),
                            *(lesson.choices[column] for column in columns),
                        ]
                        for lesson in own
                    ],
                ),
            )
        )
    return blocks


def _ladder(benchmark: Gathered, found: Findings) -> list[Block]:
    blocks: list[Block] = []
    reads = (
        (
            "shaping",
            "Sensitivity to reward shaping: level 1 to level 3",
            found.shaping,
            "Level 3 pays a fifth to a third of level 1's reward for the intermediate items, on a larger map "
            "with empty "
            "converters. Far to the left: lives on shaped reward. Near zero: learns without it. If the interval "
            "crosses the line, the change may be chance. An architecture with nothing to lose on level 1 stays "
            "near zero as well.",
        ),
        (
            "exploration",
            "Exploration gap: level 3 to level 4",
            found.exploration,
            "Level 4 has the same map and rules as level 3 but almost no reward on the way to a heart (and 24 agents "
            "instead of 20). What is lost here is lost to exploration: hearts have to be found by trying.",
        ),
    )
    for name, heading, rows, caption in reads:
        if rows:
            blocks.append(_step_figure(name, heading, rows, caption, found.measure))
        else:
            blocks.append(paragraph(f"{heading}: needs an architecture with results on both levels."))
    blocks.append(_sparse_table(found))
    if found.growth:
        blocks.append(_growth_figure(found))
    else:
        blocks.append(paragraph("Growth of differences up the ladder: needs a level with two architectures."))
    return blocks


def _step_figure(name: str, heading: str, rows: Sequence[Step], caption: str, measure: str) -> Figure:
    return Figure(
        name,
        heading,
        charts.steps(heading, "Change of the mean per architecture with its interval.", rows, f"change of {measure}"),
        f"{caption} Lines are Welch's 95 % t intervals over seeds.",
        Table(
            name,
            heading,
            ["architecture", f"{measure} before", "change", "95 % from", "to"],
            [[row.architecture, row.start, *ends(row.change)] for row in rows],
        ),
    )


def _sparse_table(found: Findings) -> Block:
    if not found.sparse:
        return paragraph("Progress from sparse reward: needs results on level 5.")
    return Table(
        "sparse",
        "Progress from sparse reward, level 5 (hearts are the only reward): hearts per agent, and the random player's",
        ["architecture", "hearts per agent", "95 % from", "to", "random", "above random"],
        [[name, *ends(hearts), floor, _above(hearts, floor)] for name, hearts, floor in found.sparse],
    )


def _above(hearts: Interval, floor: float | None) -> str:
    if floor is None:
        return "no reference"
    if hearts.low is None:
        return "one seed: not known"
    return "yes" if hearts.low > floor else "not shown"


def _growth_figure(found: Findings) -> Figure:
    return Figure(
        "growth",
        "How far architectures are apart on each level",
        charts.growth(
            "Differences between architectures by level",
            "Two bars per level: standard deviation between architectures and between seeds.",
            found.growth,
            f"standard deviation of {found.measure}",
        ),
        "Where the first bar is much taller than the second, the choice of architecture matters more than luck; where "
        "they are alike, the level does not separate architectures at this budget. Growing first bars up the ladder "
        "mean that harder levels tell architectures apart better.",
        Table(
            "growth",
            "Differences between architectures and between seeds by level",
            ["level", "deviation between architectures", "best minus worst", "deviation between seeds"],
            [[row.level, row.spread, row.reach, row.noise] for row in found.growth],
        ),
    )


def _gaps(benchmark: Gathered) -> list[Block]:
    blocks: list[Block] = []
    if benchmark.failed:
        blocks.append(
            Table(
                "failed",
                "Failed runs",
                ["run", "stage", "what went wrong", "command"],
                [
                    [
                        run.record.training.run_name,
                        "training" if run.record.training.status == "failed" else "evaluation",
                        run.failure,
                        run.record.training.command,
                    ]
                    for run in benchmark.failed
                ],
            )
        )
    if benchmark.missing or benchmark.waiting:
        waiting = [(run.key, "not evaluated") for run in benchmark.waiting]
        blocks.append(
            Table(
                "missing",
                "Planned runs without a result",
                ["architecture", "level", "seed", "state"],
                [
                    [key.architecture, key.level, str(key.seed), state]
                    for key, state in [
                        *((key, "not started or not recorded yet") for key in benchmark.missing),
                        *waiting,
                    ]
                ],
            )
        )
    if not blocks:
        blocks.append(paragraph("None: every planned run has a result."))
    players = {level: sorted(found) for level, found in benchmark.references.items()}
    absent = [
        f"{player} on {level}"
        for level in benchmark.levels
        for player in ("random", "scripted")
        if player not in players.get(level, [])
    ]
    if absent:
        blocks.append(paragraph(f"Reference players without results: {', '.join(absent)}."))
    faults: list[list[Cell]] = [
        [run.record.training.run_name, fault]
        for run in benchmark.runs.values()
        if run.record.training.status == "success"
        for fault in run.files.faults
    ]
    if faults:
        blocks.append(
            Table(
                "unread", "Run files that could not be read; what they hold is left out above", ["run", "fault"], faults
            )
        )
    return blocks


def _provenance(benchmark: Gathered) -> list[Block]:
    blocks: list[Block] = []
    codes = {run.files.code for run in benchmark.runs.values() if run.files.code}
    if len(codes) > 1:
        blocks.append(
            paragraph(
                f"These runs were made by {len(codes)} different versions of the source; results may not compare.",
                class_="note",
            )
        )
    for number, (source, results) in enumerate(benchmark.sources.items(), start=1):
        rows: list[list[Cell]] = [
            ["file", str(source)],
            ["command", results.command],
            ["started", results.start_time],
            ["ended", results.end_time or "runs are left"],
            ["agent-steps per run", f"{results.max_timesteps:,}"],
        ]
        rows += [[name, text] for name, text in flat(results.provenance)]
        blocks.append(Table(f"provenance_{number}", f"Results file {number}", ["what", "value"], rows))
    blocks.append(_settings(benchmark))
    blocks.append(
        Table(
            "commands",
            "The command of every run",
            ["run", "seconds", "command"],
            [
                [run.record.training.run_name, run.record.training.duration_seconds, run.record.training.command]
                for run in benchmark.runs.values()
            ],
            open=False,
        )
    )
    return blocks


SHARED_SETTINGS = ("trainer", "evaluation", "system")


def _settings(benchmark: Gathered) -> Block:
    """Settings of trainer, evaluation and system: one value where all runs agree, else all values."""
    found: dict[str, dict[str, None]] = {}
    for run in benchmark.runs.values():
        for part in SHARED_SETTINGS:
            for name, text in flat(run.files.settings.get(part, {}), part):
                found.setdefault(name, {})[text] = None
    if not found:
        return paragraph("No run folder with a configuration was found.")
    return Table(
        "settings",
        "Settings of the runs (all values, where runs differ)",
        ["setting", "value"],
        [[name, " | ".join(values)] for name, values in found.items()],
        open=False,
    )


def flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Dotted names and texts of nested plain data."""
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in flat(inner, f"{name}.{key}" if name else str(key))]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [(name, " ".join(value) or "none")]
    return [(name, value if isinstance(value, str) else json.dumps(value))]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _file_part(text: str) -> str:
    """Text as part of a file name."""
    return "".join(character if character.isalnum() or character in "-_" else "_" for character in text)[:80]
