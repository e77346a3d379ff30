"""How work is asked to stop: Ctrl-C, a polite request (SIGTERM), or the death of the runner that started it."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

RUNNER_VARIABLE = "METTA_RUNNER_PID"
"""Environment variable with the process id of the runner that a job must not outlive; unset for jobs by hand."""
SECONDS_BETWEEN_LOOKS = 5.0


@contextmanager
def terminable() -> Iterator[None]:
    """Treat a request to end (SIGTERM) like Ctrl-C: `KeyboardInterrupt` is raised in the main thread."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def runner_is_gone() -> bool:
    """Whether this process was started by a runner that has ended since (then another process is its parent)."""
    runner = os.environ.get(RUNNER_VARIABLE)
    return runner is not None and os.getppid() != int(runner)


@contextmanager
def ending_with_the_runner() -> Iterator[None]:
    """Ask this process to stop when the runner that started it, if any, has ended; for work without a heartbeat."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            if runner_is_gone():
                stop_this_process()
                return

    if RUNNER_VARIABLE in os.environ:
        threading.Thread(target=watch, name="runner", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def stop_this_process() -> None:
    """Ask this process to stop, from any of its threads."""
    os.kill(os.getpid(), signal.SIGTERM)
