"""A batch does its plan within its time, and its archive is whole and enough to go on from."""

import io
import itertools
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from experiments.recipes.benchmark_architectures.batch import main, read_plan
from metta.base.endings import IN_USE, INPUT_ERROR, STOPPED
from metta.base.errors import InputError, RunError
from metta.base.files import locked
from metta.base.provenance import REPOSITORY
from metta.lab.archive import CURVE_POINTS, read_archive, write_archive
from metta.lab.batch import Batch, BatchRun
from metta.lab.evaluation_key import RULES
from metta.lab.executors.contract import Command, Ended, Executor
from metta.lab.run_folder import Heartbeat, RunFolder

SMALL = (
    *("trainer.total_timesteps=64", "trainer.num_streams=1", "trainer.rollout_steps=4", "trainer.minibatches=1"),
    *("sim.max_steps=20", "evaluation.worlds=1", "evaluation_environments.basic.max_steps=10"),
)
PLAN = """
fast level_1_basic 3   # the first
fast level_1_basic 4
fast level_1_basic 4 on=cpu
"""


@pytest.fixture(autouse=True)
def _jobs_run_this_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))


def command(tmp_path: Path, plan: str, *words: str) -> int:
    """Do a plan; returns the exit status."""
    file = tmp_path / "plan.txt"
    file.write_text(plan)
    places = ("--archive", str(tmp_path / "runs.tar.gz"), "--work", str(tmp_path / "work"))
    return main([str(file), *places, *words, *SMALL])


def test_side_by_side_here_and_on_cores_and_not_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    beside = ("--at-once", "2", "--cpu-jobs", "1", "system.device=cpu", "system.threads=1")
    assert command(tmp_path, PLAN, *beside) == 0
    records = read_archive(tmp_path / "runs.tar.gz")
    names = [f"{name[:-1]}.fast.level_1_basic.s{name[-1]}" for name in ("batch3", "batch4", "batch-cpu4")]
    assert list(records) == names
    for record in records.values():
        assert record["state"] == "finished"
        assert record["configuration"]["trainer"]["total_timesteps"] == 64
        assert 0 < len(record["curve"]["timesteps"]) <= CURVE_POINTS
        assert {len(column) for column in record["curve"].values()} == {len(record["curve"]["timesteps"])}
        (episode,) = record["evaluation"]["results"]["basic"]["per_episode"]
        assert len(episode["hearts"]) == 12
        assert record["starts"][0]["machine"]
    # Side by side a run has the numbers that it has alone.
    beside_another, alone = (records[name]["evaluation"]["results"] for name in names[1:])
    assert beside_another == alone
    folders = [tmp_path / "work" / name / "checkpoints" for name in names[1:]]
    found = [max(folder.glob("step_*/policy.safetensors")).read_bytes() for folder in folders]
    assert found[0] == found[1]
    capsys.readouterr()
    for path in (tmp_path / "work").iterdir():
        path.rename(tmp_path / path.name)  # the archive alone says that they are finished
    assert command(tmp_path, PLAN, *beside) == 0
    assert capsys.readouterr().out.count("finished before") == 3
    assert read_archive(tmp_path / "runs.tar.gz") == records
    assert command(tmp_path, "vit level_1_basic 0", *beside, "--minutes", "0") == 0
    with_another = read_archive(tmp_path / "runs.tar.gz")
    assert with_another.pop("batch.vit.level_1_basic.s0")["state"] == "not started"
    assert with_another == records


def test_without_time_nothing_starts_and_the_archive_says_so(tmp_path: Path) -> None:
    assert command(tmp_path, PLAN, "--minutes", "0", "--at-once", "1") == 0
    states = [record["state"] for record in read_archive(tmp_path / "runs.tar.gz").values()]
    assert states == ["not started"] * 3


def test_an_archive_that_cannot_be_written_is_not_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(tmp_path, "fast level_1_basic 3", "--minutes", "0") == 0
    assert "written to" in capsys.readouterr().out

    def full(path: Path, records: object) -> None:
        raise RunError(f"cannot write {path}: no space left on device.")

    monkeypatch.setattr("metta.lab.batch.write_archive", full)
    assert command(tmp_path, "fast level_1_basic 3", "--minutes", "0") == 1
    said = capsys.readouterr()
    assert "written to" not in said.out
    assert "runs.tar.gz: no space left on device." in said.err


