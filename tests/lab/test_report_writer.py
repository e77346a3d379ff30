"""Refreshing a report returns at once, reads a run's files only when they change, and never ends the benchmark."""

import json
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from metta.analysis import report, run_files
from metta.analysis.file_memory import FileMemory
from metta.analysis.report import refresh_report
from metta.analysis.results import BenchmarkResults, read_results
from metta.base.errors import RunError
from metta.lab import report_writer
from metta.lab.report_writer import ReportWriter
from tests.analysis.wide import LEVELS, write_benchmark


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A small benchmark."""
    return write_benchmark(tmp_path / "bench", architectures=("vit", "fast"), levels=LEVELS[:1], seeds=2)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read from run folders, in order."""
    seen: list[Path] = []

    def counted(reader: Callable[[Path], Any]) -> Callable[[Path], Any]:
        @wraps(reader)
        def counting(file: Path) -> Any:
            seen.append(file)
            return reader(file)

        return counting

    for name in ("read_curves", "read_evaluation", "count_parameters", "read_configuration"):
        monkeypatch.setattr(run_files, name, counted(getattr(run_files, name)))
    return seen


def test_only_changed_files_are_read_again(results: Path, reads: list[Path]) -> None:
    memory, record = FileMemory(), read_results(results)
    assert refresh_report(results, record, memory) is None
    assert len(reads) == 4 * 4
    first = (results.parent / "report.html").read_text()
    reads.clear()
    assert refresh_report(results, record, memory) is None
    assert reads == []
    assert (results.parent / "report.html").read_text() == first
    changed = results.parent / f"wide.vit.{LEVELS[0]}.s0" / "metrics.jsonl"
    with changed.open("a") as file:
        line = {"update": 21, "timesteps": 1050000, "rollout/reward_per_step": 9.0, "held_out/hearts_per_agent": 9.0}
        file.write(json.dumps(line) + "\n")
    assert refresh_report(results, record, memory) is None
    assert reads == [changed]
    assert (results.parent / "report.html").read_text() != first


def test_a_damaged_file_is_looked_at_again(results: Path) -> None:
    memory, record = FileMemory(), read_results(results)
    broken = results.parent / f"wide.vit.{LEVELS[0]}.s0" / "evaluation.json"
    whole = broken.read_text()
    broken.write_text("{")
    assert refresh_report(results, record, memory) is None
    assert "is damaged or not JSON" in (results.parent / "report.html").read_text()
    broken.write_text(whole)
    assert refresh_report(results, record, memory) is None
    assert "is damaged" not in (results.parent / "report.html").read_text()


def test_a_slow_report_blocks_nobody(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    going, written = threading.Event(), []

    def slow(file: Path, record: BenchmarkResults, memory: FileMemory) -> None:
        assert going.wait(600)
        written.append(threading.current_thread().name)

    monkeypatch.setattr(report, "refresh_report", slow)
    writer, record = ReportWriter(results), read_results(results)
    for _ in range(5):
        writer.refresh(record)  # would hang here if it waited
    assert written == []
    going.set()
    writer.finish(record)
    assert written == ["report", threading.main_thread().name]


def test_a_fault_is_one_warning_between_runs_and_an_error_at_the_end(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*given: object) -> None:
        raise RunError("cannot write report.html: no space left on device.")

    monkeypatch.setattr(report, "refresh_report", full)
    monkeypatch.setattr(report_writer, "REPORT_SHARE", 1.0)
    writer, record = ReportWriter(results), read_results(results)
    for _ in range(3):
        writer.refresh(record)
        for thread in threading.enumerate():
            if thread.name == "report":
                thread.join()
    error = capsys.readouterr().err
    assert error == "warning: cannot write report.html: no space left on device. The benchmark goes on.\n"
    with pytest.raises(RunError):
        writer.finish(record)
