"""How training speed scales: `uv run python benchmarks/bench_scaling.py [--sweeps streams,threads] [--repeats 5]`.

One thing varies at a time, everything else as in `bench_training.py`:

    streams     agents that act in parallel, one process with all threads
    threads     of one process
    processes   of one thread each, side by side; their rates are added
    tokens      rows of an observation that a perceiver reads
    window      steps that a Transformer-XL looks back
    width       of a perceiver's latents

Each rate is measured in a process of its own and is the median over repeats; run it on an idle machine. Prints a table
and, as its last line, {"benchmark": "scaling", "results": [{"sweep", "architecture", "value", "agent_steps_per_second",
...}]}.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from metta.base.endings import report_errors
from metta.base.flags import Parser, at_least, some_of

STREAMS, ROLLOUT_STEPS, MINIBATCHES = 240, 64, 4
CORES = len(os.sched_getaffinity(0))
SHARES = {"simulation_share": 10, "acting_share": 6, "update_share": 8}
"""Key of a rate -> width of its column."""
Row = tuple[str, int, dict[str, Any]]
"""Architecture, value of what varies, rate."""


def main() -> None:
    """Parse, measure, print."""
    parser = Parser("bench_scaling.py", str(__doc__).splitlines()[0])
    parser.add_argument(
        "--sweeps", type=some_of(SWEEPS), default=",".join(SWEEPS), help="comma-separated (default: all)"
    )
    parser.add_argument("--repeats", type=at_least(1), default=5, help="measured updates per figure")
    options = parser.parse_args()
    results = []
    print(
        f"{'sweep':<11}{'architecture':<14}{'value':>7}{'steps/s':>10}{'simulate':>10}{'act':>6}{'update':>8}",
        flush=True,
    )
    for sweep in options.sweeps:
        for architecture, value, rate in SWEEPS[sweep](options.repeats):
            results.append({"sweep": sweep, "architecture": architecture, "value": value} | rate)
            shares = "".join(
                f"{rate[name]:>{width}.0%}" if name in rate else " " * width for name, width in SHARES.items()
            )
            print(
                f"{sweep:<11}{architecture:<14}{value:>7}{rate['agent_steps_per_second']:>10,.0f}{shares}", flush=True
            )
    print(json.dumps({"benchmark": "scaling", "cores": CORES, "results": results}))


def streams(repeats: int) -> Iterator[Row]:
    """60 to 960 agents."""
    for number in (60, 120, 240, 480, 960):
        yield "fast", number, rate("fast", repeats, num_streams=number)


def threads(repeats: int) -> Iterator[Row]:
    """One to all cores."""
    for number in range(1, CORES + 1):
        for name in ("fast", "vit"):
            yield name, number, rate(name, repeats, threads=number)


def processes(repeats: int) -> Iterator[Row]:
    """One to as many as cores, each with one thread."""
    command = [sys.executable, str(Path(__file__).with_name("bench_training.py")), "--threads", "1", "--no-plain-loop"]
    for number in range(1, CORES + 1):
        for name in ("fast", "vit"):
            words = [*command, "--architectures", name, "--repeats", str(repeats)]
            started = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(number)]
            outputs = [process.communicate()[0] for process in started]
            if any(process.returncode for process in started):
                sys.exit(f"a process of {' '.join(words)} failed; see above.")
            found = [json.loads(output.splitlines()[-1])["results"][0] for output in outputs]
            yield name, number, {"agent_steps_per_second": sum(one["agent_steps_per_second"] for one in found)}


def tokens(repeats: int) -> Iterator[Row]:
    """A quarter of the default number of rows, half, and all of them; rows that no observation needs cost nothing."""
    for number in (32, 64, 128):
        yield "vit", number, rate("vit", repeats, encoder={"max_tokens": number})


def window(repeats: int) -> Iterator[Row]:
    """Half, once and twice the default."""
    for number in (16, 32, 64):
        yield "trxl", number, rate("trxl", repeats, memory={"memory": number})


def width(repeats: int) -> Iterator[Row]:
    """Half, once and twice the default of the perceiver."""
    for number in (32, 64, 128):
        yield "vit", number, rate("vit", repeats, encoder={"width": number})


def rate(
    architecture: str, repeats: int, num_streams: int = STREAMS, threads: int = CORES, **parts: dict[str, int]
) -> dict[str, Any]:
    """The training rate of an architecture on level 1, with some numbers of its parts changed."""
    from benchmarks.training_rate import in_own_process, training_rate
    from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES, LEVEL
    from metta.rl.config import TrainerConfig

    policy = type(ARCHITECTURES[architecture]).model_validate(parts)
    trainer = TrainerConfig(num_streams=num_streams, rollout_steps=ROLLOUT_STEPS, minibatches=MINIBATCHES, epochs=1)
    return in_own_process(training_rate, policy, LEVEL.make_env(), trainer, threads, repeats)


SWEEPS: dict[str, Callable[[int], Iterator[Row]]] = {
    function.__name__: function for function in (streams, threads, processes, tokens, window, width)
}


if __name__ == "__main__":
    sys.exit(report_errors(main))
