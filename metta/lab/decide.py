"""What a controller does next: a pure function of where every task stands, the free slots and the time.

All times are seconds of one clock that never steps (`time.monotonic`); times that other machines write are never
compared with it. tests/lab/test_controller.py drives thousands of schedules through it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import chain, islice
from typing import NamedTuple


class Rank(IntEnum):
    """What is to be done next for a task; the lower rank goes first."""

    REFERENCE = 0
    TRAIN = 1
    EVALUATE = 2


@dataclass(frozen=True)
class RetryPolicy:
    """How much is tried, and how long is waited."""

    retries: int = 2
    """Further tries of a task that failed, unless the cause is permanent."""
    retry_seconds: float = 5.0
    """Pause before the first further try; each later pause is six times as long, so that a disk that is full for a
    while is outlasted."""
    silence_seconds: float = 300.0
    """A run without a sign of life for so long is taken to be dead; its process is ended."""

    def pause(self, attempts: int) -> float:
        """Seconds to wait after the given number of failed attempts (at least 1)."""
        return self.retry_seconds * float(6 ** (attempts - 1))


@dataclass(frozen=True, slots=True)
class TaskState:
    """Where one task stands."""

    rank: Rank | None
    """What is to be done next; None: nothing is left."""
    active: bool = False
    """A job of this controller works on it."""
    held: bool = False
    """A process that is not of this controller works on it."""
    ending: bool = False
    """Its job or holder has been asked to end."""
    alive_at: float | None = None
    """When the process that works on it last gave a sign of life; None: there is none, or it gives no signs."""
    attempts: int = 0
    """Failed attempts."""
    retry_at: float = 0.0
    """Not to be started before."""
    permanent: bool = False
    """It failed for a reason that trying again does not mend."""

    def has_failed(self, policy: RetryPolicy) -> bool:
        """Whether it is given up."""
        return self.permanent or self.attempts > policy.retries


class Decision(NamedTuple):
    """What to do now, by the tasks' places in the list."""

    starts: list[int]
    """To be given a job."""
    ends: list[int]
    """Whose job, or other process, is to be ended, because it gave no sign of life for too long."""
    settled: bool
    """Every task is done or given up, and no job is left."""


def decide(states: Sequence[TaskState], slots: int, now: float, policy: RetryPolicy) -> Decision:
    """Start what may start, lowest rank first and in the order of the list; end what is dead.

    Args:
        states: where every task stands.
        slots: jobs that may run at once.
        now: the time.
        policy: tries and times.
    """
    ends: list[int] = []
    ready: list[list[int]] = [[] for _ in Rank]
    active, settled = 0, True
    for index, state in enumerate(states):
        active += state.active
        if state.active or (state.held and state.rank is not None and not state.has_failed(policy)):
            settled = False
            silent = state.alive_at is not None and now - state.alive_at > policy.silence_seconds
            if silent and not state.ending:
                ends.append(index)
        elif state.rank is not None and not state.has_failed(policy):
            settled = False
            if now >= state.retry_at:
                ready[state.rank].append(index)
    starts = list(islice(chain.from_iterable(ready), max(0, slots - active)))
    return Decision(starts, ends, settled)


def after_failure(state: TaskState, permanent: bool, now: float, policy: RetryPolicy) -> TaskState:
    """`state` after an attempt that failed."""
    attempts = state.attempts + 1
    return replace(state, attempts=attempts, retry_at=now + policy.pause(attempts), permanent=permanent)
