"""Keeps evaluations of plans: `uv run python -m experiments.plans.collect ARCHIVE...` adds rows to learning_runs.csv.

A row is one evaluation of a finished run; a newer row of the same run replaces an older one. The table that is printed
has the mean over seeds of every variant. The generated tables of docs/protocol.md are written again.
"""

import csv
import io
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.plans.learning import ABLATIONS, CURRICULA, LEVELS, Settings, label, words
from metta.analysis.intervals import estimate
from metta.analysis.summary import aligned_table
from metta.base.addresses import local_path
from metta.base.endings import report_errors
from metta.base.files import write_atomically
from metta.base.flags import Parser
from metta.base.markers import between_markers
from metta.base.provenance import REPOSITORY
from metta.lab.archive import read_archive

FILE = Path(__file__).parent / "learning_runs.csv"
PAGE = REPOSITORY / "docs" / "protocol.md"
COLUMNS = (
    *("variant", "architecture", "level", "seed", "environment", "hearts_per_agent"),
    *("timesteps", "training_seconds", "commit", "trainer"),
)
Row = Mapping[str, str]


def main() -> int:
    """Add the runs of the archives and print the table; returns the exit status."""
    parser = Parser("python -m experiments.plans.collect", str(__doc__))
    parser.add_argument("archives", nargs="*", metavar="ARCHIVE", help="archives of batch.py (.tar.gz)")
    given = parser.parse_args()
    rows = read_rows(FILE)
    for archive in given.archives:
        rows |= {key_of(row): row for record in read_archive(local_path(archive)).values() for row in rows_of(record)}
    if given.archives:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[key] for key in sorted(rows))
        write_atomically(FILE, text.getvalue())
    print("\n".join(table(rows)))
    for name, part in page_parts(rows).items():
        between_markers(PAGE, name, part)
    return 0


def read_rows(file: Path) -> dict[tuple[str, ...], Row]:
    """The rows of the file by what tells them apart; none without a file."""
    if not file.exists():
        return {}
    with file.open(newline="", encoding="utf-8") as opened:
        return {key_of(row): row for row in csv.DictReader(opened)}


def key_of(row: Row) -> tuple[str, ...]:
    """What tells evaluations apart: run, environment and settings."""
    return tuple(row[name] for name in ("level", "architecture", "variant", "trainer", "seed", "environment"))


def rows_of(record: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of one record; none of a run that is not finished."""
    if not record.get("evaluation"):
        return
    configuration = record["configuration"]
    for environment, result in record["evaluation"]["results"].items():
        yield {
            "variant": record["run"].split(f".{configuration['architecture']}.")[0],
            "architecture": configuration["architecture"],
            "level": configuration["level"],
            "seed": str(configuration["seed"]),
            "environment": environment,
            "hearts_per_agent": f"{result['hearts_per_agent']:.4f}",
            "timesteps": str(record["status"]["timesteps"]),
            "training_seconds": f"{record['status']['training_seconds']:.0f}",
            "commit": str(record["starts"][-1]["code"].get("commit")),
            "trainer": json.dumps(configuration["trainer"], sort_keys=True),
        }


def page_parts(rows: Mapping[tuple[str, ...], Row]) -> dict[str, str]:
    """Name -> the part of docs/protocol.md: hearts per agent of `fast` in `basic`, mean and interval over seeds."""
    found = hearts_over_seeds(rows)

    def part(variants: Mapping[str, Settings], levels: Sequence[int]) -> str:
        head = ["", "settings", *(f"level {level}" for level in levels)]
        lines = []
        for name, settings in variants.items():
            hearts = [found.get((LEVELS[level], "fast", label(name))) for level in levels]
            cells = ["" if values is None else estimate(values, lowest=0.0).text(2) for values in hearts]
            lines.append([name, "<br>".join(f"`{word}`" for word in words(settings)), *cells])
        return "\n".join(aligned_table(head, lines))

    return {"ablation": part(ABLATIONS, (1, 3, 5)), "curriculum": part(CURRICULA, (5,))}


def hearts_over_seeds(rows: Mapping[tuple[str, ...], Row]) -> dict[tuple[str, str, str], list[float]]:
    """Level, architecture and variant -> hearts per agent in `basic` of each seed."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for _, row in sorted(rows.items()):
        if row["environment"] == "basic":
            key = (row["level"], row["architecture"], row["variant"])
            found.setdefault(key, []).append(float(row["hearts_per_agent"]))
    return found


def table(rows: Mapping[tuple[str, ...], Row]) -> list[str]:
    """Hearts per agent in `basic`: mean over seeds, and each seed's."""
    cells = [
        [*name, f"{statistics.fmean(values):.2f}", " ".join(f"{value:.2f}" for value in values)]
        for name, values in hearts_over_seeds(rows).items()
    ]
    return aligned_table(["level", "architecture", "variant", "mean", "seeds"], cells)


if __name__ == "__main__":
    sys.exit(report_errors(main))
