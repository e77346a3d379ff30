"""A run folder starts, continues, refuses and finishes as docs/interface.md says, whatever interrupts it."""

import errno
import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.recipes.benchmark_architectures import level_1_basic
from metta.base.endings import STOPPED, report_errors
from metta.base.errors import InputError, RunError
from metta.base.files import write_atomically
from metta.cli.main import resolve
from metta.lab.display import cells
from metta.lab.log import ProgressLine, RunLog
from metta.lab.run_folder import RunFolder, RunStatus
from metta.lab.training import TrainJob
from metta.rl.metrics import Progress
from tests.lab.stand_ins import Bench

LEVEL = "experiments.recipes.benchmark_architectures.level_1_basic"
FOLDER = Path("train_dir/r")


def job(*words: str) -> TrainJob:
    """The job of a short run called r."""
    found = resolve([f"{LEVEL}.train", "run=r", "trainer.total_timesteps=500", *words])
    assert isinstance(found, TrainJob)
    return found


def status() -> RunStatus:
    """Where run r stands."""
    found = RunFolder(FOLDER).status()
    assert found is not None
    return found


def test_a_run_leaves_everything_documented(bench: Bench) -> None:
    assert job().execute() == 0
    config = json.loads((FOLDER / "config.json").read_text())
    assert config["configuration"]["trainer"]["total_timesteps"] == 500
    assert config["configuration"]["policy"]["encoder"]["kind"] == "perceiver"
    start = config["starts"][0]
    assert start["packages"]["torch"]
    assert start["machine"]["cores"] >= 1
    assert len(start["code"]["source_sha256"]) == 64
    assert status().state == "finished"
    assert status().trained
    assert status().timesteps == 500
    evaluation = json.loads((FOLDER / "evaluation.json").read_text())
    assert evaluation["results"]["basic"]["hearts_per_agent"] == 1.0
    assert evaluation["checkpoint"] == "step_000000000500"
    assert "1.000 hearts per agent" in (FOLDER / "log.txt").read_text()


