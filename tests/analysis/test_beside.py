"""What other tools leave in the folder of the results is shown, from files that the tools themselves wrote."""

import json
from pathlib import Path

import pytest

from metta.analysis.blocks import Section, Table, text_of
from metta.analysis.gather import gather
from metta.analysis.report import report
from metta.analysis.topics import beside
from metta.probes.crossplay import crossplay, entrants
from metta.probes.imitation import record_of
from metta.probes.memory import ProbeConfig, probe_record
from metta.rl.checkpoint import newest_sound
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.rl.trainer import train
from tests.analysis.wide import write_benchmark
from tests.rl.small_run import SIM, small_run

CPU = SystemConfig(device="cpu", threads=1)
EVALUATION = EvaluationConfig(worlds=2)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark with a probe, games and an imitation beside it."""
    folder = tmp_path_factory.mktemp("train_dir") / "small"
    file = write_benchmark(folder, ("fast", "vit"), ("level_1_basic",), seeds=2)
    run = folder / "run"
    run.mkdir()
    train(small_run(updates=1), run)
    config = ProbeConfig(
        policy_uri="x", level="test", evaluation_environments={"basic": SIM}, evaluation=EVALUATION, system=CPU
    )
    checkpoint = newest_sound(run / "checkpoints")
    assert checkpoint is not None
    (run / "probe.1.test.basic.json").write_text(json.dumps(probe_record(checkpoint, "fast", 48, config)))
    players = entrants(["random", str(run)])
    crossplay(players, "test", "basic", SIM, EVALUATION, CPU, folder / "crossplay.json", lambda said: None)
    record_of(small_run(updates=1), "basic", folder / "imitation")
    (folder / "tuning.csv").write_text(  # as tuning_csv writes it
        "trial,architecture,level,seed,environment,hearts_per_agent,score,reward,timesteps,training_seconds,error,"
        "learning_rate\n0,fast,level_1_basic,1000,basic,8.0,0.25,9.0,1,1.0,,0.001\n"
        "1,fast,level_1_basic,1000,basic,15.0,0.5,9.0,1,1.0,,0.002\n"
    )
    return file


def table(sections: list[Section], section: str) -> Table:
    (found,) = [part for part in sections if part.id == section]
    return next(block for block in found.blocks if isinstance(block, Table))


def test_every_tool_has_its_section_with_its_numbers(results: Path) -> None:
    sections = beside.sections(gather([results]))
    assert [section.id for section in sections] == ["memory", "crossplay", "imitation", "tuning"]
    folder = results.parent
    (row,) = table(sections, "memory").rows
    probe = json.loads((folder / "run" / "probe.1.test.basic.json").read_text())
    assert row[0] == "fast"
    assert row[2] == probe["interventions"][0]["hearts_per_agent"]
    played = json.loads((folder / "crossplay.json").read_text())["standings"]
    shown = table(sections, "crossplay").rows
    assert sorted(str(row[0]) for row in shown) == sorted(player["name"] for player in played["players"])
    assert sorted(value for row in shown for value in row[1:]) == sorted(
        value for row in played["hearts"] for value in row
    )
    imitated = json.loads(next((folder / "imitation").glob("*.json")).read_text())["result"]["hearts_per_agent"]
    assert text_of(table(sections, "imitation").rows[0][1], 3) == text_of(imitated, 3)
    page = report(gather([results]), results.parent).html
    assert all(f'id="{section.id}"' in page for section in sections)


def test_what_cannot_be_read_costs_its_part_only(results: Path) -> None:
    (results.parent / "crossplay_2.json").write_text("[1, 2]")
    sections = beside.sections(gather([results]))
    assert [section.id for section in sections] == ["memory", "crossplay", "imitation", "tuning", "unread"]
    (results.parent / "crossplay_2.json").unlink()


def test_files_of_other_benchmarks_are_not_shown(results: Path, tmp_path: Path) -> None:
    other = write_benchmark(tmp_path / "other", ("fast", "vit"), ("level_1_basic",), seeds=2)
    (tmp_path / "crossplay.json").write_text((results.parent / "crossplay.json").read_text())
    assert beside.sections(gather([other])) == []


def test_what_two_folders_hold_under_one_name_is_shown_twice(tmp_path: Path) -> None:
    homes = [write_benchmark(tmp_path / name, (name,), ("level_1_basic",), seeds=1) for name in ("fast", "vit")]
    for home, score in zip(homes, (0.25, 0.75), strict=True):
        (home.parent / "tuning").mkdir()
        (home.parent / "tuning" / "tuning.csv").write_text(
            "trial,architecture,level,seed,score,error,a\n" + "".join(f"{n},x,l,1,{score},,{n}\n" for n in (1, 2))
        )
    made = report(gather(homes), tmp_path)
    drawn = [figure for figure in made.figures if figure.name.startswith("tuning")]
    assert len({figure.name for figure in drawn}) == len(drawn) == 2
    assert all(f'data-figure="{figure.name}"' in made.html for figure in drawn)
    tables = [table.name for table in made.tables]
    assert len(set(tables)) == len(tables)


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    file = write_benchmark(tmp_path / "b", ("fast",), ("level_1_basic",), seeds=1)
    (file.parent / "tuning.csv").mkdir()
    assert [section.id for section in beside.sections(gather([file]))] == ["unread"]
