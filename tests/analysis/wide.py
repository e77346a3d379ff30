"""A synthetic benchmark with run folders, for the tests of the report: known numbers, any width."""

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from metta.analysis.results import (
    FILE_NAME,
    BenchmarkResults,
    EnvironmentResult,
    Key,
    RunRecord,
    environment_result,
    scored,
    write_results,
)
from tests.analysis.records import evaluated, run_record

LEVELS = ("level_1_basic", "level_2_easy", "level_3_medium", "level_4_hard", "level_5_expert")
ARCHITECTURES = (
    *("vit", "vit_sliding", "vit_reset", "transformer", "fast", "fast_lstm_reset", "fast_dynamics", "memory_free"),
    *("agalite", "gtrxl", "trxl", "trxl_nvidia", "puffer"),
)
EPISODES = 8
COUNTERS = ("gained_ore_red", "gained_battery_red", "gained_heart", "attacks_tried", "attacks_hit", "steps_frozen")


def evaluation(hearts: float, generator: np.random.Generator, maps: str) -> EnvironmentResult:
    """Eight episodes with about so many hearts per agent."""
    return environment_result(
        evaluated(np.maximum(0, generator.normal(hearts, 0.05, EPISODES)).tolist(), maps), "rules"
    )


def environments(level: str) -> tuple[str, ...]:
    """Of a level."""
    return ("basic",) if level in LEVELS[:2] else ("basic", "combat")


def write_benchmark(
    folder: Path,
    architectures: Sequence[str] = ARCHITECTURES,
    levels: Sequence[str] = LEVELS,
    seeds: int = 3,
    left_out: Sequence[tuple[str, str, int]] = (),
    failed: Sequence[tuple[str, str, int]] = (),
    **changes: Any,
) -> Path:
    """Write results and run folders; returns the results file.

    Args:
        folder: is created.
        architectures: the earlier the better.
        levels: the later the fewer hearts.
        seeds: per architecture and level.
        left_out: runs that have not been started.
        failed: runs whose training failed.
        changes: fields of the results record.
    """
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    references = {
        level: {
            player: {name: evaluation(hearts, generator, level + name) for name in environments(level)}
            for player, hearts in (("random", 0.2), ("blind", 0.8), ("reflex", 7.6), ("scripted", 8.0))
        }
        for level in levels
    }
    references = {
        level: {
            player: {name: scored(own, name, players) for name, own in found.items()}
            for player, found in players.items()
        }
        for level, players in references.items()
    }
    runs = []
    for rank, architecture in enumerate(architectures):
        for place, level in enumerate(levels):
            for seed in range(seeds):
                key = (architecture, level, seed)
                hearts = max(0.0, (6 - 0.35 * rank) / (place + 1) + 0.1 * float(generator.normal()))
                if key not in left_out:
                    runs.append(_run(folder, key, hearts, generator, references[level], key in failed))
    results = BenchmarkResults(
        start_time="2026-01-01T00:00:00+00:00",
        end_time=None if left_out else "2026-01-02T00:00:00+00:00",
        max_timesteps=1_000_000,
        architectures=list(architectures),
        levels=list(levels),
        seeds=list(range(seeds)),
        planned=[Key(*key) for key in product(architectures, levels, range(seeds))],
        command="uv run experiments/recipes/benchmark_architectures/run_benchmark.py",
        references=references,
        runs=runs,
        provenance={"code": {"commit": "0123abc"}, "packages": {"torch": "9.9"}, "machine": {"cores": 2}},
    )
    write_results(folder / FILE_NAME, results.model_copy(update=changes))
    return folder / FILE_NAME


def _run(
    folder: Path,
    key: tuple[str, str, int],
    hearts: float,
    generator: np.random.Generator,
    references: dict[str, dict[str, EnvironmentResult]],
    failed: bool,
) -> RunRecord:
    architecture, level, seed = key
    name = f"wide.{architecture}.{level}.s{seed}"
    results = {
        environment: scored(evaluation(hearts, generator, level + environment), environment, references)
        for environment in environments(level)
    }
    _write_folder(folder / name, hearts, level, architecture)
    return run_record(
        architecture,
        seed,
        None if failed else results,
        level=level,
        run_name=name,
        run_folder=name,
        duration_seconds=100.0 + 10 * len(architecture),
        timesteps=1_000_000,
        total_timesteps=1_000_000,
    )


CHECKPOINT = "step_000001000000"


def _write_folder(folder: Path, hearts: float, level: str, architecture: str) -> None:
    checkpoint = folder / "checkpoints" / CHECKPOINT
    checkpoint.mkdir(parents=True)
    weights = {"w": np.zeros((10, 1000), np.uint8), "b": np.zeros(7, np.uint8)}
    save_file(weights, checkpoint / "policy.safetensors")
    updates = [
        {
            "update": update,
            "timesteps": 50_000 * update,
            "rollout/reward_per_step": hearts * update / 2000,
            **({"held_out/hearts_per_agent": hearts * update / 20} if update > 5 else {}),
            **(curriculum_metrics(update) if level == LEVELS[4] else {}),
        }
        for update in range(1, 21)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in updates))
    counters = {name: [hearts, hearts + 1] for name in COUNTERS}
    record = {
        "checkpoint": CHECKPOINT,
        "acting_latency": {"median_milliseconds": len(architecture) / 10, "busy": False},
        "evaluation": {"worlds": EPISODES},
        "results": {
            name: {
                "per_episode": [
                    {"length": 1000, "map_hash": f"{number:016x}", "counters": counters} for number in range(EPISODES)
                ]
            }
            for name in environments(level)
        },
    }
    (folder / "evaluation.json").write_text(json.dumps(record))
    (folder / "config.json").write_text(
        json.dumps(
            {
                "format": 1,
                "configuration": {"trainer": {"learning_rate": 0.001}, "evaluation": {"worlds": 8}},
                "starts": [{"code": {"source_sha256": "ab" * 32}}],
            }
        )
    )


def curriculum_metrics(update: int) -> dict[str, float]:
    """What a curriculum of two axes reports after an update."""
    return {
        "curriculum/episodes": 10.0 * update,
        "curriculum/tasks_known": 4.0,
        "curriculum/success": update / 40,
        "curriculum/progress": 1 / update,
        "curriculum/episodes_laser_cost_1": 7.5 * update,
        "curriculum/episodes_laser_cost_100": 2.5 * update,
        "curriculum/episodes_initial_altar_0": 5.0 * update,
        "curriculum/episodes_initial_altar_1": 5.0 * update,
    }