def test_a_reader_of_the_output_that_goes_away_stops_it_and_the_archive_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", Gone())
        assert command(tmp_path, PLAN, "--at-once", "1", "--cpu-jobs", "1", "system.device=cpu") == STOPPED
    states = [record["state"] for record in read_archive(tmp_path / "runs.tar.gz").values()]
    assert len(states) == 3
    assert set(states) <= {"not started", "stopped"}


def test_a_run_that_would_not_end_in_time_is_left_for_a_shorter_one(tmp_path: Path) -> None:
    lines = ["vit level_1_basic 0 trainer.total_timesteps=100000000", "fast level_1_basic 0"]
    runs = read_plan(lines, tmp_path / "work", [*SMALL, "system.device=cpu"], gpu=True)
    rates = {("gpu", "vit"): 1000.0, ("gpu", "fast"): 1000.0}
    Batch(runs, tmp_path / "runs.tar.gz", time.monotonic() + 100, 1, 0, lambda line: None, rates).execute()  # type: ignore[arg-type]
    assert [run.state for run in runs] == ["not started", "finished"]


class AtOnce(Executor):
    """Commands end at once, in the next poll; `late`: while everything is closed."""

    slots = 9

    def __init__(self, work: Callable[[Command], int] = lambda command: 0, late: bool = False) -> None:
        self.started: list[str] = []
        self._work, self._late = work, late
        self._left: list[Command] = []

    def start(self, command: Command) -> None:
        self.started.append(command.name)
        self._left.append(command)

    def poll(self) -> list[Ended]:
        left, self._left = ([], self._left) if self._late else (self._left, [])
        return [Ended(command, self._work(command)) for command in left]

    def close(self) -> None:
        for command in self._left:
            self._work(command)


def on_cores(tmp_path: Path, executor: Executor, *plan: str, deadline: float = 1e9) -> dict[str, BatchRun]:
    """The runs of a plan after a batch, one at a time; the clock ticks whenever somebody looks at it."""
    runs = read_plan(plan, tmp_path / "work", SMALL, gpu=False)
    clock = itertools.count().__next__
    batch = Batch(runs, tmp_path / "runs.tar.gz", deadline, 0, 1, print, clock=lambda: float(clock()))
    batch._executor = executor  # type: ignore[assignment]
    batch.execute()
    return {run.name.partition(".")[0]: run for run in runs}


def trained(tmp_path: Path, line: str, evaluated: bool = False) -> RunFolder:
    """The folder of a run that was trained to its end, as its files say."""
    (run,) = read_plan([line], tmp_path / "work", SMALL, gpu=False)
    folder, config = run.planned.folder, run.planned.job.config.model_dump(mode="json")
    folder.record_start(config)
    with Heartbeat(folder, 64, print) as heartbeat:
        heartbeat.update(trained=True, timesteps=64, state="finished" if evaluated else "trained")
    if evaluated:
        record = {key: config[key] for key in RULES} | {"results": {}, "timesteps": 64}
        folder.evaluation_file.write_text(json.dumps(record))
    return folder


def test_what_a_run_was_nearly_done_with_does_not_tell_its_pace(tmp_path: Path) -> None:
    """It was stopped before its evaluation, which takes as long for no step that is left as for a million."""
    trained(tmp_path, "fast level_1_basic 0 experiment=a")
    runs = on_cores(
        tmp_path, AtOnce(), "fast level_1_basic 0 experiment=a", "fast level_1_basic 1 experiment=b", deadline=60.0
    )
    assert {name: run.state for name, run in runs.items()} == {"a": "finished", "b": "finished"}


def test_two_lines_that_are_one_run_are_not_done_at_once(tmp_path: Path) -> None:
    trained(tmp_path, "fast level_1_basic 0 experiment=a")
    lines = [f"fast level_1_basic 0 experiment={name}" for name in "ab"]
    runs = read_plan(lines, tmp_path / "work", SMALL, gpu=False)
    assert runs[0].planned.folder == runs[1].planned.folder
    batch = Batch(runs, tmp_path / "runs.tar.gz", 1e9, 0, 2, print)
    batch._executor = executor = AtOnce()  # type: ignore[assignment]
    batch._start_processes()
    assert [run.state for run in runs] == ["training", "waiting"]
    batch._job_ended(runs[0], executor.poll()[0])
    batch._start_processes()
    assert [run.state for run in runs] == ["finished", "training"]


