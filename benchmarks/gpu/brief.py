"""Brief training runs: the trainer itself, stopped after a few updates, and what it showed by then.

A rate is that of whole updates, simulation and metrics included; updates that end in a checkpoint are left out by
taking the median.
"""

import gc
import math
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.gpu.extent import CHECK_AFTER, WARM_UP
from metta.lab.batch import own_stream
from metta.rl.checkpoint import list_checkpoints
from metta.rl.config import RunConfig
from metta.rl.metrics import Progress
from metta.rl.trainer import train


class _Enough(Exception):
    """Ends a run from its callback."""


@dataclass
class Brief:
    """What a run showed."""

    steps_per_update: int
    started: float
    times: list[float] = field(default_factory=list)
    """At the end of each update, seconds of the clock."""
    metrics: list[Mapping[str, float]] = field(default_factory=list)
    """After each update."""
    weights_before: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    """After CHECK_AFTER updates."""
    peak_bytes: int = 0
    """Most memory of the GPU in tensors."""

    @property
    def seconds_per_update(self) -> float:
        """Median after warming up."""
        times = self.times[WARM_UP - 1 :]
        return statistics.median(later - earlier for earlier, later in pairwise(times))

    @property
    def rate(self) -> float:
        """Agent-steps per second."""
        return self.steps_per_update / self.seconds_per_update

    @property
    def first_update_seconds(self) -> float:
        """From the call to the end of the first update: compiling, loading and recording."""
        return self.times[0] - self.started


def brief_run(
    config: RunConfig, seconds: float, least: int, most: int, hook: Callable[[int], None] = lambda update: None
) -> Brief:
    """Train from the start for so long, at least and at most so many updates.

    Args:
        config: its checkpoints are changed: one after CHECK_AFTER updates.
        seconds: after warming up.
        least: updates.
        most: updates.
        hook: called with the number of each finished update.
    """
    steps = config.num_worlds * config.sim.num_agents * config.trainer.rollout_steps
    folder = Path(tempfile.mkdtemp(prefix="brief_"))
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    brief = Brief(steps, time.perf_counter())

    def on_update(progress: Progress) -> None:
        brief.times.append(time.perf_counter())
        brief.metrics.append(progress.metrics)
        if progress.update == CHECK_AFTER:
            before, after = list_checkpoints(folder / "checkpoints")
            brief.weights_before, brief.weights = (load_file(path / "policy.safetensors") for path in (before, after))
        hook(progress.update)
        warm = brief.times[min(WARM_UP, len(brief.times)) - 1]
        if progress.update >= most or (progress.update >= least and brief.times[-1] - warm > seconds):
            raise _Enough

    try:
        train(endless(config, CHECK_AFTER * steps), folder, on_update)
    except _Enough:
        pass
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        free()
    if torch.cuda.is_available():
        brief.peak_bytes = torch.cuda.max_memory_allocated()
    return brief


class SideBySide:
    """Runs that train together on one device, each in a thread of its own, until the end of the context."""

    def __init__(self) -> None:
        """None yet."""
        self._times: list[list[float]] = []
        self._steps: list[int] = []
        self._threads: list[threading.Thread] = []
        self._faults: list[BaseException] = []
        self._stop = threading.Event()

    def __enter__(self) -> "SideBySide":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        free()

    def start(self, config: RunConfig) -> None:
        """One more run."""
        self._times.append([])
        self._steps.append(config.num_worlds * config.sim.num_agents * config.trainer.rollout_steps)
        self._threads.append(threading.Thread(target=self._work, args=(config, self._times[-1])))
        self._threads[-1].start()

    def _work(self, config: RunConfig, times: list[float]) -> None:
        def on_update(progress: Progress) -> None:
            times.append(time.perf_counter())
            if self._stop.is_set():
                raise _Enough

        folder = Path(tempfile.mkdtemp(prefix="brief_"))
        try:
            with own_stream():
                train(endless(config, 10**15), folder, on_update)
        except _Enough:
            pass
        except BaseException as error:
            self._faults.append(error)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def rate(self, seconds: float, patience: float) -> float:
        """Agent-steps per second of all runs together, measured for so long from when all of them are warm.

        Raises:
            RuntimeError: a run failed, or they were not warm in `patience` seconds.
        """
        limit = time.perf_counter() + patience
        while any(len(ended) < WARM_UP for ended in self._times):
            self._check()
            if time.perf_counter() > limit:
                raise RuntimeError(f"{len(self._times)} runs were not warm in {patience:.0f} s")
            time.sleep(0.01)
        first = time.perf_counter()
        time.sleep(seconds)
        last = time.perf_counter()
        self._check()
        done = [sum(first < ended <= last for ended in list(times)) for times in self._times]
        return sum(steps * updates for steps, updates in zip(self._steps, done, strict=True)) / (last - first)

    def _check(self) -> None:
        if self._faults:
            raise RuntimeError(f"one of {len(self._times)} runs failed: {self._faults[0]}") from self._faults[0]


def endless(config: RunConfig, checkpoint_every: int) -> RunConfig:
    """The run without an end in sight."""
    trainer = config.trainer.model_copy(update={"checkpoint_every": checkpoint_every, "total_timesteps": 10**12})
    return config.model_copy(update={"trainer": trainer})


def free() -> None:
    """Give back what ended runs held on the GPU."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()


def loss_deviation(one: Brief, other: Brief, updates: int) -> float:
    """Largest relative difference of a loss, a gradient's norm or the reward in the first updates; NaN if one is."""
    differences = [
        abs(mine[name] - others[name]) / max(abs(mine[name]), LEAST_SCALE)
        for mine, others in zip(one.metrics[:updates], other.metrics[:updates], strict=True)
        for name in mine
        if name.startswith(("loss/", "rollout/")) and name in others
    ]
    return math.nan if any(map(math.isnan, differences)) else max(differences)


LEAST_SCALE = 0.01
"""Losses near zero are compared with this instead of themselves."""


def weight_deviation(one: Brief, other: Brief) -> float:
    """How far the weights are apart after CHECK_AFTER updates, as a share of the way they went from the start."""

    def norm(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> float:
        return float(sum((left[name].double() - right[name].double()).square().sum() for name in left)) ** 0.5

    return norm(one.weights, other.weights) / norm(one.weights, one.weights_before)
