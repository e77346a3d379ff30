"""Every level by itself: learning curves and results in hearts, who is better, what can be watched."""

from collections.abc import Sequence

from metta.analysis.blocks import Block, Cell, Column, Section, Table, Text, counted
from metta.analysis.figures import Figure, axis_of, dots
from metta.analysis.findings import Findings
from metta.analysis.gather import Gathered
from metta.analysis.metrics import CURVES, HEARTS, HEARTS_CURVE, REWARD, SCORE
from metta.analysis.summary import summary_rows
from metta.analysis.topics.learning import curve_figure
from metta.analysis.topics.result import best_first, extreme_sentences
from metta.base.files import file_part


def section(benchmark: Gathered, found: Findings, level: str, watch: Sequence[Block]) -> Section | None:
    """One level, with links to its replays."""
    blocks = [*figures(benchmark, level), *watch, *_verdicts(found, level)]
    return Section(file_part(level), level, blocks) if blocks else None


def figures(benchmark: Gathered, level: str) -> list[Figure]:
    """Learning curves and final results in hearts."""
    players = benchmark.players([level], hearts=True)
    curves = curve_figure(
        benchmark,
        level,
        HEARTS_CURVE,
        "Learning curves",
        f"{CURVES[HEARTS_CURVE].meaning} Dashed: the reference players. An architecture that is not above blind has "
        "not learned to look; reflex remembers nothing and shows how far one comes without a memory.",
        players,
    )
    found = [curves] if curves else []
    rows = {name: own for name in benchmark.architectures if (own := benchmark.hearts_over_seeds(name, level))}
    order = sorted(rows, key=lambda name: -rows[name].mean)
    if rows:
        numbers = {name: [run.key.seed for run in benchmark.of(name, level)] for name in rows}
        found.append(
            Figure(
                f"hearts_{file_part(level)}",
                "After training",
                dots(
                    benchmark.architectures,
                    {name: rows[name] for name in order},
                    axis_of(HEARTS),
                    players,
                    seeds=numbers,
                ),
                f"{HEARTS.meaning} Bars are means, lines 95 % intervals (from three seeds on), dots the seeds.",
            )
        )
    return found


def _verdicts(found: Findings, level: str) -> list[Block]:
    verdicts = found.level_verdicts.get(level, [])
    if level in found.extremes:
        return [Text(next(text for text in extreme_sentences(found) if text.startswith(level)))]
    if not verdicts:
        return []
    called = [verdict for verdict in verdicts if verdict.better is not None]
    tiers = found.level_tiers[level]
    text = f"{len(called)} of {counted(len(verdicts), 'pair')} can be told apart on this level."
    if called:
        text += " Tiers, best first: " + "; ".join(", ".join(tier) for tier in tiers) + "."
    told_first = [*called, *(verdict for verdict in verdicts if verdict.better is None)]
    rows: list[list[Cell]] = [
        [verdict.words, abs(verdict.value) if verdict.better else verdict.value, verdict.needed]
        for verdict in told_first
    ]
    table = Table(
        f"verdicts_{file_part(level)}",
        "Verdicts on this level, all pairs judged together",
        ["verdict", Column("difference", found.measure.digits), Column("difference needed", found.measure.digits)],
        rows,
        folded=True,
    )
    return [Text(text), table]


def all_levels(benchmark: Gathered, found: Findings) -> Section | None:
    """Levels beside each other, and every evaluation environment."""
    if not found.means:
        return None
    blocks: list[Block] = []
    names = best_first(benchmark, found)
    if len(benchmark.levels) > 1:
        players = {
            player: [benchmark.value_of_player(player, level) for level in benchmark.levels]
            for player in reversed(benchmark.players([]) or benchmark.players(benchmark.levels[:1]))
        }
        values = [own.mean for own in found.means.values()]
        shade = (0.0, 1.0) if found.measure == SCORE else (0.0, max(values))
        rows: list[list[Cell]] = [
            [name, *(found.means.get((name, level)) for level in benchmark.levels)] for name in names
        ]
        rows += [[f"({player})", *own] for player, own in players.items()]
        columns = [Column(level, found.measure.digits, shade) for level in benchmark.levels]
        blocks.append(Table("levels", f"{found.measure.name.capitalize()} by level", ["architecture", *columns], rows))
    blocks.append(evaluations(benchmark))
    return Section("levels", "Every level and evaluation environment", blocks)


def evaluations(benchmark: Gathered) -> Table:
    """The rows of the table in the terminal."""
    return Table(
        "evaluations",
        "Every evaluation environment, with the reference players",
        ["architecture", "level", "evaluation", "seeds", HEARTS, SCORE, REWARD, "against blind"],
        [
            [*row[:3], row.seeds or None, row.hearts, row.score, row.reward, row.verdict]
            for row in summary_rows(benchmark.merged)
        ],
        folded=len(benchmark.levels) > 1,
    )
