"""Write the fairness ledger docs/architectures.md: `uv run python -m metta.agent.ledger [--training FILE]`.

Per architecture: parameters, state, forward operations, acting latency, peak memory, and training speed if FILE holds
it (the last line of `benchmarks/bench_training.py`'s output). Each architecture is measured in a process of its own,
with one thread; run it on an idle machine.
"""

import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metta.agent.check import find, registered
from metta.base.addresses import local_path
from metta.base.allocator import keep_freed_memory
from metta.base.config import Config
from metta.base.endings import report_errors
from metta.base.errors import InputError
from metta.base.files import write_atomically
from metta.base.flags import Parser

if TYPE_CHECKING:
    from metta.agent.policies.config import PolicyConfig
    from metta.agent.spec import EnvironmentSpec

TARGET = Path("docs/architectures.md")
SEGMENT_STREAMS, SEGMENT_STEPS = 64, 64
LATENCY_BATCHES = (1, 1024)
WARM_UP_STEPS = 80
"""Steps before the timed ones: the longest window of a memory is then full."""
ROUNDS = 2
"""Times that every architecture is measured, all of them in turn, so that a slow minute does not fall on one."""


class Entry(Config):
    """One architecture's figures."""

    architecture: str
    configuration: str
    parameters: int
    memory_parameters: int
    state_bytes: int
    """Per agent."""
    forward_flops: int
    """Per agent-step."""
    latency_ms: dict[int, float]
    """Of one acting step, by batch size; empty where the machine was too busy to measure it."""
    peak_megabytes: int
    """Resident memory of the process after a forward and backward pass over one segment."""
    training_steps_per_second: float | None = None


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return report_errors(lambda: _ledger(arguments))


def _ledger(arguments: list[str] | None) -> int:
    parser = Parser("python -m metta.agent.ledger", f"Measure every architecture and write {TARGET}.")
    parser.add_argument("--training", metavar="FILE", type=local_path, help="output of benchmarks/bench_training.py")
    parser.add_argument("--names", metavar="A,B", help="keys of ARCHITECTURES (default: all)")
    parser.add_argument("--output", metavar="FILE", type=local_path, default=TARGET, help="the page to write")
    parser.add_argument("--measure", metavar="NAME", help="measure one architecture here and print it as JSON")
    options = parser.parse_args(arguments)
    if options.measure:
        print(measure(options.measure).model_dump_json())
        return 0
    speeds = training_speeds(options.training) if options.training else {}
    names = options.names.split(",") if options.names else list(registered())
    for name in names:
        find(name, registered())
    measured: dict[str, list[Entry]] = {name: [] for name in names}
    for name in names * ROUNDS:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        measured[name].append(_measured_apart(name))
    entries = [_best(own, speeds.get(name)) for name, own in measured.items()]
    write_atomically(options.output, render(entries))
    print(f"wrote {options.output}")
    return 0


def training_speeds(path: Path) -> dict[str, float]:
    """Agent-steps per second by architecture, the greatest number of threads, from the benchmark's last line."""
    try:
        record = json.loads(path.read_text().strip().splitlines()[-1])
        rows = sorted(record["results"], key=lambda row: int(row.get("threads", 1)))
        return {str(row["architecture"]): float(row["agent_steps_per_second"]) for row in rows}
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"{path} is not the output of benchmarks/bench_training.py: {error!r}.") from None


