"""Weights & Biases mirrors a run and never holds it up: a stand-in package hangs, fails and notes what it is told."""

import importlib.util
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metta.base.errors import InputError
from metta.cli.main import resolve
from metta.lab import wandb_mirror
from metta.lab.run_folder import RunFolder
from metta.lab.training import TrainJob
from metta.lab.wandb_mirror import identity, main
from tests.lab.stand_ins import Bench

STAND_IN = """
import json, os, sys, time
doing = os.environ["STAND_IN"]
if doing == "broken":
    raise RuntimeError("no such server")
def note(kind, value):
    with open(os.environ["STAND_IN_NOTES"], "a") as file:
        file.write(json.dumps([kind, value]) + "\\n")
class Settings(dict):
    pass
class Run:
    def __init__(self):
        self.summary = self
    def __setitem__(self, key, value):
        note("summary", {key: value})
    def log(self, values, step):
        note("log", [step, values])
    def finish(self):
        note("finish", None)
def init(**values):
    if doing == "hang":
        time.sleep(1000)
    note("init", {key: values[key] for key in ("project", "id", "name", "group", "tags", "mode")})
    return Run()
"""
NAME = "x.vit.level_1_basic.s3"
FOLDER = Path("train_dir") / NAME


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bench: Bench) -> Iterator[Path]:
    """A package called wandb; gives the file of its notes."""
    package = tmp_path / "packages"
    package.mkdir()
    (package / "wandb.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(package)
    monkeypatch.setenv("PYTHONPATH", str(package))
    monkeypatch.setenv("STAND_IN", "work")
    monkeypatch.setenv("STAND_IN_NOTES", str(tmp_path / "notes"))
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.setattr(wandb_mirror, "SECONDS_TO_FINISH", 1200.0)  # the machine may be busy
    yield tmp_path / "notes"
    sys.modules.pop("wandb", None)


def train(*words: str) -> int:
    """Train the run with the stand-in trainer, which writes no metrics."""
    path = "experiments.recipes.benchmark_architectures.level_1_basic.train"
    job = resolve([path, f"run={NAME}", "seed=3", "trainer.total_timesteps=300", *words])
    assert isinstance(job, TrainJob)
    return job.execute()


def notes(file: Path, kind: str) -> list[Any]:
    """What the stand-in was told."""
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [value for found, value in lines if found == kind]


def write_metrics(*updates: int) -> None:
    """Lines of metrics.jsonl, the last one cut as by a kill."""
    lines = [
        json.dumps({"update": number, "timesteps": 100 * number, "loss": 0.5, "timing": {"seconds": 1.0}})
        for number in updates
    ]
    (FOLDER / "metrics.jsonl").write_text("".join(line + "\n" for line in lines) + '{"update": 9')


def test_a_run_is_shown_with_group_tags_and_results(stand_in: Path) -> None:
    assert train("wandb=offline") == 0
    (started,) = notes(stand_in, "init")
    assert started == {
        "project": "architecture-benchmark",
        "id": NAME,
        "name": NAME,
        "group": "x",
        "tags": ["benchmark_architectures", "x", "vit", "level_1_basic", "seed_3"],
        "mode": "offline",
    }
    assert {"evaluation/basic/hearts_per_agent": 1.0} in notes(stand_in, "summary")
    assert notes(stand_in, "finish") == [None]


def test_damaged_lines_are_left_out(stand_in: Path) -> None:
    train()
    write_metrics(1, 2)
    file = FOLDER / "metrics.jsonl"
    whole = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(whole[0] + b"\0\0\0\n\xff\n[1]\n" + whole[1])
    assert main([str(FOLDER), "online"]) == 0
    assert [number for number, _ in notes(stand_in, "log")] == [1, 2]


def test_by_hand_it_shows_what_is_missing_once(stand_in: Path) -> None:
    train()
    write_metrics(1, 2)
    assert main([str(FOLDER), "online"]) == 0
    sent = [[number, {"timesteps": 100 * number, "loss": 0.5, "timing/seconds": 1.0}] for number in (1, 2, 3)]
    assert notes(stand_in, "log") == sent[:2]
    write_metrics(1, 2, 3)
    assert main([str(FOLDER), "online"]) == 0
    assert notes(stand_in, "log") == sent
    assert {started["id"] for started in notes(stand_in, "init")} == {NAME}


def test_online_lacks_what_was_shown_offline_only(stand_in: Path) -> None:
    train()
    write_metrics(1, 2)
    for mode in ("offline", "online", "offline", "online"):
        assert main([str(FOLDER), mode]) == 0
    assert [number for number, _ in notes(stand_in, "log")] == [1, 2, 1, 2]


@pytest.mark.parametrize("note", ["", "[1]", '{"online": "2"}', '{"online": null}'])
def test_after_a_damaged_note_everything_is_shown_again(stand_in: Path, note: str) -> None:
    train()
    write_metrics(1, 2)
    (FOLDER / "wandb.json").write_text(note)
    assert main([str(FOLDER), "online"]) == 0
    assert [number for number, _ in notes(stand_in, "log")] == [1, 2]


@pytest.mark.parametrize(("doing", "seconds"), [("hang", 0.5), ("broken", 120.0)])
def test_a_tracker_that_hangs_or_fails_costs_one_warning(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], doing: str, seconds: float
) -> None:
    monkeypatch.setenv("STAND_IN", doing)
    monkeypatch.setattr(wandb_mirror, "SECONDS_TO_FINISH", seconds)
    processes: list[Any] = []
    popen = wandb_mirror.subprocess.Popen
    monkeypatch.setattr(
        wandb_mirror.subprocess, "Popen", lambda *a, **k: processes.append(popen(*a, **k)) or processes[-1]
    )
    assert train("wandb=online") == 0
    assert capsys.readouterr().out.count("Weights & Biases") == 1
    assert RunFolder(FOLDER).is_finished()
    if doing == "broken":
        assert "no such server" in (FOLDER / "wandb.log").read_text()
    (process,) = (each for each in processes if "metta.lab.wandb_mirror" in each.args)
    process.kill()
    process.wait()


