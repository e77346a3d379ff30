"""Records as evaluations and benchmarks write them, with known numbers."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from metta.analysis.results import EnvironmentResult, EvaluationRecord, RunRecord, TrainingRecord


def evaluated(hearts: Sequence[float], maps: str = "maps") -> dict[str, Any]:
    """What metta.rl.evaluate returns per environment, for episodes whose two agents hold so many hearts each."""
    spread = {"standard_deviation": 0.0, "minimum": min(hearts), "maximum": max(hearts)}
    return {
        "reward": 2 * fmean(hearts),
        "hearts_per_agent": fmean(hearts),
        "episodes": len(hearts),
        "spread": {"reward": spread, "hearts_per_agent": spread},
        "worlds_hash": maps,
        "per_episode": [
            {"hearts": [value, value], "counters": {}, "length": 10, "map_hash": f"{number:x}"}
            for number, value in enumerate(hearts)
        ],
    }


def run_record(
    architecture: str, seed: int, results: Mapping[str, EnvironmentResult] | None, **changes: Any
) -> RunRecord:
    """Of a run on level 1 with these results, or whose training failed; `changes` are of its training."""
    name = f"x.{architecture}.level_1_basic.s{seed}"
    training = {
        "architecture": architecture,
        "level": "level_1_basic",
        "seed": seed,
        "run_name": name,
        "command": f"uv run ./tools/run.py experiments.recipes.benchmark_architectures.level_1_basic.train run={name}",
        "start_time": "2026-01-01T00:00:00+00:00",
        "status": "failed" if results is None else "success",
        "duration_seconds": 10.0 + seed,
        "error": "the loss became NaN." if results is None else None,
        "timesteps": 1000,
        "total_timesteps": 1000,
        "run_folder": "x",
        "settings": "settings",
    }
    evaluation = EvaluationRecord(
        status="skipped" if results is None else "success",
        duration_seconds=None if results is None else 2.0,
        results=dict(results or {}),
        error=None,
    )
    training_record = TrainingRecord.parse(training | changes)
    return RunRecord(run_number=seed + 1, total_runs=4, training=training_record, evaluation=evaluation)
