"""How long one waits for a result: `uv run python benchmarks/bench_result.py [--architectures trxl,fast]`.

A run of level 1 as `level_1_basic.train` makes it, until the held-out curve shows so many hearts per agent; then it is
stopped. Seconds are those of training (`timing.seconds`), without compiling and without the curve's own episodes.
Prints a table and, as its last line, {"benchmark": "result", "results": [{"architecture", "threads", "seconds",
"timesteps", "hearts"}]}; `seconds` is null where the run ended below. One seed each; other seeds differ.
"""

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.base.endings import report_errors
from metta.base.flags import Parser, at_least, some_of
from metta.lab.training import TrainJob
from metta.rl.metrics import Progress

LEVEL = "level_1_basic.train"
HEARTS = "held_out/hearts_per_agent"


class Enough(Exception):
    """The run has what was waited for."""


def main() -> None:
    """Parse, measure, print."""
    parser = Parser("bench_result.py", str(__doc__).splitlines()[0])
    parser.add_argument(
        "--architectures", type=some_of(ARCHITECTURES), default="all", metavar="A,B", help="keys of ARCHITECTURES"
    )
    parser.add_argument(
        "--threads",
        type=lambda text: [int(at_least(1)(part)) for part in text.split(",")],
        default="1,2",
        metavar="N,M",
        help="threads of a run",
    )
    parser.add_argument(
        "--hearts", type=at_least(0, float), default=10.0, help="hearts per agent to wait for (default: 10)"
    )
    parser.add_argument(
        "--timesteps", type=at_least(1), default=1_000_000, help="agent-steps of a run (default: 1000000)"
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="of every run (default: 0)")
    given = parser.parse_args()
    results = []
    print(f"{'architecture':<16}{'threads':>8}{'seconds':>9}{'agent-steps':>13}{'hearts':>8}", flush=True)
    for name in given.architectures:
        for threads in given.threads:
            found = first_point(name, threads, given.hearts, given.timesteps, given.seed)
            results.append({"architecture": name, "threads": threads, **found})
            seconds = "-" if found["seconds"] is None else f"{found['seconds']:.0f}"
            print(
                f"{name:<16}{threads:>8}{seconds:>9}{found['timesteps']:>13,}{found['hearts']:>8.2f}",
                flush=True,
            )
    print(json.dumps({"benchmark": "result", "results": results}))


def first_point(architecture: str, threads: int, hearts: float, timesteps: int, seed: int) -> dict[str, Any]:
    """The first point of a run's held-out curve with so many hearts, or its last one with `seconds` None."""
    from metta.cli.main import resolve
    from metta.rl.trainer import train

    found: dict[str, Any] = {"seconds": None, "timesteps": 0, "hearts": 0.0}

    with tempfile.TemporaryDirectory() as folder:

        def after_update(progress: Progress) -> None:
            if HEARTS in progress.metrics:
                found.update(timesteps=progress.timesteps, hearts=progress.metrics[HEARTS])
                if found["hearts"] >= hearts:
                    found["seconds"] = progress.seconds
                    raise Enough

        words = [f"arch_type={architecture}", "run=result", f"seed={seed}", f"system.threads={threads}"]
        job = resolve([LEVEL, *words, f"trainer.total_timesteps={timesteps}"])
        assert isinstance(job, TrainJob)
        with contextlib.suppress(Enough):
            train(job.config, Path(folder), after_update)
    return found


if __name__ == "__main__":
    sys.exit(report_errors(main))
