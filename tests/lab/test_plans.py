"""The plan of the published runs names each once, a whole table of the first level first; docs/protocol.md shows what
was run."""

import sys
from pathlib import Path

import pytest

from experiments.plans import collect
from experiments.plans.collect import FILE, PAGE, hearts_over_seeds, page_parts, read_rows, rows_of
from experiments.plans.published import in_order
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.levels import FIRST_LEVEL, LEVELS
from experiments.recipes.benchmark_architectures.seeds import PUBLISHED_SEEDS
from metta.base.markers import read_between
from metta.lab.archive import write_archive


def test_every_run_once_and_the_first_level_first() -> None:
    keys = list(in_order())
    assert len(keys) == len(set(keys)) == len(ARCHITECTURES) * len(LEVELS) * len(PUBLISHED_SEEDS)
    begin = keys[: len(ARCHITECTURES)]
    assert {(key.architecture, key.level, key.seed) for key in begin} == {
        (name, FIRST_LEVEL, 0) for name in ARCHITECTURES
    }


def test_two_lines_with_the_same_settings_share_one_run() -> None:
    """All pieces, and the curriculum by learning progress: the run has the name of one of them."""
    record = {
        "run": "curriculum_learning_progress.fast.level_5_expert.s1000",
        "configuration": {"architecture": "fast", "level": "level_5_expert", "seed": 1000, "trainer": {}},
        "evaluation": {"results": {"basic": {"hearts_per_agent": 1.5}}},
        "status": {"timesteps": 1, "training_seconds": 1.0},
        "starts": [{"code": {"commit": "a"}}],
    }
    lines = ("all_pieces", "curriculum_learning_progress")
    rows = [row for line in lines for row in rows_of(f"{line}.fast.level_5_expert.s1000", record)]
    assert [row["variant"] for row in rows] == list(lines)


def test_a_seed_of_a_variant_counts_once_whatever_else_the_trainer_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A default may have changed since: the newer run replaces the older one."""
    rows = read_rows()
    for name, file in (("FILE", FILE), ("PAGE", PAGE)):
        monkeypatch.setattr(collect, name, tmp_path / file.name)
        (tmp_path / file.name).write_bytes(file.read_bytes())
    old = rows[rows["environment"] == "basic"].iloc[0]
    names = {name: old[name] for name in ("architecture", "level", "seed")}
    record = {
        "configuration": {**names, "trainer": {"another": "default"}},
        "evaluation": {"results": {"basic": {"hearts_per_agent": 77.0}}},
        "status": {"timesteps": 1, "training_seconds": 1.0},
        "starts": [{"code": {"commit": "a"}}],
    }
    line = f"{old['variant']}.{old['architecture']}.{old['level']}.s{old['seed']}"
    write_archive(tmp_path / "runs.tar.gz", {line: record})
    monkeypatch.setattr(sys, "argv", ["collect", str(tmp_path / "runs.tar.gz")])
    collect.main()
    assert len(read_rows()) == len(rows)
    assert "77.0000" in set(read_rows()["hearts_per_agent"])


def test_the_protocol_page_shows_the_runs_that_were_kept() -> None:
    found = hearts_over_seeds(read_rows())
    assert found
    for part, text in page_parts(found).items():
        assert read_between(PAGE, part) == text
