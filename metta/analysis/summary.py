"""The short table of a benchmark: per architecture, level and evaluation environment; as Markdown and CSV."""

import csv
import io
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from metta.analysis.intervals import Estimate, estimate
from metta.analysis.metrics import HEARTS, REWARD, SCORE
from metta.analysis.results import BenchmarkResults, EnvironmentResult, RunRecord, lowest_score
from metta.base.addresses import BLIND, PLAYERS
from metta.base.output import on_terminal

MARKDOWN_NAME = "benchmark_results.md"
CSV_NAME = "benchmark_results.csv"


class Row(NamedTuple):
    """One line of the table."""

    architecture: str
    level: str
    environment: str
    seeds: int
    timesteps: float | None
    """Agent-steps that the policies were trained for, mean over seeds."""
    hearts: Estimate
    score: Estimate | None
    """Hearts on the scale from random (0) to scripted (1); None where the two have not played these episodes."""
    reward: Estimate
    training_seconds: float | None
    verdict: str


def summary_rows(results: BenchmarkResults) -> list[Row]:
    """A row for everything that has a result: best first within a level, the reference players, what was trained only
    in part.
    """
    partly = results.partly_trained
    rows: list[Row] = []
    for level in results.levels:
        references = results.references.get(level, {})
        runs = [run for run in results.runs if run.training.level == level]
        names = (name for run in runs for name in run.evaluation.results)
        for environment in dict.fromkeys([*references.get(BLIND, {}), *names]):
            own = [run for run in runs if environment in run.evaluation.results]
            whole, others = (
                [
                    _architecture_row(architecture, level, environment, found, references)
                    for architecture in results.architectures
                    if (found := [run for run in group if run.training.architecture == architecture])
                ]
                for group in ([run for run in own if run not in partly], [run for run in own if run in partly])
            )
            rows += [
                row._replace(verdict=row.verdict + "; not tuned" * (row.architecture in results.untuned))
                for row in sorted(whole, key=lambda row: -row.hearts.mean)
            ]
            rows += [
                _reference_row(player, level, environment, references[player][environment])
                for player in reversed(PLAYERS)
                if environment in references.get(player, {})
            ]
            rows += [
                row._replace(verdict=f"trained {row.timesteps:,.0f} of {results.max_timesteps:,} steps: not compared")
                for row in others
            ]
    return rows


def _architecture_row(
    architecture: str,
    level: str,
    environment: str,
    own: Sequence[RunRecord],
    references: Mapping[str, Mapping[str, EnvironmentResult]],
) -> Row:
    evaluated = [run.evaluation.results[environment] for run in own]
    blind = references.get(BLIND, {}).get(environment)
    seconds = [run.training.duration_seconds for run in own if run.training.duration_seconds is not None]
    return Row(
        architecture,
        level,
        environment,
        len(own),
        fmean(run.training.timesteps or 0 for run in own),
        estimate([result.hearts_per_agent for result in evaluated], HEARTS.lowest),
        _score(evaluated, lowest_score(environment, references)),
        estimate([result.reward for result in evaluated]),
        fmean(seconds) if seconds else None,
        verdict(evaluated, blind) if blind else "no reference",
    )


def _score(results: Sequence[EnvironmentResult], lowest: float) -> Estimate | None:
    scores = [result.normalised_score for result in results if result.normalised_score is not None]
    return estimate(scores, lowest) if len(scores) == len(results) else None


def _reference_row(player: str, level: str, environment: str, result: EnvironmentResult) -> Row:
    hearts, reward = estimate([result.hearts_per_agent]), estimate([result.reward])
    return Row(
        player, level, environment, 0, None, hearts, _score([result], SCORE.lowest), reward, None, PLAYERS[player]
    )


def verdict(seeds: Sequence[EnvironmentResult], blind: EnvironmentResult) -> str:
    """How sure it is that an architecture collects more hearts than the best blind player, in words.

    The interval of the architecture is over seeds, that of the blind player over episodes. Where two or three seeds
    give an interval too wide to tell, each seed alone is compared with it on the same episodes.
    """
    floor = estimate(blind.hearts_of_episodes)
    own = estimate([result.hearts_per_agent for result in seeds])
    if own.low is not None and own.high is not None and floor.low is not None and floor.high is not None:
        if own.low > floor.high:
            return "above blind (95 % intervals apart)"
        if own.high < floor.low:
            return "below blind (95 % intervals apart)"
    count = f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
    for word, sign in (("above", 1), ("below", -1)):
        if all(_apart_on_same_episodes(result, blind, sign) for result in seeds):
            return f"{word} blind in each of {count}"
    return f"not told apart from blind, {count}"


def _apart_on_same_episodes(result: EnvironmentResult, blind: EnvironmentResult, sign: int) -> bool:
    if not result.same_episodes(blind):
        return False
    pairs = zip(result.hearts_of_episodes, blind.hearts_of_episodes, strict=True)
    low = estimate([sign * (own - floor) for own, floor in pairs]).low
    return low is not None and low > 0


def terminal_width() -> int | None:
    """Columns of the terminal that output goes to; None where it goes elsewhere, and lines may have any length."""
    return shutil.get_terminal_size().columns if on_terminal() else None


