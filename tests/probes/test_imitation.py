"""The imitation command: its records, its table, what is kept and what is refused."""

import json
from pathlib import Path

import pytest

from experiments.recipes.benchmark_architectures.imitation import main
from metta.probes.imitation import imitation_rows, imitation_text

SMALL = (
    *("trainer.num_streams=1", "trainer.rollout_steps=16", "trainer.minibatches=1", "sim.max_steps=40"),
    *("evaluation.worlds=1", "evaluation_environments.basic.max_steps=20", "system.threads=1", "system.device=cpu"),
)


def test_records_are_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--architectures", "fast", "--samples", "200", "--seeds", "2", "--output", str(tmp_path / "out"), *SMALL]
    assert main(words) == 0
    said = capsys.readouterr().out
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == ["fast.level_1_basic.s0.json", "fast.level_1_basic.s1.json"]
    records = [json.loads(file.read_text()) for file in files]
    assert imitation_text(records) in said
    assert records[0]["result"]["samples"] == 2 * 16 * 12
    before = [file.read_bytes() for file in files]
    files[1].unlink()
    assert main(words) == 0
    assert "s0: " in capsys.readouterr().out
    assert files[0].read_bytes() == before[0]
    assert json.loads(files[1].read_text())["result"] == json.loads(before[1])["result"]
    assert main([*words, "trainer.gamma=0.9"]) == 2
    assert "another trainer; give another --output" in capsys.readouterr().err
    assert main([*words, "--environment", "dark"]) == 2
    assert "is not one of level_1_basic: basic" in capsys.readouterr().err


def record(architecture: str, hearts: float, seed: int) -> dict[str, object]:
    states = {"cross_entropy": 1.2345, "agreement": 0.5}
    result = {"hearts_per_agent": hearts, "own_states": states, "teacher_states": states, "samples": 1_000_000}
    about = {"architecture": architecture, "level": "level_1_basic", "environment": "basic", "seed": seed}
    return {**about, "result": result}


def test_the_best_comes_first_and_the_table_is_narrow() -> None:
    records = [record("fast_lstm_reset", 10.0 + seed, seed) for seed in range(2)] + [record("vit", 20.0, 0)]
    first, second = imitation_rows(records)
    assert (first["architecture"], first["seeds"], first["hearts_per_agent"]["low"]) == ("vit", 1, None)
    assert second["hearts_per_agent"]["mean"] == 10.5
    assert second["own_states"] == {"mean": 1.2345, "low": None, "high": None}  # of two seeds
    assert max(len(line) for line in imitation_text(records).splitlines()) <= 80
