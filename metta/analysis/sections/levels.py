"""Every level by itself: means, evaluation environments, verdicts within the level."""

from metta.analysis import charts
from metta.analysis.findings import Findings
from metta.analysis.gather import Gathered
from metta.analysis.sections.blocks import NOT_YET, Block, Figure, capital, counted, paragraph
from metta.analysis.sections.overall import best_first
from metta.analysis.summary import interval_text, summary_rows
from metta.analysis.table import Cell, Table, ends


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
    high = max(max(values.values()), 1e-9)
    figures: list[Block] = [
        Figure(
            "levels",
            f"{capital(found.measure)} by architecture and level",
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
            ["architecture", "level", "evaluation", "seeds", "hearts per agent", "score", "reward", "against blind"],
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
