"""Jobs through SkyPilot's real SDK, with a stand-in for its server: states, retries, pre-emption, adoption, faults."""

import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from experiments.recipes.benchmark_architectures.adaptive import main
from metta.analysis.results import read_results
from metta.base.files import read_json
from metta.lab import controller
from metta.lab.decide import RetryPolicy
from metta.lab.executors.contract import Command, Ended
from tests.lab.stand_ins import Bench

pytest.importorskip("sky", reason="skypilot is not installed: uv sync --group skypilot")
yaml = pytest.importorskip("yaml")

from metta.lab.executors import skypilot  # noqa: E402
from metta.lab.executors.skypilot import SkyPilotExecutor, as_yaml, job_name, task_record  # noqa: E402
from tests.lab.skypilot_server import Job, Server  # noqa: E402
from tests.lab.stand_ins import Here  # noqa: E402

OUTPUT = Path("train_dir/memory/b/x")
WORDS = (
    *("--experiment-id", "x", "--architectures", "vit,fast", "--levels", "level_1_basic", "--timesteps", "300"),
    *("--seeds-per-level", "1", "--results-root", "memory://b", "--max-parallel", "2"),
)
COMMAND = Command("x.vit.level_1_basic.s0", ("a.b.train", "run=x"), Path("log.txt"), 4)


class Near(Here):
    """Runs a command when it is started, so that there may be several."""

    def __init__(self) -> None:
        super().__init__()
        self._ended: list[Ended] = []

    def start(self, command: Command) -> None:
        super().start(command)
        self._ended += super().poll()

    def poll(self) -> list[Ended]:
        ended, self._ended = self._ended, []
        return ended


