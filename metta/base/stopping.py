"""How work is asked to end early, and how it ends: one way for Ctrl-C, SIGTERM, SIGHUP, a time limit, and the death
of the runner that started it.

A run that trains is asked, finishes its update, saves it and leaves (metta/lab/training.py); everything else is
interrupted at once. Whatever asks from inside this process calls `stop_this_process`.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

RUNNER_VARIABLE = "METTA_RUNNER_PID"
"""Environment variable with the process id of the runner that a job must not outlive; unset for jobs by hand."""
SECONDS_BETWEEN_LOOKS = 5.0
REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU)
"""Ctrl-C, a polite request (also of Slurm and of clouds), the end of the terminal, the end of the processor time."""


class Ending:
    """Whether this process was asked to end, and what that does.

    A request is either noted, for somebody who looks by `check`, or raises `KeyboardInterrupt` at once. That is raised
    once only, so that nothing interrupts what it leads to: writing down how the work ended. A second Ctrl-C, as of
    somebody impatient, ends at once what only notes; a second request of another kind does not.
    """

    def __init__(self) -> None:
        self.waits = True
        """True: a request is only noted."""
        self._asked = False
        self._raised = False

    def check(self) -> None:
        """Raise `KeyboardInterrupt` if the process was asked to end."""
        if self._asked and not self._raised:
            self._raised = True
            raise KeyboardInterrupt

    def told(self) -> None:
        """How the work ended is written down: from here on, a second Ctrl-C interrupts what is left to do."""
        self.waits, self._raised = True, False

    def ask(self) -> None:
        """Ask the thread that calls `check` to end; from any thread."""
        self._asked = True

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        again = self._asked and number == signal.SIGINT
        self._asked = True
        if not self.waits or again:
            self.check()
        elif number == signal.SIGINT:
            # Not by print, which this may have interrupted; a terminal may have gone, or none been there.
            with contextlib.suppress(OSError, AttributeError):
                os.write(sys.__stderr__.fileno(), b"\nstopping; Ctrl-C again ends at once.\n")  # type: ignore[union-attr]


@contextmanager
def asked_to_end() -> Iterator[Ending]:
    """Take requests to end; those that whoever started this process ignores stay ignored.

    They arrive in the main thread; work in another one is not asked.
    """
    ending = Ending()
    taken = []
    if threading.current_thread() is threading.main_thread():
        taken = [(number, handler) for number in REQUESTS if (handler := signal.getsignal(number)) != signal.SIG_IGN]
    for number, _ in taken:
        signal.signal(number, ending._ask)
    try:
        yield ending
    finally:
        for number, handler in taken:
            signal.signal(number, handler)


@contextmanager
def interruptible() -> Iterator[Ending]:
    """Requests to end raise `KeyboardInterrupt` inside; once, so that nothing interrupts tidying up within it."""
    with asked_to_end() as ending:
        ending.waits = False
        yield ending


@contextmanager
def continued_when_repeated() -> Iterator[None]:
    """Around, or as a decorator of, what goes on where it was stopped: the command's last word says so."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command continues it, and what is finished is not repeated") from None


def runner_is_gone() -> bool:
    """Whether this process was started by a runner that has ended since (then another process is its parent)."""
    runner = os.environ.get(RUNNER_VARIABLE)
    return runner is not None and os.getppid() != int(runner)


@contextmanager
def ending_with_the_runner() -> Iterator[None]:
    """`interruptible`, also by the end of the runner that started this process, if any; for work without heartbeat."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            if runner_is_gone():
                stop_this_process()
                return

    if RUNNER_VARIABLE in os.environ:
        threading.Thread(target=watch, name="runner", daemon=True).start()
    try:
        with interruptible():
            yield
    finally:
        ended.set()


def stop_this_process() -> None:
    """Ask this process to end, from any of its threads."""
    os.kill(os.getpid(), signal.SIGTERM)
