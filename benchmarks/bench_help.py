"""Time of `--help` of every command, which should be too short to notice: `uv run python benchmarks/bench_help.py`.

Prints a table and, as its last line, {"benchmark": "help", "results": [{"command", "seconds", "cpu_seconds"}]}; both
are the median over `--repeats`. `tests/cli/test_main.py` keeps torch, numba and numpy out of these commands.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDER = "experiments/recipes/benchmark_architectures"
COMMANDS = (
    ("tools/run.py", "experiments.recipes.benchmark_architectures.level_1_basic.train", "--help"),
    ("tools/run.py", "--list"),
    (f"{FOLDER}/run_benchmark.py", "--help"),
    (f"{FOLDER}/adaptive.py", "--help"),
    (f"{FOLDER}/tuning.py", "--help"),
    ("-m", "metta.sim.conformance", "--help"),
    ("-m", "metta.agent.check", "--help"),
    ("-m", "metta.analysis.report", "--help"),
    ("-m", "metta.lab.merge", "--help"),
)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    if repeats < 1:
        parser.error("--repeats must be at least 1")
    results = []
    print(f"{'seconds':>8}{'CPU s':>8}  command", flush=True)
    for command in COMMANDS:
        measured = [seconds_of(command) for _ in range(repeats)]
        seconds, load = (statistics.median(values) for values in zip(*measured, strict=True))
        results.append({"command": " ".join(command), "seconds": seconds, "cpu_seconds": load})
        print(f"{seconds:>8.2f}{load:>8.2f}  {' '.join(command)}", flush=True)
    print(json.dumps({"benchmark": "help", "results": results}))


def seconds_of(command: tuple[str, ...]) -> tuple[float, float]:
    """Seconds on the clock and of processor time until the command has ended."""
    started, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, *command], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    load = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - started, load


if __name__ == "__main__":
    main()
