"""What cannot be read of a run's folder costs a sentence each, never the report."""

import json
from pathlib import Path
from typing import Any

import pytest

from metta.analysis.file_memory import FileMemory
from metta.analysis.results import find_folder
from metta.analysis.run_files import read_run_files
from tests.analysis.wide import LEVELS, write_benchmark


@pytest.mark.parametrize("name", ["n" * 5000, "a\0b", "\ud800"])
def test_a_folder_that_cannot_be_is_one_that_is_not_there(tmp_path: Path, name: str) -> None:
    folder = find_folder(tmp_path / "benchmark_results.json", name, "elsewhere")
    assert folder == tmp_path / "elsewhere"
    (fault,) = read_run_files(tmp_path / name, {"basic"}, FileMemory()).faults
    assert "there is no run folder" in fault


@pytest.mark.parametrize(("busy", "known"), [(False, 0.3), (True, None)])
def test_a_latency_measured_beside_other_work_is_left_out(tmp_path: Path, busy: bool, known: float | None) -> None:
    write_benchmark(tmp_path / "b", ["vit"], LEVELS[:1], seeds=1)
    file = tmp_path / "b" / f"wide.vit.{LEVELS[0]}.s0" / "evaluation.json"
    record = json.loads(file.read_text())
    record["acting_latency"] = {"median_milliseconds": 0.3, "busy": busy}
    file.write_text(json.dumps(record))
    assert read_run_files(file.parent, {"basic"}, FileMemory()).evaluated.latency == known


@pytest.mark.parametrize(
    ("file", "change", "fault"),
    [
        ("metrics.jsonl", {"rollout/reward_per_step": 1e308}, "metrics.jsonl is damaged in line 1"),
        ("evaluation.json", {"length": 1e308}, "evaluation.json is damaged"),
        ("evaluation.json", {"length": "many"}, "evaluation.json is damaged"),
        ("evaluation.json", {"counters": {"steps": [1e308]}}, "evaluation.json is damaged"),
    ],
)
def test_numbers_that_cannot_be_are_named(tmp_path: Path, file: str, change: dict[str, Any], fault: str) -> None:
    write_benchmark(tmp_path / "b", ["vit"], LEVELS[:1], seeds=1)
    folder = tmp_path / "b" / f"wide.vit.{LEVELS[0]}.s0"
    if file == "metrics.jsonl":
        first, _, rest = (folder / file).read_text().partition("\n")
        (folder / file).write_text(json.dumps(json.loads(first) | change) + "\n" + rest)
    else:
        record = json.loads((folder / file).read_text())
        for episode in record["results"]["basic"]["per_episode"]:
            episode.update(change)
        (folder / file).write_text(json.dumps(record))
    (found,) = read_run_files(folder, {"basic"}, FileMemory()).faults
    assert fault in found
