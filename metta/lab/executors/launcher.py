"""What --launcher chooses: each name is a module of this folder with a class `Launcher`, which knows its own needs."""

import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from metta.base.errors import InputError
from metta.lab.decide import RetryPolicy
from metta.lab.executors.contract import Command, Executor

LAUNCHERS = ("local", "skypilot", "slurm")


@dataclass(frozen=True)
class BaseLauncher(ABC):
    """How the jobs of a study are to be spread over a place, as flags say it."""

    max_parallel: int
    jobs_per_gpu: int
    cpus_per_job: int
    words: Sequence[str]
    """What --resource asks for, as KEY=VALUE."""

    silence_seconds: ClassVar[float] = RetryPolicy.silence_seconds
    """After so long without a sign of life a run is taken to be dead, unless a flag says otherwise."""
    elsewhere: ClassVar[bool] = False
    """Jobs write into the bucket from other machines, and what they write is to be fetched."""

    def __post_init__(self) -> None:
        self.resources()

    def resources(self) -> dict[str, Any]:
        """What --resource asks for; values are JSON where they can be read as such, else text.

        Raises:
            InputError: a word is not key=value, is given twice, or means nothing here.
        """
        found: dict[str, Any] = {}
        for word in self.words:
            name, separator, text = word.partition("=")
            name = name.strip().replace("-", "_")
            if not separator or not name.isidentifier() or not text.strip():
                raise InputError(f"--resource {word!r} is not KEY=VALUE, such as partition=gpu or use_spot=true.")
            if name in found:
                raise InputError(f"--resource {name} is given twice.")
            try:
                found[name] = json.loads(text)
            except ValueError:
                found[name] = text.strip()
        return found

    def share(self, runs: int) -> tuple[int, int]:
        """Jobs at a time for so many runs, and threads of each."""
        return min(self.max_parallel, runs), self.cpus_per_job

    def remark(self, slots: int) -> str | None:
        """Something to say before the start, if so many jobs at a time need an explanation."""
        return None

    def preview(self, commands: Iterable[Command], address: str | None) -> list[str]:
        """Lines of --dry-run besides the commands: what these become at this place."""
        return []

    @abstractmethod
    def executor(self, slots: int, output: Path, address: str | None) -> Executor:
        """Where the jobs of a study run.

        Args:
            slots: jobs at a time.
            output: folder of the study.
            address: of the bucket whose local folder it is, if any.

        Raises:
            InputError: something is missing; the sentence says what to install or to set.
        """


def launcher(name: str, *given: Any) -> BaseLauncher:
    """The launcher of this name, one of `LAUNCHERS`, with the fields of `BaseLauncher`. Raises `InputError`."""
    found = importlib.import_module(f"metta.lab.executors.{name}").Launcher(*given)
    assert isinstance(found, BaseLauncher)
    return found
