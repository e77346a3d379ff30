"""A run's folder reaches the bucket and comes back, also when stores fail and processes die."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import fsspec
import pytest

from experiments.recipes.benchmark_architectures.adaptive import main
from metta.analysis.results import read_results
from metta.base.errors import InputError, InUseError, RunError
from metta.lab import bucket
from metta.lab.bucket import NOTE, OWNER, Bucket, is_bucket, local_folder
from metta.lab.decide import RetryPolicy
from metta.lab.executors import local
from tests.lab.stand_ins import Bench, Here

RUN = "x.vit.level_1_basic.s0"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """An empty store in memory, with short pauses; the current folder is empty, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bucket, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(bucket, "SECONDS_BETWEEN_SENDINGS", 0.05)
    found = fsspec.filesystem("memory")
    found.store.clear()
    found.pseudo_dirs[:] = [""]
    yield found
    found.store.clear()


def names(store: Any) -> set[str]:
    return {path.removeprefix("/b/x/") for path in store.store}


@pytest.mark.parametrize(
    ("text", "answer"),
    [("s3://b/x", True), ("gs://b", True), ("./train_dir", False), ("/abs", False), ("file:///abs", False)],
)
def test_which_addresses_are_buckets(text: str, answer: bool) -> None:
    assert is_bucket(text) == answer


@pytest.mark.parametrize("text", ["s3://", "s3:///", "s3://b/../c", "s3://b/./c"])
def test_addresses_that_name_no_folder_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="names no folder in a bucket"):
        local_folder(text)


