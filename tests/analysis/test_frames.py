"""Results and curves as pandas frames hold the numbers of the results file and of the run folders."""

import json
from pathlib import Path

import pandas
import pytest

import metta
from metta.base.errors import InputError
from tests.analysis.wide import write_benchmark


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    levels = ("level_1_basic", "level_3_medium")
    return write_benchmark(tmp_path_factory.mktemp("x") / "b", ("fast", "vit"), levels, seeds=2).parent


def test_a_row_per_run_and_environment(folder: Path) -> None:
    frame = metta.load_results(folder)
    record = json.loads((folder / "benchmark_results.json").read_text())
    expected = {
        (run["training"]["architecture"], run["training"]["level"], run["training"]["seed"], environment): result
        for run in record["runs"]
        for environment, result in run["evaluation"]["results"].items()
    }
    players = frame[frame.seed.isna()]
    runs = frame[frame.seed.notna()]
    found = runs.set_index(["architecture", "level", "seed", "environment"])
    assert len(found) == len(expected) == 2 * 2 * (1 + 2)
    for key, result in expected.items():
        assert found.loc[key, "hearts_per_agent"] == result["hearts_per_agent"]
        assert found.loc[key, "score"] == result["normalised_score"]
    assert sorted(zip(players.architecture, players.level, players.environment, strict=True)) == sorted(
        (player, level, environment)
        for level, by_player in record["references"].items()
        for player, by_environment in by_player.items()
        for environment in by_environment
    )
    assert pandas.api.types.is_float_dtype(frame.hearts_per_agent)
    assert frame.groupby("architecture").hearts_per_agent.mean().notna().all()


def test_a_seed_is_kept_to_its_last_bit(tmp_path: Path) -> None:
    file = write_benchmark(tmp_path / "b", ("fast",), ("level_1_basic",), seeds=1)
    record = json.loads(file.read_text())
    seed = 2**62 + 1
    record["seeds"] = [record["runs"][0]["training"].update(seed=seed) or seed]
    record["planned"][0][2] = seed
    file.write_text(json.dumps(record))
    frame = metta.load_results(file)
    assert set(frame.seed.dropna()) == {seed}
    assert frame.seed.dtype == "Int64"


def test_curves_are_those_of_the_run_folders(folder: Path) -> None:
    frame = metta.load_curves(folder)
    assert set(frame.architecture) == {"fast", "vit"}
    one = frame[(frame.architecture == "fast") & (frame.level == "level_1_basic") & (frame.seed == 0)]
    lines = [
        json.loads(line) for line in (folder / "wide.fast.level_1_basic.s0" / "metrics.jsonl").read_text().splitlines()
    ]
    metric = "held_out/hearts_per_agent"
    expected = [(line["timesteps"], line[metric]) for line in lines if metric in line]
    assert expected
    hearts = one[one.metric == metric]
    assert list(zip(hearts.timesteps, hearts.value, strict=True)) == expected


def test_no_results_are_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there are no results of a benchmark: .* does not exist"):
        metta.load_results(tmp_path)
