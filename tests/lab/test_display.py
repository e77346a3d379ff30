"""A benchmark says how far it is; its live table keeps to the terminal, however long the names of the jobs are."""

import io
import re
from pathlib import Path

import pytest

from metta.lab.display import Display
from metta.lab.run_folder import Heartbeat, RunFolder


class Terminal(io.StringIO):
    """Keeps what is drawn."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("prefix", ["x", "a_benchmark_with_a_long_name_of_2026_11_28_again_and_again_and_again"])
def test_a_line_of_the_table_fits_80_columns(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    name = f"{prefix}.vit_sliding.level_5_expert.s12"
    folder = RunFolder(tmp_path)
    heartbeat = Heartbeat(folder, 100_000_000, print)
    heartbeat.update(
        state="evaluating", timesteps=100_000_000, steps_per_second=123_456.0, seconds_left=36_000.0, trained=True
    )
    (tmp_path / "metrics.jsonl").write_text('{"episode/hearts_per_agent": 123.456}\n')
    display = Display(iter([0.0, 100.0]).__next__)
    display.draw("0 of 195 runs done, 1 at work", lambda: ", about 2 h left", [(name, folder)])
    display.close()
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()).replace("\r", "\n").splitlines()
    assert max(map(len, lines)) <= 80
    assert "0 of 195 runs done, 1 at work, about 2 h left" in {line.strip() for line in lines}
    (row,) = {line for line in lines if "s12" in line}
    assert row.split()[0].endswith("vit_sliding.level_5_expert.s12")
    assert row.split()[1:] == ["evaluating", "100", "%", "123,456", "123.46", "10", "h"]


def test_without_a_terminal_a_line_now_and_then_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(iter([0.0, 5.0, 12.0, 20.0, 43.0]).__next__)
    for left in (900, 400, 390, 59):
        display.draw("1 of 6 runs done, 2 at work", f", about {left} s left".format, [])
    assert capsys.readouterr().out.splitlines() == [
        "1 of 6 runs done, 2 at work, about 400 s left",
        "1 of 6 runs done, 2 at work, about 59 s left",
    ]
