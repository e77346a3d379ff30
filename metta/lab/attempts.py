"""Failed attempts of an experiment's tasks, kept on disk until a controller comes to the end of its work.

A controller that is killed, or stopped, and started again goes on counting; one that has named all failures at its end
leaves nothing behind, so that repeating the command tries them anew.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from metta.base.errors import InputError, RunError
from metta.base.files import read_json, write_atomically


@dataclass(frozen=True)
class Failure:
    """What is remembered of a task that failed."""

    attempts: int
    """How often it failed."""
    permanent: bool
    """The cause is one that trying again does not mend."""
    fault: str
    """The last cause, a sentence."""


@dataclass(frozen=True)
class Attempts:
    """The file; without one nothing outlives the controller."""

    file: Path | None

    def read(self) -> dict[str, Failure]:
        """Failures by the task's name; a damaged file is as good as none, because it only saves attempts."""
        if self.file is None or not self.file.exists():
            return {}
        try:
            return {str(name): Failure(**entry) for name, entry in read_json(self.file).items()}
        except (InputError, TypeError):
            return {}

    def write(self, failures: Mapping[str, Failure]) -> None:
        """Replace the file; a full disk costs no more than the memory of attempts."""
        if self.file is None:
            return
        try:
            if failures:
                text = json.dumps({name: asdict(failure) for name, failure in failures.items()}, indent=2)
                write_atomically(self.file, text + "\n")
            else:
                self.file.unlink(missing_ok=True)
        except (InputError, RunError, OSError):
            pass
