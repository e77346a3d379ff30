"""Many runs as one small archive: of each a record of a few kB, with settings, learning curve and evaluation."""

import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from metta.base.errors import InputError
from metta.base.files import read_json, write_atomically
from metta.base.run_files import METRICS
from metta.lab.evaluation_key import marks_by_environment
from metta.lab.identity import training_mark
from metta.lab.run_folder import RunFolder

CURVE_POINTS = 40
CURVE_METRICS = (
    "held_out/hearts_per_agent",
    "held_out/reward",
    "episode/hearts_per_agent",
    "episode/return",
    "rollout/reward_per_step",
    "loss/policy",
    "loss/value",
    "loss/entropy",
    "loss/gradient_norm",
    "loss/explained_variance",
)
"""What a record keeps of metrics.jsonl: means over the updates of each part of the run."""
DIGITS = 5
"""Significant digits of a curve's numbers."""
TOLD_BY_THE_LEVEL = ("sim", "evaluation_environments")
"""Parts of the configuration that the level's name and the code's commit say already; they are long."""


def run_record(folder: RunFolder) -> dict[str, Any]:
    """What is worth keeping of a run that was started: settings, where and how long it ran, curve and evaluation."""
    from metta.analysis.run_files import count_parameters, newest_weights

    started = folder.record()
    status = folder.status()
    evaluation = read_json(folder.evaluation_file) if folder.evaluation_file.exists() else None
    weights = newest_weights(folder.checkpoints)
    return {
        "run": folder.path.name,
        "settings": training_mark(started["configuration"]),
        "parameters": count_parameters(weights) if weights else None,
        "configuration": {
            key: value for key, value in started["configuration"].items() if key not in TOLD_BY_THE_LEVEL
        },
        "starts": started["starts"],
        "status": status.model_dump(mode="json") if status else None,
        "curve": _curve(folder.path / METRICS),
        "evaluation": _evaluation(evaluation) if evaluation else None,
    }


def _curve(file: Path) -> dict[str, list[float | None]]:
    """Columns: agent-steps and seconds at the end of each part of the run, and the metrics' means over the part."""
    rows: list[dict[str, Any]] = []
    for line in file.read_bytes().splitlines() if file.exists() else ():
        with suppress(ValueError):  # torn by a kill, or damaged by a full disk
            rows.append(json.loads(line))
    size = max(1, -(-len(rows) // CURVE_POINTS))
    parts = [rows[first : first + size] for first in range(0, len(rows), size)]
    columns: dict[str, list[float | None]] = {
        "timesteps": [part[-1]["timesteps"] for part in parts],
        "seconds": [_rounded([part[-1]["timing"]["seconds"]]) for part in parts],
    }
    for name in CURVE_METRICS:
        means = [_rounded([row[name] for row in part if name in row]) for part in parts]
        if any(mean is not None for mean in means):
            columns[name] = means
    return columns


def _rounded(values: Sequence[float]) -> float | None:
    """Their mean to a few digits; None without any."""
    return float(f"{sum(values) / len(values):.{DIGITS}g}") if values else None


def _evaluation(record: Mapping[str, Any]) -> dict[str, Any]:
    """An evaluation with its episodes' scores per agent, without their counters."""
    results = {
        name: {
            **result,
            "per_episode": [
                {key: value for key, value in episode.items() if key != "counters"} for episode in result["per_episode"]
            ],
        }
        for name, result in record["results"].items()
    }
    return {
        **{key: value for key, value in record.items() if key != "evaluation_environments"},
        "rules": marks_by_environment(record),
        "results": results,
    }


def write_archive(path: Path, records: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace the archive (.tar.gz) by one that holds `<name>.json` for each record; what is there is always whole."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name, record in records.items():
            data = json.dumps(record).encode()
            member = tarfile.TarInfo(f"{name}.json")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())


def read_archive(path: Path) -> dict[str, dict[str, Any]]:
    """The records of an archive by name. Raises `InputError` if it is damaged or something else."""
    records = {}
    try:
        # Unpacked at once, to its checksum at the end, which tarfile would not look at.
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(path.read_bytes())), mode="r:") as archive:
            for member in archive:
                file = archive.extractfile(member)
                record = json.load(file) if file else None
                if not isinstance(record, dict):
                    raise ValueError(f"{member.name} holds no object")
                records[member.name.removesuffix(".json")] = record
    except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError) as error:
        raise InputError(f"{path} is not an archive of runs, or damaged: {error}.") from None
    return records
