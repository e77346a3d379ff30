"""How a command ends: its exit status, and one sentence for every expected fault."""

import contextlib
import io
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Protocol

from metta.base.errors import InputError, InUseError, RunError

RUN_ERROR = 1
"""Exit status after something failed while running."""
INPUT_ERROR = 2
"""Exit status after wrong input: the same command would fail again."""
IN_USE = 75
"""Exit status when another process works on the run; the same command may succeed later."""
STOPPED = 130
"""Exit status of a command that was asked to stop (as a shell reports it after Ctrl-C), or that nobody reads."""


def report_errors(command: Callable[[], int | None]) -> int:
    """Run a command; its expected faults become one sentence on standard error and an exit status.

    Output never ends it: what the terminal's encoding lacks is written as an escape. A `KeyboardInterrupt` may say what
    comes after it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return command() or 0
    except InputError as error:
        _tell(f"error: {error}")
        return IN_USE if isinstance(error, InUseError) else INPUT_ERROR
    except RunError as error:
        _tell(f"error: {error}")
        return RUN_ERROR
    except ModuleNotFoundError as error:
        _tell(f"error: {_missing_module(error)}")
        return INPUT_ERROR
    except KeyboardInterrupt as request:
        _tell(f"stopped{f'; {request}' * bool(request.args)}.")
        return STOPPED
    except BrokenPipeError:
        # The reader of our output (e.g. `head`) has closed it; say nothing more, also not at exit.
        sys.stdout = None
        return STOPPED


class Main(Protocol):
    """A command line; without words this process's. Returns the exit status."""

    def __call__(self, words: Sequence[str] | None = None) -> int: ...


def command(run: Callable[[list[str]], int | None]) -> Main:
    """Makes a `main` of what does a command line: with `report_errors`."""

    @wraps(run)
    def main(words: Sequence[str] | None = None) -> int:
        return report_errors(lambda: run(list(sys.argv[1:] if words is None else words)))

    return main


def _missing_module(error: ModuleNotFoundError) -> str:
    """Who wants what: usually an architecture of one's own, in a folder where this Python does not look."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if not each.filename.startswith("<frozen ")]
    return (
        f"{frames[-1].filename}, line {frames[-1].lineno}, imports {error.name}, which this Python does not find; "
        "install it here, or put the folder that it lies in on PYTHONPATH."
    )


def _tell(sentence: str) -> None:
    """On standard error, unless its terminal has gone."""
    with contextlib.suppress(OSError):
        print(sentence, file=sys.stderr)
