"""The tuning command: equal trials for all architectures, seeds of its own, continued when repeated, a ranked table."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments.recipes.benchmark_architectures import adaptive, run_benchmark
from experiments.recipes.benchmark_architectures.seeds import TUNING_EVALUATION_SEED, TUNING_SEEDS
from experiments.recipes.benchmark_architectures.tuning import grid, main
from metta.analysis.results import environment_result
from metta.analysis.tuning import Trial, own_best, ranked, tuning_markdown
from metta.base.errors import InputError
from metta.base.seeding import derive_seed
from metta.rl.config import EvaluationConfig
from tests.analysis.records import evaluated, run_record
from tests.lab.stand_ins import Bench, Here

OUTPUT = Path("train_dir/tuning")
RATES = (0.001, 0.002, 0.0005)
VARIED = f"learning_rate={','.join(map(str, RATES))}"
SMALL = ("--architectures", "vit,fast", "--vary", VARIED, "--timesteps", "200")


@pytest.fixture
def jobs(here: Here, monkeypatch: pytest.MonkeyPatch) -> Here:
    """The hearts of a policy follow from the learning rate it had."""

    def evaluate(player: Any, environments: Any, evaluation: Any, system: Any) -> dict[str, Any]:
        hearts = {"random": 0.0, "blind": 1.0, "reflex": 2.0, "scripted": 10.0}.get(str(player))
        if hearts is None:
            record = json.loads((Path(player).parents[1] / "config.json").read_text())
            hearts = 1000 * record["configuration"]["trainer"]["learning_rate"]
        return {name: evaluated([hearts] * evaluation.worlds) for name in environments}

    monkeypatch.setattr(sys.modules["metta.rl.evaluate"], "evaluate", evaluate)
    return here


def configurations() -> dict[str, Any]:
    """Run folder -> its configuration."""
    files = sorted(OUTPUT.glob("*/config.json"))
    return {file.parent.name: json.loads(file.read_text())["configuration"] for file in files}


def test_all_architectures_have_the_same_trials(jobs: Here) -> None:
    assert main(SMALL) == 0
    found = configurations()
    names = ("fast", "vit")
    assert list(found) == [f"tuning-t00{number}.{name}.level_1_basic.s1000" for number in range(3) for name in names]
    for number in range(3):
        fast, vit = (found[f"tuning-t00{number}.{name}.level_1_basic.s1000"]["trainer"] for name in names)
        assert fast == vit
        assert fast["learning_rate"] == RATES[number]


def test_the_table_is_ranked_by_hearts_and_names_the_setting_to_freeze(
    jobs: Here, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SMALL, "--evidence", "docs"]) == 0
    rows = list(csv.DictReader((OUTPUT / "tuning.csv").open()))
    assert len(rows) == 6
    for row in rows:
        assert float(row["hearts_per_agent"]) == pytest.approx(1000 * float(row["learning_rate"]))
        assert float(row["score"]) == pytest.approx(100 * float(row["learning_rate"]))
    page = (OUTPUT / "tuning.md").read_text()
    frozen = [line.split() for line in page.partition("Frozen:")[2].splitlines() if line.startswith("| ")]
    assert [[cell for cell in line if cell != "|"] for line in frozen if line[1] in ("vit", "fast")] == [
        ["vit", "1", "2.000", "0.002"],
        ["fast", "1", "2.000", "0.002"],
    ]
    assert f"all values of {VARIED}" in page
    assert page.strip() in capsys.readouterr().out
    assert (Path("docs") / "tuning.md").read_text() == page
    assert "--output" not in page
    assert "--evidence" not in page
    assert (Path("docs") / "tuning.csv").read_text() == (OUTPUT / "tuning.csv").read_text()


def test_a_repeated_command_goes_on_and_more_trials_are_added(jobs: Here) -> None:
    main(SMALL)
    before = (OUTPUT / "tuning.csv").read_text()
    jobs.done.clear()
    assert main(SMALL) == 0
    assert jobs.done == []
    assert (OUTPUT / "tuning.csv").read_text() == before
    assert main([*SMALL[:2], "--vary", f"{VARIED},0.003", *SMALL[4:]]) == 0
    assert jobs.done == ["tuning-t003.vit.level_1_basic.s1000", "tuning-t003.fast.level_1_basic.s1000"]
    assert (OUTPUT / "tuning.csv").read_text().startswith(before)


def test_a_trial_with_a_failed_run_is_not_chosen(jobs: Here, capsys: pytest.CaptureFixture[str]) -> None:
    name = "tuning-t001.vit.level_1_basic.s1000"
    jobs.faults[name] = "the loss became NaN."
    assert main(SMALL) == 1
    page = (OUTPUT / "tuning.md").read_text()
    assert "- trial 1: vit on level_1_basic, seed 1000: the loss became NaN." in page
    assert "0.002" not in page.partition("Frozen:")[2]
    assert f"failed: {name}: the loss became NaN." in capsys.readouterr().err
    jobs.faults.clear()
    jobs.done.clear()
    assert main(SMALL) == 0
    assert jobs.done == [name]
    assert "0.002" in (OUTPUT / "tuning.md").read_text().partition("Frozen:")[2]


def test_a_trial_is_run_with_the_values_that_were_typed(jobs: Here) -> None:
    assert main(["--architectures", "fast", "--vary", "gamma=0.9999999,0.99999991", "--timesteps", "200"]) == 0
    assert [found["trainer"]["gamma"] for found in configurations().values()] == [0.9999999, 0.99999991]


def test_threads_may_be_set_for_all_trials(jobs: Here) -> None:
    assert main([*SMALL, "--parallel", "2", "system.threads=3"]) == 0
    assert {found["system"]["threads"] for found in configurations().values()} == {3}


def test_a_grid_holds_every_combination_once() -> None:
    assert grid(["rate=0.001,2", "clip=true,false"]) == [
        {"rate": 0.001, "clip": True},
        {"rate": 0.001, "clip": False},
        {"rate": 2, "clip": True},
        {"rate": 2, "clip": False},
    ]


@pytest.mark.parametrize("texts", [["rate"], ["=1"], ["rate="], ["rate=1,a"], ["rate=1,1"], ["rate=1", "rate=2"]])
def test_a_grid_that_is_none_is_refused(texts: list[str]) -> None:
    with pytest.raises(InputError, match="is not KEY=A,B with a new key"):
        grid(texts)


def test_seeds_of_tuning_are_apart_from_published_ones(jobs: Here, capsys: pytest.CaptureFixture[str]) -> None:
    main(SMALL)
    for record in configurations().values():
        assert record["seed"] in TUNING_SEEDS
        assert record["evaluation"]["seed"] == TUNING_EVALUATION_SEED != EvaluationConfig().seed
    references = json.loads((OUTPUT / "references" / "level_1_basic.random.json").read_text())
    assert references["evaluation"]["seed"] == TUNING_EVALUATION_SEED
    published = {derive_seed(seed, "worlds") for seed in range(1000)}
    published |= {derive_seed(EvaluationConfig().seed, "evaluation worlds")}
    own = {derive_seed(seed, "worlds") for seed in TUNING_SEEDS}
    own |= {derive_seed(TUNING_EVALUATION_SEED, "evaluation worlds")}
    assert not published & own


def test_published_runs_on_tuning_seeds_are_refused(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--architectures", "fast", "--levels", "level_1_basic", "--dry-run"]
    own = ["--experiment-id", "x", "--local", *common, "--seeds-per-level", "2"]
    for command, words in ((run_benchmark.main, [*common, "--seeds", "2"]), (adaptive.main, own)):
        assert command([*words, "--first-seed", "999"]) == 2
        assert "seed 1000 is reserved for tuning (1000 to 1999)" in capsys.readouterr().err
        assert command([*words, f"evaluation.seed={TUNING_EVALUATION_SEED}"]) == 2
        assert "evaluation.seed=77 is reserved for tuning" in capsys.readouterr().err
        assert command([*words, "--first-seed", "998"]) == 0
        capsys.readouterr()


def trial(number: int, scores: dict[str, list[float]], planned: int = 2) -> Trial:
    """A trial whose architectures have these normalised scores, an environment each."""
    runs = []
    for architecture, values in scores.items():
        results = {
            str(place): environment_result(evaluated([10 * value]), "x").model_copy(update={"normalised_score": value})
            for place, value in enumerate(values)
        }
        runs.append(run_record(architecture, 1000, results))
    return Trial(number, {"gamma": 0.9 + number / 100}, runs, planned)


def test_architectures_count_alike_however_many_environments() -> None:
    wide = trial(1, {"vit": [0.0, 0.0, 0.0], "fast": [0.9]})
    even = trial(2, {"vit": [0.4, 0.4, 0.4], "fast": [0.4]})
    assert wide.mean_score() == pytest.approx(0.45)
    assert [item.number for item in ranked([even, wide])] == [1, 2]


def test_the_lowest_number_wins_a_tie_and_unfinished_trials_do_not_count() -> None:
    low, high = trial(1, {"vit": [0.5], "fast": [0.5]}), trial(4, {"vit": [0.5], "fast": [0.5]})
    unfinished = trial(0, {"vit": [0.9]})
    assert own_best([high, unfinished, low], "vit").number == 1
    assert ranked([unfinished]) == []
    page = tuning_markdown([unfinished, low], ["# Tuning"])
    assert "- trial 0: 1 of 2 runs done." in page