def test_a_folder_is_sent_whole_and_in_order(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Bucket.open("memory://b/x")
    checkpoint = place.folder / "checkpoints" / "step_1"
    checkpoint.mkdir(parents=True)
    for file in ("policy.json", "manifest.json", "trainer.safetensors"):
        (checkpoint / file).write_bytes(file.encode())
    for file in ("status.json", "metrics.jsonl", ".lock"):
        (place.folder / file).write_bytes(b"1")
    order: list[str] = []
    sent = place._put_there
    monkeypatch.setattr(place, "_put_there", lambda name, data: (order.append(name), sent(name, data)))
    place.send()
    parts = [f"checkpoints/step_1/{name}" for name in ("policy.json", "trainer.safetensors", "manifest.json")]
    assert order == [*parts, "metrics.jsonl", "status.json"]
    assert names(store) == set(order)
    place.send()
    assert len(order) == 5  # nothing has changed
    (place.folder / "metrics.jsonl").write_bytes(b"12")
    (checkpoint / "policy.json").unlink()
    place.send()
    assert order[5:] == ["metrics.jsonl"]
    assert "checkpoints/step_1/policy.json" not in names(store)


def test_another_machine_goes_on_with_what_is_there(
    store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = Bucket.open("memory://b/x")
    with here.worked_in(print):
        (here.folder / "checkpoints").mkdir(parents=True)
        (here.folder / "checkpoints" / "one").write_bytes(b"1")
        (here.folder / "status.json").write_bytes(b"1")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    there = Bucket.open("memory://b/x")
    with there.worked_in(print):
        assert (there.folder / "checkpoints" / "one").read_bytes() == b"1"
        (there.folder / "checkpoints" / "one").unlink()
        (there.folder / "status.json").write_bytes(b"22")
    monkeypatch.chdir(tmp_path)
    assert here.changed_there()
    with here.worked_in(print):
        assert (here.folder / "status.json").read_bytes() == b"22"
        assert not (here.folder / "checkpoints" / "one").exists()
    assert names(store) == {"status.json"}


def test_what_a_killed_process_could_not_send_is_sent_by_the_next(store: Any) -> None:
    place = Bucket.open("memory://b/x")
    place.folder.mkdir(parents=True)
    (place.folder / "status.json").write_bytes(b"1")
    place.send()
    (place.folder / "status.json").write_bytes(b"22")
    with place.worked_in(print):
        assert (place.folder / "status.json").read_bytes() == b"22"
    assert store.cat_file("/b/x/status.json") == b"22"


def test_an_experiment_has_one_controller(store: Any) -> None:
    one, other = Bucket.open("memory://b/x"), Bucket.open("memory://b/x")
    with one.owned("x"), pytest.raises(InUseError, match=f"x is in use by process {os.getpid()}"), other.owned("x"):
        pass
    assert OWNER not in names(store)
    for host, sentence in ((socket.gethostname(), None), ("elsewhere", f"remove memory://b/x/{OWNER} if that machine")):
        store.pipe_file(f"/b/x/{OWNER}", json.dumps({"id": "o", "pid": 2**22 + 1, "host": host}).encode())
        with pytest.raises(InUseError, match=sentence) if sentence else nullcontext(), other.owned("x"):
            assert json.loads(store.cat_file(f"/b/x/{OWNER}"))["id"] != "o"  # a dead process of this machine
    assert names(store) == {OWNER}


def test_a_store_that_fails_for_a_while_costs_nothing_and_then_one_sentence(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Bucket.open("memory://b/x")
    place.folder.mkdir(parents=True)
    (place.folder / "status.json").write_bytes(b"1")
    faults = [OSError("connection reset"), OSError("connection reset")]
    write = place._fs.pipe_file

    def pipe_file(name: str, data: bytes) -> None:
        if faults:
            raise faults.pop()
        write(name, data)

    monkeypatch.setattr(place._fs, "pipe_file", pipe_file)
    place.send()
    assert names(store) == {"status.json"}
    faults[:] = [OSError("connection reset")] * 9
    (place.folder / "status.json").write_bytes(b"22")
    with pytest.raises(RunError, match="cannot reach memory://b/x: OSError: connection reset"):
        place.send()
    faults.clear()
    place.send()
    assert store.cat_file("/b/x/status.json") == b"22"


def test_an_experiment_in_a_bucket(
    store: Any, bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """adaptive.py leaves everything in the bucket; another machine continues from there and repeats nothing."""
    words = ["--experiment-id", "x", "--architectures", "vit,fast", "--levels", "level_1_basic", "--timesteps", "300"]
    words += ["--seeds-per-level", "1", "--local", "--max-parallel", "1", "--results-root", "memory://b"]
    output = Path("train_dir/memory/b/x")
    here = Here(output / "benchmark_results.json")
    monkeypatch.setattr(local, "LocalExecutor", lambda slots, gpus: here)
    monkeypatch.setattr(RetryPolicy, "pause", lambda self, attempts: 0.0)
    assert main(words) == 0
    assert {f"{RUN}/status.json", f"{RUN}/evaluation.json", "benchmark_results.json"} <= names(store)
    assert not any(name.endswith((OWNER, NOTE)) for name in names(store))
    assert "train_dir=memory://b/x" in read_results(output / "benchmark_results.json").runs[0].training.command
    Path("other").mkdir()
    monkeypatch.chdir("other")
    here.done.clear()
    assert main([*words, "--replays", "none"]) == 0
    assert here.done == []
    assert len(read_results(output / "benchmark_results.json").runs) == 2
    assert not (output / RUN / "checkpoints").exists()  # nobody needed them
    store.rm_file(f"/b/x/{RUN}/evaluation.json")
    assert main([*words, "--skip-training"]) == 0
    assert len(here.done) == 2
    assert (output / RUN / "checkpoints").exists()
    assert f"{RUN}/evaluation.json" in names(store)
    runs = read_results(output / "benchmark_results.json").runs
    assert [(run.training.status, run.evaluation.status) for run in runs] == [("success", "success")] * 2


@pytest.mark.parametrize(
    ("root", "sentence"),
    [
        ("nowhere://b", "use s3://, gs:// or az://, or a local path"),
        ("memory://", "names no folder in a bucket"),
        ("gs://b", "needs a further package: `uv pip install gcsfs`"),
    ],
)
def test_addresses_that_cannot_be_used_get_one_sentence(
    bench: Bench, capsys: pytest.CaptureFixture[str], root: str, sentence: str
) -> None:
    assert main(["--experiment-id", "x", "--local", "--results-root", root]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_a_store_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(address: str) -> None:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr("fsspec.core.url_to_fs", unreachable)
    with pytest.raises(RunError, match=r"^the store at 'ftp://x/y' does not answer: name or service not known\.$"):
        Bucket.open("ftp://x/y")
