"""Every benchmark runs, prints its table, and ends with the line of JSON that it promises; that of a GPU rehearsed."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.gpu.extent import SHARES
from benchmarks.gpu.report import Report
from benchmarks.plain_loop import PlainFast
from benchmarks.training_rate import in_own_process, measured
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES, LEVEL
from metta.base.endings import INPUT_ERROR, report_errors
from metta.lab.archive import read_archive
from metta.rl.config import TrainerConfig
from metta.rl.specs import spec_of
from metta.sim.constants import NUM_ACTIONS
from metta.sim.vector_env import VectorEnv

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = {
    "sim": ("--levels", "1", "--threads", "1", "--repeats", "1"),
    "training": ("--architectures", "fast", "--streams", "24", "--repeats", "1"),
    "scaling": ("--sweeps", "window", "--repeats", "1"),
    "evaluation": ("--levels", "level_1_basic", "--repeats", "1"),
    "memory": ("plain_lstm_32",),
    "parts": ("--architectures", "fast", "--repeats", "1"),
    "startup": ("--repeats", "1"),
    "result": ("--architectures", "fast", "--threads", "1", "--timesteps", "7680", "--hearts", "0"),
}
"""Benchmark -> what makes it small."""


def test_all_are_named_here_and_in_the_task_runner() -> None:
    names = {path.stem.removeprefix("bench_") for path in (REPOSITORY / "benchmarks").glob("bench_*.py")}
    assert names == set(SMALL)
    line = next(line for line in (REPOSITORY / "tasks.py").read_text().splitlines() if line.startswith("BENCHMARKS"))
    assert all(f'"{name}"' in line for name in SMALL)


WRONG = (
    *(f"bench_training.py --{flag} 0" for flag in ("repeats", "threads", "streams", "epochs")),
    *("bench_training.py --level level_9", "bench_scaling.py --repeats 0", "bench_scaling.py --sweeps weight"),
    *("bench_sim.py --levels 9", "bench_sim.py --threads 0", "bench_sim.py --repeats 0"),
    *("bench_evaluation.py --threads 0", "bench_evaluation.py --repeats 0", "bench_startup.py --repeats 0"),
    *("bench_memory.py --acting-batch 0", "bench_memory.py --training-batch 0"),
    *("bench_parts.py --repeats 0", "bench_parts.py --epochs 0"),
    *("bench_result.py --threads 1,x", "bench_result.py --timesteps 0", "bench_result.py --hearts nan"),
    *("blind_players.py --worlds 0", "verdicts.py --tables 0"),
    *("perception.py --architecture fats", "perception.py --observations 0"),
    *("gpu/__main__.py --at-once 0", "gpu/__main__.py --minutes nan"),
)
"""Words that would be divided by, or known to nobody."""


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_flag_is_one_sentence(
    words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script, flag, value = words.split()
    monkeypatch.setattr(sys, "argv", [script, flag, value])
    module = importlib.import_module(f"benchmarks.{script.removesuffix('.py').replace('/', '.')}")
    assert report_errors(module.main) == INPUT_ERROR
    error = capsys.readouterr().err
    assert flag in error
    assert error.count("\n") == 1


def test_the_plain_loop_has_the_network_of_fast() -> None:
    sim = LEVEL.make_env()
    spec = spec_of(sim, TrainerConfig())
    policy, plain = ARCHITECTURES["fast"].build(spec, 0), PlainFast(spec)
    own = dict(policy.named_parameters())
    layers = ("encoder.first", "encoder.second", "encoder.hidden", "encoder.output")
    theirs = dict(zip(("network.0", "network.2", "network.5", "network.7"), layers, strict=True))
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            layer, _, kind = name.rpartition(".")
            parameter.copy_(own[f"{theirs.get(layer, layer.replace('lstm', 'memory'))}.{kind}"])
    env = VectorEnv(sim, num_worlds=1, seed=0)
    env.reset()
    generator = np.random.default_rng(0)
    seen = []
    for _ in range(8):
        seen.append(torch.from_numpy(env.buffers.observations.copy()))
        env.step(generator.integers(NUM_ACTIONS, size=env.num_streams).astype(np.int32))
    observations = torch.stack(seen)
    resets = torch.zeros(8, env.num_streams)
    zeros = torch.zeros(2, env.num_streams, 128)
    with torch.no_grad():
        logits, values, _ = plain(observations, resets, (zeros, zeros))
        expected = policy(observations.transpose(0, 1), resets.T.bool(), policy.initial_state(env.num_streams))
    torch.testing.assert_close(logits.transpose(0, 1), expected.logits, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(values.T, expected.values, rtol=1e-3, atol=1e-4)


def test_peak_memory_is_the_process_s_own() -> None:
    held = bytearray(2 * 10**9)
    held[::4096] = b"1" * len(held[::4096])
    found = in_own_process(measured_at_rest)
    assert held
    assert 0 < found["peak_memory_mb"] < 1900


def measured_at_rest() -> dict[str, Any]:
    """What `measured` says of updates that take next to no time, and nothing else."""
    return measured(lambda: (1.0, 1.0, 1.0), 1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_it_ends_with_json(name: str) -> None:
    command = [sys.executable, str(REPOSITORY / "benchmarks" / f"bench_{name}.py"), *SMALL[name]]
    done = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["benchmark"] == name
    assert found["results"]


def test_every_part_of_the_measurement_on_a_gpu_can_be_rehearsed(tmp_path: Path) -> None:
    output = tmp_path / "gpu.txt"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    words = ["-m", "benchmarks.gpu", "--rehearse", "--minutes", "60", "--cpu-jobs", "1", "--output", str(output)]
    done = subprocess.run(
        [sys.executable, *words], cwd=REPOSITORY, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text().splitlines()[-1])
    assert found["benchmark"] == "gpu"
    assert set(found["results"]) == set(SHARES)
    for name, part in found["results"].items():
        assert part["rows"], name
        assert (part["wrong"], part["left_out"]) == ([], []), name
    assert {row["architecture"] for row in found["results"]["architectures"]["rows"]} == set(ARCHITECTURES)
    records = read_archive(tmp_path / "gpu.runs.tar.gz")
    assert {record["state"] for record in records.values()} == {"finished"}


def test_a_wrong_number_is_named_and_the_rest_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(tmp_path / "gpu.txt", minutes=1)
    with report.part("first", 0.5) as part, report.faults(part, "one"):
        raise ValueError("no such kernel")
    with report.part("second", 0.5) as part:
        part.rows.append({"value": 1})
        report.wrong(part, "value: 1 instead of 2")
        raise KeyError("three")
    with report.part("third", 0.0) as part:
        assert not report.fits(part, "everything", seconds=1.0)
    assert report.status == 1
    printed = capsys.readouterr().out
    assert "ValueError: no such kernel" in printed
    assert "WRONG value: 1 instead of 2" in printed
    found = json.loads((tmp_path / "gpu.txt").read_text().splitlines()[-1])["results"]
    assert found["first"]["wrong"] == ["one: ValueError: no such kernel"]
    assert found["second"]["wrong"] == ["value: 1 instead of 2", "second: KeyError: 'three'"]
    assert (found["third"]["wrong"], found["third"]["left_out"]) == ([], ["everything"])
