"""Commands run side by side, faults are told apart, and an interrupt leaves no process behind."""

import os
import time
from pathlib import Path

import pytest

from metta.cli.main import resolve
from metta.lab import run, runner, stopping
from metta.lab.job import STOPPED
from metta.lab.runner import Command, Ended, command_text, run_commands
from tests.lab.stand_ins import Bench

SCRIPT = """
import os, signal, sys, time
doing = sys.argv[1]
print("doing", doing, os.environ.get("OMP_NUM_THREADS"), flush=True)
if doing == "fail":
    print("error: the loss became NaN.", file=sys.stderr); sys.exit(1)
if doing == "crash":
    raise SystemExit(3)
if doing == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if doing == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if doing in ("sleep", "stubborn"):
    print(os.getpid(), flush=True)
    time.sleep(60)
time.sleep(0.3)
"""


@pytest.fixture(autouse=True)
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tools/run.py that does what its first word says."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "run.py").write_text(SCRIPT)
    monkeypatch.setattr(runner, "REPOSITORY", tmp_path)


def command(tmp_path: Path, doing: str, number: int = 0, threads: int = 1) -> Command:
    """A call of the script."""
    return Command(f"{doing}{number}", (doing,), tmp_path / "logs" / f"{doing}{number}.txt", threads)


def run_all(commands: list[Command], parallel: int) -> tuple[list[Ended], int]:
    """How each ended, in that order, and the most that ran at once."""
    ended: list[Ended] = []
    most = 0

    def look(running: object) -> None:
        nonlocal most
        most = max(most, len(running))  # type: ignore[arg-type]

    run_commands(commands, parallel, lambda _: None, ended.append, look)
    return ended, most


@pytest.mark.parametrize("parallel", [1, 2])
def test_at_most_so_many_run_at_once(tmp_path: Path, parallel: int) -> None:
    commands = [command(tmp_path, "work", number) for number in range(4)]
    ended, most = run_all(commands, parallel)
    assert sorted(end.command.name for end in ended) == [c.name for c in commands]
    assert most == parallel
    assert all(end.fault is None for end in ended)
    assert (tmp_path / "logs" / "work0.txt").read_text() == "doing work 1\n"


def test_every_fault_is_a_sentence_and_the_others_go_on(tmp_path: Path) -> None:
    ended, _ = run_all([command(tmp_path, doing) for doing in ("fail", "crash", "killed", "work")], 2)
    faults = {end.command.name: end.fault for end in ended}
    assert faults["fail0"] == "the loss became NaN."
    assert faults["crash0"] == "ended with exit status 3."
    assert str(faults["killed0"]).startswith("killed by SIGKILL; its log is ")
    assert faults["work0"] is None


@pytest.mark.parametrize("doing", ["sleep", "stubborn"])
def test_an_interrupt_leaves_no_process(tmp_path: Path, doing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SECONDS_TO_STOP", 1.0)
    first, second = command(tmp_path, doing, 0), command(tmp_path, doing, 1)

    def interrupt(_: object) -> None:
        if all(len(runner.tail(each.log_file)) == 2 for each in (first, second)):
            raise KeyboardInterrupt

    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_commands([first, second], 2, lambda _: None, lambda _: None, interrupt)
    assert time.monotonic() - before < 20
    for each in (first, second):
        with pytest.raises(ProcessLookupError):
            os.kill(int(runner.tail(each.log_file)[1]), 0)


def test_commands_know_whom_not_to_outlive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    """The stand-in trainer waits; its parent is not the runner that the environment names, as after a kill."""
    monkeypatch.setattr(run, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setenv(stopping.RUNNER_VARIABLE, "1" if os.getppid() != 1 else "2")
    bench.on_step = lambda timesteps: time.sleep(20)
    words = [
        "experiments.recipes.benchmark_architectures.level_1_basic.train",
        *("run=r", "trainer.total_timesteps=500"),
    ]
    before = time.monotonic()
    assert resolve(words).execute() == STOPPED
    assert time.monotonic() - before < 15


def test_commands_can_be_typed() -> None:
    words = ["a.b.train", "policy_architecture=ViT(num_layers=3)", "run=x"]
    assert command_text(words) == "uv run ./tools/run.py a.b.train 'policy_architecture=ViT(num_layers=3)' run=x"
