"""What the controller asks of a place where jobs run: start, poll, end, close; and what a job is and how it ended."""

import shlex
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from metta.lab.endings import IN_USE, INPUT_ERROR

TAIL_BYTES = 4096


@dataclass(frozen=True)
class Command:
    """One call of tools/run.py."""

    name: str
    words: tuple[str, ...]
    """Path and key=value pairs."""
    log_file: Path
    """Gets everything the command prints."""
    threads: int
    """Threads of the numerical libraries; 0 leaves the choice to the command."""

    def __str__(self) -> str:
        return command_text(self.words)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    command: Command
    status: int
    """Exit status; negative: minus the signal that killed it."""

    @property
    def fault(self) -> str | None:
        """None after success, else a sentence: the command's own last words, or what ended it."""
        if self.status == 0:
            return None
        if self.status < 0:
            return f"killed by {signal.Signals(-self.status).name}; its log is {self.command.log_file}."
        lines = tail(self.command.log_file)
        said = [line for line in lines if line.startswith("error: ")]
        if said:
            return said[-1].removeprefix("error: ")
        last = f"; its last line is: {lines[-1].strip()}" if lines else "."
        return f"ended with exit status {self.status}{last}"

    @property
    def permanent(self) -> bool:
        """Whether the same command would fail again: its input was wrong."""
        return self.status == INPUT_ERROR

    @property
    def in_use(self) -> bool:
        """Whether another process works on the same run."""
        return self.status == IN_USE


class Dispatcher(Protocol):
    """A place where jobs run. Names of commands are unique among those that run."""

    @property
    def slots(self) -> int:
        """Jobs that may run at once."""

    def start(self, command: Command) -> None:
        """Start a job. Raises `InputError` or `RunError` if it cannot be started."""

    def poll(self) -> Sequence[Ended]:
        """The jobs that have ended since the last call."""

    def end(self, name: str) -> None:
        """Ask a job to end, and make it end if it does not; `poll` reports it."""

    def close(self) -> None:
        """End all jobs and wait for them."""


def command_text(words: Sequence[str]) -> str:
    """The call as a user would type it."""
    return shlex.join(["uv", "run", "./tools/run.py", *words])


def tail(path: Path) -> list[str]:
    """The last lines of a log; empty if there is none."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
