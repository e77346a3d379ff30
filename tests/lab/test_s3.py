"""Run folders in an S3 bucket through s3fs and the real protocol, with moto's server on loopback as the store."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.recipes.benchmark_architectures.adaptive import main
from metta.analysis.results import read_results
from metta.base.errors import InUseError
from metta.lab import bucket
from metta.lab.bucket import NOTE, OWNER, Bucket
from metta.lab.decide import RetryPolicy
from metta.lab.executors import local
from tests.lab.stand_ins import Bench, Here

pytest.importorskip("s3fs", reason="s3fs is not installed: uv sync --group s3 --group moto")
server = pytest.importorskip("moto.server", reason="moto is not installed: uv sync --group s3 --group moto")

RUN = "x.vit.level_1_basic.s0"
ADDRESS = "s3://benchmarks/results"


@pytest.fixture(scope="module")
def moto() -> Iterator[Any]:
    """The server."""
    found = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    found.start()
    yield found
    found.stop()


@pytest.fixture
def store(moto: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """An empty bucket; nothing but loopback can be reached, and nobody waits long."""
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
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bucket, "PAUSES", (0.0,))
    monkeypatch.setattr(bucket, "SECONDS_BETWEEN_SENDINGS", 0.05)
    s3fs.S3FileSystem.clear_instance_cache()
    found = s3fs.S3FileSystem()
    found.mkdir("benchmarks")
    yield found
    found.invalidate_cache()
    found.rm("benchmarks", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


def names(store: Any, folder: str = "x") -> set[str]:
    store.invalidate_cache()
    return {path.removeprefix(f"benchmarks/results/{folder}/") for path in store.find(f"benchmarks/results/{folder}")}


def test_a_folder_comes_back_as_it_was_sent(store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = Bucket.open(ADDRESS).below("x")
    with here.worked_in(print):
        (here.folder / "checkpoints" / "step_1").mkdir(parents=True)
        (here.folder / "checkpoints" / "step_1" / "policy.safetensors").write_bytes(b"\0" * 1_000_000)
        (here.folder / "status.json").write_bytes(b"1")
    assert names(store) == {"checkpoints/step_1/policy.safetensors", "status.json"}
    assert not here.changed_there()  # what it says of an object when asked and when listed is the same
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    there = Bucket.open(ADDRESS).below("x")
    with there.worked_in(print):
        assert (there.folder / "checkpoints" / "step_1" / "policy.safetensors").read_bytes() == b"\0" * 1_000_000
        (there.folder / "checkpoints" / "step_1" / "policy.safetensors").unlink()
        (there.folder / "status.json").write_bytes(b"2")  # as many bytes as before
    monkeypatch.chdir(tmp_path)
    assert here.changed_there()
    with here.worked_in(print):
        assert (here.folder / "status.json").read_bytes() == b"2"
        assert not (here.folder / "checkpoints" / "step_1").exists()
    assert names(store) == {"status.json"}


def test_an_experiment_has_one_controller(store: Any) -> None:
    one, other = Bucket.open(ADDRESS).below("x"), Bucket.open(ADDRESS).below("x")
    with one.owned("x"), pytest.raises(InUseError, match="x is in use by process"), other.owned("x"):
        pass
    assert OWNER not in names(store)


def test_a_misspelt_bucket_is_one_sentence_and_is_not_created(
    store: Any, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--experiment-id", "x", "--architectures", "fast", "--levels", "level_1_basic", "--local"]
    assert main([*words, "--results-root", "s3://benchmark/results"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: cannot write to s3://benchmark/results/x: ")
    assert error.count("\n") == 1
    assert store.ls("") == ["benchmarks"]


def test_an_experiment(store: Any, bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One machine does it, another finds it done, and evaluates once more."""
    words = ["--experiment-id", "x", "--architectures", "vit,fast", "--levels", "level_1_basic", "--timesteps", "300"]
    words += ["--seeds-per-level", "1", "--local", "--max-parallel", "1", "--results-root", ADDRESS]
    output = Path("train_dir/s3/benchmarks/results/x")
    here = Here(output / "benchmark_results.json")
    monkeypatch.setattr(local, "LocalExecutor", lambda slots, gpus: here)
    monkeypatch.setattr(RetryPolicy, "pause", lambda self, attempts: 0.0)
    assert main(words) == 0
    assert {f"{RUN}/status.json", f"{RUN}/evaluation.json", "benchmark_results.json"} <= names(store)
    assert not any(name.endswith((OWNER, NOTE)) for name in names(store))
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    here.done.clear()
    assert main(words) == 0
    assert here.done == []
    store.rm_file(f"benchmarks/results/x/{RUN}/evaluation.json")
    assert main([*words, "--skip-training"]) == 0
    assert len(here.done) == 2
    assert f"{RUN}/evaluation.json" in names(store)
    runs = read_results(output / "benchmark_results.json").runs
    assert [(run.training.status, run.evaluation.status) for run in runs] == [("success", "success")] * 2
