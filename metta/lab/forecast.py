"""How long a plan will take and cost: from the speed of runs that this machine has done, or a given one."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from metta.base.errors import InputError
from metta.base.files import read_json
from metta.base.provenance import machine
from metta.base.run_files import STATUS
from metta.lab.log import duration_text
from metta.lab.planned import PlannedRun
from metta.lab.run_folder import RunFolder

START_SECONDS = 5.0
"""Time a job takes to start: interpreter, torch, compiled kernels from the cache."""


@dataclass(frozen=True)
class Speed:
    """What was measured of one architecture on one level."""

    steps_per_second: float
    """Agent-steps per second in training."""
    evaluation_seconds: float
    """Time of the evaluation."""


Speeds = Mapping[tuple[str, str], Speed]
"""(architecture, level) -> speed; the level may be `ANY_LEVEL`."""
ANY_LEVEL = ""


def measured_speeds(root: Path, threads: int) -> Speeds:
    """Means over the trained runs below `root` (one or two folders down) that this machine did.

    Args:
        root: folder with run folders, or with folders of them.
        threads: only runs with this `system.threads` count.
    """
    found: dict[tuple[str, str], list[Speed]] = defaultdict(list)
    for file in [*root.glob(f"*/{STATUS}"), *root.glob(f"*/*/{STATUS}")]:
        measured = _measured(RunFolder(file.parent), threads)
        if measured is not None:
            architecture, level, speed = measured
            found[architecture, level].append(speed)
            found[architecture, ANY_LEVEL].append(speed)
    return {
        key: Speed(
            fmean(speed.steps_per_second for speed in speeds), fmean(speed.evaluation_seconds for speed in speeds)
        )
        for key, speeds in found.items()
    }


def _measured(folder: RunFolder, threads: int) -> tuple[str, str, Speed] | None:
    try:
        status = folder.status()
        record = read_json(folder.configuration_file)
        configuration, there = record["configuration"], record["starts"][-1]["machine"]
        same = all(there[key] == machine()[key] for key in ("processor", "cores", "gpus"))
        if not same or configuration["system"]["threads"] != threads:
            return None
        if status is None or not status.trained or status.training_seconds <= 0:
            return None
        evaluated = read_json(folder.evaluation_file) if folder.evaluation_file.exists() else {}
        speed = Speed(status.timesteps / status.training_seconds, float(evaluated.get("duration_seconds") or 0.0))
        return str(configuration["architecture"]), str(configuration["level"]), speed
    except (InputError, KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None  # an unreadable run says nothing about speed


@dataclass(frozen=True)
class Forecast:
    """Of the runs that are not finished."""

    runs: int
    """Runs to be done."""
    job_seconds: float
    """Sum over all jobs whose speed is known."""
    wall_seconds: float
    """From start to end, with the slots given."""
    unknown: tuple[str, ...]
    """Architectures whose speed is not known; their runs are not counted in the times."""

    def sentences(self, slots: int, price_per_hour: float | None) -> list[str]:
        """For people. `price_per_hour` is that of one slot, in any currency."""
        lines = [f"{self.runs} runs to do, {slots} at a time"]
        least = "at least " if self.unknown else ""
        if self.job_seconds:
            lines.append(
                f"time: {least}{duration_text(self.wall_seconds)} from start to end, "
                f"{least}{duration_text(self.job_seconds)} of all jobs together (h:mm:ss)"
            )
        if self.job_seconds and price_per_hour is not None:
            cost = self.job_seconds / 3600 * price_per_hour
            lines.append(f"cost: {least}{cost:,.2f} at {price_per_hour:g} per slot and hour")
        elif price_per_hour is None:
            lines.append("cost: give --price-per-hour, the price of one slot, to have it forecast")
        if self.unknown:
            lines.append(f"speed not measured on this machine with these threads: {', '.join(self.unknown)}")
        return lines


def forecast(runs: Sequence[PlannedRun], slots: int, speeds: Speeds, steps_per_second: float | None) -> Forecast:
    """The time of everything that is not finished, started in the order of the plan.

    Args:
        runs: the plan.
        slots: jobs that run at once.
        speeds: what was measured.
        steps_per_second: agent-steps per second that hold for all runs in place of what was measured, or None.
    """
    durations: list[float] = []
    unknown: dict[str, None] = {}
    left = 0
    for run in runs:
        if run.folder.is_finished():
            continue
        left += 1
        spec = run.spec
        speed = speeds.get((spec.architecture, spec.level)) or speeds.get((spec.architecture, ANY_LEVEL))
        if steps_per_second is not None:
            speed = Speed(steps_per_second, speed.evaluation_seconds if speed else 0.0)
        if speed is None:
            unknown[spec.architecture] = None
            continue
        status = run.folder.status()
        steps = max(0, run.job.config.trainer.total_timesteps - (status.timesteps if status else 0))
        durations.append(START_SECONDS + steps / speed.steps_per_second + speed.evaluation_seconds)
    return Forecast(left, sum(durations), _wall(durations, slots), tuple(unknown))


def _wall(durations: Iterable[float], slots: int) -> float:
    """When the last of these jobs ends if each starts as soon as a slot is free."""
    free = [0.0] * slots
    for seconds in durations:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)
