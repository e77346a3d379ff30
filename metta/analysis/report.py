"""Write the report of a benchmark: `uv run python -m metta.analysis.report RESULTS... [--output report.html]`.

RESULTS are results files, or folders that hold one. Written are one page that needs nothing else, and beside it a
folder of the same name with every table as CSV, with `--figures` every figure as SVG and PNG, too.
"""

import sys
from pathlib import Path

from metta.analysis.command import results_parser
from metta.analysis.figures import Figure, png, svg
from metta.analysis.file_memory import FileMemory
from metta.analysis.findings import Findings, find
from metta.analysis.frames import results_frame
from metta.analysis.gather import Gathered, combine, gather
from metta.analysis.page import Report, page
from metta.analysis.results import REPORT_NAME, BenchmarkResults
from metta.analysis.scoreboard import ladder_figure
from metta.analysis.topics import all_sections, cost, learning, levels, result
from metta.base.addresses import local_path
from metta.base.endings import command
from metta.base.errors import InputError
from metta.base.files import make_folder, write_atomically


def refresh_report(results_file: Path, results: BenchmarkResults, memory: FileMemory) -> str | None:
    """Write or refresh the report beside a results file; returns why not, in a sentence, if the results forbid it.

    Args:
        results_file: run folders are looked for beside it.
        results: what it holds.
        memory: what was read before; only run files that have changed are read again.

    Raises:
        RunError: the disk is full.
    """
    try:
        benchmark = combine({results_file: results}, memory)
        _write(report(benchmark, results_file.parent), benchmark, results_file.parent / REPORT_NAME)
    except InputError as error:
        return str(error)
    return None


def report(benchmark: Gathered, home: Path) -> Report:
    """The page with its tables and figures; `home` is the folder it will lie in."""
    found = find(benchmark)
    sections = all_sections(benchmark, found, home)
    headline = result.headline(benchmark, found)
    return page(benchmark, result.title(benchmark), headline, result.status(benchmark), sections)


def published_figures(benchmark: Gathered, found: Findings) -> dict[str, Figure]:
    """Name -> the figures of docs/results.md: the ladder, curves and hearts by level, efficiency, cost."""
    made = [
        *([ladder_figure(benchmark)] if len(benchmark.levels) > 1 else []),
        *(figure for level in benchmark.levels for figure in levels.figures(benchmark, level)),
        *learning.efficiency_figures(benchmark, found, learning.learning_of(benchmark)),
        *cost.figures(benchmark, found),
    ]
    return {figure.name: figure for figure in made}


def _write(made: Report, benchmark: Gathered, output: Path) -> Path:
    folder = output.with_suffix("")
    make_folder(folder)
    for table in made.tables:
        write_atomically(folder / f"{table.name}.csv", table.csv())
    write_atomically(folder / "runs.csv", results_frame(benchmark).to_csv(index=False, lineterminator="\n"))
    write_atomically(output, made.html)
    return folder


@command
def main(words: list[str]) -> int:
    """Run the command."""
    parser = results_parser(prog="python -m metta.analysis.report", description="Write the report of a benchmark.")
    parser.add_argument("--output", type=local_path, metavar="FILE", help="the page (default: report.html there)")
    parser.add_argument("--figures", action="store_true", help="write every figure as SVG and PNG, too")
    given = parser.parse_args(words)
    benchmark = gather(given.results)
    output = given.output or next(iter(benchmark.sources)).parent / REPORT_NAME
    if not output.suffix or output.is_dir():
        raise InputError(f"--output {output} must be the name of a page, like report.html.")
    make_folder(output.parent)
    made = report(benchmark, output.parent)
    folder = _write(made, benchmark, output)
    for figure in made.figures if given.figures else []:
        write_atomically(folder / f"{figure.name}.svg", svg(figure.spec))
        write_atomically(folder / f"{figure.name}.png", png(figure.spec))
    print(f"Report: {output} (tables{' and figures' if given.figures else ''} in {folder})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
