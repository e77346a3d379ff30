"""The same jobs through a real Slurm on loopback: a benchmark, a cancelled job, a time limit, a dying node."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.recipes.benchmark_architectures import adaptive
from metta.analysis.results import read_results
from metta.lab.run_folder import RunFolder
from tests.lab.slurm_cluster import Cluster, why_not

pytest.importorskip("submitit", reason="submitit is not installed: uv sync --group slurm")
if reason := why_not():
    pytest.skip(reason, allow_module_level=True)

pytestmark = pytest.mark.slow
SECONDS = 1200.0
"""No test waits longer for anything."""
FAST = "x.fast.level_1_basic.s0"
WORDS = (
    *("--experiment-id", "x", "--architectures", "fast", "--levels", "level_1_basic", "--seeds-per-level", "1"),
    *("--launcher", "slurm", "--cpus-per-job", "1", "--resource", "gpus_per_node=0"),
    *("trainer.num_streams=1", "trainer.rollout_steps=16", "trainer.minibatches=1", "sim.max_steps=40"),
    *("evaluation.worlds=1", "evaluation_environments.basic.max_steps=20", "trainer.checkpoint_every=2000"),
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes of two cores."""
    found = Cluster(tmp_path_factory.mktemp("slurm"))
    yield found
    found.stop()


