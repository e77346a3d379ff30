"""How long one waits before anything happens: `uv run python benchmarks/bench_startup.py [--repeats 5]`.

`--help` of every command, which should be too short to notice, and a training run until its first line of metrics and
until its end (one update, no evaluation). Prints a table and, as its last line, {"benchmark": "startup", "results":
[{"what", "seconds", "cpu_seconds"}]}; both are the median over the repeats, `cpu_seconds` null before a command ended.
The first training run after a change to the simulator also compiles it; one that does not count goes before the others.
`tests/cli/test_main.py` keeps torch, numba and numpy out of `--help`.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from metta.base.endings import report_errors
from metta.base.flags import Parser, at_least

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


TRAINING = (
    *("tools/run.py", f"{FOLDER.replace('/', '.')}.level_1_basic.train", "arch_type=fast", "run=startup"),
    *("evaluate=false", "trainer.total_timesteps=1", "trainer.curve_points=0"),
)


def main() -> None:
    """Parse, measure, print."""
    parser = Parser("bench_startup.py", str(__doc__).splitlines()[0])
    parser.add_argument("--repeats", type=at_least(1), default=5)
    repeats = parser.parse_args().repeats
    results = []
    print(f"{'seconds':>8}{'CPU s':>8}  what", flush=True)

    def show(what: str, measured: Sequence[float], loads: Sequence[float] | None = None) -> None:
        seconds, load = statistics.median(measured), statistics.median(loads) if loads else None
        results.append({"what": what, "seconds": seconds, "cpu_seconds": load})
        print(f"{seconds:>8.2f}{'-' if load is None else f'{load:.2f}':>8}  {what}", flush=True)

    for command in COMMANDS:
        seconds, loads, _ = zip(*(seconds_of(command) for _ in range(repeats)), strict=True)
        show(" ".join(command), seconds, loads)
    seconds, loads, first = zip(*[training() for _ in range(1 + repeats)][1:], strict=True)
    show("training, to its first metrics", first)
    show("training of one update, whole", seconds, loads)
    print(json.dumps({"benchmark": "startup", "results": results}))


def training() -> tuple[float, float, float]:
    """Seconds on the clock, of processor time, and until the first metrics of a new run."""
    with tempfile.TemporaryDirectory() as folder:
        return seconds_of((*TRAINING, f"train_dir={folder}"), Path(folder) / "startup" / "metrics.jsonl")


def seconds_of(command: tuple[str, ...], awaited: Path | None = None) -> tuple[float, float, float]:
    """Seconds on the clock and of processor time until the command ends; seconds until a file is there (or the end)."""
    before = os.times()
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    while awaited is not None and process.poll() is None and not (awaited.exists() and awaited.stat().st_size):
        time.sleep(0.01)
    first = time.perf_counter() - started
    if process.wait():
        sys.exit(f"{' '.join(command)} failed; see above.")
    seconds, after = time.perf_counter() - started, os.times()
    load = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, load, first


if __name__ == "__main__":
    sys.exit(report_errors(main))
