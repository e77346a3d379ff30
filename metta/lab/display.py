"""What a benchmark shows while it runs: lines, and how far it is, as a live table or, without a terminal, as a line."""

import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from metta.base.errors import InputError, RunError
from metta.base.output import on_terminal, say, saying
from metta.base.run_files import METRICS
from metta.lab.executors.contract import tail
from metta.lab.log import duration_text
from metta.lab.run_folder import RunFolder

SECONDS_BETWEEN_DRAWINGS = 1.0
SECONDS_BETWEEN_LINES = 30.0
"""Where the output is no terminal."""
SECONDS_TO_THE_FIRST = 10.0
SECONDS_BETWEEN_ESTIMATES = 10.0
OTHER_COLUMNS = 47
"""Characters in a line of the table beside a job's name, at most."""


class Display:
    """Prints lines; the table is drawn only where the output is a terminal."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._live: Any = None
        self._drawn_at = clock() - SECONDS_BETWEEN_LINES + SECONDS_TO_THE_FIRST
        self._estimated_at = -math.inf
        self._left = ""

    def say(self, line: str) -> None:
        """Print a line."""
        if self._live is None:
            say(line)
        else:
            with saying():
                self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def draw(self, summary: str, left: Callable[[], str], running: Sequence[tuple[str, RunFolder | None]]) -> None:
        """Redraw the table, about once a second; elsewhere say how far it is, less often.

        Args:
            summary: the heading, e.g. how many runs are done.
            left: gives what to say of the time left; asked now and then.
            running: name of each running job, and its run's folder if it works on a run.
        """
        now, watched = self._clock(), on_terminal()
        if now - self._drawn_at < (SECONDS_BETWEEN_DRAWINGS if watched else SECONDS_BETWEEN_LINES):
            return
        self._drawn_at = now
        if now - self._estimated_at >= SECONDS_BETWEEN_ESTIMATES:
            self._left, self._estimated_at = left(), now
        summary += self._left
        if not watched:
            self.say(summary)
            return
        from rich.live import Live
        from rich.table import Table

        table = Table(title=summary, title_justify="left", box=None, pad_edge=False)
        for heading in ("job", "state", "done", "steps/s", "hearts", "left"):
            table.add_column(heading, justify="left" if heading in ("job", "state") else "right", no_wrap=True)
        for name, folder in running:
            table.add_row(_fitting(name, shutil.get_terminal_size().columns - OTHER_COLUMNS), *cells(folder))
        with saying():
            if self._live is None:
                self._live = Live(table, auto_refresh=False, transient=True)
                self._live.start()
            self._live.update(table, refresh=True)

    def close(self) -> None:
        """Remove the table."""
        if self._live is not None:
            live, self._live = self._live, None
            with suppress(BrokenPipeError), saying():
                live.stop()


def _fitting(name: str, room: int) -> str:
    """Its end, where architecture, level and seed stand, if there is no room for all of it."""
    return name if len(name) <= room else f"…{name[len(name) - max(room, 2) + 1 :]}"


def cells(folder: RunFolder | None) -> list[str]:
    """State, share done, rate, hearts per agent in the newest training episodes, and time left."""
    if folder is None:
        return ["evaluating", "", "", "", ""]
    try:
        status = folder.status()
    except (InputError, RunError):
        status = None
    if status is None:
        return ["starting", "", "", "", ""]
    share = f"{min(100, 100 * status.timesteps // status.total_timesteps)} %"
    rate = "" if status.steps_per_second is None else f"{status.steps_per_second:,.0f}"
    left = "" if status.seconds_left is None else duration_text(status.seconds_left)
    waiting = "evaluating" if status.trained else "starting"
    state = status.state if status.state in ("training", "evaluating") else waiting
    return [state, share, rate, _newest_hearts(folder), left]


def _newest_hearts(folder: RunFolder) -> str:
    for line in reversed(tail(folder.path / METRICS)):
        try:
            return f"{json.loads(line)['episode/hearts_per_agent']:.2f}"
        except (ValueError, KeyError, TypeError):
            continue  # episodes do not end in every update, and the first line may be cut
    return ""