def test_a_missing_package_is_one_sentence_before_anything_starts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="uv sync --group wandb"):
        train("wandb=offline")
    assert not FOLDER.exists()


def test_off_starts_nothing(bench: Bench) -> None:
    train("wandb=off")
    assert not (FOLDER / "wandb.log").exists()


def test_a_run_with_a_name_of_its_own_has_no_group() -> None:
    found = identity({"run": "mine", "architecture": "A(x=" + "1" * 80 + ")", "level": "level_1_basic", "seed": 0})
    assert found["group"] is None
    assert max(map(len, found["tags"])) == 64


def records(file: Path) -> Iterator[Any]:
    """The records of an offline run: the framing of LevelDB's log around the package's own messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, whole = file.read_bytes(), 7, b""  # the first seven bytes name the format
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            record = Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


def key(item: Any) -> str:
    """Name of a value, which the package writes in two ways."""
    return str(item.key or ".".join(item.nested_key))


def test_what_the_real_package_wrote_offline_is_read_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("wandb", reason="the optional package wandb is not installed (uv sync --group wandb)")
    for name in ("WANDB_PROJECT", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    train()
    write_metrics(1, 2)
    assert main([str(FOLDER), "offline"]) == 0
    (file,) = FOLDER.glob("wandb/offline-run-*/run-*.wandb")
    found = list(records(file))
    (run,) = (record.run for record in found if record.WhichOneof("record_type") == "run")
    assert (run.project, run.run_group, run.display_name, run.run_id) == ("architecture-benchmark", "x", NAME, NAME)
    assert list(run.tags) == ["benchmark_architectures", "x", "vit", "level_1_basic", "seed_3"]
    history = [record.history for record in found if record.WhichOneof("record_type") == "history"]
    rows = [{key(item): json.loads(item.value_json) for item in row.item} for row in history]
    assert [(row["_step"], row["timesteps"], row["loss"]) for row in rows] == [(1, 100, 0.5), (2, 200, 0.5)]
    summary = [
        (key(item), item.value_json)
        for record in found
        if record.WhichOneof("record_type") == "summary"
        for item in record.summary.update
    ]
    assert ("evaluation/basic/hearts_per_agent", "1.0") in summary
