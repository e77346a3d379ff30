"""The plan of an experiment: architectures x levels x seeds, each run with a name."""

import re
from collections.abc import Iterable, Sequence

from pydantic import Field

from metta.analysis.results import Key
from metta.base.config import Config

_PART = "[A-Za-z0-9_-]+"


class RunSpec(Config):
    """One run of an experiment."""

    experiment: str = Field(pattern=f"^{_PART}$", max_length=200)
    """Name of the experiment: letters, digits, _ and -."""
    architecture: str = Field(pattern=f"^{_PART}$")
    """Key in ARCHITECTURES."""
    level: str = Field(pattern=f"^{_PART}$")
    """Name of the level's module, e.g. level_1_basic."""
    seed: int = Field(ge=0, lt=2**63)
    """Seed of the run."""

    @property
    def id(self) -> str:
        """`<experiment>.<architecture>.<level>.s<seed>`, the name of the run and of its folder."""
        return f"{self.experiment}.{self.architecture}.{self.level}.s{self.seed}"

    @property
    def key(self) -> Key:
        """Which run it is in results, whatever the experiment is called."""
        return Key(self.architecture, self.level, self.seed)


def plan(experiment: str, architectures: Sequence[str], levels: Sequence[str], seeds: Iterable[int]) -> list[RunSpec]:
    """Every run of an experiment in a fixed order: by seed, then level, then architecture.

    One seed of everything comes first, so that an interrupted benchmark compares all architectures.
    """
    return [
        RunSpec.parse({"experiment": experiment, "architecture": architecture, "level": level, "seed": seed})
        for seed in seeds
        for level in levels
        for architecture in architectures
    ]


def id_part(text: str) -> str:
    """`text` with everything that a part of an id cannot hold replaced by `-`."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "unnamed"
