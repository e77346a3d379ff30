"""What a report takes from the folder of a run: learning curves, behaviour in evaluation, number of parameters.

A folder that is missing or damaged costs the report these parts only; `RunFiles.faults` says what could not be read.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from metta.analysis.learning import Curve
from metta.base.errors import InputError
from metta.base.files import read_json, reason

REWARD = "rollout/reward_per_step"
HEARTS = "episode/hearts_per_agent"
CURVES = {REWARD: "shaped reward per agent-step", HEARTS: "hearts per agent and episode"}
"""Metrics that are drawn as learning curves, and their unit. Hearts begin when the first whole episodes end."""

LARGEST_HEADER = 16 * 2**20
"""Bytes; a longer header of a weights file is damage."""


@dataclass(frozen=True)
class RunFiles:
    """What could be read of a run's folder."""

    curves: Mapping[str, Curve] = field(default_factory=dict)
    """Metric -> curve over agent-steps; a metric without a value is left out."""
    behaviour: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Evaluation environment -> counter -> mean over episodes and agents, per agent and episode."""
    parameters: int | None = None
    """Numbers in the policy's weights."""
    code: str | None = None
    """Hash of the source that the run was last started with."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The resolved configuration."""
    faults: tuple[str, ...] = ()
    """What could not be read, a sentence each."""


def find_folder(results_file: Path, run_name: str, run_folder: str) -> Path:
    """Where the run lies: beside the results, which may have been moved together, or where it was made."""
    beside = results_file.parent / run_name
    return beside if beside.is_dir() or not run_folder else Path(run_folder)


def read_run_files(folder: Path, environments: set[str]) -> RunFiles:
    """Read what is there of a run.

    Args:
        folder: the run's folder.
        environments: evaluation environments that the results file has; behaviour is expected for them.
    """
    if not folder.is_dir():
        return RunFiles(faults=(f"there is no run folder {folder}.",))
    faults: list[str] = []
    curves: dict[str, Curve] = {}
    behaviour: dict[str, dict[str, float]] = {}
    settings: dict[str, Any] = {}
    parameters, code = None, None
    try:
        curves = read_curves(folder / "metrics.jsonl")
    except InputError as error:
        faults.append(str(error))
    try:
        if environments:
            behaviour = read_behaviour(folder / "evaluation.json")
    except InputError as error:
        faults.append(str(error))
    try:
        parameters = count_parameters(folder / "checkpoints")
    except InputError as error:
        faults.append(str(error))
    try:
        code, settings = read_configuration(folder / "config.json")
    except InputError as error:
        faults.append(str(error))
    return RunFiles(curves, behaviour, parameters, code, settings, tuple(faults))


def read_curves(file: Path) -> dict[str, Curve]:
    """The learning curves of a `metrics.jsonl`. A torn last line is left out; other damage raises `InputError`."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(f"there is no file {file}.") from None
    except OSError as error:
        raise InputError(f"cannot read {file}: {reason(error)}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{file} is damaged: it is not text.") from None
    points: dict[str, list[tuple[float, float]]] = {}
    before = -math.inf
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            steps = _number(record["timesteps"])
            values = {name: _number(record[name]) for name in CURVES if name in record}
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):
                break
            raise InputError(f"{file} is damaged in line {number}: {type(error).__name__} {error}.") from None
        if steps <= before:
            raise InputError(f"{file} is damaged in line {number}: 'timesteps' does not rise.")
        before = steps
        for name, value in values.items():
            points.setdefault(name, []).append((steps, value))
    return {name: (np.array(own)[:, 0], np.array(own)[:, 1]) for name, own in points.items()}


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def read_behaviour(file: Path) -> dict[str, dict[str, float]]:
    """Counters of an `evaluation.json` by environment. Raises `InputError` if it is missing or damaged."""
    try:
        return {
            name: {
                counter: float(np.mean([_mean(episode["counters"][counter]) for episode in result["per_episode"]]))
                for counter in result["per_episode"][0]["counters"]
            }
            | {"steps": float(np.mean([_number(episode["length"]) for episode in result["per_episode"]]))}
            for name, result in read_json(file)["results"].items()
        }
    except (KeyError, TypeError, AttributeError, IndexError, ZeroDivisionError) as error:
        raise InputError(f"{file} is damaged: {type(error).__name__} {error}.") from None


def _mean(values: list[Any]) -> float:
    return sum(_number(value) for value in values) / len(values)


def count_parameters(checkpoints: Path) -> int | None:
    """Numbers in the newest checkpoint's weights, from the file's header alone; None without a checkpoint.

    Raises:
        InputError: the header is damaged.
    """
    files = sorted(checkpoints.glob("step_*/policy.safetensors"))
    if not files:
        return None
    try:
        with files[-1].open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if length > LARGEST_HEADER:
                raise InputError(f"{files[-1]} is damaged: its header would have {length} bytes.")
            header = json.loads(opened.read(length))
        return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    except OSError as error:
        raise InputError(f"cannot read {files[-1]}: {reason(error)}.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{files[-1]} is damaged: {type(error).__name__} {error}.") from None


def read_configuration(file: Path) -> tuple[str | None, dict[str, Any]]:
    """Hash of the source at the last start, and the resolved configuration, of a `config.json`."""
    record = read_json(file)
    try:
        configuration = record["configuration"]
        code = record["starts"][-1]["code"]["source_sha256"]
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(f"{file} is damaged: {type(error).__name__} {error}.") from None
    if not isinstance(configuration, dict) or not isinstance(code, str):
        raise InputError(f"{file} is damaged: 'configuration' must be an object and 'source_sha256' text.")
    return code, configuration
