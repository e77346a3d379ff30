"""Keeps evaluations of plans: `uv run python -m experiments.plans.collect ARCHIVE...` adds rows to learning_runs.csv.

A row is one evaluation of a finished run; a newer row of the same run replaces an older one. The table that is printed
has the mean over seeds of every variant. The generated tables of docs/protocol.md are written again.
"""

import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from experiments.plans.learning import ABLATIONS, CURRICULA, LEVELS, Settings, label, words
from metta.analysis.intervals import estimate
from metta.analysis.summary import aligned_table
from metta.analysis.verdicts import judge
from metta.base.addresses import local_path
from metta.base.endings import report_errors
from metta.base.files import write_atomically
from metta.base.flags import Parser
from metta.base.markers import between_markers
from metta.base.provenance import REPOSITORY
from metta.lab.archive import read_archive

FILE = Path(__file__).parent / "learning_runs.csv"
PAGE = REPOSITORY / "docs" / "protocol.md"
RUN = ["level", "architecture", "variant", "seed", "environment"]
"""Columns that tell evaluations apart."""


def main() -> int:
    """Add the runs of the archives and print the table; returns the exit status."""
    parser = Parser("python -m experiments.plans.collect", str(__doc__))
    parser.add_argument("archives", nargs="*", metavar="ARCHIVE", help="archives of batch.py (.tar.gz)")
    given = parser.parse_args()
    rows = read_rows()
    for archive in given.archives:
        new = [row for name, record in read_archive(local_path(archive)).items() for row in rows_of(name, record)]
        rows = pandas.concat([rows, pandas.DataFrame(new, columns=rows.columns)])
    if given.archives:
        rows = rows.drop_duplicates(RUN, keep="last").sort_values(RUN)
        write_atomically(FILE, rows.to_csv(index=False, lineterminator="\n"))
    found = hearts_over_seeds(rows)
    cells = [
        [*name, f"{statistics.fmean(values):.2f}", " ".join(f"{value:.2f}" for value in values)]
        for name, values in found.items()
    ]
    print("\n".join(aligned_table(["level", "architecture", "variant", "mean", "seeds"], cells)))
    for name, part in page_parts(found).items():
        between_markers(PAGE, name, part)
    return 0


def read_rows() -> pandas.DataFrame:
    """The rows that are kept, as texts."""
    return pandas.read_csv(FILE, dtype=str, keep_default_na=False)


def rows_of(name: str, record: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The rows of one record; none of a run that is not finished.

    Args:
        name: of the line of the plan; two lines with the same settings share the record of one run.
        record: as `read_archive` gives it.
    """
    if not record.get("evaluation"):
        return
    configuration = record["configuration"]
    for environment, result in record["evaluation"]["results"].items():
        yield {
            "variant": name.split(f".{configuration['architecture']}.")[0],
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


Hearts = Mapping[tuple[str, str, str], Sequence[float]]
"""Level, architecture and variant -> hearts per agent in `basic` of each seed."""


def page_parts(found: Hearts) -> dict[str, str]:
    """Name -> the part of docs/protocol.md: hearts per agent of `fast` in `basic`, mean and interval over seeds.

    Bold is what is told apart from the first row: by the verdicts of a benchmark, with the variants of a level as its
    architectures.
    """

    def apart(variants: Mapping[str, Settings], level: int) -> set[str]:
        scores = {name: found.get((LEVELS[level], "fast", label(name))) for name in variants}
        known = {name: np.array(values)[:, None] for name, values in scores.items() if values}
        first = next(iter(variants))
        return {v.b for v in judge(known) if v.a == first and v.better is not None} if first in known else set()

    def part(variants: Mapping[str, Settings], levels: Sequence[int]) -> str:
        head = ["", "settings", *(f"level {level}" for level in levels)]
        lines, bold = [], {level: apart(variants, level) for level in levels}
        for name, settings in variants.items():
            cells = []
            for level in levels:
                values = found.get((LEVELS[level], "fast", label(name)))
                text = "" if values is None else estimate(values, lowest=0.0).text(2)
                cells.append(f"**{text}**" if name in bold[level] else text)
            lines.append([name, "<br>".join(f"`{word}`" for word in words(settings)), *cells])
        return "\n".join(aligned_table(head, lines))

    return {"ablation": part(ABLATIONS, (1, 3, 5)), "curriculum": part(CURRICULA, (5,))}


def hearts_over_seeds(rows: pandas.DataFrame) -> Hearts:
    """Of the rows in the environment `basic`."""
    basic = rows[rows["environment"] == "basic"].astype({"hearts_per_agent": float})
    return basic.groupby(RUN[:3])["hearts_per_agent"].apply(list).to_dict()


if __name__ == "__main__":
    sys.exit(report_errors(main))
