"""Main effects and interaction of two crossed factors, each with what so many seeds can say.

The table of cells is read in two ways. Rows are compared as architectures are, with the columns in the place of the
levels: a row's mean weighs every column alike, and who is better is said by the same verdicts
(`metta/analysis/verdicts.py`). The interaction of a cell is what is left of its mean after its row's and its column's;
its interval is Student's t with the variance pooled over cells, and one F test asks whether all of them are zero
(Searle 1987, the weighted squares of means; with equal numbers of seeds the usual analysis of variance).

R rows, C columns.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metta.analysis.intervals import CONFIDENCE, Estimate, estimate, interval_text, mean_over_levels, t_quantile
from metta.analysis.summary import aligned_table, wrapped
from metta.analysis.verdicts import Verdict, judge, squared_deviations

Cells = Mapping[tuple[str, str], Sequence[float]]
"""(row, column) -> the value of each seed."""


class Interaction(NamedTuple):
    """What is left of the cells' means after rows and columns."""

    cells: dict[tuple[str, str], Estimate]
    """With intervals; without where no cell has two seeds."""
    p: float | None
    """Of the F test that every one of them is zero; None where it cannot be made."""


def main_effect(cells: Cells, axis: int) -> dict[str, Estimate]:
    """Mean over the other factor of the mean over seeds, for each level of the factor `axis` (0 rows, 1 columns)."""
    return {name: mean_over_levels(columns) for name, columns in _lines(cells, axis).items()}


def main_verdicts(cells: Cells, axis: int) -> list[Verdict]:
    """Which levels of the factor `axis` differ, mean over the other factor."""
    matrices = {}
    for name, columns in _lines(cells, axis).items():
        matrix = np.full((max(map(len, columns)), len(columns)), np.nan)
        for place, values in enumerate(columns):
            matrix[: len(values), place] = values
        matrices[name] = matrix
    return judge(matrices)


def interaction(cells: Cells) -> Interaction:
    """Interaction of every cell. Raises `ValueError` where a cell is missing or empty."""
    names = list(cells)
    rows, columns = _names(cells, 0), _names(cells, 1)
    lines = _lines(cells, 0)
    values = [[np.asarray(each, dtype=np.float64) for each in lines[row]] for row in rows]
    means = np.array([[each.mean() for each in line] for line in values])
    counts = np.array([[each.size for each in line] for line in values])
    degrees = int((counts - 1).sum())
    left = _without_margins(len(rows)), _without_margins(len(columns))
    rest = left[0] @ means @ left[1]
    if degrees == 0:
        return Interaction(
            {(r, c): Estimate(rest[i, j]) for i, r in enumerate(rows) for j, c in enumerate(columns)}, None
        )
    variance = math.fsum(float(squared_deviations(each)) for line in values for each in line) / degrees
    # Every interaction is a linear function of the cells' means: [R C, R C].
    contrasts = np.kron(*left)
    covariance = contrasts @ np.diag(1 / counts.ravel()) @ contrasts.T
    halves = t_quantile(0.5 + CONFIDENCE / 2, degrees) * np.sqrt(variance * np.diag(covariance))
    found = {
        (row, column): Estimate(value, value - half, value + half)
        for (row, column), value, half in zip(
            ((row, column) for row in rows for column in columns), rest.ravel(), halves, strict=True
        )
    }
    return Interaction({name: found[name] for name in names}, _p_of_all(rest, covariance, variance, degrees))


def effects_text(title: str, factors: tuple[str, str], cells: Cells, width: int | None = None) -> str:
    """Cells, main effects, verdicts and interaction as Markdown; where a cell is empty, the cells alone.

    Args:
        title: what was measured where.
        factors: what rows and columns are.
        cells: as above, some perhaps without a value yet.
        width: characters that a line of a table may have.
    """
    rows, columns = _names(cells, 0), _names(cells, 1)
    whole = all(cells.values())
    rest = interaction(cells) if whole else None
    table = [[name, *(_cell_text(cells[row, name]) for row in rows)] for name in columns]
    lines = [f"## {title}", "", *aligned_table([factors[1], *rows], table, width)]
    if rest is None:
        missing = ", ".join(" with ".join(name) for name, values in cells.items() if not values)
        return "\n".join([*lines, "", f"Effects need a run of every cell; missing: {missing}."])
    for axis, factor in enumerate(factors):
        effects = sorted(main_effect(cells, axis).items(), key=lambda item: -item[1].mean)
        lines += ["", *aligned_table([factor, "mean"], [[name, found.text(2)] for name, found in effects], width), ""]
        verdicts = main_verdicts(cells, axis)
        apart = [verdict.words for verdict in verdicts if verdict.better is not None]
        said = f"{len(apart)} of {len(verdicts)} pairs are told apart{': ' if apart else ''}{'; '.join(apart)}."
        lines += wrapped([said], width)
    table = [[name, *(interval_text(rest.cells[row, name].plain, "{:+.2f}") for row in rows)] for name in columns]
    tested = "cannot be tested with these seeds" if rest.p is None else f"F test of all of it: p = {rest.p:.2g}"
    explained = f"Interaction, what is left of a cell's mean after its row's and its column's ({tested}):"
    return "\n".join([*lines, "", *wrapped([explained], width), "", *aligned_table([factors[1], *rows], table, width)])


def _cell_text(values: Sequence[float]) -> str:
    return estimate(values).text(2) if values else "no run"


def _p_of_all(
    rest: NDArray[np.float64], covariance: NDArray[np.float64], variance: float, degrees: int
) -> float | None:
    rank = (rest.shape[0] - 1) * (rest.shape[1] - 1)
    if rank == 0 or variance == 0:
        return None
    from scipy.stats import f  # takes a second to import

    flat = rest.ravel()
    return float(f.sf(flat @ np.linalg.pinv(covariance) @ flat / (rank * variance), rank, degrees))


def _without_margins(count: int) -> NDArray[np.float64]:
    """What takes the mean off: [count, count]."""
    return np.eye(count) - 1 / count


def _names(cells: Cells, axis: int) -> list[str]:
    return list(dict.fromkeys(name[axis] for name in cells))


def _lines(cells: Cells, axis: int) -> dict[str, list[Sequence[float]]]:
    """For each level of one factor the seeds of every level of the other. Raises `ValueError` for a missing cell."""
    others = _names(cells, 1 - axis)
    lines = {}
    for name in _names(cells, axis):
        keys = [(name, other) if axis == 0 else (other, name) for other in others]
        missing = [key for key in keys if not cells.get(key)]
        if missing:
            raise ValueError(f"no value of {' with '.join(missing[0])}")
        lines[name] = [cells[key] for key in keys]
    return lines
