"""Imitation runs and their files: one record per architecture and seed, and the table over them."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metta.analysis.intervals import estimate, interval_text
from metta.analysis.summary import aligned_table
from metta.base.errors import InputError
from metta.base.files import make_folder, read_json, write_json
from metta.base.provenance import now, provenance
from metta.rl.config import RunConfig

WITHOUT_EFFECT = {"run", "system"}
"""Keys of a run's configuration that may differ from those of a record that is kept."""


def record_of(config: RunConfig, environment: str, folder: Path) -> tuple[dict[str, Any], bool]:
    """The record of one imitation run, and whether it was made just now; one that is there is not made again.

    Args:
        config: see `metta.rl.imitation.imitate`.
        environment: evaluation environment that the policy is examined in.
        folder: `<architecture>.<level>.s<seed>.json` in it is the record.

    Raises:
        InputError: the record that is there has other settings, or the environment does not hold the chain.
        RunError: the loss became non-finite, or the disk is full.
    """
    file = folder / f"{config.run}.json"
    configuration = config.model_dump(mode="json")
    if file.exists():
        record = read_json(file)
        known = record.get("configuration", {})
        for key in configuration:
            if key not in WITHOUT_EFFECT and known.get(key) != configuration[key]:
                raise InputError(f"{file} was made with another {key}; give another --output.")
        if record.get("environment") != environment:
            raise InputError(f"{file} was evaluated in {record.get('environment')!r}; give another --output.")
        return record, False
    make_folder(folder)

    from metta.rl.imitation import imitate

    start_time, before = now(), time.monotonic()
    result = imitate(config, environment)
    record = {
        "architecture": config.architecture,
        "level": config.level,
        "environment": environment,
        "seed": config.seed,
        "start_time": start_time,
        "duration_seconds": round(time.monotonic() - before, 3),
        "result": result,
        "configuration": configuration,
        "provenance": provenance(),
    }
    write_json(file, record)
    return record, True


def imitation_rows(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Per architecture, best first: its seeds and, over them, means with 95 % t intervals."""
    rows = []
    for architecture in dict.fromkeys(record["architecture"] for record in records):
        own = [record["result"] for record in records if record["architecture"] == architecture]
        measures = {
            "hearts_per_agent": [result["hearts_per_agent"] for result in own],
            "own_states": [result["own_states"]["cross_entropy"] for result in own],
            "teacher_states": [result["teacher_states"]["cross_entropy"] for result in own],
            "agreement": [result["teacher_states"]["agreement"] for result in own],
        }
        means = {name: estimate(values).plain for name, values in measures.items()}
        rows.append({"architecture": architecture, "seeds": len(own), **means})
    return sorted(rows, key=lambda row: -row["hearts_per_agent"]["mean"])


def imitation_text(records: Sequence[Mapping[str, Any]]) -> str:
    """The table over all records, at most 80 columns wide."""
    first = records[0]
    rows = [
        [
            row["architecture"],
            str(row["seeds"]),
            interval_text(row["hearts_per_agent"], "{:.2f}"),
            f"{row['own_states']['mean']:.3f}",
            f"{row['teacher_states']['mean']:.3f}",
            f"{row['agreement']['mean']:.0%}",
        ]
        for row in imitation_rows(records)
    ]
    return "\n".join(
        [
            f"{first['level']} {first['environment']}: imitating the reflex player",
            f"in one pass over {first['result']['samples']:,} samples",
            "",
            *aligned_table(["architecture", "seeds", "hearts", "nats, own", "its", "agree"], rows),
            "",
            "Means over seeds with 95 % t intervals. nats: cross-entropy per step, where the",
            "imitator acts (own) and where the reflex player does (its); agree: share of",
            "those in which the likeliest action is the reflex player's.",
        ]
    )
