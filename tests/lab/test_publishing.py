"""Publishing: complete runs of one core and the levels' own rules get in, once; pages follow from the files."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.recipes.benchmark_architectures.publish import Pages, expected, publish, read_groups
from metta.analysis.results import FILE_NAME, EnvironmentResult, environment_result
from metta.analysis.scoreboard import NOTHING, results_page, scoreboard
from metta.base.addresses import PLAYERS
from metta.base.errors import InputError
from metta.base.markers import read_between
from metta.base.provenance import code_version
from metta.lab.archive import write_archive
from metta.lab.core import core_mark
from metta.lab.publishing import Published
from tests.analysis.records import evaluated

LEVEL, STEPS = "level_1_basic", 1000
HEARTS = {"random": 2.0, "blind": 6.0, "reflex": 30.0, "scripted": 32.0}


def play(level: str) -> dict[str, dict[str, EnvironmentResult]]:
    """The reference players."""
    _, rules = expected("fast", level, STEPS)
    return {
        player: {name: environment_result(evaluated([HEARTS[player]] * 2), mark) for name, mark in rules.items()}
        for player in PLAYERS
    }


def record(architecture: str = "fast", seed: int = 0, hearts: float = 9.0, **changes: Any) -> dict[str, Any]:
    """Of a complete run."""
    settings, rules = expected(architecture, LEVEL, STEPS)
    code = {"commit": changes.pop("commit", "c1"), "modified": changes.pop("modified", False)}
    machine = {"processor": changes.pop("processor", "A"), "gpus": []}
    made: dict[str, Any] = {
        "run": "some-name",
        "settings": settings,
        "parameters": 10_000,
        "configuration": {
            "architecture": architecture,
            "level": LEVEL,
            "seed": seed,
            "system": {"device": "cpu", "threads": 1},
            "trainer": {"total_timesteps": STEPS},
        },
        "starts": [{"time": "2026-01-01T00:00:00+00:00", "code": code, "machine": machine, "packages": {"torch": "9"}}],
        "status": {"trained": True, "timesteps": 1008, "total_timesteps": STEPS, "training_seconds": 60.0},
        "curve": {"timesteps": [504, 1008], "held_out/hearts_per_agent": [2.5, 3.0]},
        "evaluation": {
            "timesteps": 1008,
            "duration_seconds": 2.0,
            "rules": dict(rules),
            "provenance": {"code": code},
            "results": {name: evaluated([hearts] * 2) for name in rules},
            "acting_latency": {"busy": False, "median_milliseconds": 0.5},
        },
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        part = made
        for name in parents:
            part = part[name]
        part[last] = value
    return made


class Place:
    """Pages to publish on, and what the command said."""

    def __init__(self, folder: Path) -> None:
        self.pages = Pages(folder / "published", folder / "README.md", folder / "results.md")
        self.pages.readme.write_text("# Top\n<!-- scoreboard -->\n<!-- /scoreboard -->\nend\n")
        self.pages.results.write_text("<!-- results -->\n<!-- /results -->\n")
        self.said: list[str] = []
        self._folder = folder

    def add(self, *records: dict[str, Any]) -> None:
        """Publish an archive of these."""
        archive = self._folder / "runs.tar.gz"
        write_archive(archive, {str(number): own for number, own in enumerate(records)})
        publish([archive], self.pages, self.said.append, play, mark=lambda commit: "core of " + commit[0])

    def files(self) -> dict[str, bytes]:
        """Everything that is published."""
        home = self.pages.home
        return {str(file.relative_to(home)): file.read_bytes() for file in sorted(home.rglob("*")) if file.is_file()}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_runs_get_in_and_the_pages_show_them(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place.add(*(record(name, seed, 9.0 + seed) for name in ("fast", "vit") for seed in (0, 1)))
    assert place.said == ["4 runs added, 0 repetitions, 0 published before"]
    assert f"{STEPS}/runs/vit.{LEVEL}.s1.json" in place.files()
    assert max(len(content) for name, content in place.files().items() if "/runs/" in name) < 10_000
    board = read_between(place.pages.readme, "scoreboard")
    (row,) = [line for line in board.splitlines() if line.startswith("| fast")]
    assert "9.50 (9.00, 10.00)" in row
    assert "15 %" in row  # (9.5 - 6) / (30 - 6)
    assert f"4 of 6 runs; missing are vit on {LEVEL}, seed 2, fast on {LEVEL}, seed 2" in board  # three seeds are to be
    assert "fast 9.50" in board.partition("\n")[0]  # the result in a sentence
    assert "*reflex*" in board
    page = read_between(place.pages.results, "results")
    assert "10,000" in page
    assert "0.50 ms" in page
    assert place.pages.readme.read_text().endswith("end\n")
    assert "learning" in (place.pages.home / str(STEPS) / "report.html").read_text()
    home = str(place.pages.home).encode()
    assert [name for name, content in place.files().items() if home in content] == []


def test_nothing_changes_when_the_same_is_published_again_and_other_starts_are_repetitions(place: Place) -> None:
    place.add(record("fast"), record("vit"))
    before = place.files()
    place.add(record("vit"), record("fast"))
    assert place.files() == before
    place.add(record("fast", hearts=9.25, processor="B"))
    place.add(record("fast", hearts=9.25, processor="B"))
    assert place.said[2:] == [
        "0 runs added, 1 repetitions, 0 published before",
        "0 runs added, 0 repetitions, 1 published before",
    ]
    assert set(place.files()) - set(before) == {f"{STEPS}/repetitions/fast.{LEVEL}.s0.1.json"}
    page = read_between(place.pages.results, "results")
    assert re.search(r"\| A, 1 thread +\| B, 1 thread +\| +9\.000 ", page)
    assert "+0.250" in page
    results = json.loads((place.pages.home / str(STEPS) / FILE_NAME).read_text())
    assert len(results["runs"]) == 2


def test_a_repetition_never_replaces_another_one(place: Place) -> None:
    place.add(record("fast"), *(record("fast", processor=processor) for processor in "BC"))
    first, second = sorted(place.pages.home.glob("*/repetitions/*.json"))
    first.unlink()
    before = second.read_bytes()
    place.add(record("fast", processor="D"))
    assert second.read_bytes() == before
    assert len(list(second.parent.iterdir())) == 2


def test_unfinished_runs_are_left_out_and_named(place: Place) -> None:
    place.add(record("fast"), record("vit", status__trained=False), record("vit", 1, evaluation=None))
    assert len(Published(place.pages.home).runs) == 1
    assert place.said[0].endswith("1: trained 1,008 of 1,000 agent-steps")
    assert place.said[1].endswith("2: not evaluated")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"commit": "d9"}, "its numerical core is core of d, that of the published runs core of c"),
        ({"modified": True}, "with uncommitted changes"),
        ({"settings": "other"}, "trained with other settings"),
        ({"evaluation__rules": {"basic": "other"}}, "evaluated on other environments"),
        ({"evaluation__timesteps": 500}, "was trained 500 of 1,000 agent-steps"),
        ({"evaluation__results": {}}, "results"),
        ({"starts": []}, "damaged"),
        ({"configuration__architecture": "nobody"}, "there is no nobody"),
        ({"configuration__seed": 1000}, "settings were chosen on seed 1000"),
        ({"curve": 3}, "curve"),
    ],
)
def test_what_does_not_belong_is_refused_and_changes_nothing(
    place: Place, changes: dict[str, Any], sentence: str
) -> None:
    place.add(record("vit"))
    before = place.files()
    with pytest.raises(InputError, match=sentence):
        place.add(record("gtrxl"), record("fast", **changes))
    assert place.files() == before


def test_a_commit_with_the_same_core_will_do(place: Place) -> None:
    place.add(record("vit"), record("fast", commit="c2"))
    assert len(Published(place.pages.home).runs) == 2


@pytest.mark.parametrize("damage", [lambda text: text[:50], lambda text: text.replace('"vit"', '"fast"')])
def test_damaged_files_are_named(place: Place, damage: Callable[[str], str]) -> None:
    place.add(record("vit"))
    (file,) = place.pages.home.glob("*/runs/*.json")
    file.write_text(damage(file.read_text()))
    with pytest.raises(InputError, match=f"vit.{LEVEL}.s0.json"):
        place.add(record("fast"))


def test_a_folder_without_runs_is_refused(place: Place, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither run folders nor an archive"):
        publish([tmp_path / "nowhere"], place.pages, print, play)


@pytest.mark.skipif(code_version()["commit"] is None, reason="not a git checkout")
def test_the_core_is_that_of_a_commit() -> None:
    mark = core_mark("HEAD")
    assert len(mark) == 16
    with pytest.raises(InputError, match="not in this repository"):
        core_mark("0123456789abcdef0123456789abcdef01234567")


def test_readme_and_results_page_say_what_is_published() -> None:
    """Holds for any number of published runs, none included."""
    pages = Pages()
    groups, pairs = read_groups(pages.home)
    assert read_between(pages.readme, "scoreboard") == scoreboard(groups)
    assert read_between(pages.results, "results") == results_page(groups, pairs)
    runs = Published(pages.home).runs.values()
    assert len({run.core for run in runs}) <= 1
    if not runs:
        assert scoreboard(groups) == NOTHING
    for group in groups:
        drawn = {file.stem for file in (pages.home / str(group.steps) / "figures").glob("*.svg")}
        assert drawn == set(group.figures)
        for figure in group.figures.values():
            assert results_page([group], pairs).count(figure.caption) == 1
        assert {run.key for run in runs if run.total_timesteps == group.steps} == set(group.benchmark.runs)
