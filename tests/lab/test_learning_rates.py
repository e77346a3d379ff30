"""The frozen learning rates are those that the evidence in docs/ speaks for, and runs train with them."""

import csv
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import pytest

from experiments.recipes.benchmark_architectures.learning_rates import LEARNING_RATES
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.cli.main import resolve
from metta.lab.training import TrainJob
from metta.rl.config import TrainerConfig

EVIDENCE = Path(__file__).parents[2] / "docs" / "tuning.csv"


def trained_with(*words: str, level: str = "level_1_basic") -> float:
    job = resolve((f"experiments.recipes.benchmark_architectures.{level}.train", *words))
    assert isinstance(job, TrainJob)
    return job.config.trainer.learning_rate


def test_they_are_the_best_of_an_equal_budget() -> None:
    scores: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    rates = {}
    for row in csv.DictReader(EVIDENCE.open(encoding="utf-8")):
        assert not row["error"]
        scores[row["architecture"]][int(row["trial"])].append(float(row["score"]))
        rates[int(row["trial"])] = float(row["learning_rate"])
    budgets = {tuple((trial, len(runs)) for trial, runs in sorted(found.items())) for found in scores.values()}
    assert len(budgets) == 1
    best = {
        name: rates[max(found, key=lambda trial, found=found: (fmean(found[trial]), -trial))]
        for name, found in scores.items()
    }
    assert best == LEARNING_RATES
    assert set(LEARNING_RATES) == set(ARCHITECTURES)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_runs_of_all_levels_train_with_them(name: str) -> None:
    assert trained_with(f"arch_type={name}") == LEARNING_RATES[name]
    assert trained_with(f"arch_type={name}", level="level_5_expert") == LEARNING_RATES[name]
    assert trained_with(f"arch_type={name}", "trainer.learning_rate=0.5") == 0.5


def test_other_architectures_train_with_the_default() -> None:
    assert trained_with("policy_architecture=FastConfig(width=64)") == TrainerConfig().learning_rate