@pytest.fixture
def server(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """The stand-in; nothing but loopback can be reached, and nobody waits."""
    reach = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        assert self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "localhost"), address
        reach(self, address)

    found = Server()
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setenv("SKYPILOT_API_SERVER_ENDPOINT", found.url)
    monkeypatch.setenv("SKYPILOT_DISABLE_USAGE_COLLECTION", "1")
    monkeypatch.setenv("SKYPILOT_DISABLE_LOCAL_API_SERVER", "1")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "file").touch()
    monkeypatch.setattr(skypilot, "REPOSITORY", tmp_path / "work")
    monkeypatch.setattr(SkyPilotExecutor, "seconds_between_questions", 0.05)
    monkeypatch.setattr(controller, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(RetryPolicy, "pause", lambda self, attempts: 0.0)
    monkeypatch.setattr(skypilot, "LocalExecutor", lambda slots: Near())
    fsspec.filesystem("memory").store.clear()
    from sky.server import common

    for remembered in vars(common).values():
        if callable(remembered) and hasattr(remembered, "cache_clear"):
            remembered.cache_clear()  # the address of the last test's server
    yield found
    found.close()


def executor(slots: int = 2) -> SkyPilotExecutor:
    return SkyPilotExecutor(slots, "memory://b/x", 4, {"accelerators": None})


def run(*further: str) -> int:
    return main([*WORDS, "--resource", "accelerators=null", *further])


def states() -> list[tuple[str, str]]:
    results = read_results(OUTPUT / "benchmark_results.json")
    return [(run.training.status, run.evaluation.status) for run in results.runs]


def test_an_experiment(server: Server) -> None:
    assert run() == 0
    assert states() == [("success", "success")] * 2
    assert len(server.jobs) == 2  # one for each run; the reference players play here
    record = server.jobs[0].record
    assert record["workdir"]
    assert "uv sync" in record["setup"]
    assert record["run"].splitlines()[-1].startswith("uv run ./tools/run.py ")
    assert "train_dir=memory://b/x" in record["run"]
    assert record["resources"]["use_spot"] is True
    assert record["resources"]["job_recovery"]["strategy"] == "EAGER_NEXT_REGION"


def test_replays_are_played_from_the_bucket_s_checkpoints_and_sent_there(server: Server) -> None:
    assert run() == 0
    runs = sorted(path.parent for path in OUTPUT.glob("*/checkpoints"))
    assert len(runs) == 2
    for folder in runs:
        shutil.rmtree(folder / "checkpoints")
        (folder / "replay.step_1.level_1_basic.basic.0.html").write_text("a page")
    server.jobs.clear()
    assert run() == 0
    assert server.jobs == []
    for folder in runs:
        (player,) = (folder / "checkpoints").iterdir()  # the one that was evaluated, no other
        assert player.name == read_json(folder / "evaluation.json")["checkpoint"]
        page = f"/b/x/{folder.name}/replay.step_1.level_1_basic.basic.0.html"
        assert fsspec.filesystem("memory").cat_file(page) == b"a page"


def test_skip_training_evaluates_in_the_cloud_what_is_in_the_bucket(
    server: Server, bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run() == 0
    (tmp_path / "another_machine").mkdir()
    monkeypatch.chdir(tmp_path / "another_machine")
    server.jobs.clear()
    bench.started_at.clear()
    assert run("--skip-training") == 0
    assert states() == [("success", "success")] * 2
    assert bench.started_at == []
    words = {job.words[0].rpartition(".")[2] + " " + job.words[1] for job in server.jobs}
    places = [f"memory://b/x/x.{name}.level_1_basic.s0/checkpoints" for name in ("vit", "fast")]
    assert words == {f"evaluate policy_uri={place}" for place in places}


def test_skip_training_without_a_checkpoint_starts_no_job(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--skip-training") == 1
    assert server.jobs == []
    error = capsys.readouterr().err
    assert "there is no checkpoint in memory://b/x/x.vit.level_1_basic.s0/checkpoints to evaluate" in error


def test_the_dry_run_of_skip_training_prints_evaluations(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WORDS, "--dry-run", "--commands", "--skip-training"]) == 0
    lines = capsys.readouterr().out.splitlines()
    documents = yaml.safe_load_all("\n".join(line[3:] for line in lines if line.startswith("#| ")))
    commands = [line for line in lines if not line.startswith("#")]
    assert [document["run"].splitlines()[-1] for document in documents] == commands
    assert all(".evaluate policy_uri=memory://b/x/" in command for command in commands)


def test_jobs_that_are_pre_empted_or_lost_or_fail(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    fates = {1: "RECOVERING", 2: "FAILED", 3: "FAILED_NO_RESOURCE"}

    def ends(job: Job) -> str | None:
        return fates.pop(job.id, None)

    server.ends = ends
    assert run() == 0
    assert states() == [("success", "success")] * 2
    said = capsys.readouterr().out
    assert "SkyPilot job 2: it failed; see `sky jobs logs 2`. It will be tried again." in said
    assert "SkyPilot job 1" not in said  # recovered by SkyPilot itself
    assert "no machine with these resources was available" in said


def test_what_cannot_succeed_is_not_tried_again(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.ends = lambda job: "FAILED_PRECHECKS" if "vit" in job.record["name"] else None
    assert run() == 1
    assert sum("vit" in job.record["name"] for job in server.jobs) == 1
    assert "no enabled infrastructure has these resources" in capsys.readouterr().err


def test_errors_of_the_server_are_no_failures(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Every second question fails, and the first submission is done although its answer is lost."""
    count = 0

    def breaks(path: str) -> str | None:
        nonlocal count
        count += 1
        if path == "/jobs/launch" and len(server.jobs) == 0:
            return "after"
        return "before" if path == "/jobs/queue/v2" and count % 2 else None

    server.breaks = breaks
    assert run("--architectures", "vit") == 0
    assert states() == [("success", "success")]
    assert len(server.jobs) == 1
    assert "tried again" not in capsys.readouterr().out


def test_a_new_controller_takes_over_what_runs(server: Server) -> None:
    server.holds = lambda job: True
    first = executor()
    first.start(COMMAND)
    while not server.jobs:
        time.sleep(0.01)
    second = executor()
    assert second.adopt([COMMAND]) == [COMMAND.name]
    assert SkyPilotExecutor(2, "memory://b/another", 4, {}).adopt([COMMAND]) == []
    assert second.queued() == [COMMAND.name]
    second.poll()
    second.poll()
    second.close()
    assert [job.state for job in server.jobs] == ["CANCELLED"]


def test_a_job_that_is_being_moved_waits_and_is_not_silent(server: Server) -> None:
    """Pre-empted, it has no machine for a while, and must not be ended for giving no sign of life."""
    server.holds = lambda job: True
    found = executor()
    found.start(COMMAND)
    while not server.jobs or server.jobs[0].state != "RUNNING":
        assert found.poll() == []
    advance, server._advance = server._advance, lambda job: None  # type: ignore[method-assign]
    seen = []
    for state in ("RUNNING", "RECOVERING", "RUNNING"):
        server.jobs[0].state = state
        found._asked_at = float("-inf")
        assert found.poll() == []
        seen.append(found.queued())
    assert seen == [[], [COMMAND.name], []]
    server._advance = advance  # type: ignore[method-assign]
    found.close()


def test_no_infrastructure_or_no_server(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.clouds = []
    assert run() == 2
    assert capsys.readouterr().err == "error: no infrastructure is enabled in SkyPilot; see `sky check`.\n"
    server.breaks = lambda path: "before"
    assert run() == 2
    error = capsys.readouterr().err
    assert error.startswith("error: SkyPilot's server cannot be asked (see `sky api info`)")
    assert not server.jobs


def test_the_dry_run_prints_yaml_that_skypilot_reads(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WORDS, "--dry-run", "--commands", "--resource", "use_spot=false"]) == 0
    lines = capsys.readouterr().out.splitlines()
    documents = list(yaml.safe_load_all("\n".join(line[3:] for line in lines if line.startswith("#| "))))
    assert len(documents) == 2
    for document in documents:
        assert document["resources"]["use_spot"] is False
        assert document["resources"]["accelerators"]["L4"] == 1
    assert sum(not line.startswith("#") for line in lines) == 2
    assert server.answers == {}


def test_resources_that_skypilot_does_not_know_are_refused(server: Server) -> None:
    record = task_record(COMMAND, "s3://b/x", 4, {"acelerators": "L4:1"})
    with pytest.raises(Exception, match=r"SkyPilot refuses the task: .*acelerators"):
        as_yaml(record)


def test_names_hold_only_what_skypilot_allows() -> None:
    names = {job_name(name, "s3://b") for name in ("x.vit.level_1_basic.s0", "x_.vit.level_1_basic.s0", "a b")}
    assert len(names) == 3
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)
