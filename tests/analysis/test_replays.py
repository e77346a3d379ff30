"""Which episodes a report offers to watch, and that it links to their replays only where these show them."""

import os
from pathlib import Path
from urllib.parse import unquote

import pytest

from metta.analysis.gather import Gathered, gather
from metta.analysis.replays import (
    BEST,
    MEDIAN,
    Choice,
    choices,
    file_of,
    page_of,
    ranked,
    replay_name,
    shown_episode,
)
from metta.analysis.report import main
from tests.analysis.test_report import made
from tests.analysis.wide import LEVELS, write_benchmark


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two architectures on two levels, one with two evaluation environments."""
    return write_benchmark(tmp_path / "a folder", architectures=("vit", "fast"), levels=(LEVELS[0], LEVELS[3]), seeds=2)


def write(choice: Choice, map_hash: str | None = None, steps: int = 1000, off: float = 0.0, picture: str = "") -> Path:
    """A page that says it shows this episode."""
    file = file_of(choice)
    assert file is not None
    shown = shown_episode(map_hash or f"{choice.episode.number:016x}", steps, choice.episode.hearts_per_agent + off)
    file.write_text(f'<!doctype html><meta name="episode" content="{shown}"><link rel="icon" href="{picture}">')
    return file


def test_best_and_median_are_of_all_episodes_of_an_architecture_on_a_level(results: Path) -> None:
    benchmark = gather([results])
    found = choices(benchmark)
    assert len(found) == 2 * 2 * 2
    for choice in found:
        hearts = sorted(
            value
            for run in benchmark.of(choice.architecture, choice.level)
            for result in run.record.evaluation.results.values()
            for value in result.hearts_of_episodes
        )
        expected = {BEST: hearts[-1], MEDIAN: hearts[(len(hearts) - 1) // 2]}[choice.kind]
        assert choice.episode.hearts_per_agent == expected
        result = choice.episode.run.record.evaluation.results[choice.episode.environment]
        assert result.hearts_of_episodes[choice.episode.number] == expected


def test_of_equal_episodes_the_first_seed_s_is_watched(results: Path) -> None:
    benchmark: Gathered = gather([results])
    runs = benchmark.of("vit", LEVELS[0])
    for run in runs:
        run.record.evaluation.results["basic"].hearts_of_episodes[:] = [1.0] * 4
    first = ranked(runs)[0]
    assert (first.run.key.seed, first.number) == (0, 0)


def test_the_report_says_how_to_write_replays_and_links_to_those_that_are_there(results: Path) -> None:
    page = made(results)
    assert "8 of 8 replays not written yet" in page.text
    assert "metta.lab.replays" in page.text
    files = [write(choice) for choice in choices(gather([results]))]
    page = made(results)
    assert "not written yet" not in page.text
    links = [link for link in page.named("a") if "replay." in str(link["href"])]
    targets = [(results.parent / unquote(str(link["href"]))).resolve() for link in links]
    assert set(targets) == {file.resolve() for file in files}
    assert len(links) == 2 * 4 + 4  # in the tables, and the median ones beside the figures


def test_links_lead_from_wherever_the_page_is(results: Path, tmp_path: Path) -> None:
    file = write(choices(gather([results]))[0])
    assert main([str(results), "--output", str(tmp_path / "elsewhere" / "page.html")]) == 0
    table = (tmp_path / "elsewhere" / "page" / f"replays_{LEVELS[0]}.csv").read_text()
    expected = os.path.relpath(file, tmp_path / "elsewhere")
    assert expected.replace(" ", "%20") in table


def test_a_replay_of_another_episode_is_not_linked(results: Path) -> None:
    choice = choices(gather([results]))[0]
    assert page_of(choice) is None
    write(choice, map_hash="beef")
    assert page_of(choice) is None
    write(choice, steps=999)
    assert page_of(choice) is None
    write(choice)
    assert page_of(choice) is not None
    file = file_of(choice)
    assert file is not None
    file.write_bytes(b"\xff\x00")
    assert page_of(choice) is None


def test_a_replay_that_went_another_way_says_so(results: Path) -> None:
    choice = choices(gather([results]))[0]
    write(choice, off=0.25)
    shown = f"episode {choice.episode.number} ({choice.episode.hearts_per_agent + 0.25:.2f} in the replay)"
    assert shown in made(results).text


def test_a_name_cannot_leave_the_run_s_folder() -> None:
    assert replay_name("step_1", "../../x", "a/b", 3) == "replay.step_1..._.._x.a_b.3.html"


def test_a_link_shows_the_thumbnail_of_its_page(results: Path) -> None:
    choice = next(choice for choice in choices(gather([results])) if choice.kind == MEDIAN)
    for picture, shown in (("data:image/svg+xml;base64,AAAA", True), ("http://example.org/a.svg", False)):
        write(choice, picture=picture)
        page = page_of(choice)
        assert page is not None
        assert (page.picture == picture) == shown
        assert main([str(results)]) == 0
        assert (f'<img src="{picture}"' in (results.parent / "report.html").read_text()) == shown
