"""A run's folder reaches the bucket and comes back, also when stores fail and processes die.

The stores: one in memory, and S3 through s3fs and the real protocol, with moto's server on loopback.
"""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pytest

from experiments.recipes.benchmark_architectures.adaptive import main
from metta.analysis.results import read_results
from metta.base.errors import InputError, InUseError, RunError
from metta.base.files import locked
from metta.cli.main import resolve
from metta.lab import bucket
from metta.lab.bucket import NOTE, OWNER, Bucket, is_bucket, local_folder
from metta.lab.run_folder import RunFolder
from tests.lab.stand_ins import Bench, Here

RUN = "x.vit.level_1_basic.s0"


@dataclass
class Store:
    """An empty place in a store."""

    fs: Any
    root: str
    address: str

    def open(self) -> Bucket:
        """The experiment x, as on any machine."""
        return Bucket.open(self.address).below("x")

    def names(self) -> set[str]:
        """Everything in x."""
        self.fs.invalidate_cache()
        return {path.partition(f"{self.root}/x/")[2] for path in self.fs.find(f"{self.root}/x")}

    def content(self, name: str) -> bytes:
        """Of a file in x."""
        found: bytes = self.fs.cat_file(f"{self.root}/x/{name}")
        return found


@pytest.fixture(scope="module")
def moto() -> Iterator[Any]:
    """A stand-in for S3's servers."""
    why = "moto or s3fs is not installed: uv sync --group s3 --group moto"
    pytest.importorskip("s3fs", reason=why)
    found = pytest.importorskip("moto.server", reason=why).ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    found.start()
    yield found
    found.stop()


