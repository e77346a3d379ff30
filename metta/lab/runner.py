"""Documented commands as subprocesses, a given number side by side, each with its own log; and how each ended."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from metta.base.files import disk_faults
from metta.lab.provenance import REPOSITORY
from metta.lab.stopping import RUNNER_VARIABLE, terminable

POLL_SECONDS = 0.1
SECONDS_TO_STOP = 30.0
"""Time that jobs have to write their state after being asked to stop."""
TAIL_BYTES = 4096


@dataclass(frozen=True)
class Command:
    """One call of tools/run.py."""

    name: str
    words: tuple[str, ...]
    """Path and key=value pairs."""
    log_file: Path
    """Gets everything the command prints."""
    threads: int
    """Threads of the numerical libraries; 0 leaves the choice to the command."""

    def __str__(self) -> str:
        return command_text(self.words)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    command: Command
    status: int
    """Exit status; negative: minus the signal that killed it."""

    @property
    def fault(self) -> str | None:
        """None after success, else a sentence: the command's own last words, or what ended it."""
        if self.status == 0:
            return None
        if self.status < 0:
            return f"killed by {signal.Signals(-self.status).name}; its log is {self.command.log_file}."
        said = [line for line in tail(self.command.log_file) if line.startswith("error: ")]
        return said[-1].removeprefix("error: ") if said else f"ended with exit status {self.status}."


def command_text(words: Sequence[str]) -> str:
    """The call as a user would type it."""
    return shlex.join(["uv", "run", "./tools/run.py", *words])


def tail(path: Path) -> list[str]:
    """The last lines of a log; empty if there is none."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return file.read().decode(errors="replace").splitlines()


def run_commands(
    commands: Sequence[Command],
    parallel: int,
    on_start: Callable[[Command], None],
    on_end: Callable[[Ended], None],
    while_waiting: Callable[[Sequence[Command]], None],
) -> None:
    """Run all commands in order, at most `parallel` at a time; faults are reported to `on_end`, never raised.

    An interrupt (Ctrl-C or SIGTERM) asks the running commands to stop, waits for them and is raised again; no process
    is left. If this process is killed, the commands notice and stop by themselves.
    """
    waiting = deque(commands)
    running: list[tuple[Command, subprocess.Popen[bytes]]] = []
    try:
        with terminable():
            while waiting or running:
                while waiting and len(running) < parallel:
                    command = waiting.popleft()
                    on_start(command)
                    running.append((command, _start(command)))
                time.sleep(POLL_SECONDS)
                while_waiting([command for command, _ in running])
                for command, process in list(running):
                    status = process.poll()
                    if status is not None:
                        running.remove((command, process))
                        on_end(Ended(command, status))
    finally:
        _stop([process for _, process in running])


def _start(command: Command) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, RUNNER_VARIABLE: str(os.getpid())}
    if command.threads:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[name] = str(command.threads)
    arguments = [sys.executable, str(REPOSITORY / "tools" / "run.py"), *command.words]
    with _opened(command.log_file) as log:
        return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)


def _opened(path: Path) -> IO[bytes]:
    with disk_faults(path, "write"):
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")


def _stop(processes: "Sequence[subprocess.Popen[bytes]]") -> None:
    """Ask the processes to stop, and end those that do not."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + SECONDS_TO_STOP
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
