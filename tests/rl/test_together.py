"""Runs at once in one process have the numbers that they have alone, and one that fails leaves the others alone."""

import json
from pathlib import Path

import pytest

from metta.base.errors import RunError
from metta.rl.metrics import Progress
from metta.rl.together import train_together
from metta.rl.trainer import train
from tests.rl.small_run import small_run
from tests.rl.test_trainer import metrics, weights


def folders(path: Path, count: int) -> list[Path]:
    made = [path / str(index) for index in range(count)]
    for folder in made:
        folder.mkdir(parents=True)
    return made


def test_each_run_has_the_numbers_that_it_has_alone(tmp_path: Path) -> None:
    configs = [small_run(updates=4, seed=seed) for seed in range(3)]
    alone, together = folders(tmp_path / "alone", 3), folders(tmp_path / "together", 3)
    for config, folder in zip(configs, alone, strict=True):
        train(config, folder)
    seen: list[tuple[int, int]] = []
    found = train_together(
        list(zip(configs, together, strict=True)), 2, lambda index, progress: seen.append((index, progress.update))
    )
    assert found == [None] * 3
    assert sorted(seen) == [(index, update) for index in range(3) for update in range(1, 5)]
    for a, b in zip(alone, together, strict=True):
        assert weights(a) == weights(b)
        assert metrics(a) == metrics(b)


def test_a_run_that_fails_leaves_the_others_alone(tmp_path: Path) -> None:
    first, second = folders(tmp_path, 2)
    diverging = small_run(updates=4, learning_rate=1.0, max_gradient_norm=1e30, value_weight=1e30)
    faults = train_together([(diverging, first), (small_run(updates=2), second)], 2)
    assert isinstance(faults[0], RunError)
    assert faults[1] is None
    assert json.loads((second / "metrics.jsonl").read_text().splitlines()[-1])["update"] == 2


def test_when_it_is_stopped_all_runs_stop(tmp_path: Path) -> None:
    runs = [(small_run(updates=1000, seed=seed), folder) for seed, folder in enumerate(folders(tmp_path, 3))]

    def stop(index: int, progress: Progress) -> None:
        if progress.update == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_together(runs, 2, stop)
