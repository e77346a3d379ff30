"""Every level by itself: means, evaluation environments, verdicts within the level."""

from metta.analysis import charts
from metta.analysis.findings import Findings
from metta.analysis.gather import Gathered
from metta.analysis.sections.blocks import NOT_YET, Block, Figure, capital, counted, paragraph
from metta.analysis.sections.overall import best_first, extreme_sentences
from metta.analysis.summary import summary_rows
from metta.analysis.table import Cell, Table, ends
from metta.base.addresses import PLAYERS


def levels(benchmark: Gathered, found: Findings) -> list[Block]:
    """Heat map of all cells, every evaluation environment, and the verdicts within each level."""
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
    players = {
        (f"({player})", level): value
        for player in reversed(PLAYERS)
        for level in benchmark.levels
        if (value := benchmark.value_of_player(player, level)) is not None
    }
    values |= players
    high = max(max(values.values()), 1e-9)
    figures: list[Block] = [
        Figure(
            "levels",
            f"{capital(found.measure)} by architecture and level",
            charts.heat_map(
                f"{found.measure} by architecture and level",
                "Rows are architectures, best overall first, then the reference players; columns are levels; darker is "
                "higher.",
                [*rows, *dict.fromkeys(name for name, _ in players)],
                benchmark.levels,
                values,
                (min(0.0, min(values.values())), high),
            ),
            "Read along a row to see where an architecture loses its lead, and down a column to see who wins a level. "
            "Darker is better; a dash is a cell without a result. Differences between neighbours are often chance: "
            "the verdicts below say which are not. In brackets are the reference players: whoever is not above the "
            "blind one has not learned to look, and only above the reflex one does memory count.",
            table,
        )
    ]
    every = [
        Table(
            "evaluations",
            "Every evaluation environment, with the reference players",
            [
                *("architecture", "level", "evaluation", "seeds"),
                *(text for name in ("hearts per agent", "score", "reward") for text in (name, "95 % from", "to")),
                "against blind",
            ],
            [
                [
                    row.architecture,
                    row.level,
                    row.environment,
                    row.seeds or None,
                    *ends(row.hearts),
                    *(ends(row.score) if row.score else (None,) * 3),
                    *ends(row.reward),
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
    return [*figures, *[paragraph(text) for text in extreme_sentences(found)], _tiers(found), *every]


def _tiers(found: Findings) -> Table:
    """Who is not told apart from whom, level by level."""
    return Table(
        "tiers",
        "Tiers of every level, best first: nobody in a tier is told apart from another in it; tiers may overlap",
        ["level", "tier", "architectures"],
        [
            [level, place, ", ".join(tier)]
            for level, own in found.level_tiers.items()
            for place, tier in enumerate(own, start=1)
        ],
    )


def _level_verdicts(found: Findings) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for level, verdicts in found.level_verdicts.items():
        called = [verdict for verdict in verdicts if verdict.better is not None]
        rows += [[level, verdict.words, abs(verdict.value)] for verdict in called]
        open_ = len(verdicts) - len(called)
        if open_:
            rows.append([level, f"{counted(open_, 'pair')} not distinguishable", None])
    return rows
