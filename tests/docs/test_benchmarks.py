"""Every benchmark runs, prints its table, and ends with the line of JSON that it promises."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = {
    "sim": ("--levels", "1", "--threads", "1", "--repeats", "1"),
    "training": ("--architectures", "fast", "--streams", "24", "--repeats", "1"),
    "scaling": ("--sweeps", "window", "--repeats", "1"),
    "evaluation": ("--levels", "level_1_basic", "--repeats", "1"),
    "memory": ("plain_lstm_32",),
    "startup": ("--repeats", "1"),
}
"""Benchmark -> what makes it small."""
ON_A_GPU = {"cuda"}
"""Run by hand, with the packages that they need (docs/simulator.md); tests/sim/cuda_cases.py runs them simulated."""


def test_all_are_named_here_and_in_the_task_runner() -> None:
    names = {path.stem.removeprefix("bench_") for path in (REPOSITORY / "benchmarks").glob("bench_*.py")}
    assert names == set(SMALL) | ON_A_GPU
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
