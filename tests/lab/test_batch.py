"""A batch does its plan within its time, and its archive is whole and enough to go on from."""

import io
import time
from pathlib import Path

import pytest

from experiments.recipes.benchmark_architectures.batch import main, read_plan
from metta.base.endings import STOPPED
from metta.base.errors import InputError
from metta.base.provenance import REPOSITORY
from metta.lab.archive import CURVE_POINTS, read_archive, write_archive
from metta.lab.batch import Batch
from metta.lab.run_folder import RunFolder

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
    for damaged in (path.read_bytes()[:-20], b"no archive"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="not an archive of runs, or damaged"):
            read_archive(path)
