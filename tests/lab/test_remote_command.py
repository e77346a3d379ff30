"""A command on a node leaves its exit status, and ends when its time is up, also while it is being waited for."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from metta.base.errors import InputError, RunError
from metta.lab.executors import local, remote_command
from metta.lab.executors.remote_command import STATUS_NAME, RemoteCommand, exit_status

JOB = "7"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLURM_JOB_ID", JOB)
    (tmp_path / JOB).mkdir()
    return tmp_path


def command(folder: Path, log_file: Path) -> RemoteCommand:
    return RemoteCommand(("no.such.recipe",), log_file, 1, folder)


def test_the_exit_status_is_handed_on_and_an_older_one_is_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert exit_status(folder / JOB) is None
    ran = command(folder, folder / "logs" / "job.txt")
    assert ran() == 2 == exit_status(folder / JOB)
    assert "no.such.recipe" in (folder / "logs" / "job.txt").read_text()

    seen = []
    monkeypatch.setattr(subprocess.Popen, "wait", lambda process: seen.append(exit_status(folder / JOB)) or 0)
    assert ran() == 0 == exit_status(folder / JOB)
    assert seen == [None]


def test_a_command_that_cannot_be_called_says_why(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(OSError, match="file"):
        command(folder, folder / "file" / "log.txt")()
    with pytest.raises(RunError, match=r"the job could not run the command: .*file"):
        exit_status(folder / JOB)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"status": "0"}'])
def test_a_damaged_status_is_one_sentence(folder: Path, content: str) -> None:
    (folder / JOB / STATUS_NAME).write_text(content)
    with pytest.raises(InputError, match=STATUS_NAME):
        exit_status(folder / JOB)


def test_a_signal_before_the_command_has_started_puts_it_back_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitit = SimpleNamespace(helpers=SimpleNamespace(DelayedSubmission=lambda again: again))
    monkeypatch.setitem(sys.modules, "submitit", submitit)
    ran = command(folder, folder / "log.txt")
    assert ran.checkpoint() == ran


class TimeIsUp(BaseException):
    """Ends the wait, as submitit does after it has put the job back into the queue."""


SCRIPT = """
import os, signal, time
from pathlib import Path
def stop(*_):
    Path("asked").touch()
    if not Path("stubborn").exists():
        raise SystemExit(130)
signal.signal(signal.SIGTERM, stop)
Path("process").write_text(str(os.getpid()))
os.kill(os.getppid(), signal.SIGALRM)
while True:
    time.sleep(1)
"""


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_signal_ends_the_command_that_is_being_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, stubborn: bool
) -> None:
    """The handler interrupts `Popen.wait`, whose lock it must not need."""
    (folder / "tools").mkdir()
    (folder / "tools" / "run.py").write_text(SCRIPT)
    monkeypatch.setattr(local, "REPOSITORY", folder)
    monkeypatch.setattr(remote_command, "SECONDS_TO_STOP", 1.0)
    monkeypatch.chdir(folder)
    if stubborn:
        Path("stubborn").touch()
    ran = command(folder, folder / "log.txt")

    submitit = SimpleNamespace(helpers=SimpleNamespace(DelayedSubmission=lambda again: again))
    monkeypatch.setitem(sys.modules, "submitit", submitit)

    def time_is_up(*_: object) -> None:
        assert ran.checkpoint() == ran  # what is put back into the queue
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, time_is_up)
    try:
        with pytest.raises(TimeIsUp):
            ran()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert Path("asked").exists()
    _, status = os.waitpid(int(Path("process").read_text()), 0)
    assert os.waitstatus_to_exitcode(status) == (-signal.SIGKILL if stubborn else 130)
    assert exit_status(folder / JOB) is None  # it has not ended by itself
