"""The examples of docs/python.md run as they stand, and what else the environments by name promise."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import metta
from experiments.recipes.benchmark_architectures.rungs import KNOWN_LEVELS
from metta.base.errors import InputError
from metta.base.provenance import REPOSITORY
from metta.rl.trainer import train
from metta.sim.vector_env import VectorEnv
from tests.analysis.wide import write_benchmark
from tests.rl.small_run import small_run


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = write_benchmark(tmp_path / "train_dir" / "quick", ("trxl", "vit"), ("level_1_basic",), seeds=2).parent
    run = results / "quick.trxl.level_1_basic.s0"
    run.mkdir(exist_ok=True)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    trained = tmp_path / "trained"
    trained.mkdir()
    train(small_run(updates=2), trained)
    shutil.copytree(trained / "checkpoints", run / "checkpoints")
    page = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 6
    assert all(example.count("\n") < 15 for example in examples)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for example in examples:
        exec(compile(example, "docs/python.md", "exec"), names)
    assert {"trxl", "vit"} <= set(names["results"].architecture)  # type: ignore[attr-defined]
    assert len(names["curves"])  # type: ignore[arg-type]
    assert "<script src" not in Path("curves.html").read_text(encoding="utf-8")  # opens without a network


def test_import_is_free() -> None:
    code = "import metta, sys; assert not {'torch', 'numba', 'pandas', 'gymnasium'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


@pytest.mark.parametrize("level", KNOWN_LEVELS)
def test_every_level_has_its_name(level: str) -> None:
    metta.register_envs()
    agents = KNOWN_LEVELS[level].num_agents
    streams = gymnasium.make_vec(f"arena/{level}-v0", num_envs=2 * agents)
    native = VectorEnv(KNOWN_LEVELS[level].make_env(), num_worlds=2, seed=5)
    native.reset()
    observations, _ = streams.reset(seed=5)
    assert np.array_equal(observations, native.buffers.observations)


@pytest.mark.filterwarnings("error")
def test_a_lone_agent_is_a_gymnasium_environment() -> None:
    metta.register_envs()
    alone = gymnasium.make("arena/level_1_basic-v0")
    check_env(alone.unwrapped)
    alone.reset(seed=1)
    steps, over = 0, False
    while not over:
        *_, terminated, truncated, _ = alone.step(alone.action_space.sample())
        steps, over = steps + 1, terminated or truncated
    assert steps == 1000
    with pytest.raises(ValueError, match="reset"):
        alone.unwrapped.step(0)


def test_wrong_names_and_numbers_are_sentences() -> None:
    metta.register_envs()
    with pytest.raises(InputError, match="did you mean 'level_1_basic'"):
        metta.make_env("level_1")
    with pytest.raises(InputError, match="num_worlds must be 1 or more"):
        metta.make_env("level_1_basic", num_worlds=0)
    with pytest.raises(InputError, match="multiple"):
        gymnasium.make_vec("arena/level_1_basic-v0", num_envs=5)
