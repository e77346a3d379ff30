"""How much is measured: on a GPU, and in the rehearsal on a processor."""

from collections.abc import Mapping
from dataclasses import dataclass

CHECK_AFTER = 3
"""Updates after which weights are compared."""
WARM_UP = 5
"""Updates before the first that counts."""


SHARES = {
    "versions": 0.1,
    "cases": 0.12,
    "architectures": 0.45,
    "together": 0.2,
    "profiles": 0.12,
    "memories": 0.05,
    "simulator": 0.1,
    "streams": 0.15,
    "runs": 0.97,
}
"""The parts in their order, with the share of the time left that each may take."""


@dataclass(frozen=True)
class Extent:
    """Sizes of everything."""

    rehearsal: bool
    seconds: float
    """Of each rate, after warming up."""
    least_updates: int
    most_updates: int
    settings: tuple[str, ...]
    """key=value words of every run."""
    simulated_settings: tuple[str, ...]
    """key=value words of runs whose worlds are on the GPU, which numba simulates in the rehearsal."""
    variants: Mapping[str, tuple[str, ...]]
    """Architectures that are run in each way (`benchmarks.gpu.parts.VARIANTS`); those of a missing one: all."""
    cases_of_steps: int
    """Recorded cases of at most so many steps are replayed."""
    streams: tuple[int, ...]
    """Agents acting in parallel, beyond the usual number."""
    streams_of: tuple[str, ...]
    profiled: tuple[str, ...]
    together: tuple[int, ...]
    """Runs side by side."""
    together_of: tuple[str, ...]
    simulator: tuple[tuple[int, tuple[int, ...]], ...]
    """Level, numbers of worlds."""
    simulator_steps: int
    run_settings: tuple[str, ...]
    """key=value words of the real runs."""
    compiled: tuple[str, ...]
    """Architectures whose kernels for the processor are compiled meanwhile."""


FULL = Extent(
    rehearsal=False,
    seconds=1.0,
    least_updates=8,
    most_updates=60,
    settings=("system.device=cuda",),
    simulated_settings=(),
    variants={},
    cases_of_steps=10**9,
    streams=(960, 3840),
    streams_of=("fast", "gtrxl", "vit"),
    profiled=("fast", "gtrxl"),
    together=(1, 2, 4, 8, 16),
    together_of=("fast", "vit"),
    simulator=((1, (20, 320, 1024, 4096)), (4, (20, 1024))),
    simulator_steps=200,
    # A point of the held-out curve is a thousand steps told one by one: longer than training to the next point.
    run_settings=("trainer.total_timesteps=1000000", "trainer.curve_points=0", "system.device=cuda", "sim.device=cuda"),
    compiled=("vit", "fast", "fast_lstm_reset", "memory_free", "agalite", "trxl", "puffer"),
)
SMALL = ("trainer.num_streams=12", "trainer.rollout_steps=4", "trainer.minibatches=2", "system.threads=1")
SHORT = ("sim.max_steps=30", "evaluation.worlds=1", "evaluation_environments.basic.max_steps=20")
MINIATURE = Extent(
    rehearsal=True,
    seconds=0.0,
    least_updates=WARM_UP + 1,
    most_updates=WARM_UP + 1,
    settings=("system.device=cpu", *SMALL),
    simulated_settings=("trainer.rollout_steps=2", "trainer.num_streams=1"),
    variants={
        "recorded": ("fast",),
        "eager": ("fast",),
        "eager, worlds on the CPU": ("fast", "gtrxl"),
        "all on the CPU": ("fast",),
    },
    cases_of_steps=25,
    streams=(24,),
    streams_of=("fast",),
    profiled=("fast",),
    together=(1, 2),
    together_of=("fast",),
    simulator=((1, (1,)),),
    simulator_steps=1,
    run_settings=("trainer.total_timesteps=96", "system.device=cpu", *SMALL, *SHORT),
    compiled=("fast",),
)
