"""Runs train with the rate of the table, with the trainer's default where it has none, and with what the user says."""

import pytest

from experiments.recipes.benchmark_architectures import learning_rates
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.cli.main import resolve
from metta.lab.training import TrainJob
from metta.rl.config import TrainerConfig


def trained_with(*words: str, level: str = "level_1_basic") -> float:
    job = resolve((f"experiments.recipes.benchmark_architectures.{level}.train", *words))
    assert isinstance(job, TrainJob)
    return job.config.trainer.learning_rate


def test_the_table_names_architectures() -> None:
    assert set(learning_rates.LEARNING_RATES) <= set(ARCHITECTURES)


@pytest.mark.parametrize("level", ["level_1_basic", "level_5_expert"])
def test_runs_train_with_the_table(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(learning_rates.LEARNING_RATES, "fast", 0.25)
    assert trained_with("arch_type=fast", level=level) == 0.25
    assert trained_with("arch_type=fast", "trainer.learning_rate=0.5", level=level) == 0.5


def test_other_architectures_train_with_the_default() -> None:
    assert trained_with("policy_architecture=FastConfig(width=64)") == TrainerConfig().learning_rate
