"""Averages over all levels: intervals, pairs, profiles and places."""

import math
from collections.abc import Mapping

from metta.analysis import charts
from metta.analysis.aggregates import TRIMMED
from metta.analysis.findings import Findings
from metta.analysis.gather import SCORE
from metta.analysis.sections.blocks import NOT_YET, Block, Figure, counted, paragraph
from metta.analysis.table import Table, ends, shown

AVERAGES = ("interquartile mean", "mean", "median")
GAP = "optimality gap"
BELIEVED = 0.93
"""Coverage from which on a 95 % interval needs no warning."""


def intervals(found: Findings) -> list[Block]:
    """Averages per architecture with their intervals."""
    if not found.standings:
        return [paragraph(NOT_YET)]
    # Hearts have no optimum that a gap could be measured to.
    names = (*AVERAGES, GAP) if found.measure == SCORE else AVERAGES
    table = Table(
        "aggregates",
        "Aggregates with 95 % stratified bootstrap intervals",
        ["architecture", *(text for name in names for text in (name, "from", "to"))],
        [
            [row.architecture, *(cell for name in names for cell in ends(row.aggregates[name]))]
            for row in found.standings
        ],
    )
    return [
        Figure(
            "aggregates",
            "Averages over all levels and seeds",
            charts.intervals(
                "Aggregates with intervals",
                "One row per architecture; per aggregate a point and its 95 % interval.",
                found.standings,
                names,
            ),
            _trimming(found)
            + (" The optimality gap is what is missing to the scripted player, less is better." if GAP in names else "")
            + " Lines are 95 % stratified bootstrap intervals (Agarwal et al. 2021); whoever has a single seed on some "
            f"level has none.{_coverage(found)}",
            table,
        )
    ]


def _coverage(found: Findings) -> str:
    """How far bootstrap intervals can be believed, a sentence after a space; empty where that needs no warning."""
    if found.coverage is None or found.coverage >= BELIEVED:
        return ""
    return (
        f" With so few seeds such intervals are too narrow: about {found.coverage:.0%} of them cover the truth "
        "(simulated, for who has the fewest seeds), which is why the verdicts do not rest on them."
    )


def _trimming(found: Findings) -> str:
    """What the interquartile mean does with so many runs."""
    cut = [row.trimmed for row in found.standings]
    least = math.ceil(1 / TRIMMED)
    if not any(cut):
        return (
            f"With fewer than {least} runs the interquartile mean leaves none out and is the mean: one lucky or broken "
            "run can decide it."
        )
    text = (
        "Look first at the interquartile mean, which leaves out the best and the worst quarter of the runs, rounded "
        "down, so that neither one lucky nor one broken run decides it. Mean and median are for comparison."
    )
    return text if all(cut) else f"{text} With fewer than {least} runs it leaves none out and is the mean."


def pairs(found: Findings) -> list[Block]:
    """Probability of improvement, verdicts and power for every pair."""
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
        f"Verdicts for every pair ({found.measure}, mean over {counted(len(found.judged_levels), 'level')})",
        ["pair", "verdict", "difference", "standard error", "difference needed"],
        [
            [
                f"{verdict.a} / {verdict.b}",
                verdict.words,
                verdict.value,
                verdict.error,
                verdict.needed,
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


def profiles(found: Findings, numbers: Mapping[str, int]) -> list[Block]:
    """Performance profiles, and how likely each place is."""
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
            "intervals; whoever has a single seed on some level has none.",
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
