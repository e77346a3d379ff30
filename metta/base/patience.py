"""Says what takes so long, if it does: loading and compiling before the first result."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

SECONDS_OF_SILENCE = 2.0
TAKES_LONG = "Loading and compiling the simulator: minutes the first time, then seconds."


@contextmanager
def patience(say: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Say what takes so long if it does, until what this gives is called or the end."""

    def tell() -> None:
        with suppress(OSError):  # the reader of the output may have gone
            say(TAKES_LONG)

    timer = threading.Timer(SECONDS_OF_SILENCE, tell)
    timer.daemon = True
    timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()
