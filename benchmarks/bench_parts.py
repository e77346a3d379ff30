"""Where the time of acting and learning goes, by parts.

    uv run python benchmarks/bench_parts.py [--architectures gtrxl,vit]

One thread, level 1, the trainer's own defaults. Told is the processor's time, not the clock's, in microseconds per
agent-step, so that other work on the machine disturbs less; what shares its caches still does. `products` is how long
the products of matrices, convolutions and attention that torch does would take at the rate of large ones: what would
remain if nothing but those had to be done.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from typing import Any

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES, LEVEL
from metta.base.endings import report_errors
from metta.base.flags import Parser, at_least, some_of

WARM_UP = 2
"""Updates before the first that counts: they compile and fill caches."""


def main() -> None:
    """Parse, measure, print."""
    parser = Parser("bench_parts.py", str(__doc__).splitlines()[0])
    parser.add_argument(
        "--architectures", type=some_of(ARCHITECTURES), default="gtrxl,vit", help="comma-separated keys, or all"
    )
    parser.add_argument("--repeats", type=at_least(1), default=3, help="measured updates")
    parser.add_argument("--epochs", type=at_least(1), default=2, help="passes over each rollout")
    options = parser.parse_args()
    results = []
    for name in options.architectures:
        parts = measure(ARCHITECTURES[name], LEVEL.make_env(), options)
        results.append({"architecture": name, "microseconds": parts})
        total = parts["act"] + parts["learn"]
        print(f"{name}: {1e6 / total:,.0f} agent-steps per second of one processor")
        for part, microseconds in parts.items():
            print(f"  {part:<22}{microseconds:>8.1f}{microseconds / total:>8.0%}", flush=True)
    print(json.dumps({"benchmark": "parts", "epochs": options.epochs, "results": results}))


def measure(policy_config: Any, sim: Any, options: argparse.Namespace) -> dict[str, float]:
    """Microseconds of processor time per agent-step, by part."""
    import torch

    import metta.rl.rollout
    import metta.rl.update
    from metta.agent.ledger import forward_flops
    from metta.base.seeding import derive_seed
    from metta.rl.config import TrainerConfig
    from metta.rl.sampling import uniforms
    from metta.rl.shards import Shards
    from metta.rl.specs import spec_of
    from metta.sim.vector_env import VectorEnv

    trainer = TrainerConfig(epochs=options.epochs)
    shards = Shards(1)
    worlds = max(1, round(trainer.num_streams / sim.num_agents))
    env = VectorEnv(sim, num_worlds=worlds, seed=derive_seed(0, "worlds"), desynchronise=True)
    env.reset()
    spec = spec_of(sim, trainer)
    policy = policy_config.build(spec, derive_seed(0, "weights"))
    learner = metta.rl.update.make_learner(policy, trainer, env.num_streams)
    collector = metta.rl.rollout.Collector(env, policy, trainer.rollout_steps, torch.device("cpu"), shards)
    seconds: dict[str, float] = defaultdict(float)
    doing = ""

    def timed(owner: Any, name: str, part: str) -> None:
        function = getattr(owner, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            started = time.process_time()
            result = function(*arguments, **keywords)
            seconds[f"{doing}  {part}"] += time.process_time() - started
            return result

        setattr(owner, name, call)

    timed(policy.encoder, "forward", "encoder")
    timed(policy.memory, "forward", "memory")
    timed(policy, "logits", "actor")
    timed(policy.critic, "forward", "critic")
    timed(env, "step_worlds", "simulator")
    timed(torch.autograd, "grad", "gradients")
    timed(metta.rl.update, "ppo_loss", "loss")
    timed(learner.optimizer, "step", "Adam")
    for index in range(WARM_UP + options.repeats):
        if index == WARM_UP:
            seconds.clear()
        doing = "act"
        started = time.process_time()
        segments = collector.collect(uniforms(0, "sampling", index, (trainer.rollout_steps, env.num_streams)))
        collected = time.process_time()
        seconds["act"] += collected - started
        doing = "learn"
        metta.rl.update.update(learner, segments, trainer, shards, 0, index, 0)
        seconds["learn"] += time.process_time() - collected
    rate = product_rate()
    steps = options.repeats * trainer.rollout_steps * env.num_streams
    parts = {}
    for stage, passes in (("act", 1), ("learn", 3 * options.epochs)):
        parts[stage] = seconds[stage] * 1e6 / steps
        parts |= {key: seconds[key] * 1e6 / steps for key in seconds if key.startswith(f"{stage} ")}
        products = passes * forward_flops(policy_config, spec, compiled=True) / rate
        parts[f"{stage}, products"] = products * 1e6
    return parts


def product_rate() -> float:
    """Floating-point operations per second of processor time of large float32 matrix products."""
    import torch

    rows, width, repeats = 2048, 512, 10
    a, b = torch.randn(rows, width), torch.randn(width, width)
    times = []
    for _ in range(repeats):
        started = time.process_time()
        torch.mm(a, b)
        times.append(time.process_time() - started)
    return 2 * rows * width * width / min(times)


if __name__ == "__main__":
    sys.exit(report_errors(main))