@pytest.fixture
def s3(moto: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Store]:
    """An empty bucket; nothing but loopback can be reached."""
    import s3fs

    reach = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        assert self.family == socket.AF_UNIX or address[0] == "127.0.0.1", address
        reach(self, address)

    host, port = moto.get_host_and_port()
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "stand-in")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    found = s3fs.S3FileSystem()
    found.mkdir("benchmarks")
    yield Store(found, "benchmarks/results", "s3://benchmarks/results")
    found.invalidate_cache()
    found.rm("benchmarks", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def memory() -> Iterator[Store]:
    """A store of this process."""
    found = fsspec.filesystem("memory")
    found.store.clear()
    found.pseudo_dirs[:] = [""]
    yield Store(found, "/b", "memory://b")
    found.store.clear()


@pytest.fixture(params=["memory", "s3"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """Either, often sent to; the current folder is empty, too."""
    found: Store = request.getfixturevalue(request.param)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bucket, "SECONDS_BETWEEN_SENDINGS", 0.05)
    return found


def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """Go to a machine that has nothing yet."""
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)


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


def test_a_folder_is_sent_whole_and_in_order(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    place = store.open()
    checkpoint = place.folder / "checkpoints" / "step_1"
    checkpoint.mkdir(parents=True)
    for file in ("policy.json", "manifest.json", "trainer.safetensors"):
        (checkpoint / file).write_bytes(file.encode())
    for file in ("status.json", "metrics.jsonl", ".lock"):
        (place.folder / file).write_bytes(b"1")
    order: list[str] = []
    write = store.fs.pipe_file

    def pipe_file(path: str, data: bytes) -> None:
        order.append(path.partition("/x/")[2])
        write(path, data)

    monkeypatch.setattr(store.fs, "pipe_file", pipe_file)  # file systems of one kind are one object
    place.send()
    parts = [f"checkpoints/step_1/{name}" for name in ("policy.json", "trainer.safetensors", "manifest.json")]
    assert order == [*parts, "metrics.jsonl", "status.json"]
    assert store.names() == set(order)
    place.send()
    assert len(order) == 5  # nothing has changed
    (place.folder / "metrics.jsonl").write_bytes(b"12")
    (checkpoint / "policy.json").unlink()
    place.send()
    assert order[5:] == ["metrics.jsonl"]
    assert "checkpoints/step_1/policy.json" not in store.names()


def test_another_machine_goes_on_with_what_is_there(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = store.open()
    with here.synchronised(print):
        (here.folder / "checkpoints" / "one").mkdir(parents=True)
        (here.folder / "checkpoints" / "one" / "policy.safetensors").write_bytes(b"\0" * 1_000_000)
        (here.folder / "status.json").write_bytes(b"1")
    assert store.names() == {"checkpoints/one/policy.safetensors", "status.json"}
    assert not here.changed_there()  # what a store says of an object when asked and when listed is the same
    machine(monkeypatch, tmp_path, "other")
    there = store.open()
    with there.synchronised(print):
        assert (there.folder / "checkpoints" / "one" / "policy.safetensors").read_bytes() == b"\0" * 1_000_000
        (there.folder / "checkpoints" / "one" / "policy.safetensors").unlink()
        (there.folder / "status.json").write_bytes(b"2")  # as many bytes as before
    monkeypatch.chdir(tmp_path)
    assert here.changed_there()
    with here.synchronised(print):
        assert (here.folder / "status.json").read_bytes() == b"2"
        assert not (here.folder / "checkpoints" / "one").exists()
    assert store.names() == {"status.json"}


def test_what_a_killed_process_could_not_send_is_sent_by_the_next(store: Store) -> None:
    place = store.open()
    place.folder.mkdir(parents=True)
    (place.folder / "status.json").write_bytes(b"1")
    place.send()
    (place.folder / "status.json").write_bytes(b"22")
    with place.synchronised(print):
        assert (place.folder / "status.json").read_bytes() == b"22"
    assert store.content("status.json") == b"22"


def test_files_that_were_removed_here_between_two_works_come_back(store: Store) -> None:
    """Somebody made room on the disk; only what work itself removes is removed in the bucket."""
    place = store.open()
    with place.synchronised(print):
        (place.folder / "checkpoints" / "one").mkdir(parents=True)
        (place.folder / "checkpoints" / "one" / "policy.json").write_bytes(b"1")
        (place.folder / "status.json").write_bytes(b"1")
    shutil.rmtree(place.folder / "checkpoints")
    (place.folder / "status.json").write_bytes(b"22")  # not sent yet
    with place.synchronised(print):
        assert (place.folder / "checkpoints" / "one" / "policy.json").read_bytes() == b"1"
        assert (place.folder / "status.json").read_bytes() == b"22"
    assert store.names() == {"checkpoints/one/policy.json", "status.json"}
    assert store.content("status.json") == b"22"


def test_what_is_removed_there_while_it_is_fetched_is_left_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run that goes on elsewhere drops an old checkpoint."""
    place = store.open()
    for name in ("checkpoints/one/policy.json", "status.json"):
        (place.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (place.folder / name).write_bytes(b"1")
    place.send()
    shutil.rmtree(place.folder)
    listed = place._listed()
    monkeypatch.setattr(place, "_listed", lambda: listed)
    store.fs.rm_file(f"{store.root}/x/checkpoints/one/policy.json")
    place.fetch()
    assert (place.folder / "status.json").exists()
    assert not (place.folder / "checkpoints" / "one" / "policy.json").exists()


def test_a_local_folder_that_cannot_be_made_is_one_sentence(store: Store) -> None:
    place = store.open()
    place.folder.mkdir(parents=True)
    (place.folder / "status.json").write_bytes(b"1")
    place.send()
    shutil.rmtree(place.folder)
    place.folder.write_bytes(b"")
    with pytest.raises(InputError, match=f"cannot write .*{place.folder}"):
        place.fetch()


def test_a_folder_that_is_removed_while_it_is_listed_is_left_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer drops an old checkpoint."""
    place = store.open()
    for name in ("checkpoints/one/policy.json", "status.json"):
        (place.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (place.folder / name).write_bytes(b"1")
    scandir = os.scandir

    def removing(path: Any) -> Any:
        if os.path.basename(str(path)) == "one":
            os.replace(path, place.folder / ".one")
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", removing)
        place.send()
    assert store.names() == {"status.json"}


def test_what_a_run_of_this_machine_could_not_send_is_not_overwritten_by_its_experiment(store: Store) -> None:
    """A study fetches what lies in its runs' folders, where a killed job may have left more than it had sent."""
    study = store.open()
    run = study.below("run")
    with run.synchronised(print):
        (run.folder / "metrics.jsonl").parent.mkdir(parents=True, exist_ok=True)
        (run.folder / "metrics.jsonl").write_bytes(b"1")
    study.fetch()
    (run.folder / "metrics.jsonl").write_bytes(b"12")
    run.send()
    (run.folder / "metrics.jsonl").write_bytes(b"123")
    study.fetch()
    assert (run.folder / "metrics.jsonl").read_bytes() == b"123"
    store.fs.pipe_file(f"{store.root}/x/run/metrics.jsonl", b"another machine went on")
    study.fetch()
    assert (run.folder / "metrics.jsonl").read_bytes() == b"another machine went on"


def test_what_a_process_works_on_is_not_overwritten_by_another_one(
    memory: Store, bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of the same run in the same bucket on the same machine: neither to train it nor to evaluate it."""
    monkeypatch.chdir(tmp_path)
    path = "experiments.recipes.benchmark_architectures.level_1_basic"
    train = [f"{path}.train", "run=r", f"train_dir={memory.address}", "trainer.total_timesteps=300"]
    assert resolve(train).execute() == 0
    run = RunFolder(local_folder(memory.address) / "r")
    memory.fs.pipe_file(f"{memory.root}/r/metrics.jsonl", b"as it was sent before its mark was noted")
    run.path.joinpath("metrics.jsonl").write_bytes(b"newer")
    with locked(run.lock_file, "the run"):
        with suppress(InUseError):
            resolve(train).execute()
        assert run.path.joinpath("metrics.jsonl").read_bytes() == b"newer"
        evaluate = [f"{path}.evaluate", f"policy_uri={memory.address}/r/checkpoints", "output=result.json"]
        assert resolve(evaluate).execute() == 0
        assert run.path.joinpath("metrics.jsonl").read_bytes() == b"newer"
        assert memory.fs.cat_file(f"{memory.root}/r/metrics.jsonl") != b"newer"
    assert Path("result.json").exists()


def test_an_experiment_has_one_controller(store: Store) -> None:
    one, other = store.open(), store.open()
    with one.owned("x"), pytest.raises(InUseError, match=f"x is in use by process {os.getpid()}"), other.owned("x"):
        pass
    assert OWNER not in store.names()
    refused = f"remove {store.address}/x/{OWNER} if that machine"
    for host, sentence in ((socket.gethostname(), None), ("elsewhere", refused)):
        owner = {"id": "o", "pid": 2**22 + 1, "host": host}
        store.fs.pipe_file(f"{store.root}/x/{OWNER}", json.dumps(owner).encode())
        with pytest.raises(InUseError, match=sentence) if sentence else nullcontext(), other.owned("x"):
            assert json.loads(store.content(OWNER))["id"] != "o"  # a dead process of this machine
    assert store.names() == {OWNER}
    for damaged in (b"", b"{", b"[1]", b"{}", b'{"host": "' + socket.gethostname().encode() + b'"}'):
        store.fs.pipe_file(f"{store.root}/x/{OWNER}", damaged)
        with pytest.raises(InUseError, match=refused), other.owned("x"):
            pass


def test_a_store_that_fails_is_one_sentence_and_is_sent_to_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    place = store.open()
    place.folder.mkdir(parents=True)
    (place.folder / "status.json").write_bytes(b"1")

    def fails(name: str, data: bytes) -> None:
        raise OSError("connection reset")

    with monkeypatch.context() as patch:
        patch.setattr(place._fs, "pipe_file", fails)
        with pytest.raises(RunError, match=f"cannot reach {store.address}/x: OSError: connection reset"):
            place.send()
    place.send()
    assert store.content("status.json") == b"1"


def test_an_experiment_in_a_bucket(store: Store, here: Here, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """adaptive.py leaves everything in the bucket; another machine continues from there and repeats nothing."""
    words = ["--experiment-id", "x", "--architectures", "vit,fast", "--levels", "level_1_basic", "--timesteps", "300"]
    words += ["--seeds-per-level", "1", "--local", "--max-parallel", "1", "--results-root", store.address]
    output = local_folder(f"{store.address}/x")
    assert main(words) == 0
    assert {f"{RUN}/status.json", f"{RUN}/evaluation.json", "benchmark_results.json"} <= store.names()
    assert not any(name.endswith((OWNER, NOTE)) for name in store.names())
    command = read_results(output / "benchmark_results.json").runs[0].training.command
    assert f"train_dir={store.address}/x" in command
    machine(monkeypatch, tmp_path, "other")
    here.done.clear()
    assert main([*words, "--replays", "none"]) == 0
    assert here.done == []
    assert len(read_results(output / "benchmark_results.json").runs) == 2
    assert not (output / RUN / "checkpoints").exists()  # nobody needed them
    store.fs.rm_file(f"{store.root}/x/{RUN}/evaluation.json")
    assert main([*words, "--skip-training"]) == 0
    assert len(here.done) == 2
    assert (output / RUN / "checkpoints").exists()
    assert f"{RUN}/evaluation.json" in store.names()
    runs = read_results(output / "benchmark_results.json").runs
    assert [(run.training.status, run.evaluation.status) for run in runs] == [("success", "success")] * 2
    machine(monkeypatch, tmp_path, "third")
    here.done.clear()
    assert main([*words, "--skip-training"]) == 0
    assert len(here.done) == 2


def test_a_misspelt_bucket_is_one_sentence_and_is_not_created(
    s3: Store, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--experiment-id", "x", "--architectures", "fast", "--levels", "level_1_basic", "--local"]
    assert main([*words, "--results-root", "s3://benchmark/results"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: cannot write to s3://benchmark/results/x: ")
    assert error.count("\n") == 1
    assert s3.fs.ls("") == ["benchmarks"]


def test_a_store_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(address: str) -> None:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr("fsspec.core.url_to_fs", unreachable)
    with pytest.raises(RunError, match=r"^the store at 'ftp://x/y' does not answer: name or service not known\.$"):
        Bucket.open("ftp://x/y")
