"""What a report takes from the folder of a run: learning curves, behaviour and latency, number of parameters.

A folder that is missing or damaged costs the report these parts only; `RunFiles.faults` says what could not be read.
"""

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open

from metta.analysis.file_memory import FileMemory
from metta.analysis.learning import Curve
from metta.analysis.metrics import CURRICULUM, CURVES
from metta.analysis.published import PublishedRun, read_published
from metta.analysis.results import Key
from metta.base.errors import InputError
from metta.base.files import read_json, reason
from metta.base.run_files import CHECKPOINT, CONFIGURATION, EVALUATION, METRICS, POLICY_WEIGHTS, STATUS

Content = TypeVar("Content")

LARGEST_NUMBER = 1e15
"""In metrics and counters; a larger one is damage, and its square could overflow."""


class Played(NamedTuple):
    """An episode of an evaluation."""

    map_hash: str
    """Of map and spawns."""
    steps: int


class Evaluated(NamedTuple):
    """What is taken from an `evaluation.json`."""

    behaviour: dict[str, dict[str, float]]
    """Evaluation environment -> counter -> mean over episodes and agents, per agent and episode."""
    latency: float | None
    """Median time to one action for one agent, in milliseconds; None where it was not measured or had to share its
    processor with other work."""
    checkpoint: str | None
    """Name of the checkpoint that was evaluated."""
    episodes: dict[str, list[Played]]
    """Evaluation environment -> its episodes; empty where their maps were not kept."""


NOTHING_EVALUATED = Evaluated({}, None, None, {})


@dataclass(frozen=True)
class RunFiles:
    """What could be read of a run's folder."""

    folder: Path
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """Metric -> curve over agent-steps: those of `CURVES` and of a curriculum; one without a value is left out."""
    evaluated: Evaluated = NOTHING_EVALUATED
    parameters: int | None = None
    """Numbers in the policy's weights."""
    code: str | None = None
    """Hash of the source that the run was last started with."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The resolved configuration."""
    faults: tuple[str, ...] = ()
    """What could not be read, a sentence each."""


def read_run_files(folder: Path, environments: set[str], memory: FileMemory) -> RunFiles:
    """Read what is there of a run.

    Args:
        folder: the run's folder, or the file of a published run, which must be sound.
        environments: evaluation environments that the results file has; behaviour is expected if there are any.
        memory: what was read before.
    """
    if folder.suffix == ".json" and folder.is_file():
        return _of_published(read_published(folder), folder)
    if not os.path.isdir(folder):  # also for a path that cannot be one
        return RunFiles(folder, faults=(f"there is no run folder {folder}.",))
    faults: list[str] = []

    def part(reader: Callable[[Path], Content], file: Path | None, nothing: Content) -> Content:
        try:
            return nothing if file is None else memory.read(reader, file)
        except InputError as error:
            faults.append(str(error))
            return nothing

    no_curves: dict[str, Curve] = {}
    curves = part(read_curves, folder / METRICS, no_curves)
    evaluated = part(read_evaluation, folder / EVALUATION if environments else None, NOTHING_EVALUATED)
    parameters = part(count_parameters, newest_weights(folder / "checkpoints"), None)
    no_configuration: tuple[str | None, dict[str, Any]] = (None, {})
    code, settings = part(read_configuration, folder / CONFIGURATION, no_configuration)
    return RunFiles(folder, curves, evaluated, parameters, code, settings, tuple(faults))


def _of_published(run: PublishedRun, file: Path) -> RunFiles:
    """What a published run's file says; it holds neither counters of behaviour nor the curriculum's curves."""
    curves = {}
    for name in CURVES:
        pairs = zip(run.curve.get("timesteps", []), run.curve.get(name, []), strict=False)
        points = [(steps, value) for steps, value in pairs if steps is not None and value is not None]
        if points:
            curves[name] = (np.array(points)[:, 0], np.array(points)[:, 1])
    evaluated = Evaluated({}, run.latency_milliseconds, None, {})
    return RunFiles(file, curves, evaluated, run.parameters, run.core, run.configuration)


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
            values = {name: _number(record[name]) for name in record if name in CURVES or name.startswith(CURRICULUM)}
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
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST_NUMBER:
        raise TypeError(f"{value!r} is not a number, or is too large")
    return float(value)


def read_evaluation(file: Path) -> Evaluated:
    """What an `evaluation.json` says. Raises `InputError` if it is missing or damaged."""
    record = read_json(file)
    try:
        results = {name: result["per_episode"] for name, result in record["results"].items()}
        behaviour = {
            name: {
                counter: float(np.mean([_mean(episode["counters"][counter]) for episode in episodes]))
                for counter in episodes[0]["counters"]
            }
            | {"steps": float(np.mean([_number(episode["length"]) for episode in episodes]))}
            for name, episodes in results.items()
        }
        latency = record.get("acting_latency")
        return Evaluated(
            behaviour,
            None if latency is None or latency.get("busy") else _number(latency["median_milliseconds"]),
            record.get("checkpoint"),
            {
                name: [Played(str(episode["map_hash"]), int(episode["length"])) for episode in episodes]
                for name, episodes in results.items()
                if all("map_hash" in episode for episode in episodes)
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
        raise InputError(f"{file} is damaged: {type(error).__name__} {error}.") from None


def _mean(values: list[Any]) -> float:
    return sum(_number(value) for value in values) / len(values)


def begun_runs(folder: Path, memory: FileMemory) -> dict[Key, str]:
    """The runs in a benchmark's folder that trained, or still train, but may not be recorded: where they stand."""
    found = {}
    for file in sorted(folder.glob(f"*/{STATUS}")):
        try:
            _, configuration = memory.read(read_configuration, file.parent / CONFIGURATION)
            status = read_json(file)
            key = Key(*(configuration[name] for name in Key._fields))
            found[key] = f"{status['state']}, {status['timesteps']:,} of {status['total_timesteps']:,} steps"
        except (InputError, KeyError, TypeError, ValueError):
            continue  # it is named when it is recorded
    return found


def newest_weights(checkpoints: Path) -> Path | None:
    """The weights file of the newest checkpoint, or None."""
    return max(checkpoints.glob(f"{CHECKPOINT}*/{POLICY_WEIGHTS}"), default=None)


def count_parameters(weights: Path) -> int:
    """Numbers in a weights file, from its header alone. Raises `InputError` if it cannot be read."""
    try:
        with safe_open(weights, "numpy") as opened:
            return sum(math.prod(opened.get_slice(name).get_shape()) for name in opened.keys())  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{weights} cannot be read, or is damaged: {error}.") from None


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