def test_what_is_finished_with_other_settings_is_another_run(tmp_path: Path) -> None:
    """Whether its folder or the archive alone says so, the line is refused, and what is there is kept."""
    folder = trained(tmp_path, "fast level_1_basic 0 trainer.epochs=2", evaluated=True)
    line = "fast level_1_basic 0"
    assert on_cores(tmp_path, AtOnce(), f"{line} trainer.epochs=2")["batch"].state == "finished"
    records = read_archive(tmp_path / "runs.tar.gz")
    for gone in (False, True):
        if gone:
            folder.path.rename(tmp_path / "elsewhere")
        executor = AtOnce()
        run = on_cores(tmp_path, executor, line)["batch"]
        assert run.state == "failed"
        assert "is finished with other settings" in str(run.error)
        assert executor.started == []
        assert read_archive(tmp_path / "runs.tar.gz") == records


def test_what_ends_while_the_batch_is_stopped_is_finished(tmp_path: Path) -> None:
    def work(command: Command) -> int:
        trained(tmp_path, "fast level_1_basic 0", evaluated=True)
        return 0

    assert (
        on_cores(tmp_path, AtOnce(work, late=True), "fast level_1_basic 0", deadline=20.0)["batch"].state == "finished"
    )


def test_an_archive_has_one_writer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two would each write what only they know of."""
    with locked(tmp_path / ".runs.tar.gz.lock", "another batch"):
        assert command(tmp_path, PLAN, "--minutes", "0", "--at-once", "1") == IN_USE
    assert capsys.readouterr().err.startswith("error: the archive ")


def test_a_plan_that_is_no_text_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plan.txt").write_bytes(b"\x1f\x8b\xff")
    assert main([str(tmp_path / "plan.txt"), "--archive", str(tmp_path / "runs.tar.gz")]) == INPUT_ERROR
    assert capsys.readouterr().err == f"error: cannot read {tmp_path / 'plan.txt'}: it is not text.\n"


def test_a_run_that_fails_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    RunFolder(tmp_path / "work" / "batch.fast.level_1_basic.s0").record_start({"level": "another"})
    plan = "fast level_1_basic 0\nfast level_1_basic 1"
    assert command(tmp_path, plan, "--at-once", "1", "system.device=cpu") == 1
    records = read_archive(tmp_path / "runs.tar.gz")
    assert [record["state"] for record in records.values()] == ["failed", "finished"]
    assert "exists" in records["batch.fast.level_1_basic.s0"]["error"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("fast level_1_basic", "line 1 of the plan must be ARCHITECTURE LEVEL SEED"),
        ("fast level_1_basic x", "line 1 of the plan must be ARCHITECTURE LEVEL SEED"),
        ("fats level_1_basic 0", "line 1 of the plan: .*fats"),
        ("fast level_1_basic 0 trainer.epoch=3", "line 1 of the plan: .*trainer.epoch"),
        ("fast level_1_basic 0\nfast level_1_basic 0 trainer.epochs=2", "line 2 of the plan repeats"),
        ("# nothing", "the plan names no run"),
    ],
)
def test_a_wrong_plan_is_one_sentence(tmp_path: Path, line: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_plan(line.splitlines(), tmp_path, SMALL, gpu=True)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.tar.gz"
    write_archive(path, {"a": {"state": "finished"}})
    assert read_archive(path) == {"a": {"state": "finished"}}
    whole = path.read_bytes()
    write_archive(path, {"a": ["no record"]})  # type: ignore[dict-item]
    for damaged in (whole[:-20], b"no archive", path.read_bytes()):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="not an archive of runs, or damaged"):
            read_archive(path)


def test_no_turned_bit_of_an_archive_goes_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "runs.tar.gz"
    records = {"a": {"hearts": [1.25, 3.5, 7.125]}}
    write_archive(path, records)
    whole = path.read_bytes()
    for place in range(8 * len(whole)):
        turned = bytearray(whole)
        turned[place // 8] ^= 1 << place % 8
        path.write_bytes(turned)
        with suppress(InputError):
            assert read_archive(path) == records
