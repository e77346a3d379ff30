"""docs/statistics.md holds what its command simulates, and verdicts keep their promise."""

import subprocess
import sys

import pytest

from benchmarks.verdicts import PAGE, errors_table, intervals_table, power_table
from metta.base.markers import read_between
from metta.base.provenance import REPOSITORY


def rows(table: str) -> list[list[str]]:
    """The cells of a table's body."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_page_says_that_less_than_five_percent_are_false_with_equal_seeds() -> None:
    found = [row for row in rows(read_between(PAGE, "errors")) if row[1].isdigit()]
    assert len(found) == 12
    assert all(float(cell.rstrip(" %")) < 5 for row in found for cell in row[2:4])


def test_with_three_seeds_the_page_says_that_much_smaller_differences_show() -> None:
    (few,) = [row for row in rows(read_between(PAGE, "power")) if row[:2] == ["13", "3"]]
    assert float(few[2]) < float(few[3]) / 5


def test_a_small_simulation_has_every_row_of_the_page() -> None:
    for name, made in (
        ("errors", errors_table(50)),
        ("power", power_table(50)),
        ("intervals", intervals_table(50)),
    ):
        assert [row[:2] for row in rows(made)] == [row[:2] for row in rows(read_between(PAGE, name))]


def test_intervals_of_normal_seeds_cover_what_they_promise() -> None:
    found = rows(read_between(PAGE, "intervals"))
    assert all(94 <= float(row[2].rstrip(" %")) <= 99 for row in found)


@pytest.mark.slow
def test_the_page_is_what_the_command_writes() -> None:
    command = [sys.executable, str(REPOSITORY / "benchmarks" / "verdicts.py"), "--check"]
    assert subprocess.run(command, cwd=REPOSITORY, check=False).returncode == 0
