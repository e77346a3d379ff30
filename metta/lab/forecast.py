"""How long a plan will take and cost, and the disk it needs: from runs that this machine has done, or from the ledger.

The ledger's training rates (docs/architectures.md) are scaled to this machine: by the runs that it has done, if there
are any, else by how fast it multiplies matrices. Such figures are rough, and are said to be.
"""

import heapq
import shutil
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean

from metta.base.errors import InputError
from metta.base.files import read_json
from metta.base.provenance import REPOSITORY, cores, machine
from metta.base.run_files import STATUS
from metta.lab.log import duration_text
from metta.lab.planned import PlannedRun
from metta.lab.run_folder import RunFolder
from metta.rl.config import RunConfig
from metta.sim.config import SimConfig

START_SECONDS = 5.0
"""Time a job takes to start: interpreter, torch, compiled kernels from the cache."""
LEDGER = REPOSITORY / "docs" / "architectures.md"
LEDGER_GIGAFLOPS, LEDGER_THREADS = 93.0, 2
"""What `gigaflops` says of the machine on which the ledger's rates were measured, and their threads."""
SHARE_OF_THREADS = 0.6
"""A run with k times as many threads trains about k to this power times as fast."""
FASTER_ACTING = 2.0
"""An evaluation does about so many times the agent-steps per second of training."""
WORLDS_AT_ONCE = 4
"""Worlds in which a policy acts in an evaluation, even where fewer count (`metta.rl.players.WORLDS_AT_ONCE`, on a CPU).
"""
BYTES_PER_PARAMETER = 18
"""Of a checkpoint: weights, their average, and the optimiser's state."""
CHECKPOINTS, FURTHER_BYTES = 3, 2_000_000
"""Of a run's folder: the newest two and the best; curves, log and replays."""


@dataclass(frozen=True)
class Speed:
    """What is known of one architecture on one level."""

    steps_per_second: float
    """Agent-steps per second in training."""
    evaluation_seconds: float | None
    """Time of the evaluation; None: it follows from the rate."""
    disk: float
    """Bytes of a run's folder."""
    rough: bool = False
    """By the ledger, not measured here."""


Speeds = Mapping[tuple[str, str], Speed]
"""(architecture, level) -> speed; either may be `ANY`."""
ANY = ""
"""Any level: the mean over levels. Any architecture: as the slowest and the largest of the ledger."""


def known_speeds(root: Path, threads: int) -> Speeds:
    """Means over the trained runs below `root` (one or two folders down) that this machine did, else the ledger.

    Args:
        root: folder with run folders, or with folders of them.
        threads: of each run, 0: all cores; only runs with this `system.threads` count.
    """
    files = [*root.glob(f"*/{STATUS}"), *root.glob(f"*/*/{STATUS}")]
    return _known((_measured(RunFolder(file.parent), threads) for file in files), threads)


def _known(measured: Iterable[tuple[str, str, Speed] | None], threads: int) -> Speeds:
    found: dict[tuple[str, str], list[Speed]] = defaultdict(list)
    for architecture, level, speed in filter(None, measured):
        found[architecture, level].append(speed)
        found[architecture, ANY].append(speed)
    means = {key: _mean(speeds) for key, speeds in found.items()}
    return {**_ledger(means, threads), **means}


def _mean(speeds: Sequence[Speed]) -> Speed:
    evaluations = [speed.evaluation_seconds for speed in speeds if speed.evaluation_seconds is not None]
    return Speed(
        fmean(speed.steps_per_second for speed in speeds),
        fmean(evaluations) if evaluations else None,
        fmean(speed.disk for speed in speeds),
    )


