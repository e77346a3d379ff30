"""A real run that is interrupted at random moments in every way ends as if nothing had happened.

`METTA_INTERRUPTIONS=200 python -m pytest -m slow tests/lab/test_interruptions.py` for more of them.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from metta.base.files import holder
from metta.base.provenance import REPOSITORY
from metta.lab.run_folder import RunFolder

INTERRUPTIONS = int(os.environ.get("METTA_INTERRUPTIONS", "8"))
SECONDS = 600.0
"""Nothing is waited for longer."""
KINDS: dict[str, tuple[signal.Signals, ...]] = {
    "ctrl-c": (signal.SIGINT,),
    "ctrl-c twice": (signal.SIGINT, signal.SIGINT),
    "ctrl-c and its controller": (signal.SIGINT, signal.SIGTERM),
    "sigterm": (signal.SIGTERM,),
    "sighup": (signal.SIGHUP,),
    "closed pipe": (),
    "kill -9": (signal.SIGKILL,),
}
LOSES = ("ctrl-c twice", "kill -9")
"""Kinds that may lose finished updates: those since the last checkpoint."""
WORDS = (
    *("experiments.recipes.benchmark_architectures.level_1_basic.train", "run=r", "arch_type=fast", "evaluate=false"),
    *("trainer.num_streams=12", "trainer.rollout_steps=8", "trainer.minibatches=1", "trainer.checkpoint_every=20000"),
    *("system.threads=1", "system.device=cpu"),
)


def started(folder: Path, steps: int) -> "subprocess.Popen[bytes]":
    """The command in a folder of its own."""
    folder.mkdir(exist_ok=True)
    words = [sys.executable, str(REPOSITORY / "tools" / "run.py"), *WORDS, f"trainer.total_timesteps={steps}"]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def results(folder: RunFolder) -> tuple[Any, ...]:
    """Weights of the last checkpoint and metrics without times."""
    lines = [json.loads(line) for line in (folder.path / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        del line["timing"]
    newest = max(folder.checkpoints.glob("step_*"))
    return (newest / "policy.safetensors").read_bytes(), lines


def updates(folder: RunFolder) -> int:
    """Updates written down so far."""
    try:
        return (folder.path / "metrics.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


@pytest.mark.slow
def test_interruptions_at_random_moments_change_no_result(tmp_path: Path) -> None:
    steps = 20_000 + INTERRUPTIONS * 4000
    whole = RunFolder(tmp_path / "whole" / "train_dir" / "r")
    process = started(tmp_path / "whole", steps)
    process.communicate(timeout=SECONDS)
    assert process.returncode == 0

    rng = random.Random(20_260_101)
    run = RunFolder(tmp_path / "interrupted" / "train_dir" / "r")
    for number in range(INTERRUPTIONS):
        kind = list(KINDS)[number % len(KINDS)]
        before = updates(run)
        process = started(tmp_path / "interrupted", steps)
        assert process.stdout is not None
        deadline = time.monotonic() + SECONDS
        # Some are hit while they get ready, most while they train.
        while rng.random() < 0.9995 and updates(run) <= before and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        if kind == "closed pipe":
            process.stdout.close()
            process.send_signal(signal.SIGHUP)  # the pipe is met when something is said next
        for sent in KINDS[kind]:
            process.send_signal(sent)
            time.sleep(rng.choice((0, 0.05)))
        last = 0 if not run.path.exists() else updates(run)
        assert process.wait(SECONDS) is not None
        status = run.status()
        if status is None:
            continue  # before anything was written
        assert holder(run.lock_file) is None
        if kind != "kill -9" and process.returncode != 0:
            assert status.state in ("stopped", "trained"), (kind, number, status)
        if kind not in LOSES and status.starts > 1:
            kept = max(run.checkpoints.glob("step_*"), default=None)
            assert kept is not None
            record = json.loads((kept / "trainer.json").read_text())
            assert record["updates"] >= min(last, updates(run)), (kind, number)
    process = started(tmp_path / "interrupted", steps)
    process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert results(run) == results(whole)
