"""The generated part of a page: what stands between `<!-- name -->` and `<!-- /name -->`, read and replaced."""

from pathlib import Path

from metta.base.errors import InputError
from metta.base.files import write_atomically


def read_between(page: Path, name: str) -> str:
    """The text between the markers, without the empty lines around it. Raises `InputError` if they are missing."""
    return _parts(page, name)[1].strip("\n")


def between_markers(page: Path, name: str, text: str) -> None:
    """Replace the text between the markers. Raises `InputError` if they are missing."""
    before, _, after = _parts(page, name)
    write_atomically(page, f"{before}\n\n{text}\n\n{after}")


def _parts(page: Path, name: str) -> tuple[str, str, str]:
    """The page up to and with the opening marker, what follows, and the page from the closing marker on."""
    whole = page.read_text(encoding="utf-8")
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = whole.partition(opening)
    inside, closed, after = rest.partition(closing)
    if not found or not closed:
        raise InputError(f"{page} has no part between {opening} and {closing}.")
    return before + opening, inside, closing + after
