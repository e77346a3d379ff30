"""Threads that step shares of a batch of worlds at once, awake between steps that follow each other closely.

The operating system needs about 0.1 ms to wake a sleeping thread (docs/diary.md, "Threads awake between steps"), which is
as long as a step of many worlds. So the threads stay in compiled code after a step and look for the next one
there, and only sleep when it does not come soon.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from metta.sim.compiled import entry, source_digest
from metta.sim.step import step_worlds

LINE = 8
"""Numbers per thread in the notes: a line of the cache, so that no two threads write into the same one."""
NUMBER, ENDED, ASLEEP = range(3)
"""Of the last step, asked for (leader) or done (others); episodes that ended in it; whether to be woken up."""
STOP = -1
PATIENCE = 1_000_000
"""How often one looks for news before giving up, which takes about 0.3 ms: longer than the end of an episode."""
NAP_SECONDS = 2e-5
"""Between looks at a thread that is late: it has probably lost its core to somebody else."""
SECONDS_TO_END = 5.0
"""Longest wait for a thread that is to end; it needs the rest of a step at most."""


def read_news(notes: Any, index: int) -> int:
    """A number that another thread may change meanwhile; what it wrote before that is then to be seen, too."""
    return int(notes[index])


def write_news(notes: Any, index: int, number: int) -> None:
    """The other side of `read_news`."""
    notes[index] = number


class Team:
    """Steps worlds on several threads; ends with what owns it, or with the process."""

    def __init__(self, bounds: Sequence[tuple[int, int]], arguments: tuple[Any, ...], num_streams: int) -> None:
        """Start all threads but the first, which is whoever calls `step`.

        Args:
            bounds: first and last + 1 of the worlds of every thread.
            arguments: of `step_worlds`, (before the worlds, after the actions).
            num_streams: N.
        """
        before, after = arguments
        self._notes = np.zeros(LINE * len(bounds), np.int64)
        self._actions = np.zeros(num_streams, np.int32)
        shares = [(*before, first, last, self._actions, *after) for first, last in bounds]
        self._own = shares[0]
        self._alarms = [threading.Event() for _ in shares[1:]]
        follow(self._notes, LINE, 0, *self._own)  # nothing to do yet: compiles, here where an error would be seen
        threads = []
        for number, (share, alarm) in enumerate(zip(shares[1:], self._alarms, strict=True), start=1):
            work = (self._notes, LINE * number, alarm, share)
            thread = threading.Thread(target=_serve, args=work, name=f"worlds {number}", daemon=True)
            thread.start()
            threads.append(thread)
        self._process = os.getpid()
        self._end = weakref.finalize(self, _stop, self._process, self._notes, self._alarms, threads)

    def is_here(self) -> bool:
        """Whether this is the process that its threads are in; a fork takes none of them along."""
        return self._process == os.getpid()

    def step(self, actions: NDArray[np.int32]) -> int:
        """One step of all worlds; returns how many episodes ended."""
        notes = self._notes
        self._actions[:] = actions
        notes[NUMBER] += 1
        _wake(notes, self._alarms)
        ended = int(step_worlds(*self._own))
        while not all_done(notes, PATIENCE):
            time.sleep(NAP_SECONDS)
        return ended + int(notes[LINE + ENDED :: LINE].sum())


def _serve(notes: NDArray[np.int64], line: int, alarm: threading.Event, share: tuple[Any, ...]) -> None:
    """What a thread does: step when asked, awake for a while, then asleep.

    Both sides hold the interpreter lock where one says that it sleeps and the other looks, so no call is missed.
    """
    while not follow(notes, line, PATIENCE, *share):
        alarm.clear()
        notes[line + ASLEEP] = 1
        if notes[NUMBER] == notes[line + NUMBER]:
            alarm.wait()
        notes[line + ASLEEP] = 0


def _wake(notes: NDArray[np.int64], alarms: Sequence[threading.Event]) -> None:
    for number, alarm in enumerate(alarms, start=1):
        if notes[LINE * number + ASLEEP]:
            alarm.set()


def _stop(
    process: int, notes: NDArray[np.int64], alarms: Sequence[threading.Event], threads: Sequence[threading.Thread]
) -> None:
    """End the threads and wait for it: one that Python's end cuts off in compiled code can abort the process."""
    if process != os.getpid():
        return
    notes[NUMBER] = STOP
    _wake(notes, alarms)
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(SECONDS_TO_END)


def _make_entries(digest: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The compiled parts; that they use the digest of the kernels' sources keeps their caches on disk apart."""

    @entry
    def follow(notes, line, patience, *share) -> bool:  # type: ignore[no-untyped-def]
        """Do every step that is asked for; False if none was for a while, True if there will be no more."""
        if digest < 0:
            return True
        done = notes[line + NUMBER]
        while True:
            looks = 0
            asked = read_news(notes, NUMBER)
            while asked == done:
                looks += 1
                if looks > patience:
                    return False
                asked = read_news(notes, NUMBER)
            if asked == STOP:
                return True
            notes[line + ENDED] = step_worlds(*share)
            done = asked
            write_news(notes, line + NUMBER, done)

    @entry
    def all_done(notes, patience) -> bool:  # type: ignore[no-untyped-def]
        """Whether all threads have done the step that was asked for; looks for a while."""
        for line in range(LINE, notes.shape[0], LINE):
            looks = 0
            while read_news(notes, line + NUMBER) != notes[NUMBER]:
                looks += 1
                if looks > patience:
                    return False
        return True

    return follow, all_done


def _place(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Pointer to an element of a one-dimensional array of int64."""
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]])


@intrinsic
def _load(typing_context: Any, notes: Any, index: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_place(context, builder, signature, arguments), "acquire", 8)

    return types.int64(notes, types.intp), build


@intrinsic
def _store(typing_context: Any, notes: Any, index: Any, number: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[2], _place(context, builder, signature, arguments), "release", 8)
        return context.get_dummy_value()

    return types.void(notes, types.intp, types.int64), build


@overload(read_news)
def _compiled_read(notes: Any, index: Any) -> Any:
    def compiled(notes: Any, index: Any) -> Any:
        return _load(notes, index)  # type: ignore[call-arg]

    return compiled


@overload(write_news)
def _compiled_write(notes: Any, index: Any, number: Any) -> Any:
    def compiled(notes: Any, index: Any, number: Any) -> Any:
        _store(notes, index, number)  # type: ignore[call-arg]

    return compiled


follow, all_done = _make_entries(source_digest())
