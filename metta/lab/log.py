"""What a run says: every line to the terminal and, with the time, to its log.txt; and the progress line."""

import os
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from metta.base.files import reason
from metta.base.output import on_terminal, say
from metta.base.provenance import now

if TYPE_CHECKING:
    from metta.rl.metrics import Progress

LOGGED_SHARES = 10
"""The progress is logged this many times per run."""
SECONDS_BETWEEN_DRAWINGS = 0.25


class RunLog:
    """Appends to log.txt; a log that cannot be written (full disk) is reported once and does not end the run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._warn = cache(lambda sentence: print(sentence, file=sys.stderr))  # each sentence once
        # A runner that collects this process's output in the same file needs each line once.
        self._is_stdout = path.exists() and _is_stream(path, sys.stdout)

    def say(self, line: str) -> None:
        """Print a line and keep it."""
        if self._is_stdout:
            say(f"{now()} {line}")
        else:
            self.keep(line)
            say(line)

    def keep(self, line: str) -> None:
        """Write a line to log.txt only."""
        try:
            with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{now()} {line}\n")
        except OSError as error:
            self._warn(f"cannot write {self.path}: {reason(error)}. The run goes on.")


def _is_stream(path: Path, stream: object) -> bool:
    """Whether `stream` writes to the file `path`."""
    try:
        descriptor = stream.fileno()  # type: ignore[attr-defined]
    except (OSError, AttributeError, ValueError):
        return False
    return os.path.samestat(os.fstat(descriptor), path.stat())


class ProgressLine:
    """One line that is redrawn on a terminal; elsewhere silent except for every tenth of the run."""

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self._on_terminal = on_terminal()
        self._drawn_at = 0.0
        self._logged_share: int | None = None
        self._latest: dict[str, float] = {}

    def show(self, progress: "Progress") -> None:
        """Draw or log the state after an update."""
        # Episodes do not end in every update; the line keeps the last figures.
        self._latest.update({name: progress.metrics[name] for name in SHOWN_METRICS if name in progress.metrics})
        text = progress_text(progress, self._latest)
        share = min(LOGGED_SHARES, progress.timesteps * LOGGED_SHARES // progress.total_timesteps)
        if self._on_terminal and time.monotonic() - self._drawn_at > SECONDS_BETWEEN_DRAWINGS:
            self._drawn_at = time.monotonic()
            say(f"\r\x1b[K{_fitting(text, shutil.get_terminal_size().columns - 1)}", end="")
        if self._logged_share is None:
            self._logged_share = share - 1 if share == LOGGED_SHARES else share
        if share > self._logged_share:
            self._logged_share = share
            if self._on_terminal:
                self._log.keep(text)
            else:
                self._log.say(text)

    def close(self) -> None:
        """End the line."""
        if self._on_terminal:
            with suppress(BrokenPipeError):
                say("\r\x1b[K", end="")


def progress_text(progress: "Progress", metrics: Mapping[str, float]) -> str:
    """E.g. ` 45 %  450,000 of 1,000,000 steps  31,204 steps/s  18 s left  hearts 0.42  return 2.31`."""
    parts = [
        f"{min(100, 100 * progress.timesteps // progress.total_timesteps):3d} %",
        f"{progress.timesteps:,} of {progress.total_timesteps:,} steps",
        f"{progress.steps_per_second:,.0f} steps/s",
        f"{duration_text(progress.seconds_left)} left",
    ]
    parts += [f"{label} {metrics[name]:.2f}" for name, label in SHOWN_METRICS.items() if name in metrics]
    return GAP.join(parts)


def _fitting(text: str, width: int) -> str:
    """As many parts as have room: a line that is longer than the terminal cannot be drawn over."""
    while len(text) > width and GAP in text:
        text = text.rpartition(GAP)[0]
    return text[:width]


GAP = "  "
SHOWN_METRICS = {"episode/hearts_per_agent": "hearts", "episode/return": "return"}
"""Metric -> its name in the progress line."""


def duration_text(seconds: float) -> str:
    """To two digits, with its unit: `68 s`, `4.4 min`, `33 min`, `1.7 h`, `120 h`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.2g} min"
    hours = seconds / 3600
    return f"{hours:.2g} h" if hours < 99.5 else f"{hours:,.0f} h"
