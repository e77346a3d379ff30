"""Run names stay inside train_dir; checkpoint addresses mean what docs/interface.md says."""

import os
from pathlib import Path

import pytest

from metta.base.addresses import (
    BEST,
    NEWEST,
    CheckpointAddress,
    check_run_name,
    checkpoint_address,
    local_path,
    path_text,
)
from metta.base.errors import InputError


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "/etc", "..", ".", "", ".hidden", "a\0b", "a b", "x" * 201, "-rf", "a\n"]
)
def test_run_names_that_could_leave_train_dir_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="is not a run name"):
        check_run_name(name)


@pytest.mark.parametrize("name", ["quick_test", "benchmark.vit.level_1_basic.s3", "a", "2026-11-22"])
def test_ordinary_run_names(name: str) -> None:
    assert check_run_name(name) == name


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder `train_dir/my run` with one checkpoint, seen from the folder above train_dir."""
    folder = tmp_path / "train_dir" / "my run" / "checkpoints"
    (folder / "step_000000000064").mkdir(parents=True)
    (folder / "step_000000000064" / "policy.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return Path("train_dir/my run/checkpoints")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("file://./train_dir/my run/checkpoints", NEWEST),
        ("file://./train_dir/my%20run/checkpoints", NEWEST),
        ("train_dir/my run/checkpoints", NEWEST),
        ("train_dir/my run/checkpoints/", NEWEST),
        ("train_dir/my run", NEWEST),
        ("file://train_dir/my run/checkpoints:newest", NEWEST),
        ("file://./train_dir/my run/checkpoints:best", BEST),
        ("train_dir/my run:best", BEST),
        ("train_dir/my run/checkpoints:step_000000000064", "step_000000000064"),
        ("train_dir/my run/checkpoints/step_000000000064", "step_000000000064"),
        ("file://train_dir/my run/checkpoints/step_000000000064/policy.json", "step_000000000064"),
    ],
)
def test_forms_of_an_address(checkpoints: Path, address: str, name: str) -> None:
    assert checkpoint_address(address) == CheckpointAddress(checkpoints, name)


def test_absolute_address(checkpoints: Path) -> None:
    assert checkpoint_address(f"file://{checkpoints.resolve()}").folder == checkpoints.resolve()


ODD_NAMES = ("50%20x", "a#b?c", "with space", "\u043c\u043e\u0439 \u5e33", "~", "~x", "a:b", "'quoted'")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_path_that_is_written_down_is_read_back(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (Path(name), Path(name) / "below", tmp_path / name):
        assert local_path(path_text(path)) == path
        (path / "checkpoints").mkdir(parents=True, exist_ok=True)
        assert checkpoint_address(path_text(path / "checkpoints")).folder == path / "checkpoints"


def test_home_is_read_alike_in_a_path_and_in_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_path("~/bench") == local_path("file://~/bench") == tmp_path / "bench"
    with pytest.raises(InputError, match=r"there is no home folder for ~no-such-user"):
        local_path("~no-such-user/bench")


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("file://./train_dir/other/checkpoints", "there is no checkpoint at"),
        ("train_dir/my run/checkpoints/step_9", "does not exist"),
        ("s3://bucket/run/checkpoints", "s3:// is not supported"),
        ("", "names no path"),
        ("file://", "names no path"),
        (os.fsdecode(b"caf\xe9/checkpoints"), "not UTF-8 text; rename the folder, or work inside it"),
        ("train_dir/my run/checkpoints:../x", "does not exist"),
        ("train_dir/my run/checkpoints:a b", "is not a checkpoint name"),
    ],
)
def test_wrong_addresses(checkpoints: Path, address: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        checkpoint_address(address)


@pytest.mark.parametrize("address", ["x" * 300, "file://" + "x" * 300, "x" * 300 + ":best"])
def test_a_path_that_the_system_refuses_to_look_at_is_one_sentence(address: str) -> None:
    with pytest.raises(InputError, match="cannot be looked at: file name too long"):
        local_path(address)
