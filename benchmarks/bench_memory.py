"""Cost of each memory alone, acting and training: `uv run python benchmarks/bench_memory.py [NAME...]`.

Prints a table and, as the last line, JSON. Times are the best of several repeats in microseconds per agent-step, CPU
time of one thread or wall time on a GPU: acting is T = 1 without gradients, training is forward and backward over 64
steps with resets at a rate of 1 in 500. `python3 tasks.py gpu` measures those of `trxl` and `trxl_nvidia` on one.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import metta  # noqa: F401  sets the OpenMP wait policy before torch is imported

import torch  # isort: skip

from metta.agent.memory.config import (
    AGaLiTeConfig,
    FusedTransformerXLConfig,
    GTrXLConfig,
    LSTMConfig,
    SlidingConfig,
    TransformerConfig,
    TransformerXLConfig,
)
from metta.agent.parts import MemoryConfig
from metta.agent.state import leaves
from metta.base.allocator import keep_freed_memory
from metta.base.endings import report_errors
from metta.base.flags import Parser, at_least, one_of

MEMORIES: dict[str, tuple[int, MemoryConfig]] = {
    "plain_lstm_32": (64, LSTMConfig(width=32, honour_resets=False)),
    "plain_lstm_2x128": (128, LSTMConfig(num_layers=2, honour_resets=False)),
    "reset_lstm_2x128": (128, LSTMConfig(num_layers=2)),
    "reset_lstm_512": (512, LSTMConfig(width=512)),
    "sliding": (64, SlidingConfig()),
    "transformer": (64, TransformerConfig()),
    "transformer_xl": (32, TransformerXLConfig()),
    "transformer_xl_fused": (32, FusedTransformerXLConfig()),
    "gtrxl": (32, GTrXLConfig()),
    "agalite": (64, AGaLiTeConfig()),
}
"""By name: input width and configuration, in the sizes of the suite."""

STEPS = 64
REPEATS = 10


def best_seconds(work: Callable[[], object], device: torch.device) -> float:
    """The shortest of several runs after one to warm up."""
    shortest = float("inf")
    # The thread's own time leaves out what other processes took; a GPU's work is only seen on the clock.
    now = time.thread_time if device.type == "cpu" else time.perf_counter
    for _ in range(REPEATS + 1):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        start = now()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        shortest = min(shortest, now() - start)
    return shortest


def measure(name: str, device: torch.device, acting_batch: int, training_batch: int) -> dict[str, float | str]:
    """One row of the table."""
    width, config = MEMORIES[name]
    torch.manual_seed(0)
    module: Any = config.build(width).to(device)
    parameters = list(module.parameters())

    state = module.initial_state(acting_batch)
    x = torch.randn(acting_batch, 1, width + module.extra_inputs, device=device)
    no_resets = torch.zeros(acting_batch, 1, dtype=torch.bool, device=device)

    def act() -> None:
        nonlocal state
        with torch.no_grad():
            _, state = module(x, no_resets, state)

    acting = best_seconds(act, device) / acting_batch
    state_bytes = sum(leaf.numel() * leaf.element_size() for leaf in leaves(state)) // acting_batch

    inputs = torch.randn(training_batch, STEPS, width + module.extra_inputs, device=device, requires_grad=True)
    resets = torch.rand(training_batch, STEPS, device=device) < 1 / 500
    with torch.no_grad():
        _, before = module(inputs, resets, module.initial_state(training_batch))

    def train() -> None:
        y, _ = module(inputs, resets, before)
        torch.autograd.grad(y.sum(), [inputs, *parameters])

    training = best_seconds(train, device) / (training_batch * STEPS)
    return {
        "memory": name,
        "parameters": sum(parameter.numel() for parameter in parameters),
        "state_bytes": state_bytes,
        "acting_microseconds": round(acting * 1e6, 2),
        "training_microseconds": round(training * 1e6, 2),
    }


def main() -> None:
    """Measure and print."""
    parser = Parser("bench_memory.py", str(__doc__).splitlines()[0])
    parser.add_argument(
        "names", nargs="*", type=one_of(MEMORIES), metavar="NAME", help=f"any of {', '.join(MEMORIES)}; default all"
    )
    parser.add_argument("--acting-batch", type=at_least(1), default=256, help="agents acting at once")
    parser.add_argument("--training-batch", type=at_least(1), default=64, help="streams in a minibatch")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    device = torch.device("cpu")
    print(f"{'memory':22} {'parameters':>10} {'state B':>8} {'acting us':>10} {'training us':>12}")
    results = []
    for name in options.names or MEMORIES:
        row = measure(name, device, options.acting_batch, options.training_batch)
        results.append(row)
        print(
            f"{name:22} {row['parameters']:>10} {row['state_bytes']:>8} "
            f"{row['acting_microseconds']:>10} {row['training_microseconds']:>12}",
            flush=True,
        )
    print(json.dumps({"benchmark": "memory", "results": results}))


if __name__ == "__main__":
    sys.exit(report_errors(main))
