"""A benchmark in the terminal: `uv run python -m metta.analysis.show RESULTS...`.

RESULTS are results files, or folders that hold one; nothing is written. The same verdicts and numbers as the report's.
"""

import sys
from collections.abc import Sequence

from metta.analysis.blocks import Cell, text_of
from metta.analysis.command import results_parser
from metta.analysis.findings import Findings, find
from metta.analysis.gather import Gathered, gather
from metta.analysis.summary import aligned_table, terminal_width, wrapped
from metta.analysis.topics.result import (
    best_first,
    measure_words,
    standings_table,
    status,
    title,
    verdict_sentences,
)
from metta.base.endings import command


def overview(benchmark: Gathered, found: Findings, width: int | None = None) -> str:
    """Verdicts, the overall table, every level, and the runs that failed, as lines of text.

    Args:
        benchmark: what is there.
        found: what was computed of it.
        width: columns that lines and tables must fit; None for no limit.
    """
    lines = [title(benchmark), status(benchmark), ""]
    lines += [f"- {sentence}" for sentence in verdict_sentences(benchmark, found)]
    lines += ["", measure_words(found)]
    digits = found.measure.digits
    if found.compared:
        table = standings_table(benchmark, found)
        rows = [[cell.text for cell in row] for row in table.shown()]
        lines += ["", f"{table.title}:", "", *_aligned([column.title for column in table.columns], rows, width)]
    if found.means and len(benchmark.levels) > 1:
        cells: list[list[Cell]] = [
            [name, *(found.means.get((name, level)) for level in benchmark.levels)]
            for name in best_first(benchmark, found)
        ]
        rows = [[text_of(cell, digits) for cell in row] for row in cells]
        lines += ["", f"Each level, {found.measure.name}, mean over seeds:", ""]
        lines += _aligned(["architecture", *benchmark.levels], rows, width)
    if benchmark.failed:
        lines += ["", "Failed runs:", ""]
        lines += [f"- {run.record.training.run_name}: {run.failure}" for run in benchmark.failed]
    return "\n".join(wrapped([_printable(line) for line in lines], width))


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    return aligned_table(
        [_printable(text) for text in header], [[_printable(cell) for cell in row] for row in rows], width
    )


def _printable(text: str) -> str:
    """Without characters that a terminal would act on: names come from files."""
    return "".join(character if character.isprintable() else "?" for character in text)


@command
def main(words: list[str]) -> int:
    """Run the command."""
    parser = results_parser(
        prog="python -m metta.analysis.show", description="Show a benchmark's results in the terminal."
    )
    given = parser.parse_args(words)
    benchmark = gather(given.results)
    print(overview(benchmark, find(benchmark), terminal_width()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
