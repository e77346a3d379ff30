"""What the controller asks of a place where jobs run: adopt, start, poll, end, close; what a job is, and its end."""

import shlex
import signal
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from metta.base.endings import IN_USE, INPUT_ERROR
from metta.base.errors import RunError

TAIL_BYTES = 4096


class UnavailableError(RunError):
    """The place cannot be asked at the moment (its server does not answer); that is no failure of the job."""


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
    near: bool = False
    """It is short and runs on this machine, wherever the others run."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    command: Command
    status: int
    """Exit status; negative: minus the signal that killed it."""
    cause: str | None = None
    """A sentence of the place where the job ran, for ends that are not the command's own doing."""
    since: int = 0
    """Bytes that its log held before: what earlier attempts said."""

    @property
    def fault(self) -> str | None:
        """None after success, else a sentence: the command's own last words, or what ended it."""
        if self.cause is not None:
            return self.cause
        if self.status == 0:
            return None
        if self.status < 0:
            known = {number.value: number.name for number in signal.Signals}
            name = known.get(-self.status, f"signal {-self.status}")  # the real-time signals have no names
            return f"killed by {name}; its log is {self.command.log_file}."
        lines = tail(self.command.log_file, self.since)
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


class Executor(Protocol):
    """A place where jobs run. Names of commands are unique among those that run."""

    slots: int
    """Jobs that may run at once."""

    def adopt(self, commands: Sequence[Command]) -> Collection[str]:
        """Take over jobs that an earlier controller left running; returns the names of these commands' jobs."""
        return ()  # where they do not outlive it

    def start(self, command: Command) -> None:
        """Start a job.

        Raises:
            InputError: the job is refused for good.
            UnavailableError: the place cannot be asked at the moment.
            RunError: it could not be started.
        """

    def queued(self) -> Collection[str]:
        """Names of the jobs that wait for a machine, and therefore give no sign of life."""
        return ()  # where every job starts at once

    def poll(self) -> Sequence[Ended]:
        """The jobs that have ended since the last call; a place that does not answer is asked again by the next one."""

    def end(self, name: str) -> None:
        """Have a job end; `poll` asks again until the place has understood, makes it end, and reports it."""

    def close(self) -> None:
        """End all jobs and wait for them, for a while; says in one sentence what may be left running after that."""


def command_text(words: Sequence[str]) -> str:
    """The call as a user would type it."""
    return shlex.join(["uv", "run", "./tools/run.py", *words])


def size_of(path: Path) -> int:
    """Bytes of a log; 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def tail(path: Path, since: int = 0) -> list[str]:
    """The last lines of a log, of those after so many bytes; empty if there is none."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(since, size_of(path) - TAIL_BYTES))
        return [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
