"""The walk-through docs/add_an_architecture.md, done as written in a temporary copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "add_an_architecture.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [line for language, text in BLOCKS if language == "bash" for line in text.splitlines()]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    root = tmp_path_factory.mktemp("copy")
    for folder in ("metta", "experiments", "tools", "tests", "docs", "published"):
        # With the compiled kernels, which need not be compiled again.
        shutil.copytree(ROOT / folder, root / folder)
    for file in ("pyproject.toml", "README.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / file, root / file)
    (root / "metta/agent/policies/fast_gtrxl.py").write_text(PYTHON[0])
    registry = root / "experiments/recipes/benchmark_architectures/level_1_basic.py"
    text = registry.read_text()
    opening = "ARCHITECTURES: dict[str, PolicyConfig] = {\n"
    assert opening in text
    registry.write_text(PYTHON[1] + text.replace(opening, opening + PYTHON[2]))
    return root


def run(copy, arguments):
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True, timeout=3600
    )


def as_run_here(command):
    """The documented command with this Python in place of `uv run` and `uv run python`."""
    words = re.findall(r"'[^']*'|\S+", command)
    assert words[:2] == ["uv", "run"]
    return [word.strip("'") for word in words[2:] if word != "python"]


def test_the_page_documents_check_train_and_benchmark():
    assert [as_run_here(command)[0] for command in COMMANDS] == [
        "-m",
        "./tools/run.py",
        "experiments/recipes/benchmark_architectures/run_benchmark.py",
    ]


def test_the_new_architecture_passes_the_check(copy):
    result = run(copy, as_run_here(COMMANDS[0]))
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("  pass  ") == 7


def test_it_trains(copy):
    arguments = [re.sub(r"total_timesteps=\d+", "total_timesteps=64", word) for word in as_run_here(COMMANDS[1])]
    result = run(copy, arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    assert list((copy / "train_dir/try_fast_gtrxl/checkpoints").glob("step_*"))


def test_the_benchmark_knows_it(copy):
    result = run(copy, [as_run_here(COMMANDS[2])[0], "--help"])
    assert result.returncode == 0
    result = run(copy, [as_run_here(COMMANDS[2])[0], "--architectures", "fast_gtrx"])
    assert result.returncode == 2
    assert "fast_gtrxl" in result.stderr


@pytest.mark.slow
def test_every_test_over_the_registry_holds_for_it(copy):
    files = [path for path in (copy / "tests").rglob("test_*.py") if "ARCHITECTURES" in path.read_text()]
    assert len(files) > 10
    for words in (
        ["-k", "fast_gtrxl", *map(str, files)],
        ["tests/lab/test_plans.py", "tests/lab/test_learning_rates.py"],
    ):
        result = run(copy, ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *words])
        assert result.returncode == 0, result.stdout + result.stderr


def test_a_memory_of_ones_own_passes_the_check(copy):
    (copy / "fading_sum.py").write_text(PYTHON[4])
    (copy / "fading_policy.py").write_text(
        f"{PYTHON[3]}\n\nfrom metta.agent.policies.fast import FastConfig\n\n\n"
        "class FadingPolicyConfig(FastConfig):\n    memory: MemoryConfig = FadingSumConfig(keep=0.5)\n"
    )
    result = run(copy, ["-m", "metta.agent.check", "fading_policy:FadingPolicyConfig"])
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("  pass  ") == 7