def summary_markdown(results: BenchmarkResults, width: int | None = None) -> str:
    """The whole summary: what was run, the table, failed runs, how to read it.

    Args:
        results: what is there.
        width: columns that lines and tables must fit; None for no limit.
    """
    done = sum(run.evaluation.status == "success" for run in results.runs)
    planned = len(results.planned_runs)
    partly = f", {len(results.partly_trained)} of them trained only in part" if results.partly_trained else ""
    head = [
        "# Architecture benchmark",
        "",
        f"Architectures: {len(results.architectures)}, levels: {len(results.levels)}, seeds: {len(results.seeds)}, "
        f"agent-steps per run: {results.max_timesteps:,}; {done} of {planned} runs evaluated"
        f"{'' if results.end_time else ' so far'}{partly}.",
        "",
    ]
    columns = ("architecture", "level", "evaluation", "seeds", "hearts per agent", "score", "reward", "training")
    header = [*columns, "verdict"]
    cells = [
        [
            row.architecture,
            row.level,
            row.environment,
            str(row.seeds) if row.seeds else "-",
            row.hearts.text(HEARTS.digits),
            "-" if row.score is None else row.score.text(SCORE.digits),
            row.reward.text(REWARD.digits),
            "-" if row.training_seconds is None else f"{row.training_seconds:.0f} s",
            row.verdict,
        ]
        for row in summary_rows(results)
    ]
    failed = [
        f"- run {run.run_number} `{run.training.run_name}`: {run.training.error or run.evaluation.error}"
        for run in results.runs
        if "failed" in (run.training.status, run.evaluation.status)
    ]
    untuned = "Not tuned: its learning rate was not chosen for it, while those of the others were. "
    foot = [
        "",
        "Means over seeds with 95 % intervals in square brackets (Student's t over seeds); below three seeds the seeds "
        "one by one. Score: hearts per agent on the scale from random (0) to scripted (1); above blind: more than any "
        f"player that sees nothing. {untuned if results.untuned else ''}Training: mean seconds per run.",
    ]
    lines = [*head, *_tables(header, cells, width), *foot, *(["", "Failed runs:", "", *failed] if failed else [])]
    return "\n".join(wrapped(lines, width))


def _tables(header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """One table; where it would be too wide, two for every level and evaluation environment, without the reward."""
    whole = aligned_table(header, rows)
    if width is None or len(whole[0]) <= width:
        return whole
    lines: list[str] = []
    for level, environment in dict.fromkeys((row[1], row[2]) for row in rows):
        own = [row for row in rows if (row[1], row[2]) == (level, environment)]
        lines += ["", f"{level}, {environment}:"]
        for columns in (("hearts per agent", "verdict"), ("seeds", "score", "training")):
            places = [0, *map(header.index, columns)]
            cells = [[row[place] for place in places] for row in own]
            lines += ["", *aligned_table([header[place] for place in places], cells, width)]
    return lines[1:]


def wrapped(lines: Sequence[str], width: int | None) -> list[str]:
    """Lines of text broken so that they fit; those of tables are left as they are."""
    if width is None:
        return list(lines)
    broken = [
        [line]
        if line.startswith("|")
        else textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]
        for line in lines
    ]
    return [line for own in broken for line in own]


def aligned_table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """A Markdown table whose columns line up as plain text, too.

    Args:
        header: names of the columns.
        rows: cells.
        width: characters that a line may have; a wider table is cut into several that repeat the first column, from
            which columns that hold the same everywhere are left out.
    """
    whole = _aligned(header, rows, range(len(header)))
    if width is None or len(whole[0]) <= width:
        return whole
    told = [place for place in range(1, len(header)) if len(rows) > 1 and len({row[place] for row in rows}) == 1]
    lines = [f"{header[place]}: {rows[0][place]}" for place in told]
    left = [place for place in range(1, len(header)) if place not in told]
    while left:
        count = 1
        while count < len(left) and len(_aligned(header, rows, [0, *left[: count + 1]])[0]) <= width:
            count += 1
        lines += ["", *_aligned(header, rows, [0, *left[:count]])]
        left = left[count:]
    return lines[0 if lines[0] else 1 :]


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]], places: Sequence[int]) -> list[str]:
    widths = {place: max(len(row[place]) for row in [header, *rows]) for place in places}
    rules = ["-" * widths.get(place, 0) for place in range(len(header))]
    return [
        "| " + " | ".join(f"{row[place]:{width}}" for place, width in widths.items()) + " |"
        for row in (header, rules, *rows)
    ]


def summary_csv(results: BenchmarkResults) -> str:
    """The table with full numbers; empty cells where there is no value."""
    rows = [
        [*row[:5], *row.hearts[:3], *(row.score or (None,) * 3)[:3], *row.reward[:3], *row[8:]]
        for row in summary_rows(results)
    ]
    hearts, score, reward = ((name, f"{name}_low", f"{name}_high") for name in ("hearts", "score", "reward"))
    own = ("architecture", "level", "environment", "seeds", "agent_steps", "hearts_per_agent")
    return csv_text([[*own, *hearts[1:], *score, *reward, "training_seconds", "verdict"], *rows])


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