def measure(name: str) -> Entry:
    """The figures of one architecture. Sets torch's number of threads to one."""
    import torch

    from metta.agent.spec import CHOICES, arena_spec
    from metta.agent.state import leaves
    from metta.agent.synthetic import synthetic_observations

    torch.set_num_threads(1)
    keep_freed_memory()  # as in training and evaluation
    key, config = find(name, registered())
    spec = arena_spec().model_copy(update=dict.fromkeys(CHOICES, True))  # as trainers choose by default
    policy = config.build(spec, seed=0)
    count = SEGMENT_STREAMS * SEGMENT_STEPS
    few = torch.from_numpy(synthetic_observations(spec, count // 64, seed=0))
    observations = few.repeat(64, 1, 1).unflatten(0, (SEGMENT_STREAMS, SEGMENT_STEPS))
    resets = torch.zeros(SEGMENT_STREAMS, SEGMENT_STEPS, dtype=torch.bool)
    resets[0, SEGMENT_STEPS // 2] = True

    # First, so that nothing else is in the peak.
    output = policy(observations, resets, policy.initial_state(SEGMENT_STREAMS))
    loss = output.logits.square().mean() + output.values.square().mean()
    torch.stack([loss, *(value.square().mean() for value in output.auxiliary.values())]).sum().backward()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    policy.zero_grad()

    latency: dict[int, float] = {}
    with torch.no_grad():
        for batch in LATENCY_BATCHES:
            now = observations.flatten(0, 1)[:batch].unsqueeze(1)
            state = policy.initial_state(batch)
            none = torch.zeros(batch, 1, dtype=torch.bool)
            for _ in range(WARM_UP_STEPS):
                _, state = policy.act(now, none, state)
            latency[batch] = 1e3 * _best_seconds(lambda: policy.act(now, none, state))  # noqa: B023
    return Entry(
        architecture=key,
        configuration=type(config).__name__,
        parameters=sum(parameter.numel() for parameter in policy.parameters()),
        memory_parameters=sum(parameter.numel() for parameter in policy.memory.parameters()),
        state_bytes=sum(leaf.numel() * leaf.element_size() for leaf in leaves(policy.initial_state(1))),
        forward_flops=forward_flops(config, spec),
        latency_ms=latency,
        peak_megabytes=peak,
    )


def forward_flops(config: "PolicyConfig", spec: "EnvironmentSpec", compiled: bool = False) -> int:
    """Floating-point operations per agent-step, forward, in segments of `SEGMENT_STEPS`, as torch counts them.

    Args:
        config: the architecture.
        spec: what its policy looks at.
        compiled: leave out what runs in compiled forms that torch cannot count (first convolution, token attention).
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from metta.agent.synthetic import synthetic_observations

    streams = 4
    # In float64 the definitions run.
    policy = config.build(spec, seed=0).to(torch.float32 if compiled else torch.float64).requires_grad_(False)
    tokens = torch.from_numpy(synthetic_observations(spec, streams * SEGMENT_STEPS, seed=0))
    resets = torch.zeros(streams, SEGMENT_STEPS, dtype=torch.bool)
    with torch.no_grad(), FlopCounterMode(display=False) as flops:
        policy(tokens.unflatten(0, resets.shape), resets, policy.initial_state(streams))
    return flops.get_total_flops() // resets.numel()


def render(entries: list[Entry]) -> str:
    """The ledger as Markdown."""
    import torch

    lines = [
        "# The architectures' ledger",
        "",
        "Generated by `uv run python -m metta.agent.ledger --training FILE`, where FILE holds the output of",
        "`benchmarks/bench_training.py`; not edited by hand.",
        f"Measured on {date.today().isoformat()}: {_processor()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}.",
        "",
        "| architecture | configuration | parameters | of these memory | state, bytes per agent "
        "| forward MFLOP per step | acting, batch 1 | acting, batch 1024 | training, steps/s | peak memory |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for entry in entries:
        speed = entry.training_steps_per_second
        figures = [
            entry.architecture,
            f"`{entry.configuration}`",
            f"{entry.parameters:,}",
            f"{entry.memory_parameters:,}",
            f"{entry.state_bytes:,}",
            f"{entry.forward_flops / 1e6:.2f}",
            *(f"{entry.latency_ms[b]:.2f} ms" if b in entry.latency_ms else "not measured" for b in LATENCY_BATCHES),
            "not measured" if speed is None else f"{speed:,.0f}",
            f"{entry.peak_megabytes} MB",
        ]
        lines.append(f"| {' | '.join(figures)} |")
    lines += [
        "",
        "- Policies look at the arena with both views and the prior, as trainers choose by default (docs/training.md).",
        "- Forward MFLOP per step: floating-point operations of matrix products, convolutions and attention per",
        f"  agent-step in segments of {SEGMENT_STEPS} steps, as torch counts them for the dense definitions. The",
        "  compiled forms of the first convolution and of token attention compute the same with fewer.",
        "- Acting: time of one step for a batch of agents with a full memory, best of many, one thread, float32.",
        "- Training: agent-steps per second of rollout and update in one process, from the training benchmark.",
        f"- Peak memory: resident memory of a process that has run one segment of {SEGMENT_STREAMS} streams x "
        f"{SEGMENT_STEPS} steps forward and",
        "  backward; Python, torch and the compiled kernels alone take most of it.",
        "- `trxl` and `trxl_nvidia` are one function with one set of parameters, by different operations; on the CPU",
        "  the operations are the same too, so that the same seed ends with the same weights.",
        "",
    ]
    return "\n".join(lines)


def _best(entries: list[Entry], speed: float | None) -> Entry:
    """One architecture's figures: the shortest latencies of its rounds."""
    latency = {batch: min(entry.latency_ms[batch] for entry in entries) for batch in entries[0].latency_ms}
    return entries[0].model_copy(update={"latency_ms": latency, "training_steps_per_second": speed})


def _measured_apart(name: str) -> Entry:
    """`measure` in a fresh process."""
    run = subprocess.run(
        [sys.executable, "-m", "metta.agent.ledger", "--measure", name], capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise InputError(f"cannot measure {name}: {run.stderr.strip().splitlines()[-1]}")
    return Entry.parse(json.loads(run.stdout.strip().splitlines()[-1]))


def _best_seconds(function: Callable[[], Any]) -> float:
    """Shortest of many calls, for about half a second."""
    function()
    best, end = float("inf"), time.perf_counter() + 0.5
    while time.perf_counter() < end:
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def _processor() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
