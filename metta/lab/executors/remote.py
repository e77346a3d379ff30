"""Jobs in the queue of an engine, which outlive this process: what is alike for Slurm and SkyPilot.

The engine itself is the memory: a job carries a name that is made of its command's, so that a controller that is
started anew finds the jobs of the one before. An engine that does not answer is asked again, and no job fails by it.
"""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from metta.lab.executors.contract import Command, Ended, UnavailableError


@dataclass(frozen=True)
class Listed:
    """A job as the engine lists it."""

    id: str
    name: str
    state: str
    reason: str = ""
    """Why it waits or failed, in the engine's words."""


@dataclass
class Job:
    """A job that this executor has submitted or taken over."""

    command: Command
    id: str | None
    """None while the engine has not said that it has it."""
    seen_at: float
    """When it was last listed."""
    queued: bool = True
    since: int = 0
    """Bytes of the log before it; 0 where that is not known."""
    ending: bool = False
    """It is to be cancelled."""
    cancelled: bool = False
    """The engine has taken the request to cancel it."""
    refused: str | None = None
    """Why it was cancelled by this executor, if it could never have started."""


class RemoteExecutor(ABC):
    """Submits commands to an engine and asks now and then where they stand; see `Executor` for its methods."""

    waiting: ClassVar[tuple[str, ...]]
    """States of jobs that have no machine yet, or none at the moment."""
    working: ClassVar[tuple[str, ...]]
    """States of jobs that have one."""
    seconds_between_questions: ClassVar[float]
    questions: ClassVar[int]
    """How often the engine is asked for what an earlier controller left, before that is given up."""
    seconds_to_stop: ClassVar[float]
    """Time that cancelled jobs get to end."""
    seconds_until_lost: ClassVar[float]
    """A job that is not listed for so long is lost."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._jobs: dict[str, Job] = {}
        self._asked_at = float("-inf")
        self._doubtful: set[str] = set()
        """Names of commands of which it is not known whether their submission succeeded."""

    @abstractmethod
    def _name_of(self, command: Command) -> str:
        """What the engine knows a command as."""

    @abstractmethod
    def _submit(self, command: Command) -> Job:
        """Submit a job. Raises as `Executor.start`."""

    @abstractmethod
    def _listed(self) -> Mapping[str, Listed]:
        """The jobs that the engine knows, by id. Raises `UnavailableError`."""

    @abstractmethod
    def _cancel(self, ids: Sequence[str]) -> None:
        """Ask for jobs to be cancelled; those that have ended stay as they are. Raises `UnavailableError`."""

    @abstractmethod
    def _end_of(self, job: Job, listed: Listed | None) -> Ended | None:
        """How a job ended that neither waits nor works; None if a job that is not listed may still appear."""

    @abstractmethod
    def _left_over(self, jobs: Sequence[Job]) -> str:
        """A sentence on jobs that may go on although they were cancelled."""

    def _goes_on(self, listed: Listed) -> bool:
        return listed.state in (*self.waiting, *self.working)

    def _is_lost(self, job: Job) -> bool:
        return time.monotonic() - job.seen_at >= self.seconds_until_lost

    def adopt(self, commands: Sequence[Command]) -> list[str]:
        for _ in range(self.questions - 1):
            with suppress(UnavailableError):
                return self._adopted(commands)
            time.sleep(self.seconds_between_questions)
        return self._adopted(commands)

    def _adopted(self, commands: Sequence[Command]) -> list[str]:
        wanted = {self._name_of(command): command for command in commands}
        found = []
        for listed in self._listed().values():
            command = wanted.get(listed.name)
            if command is not None and command.name not in self._jobs and self._goes_on(listed):
                queued = listed.state in self.waiting
                self._jobs[command.name] = Job(command, listed.id, time.monotonic(), queued)
                found.append(command.name)
        return found

    def start(self, command: Command) -> None:
        if command.name in self._doubtful:  # the engine may have it, although it did not say so
            if self.adopt([command]):
                return
            self._doubtful.discard(command.name)
        self._jobs[command.name] = self._submit(command)

    def queued(self) -> list[str]:
        return [name for name, job in self._jobs.items() if job.queued]

    def poll(self) -> list[Ended]:
        known = [job for job in self._jobs.values() if job.id is not None]
        if not known or time.monotonic() - self._asked_at < self.seconds_between_questions:
            return []
        try:
            to_cancel = [job for job in known if job.ending and not job.cancelled]
            if to_cancel:
                self._cancel([str(job.id) for job in to_cancel])
            for job in to_cancel:
                job.cancelled = True
            listed = self._listed()
        except UnavailableError:
            return []  # the jobs go on without an answer
        finally:
            self._asked_at = time.monotonic()
        ended = [end for job in known if (end := self._look_at(job, listed.get(str(job.id)))) is not None]
        for end in ended:
            del self._jobs[end.command.name]
        return ended

    def _look_at(self, job: Job, listed: Listed | None) -> Ended | None:
        if listed is not None:
            job.seen_at = time.monotonic()
            job.queued = listed.state in self.waiting
            if self._goes_on(listed):
                return None
        return self._end_of(job, listed)

    def end(self, name: str) -> None:
        self._jobs[name].ending = True
        self._asked_at = float("-inf")

    def close(self) -> None:
        deadline = time.monotonic() + self.seconds_to_stop
        for job in self._jobs.values():
            job.ending = True
        try:
            while self._jobs and time.monotonic() < deadline:
                self._asked_at = float("-inf")
                self.poll()
                time.sleep(min(1.0, self.seconds_between_questions))
        finally:  # also when somebody does not wait for it
            if self._jobs:
                print(f"warning: {self._left_over(list(self._jobs.values()))}", file=sys.stderr)
            self._jobs.clear()
