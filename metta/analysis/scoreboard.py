"""The published runs in Markdown: the scoreboard of README.md, and the pages of docs/results.md; pure."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from metta.analysis.figures import Axis, Figure, lines
from metta.analysis.findings import Findings, cost_of
from metta.analysis.gather import Gathered
from metta.analysis.metrics import HEARTS
from metta.analysis.published import PublishedRun
from metta.analysis.summary import aligned_table
from metta.analysis.topics.result import headline, how_sure, status, verdict_sentences
from metta.base.addresses import BLIND, PLAYERS, REFLEX
from metta.base.files import file_part

NOTHING = "No run is published yet: `published/README.md` says how to add some."


class Group(NamedTuple):
    """The published runs of one number of agent-steps."""

    steps: int
    benchmark: Gathered
    found: Findings
    figures: Mapping[str, Figure]
    """Name -> figure that lies in `published/<agent-steps>/figures/` as SVG."""


def scoreboard(groups: Sequence[Group]) -> str:
    """For each number of agent-steps the result in sentences, and everybody's hearts on every level as a table."""
    if not groups:
        return NOTHING
    return "\n\n".join(_scoreboard(group) for group in groups)


def _scoreboard(group: Group) -> str:
    benchmark = group.benchmark
    levels = benchmark.levels
    common = [
        level for level in levels if all(benchmark.hearts_over_seeds(name, level) for name in benchmark.architectures)
    ]
    shares = {name: _mean_share(benchmark, name, common) for name in benchmark.architectures}
    order = sorted(shares, key=lambda name: -math.inf if (share := shares[name]) is None else share, reverse=True)
    rows = [
        [name, *(_hearts_cell(benchmark, name, level) for level in levels), _share_text(shares[name])] for name in order
    ]
    for player in PLAYERS:
        cells = [_number(benchmark.hearts_of_player(player, level)) for level in levels]
        rows.append([f"*{player}*", *cells, {BLIND: "0 %", REFLEX: "100 %"}.get(player, "")])
    on = "" if common == list(levels) else f" on {', '.join(common)}"
    head = ["architecture", *levels, f"of the way from blind to reflex{on}"]
    done, planned = len(benchmark.evaluated), len(benchmark.planned)
    missing = f"; missing are {_listed_missing(benchmark)}" if benchmark.missing else ""
    text = (
        f"{group.steps:,} agent-steps per run, {done} of {planned} runs{missing}. Hearts per agent on held-out maps, "
        "mean over seeds with its 95 % interval (below three seeds: each seed):"
    )
    sentences = f"{headline(benchmark, group.found)} {how_sure(benchmark, group.found)}".strip()
    return "\n".join([sentences, "", text, "", *aligned_table(head, rows)])


def _listed_missing(benchmark: Gathered) -> str:
    """The missing runs by architecture and level, or their number where they are many."""
    if len(benchmark.missing) > 10:
        return str(len(benchmark.missing))
    return ", ".join(f"{key.architecture} on {key.level}, seed {key.seed}" for key in benchmark.missing)


def results_page(groups: Sequence[Group], pairs: Sequence[tuple[PublishedRun, PublishedRun]]) -> str:
    """Verdicts, every level with intervals, tiers and cost, and how far repetitions differ."""
    if not groups:
        return NOTHING
    parts = [part for group in groups for part in _group(group)]
    return "\n\n".join([*parts, *_repetitions(pairs)])


def _group(group: Group) -> list[str]:
    benchmark, found = group.benchmark, group.found
    parts = [f"## {group.steps:,} agent-steps per run"]
    parts.append("\n".join(f"- {sentence}" for sentence in [*verdict_sentences(benchmark, found), status(benchmark)]))
    said: set[str] = set()
    parts += _pictures(group, said, "ladder")
    for level in benchmark.levels:
        parts += _level(group, said, level)
    parts += ["### What it cost", _cost(benchmark, found.compared_levels)]
    parts += _pictures(group, said, "cost_training_seconds", "cost_parameters", "cost_latency")
    return parts


def _pictures(group: Group, said: set[str], *names: str) -> list[str]:
    """Those of these figures that there are, with their captions; captions that were `said` before are left out."""
    parts = []
    for name in names:
        figure = group.figures.get(name)
        if figure is not None:
            caption = "" if figure.caption in said else f" {figure.caption}"
            parts.append(f"![{figure.title}](../published/{group.steps}/figures/{name}.svg)")
            parts.append(f"**{figure.title}.**{caption}")
            said.add(figure.caption)
    return parts