def _measured(folder: RunFolder, threads: int | None) -> tuple[str, str, Speed] | None:
    """Of a run trained to its end on this machine with so many threads; None: of any run, however far it is."""
    try:
        status = folder.status()
        if status is None or status.training_seconds <= 0:
            return None
        record = folder.record()
        configuration, there = record["configuration"], record["starts"][-1]["machine"]
        same = all(there[key] == machine()[key] for key in ("processor", "cores", "gpus"))
        if threads is not None and not (status.trained and same and configuration["system"]["threads"] == threads):
            return None
        evaluated = read_json(folder.evaluation_file) if folder.evaluation_file.exists() else {}
        seconds = evaluated.get("duration_seconds")
        speed = Speed(
            status.timesteps / status.training_seconds,
            None if seconds is None else float(seconds),
            sum(file.stat().st_size for file in folder.path.rglob("*") if file.is_file()),
        )
        return str(configuration["architecture"]), str(configuration["level"]), speed
    except (InputError, OSError, KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None  # an unreadable run says nothing about speed


def _ledger(measured: Speeds, threads: int) -> Speeds:
    """By the ledger, scaled to this machine by what it has done; ANY architecture for one that is not in it."""
    rates: dict[str, tuple[float, float]] = {}
    rows = (line.split("|")[1:-1] for line in LEDGER.read_text(encoding="utf-8").splitlines() if line[:2] == "| ")
    for name, _, parameters, *_, rate, _ in rows:
        if parameters.strip()[:1].isdecimal() and rate.strip()[:1].isdecimal():
            rates[name.strip()] = (float(rate.replace(",", "")), float(parameters.replace(",", "")))
    known = [
        measured[name, ANY].steps_per_second / rate for name, (rate, _) in rates.items() if (name, ANY) in measured
    ]
    by_threads = ((threads or cores()) / LEDGER_THREADS) ** SHARE_OF_THREADS
    scale = fmean(known) if known else gigaflops() / LEDGER_GIGAFLOPS * by_threads
    rates[ANY] = min(rate for rate, _ in rates.values()), max(size for _, size in rates.values())
    return {
        (name, ANY): Speed(rate * scale, None, CHECKPOINTS * BYTES_PER_PARAMETER * size + FURTHER_BYTES, rough=True)
        for name, (rate, size) in rates.items()
    }


@cache
def gigaflops() -> float:
    """Billions of operations per second of one thread that multiplies small matrices; the best of many tries."""
    import numpy as np  # here, because `--help` need not wait for it

    matrix, best = np.ones((64, 64), np.float32), float("inf")
    for _ in range(200):
        started = time.perf_counter()
        for _ in range(20):
            np.matmul(matrix, matrix)
        best = min(best, time.perf_counter() - started)
    return 20 * 2 * 64**3 / best / 1e9


@dataclass(frozen=True)
class Forecast:
    """Of the runs that are not finished."""

    runs: int
    """Runs to be done."""
    job_seconds: float
    """Sum over all jobs."""
    wall_seconds: float
    """From start to end, with the slots given."""
    disk: float
    """Bytes of the folders of all runs to be done."""
    rough: tuple[str, ...]
    """Architectures whose figures are the ledger's."""

    def sentences(self, slots: int, price_per_hour: float | None, folder: Path) -> list[str]:
        """For people. `price_per_hour` is that of one slot, in any currency; the runs go into `folder`."""
        if not self.runs:
            return ["nothing to do: every run is finished"]
        about = "about " if self.rough else ""
        there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
        lines = [
            f"{self.runs} runs to do, {slots} at a time",
            f"time: {about}{duration_text(self.wall_seconds)} from start to end, "
            f"{about}{duration_text(self.job_seconds)} for all jobs added up",
            f"disk: about {self.disk / 1e9:,.1f} GB ({shutil.disk_usage(there).free / 1e9:,.0f} GB free)",
        ]
        if price_per_hour is None:
            lines.append("cost: give --price-per-hour, the price of running one job for an hour")
        else:
            cost = self.job_seconds / 3600 * price_per_hour
            lines.append(f"cost: {about}{cost:,.2f} at {price_per_hour:g} per job and hour")
        if self.rough:
            lines.append(
                "rough, from the speeds in docs/architectures.md scaled to this machine; these were not trained here "
                f"with the same number of threads: {', '.join(self.rough)}"
            )
        return lines


def forecast(runs: Sequence[PlannedRun], slots: int, speeds: Speeds, rate: float | None) -> Forecast:
    """The time of everything that is not finished, started in the order of the plan.

    Args:
        runs: the plan.
        slots: jobs that run at once.
        speeds: as `known_speeds`.
        rate: agent-steps per second that hold for all runs in place of theirs, or None.
    """
    durations: list[float] = []
    rough: dict[str, None] = {}
    disk = 0.0
    for run in runs:
        try:
            if run.folder.is_finished():
                continue
            status = run.folder.status()
        except InputError:
            status = None  # its job will name what is damaged
        name, config = run.spec.architecture, run.job.config
        keys = ((name, run.spec.level), (name, ANY), (ANY, ANY))
        speed = next(speeds[key] for key in keys if key in speeds)
        if rate is not None:
            speed = replace(speed, steps_per_second=rate)
        elif speed.rough:
            rough[name] = None
        steps = max(0, config.trainer.total_timesteps - (status.timesteps if status else 0))
        evaluation = speed.evaluation_seconds
        if evaluation is None:
            played = sum(sim.max_steps * sim.num_agents for sim in config.evaluation_environments.values())
            evaluation = config.evaluation.worlds * played / speed.steps_per_second / FASTER_ACTING
        curve = evaluation * curve_over_evaluation(config) * steps / config.trainer.total_timesteps
        durations.append(START_SECONDS + steps / speed.steps_per_second + curve + evaluation)
        disk += speed.disk
    return Forecast(len(durations), sum(durations), _wall(durations, slots), disk, tuple(rough))


def curve_over_evaluation(config: RunConfig) -> float:
    """Time of a run's held-out curve, which is not in its training seconds, over the time of its evaluation."""

    def played(worlds: int, environments: Iterable[SimConfig]) -> int:
        blocks = -(-worlds // WORLDS_AT_ONCE)
        return blocks * sum(sim.max_steps * sim.num_agents for sim in environments)

    environments = list(config.evaluation_environments.values())
    point = played(config.trainer.curve_worlds, environments[:1])
    return config.trainer.curve_points * point / played(config.evaluation.worlds, environments)


def seconds_left(runs: Sequence[PlannedRun], slots: int) -> float:
    """Of a benchmark at work, from now to its end: by the rates of its own runs so far, else by the ledger's.

    Args:
        runs: those that are done or to be done, in the order of the plan.
        slots: jobs that run at once.
    """
    speeds = _known((_measured(run.folder, threads=None) for run in runs), runs[0].threads if runs else 0)
    return forecast(runs, slots, speeds, rate=None).wall_seconds


def _wall(durations: Iterable[float], slots: int) -> float:
    """When the last of these jobs ends if each starts as soon as a slot is free."""
    free = [0.0] * slots
    for seconds in durations:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)