def test_a_finished_run_says_so_and_does_nothing(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    job().execute()
    before = {path: path.stat().st_mtime_ns for path in FOLDER.rglob("*")}
    assert job().execute() == 0
    assert "already finished" in capsys.readouterr().out
    assert bench.started_at == [0]
    assert {path: path.stat().st_mtime_ns for path in FOLDER.rglob("*")} == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("word", ["system.device=cuda", "sim.device=cuda"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_written(bench: Bench, word: str) -> None:
    with pytest.raises(InputError, match=f"{word}, but torch sees no GPU"):
        job(word).execute()
    assert not FOLDER.exists()


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("trainer.learning_rate=0.01", r"trainer\.learning_rate=0\.0\d+, not 0\.01"),
        ("seed=7", "seed=0, not 7"),
        ("arch_type=fast", "architecture='vit', not 'fast'"),
        ("evaluation.worlds=3", "evaluation.worlds=16, not 3"),
    ],
)
def test_another_configuration_is_refused_by_naming_the_key(bench: Bench, word: str, key: str) -> None:
    job().execute()
    before = {path: path.stat().st_mtime_ns for path in FOLDER.rglob("*")}
    with pytest.raises(InputError, match=key):
        job(word).execute()
    assert {path: path.stat().st_mtime_ns for path in FOLDER.rglob("*")} == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda memory: memory.pop("width"),
            "without policy.memory.width, which the code has by now .32.; give",
        ),
        (lambda memory: memory.update(size=3), "with policy.memory.size=3, which is no setting any more; give"),
    ],
)
def test_a_run_of_other_code_is_refused_by_what_came_or_went(
    bench: Bench, change: Callable[[dict[str, Any]], Any], words: str
) -> None:
    job("evaluate=false").execute()
    record = json.loads((FOLDER / "config.json").read_text())
    change(record["configuration"]["policy"]["memory"])
    (FOLDER / "config.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=words):
        job().execute()


def test_a_damaged_last_checkpoint_is_trained_again_before_the_evaluation(bench: Bench) -> None:
    assert job("evaluate=false").execute() == 0
    last = max((FOLDER / "checkpoints").glob("step_*"))
    (last / "damaged").touch()
    bench.on_step = lambda timesteps: None
    job().execute()
    assert bench.started_at == [0, 500]
    assert status().state == "finished"


def test_a_run_that_is_trained_again_and_stopped_is_not_evaluated_before_its_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert job("evaluate=false").execute() == 0
    last = max((FOLDER / "checkpoints").glob("step_*"))
    (last / "damaged").touch()
    seen: list[RunStatus] = []

    def train(config: Any, folder: Path, on_update: Any) -> None:
        shutil.rmtree(last)  # as the trainer does with what is damaged
        bench.train(config, folder, on_update)

    def stop(timesteps: int) -> None:
        seen.append(status())
        raise KeyboardInterrupt

    bench.on_step = stop
    with monkeypatch.context() as patch:
        patch.setattr("metta.rl.trainer.train", train)
        assert job().execute() == STOPPED
    assert (seen[0].state, seen[0].trained, status().trained) == ("training", False, False)
    bench.on_step = lambda timesteps: None
    assert job().execute() == 0
    assert json.loads((FOLDER / "evaluation.json").read_text())["checkpoint"] == last.name


@pytest.fixture
def hanging_up_is_heard() -> Iterator[None]:
    """Also where the tests were started by nohup, which has SIGHUP ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hanging_up_is_heard")
@pytest.mark.parametrize(
    ("signals", "at", "saved"),
    [
        # The update of 100 steps that runs is finished and saved.
        ([signal.SIGTERM], 300, 400),
        ([signal.SIGHUP], 300, 400),
        ([signal.SIGINT], 300, 400),
        ([signal.SIGINT, signal.SIGTERM], 300, 400),  # the terminal's, then the controller's
        ([signal.SIGTERM, signal.SIGTERM], 300, 400),
        # A second Ctrl-C ends at once; so does a first request while there is nothing to save.
        ([signal.SIGINT, signal.SIGINT, signal.SIGINT], 300, 300),
        ([signal.SIGTERM, signal.SIGINT, signal.SIGTERM], 300, 300),
        ([signal.SIGTERM], 0, 0),
        ([signal.SIGINT, signal.SIGTERM], 0, 0),
    ],
)
def test_a_request_to_stop_is_obeyed_and_the_run_continues(
    bench: Bench, signals: list[signal.Signals], at: int, saved: int
) -> None:
    def stop(timesteps: int) -> None:
        if timesteps == at:
            for number in signals:
                os.kill(os.getpid(), number)

    bench.on_step = stop
    assert job().execute() == STOPPED
    assert status().state == "stopped"
    assert not status().trained
    assert status().timesteps == saved
    bench.on_step = lambda timesteps: None
    assert job().execute() == 0
    assert bench.started_at == [0, saved]
    assert status().state == "finished"
    assert status().starts == 2
    assert len(json.loads((FOLDER / "config.json").read_text())["starts"]) == 2


def test_a_request_is_obeyed_without_anywhere_to_say_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `2>&-`."""
    monkeypatch.setattr(sys, "__stderr__", None)
    bench.on_step = lambda timesteps: os.kill(os.getpid(), signal.SIGINT) if timesteps == 200 else None
    assert job().execute() == STOPPED
    assert status().timesteps == 300


def test_a_request_while_the_end_is_written_down_changes_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is written says which state it is."""
    asked = [False]

    def write(path: Path, content: bytes | str) -> None:
        if '"stopped"' in str(content) and not asked[0]:
            asked[0] = True
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                os.kill(os.getpid(), number)
        write_atomically(path, content)

    monkeypatch.setattr("metta.lab.run_folder.write_atomically", write)
    bench.on_step = lambda timesteps: os.kill(os.getpid(), signal.SIGTERM) if timesteps == 200 else None
    assert job().execute() == STOPPED
    assert asked[0]
    assert status().state == "stopped"


class Refusing(io.StringIO):
    """An output that refuses everything from 300 steps on."""

    def __init__(self, bench: Bench, fault: int, terminal: bool) -> None:
        super().__init__()
        self._steps = 0
        self._fault = fault
        self._terminal = terminal
        bench.on_step = lambda timesteps: setattr(self, "_steps", timesteps)

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        if self._steps >= 300:
            raise OSError(self._fault, os.strerror(self._fault))
        return len(text)


@pytest.mark.parametrize(("fault", "terminal"), [(errno.EPIPE, False), (errno.EIO, True)])
def test_a_reader_of_the_output_that_goes_away_stops_the_run(
    fault: int, terminal: bool, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed pipe, and a closed terminal, which answers otherwise."""
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", Refusing(bench, fault, terminal))
        patch.setattr("metta.lab.log.SECONDS_BETWEEN_DRAWINGS", 0.0)
        assert report_errors(job().execute) == STOPPED
    assert (status().state, status().error) == ("stopped", None)
    assert "The reader of the output has gone" in (FOLDER / "log.txt").read_text()
    assert job().execute() == 0
    assert bench.started_at == [0, 400]
    assert status().state == "finished"


def test_an_output_on_a_full_disk_ends_no_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", Refusing(bench, errno.ENOSPC, terminal=False))
        assert report_errors(job().execute) == 0
    assert status().state == "finished"


@pytest.mark.parametrize(
    ("fault", "raised", "words"),
    [
        (RunError("the loss became NaN."), RunError, r"^the loss became NaN\.$"),
        (InputError("the checkpoint is damaged."), InputError, r"^the checkpoint is damaged\.$"),
        (ValueError("surprise"), RunError, r"failed with ValueError: surprise \(details in .*log\.txt\)\.$"),
    ],
)
def test_a_fault_is_recorded_and_the_run_can_go_on(
    bench: Bench, fault: Exception, raised: type[Exception], words: str
) -> None:
    def fail(timesteps: int) -> None:
        if timesteps == 200:
            raise fault

    bench.on_step = fail
    with pytest.raises(raised, match=words):
        job().execute()
    assert status().state == "failed"
    assert str(fault) in str(status().error)
    assert str(fault) in (FOLDER / "log.txt").read_text()
    bench.on_step = lambda timesteps: None
    assert job().execute() == 0
    assert bench.started_at == [0, 200]
    assert status().error is None


def test_a_failed_evaluation_does_not_repeat_the_training(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["metta.rl.evaluate"]
    working = module.evaluate

    def broken(*_: object) -> dict[str, object]:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(module, "evaluate", broken)
    with pytest.raises(RunError, match="out of memory"):
        job().execute()
    assert status().trained
    monkeypatch.setattr(module, "evaluate", working)
    assert job().execute() == 0
    assert bench.started_at == [0]


def test_a_run_in_use_is_refused(bench: Bench) -> None:
    seen: list[str] = []

    def start_again(timesteps: int) -> None:
        if timesteps == 0:
            with pytest.raises(InputError, match=r"run 'r' is in use by process \d+") as error:
                job().execute()
            seen.append(str(error.value))

    bench.on_step = start_again
    job().execute()
    assert len(seen) == 1


def test_an_unwritable_train_dir_is_refused(bench: Bench) -> None:
    Path("a_file").write_text("")
    with pytest.raises(InputError, match="cannot write to the folder a_file"):
        job("train_dir=a_file").execute()


def test_a_full_disk_ends_the_run_with_one_sentence(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from metta.base import files

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(RunError, match=r"^cannot write to the folder .*: no space left on device\.$"):
        job().execute()


def test_a_status_that_cannot_be_written_for_a_while_does_not_end_the_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from metta.lab import run_folder as run

    working = run.write_atomically

    def full(path: Path, content: str) -> None:
        raise RunError(f"cannot write {path}: no space left on device.")

    monkeypatch.setattr(run, "write_atomically", full)
    bench.on_step = lambda timesteps: (
        monkeypatch.setattr(run, "write_atomically", working) if timesteps == 300 else None
    )
    assert job().execute() == 0
    assert "The run goes on" in capsys.readouterr().out
    assert status().state == "finished"


def test_progress_is_logged_ten_times_and_not_drawn(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    found = resolve([f"{LEVEL}.train", "run=r", "trainer.total_timesteps=5000"])
    found.execute()
    output = capsys.readouterr().out
    assert "\r" not in output
    assert sum(" % " in line for line in output.splitlines()) == 10


def test_the_default_name_is_an_id() -> None:
    config = level_1_basic.train(arch_type="fast", seed=4).config
    assert config.run == "single.fast.level_1_basic.s4"


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_progress_line_never_fills_the_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, columns: int
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    metrics = {"episode/return": 12.34, "episode/hearts_per_agent": 12.34}
    ProgressLine(RunLog(tmp_path / "log.txt")).show(
        Progress(1, 2_250_000, 5_000_000, 31_204.0, 600.0, metrics, 72.0, 1.0)
    )
    drawn = terminal.getvalue().removeprefix("\r\x1b[K")
    assert 0 < len(drawn) < columns
    assert ("hearts 12.34" in drawn) == (columns >= 80)
    assert ("return 12.34" in drawn) == (columns == 200)


def test_a_trained_run_that_waits_for_its_evaluation_does_not_start(bench: Bench) -> None:
    assert job("evaluate=false").execute() == 0
    assert cells(RunFolder(FOLDER))[:2] == ["evaluating", "100 %"]
