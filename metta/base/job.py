"""What a recipe function returns: a full configuration together with the work to do on it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from metta.base.config import Config


@dataclass(frozen=True)
class Job(ABC):
    """A configuration whose keys the command line may change, and what to do with it."""

    config: Any
    """A `Config`; subclasses say which."""

    fixed: ClassVar[Mapping[str, str]] = {}
    """Keys of the configuration that may not be set, each with the way to choose them instead."""

    def with_config(self, config: Config) -> Self:
        """The same job on another configuration."""
        return replace(self, config=config)

    @abstractmethod
    def execute(self) -> int:
        """Do the work and return the exit status; faults are raised as `InputError` or `RunError`."""
