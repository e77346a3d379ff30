"""What a section of the report is made of: paragraphs, tables (which are CSV files, too), figures."""

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from metta.analysis.figures import Figure
from metta.analysis.intervals import Estimate
from metta.analysis.metrics import Metric
from metta.analysis.summary import csv_text


class Link(NamedTuple):
    """A page to go to."""

    text: str
    label: str
    """What screen readers say, complete without its row."""
    address: str
    """Relative to the report; from the program, never from data as it is."""
    picture: str = ""
    """Above the text; an address that holds it."""


Cell = str | int | float | Estimate | Link | None
"""Text, a number, a mean with its interval, a link, or nothing."""


class Column(NamedTuple):
    """Of a table."""

    title: str
    digits: int = 3
    shade: tuple[float, float] | None = None
    """Values of no and of full colour behind the cells."""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    words: str
    code: str = ""
    """A command at its end."""
    note: bool = False
    """It is a warning."""
    links: Sequence[Link] = ()
    """After the words."""


class Row(NamedTuple):
    """A cell as the page shows it."""

    text: str
    order: float | str
    """What sorting compares."""
    number: bool
    share: float | None
    """Of full colour."""
    link: Link | None


@dataclass(frozen=True)
class Table:
    """Rows under a header; the first column names the row."""

    name: str
    """Of its file."""
    title: str
    header: Sequence[Column | Metric | str]
    rows: Sequence[Sequence[Cell]]
    folded: bool = False
    """It is folded away on the page."""
    marks: Set[tuple[str, str]] = frozenset()
    """First cell of the row and title of the column -> the cell is marked."""

    @property
    def columns(self) -> list[Column]:
        """Of the header, as columns."""
        found = []
        for item in self.header:
            if isinstance(item, Metric):
                item = Column(item.title, item.digits)
            found.append(item if isinstance(item, Column) else Column(item))
        return found

    @property
    def numbers(self) -> set[int]:
        """Places of the columns that hold numbers alone."""
        return {
            place
            for place in range(len(self.header))
            if self.rows and not any(isinstance(row[place], str | Link) for row in self.rows)
        }

    def shown(self) -> list[list[Row]]:
        """Every cell as the page shows it."""
        return [
            [
                _shown(cell, column, (row[0], column.title) in self.marks)
                for cell, column in zip(row, self.columns, strict=True)
            ]
            for row in self.rows
        ]

    def csv(self) -> str:
        """With full numbers; a mean with its interval takes three columns; empty where there is nothing."""
        wide = [any(isinstance(row[place], Estimate) for row in self.rows) for place in range(len(self.header))]
        columns = zip(self.columns, wide, strict=True)
        header = [
            f"{column.title}{end}" for column, three in columns for end in ("", " low", " high")[: 3 if three else 1]
        ]
        return csv_text(
            [
                header,
                *(
                    [part for cell, three in zip(row, wide, strict=True) for part in _parts(cell, three)]
                    for row in self.rows
                ),
            ]
        )


def _parts(cell: Cell, three: bool) -> list[str | int | float | None]:
    if isinstance(cell, Estimate):
        return list(cell[:3])
    plain = cell.address if isinstance(cell, Link) else cell
    # Text that a spreadsheet would take for a formula is given an apostrophe, as usual.
    if isinstance(plain, str) and plain[:1] in ("=", "+", "-", "@", "\t", "\r"):
        plain = f"'{plain}"
    return [plain, None, None] if three else [plain]


def _shown(cell: Cell, column: Column, marked: bool) -> Row:
    value = cell.mean if isinstance(cell, Estimate) else cell
    share = None
    if column.shade and isinstance(value, int | float):
        low, high = column.shade
        share = min(1.0, max(0.0, (value - low) / ((high - low) or 1.0)))
    order = (
        value if isinstance(value, int | float) else -math.inf if value is None else str(getattr(value, "text", value))
    )
    return Row(
        text_of(cell, column.digits) + (" ●" if marked else ""),
        order if not isinstance(order, float) or math.isfinite(order) else "",
        not isinstance(cell, str | Link),
        share,
        cell if isinstance(cell, Link) else None,
    )


def text_of(cell: Cell, digits: int = 3) -> str:
    """A cell for people."""
    if cell is None:
        return "-"
    if isinstance(cell, Link):
        return cell.text
    if isinstance(cell, Estimate):
        return cell.text(digits)
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 1000:
        return f"{cell:,.0f}"
    if cell == 0 or round(cell, digits) != 0:
        return f"{cell:z.{digits}f}"
    return f"{cell:.1g}"


Block = Text | Table | Figure


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    id: str
    title: str
    blocks: Sequence[Block]


def counted(number: int, thing: str) -> str:
    """`1 run`, `3 runs`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"
