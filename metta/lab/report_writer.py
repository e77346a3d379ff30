"""Keeps a benchmark's report fresh beside its work: in a thread of its own, reading only files that have changed."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from metta.analysis.file_memory import FileMemory
from metta.analysis.results import BenchmarkResults
from metta.base.errors import RunError

REPORT_SHARE = 0.1
"""No more than this share of the time is spent on reports."""


class Throttle:
    """Keeps something that takes long to a share of the time."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._again_at = 0.0

    def allows(self) -> bool:
        """Whether it may be done now."""
        return time.monotonic() >= self._again_at

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """Do it inside."""
        before = time.monotonic()
        try:
            yield
        finally:
            after = time.monotonic()
            self._again_at = after + (after - before) * (1 / self._share - 1)


class ReportWriter:
    """Writes `report.html` beside a results file, one at a time."""

    def __init__(self, results_file: Path) -> None:
        self._results_file = results_file
        self._memory = FileMemory()
        self._thread: threading.Thread | None = None
        self._throttle = Throttle(REPORT_SHARE)
        self._warn = cache(lambda fault: print(f"warning: {fault}", file=sys.stderr))  # each fault once

    def refresh(self, results: BenchmarkResults) -> None:
        """Begin to write the report, unless one is being written or was lately; returns at once.

        Faults are printed as warnings, each once: the benchmark goes on without a fresh report.
        """
        if self._thread is not None and self._thread.is_alive():
            return
        if not self._throttle.allows():
            return
        self._thread = threading.Thread(target=self._beside, args=(results,), name="report", daemon=True)
        self._thread.start()

    def finish(self, results: BenchmarkResults) -> None:
        """Write the report of these results before returning. Raises `RunError` if the disk is full."""
        if self._thread is not None:
            self._thread.join()
        self._write(results)

    def _beside(self, results: BenchmarkResults) -> None:
        try:
            with self._throttle.measured():
                self._write(results)
        except RunError as error:
            self._warn(f"{error} The benchmark goes on.")

    def _write(self, results: BenchmarkResults) -> None:
        from metta.analysis.report import refresh_report

        if fault := refresh_report(self._results_file, results, self._memory):
            self._warn(f"no report: {fault}")
