"""One command as a function that another machine calls: what submitit sends to a node of a Slurm cluster."""

import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metta.base.errors import InputError, RunError
from metta.lab.dispatch.environment import job_environment
from metta.lab.provenance import REPOSITORY

SECONDS_TO_STOP = 40.0
"""Time the command has to write its state after being asked to stop; less than the 90 seconds that Slurm gives."""


@dataclass
class RemoteCommand:
    """Calls tools/run.py and returns its exit status, as `subprocess` gives it (negative: minus a signal)."""

    words: tuple[str, ...]
    log_file: Path
    threads: int

    def __call__(self) -> int:
        """Run the command to its end; it stops by itself when this process is killed."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            # Slurm sends the signal that announces the end to every process of a step. It is meant for this one.
            before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            try:
                process = subprocess.Popen(
                    [sys.executable, str(REPOSITORY / "tools" / "run.py"), *self.words],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=job_environment(self.threads),
                )
            finally:
                signal.signal(signal.SIGUSR2, before)
            self._process = process
            return process.wait()

    def checkpoint(self) -> Any:
        """Called by submitit when the job is about to be preempted or its time is up: stop, and be started again."""
        import submitit

        process: subprocess.Popen[bytes] = self._process
        process.terminate()
        try:
            process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return submitit.helpers.DelayedSubmission(RemoteCommand(self.words, self.log_file, self.threads))


def exit_status(result_file: Path) -> int | None:
    """What the function returned, from submitit's result file; None if there is none, or it did not return.

    Raises:
        InputError: the file is damaged.
        RunError: the function could not be called, e.g. because the log could not be written.
    """
    import pickle

    try:
        outcome, result = pickle.loads(result_file.read_bytes())
    except FileNotFoundError:
        return None
    except Exception as error:
        raise InputError(f"{result_file} is damaged: {type(error).__name__}: {error}.") from error
    if outcome == "success":
        return int(result)
    raise RunError(f"the job could not run the command: {str(result).strip().splitlines()[-1]}.")
