"""Subprocesses run side by side, faults are told apart, GPUs are shared out, and no process is left behind."""

import os
import time
from pathlib import Path

import pytest

from metta.base import stopping
from metta.base.endings import STOPPED
from metta.base.errors import InputError
from metta.cli.main import resolve
from metta.lab import run_folder as run
from metta.lab.executors import local
from metta.lab.executors.contract import Command, Ended, tail
from metta.lab.executors.local import LocalExecutor, visible_gpus
from tests.lab.stand_ins import Bench

SCRIPT = """
import os, signal, sys, time
doing = sys.argv[1]
print("doing", doing, os.environ.get("OMP_NUM_THREADS"), os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
if doing == "fail":
    print("error: the loss became NaN.", file=sys.stderr); sys.exit(1)
if doing == "wrong":
    print("error: unknown key.", file=sys.stderr); sys.exit(2)
if doing == "crash":
    print("out of memory"); raise SystemExit(3)
if doing == "second" and os.path.exists("said"):
    print("Killed"); raise SystemExit(137)
if doing == "second":
    open("said", "w").close(); print("error: the disk is full.", file=sys.stderr); sys.exit(1)
if doing == "busy":
    raise SystemExit(75)
if doing == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if doing == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if doing == "impatient":  # somebody types Ctrl-C again when the job has been asked to stop
    def asked(*_): os.kill(os.getppid(), signal.SIGINT)
    def again(*_): print("stopped at once", flush=True); sys.exit(130)
    signal.signal(signal.SIGTERM, asked); signal.signal(signal.SIGINT, again)
if doing in ("sleep", "stubborn", "impatient"):
    print(os.getpid(), flush=True)
    time.sleep(1800)
"""


@pytest.fixture(autouse=True)
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tools/run.py that does what its first word says."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "run.py").write_text(SCRIPT)
    monkeypatch.setattr(local, "REPOSITORY", tmp_path)
    monkeypatch.setattr(local, "SECONDS_TO_STOP", 1.0)


def command(tmp_path: Path, doing: str, number: int = 0, threads: int = 1) -> Command:
    """A call of the script."""
    return Command(f"{doing}{number}", (doing,), tmp_path / "logs" / f"{doing}{number}.txt", threads)


def wait(executor: LocalExecutor, count: int) -> dict[str, Ended]:
    """The next `count` jobs that end, by name."""
    ended: dict[str, Ended] = {}
    while len(ended) < count:
        ended |= {each.command.name: each for each in executor.poll()}
        time.sleep(0.02)
    return ended


def started(each: Command) -> int:
    """Process id that a sleeping job has printed."""
    while len(lines := tail(each.log_file)) < 2:
        time.sleep(0.02)
    return int(lines[1])


def test_every_fault_is_a_sentence(tmp_path: Path) -> None:
    executor = LocalExecutor(9)
    doings = ("fail", "wrong", "crash", "busy", "killed", "work")
    for doing in doings:
        executor.start(command(tmp_path, doing))
    ended = wait(executor, len(doings))
    assert ended["fail0"].fault == "the loss became NaN."
    assert ended["wrong0"].fault == "unknown key."
    assert ended["crash0"].fault == "ended with exit status 3; its last line is: out of memory"
    assert str(ended["killed0"].fault).startswith("killed by SIGKILL; its log is ")
    assert ended["work0"].fault is None
    assert [name for name, each in ended.items() if each.permanent] == ["wrong0"]
    assert [name for name, each in ended.items() if each.in_use] == ["busy0"]
    assert tail(tmp_path / "logs" / "work0.txt") == ["doing work 1 None"]


def test_what_an_earlier_attempt_said_is_not_the_fault_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    executor, faults = LocalExecutor(1), []
    for _ in range(2):
        executor.start(command(tmp_path, "second"))
        faults.append(wait(executor, 1)["second0"].fault)
    assert faults == ["the disk is full.", "ended with exit status 137; its last line is: Killed"]


@pytest.mark.parametrize("doing", ["sleep", "stubborn"])
def test_closing_says_so_and_leaves_no_process(tmp_path: Path, doing: str, capsys: pytest.CaptureFixture[str]) -> None:
    executor = LocalExecutor(2)
    jobs = [command(tmp_path, doing, number) for number in range(2)]
    for each in jobs:
        executor.start(each)
    processes = [started(each) for each in jobs]
    executor.close()
    assert capsys.readouterr().out == "Stopping: training saves its current update first; Ctrl-C again ends at once.\n"
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
    assert executor.poll() == []
    executor.close()
    assert capsys.readouterr().out == ""  # there was nothing to stop


def test_closing_that_is_interrupted_interrupts_the_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "SECONDS_TO_STOP", 600.0)
    monkeypatch.setattr(local, "SECONDS_TO_SAY_SO", 600.0)
    executor = LocalExecutor(1)
    job = command(tmp_path, "impatient")
    executor.start(job)
    process = started(job)
    with pytest.raises(KeyboardInterrupt):
        executor.close()
    assert tail(job.log_file)[-1] == "stopped at once"
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@pytest.mark.parametrize("doing", ["sleep", "stubborn"])
def test_a_job_can_be_ended(tmp_path: Path, doing: str) -> None:
    executor = LocalExecutor(2)
    job = command(tmp_path, doing)
    executor.start(job)
    started(job)
    executor.end(job.name)
    assert wait(executor, 1)[job.name].status in (-15, -9)


def test_gpus_are_shared_out(tmp_path: Path) -> None:
    executor = LocalExecutor(4, gpus=("3", "7"))
    for number in range(4):
        executor.start(command(tmp_path, "sleep", number))
    seen = []
    for number in range(4):
        started(command(tmp_path, "sleep", number))
        seen.append(tail(tmp_path / "logs" / f"sleep{number}.txt")[0].split()[-1])
    executor.close()
    assert seen == ["3", "7", "3", "7"]


@pytest.mark.parametrize(("value", "gpus"), [("2,5", ["2", "5"]), ("", []), ("-1", []), ("GPU-ab", ["GPU-ab"])])
def test_hidden_gpus_are_left_alone(monkeypatch: pytest.MonkeyPatch, value: str, gpus: list[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_gpus() == gpus


def test_a_log_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        LocalExecutor(1).start(command(tmp_path, "work"))


def test_commands_know_whom_not_to_outlive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    """The stand-in trainer waits; its parent is not the controller that the environment names, as after a kill."""
    monkeypatch.setattr(run, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setenv(stopping.RUNNER_VARIABLE, "1" if os.getppid() != 1 else "2")
    bench.on_step = lambda timesteps: time.sleep(300)
    words = [
        "experiments.recipes.benchmark_architectures.level_1_basic.train",
        *("run=r", "trainer.total_timesteps=500"),
    ]
    assert resolve(words).execute() == STOPPED