@pytest.fixture
def controller(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts adaptive.py with further words; what is left of it is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(*further: str) -> "subprocess.Popen[str]":
        words = [sys.executable, adaptive.__file__, *WORDS, *further]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        environment = {**cluster.environment, "CUDA_VISIBLE_DEVICES": ""}
        started.append(subprocess.Popen(words, cwd=tmp_path, env=environment, **pipes))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def wait_for(found: Callable[[], Any]) -> Any:
    """The first true value of `found`."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.2)
    raise AssertionError("waited in vain")


def finish(process: "subprocess.Popen[str]") -> str:
    """What the controller said, after it ended well."""
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said
    return said


def living(cluster: Cluster) -> list[dict[str, str]]:
    return [job for job in cluster.jobs() if job["state"] in ("PENDING", "RUNNING", "COMPLETING")]


def seconds_of_job(cluster: Cluster, job: str) -> int:
    """Time that it has run."""
    found = re.search(r"RunTime=(\d+):(\d+):(\d+)", cluster.ask("scontrol", "show", "job", job))
    assert found is not None
    hours, minutes, seconds = map(int, found.groups())
    return 3600 * hours + 60 * minutes + seconds


def training(tmp_path: Path) -> bool:
    """Whether the run has begun to learn."""
    status = RunFolder(tmp_path / "train_dir" / "x" / FAST).status()
    return status is not None and status.state == "training" and status.timesteps > 0


def test_a_small_benchmark(
    cluster: Cluster, controller: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    finish(controller("--architectures", "fast,memory_free", "--timesteps", "300"))
    results = read_results(tmp_path / "train_dir" / "x" / "benchmark_results.json")
    assert {(r.training.architecture, r.training.status, r.evaluation.status) for r in results.runs} == {
        ("fast", "success", "success"),
        ("memory_free", "success", "success"),
    }
    jobs = cluster.jobs()
    assert [job["name"] for job in jobs].count(FAST) == 1
    assert {job["state"] for job in jobs} == {"COMPLETED"}
    assert {job["nodes"] for job in jobs} <= {"n1", "n2"}
    assert "system.threads=1" in results.runs[0].training.command
    assert finish(controller("--architectures", "fast,memory_free", "--timesteps", "300"))
    assert len(cluster.jobs()) == len(jobs)
    finish(controller("--architectures", "fast,memory_free", "--timesteps", "300", "--skip-training"))
    assert len(cluster.jobs()) == len(jobs) + 2
    results = read_results(tmp_path / "train_dir" / "x" / "benchmark_results.json")
    assert [(r.training.status, r.evaluation.status) for r in results.runs] == [("success", "success")] * 2
    assert "level_1_basic.evaluate policy_uri=train_dir/x/" in results.runs[0].training.command


def test_a_job_that_is_cancelled_from_outside_is_tried_again(
    cluster: Cluster, controller: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    process = controller("--timesteps", "20000")
    wait_for(lambda: training(tmp_path))
    (job,) = [job for job in living(cluster) if job["name"] == FAST]
    cluster.ask("scancel", job["id"])
    said = finish(process)
    assert f"Slurm job {job['id']} ended: it was cancelled" in said
    assert "It will be tried again." in said
    status = RunFolder(tmp_path / "train_dir" / "x" / FAST).status()
    assert status is not None
    assert status.starts == 2  # cancelled, finished


def test_a_job_on_a_node_that_dies_goes_on_on_another(
    cluster: Cluster, controller: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    process = controller("--timesteps", "20000")
    wait_for(lambda: training(tmp_path))
    (job,) = [job for job in living(cluster) if job["name"] == FAST]
    cluster.kill_node(job["nodes"])
    try:
        wait_for(lambda: [each for each in living(cluster) if each["id"] == job["id"] and each["state"] == "PENDING"])
        cluster.ask("scontrol", "update", f"JobId={job['id']}", "StartTime=now")  # else Slurm waits two minutes
        said = finish(process)
    finally:
        cluster.start_node(job["nodes"])
    assert "failed" not in said
    assert "tried again" not in said  # Slurm itself has put the job back into the queue
    (after,) = [each for each in cluster.jobs() if each["id"] == job["id"]]
    assert after["state"] == "COMPLETED"
    assert after["nodes"] != job["nodes"]


def test_a_job_whose_time_is_up_is_put_back_and_goes_on(
    cluster: Cluster, controller: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    process = controller("--timesteps", "60000")
    wait_for(lambda: training(tmp_path))
    (job,) = [job for job in living(cluster) if job["name"] == FAST]
    # Slurm announces the end 90 seconds before, and then the job needs some time to stop.
    minutes = (seconds_of_job(cluster, job["id"]) + 45) // 60 + 1
    cluster.ask("scontrol", "update", f"JobId={job['id']}", f"TimeLimit={minutes}")
    wait_for(lambda: "Restarts=1 " in cluster.ask("scontrol", "show", "job", job["id"]))
    cluster.ask("scontrol", "update", f"JobId={job['id']}", "TimeLimit=60")
    if any(each["id"] == job["id"] and each["state"] == "PENDING" for each in cluster.jobs()):
        cluster.ask("scontrol", "update", f"JobId={job['id']}", "StartTime=now")  # else Slurm waits two minutes
    said = finish(process)
    assert "tried again" not in said  # no failed attempt is counted
    (after,) = [each for each in cluster.jobs() if each["id"] == job["id"]]
    assert after["state"] == "COMPLETED"
    run = RunFolder(tmp_path / "train_dir" / "x" / FAST)
    status = run.status()
    assert status is not None
    assert status.starts == 2  # until its time was up, to the end
    assert "; the same command continues." in run.log_file.read_text()
    updates = [json.loads(line)["update"] for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert updates == list(range(1, len(updates) + 1))


def test_a_new_controller_takes_over_the_jobs_of_one_that_was_killed(
    cluster: Cluster, controller: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    first = controller("--timesteps", "20000")
    wait_for(lambda: training(tmp_path))
    first.kill()
    first.wait()
    (job,) = [job for job in living(cluster) if job["name"] == FAST]
    before = {each["id"] for each in cluster.jobs()}
    finish(controller("--timesteps", "20000"))
    (after,) = [each for each in cluster.jobs() if each["id"] == job["id"]]
    assert after["state"] == "COMPLETED"
    assert {each["id"] for each in cluster.jobs()} <= before  # no further job


def test_a_controller_that_is_stopped_leaves_no_job(
    cluster: Cluster, controller: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    process = controller("--timesteps", "1000000")
    wait_for(lambda: training(tmp_path))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert living(cluster) == []
    status = RunFolder(tmp_path / "train_dir" / "x" / FAST).status()
    assert status is not None
    assert status.state == "stopped"


def test_what_slurm_refuses_is_said_in_its_words(
    cluster: Cluster, controller: Callable[..., "subprocess.Popen[str]"]
) -> None:
    process = controller("--timesteps", "300", "--resource", "partition=nowhere")
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "Slurm refuses the job: " in said
    assert "invalid partition specified: nowhere" in said
    assert os.environ.get("SLURM_CONF") is None
