"""Acting latency: how long a policy takes to choose one action for one agent (batch 1), as on a robot or in a game.

Measured on one processor thread, or on the GPU with the transfers to and from it, while an episode goes on: memory
fills as in use. Other work on the machine makes it longer: the best of several rounds counts, and it is marked where
the thread had to wait for its processor even then.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from metta.agent.policy import Policy
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.rl.devices import choose_device
from metta.rl.evaluate import one_episode
from metta.rl.sampling import sample_actions
from metta.sim.config import SimConfig
from metta.sim.constants import NUM_ACTIONS

WARM_STEPS = 100
"""Steps before the first that counts: torch prepares itself, and memories fill."""
ROUNDS = 5
TIMED_STEPS = 100
"""Steps of each round."""
BUSY_SHARE = 0.05
"""Share of a round's time that the thread did not run, from which on the machine was busy with other work."""


class Round(NamedTuple):
    """Steps measured after each other."""

    seconds: NDArray[np.float64]
    """[TIMED_STEPS] to one action."""
    waited: float
    """Share of the time that the thread waited for a processor."""


def acting_latency(
    policy: Policy, sim: SimConfig, evaluation: EvaluationConfig, system: SystemConfig
) -> dict[str, float | int | str | bool]:
    """Median and 90th percentile of the time to one action in the best round, in milliseconds; what was measured how.

    Args:
        policy: stays on the device.
        sim: the environment that is seen; the other agents act at random.
        evaluation: its first episode is played, again from its start if it is short.
        system: device.
    """
    device = choose_device(system)
    policy = policy.to(device)
    env, _, _ = one_episode(sim, evaluation, 0)
    generator = np.random.default_rng(evaluation.seed)
    state = policy.initial_state(1, device=device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def step() -> float:
        nonlocal state
        before = time.perf_counter()
        with torch.inference_mode():
            observation = torch.from_numpy(env.buffers.observations[:1]).to(device)
            reset = torch.from_numpy(env.buffers.resets[:1]).to(device)
            logits, state = policy.act(observation.unsqueeze(1), reset.unsqueeze(1), state)
            chosen, _ = sample_actions(logits[:, 0], torch.full((1,), 0.5, device=device))
            action = int(chosen)
        seconds = time.perf_counter() - before
        actions = generator.integers(0, NUM_ACTIONS, env.num_streams, dtype=np.int32)
        actions[0] = action
        env.step(actions)
        return seconds

    def one_round() -> Round:
        started, ran = time.perf_counter(), time.thread_time()
        seconds = np.array([step() for _ in range(TIMED_STEPS)])
        share = (time.thread_time() - ran) / (time.perf_counter() - started)
        return Round(seconds, max(0.0, 1 - share))

    try:
        for _ in range(WARM_STEPS):
            step()
        rounds = [one_round() for _ in range(ROUNDS)]
    finally:
        torch.set_num_threads(threads)
    return {**best_of(rounds), "device": device.type}


def best_of(rounds: Sequence[Round]) -> dict[str, float | int | bool]:
    """What is kept of rounds: the quickest median, its 90th percentile, and whether its thread had to wait."""
    best = min(rounds, key=lambda measured: float(np.median(measured.seconds)))
    return {
        "median_milliseconds": round(1000 * float(np.median(best.seconds)), 4),
        "percentile_90_milliseconds": round(1000 * float(np.quantile(best.seconds, 0.9)), 4),
        "steps": len(best.seconds),
        "rounds": len(rounds),
        "busy": best.waited > BUSY_SHARE,
    }
