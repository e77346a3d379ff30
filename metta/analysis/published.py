"""A published run: what one small file in `published/<agent-steps>/runs/` says, checked as it is read.

The folder of a published run is this file: whatever reads run folders for a report reads it in their place.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from metta.analysis.results import Count, EnvironmentResult, Key, Name, Seconds, Seed, encodable
from metta.base.config import Config
from metta.base.files import read_json

Plain = Annotated[dict[str, Any], AfterValidator(encodable)]


class PublishedRun(Config):
    """One run that was trained to its end and evaluated under the rules of its level."""

    architecture: Name
    level: Name
    seed: Seed
    total_timesteps: Count
    """Agent-steps that it was to be trained for."""
    timesteps: Count
    """Agent-steps that it was trained for: the first whole update at or above."""
    core: Name
    """Mark of the code that numbers depend on (see metta/lab/core.py)."""
    commits: list[Name]
    """Git commits of its starts."""
    settings: Name
    """Mark of the settings of its training."""
    start_time: Name
    training_seconds: Seconds
    evaluation_seconds: Seconds | None
    results: dict[Name, EnvironmentResult] = Field(min_length=1)
    """By evaluation environment."""
    curve: dict[Name, list[float | None]]
    """Columns of the learning curve: `timesteps` and metrics, means over parts of the run."""
    latency_milliseconds: Annotated[float, Field(ge=0)] | None
    """Median time to one action for one agent; null where it was not measured on an idle machine."""
    parameters: Count | None
    configuration: Plain
    """Settings, without those that follow from the level."""
    machine: Plain
    packages: Plain

    @property
    def key(self) -> Key:
        """Which run."""
        return Key(self.architecture, self.level, self.seed)

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.architecture}.{self.level}.s{self.seed}"

    @property
    def hearts(self) -> float:
        """Per agent, mean over evaluation environments."""
        return sum(result.hearts_per_agent for result in self.results.values()) / len(self.results)

    @property
    def machine_words(self) -> str:
        """What it ran on: GPUs, or a processor with so many threads, on which the order of additions depends."""
        system = self.configuration.get("system", {})
        gpus = None if system.get("device") == "cpu" else self.machine.get("gpus")
        if gpus:
            return ", ".join(map(str, gpus))
        processor = self.machine.get("processor", "an unknown processor")
        threads = system.get("threads") or self.machine.get("cores", "all")
        return f"{processor}, {threads} thread{'' if threads == 1 else 's'}"


def read_published(file: Path) -> PublishedRun:
    """The run that a file holds. Raises `InputError` if it is missing or damaged."""
    return PublishedRun.parse(read_json(file), where=str(file))
