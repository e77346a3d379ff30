"""Acting latency: how long a policy takes to choose one action for one agent (batch 1), as on a robot or in a game.

Measured on one processor thread, or on the GPU with the transfers to and from it, while an episode goes on: memory
fills as in use. Other work on the machine makes it longer; the median hides short disturbances only.
"""

import time
from pathlib import Path

import numpy as np
import torch

from metta.rl.checkpoint import load_policy
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.rl.devices import choose_device
from metta.rl.evaluate import one_episode
from metta.rl.sampling import sample_actions
from metta.rl.trainer import spec_of
from metta.sim.config import SimConfig
from metta.sim.constants import NUM_ACTIONS

WARM_STEPS = 100
"""Steps before the first that counts: torch prepares itself, and memories fill."""
TIMED_STEPS = 200


def acting_latency(
    checkpoint: Path, sim: SimConfig, evaluation: EvaluationConfig, system: SystemConfig
) -> dict[str, float | int | str]:
    """Median and 90th percentile of the time to one action, in milliseconds; steps that counted; the kind of device.

    Args:
        checkpoint: folder of one checkpoint.
        sim: the environment that is seen; the other agents act at random.
        evaluation: its first episode is played, again from its start if it is short.
        system: device.

    Raises:
        InputError: the checkpoint is damaged or does not fit the environment.
    """
    device = choose_device(system)
    policy = load_policy(checkpoint, spec_of(sim)).to(device)
    env, _, _ = one_episode(sim, evaluation, 0)
    generator = np.random.default_rng(evaluation.seed)
    state = policy.initial_state(1, device=device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seconds = np.zeros(WARM_STEPS + TIMED_STEPS)
    try:
        for step in range(len(seconds)):
            before = time.perf_counter()
            with torch.inference_mode():
                observation = torch.from_numpy(env.buffers.observations[:1]).to(device)
                reset = torch.from_numpy(env.buffers.resets[:1]).to(device)
                logits, state = policy.act(observation.unsqueeze(1), reset.unsqueeze(1), state)
                chosen, _ = sample_actions(logits[:, 0], torch.full((1,), 0.5, device=device))
                action = int(chosen)
            seconds[step] = time.perf_counter() - before
            actions = generator.integers(0, NUM_ACTIONS, env.num_streams, dtype=np.int32)
            actions[0] = action
            env.step(actions)
    finally:
        torch.set_num_threads(threads)
    timed = 1000 * seconds[WARM_STEPS:]
    return {
        "median_milliseconds": round(float(np.median(timed)), 4),
        "percentile_90_milliseconds": round(float(np.quantile(timed, 0.9)), 4),
        "steps": TIMED_STEPS,
        "device": device.type,
    }
