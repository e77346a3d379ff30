"""Generated parts of pages: replaced between their markers, and nothing else."""

from pathlib import Path

import pytest

from metta.base.errors import InputError
from metta.base.markers import between_markers, read_between


def test_only_what_stands_between_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- /a -->\nafter\n<!-- b --><!-- /b -->\n")
    between_markers(page, "a", "new\nlines")
    assert read_between(page, "a") == "new\nlines"
    assert read_between(page, "b") == ""
    between_markers(page, "a", "newer")
    assert page.read_text() == "before\n<!-- a -->\n\nnewer\n\n<!-- /a -->\nafter\n<!-- b --><!-- /b -->\n"


@pytest.mark.parametrize("text", ["", "<!-- a -->", "<!-- /a --><!-- a -->"])
def test_missing_markers_are_named(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(InputError, match="no part between <!-- a -->"):
        between_markers(page, "a", "new")
