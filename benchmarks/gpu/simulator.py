"""Speed of worlds on a GPU: random actions drawn beforehand on it, complete observations, new maps included; no policy.

Worlds are in the middle of their episodes. A figure is the median over the repeats, in agent-steps per second of wall
time; the seconds of the first step are those of compiling and are not in it. W worlds, A agents in a world,
N = W * A agent streams.
"""

import statistics
import time
from typing import TYPE_CHECKING

import torch

from metta.sim.config import SimConfig
from metta.sim.constants import NUM_ACTIONS

if TYPE_CHECKING:
    from metta.sim.cuda.env import CudaVectorEnv

DRAWN_STEPS = 16
SEED = 0


def run(env: "CudaVectorEnv", actions: torch.Tensor, steps: int) -> float:
    """Seconds of wall time that so many steps take, until the GPU is done; `actions` [DRAWN_STEPS, N]."""
    started = time.perf_counter()
    for step in range(steps):
        env.step(actions[step % DRAWN_STEPS])
    env.drain_episodes()
    wait()
    return time.perf_counter() - started


def wait() -> None:
    """Until the GPU has done everything; in numba's simulator it has."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(config: SimConfig, num_worlds: int, steps: int, repeats: int) -> dict[str, float]:
    """One line of the table."""
    from metta.sim.cuda.env import DEVICE, CudaVectorEnv

    env = CudaVectorEnv(config, num_worlds=num_worlds, seed=SEED, desynchronise=True)
    started = time.perf_counter()
    env.reset()
    generator = torch.Generator().manual_seed(SEED)
    actions = torch.randint(NUM_ACTIONS, (DRAWN_STEPS, env.num_streams), generator=generator, dtype=torch.int32)
    actions = actions.to(DEVICE)
    env.step(actions[0])
    wait()
    first = time.perf_counter() - started
    run(env, actions, steps)
    seconds = statistics.median(run(env, actions, steps) for _ in range(repeats))
    rate = round(steps * env.num_streams / seconds)
    return {
        "worlds": num_worlds,
        "agents": env.num_streams,
        "agent_steps_per_second": rate,
        "milliseconds_per_step": 1000 * seconds / steps,
        "first_step_seconds": first,
    }
