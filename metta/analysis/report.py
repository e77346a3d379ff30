"""Write the report of a benchmark: `uv run python -m metta.analysis.report RESULTS... [--output report.html]`.

RESULTS are results files, or folders that hold one. Written are one page that needs nothing else, and beside it a
folder of the same name with every table as CSV and Markdown and every figure as SVG.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from metta.analysis.command import results_parser
from metta.analysis.file_memory import FileMemory
from metta.analysis.findings import find
from metta.analysis.gather import combine, gather
from metta.analysis.page import Report, report
from metta.analysis.results import REPORT_NAME, BenchmarkResults
from metta.analysis.svg import standalone
from metta.base.addresses import local_path
from metta.base.endings import report_errors
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
        _write(report(benchmark, find(benchmark), results_file.parent), results_file.parent / REPORT_NAME)
    except InputError as error:
        return str(error)
    return None


def _write(made: Report, output: Path) -> Path:
    folder = output.with_suffix("")
    make_folder(folder)
    for table in made.tables:
        write_atomically(folder / f"{table.name}.csv", table.csv())
        write_atomically(folder / f"{table.name}.md", table.markdown())
    for figure in made.figures:
        write_atomically(folder / f"{figure.name}.svg", standalone(figure.svg))
    write_atomically(output, made.html)
    return output


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return report_errors(lambda: _report(arguments))


def _report(arguments: Sequence[str] | None) -> int:
    parser = results_parser(prog="python -m metta.analysis.report", description="Write the report of a benchmark.")
    parser.add_argument("--output", type=local_path, metavar="FILE", help="the page (default: report.html there)")
    given = parser.parse_args(arguments)
    benchmark = gather(given.results)
    output = given.output or next(iter(benchmark.sources)).parent / REPORT_NAME
    if not output.suffix or output.is_dir():
        raise InputError(f"--output {output} must be the name of a page, like report.html.")
    make_folder(output.parent)
    _write(report(benchmark, find(benchmark, given.seed), output.parent), output)
    print(f"Report: {output} (tables and figures in {output.with_suffix('')})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
