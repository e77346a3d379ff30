"""What a run reports of itself: one JSON line per update, episode summaries, and which checkpoint was best.

docs/training.md lists every metric with its unit.
"""

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metta.base.errors import RunError
from metta.base.files import write_atomically, write_json
from metta.base.run_files import BEST_RECORD
from metta.sim.config import ConverterConfig
from metta.sim.constants import HEART
from metta.sim.episodes import COUNTER_NAMES

if TYPE_CHECKING:
    from metta.sim.config import SimConfig
    from metta.sim.episodes import EpisodeRecord

BEHAVIOUR_COUNTERS = (
    "attacks_tried",
    "attacks_hit",
    "attacks_blocked",
    "items_stolen",
    "items_lost_to_theft",
    "failed_actions",
    "moves",
)
"""Counters of `metta.sim.episodes` that are reported beside the flow of resources."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands after an update."""

    update: int
    timesteps: int
    """Agent-steps so far."""
    total_timesteps: int
    steps_per_second: float
    """Agent-steps per second in this start of the run, without its warm-up."""
    seconds_left: float
    metrics: Mapping[str, float]
    seconds: float = 0.0
    """In training, over all starts of the run (see training_time.py)."""
    warm_up_seconds: float = 0.0
    """Of this start, until the compiled code was there."""


class MetricsFile:
    """`metrics.jsonl`: lines of {update, timesteps, <metrics>, timing: {...}}.

    Everything outside `timing` is the same for the same seed, machine and thread setting. Lines after the checkpoint
    that a run continues from are dropped first, because they will be written again.
    """

    def __init__(self, path: Path, last_update: int) -> None:
        self._path = path
        kept = []
        if path.exists():
            for line in path.read_bytes().splitlines():
                try:
                    number = json.loads(line)["update"]
                except (ValueError, KeyError, TypeError):
                    continue  # torn by a kill, or damaged by a full disk
                if number > last_update:
                    break
                kept.append(line + b"\n")
        write_atomically(path, b"".join(kept))

    def append(self, progress: Progress, timing: Mapping[str, float]) -> None:
        """Add one line. Raises RunError when the disk refuses it."""
        record = {
            "update": progress.update,
            "timesteps": progress.timesteps,
            **progress.metrics,
            "timing": dict(timing),
        }
        data = (json.dumps(record) + "\n").encode()
        try:
            # One write call per line, so that a kill leaves at most one torn line, at the end.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                written = os.write(descriptor, data)
                if written < len(data):  # the disk is nearly full
                    os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise RunError(f"could not write {self._path}: {error.strerror or error}.") from error


def episode_metrics(whole: Sequence["EpisodeRecord"], sim: "SimConfig") -> dict[str, float]:
    """Means over the training episodes of full length that ended (those cut short at the start are left out).

    Everything is per agent and episode, except `episode/frozen_share` (share of an agent's steps) and `episode/count`.
    Empty when none ended.
    """
    if not whole:
        return {}
    inventory = np.stack([episode.final_inventory for episode in whole])
    counters = dict(zip(COUNTER_NAMES, np.stack([episode.counters for episode in whole]).mean((0, 1)), strict=True))
    flows = {
        f"episode/{change}_{name}": float(counters[f"{change}_{name}"])
        for name in traded_resources(sim)
        for change in ("gained", "lost")
    }
    return {
        "episode/count": float(len(whole)),
        "episode/return": float(np.mean([episode.returns for episode in whole])),
        "episode/hearts_per_agent": float(inventory[:, :, HEART].mean()),
        **flows,
        **{f"episode/{name}": float(counters[name]) for name in BEHAVIOUR_COUNTERS},
        "episode/frozen_share": float(counters["steps_frozen"]) / whole[0].length,
    }


def traded_resources(sim: "SimConfig") -> list[str]:
    """The resources that some converter takes or gives, in id order."""
    used = {
        name
        for thing in sim.objects.values()
        if isinstance(thing, ConverterConfig)
        for name in (*thing.input_resources, *thing.output_resources)
    }
    return [name for name in sim.resource_names if name in used]


def episode_result(episode: "EpisodeRecord", sim: "SimConfig") -> dict[str, Any]:
    """What an evaluation keeps of an episode: where it came from and, per agent, reward, hearts and behaviour."""
    kept = [f"{change}_{name}" for name in traded_resources(sim) for change in ("gained", "lost")]
    return {
        "world": episode.world,
        "episode": episode.episode,
        "seed": episode.seed,
        "map_hash": episode.map_hash,
        "length": episode.length,
        "reward": episode.returns.tolist(),
        "hearts": episode.final_inventory[:, HEART].tolist(),
        "counters": {name: episode.counter(name).tolist() for name in (*kept, *BEHAVIOUR_COUNTERS, "steps_frozen")},
    }


def best_record(best: dict[str, Any] | None, name: str, held_out: Mapping[str, float]) -> dict[str, Any] | None:
    """The better of `best` and the checkpoint `name`, judged by its point of the held-out curve; `best` without."""
    hearts = held_out.get("held_out/hearts_per_agent")
    if hearts is None or (best is not None and hearts <= best["hearts_per_agent"]):
        return best
    return {"checkpoint": name, "hearts_per_agent": hearts}


def write_best(checkpoints: Path, best: dict[str, Any] | None) -> None:
    """Write `best.json` beside the checkpoints."""
    if best is not None:
        write_json(checkpoints / BEST_RECORD, best)
