"""Files are replaced whole or not at all, and disk faults are sentences of the right kind."""

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from metta.base import files
from metta.base.errors import InputError, RunError


def test_replaces_the_whole_content(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_atomically(path, "a much longer first content")
    files.write_atomically(path, b"short")
    assert path.read_bytes() == b"short"
    assert list(tmp_path.iterdir()) == [path]


def test_files_get_the_rights_that_are_usual_here_whoever_else_writes(tmp_path: Path) -> None:
    """They did so before; but looking at the process's mask meant to change it, and threads left it changed."""
    before = os.umask(0o027)
    try:
        files.write_atomically(tmp_path / "a", "")
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "umask", lambda mask: pytest.fail("the mask was touched"))
            files.write_atomically(tmp_path / "a", "")
    finally:
        os.umask(before)


def test_keeps_the_old_content_when_the_new_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    files.write_atomically(path, "old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"cannot write .*a\.json: no space left on device\.$"):
        files.write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_device_is_a_run_time_fault_and_a_wrong_place_an_input_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write to the folder"):
        files.make_folder(tmp_path / "file" / "below")
    with pytest.raises(InputError, match="cannot write"):
        files.write_atomically(tmp_path / "missing" / "a", "x")


def test_a_kill_while_writing_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"n": -1})
    program = (
        "import sys; from pathlib import Path; from metta.base.files import write_json\n"
        "n = 0\n"
        "while True:\n"
        "    write_json(Path(sys.argv[1]), {'n': n, 'filler': 'x' * 100_000}); n += 1\n"
        "    print(n, flush=True)"
    )
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        process.communicate()
        record = files.read_json(path)
        assert record["n"] >= 0
        assert len(record["filler"]) == 100_000


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a": 1', "\0", "[" * 200_000])
def test_damaged_json_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"results\.json is damaged"):
        files.read_json(path)


def test_missing_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        files.read_json(tmp_path / "absent.json")


def test_json_without_numbers_that_json_lacks(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a.json", {"loss": float("nan")})
    files.write_json(tmp_path / "a.json", {"loss": 1.5})
    assert json.loads((tmp_path / "a.json").read_text()) == {"loss": 1.5}


def test_a_lock_is_held_by_one_process_and_freed_by_its_death(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    program = (
        "import sys, time; from pathlib import Path; from metta.base.files import locked\n"
        "with locked(Path(sys.argv[1]), 'the run'): print('held', flush=True); time.sleep(1800)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with (
        pytest.raises(InputError, match=f"the run is in use by process {process.pid} on .*; wait or stop it"),
        files.locked(path, "the run"),
    ):
        pass
    process.kill()
    process.communicate()
    with files.locked(path, "the run"):
        assert files.holder(path) == (os.getpid(), socket.gethostname())
    assert files.holder(path) is None


def test_a_file_system_without_fsync_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_descriptor: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", unknown)
    files.make_folder(tmp_path / "folder")
    files.write_atomically(tmp_path / "folder" / "a", "content")
    assert (tmp_path / "folder" / "a").read_text() == "content"

    from metta.rl.checkpoint import is_sound, write_checkpoint

    assert is_sound(write_checkpoint(tmp_path / "checkpoints", 64, {}, {}, {}, {}))


def test_a_file_system_without_locks_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_file: object, _operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unknown)
    sentence = r"^cannot lock .*\.lock: function not implemented\. .* give a folder on a file system with locks"
    with pytest.raises(InputError, match=sentence), files.locked(tmp_path / ".lock", "the run"):
        pass
    assert files.holder(tmp_path / ".lock") is None
