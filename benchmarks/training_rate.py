"""How fast one process trains, and where its time goes: shared by the benchmarks of training.

N streams, T steps of a rollout.
"""

import re
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch

import metta  # noqa: F401  sets the OpenMP wait policy before torch is imported
from metta.agent.ledger import forward_flops
from metta.agent.policies.config import PolicyConfig
from metta.base.seeding import derive_seed
from metta.rl.config import SystemConfig, TrainerConfig
from metta.rl.devices import choose_device, choose_shares
from metta.rl.recording import recorder
from metta.rl.rollout import Collector
from metta.rl.sampling import uniforms
from metta.rl.shards import Shards
from metta.rl.specs import spec_of
from metta.rl.update import make_learner, update
from metta.sim.config import SimConfig
from metta.sim.vector_env import VectorEnv

WARM_UP = 2
"""Updates before the first that counts: they compile and fill caches."""
T = TypeVar("T")


def in_own_process(work: Callable[..., T], *arguments: Any) -> T:
    """What `work(*arguments)` returns in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def training_rate(
    policy: PolicyConfig, sim: SimConfig, trainer: TrainerConfig, threads: int, repeats: int
) -> dict[str, Any]:
    """Agent-steps per second of rollout and update together (median), shares of the time, operations per agent-step.

    The collector and the update are the trainer's own, on the device that it would choose. The share of the simulation
    is the longest of the threads'.
    """
    system = SystemConfig(threads=threads)
    device = choose_device(system)
    acting_shards, shards = (Shards(count) for count in choose_shares(threads, device, "cpu"))
    worlds = max(1, round(trainer.num_streams / sim.num_agents))
    env = VectorEnv(sim, num_worlds=worlds, seed=derive_seed(0, "worlds"), desynchronise=True)
    env.reset()
    simulated = _time_steps(env)
    spec = spec_of(sim, trainer)
    learner = make_learner(policy.build(spec, derive_seed(0, "weights")).to(device), trainer, env.num_streams)
    play = recorder(device, system)
    collector = Collector(env, learner.policy, trainer.rollout_steps, device, acting_shards, play)
    index = 0

    def one_update() -> tuple[float, float, float]:
        nonlocal index
        simulated.clear()
        started = time.perf_counter()
        segments = collector.collect(uniforms(0, "sampling", index, (trainer.rollout_steps, env.num_streams)))
        collected = time.perf_counter()
        update(learner, segments, trainer, shards, 0, index, 0, play)
        index += 1
        simulation = max(simulated.values())
        return simulation, collected - started - simulation, time.perf_counter() - collected

    try:
        result = measured(one_update, env.num_streams * trainer.rollout_steps, repeats)
    finally:
        acting_shards.close()
        shards.close()
    # Once forward to act, and thrice per pass to learn: forward, and twice as much backward.
    return result | {"flops_per_step": forward_flops(policy, spec, compiled=True) * (1 + 3 * trainer.epochs)}


def _time_steps(env: VectorEnv) -> dict[int, float]:
    """Seconds that each thread's share of the worlds has taken, by its first world, from now on; clear to reset."""
    seconds: dict[int, float] = {}
    step_worlds = env.step_worlds

    def timed(actions: Any, first: int, last: int) -> Any:
        started = time.perf_counter()
        result = step_worlds(actions, first, last)
        seconds[first] = seconds.get(first, 0.0) + time.perf_counter() - started
        return result

    env.step_worlds = timed  # type: ignore[method-assign]
    return seconds


def measured(one_update: Callable[[], tuple[float, float, float]], steps: int, repeats: int) -> dict[str, Any]:
    """Medians over `repeats` updates of `steps` agent-steps, each told as seconds of simulating, acting, learning."""
    for _ in range(WARM_UP):
        one_update()
    times = [one_update() for _ in range(repeats)]
    stages = [statistics.median(stage) for stage in zip(*times, strict=True)]
    shares = [stage / sum(stages) for stage in stages]
    return {
        "agent_steps_per_second": steps / statistics.median(sum(stages) for stages in times),
        "simulation_share": shares[0],
        "acting_share": shares[1],
        "update_share": shares[2],
        "peak_memory_mb": _peak_memory_mb(),
    }


def _peak_memory_mb() -> float:
    """Most memory that this program has held; `getrusage` counts what its parent held at the start, too."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def matrix_rate(threads: int) -> float:
    """Floating-point operations per second of large float32 matrix products, one product at a time on every thread."""
    torch.set_num_threads(1)
    rows, width, repeats = 4096, 512, 20
    pairs = [(torch.randn(rows, width), torch.randn(width, width)) for _ in range(threads)]

    def multiply(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
        for _ in range(repeats):
            torch.mm(*pair)

    with ThreadPoolExecutor(threads) as pool:
        times = []
        for _ in range(7):
            started = time.perf_counter()
            list(pool.map(multiply, pairs))
            times.append(time.perf_counter() - started)
    return threads * repeats * 2 * rows * width * width / min(times)
