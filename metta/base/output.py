"""What a command says while it works, to a reader that may go away: a closed pipe, a closed terminal, a full disk."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

GONE = (errno.EPIPE, errno.EIO)
"""What a closed pipe and a closed terminal answer."""


@contextmanager
def saying() -> Iterator[None]:
    """Print inside. Raises `BrokenPipeError` if nobody reads any more; what a full disk refuses is lost."""
    try:
        yield
    except OSError as error:
        if error.errno in GONE or isinstance(error, BrokenPipeError):
            raise BrokenPipeError(errno.EPIPE, "nobody reads the output any more") from error


def say(text: str, end: str = "\n") -> None:
    """Print at once, as `saying` does."""
    with saying():
        print(text, end=end, flush=True)


def on_terminal() -> bool:
    """Whether people watch it; an output that is closed from the start (`>&-`) is None."""
    return sys.stdout is not None and sys.stdout.isatty()
