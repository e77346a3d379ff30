"""Checkpoints appear whole or not at all, are verified when read, and damage is named."""

import errno
import multiprocessing
import os
import signal
import tempfile
import time
from pathlib import Path

import pytest
import torch

from metta.base.errors import InputError, RunError
from metta.base.files import UNFINISHED
from metta.rl.checkpoint import (
    FILES,
    keep_checkpoints,
    list_checkpoints,
    newest_sound,
    read_policy_files,
    read_trainer_files,
    remove_leftovers,
    remove_newer,
    write_checkpoint,
)


def write(folder, timesteps, size=10):
    tensors = {"weight": torch.full((size,), float(timesteps))}
    return write_checkpoint(folder, timesteps, tensors, {"policy": {}}, tensors, {"timesteps": timesteps})


def test_round_trip(tmp_path):
    place = write(tmp_path, 5)
    tensors, record = read_trainer_files(place)
    assert torch.equal(tensors["weight"], torch.full((10,), 5.0))
    assert record == {"timesteps": 5}
    assert read_policy_files(place)[1] == {"policy": {}}
    assert newest_sound(tmp_path) == place


def test_newest_and_named_are_kept(tmp_path):
    for timesteps in range(1, 6):
        write(tmp_path, timesteps)
    keep_checkpoints(tmp_path, newest=2, named={"step_000000000001"})
    assert [path.name[-1] for path in list_checkpoints(tmp_path)] == ["1", "4", "5"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_damage_is_found_and_the_one_before_is_used(tmp_path, name, damage):
    sound, place = write(tmp_path, 1), write(tmp_path, 2)
    file = place / name
    data = bytearray(file.read_bytes())
    if damage == "truncate":
        file.write_bytes(data[:-3])
    elif damage == "flip":
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    else:
        file.unlink()
    assert newest_sound(tmp_path) == sound
    with pytest.raises(InputError, match=f"damaged.*{name}"):
        (read_policy_files if name.startswith("policy") else read_trainer_files)(place)


def test_damaged_ones_make_way_for_the_run_that_goes_on(tmp_path):
    sound, damaged = write(tmp_path, 1), write(tmp_path, 2)
    (damaged / "manifest.json").unlink()
    remove_newer(tmp_path, sound)
    assert list_checkpoints(tmp_path) == [sound]
    assert write(tmp_path, 2) == newest_sound(tmp_path)


def test_only_damaged_ones_is_an_error_not_a_fresh_start(tmp_path):
    (write(tmp_path, 1) / "policy.json").write_text("{}")
    with pytest.raises(InputError, match="every checkpoint"):
        newest_sound(tmp_path)


def test_a_full_disk_leaves_the_earlier_checkpoint_and_no_debris(tmp_path, monkeypatch):
    sound = write(tmp_path, 1)
    written = []

    def full(descriptor):
        written.append(descriptor)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="No space left on device; earlier checkpoints are kept"):
        write(tmp_path, 2)
    assert list(tmp_path.iterdir()) == [sound]


def _write_for_ever(folder):
    timesteps = 1
    while True:
        write(folder, timesteps, size=500_000)
        timesteps += 1


def test_kill_9_while_writing_never_leaves_a_broken_checkpoint(tmp_path):
    context = multiprocessing.get_context("spawn")
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        writer = context.Process(target=_write_for_ever, args=(folder,), daemon=True)
        writer.start()
        deadline = time.monotonic() + 600  # a busy machine needs minutes to import torch
        while len(list_checkpoints(folder)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.013 * attempt)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        found = list_checkpoints(folder)
        assert len(found) >= 2
        assert newest_sound(folder) == found[-1]
        remove_leftovers(folder)
        assert sorted(folder.iterdir()) == found


def test_unfinished_files_of_a_killed_writer_are_removed(tmp_path):
    write(tmp_path, 100)
    expected = sorted(tmp_path.iterdir())
    handle, name = tempfile.mkstemp(prefix=".best.json.", suffix=UNFINISHED, dir=tmp_path)
    os.close(handle)
    assert Path(name).exists()
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == expected
