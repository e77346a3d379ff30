"""A table of the report: the same rows as HTML, CSV and Markdown."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from metta.analysis.intervals import Interval
from metta.analysis.markup import Markup, element
from metta.analysis.summary import aligned_table


class Link(NamedTuple):
    """A page to go to."""

    text: str
    label: str
    """What screen readers say, complete without its row."""
    address: str
    """Relative to the report; from the program, never from data as it is."""


Cell = str | int | float | Link | None
"""Text, a number, a link, or nothing."""


@dataclass(frozen=True)
class Table:
    """Rows under a header; the first column names the row."""

    name: str
    """Of its files."""
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    open: bool = True
    """False: folded away on the page."""

    def html(self) -> Markup:
        """As an element that scrolls sideways by itself where it is too wide."""
        head = element("tr", [element("th", text, scope="col") for text in self.header])
        body = [element("tr", [self._cell(place, cell) for place, cell in enumerate(row)]) for row in self.rows]
        table = element("table", element("caption", self.title), element("thead", head), element("tbody", body))
        return scrolling(table, self.title)

    @staticmethod
    def _cell(place: int, cell: Cell) -> Markup:
        if place == 0:
            return element("th", shown(cell), scope="row")
        if isinstance(cell, Link):
            return element("td", element("a", cell.text, href=cell.address, aria_label=cell.label))
        return element("td", shown(cell), class_=None if isinstance(cell, str) else "number")

    def csv(self) -> str:
        """With full numbers; empty where there is nothing."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_columns(self.header))
        writer.writerows([[_spreadsheet(cell) for cell in row] for row in self.rows])
        return text.getvalue()

    def markdown(self) -> str:
        """With a heading and rounded numbers."""
        rows = [[_markdown(shown(cell)) for cell in row] for row in self.rows]
        heading = f"# {_markdown(self.title)}"
        return "\n".join([heading, "", *aligned_table([_markdown(text) for text in self.header], rows)]) + "\n"


def _columns(header: Sequence[str]) -> list[str]:
    """Names that differ: the ends of an interval, and what is repeated, are called after what they belong to."""
    names: list[str] = []
    owner = ""
    for text in header:
        end = "low" if text in ("from", "95 % from") else "high" if text == "to" else text
        belongs = end != text or text in names
        owner = owner if belongs else text
        names.append(f"{owner} {end}" if belongs else text)
    return names


def _spreadsheet(cell: Cell) -> Cell:
    """Text that a spreadsheet would take for a formula is given an apostrophe, as usual; a link is its address."""
    if cell == "-":
        return None
    if isinstance(cell, Link):
        cell = cell.address
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _markdown(text: str) -> str:
    """Text with everything that Markdown or HTML inside it would act on taken literally, on one line."""
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{character}" if character in "\\`*[]|" else character for character in line)


def scrolling(content: Markup, name: str) -> Markup:
    """Content in a region that scrolls sideways, by keyboard too."""
    return element("div", content, class_="scroll", tabindex="0", role="region", aria_label=name)


def shown(cell: Cell) -> str:
    """A cell for people."""
    if cell is None:
        return "-"
    if isinstance(cell, Link):
        return cell.address
    if isinstance(cell, bool | str):
        return str(cell)
    if isinstance(cell, int):
        return f"{cell:,}"
    if abs(cell) >= 100:
        return f"{cell:,.0f}"
    if abs(cell) >= 0.01 or cell == 0:
        return f"{cell:.3f}"
    # Two digits that count, never an exponent; z: what rounds to zero has no sign.
    return f"{cell:z.{min(5, 1 - math.floor(math.log10(abs(cell))))}f}"


def ends(interval: Interval) -> tuple[float, float | None, float | None]:
    """Three cells of an interval."""
    return interval.mean, interval.low, interval.high
