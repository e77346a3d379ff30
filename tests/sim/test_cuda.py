"""Worlds on a GPU: equal to the CPU's in numba's simulator, compiled for GPUs, refused where there is none."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.gpu.__main__ import main as benchmark
from metta.base.errors import InputError
from metta.base.provenance import REPOSITORY
from metta.cli.main import main
from metta.rl.config import TrainingSimConfig
from metta.sim import devices
from metta.sim.conformance import main as conformance
from metta.sim.devices import check_cuda
from metta.sim.vector_env import VectorEnv
from tests.rl.small_run import SIM, small_run
from tests.sim.test_vector_env import CONFIG

TRAIN = "experiments.recipes.benchmark_architectures.level_1_basic.train"
CASES = "tests/sim/cuda_cases.py"


def run_cases(*words: str, simulated: bool) -> None:
    """Run tests/sim/cuda_cases.py in a process of its own: numba reads the switch when it is imported."""
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": str(int(simulated)), "OMP_NUM_THREADS": "1"}
    words = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", CASES, *words)
    done = subprocess.run(words, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_equal_to_the_cpu_in_the_simulator_of_cuda() -> None:
    run_cases("-m", "not slow", simulated=True)


@pytest.mark.slow
def test_long_cases_are_equal_in_the_simulator_of_cuda() -> None:
    run_cases("-m", "slow", simulated=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
def test_equal_to_the_cpu_on_a_gpu() -> None:
    run_cases(simulated=False)


def test_compiles_for_a_gpu_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kernel becomes PTX for the chips of an H100, without a multiplication and addition rounded as one."""
    pytest.importorskip("numba_cuda", reason="needs `uv run --group cuda`")
    import numba.cuda.dispatcher
    from numba import cuda

    from metta.sim.cuda import kernels as cuda_kernels

    hopper = (9, 0)
    chip = SimpleNamespace(compute_capability=hopper)
    monkeypatch.setattr(numba.cuda.dispatcher, "get_current_device", lambda: chip)
    for name, arguments in kernel_arguments().items():
        types = tuple(numba.typeof(argument) for argument in arguments)
        text, _ = cuda.compile_ptx(getattr(cuda_kernels, name).py_func, types, cc=hopper)
        assert ".visible .entry" in text, name
        assert "fma." not in text, name


def kernel_arguments() -> dict[str, tuple[object, ...]]:
    """Arguments of every kernel by its name; arrays of the CPU have the same types as those of a device."""
    from metta.sim.cuda.kernels import Ended, Shown, Starts

    env = VectorEnv(CONFIG, num_worlds=2, seed=0)
    worlds, buffers, start_cells = env._worlds, env.buffers, env._start_cells
    rows = buffers.observations.reshape(env.num_streams, -1)
    flags = (buffers.terminals, buffers.truncations, buffers.resets, buffers.action_success)
    shown = Shown(rows, buffers.rewards, *flags, rows)
    starts = Starts(start_cells, env._thresholds, env.scratch(2), np.zeros(1, np.int32))
    ended = Ended(worlds.clock, start_cells, worlds.account, worlds.entities, worlds.counters, np.zeros(2, np.bool_))
    fixed = (env.rules, worlds, env.window, shown)
    return {
        "change_worlds": (*fixed, np.zeros(env.num_streams, np.int32), 0, 2),
        "show_step": (*fixed, 0, 2),
        "start_ended": (*fixed, starts, ended, 0, 2, 30, False, False),
        "show_start": (*fixed, 0, 2, False),
    }


def test_says_in_one_sentence_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"^sim.device=cuda, but torch sees no GPU here; allowed: cpu\.$"):
        check_cuda("sim.device=cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"package numba-cuda is missing; install it with `uv sync --group cuda`"):
        check_cuda("sim.device=cuda")
    monkeypatch.setattr(devices, "find_spec", lambda name: name)
    monkeypatch.setattr("numba.cuda.cuda_error", lambda: "no driver\nwhatever follows")
    with pytest.raises(InputError, match=r"numba cannot use the GPU \(no driver\); allowed: cpu\.$"):
        check_cuda("sim.device=cuda")


def test_commands_refuse_a_gpu_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([TRAIN, "run=no_gpu", f"train_dir={tmp_path}", "sim.device=cuda"]) == 2
    assert capsys.readouterr().err == "error: sim.device=cuda, but torch sees no GPU here; allowed: cpu.\n"
    assert conformance(["--device", "cuda", "tests/data/conformance"]) == 2
    assert capsys.readouterr().err == "error: --device cuda, but torch sees no GPU here; allowed: cpu.\n"
    assert benchmark([]) == 2
    assert "needs a GPU, but torch sees no GPU here; --rehearse does without." in capsys.readouterr().err
    assert main([TRAIN, "sim.device=gpu"]) == 2
    assert "sim.device: input should be 'auto', 'cpu' or 'cuda'" in capsys.readouterr().err


def test_only_training_worlds_have_a_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([TRAIN, "evaluation_environments.basic.device=cuda"]) == 2
    assert "unknown key 'evaluation_environments.basic.device'" in capsys.readouterr().err


def test_a_run_on_the_cpu_is_recorded_as_before() -> None:
    """A folder of a run from before there was a device can be continued; another device is another configuration."""
    config = small_run()
    assert config.model_dump()["sim"] == SIM.model_dump()
    on_gpu = config.model_copy(update={"sim": config.sim.model_copy(update={"device": "cuda"})})
    assert on_gpu.model_dump()["sim"] == {**SIM.model_dump(), "device": "cuda"}
    assert type(config).parse(on_gpu.model_dump()).model_dump() == on_gpu.model_dump()
    assert TrainingSimConfig.model_validate(SIM) == config.sim
