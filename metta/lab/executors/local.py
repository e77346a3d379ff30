"""Jobs as subprocesses on this machine: each with its own log, threads and, where there are GPUs, one GPU."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from metta.base.errors import InputError
from metta.base.files import disk_faults
from metta.base.output import say
from metta.base.provenance import REPOSITORY, cores
from metta.base.stopping import RUNNER_VARIABLE
from metta.lab.executors.contract import Command, Ended, Executor, size_of
from metta.lab.executors.launcher import BaseLauncher

SECONDS_TO_STOP = 60.0
"""Time that jobs have to finish and save their update after being asked to stop."""
SECONDS_TO_SAY_SO = 10.0
"""Time that jobs have to write down that they stopped, when they are to end at once."""

BYTECODE = Path(sys.prefix) / "bytecode"
"""Compiled modules of the jobs, where the caller wants none beside the sources: without them every job of thousands
compiles torch and numba anew, which is two thirds of the time it needs to start."""


@dataclass
class _Running:
    command: Command
    process: "subprocess.Popen[bytes]"
    gpu: str | None
    since: int
    """Bytes of the log before it."""
    kill_at: float | None = None


class LocalExecutor(Executor):
    """Starts commands as subprocesses. They notice when this process is killed, and stop by themselves."""

    def __init__(self, slots: int, gpus: Sequence[str] = ()) -> None:
        """Share `gpus` (as CUDA_VISIBLE_DEVICES names them) out among at most `slots` jobs."""
        self.slots = slots
        self._gpus = tuple(gpus)
        self._running: dict[str, _Running] = {}

    def start(self, command: Command) -> None:
        """Start a process. Raises `InputError` or `RunError` if its log cannot be written or the system refuses."""
        environment = job_environment(command.threads)
        gpu = self._least_used_gpu()
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        with _opened(command.log_file) as log, disk_faults(command.log_file.parent, "start a process for"):
            since = size_of(command.log_file)
            process = started(command.words, log, environment)
        self._running[command.name] = _Running(command, process, gpu, since)

    def poll(self) -> list[Ended]:
        ended = []
        for name, job in list(self._running.items()):
            status = job.process.poll()
            if status is not None:
                del self._running[name]
                ended.append(Ended(job.command, status, since=job.since))
            elif job.kill_at is not None and time.monotonic() > job.kill_at:
                job.process.kill()
        return ended

    def end(self, name: str) -> None:
        """Ask a job to stop; `poll` kills it if it has not after a while."""
        job = self._running[name]
        job.process.terminate()
        job.kill_at = time.monotonic() + SECONDS_TO_STOP

    def close(self) -> None:
        """Ask all jobs to stop, wait, and kill those that do not; no process is left.

        If this is interrupted, the jobs are interrupted, too: they save nothing more, but write down that they stopped.
        """
        if self._running:
            with suppress(OSError):  # the terminal may have gone
                say("Stopping: training saves its current update first; Ctrl-C again ends at once.")
        try:
            for name in self._running:
                self.end(name)
            self._wait(SECONDS_TO_STOP)
        except KeyboardInterrupt:
            for job in self._running.values():
                job.process.send_signal(signal.SIGINT)
            self._wait(SECONDS_TO_SAY_SO)
            raise
        finally:
            for job in self._running.values():
                job.process.kill()
                job.process.wait()
            self._running.clear()

    def _wait(self, seconds: float) -> None:
        """Until no job lives, so long at most."""
        deadline = time.monotonic() + seconds
        for job in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                job.process.wait(max(0.0, deadline - time.monotonic()))

    def _least_used_gpu(self) -> str | None:
        used = Counter(job.gpu for job in self._running.values())
        return min(self._gpus, key=lambda gpu: used[gpu], default=None)


class Launcher(BaseLauncher):
    """This machine: its GPUs, or else its cores, are shared out."""

    def resources(self) -> dict[str, Any]:
        """None: there is nothing to choose. Raises `InputError`."""
        if self.words:
            raise InputError(
                "--resource is for --launcher slurm and --launcher skypilot; jobs on this machine share it."
            )
        return {}

    def share(self, runs: int) -> tuple[int, int]:
        """Jobs at a time for so many runs, and threads of each."""
        slots = min(self.max_parallel, len(visible_gpus()) * self.jobs_per_gpu or cores(), runs)
        return slots, max(1, cores() // slots)

    def remark(self, slots: int) -> str | None:
        """Why there are fewer jobs at a time than asked for."""
        if slots >= self.max_parallel:
            return None
        gpus = visible_gpus()
        what = f"{len(gpus)} GPUs" if gpus else f"{cores()} cores"
        return f"{slots} jobs at a time, because this machine has {what}."

    def executor(self, slots: int, output: Path, address: str | None) -> LocalExecutor:
        """Subprocesses."""
        return LocalExecutor(slots, visible_gpus())


def visible_gpus() -> list[str]:
    """GPUs of this machine as CUDA_VISIBLE_DEVICES names them, those that the variable hides left out."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")]
    devices = [path for path in Path("/dev").glob("nvidia[0-9]*") if path.name.removeprefix("nvidia").isdigit()]
    return [str(number) for number in range(len(devices))]


def _opened(path: Path) -> IO[bytes]:
    with disk_faults(path, "write"):
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")


def started(words: Sequence[str], log: IO[bytes], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """A process of tools/run.py that says everything to `log`. Raises `OSError`."""
    arguments = [sys.executable, str(REPOSITORY / "tools" / "run.py"), *words]
    return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)


def job_environment(threads: int) -> dict[str, str]:
    """This process's environment, changed for a job of its own.

    Args:
        threads: of the numerical libraries; 0 leaves the choice to the command.
    """
    environment = {**os.environ, RUNNER_VARIABLE: str(os.getpid())}
    if threads:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[name] = str(threads)
    if environment.pop("PYTHONDONTWRITEBYTECODE", "") and "PYTHONPYCACHEPREFIX" not in environment:
        environment["PYTHONPYCACHEPREFIX"] = str(BYTECODE)
    return environment
