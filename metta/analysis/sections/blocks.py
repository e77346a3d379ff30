"""What a section of the report is made of, and words that several of them need."""

from collections.abc import Sequence
from dataclasses import dataclass

from metta.analysis.markup import Child, Markup, element
from metta.analysis.table import Table


@dataclass(frozen=True)
class Figure:
    """A drawing, what to read from it, and its numbers."""

    name: str
    """Of its file."""
    title: str
    svg: Markup
    caption: str
    table: Table | None = None


Block = Markup | Figure | Table


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


def paragraph(*children: Child, class_: str | None = None) -> Markup:
    """A paragraph."""
    return element("p", *children, class_=class_)


NOT_YET = "Nothing to compare yet: there is no level on which every architecture with results has one."


def capital(text: str) -> str:
    """With a capital at the start."""
    return text[:1].upper() + text[1:]


def file_part(text: str) -> str:
    """Text as part of a file name."""
    return "".join(character if character.isalnum() or character in "-_" else "_" for character in text)[:80]
