import subprocess
from pathlib import Path

import pytest

from metta.base.errors import InputError, RunError
from metta.lab.dispatch.remote_command import STATUS_NAME, RemoteCommand, exit_status

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
