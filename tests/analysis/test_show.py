"""The summary in the terminal: the verdicts and numbers of the report, failures, and no control characters."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from metta.analysis.findings import find
from metta.analysis.gather import gather
from metta.analysis.show import main, overview
from metta.analysis.summary import summary_markdown
from metta.analysis.topics.result import headline, how_sure, verdict_sentences
from tests.analysis.wide import ARCHITECTURES, LEVELS, write_benchmark


def test_shows_verdicts_and_every_mean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_benchmark(tmp_path, architectures=("vit", "fast", "puffer"), levels=LEVELS[:2])
    assert main([str(file)]) == 0
    text = capsys.readouterr().out
    benchmark = gather([file])
    found = find(benchmark)
    for sentence in verdict_sentences(benchmark, found):
        assert f"- {sentence}\n" in text
    rows = {
        cells[0]: cells[1:]
        for line in text[text.index("Each level") :].splitlines()
        if (cells := [cell.strip() for cell in line.strip("|").split("|")])
    }
    for name in ("vit", "fast", "puffer"):
        assert rows[name] == [found.means[name, level].text() for level in LEVELS[:2]]


@pytest.mark.parametrize("apart", [True, False])
def test_of_two_architectures_it_says_how_far_they_are_apart(tmp_path: Path, apart: bool) -> None:
    """And what distance would have been chance."""
    file = write_benchmark(tmp_path, architectures=("vit", "fast"), levels=LEVELS[:1])
    benchmark = gather([file])
    found = find(benchmark)
    (verdict,) = found.verdicts
    assert verdict.needed is not None
    if apart != (verdict.better is not None):
        value = verdict.needed * (2 if apart else 0.5)
        found = replace(found, verdicts=[verdict._replace(value=value)])
    (verdict,) = found.verdicts
    low, high = (benchmark.hearts_of_player(player, LEVELS[0]) for player in ("random", "scripted"))
    assert low is not None
    assert high is not None
    value, needed = (abs(number) * (high - low) for number in (verdict.value, verdict.needed))
    pair = f"{verdict.a} and {verdict.b}"
    assert how_sure(benchmark, found).startswith(
        f"{pair} are {value:.2f} apart in hearts per agent; a difference above {needed:.2f} counts as more than chance"
    )
    assert ("is better than" if apart else "The two cannot be told apart.") in headline(benchmark, found)


def test_names_failed_runs_and_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gaps = {"failed": [("vit", LEVELS[0], 1)], "left_out": [("fast", LEVELS[0], 0)]}
    write_benchmark(tmp_path, architectures=("vit", "fast"), levels=LEVELS[:1], **gaps)
    assert main([str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "4 of 6 runs evaluated; 1 failed, 1 not started or not recorded yet." in text
    assert "- wide.vit.level_1_basic.s1: the loss became NaN." in text


def test_a_run_at_work_is_begun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gaps = [("fast", LEVELS[0], 0), ("fast", LEVELS[0], 1)]
    file = write_benchmark(tmp_path, architectures=("vit", "fast"), levels=LEVELS[:1], left_out=gaps)
    folder = tmp_path / "any_name"
    folder.mkdir()
    configuration = {"architecture": "fast", "level": LEVELS[0], "seed": 1}
    starts = [{"code": {"source_sha256": "0"}}]
    (folder / "config.json").write_text(json.dumps({"configuration": configuration, "starts": starts}))
    (folder / "status.json").write_text('{"state": "training", "timesteps": 1000, "total_timesteps": 9000}')
    main([str(file)])
    assert "4 of 6 runs evaluated; 1 begun, 1 not started or not recorded yet." in capsys.readouterr().out
    assert list(gather([file]).begun.values()) == ["training, 1,000 of 9,000 steps"]


def test_what_a_terminal_would_act_on_is_not_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_benchmark(tmp_path, architectures=("vit", "fast"), levels=LEVELS[:1], failed=[("vit", LEVELS[0], 1)])
    record = json.loads(file.read_text())
    for run in record["runs"]:
        if run["training"]["error"]:
            run["training"]["error"] = "\x1b[2J\x07gone"
    file.write_text(json.dumps(record))
    assert main([str(file)]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "?[2J?gone" in text


@pytest.mark.parametrize("architectures", [("vit",), ("vit", "fast", "fast_lstm_reset"), ARCHITECTURES])
def test_everything_fits_a_terminal_of_80_columns(tmp_path: Path, architectures: tuple[str, ...]) -> None:
    file = write_benchmark(tmp_path, architectures=architectures, levels=LEVELS)
    benchmark = gather([file])
    for text in (overview(benchmark, find(benchmark), 80), summary_markdown(benchmark.merged, 80)):
        assert max(len(line) for line in text.splitlines()) <= 80
        for name in architectures:
            assert f"| {name} " in text
    whole = [line for line in summary_markdown(benchmark.merged).splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in whole]
    reward = rows[0].index("reward")  # left to the files: it means something else on every level
    numbers = {cell for row in rows[2:] for cell in row[3:reward] + row[reward + 1 :]}
    assert numbers <= {cell.strip() for line in text.splitlines() for cell in line.strip("|").split("|")}


def test_an_output_that_is_closed_from_the_start_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `>&-`."""
    file = write_benchmark(tmp_path / "b", ("vit",), LEVELS[:1], seeds=1)
    monkeypatch.setattr(sys, "stdout", None)
    assert main([str(file)]) == 0
