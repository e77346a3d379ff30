"""factorial.py is a benchmark of matched architectures that says what perception and memory contribute."""

from pathlib import Path

import pytest

from experiments.recipes.benchmark_architectures.crossed import CROSSED, MEMORIES, PERCEPTIONS, WIDTH
from experiments.recipes.benchmark_architectures.factorial import main
from metta.analysis.results import read_results
from metta.cli.main import resolve
from metta.rl.specs import spec_of
from tests.lab.stand_ins import Here

OUTPUT = Path("train_dir/factorial")
SMALL = ("--perceptions", "cnn,perceiver", "--memories", "none,lstm", "--max-timesteps", "300", "--seeds", "2")
LEVEL = "experiments.recipes.benchmark_architectures.level_1_basic"


def test_all_are_of_one_width_and_nearly_one_size() -> None:
    assert len(CROSSED) == len(PERCEPTIONS) * len(MEMORIES) == 14
    assert {config.memory_width for config in CROSSED.values()} == {WIDTH}
    sizes = [
        sum(weight.numel() for weight in memory.build(WIDTH).parameters())
        for name, memory in MEMORIES.items()
        if name != "none"
    ]
    assert max(sizes) < 1.2 * min(sizes)


def test_each_can_be_named_as_an_architecture() -> None:
    config = resolve((f"{LEVEL}.train", "arch_type=cnn_gtrxl")).config
    assert config.architecture == "cnn_gtrxl"
    assert config.policy == CROSSED["cnn_gtrxl"]
    assert config.policy.build(spec_of(config.sim, config.trainer), seed=0) is not None


def test_a_benchmark_and_its_effects(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    here.results = OUTPUT / "benchmark_results.json"
    assert main(SMALL) == 0
    results = read_results(here.results)
    assert results.architectures == ["cnn_none", "cnn_lstm", "perceiver_none", "perceiver_lstm"]
    assert results.command.startswith("uv run experiments/recipes/benchmark_architectures/factorial.py --perceptions")
    assert (OUTPUT / "report.html").exists()
    text = (OUTPUT / "factorial.md").read_text()
    assert text.strip() in capsys.readouterr().out
    assert "## level_1_basic, basic: hearts per agent" in text
