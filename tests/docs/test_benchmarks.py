"""Every benchmark runs, prints its table, and ends with the line of JSON that it promises; that of a GPU rehearsed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.extent import SHARES
from benchmarks.gpu.report import Report
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.lab.archive import read_archive

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = {
    "sim": ("--levels", "1", "--threads", "1", "--repeats", "1"),
    "training": ("--architectures", "fast", "--streams", "24", "--repeats", "1"),
    "scaling": ("--sweeps", "window", "--repeats", "1"),
    "evaluation": ("--levels", "level_1_basic", "--repeats", "1"),
    "memory": ("plain_lstm_32",),
    "parts": ("--architectures", "fast", "--repeats", "1"),
    "startup": ("--repeats", "1"),
    "result": ("--architectures", "fast", "--threads", "1", "--timesteps", "7680", "--hearts", "0"),
}
"""Benchmark -> what makes it small."""


def test_all_are_named_here_and_in_the_task_runner() -> None:
    names = {path.stem.removeprefix("bench_") for path in (REPOSITORY / "benchmarks").glob("bench_*.py")}
    assert names == set(SMALL)
    line = next(line for line in (REPOSITORY / "tasks.py").read_text().splitlines() if line.startswith("BENCHMARKS"))
    assert all(f'"{name}"' in line for name in SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_it_ends_with_json(name: str) -> None:
    command = [sys.executable, str(REPOSITORY / "benchmarks" / f"bench_{name}.py"), *SMALL[name]]
    done = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["benchmark"] == name
    assert found["results"]


def test_every_part_of_the_measurement_on_a_gpu_can_be_rehearsed(tmp_path: Path) -> None:
    output = tmp_path / "gpu.txt"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    words = ["-m", "benchmarks.gpu", "--rehearse", "--minutes", "60", "--cpu-jobs", "1", "--output", str(output)]
    done = subprocess.run(
        [sys.executable, *words], cwd=REPOSITORY, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text().splitlines()[-1])
    assert found["benchmark"] == "gpu"
    assert set(found["results"]) == set(SHARES)
    for name, part in found["results"].items():
        assert part["rows"], name
        assert (part["wrong"], part["left_out"]) == ([], []), name
    assert {row["architecture"] for row in found["results"]["architectures"]["rows"]} == set(ARCHITECTURES)
    records = read_archive(tmp_path / "gpu.runs.tar.gz")
    assert {record["state"] for record in records.values()} == {"finished"}


def test_a_wrong_number_is_named_and_the_rest_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(tmp_path / "gpu.txt", minutes=1)
    with report.part("first", 0.5) as part, report.faults(part, "one"):
        raise ValueError("no such kernel")
    with report.part("second", 0.5) as part:
        part.rows.append({"value": 1})
        report.wrong(part, "value: 1 instead of 2")
        raise KeyError("three")
    with report.part("third", 0.0) as part:
        assert not report.fits(part, "everything", seconds=1.0)
    assert report.status == 1
    printed = capsys.readouterr().out
    assert "ValueError: no such kernel" in printed
    assert "WRONG value: 1 instead of 2" in printed
    found = json.loads((tmp_path / "gpu.txt").read_text().splitlines()[-1])["results"]
    assert found["first"]["wrong"] == ["one: ValueError: no such kernel"]
    assert found["second"]["wrong"] == ["value: 1 instead of 2", "second: KeyError: 'three'"]
    assert (found["third"]["wrong"], found["third"]["left_out"]) == ([], ["everything"])