def _level(group: Group, said: set[str], level: str) -> list[str]:
    benchmark, found = group.benchmark, group.found
    tiers = found.level_tiers.get(level, [])
    rows = []
    for name in benchmark.architectures:
        hearts = benchmark.hearts_over_seeds(name, level)
        if hearts:
            share = _share_text(_share(benchmark, level, hearts.mean))
            places = "".join(f" {place}" for place, tier in enumerate(tiers, start=1) if name in tier).strip()
            count = str(len(hearts.values))
            rows.append((hearts.mean, [name, count, hearts.text(HEARTS.digits), share, places or "-"]))
    for player in PLAYERS:
        value = benchmark.hearts_of_player(player, level)
        if value is not None:
            rows.append((value, [f"*{player}*", "", _number(value), _share_text(_share(benchmark, level, value)), ""]))
    rows.sort(key=lambda row: -row[0])
    head = ["", "seeds", "hearts per agent", "of the way from blind to reflex", "tiers"]
    verdicts = found.level_verdicts.get(level, [])
    apart = sum(verdict.better is not None for verdict in verdicts)
    words = f"{apart} of {len(verdicts)} pairs are told apart." if verdicts else "No architecture is ranked."
    part = file_part(level)
    pictures = _pictures(group, said, f"hearts_{part}", f"hearts_per_agent_{part}", f"sample_efficiency_{part}")
    return [f"### {level}", words, "\n".join(aligned_table(head, [cells for _, cells in rows])), *pictures]


def _cost(benchmark: Gathered, levels: Sequence[str]) -> str:
    rows = []
    for name in benchmark.architectures:
        cost = cost_of([run for level in levels for run in benchmark.of(name, level)])
        cells = [(cost.parameters, ",.0f", ""), (cost.seconds, ",.0f", " s"), (cost.latency, ".2f", " ms")]
        rows.append([name, *("-" if value is None else f"{value:{form}}{unit}" for value, form, unit in cells)])
    text = (
        f"Runs on {', '.join(levels)}. Training times were taken beside other work; "
        "[architectures.md](architectures.md) has speeds that compare."
    )
    return "\n".join(
        [text, "", *aligned_table(["architecture", "parameters", "training of a run", "one action"], rows)]
    )


def _repetitions(pairs: Sequence[tuple[PublishedRun, PublishedRun]]) -> list[str]:
    """How far the same seed leads to the same hearts on another day or machine."""
    if not pairs:
        return []
    rows = [
        [
            one.name,
            f"{one.total_timesteps:,}",
            one.machine_words,
            other.machine_words,
            f"{one.hearts:.3f}",
            f"{other.hearts:.3f}",
            f"{other.hearts - one.hearts:+.3f}",
        ]
        for one, other in pairs
    ]
    differ = [abs(other.hearts - one.hearts) for one, other in pairs]
    text = (
        f"{len(pairs)} runs were done again with the same seed on another day or machine: {differ.count(0.0)} have the "
        f"same hearts, the others differ by up to {max(differ):.3f}."
    )
    head = ["run", "agent-steps", "machine", "other machine", "hearts", "again", "difference"]
    return ["## The same run again", text, "\n".join(aligned_table(head, rows))]


def ladder_figure(benchmark: Gathered) -> Figure:
    """How much of the way from the blind to the reflex player everybody is on each level that they were trained on."""
    means = [
        {"who": name, "x": level, "y": share, "hearts": hearts.mean}
        for name in benchmark.architectures
        for level in benchmark.levels
        if (hearts := benchmark.hearts_over_seeds(name, level))
        and (share := _share(benchmark, level, hearts.mean)) is not None
    ]
    across, up = Axis("level"), Axis("of the way from blind to reflex")
    return Figure(
        "ladder",
        "Every architecture up the ladder",
        lines(benchmark.architectures, means, across, up, order=benchmark.levels),
        "0 is the best player that sees nothing, 1 the player that remembers nothing. Means over seeds.",
    )


def _share(benchmark: Gathered, level: str, hearts: float) -> float | None:
    """How much of the way from the blind to the reflex player hearts are."""
    low, high = (benchmark.hearts_of_player(player, level) for player in (BLIND, REFLEX))
    return None if low is None or high is None or high <= low else (hearts - low) / (high - low)


def _mean_share(benchmark: Gathered, name: str, levels: Sequence[str]) -> float | None:
    """Mean over these levels."""
    shares = []
    for level in levels:
        hearts = benchmark.hearts_over_seeds(name, level)
        share = _share(benchmark, level, hearts.mean) if hearts else None
        if share is not None:
            shares.append(share)
    return fmean(shares) if shares else None


def _hearts_cell(benchmark: Gathered, name: str, level: str) -> str:
    hearts = benchmark.hearts_over_seeds(name, level)
    return hearts.text(HEARTS.digits) if hearts else "-"


def _share_text(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
