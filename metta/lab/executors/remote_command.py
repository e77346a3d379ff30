"""One command as a function that another machine calls: what submitit sends to a node of a Slurm cluster."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metta.base.errors import InputError, RunError
from metta.base.files import read_json, write_json
from metta.lab.executors.local import job_environment, started

SECONDS_TO_STOP = 40.0
"""Time the command has to write its state after being asked to stop; less than the 90 seconds that Slurm gives."""

STATUS_NAME = "exit_status.json"


@dataclass
class RemoteCommand:
    """Calls tools/run.py and returns its exit status, as `subprocess` gives it (negative: minus a signal)."""

    words: tuple[str, ...]
    log_file: Path
    threads: int
    jobs_folder: Path
    """Holds a folder per Slurm job, where `exit_status` finds how the command ended."""
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False, repr=False, compare=False)

    def __call__(self) -> int:
        """Run the command to its end; it stops by itself when this process is killed."""
        file = self.jobs_folder / os.environ["SLURM_JOB_ID"] / STATUS_NAME
        file.unlink(missing_ok=True)  # of a start before the job was requeued
        try:
            status = self._run()
        except OSError as error:
            write_json(file, {"error": str(error)})
            raise
        write_json(file, {"status": status})
        return status

    def _run(self) -> int:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            # Slurm sends the signal that announces the end to every process of a step. It is meant for this one.
            before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            try:
                self._process = started(self.words, log, job_environment(self.threads))
            finally:
                signal.signal(signal.SIGUSR2, before)
            return self._process.wait()

    def checkpoint(self) -> Any:
        """Called by submitit when the job is about to be preempted or its time is up: stop, and be started again."""
        import submitit

        if self._process is not None:  # None: the signal came before the command was started
            _end(self._process.pid)
        return submitit.helpers.DelayedSubmission(
            RemoteCommand(self.words, self.log_file, self.threads, self.jobs_folder)
        )


def _end(process: int) -> None:
    """Ask a child to stop, and kill it if it does not.

    Called by a signal handler that may have interrupted `Popen.wait`, whose lock is held then: asking the `Popen` to
    wait would never end, and the job would be killed instead of being put back into the queue.
    """
    with suppress(ProcessLookupError, ChildProcessError):
        for number in (signal.SIGTERM, signal.SIGKILL):
            os.kill(process, number)
            deadline = time.monotonic() + SECONDS_TO_STOP
            while time.monotonic() < deadline:
                if os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                    return
                time.sleep(0.1)


def exit_status(folder: Path) -> int | None:
    """What the job whose files lie in `folder` returned; None if it has not ended by itself.

    Read from a file of our own: what submitit writes is a pickle, and files are not unpickled.

    Raises:
        InputError: the file is damaged.
        RunError: the command could not be called, e.g. because its log could not be written.
    """
    file = folder / STATUS_NAME
    if not file.exists():
        return None
    record = read_json(file)
    status, error = record.get("status"), record.get("error")
    if isinstance(error, str):
        raise RunError(f"the job could not run the command: {error}.")
    if not isinstance(status, int):
        raise InputError(f"{file} is damaged: it holds neither a status nor an error.")
    return status
