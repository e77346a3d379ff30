"""A real experiment on this machine ends as if nothing had happened when workers and controllers are killed at random.

Real processes and SIGKILL. The moments and victims come from `SEED`, as far as a real machine repeats itself.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from experiments.recipes.benchmark_architectures import adaptive
from metta.analysis.results import read_results
from metta.lab.run_folder import RunFolder
from tests.lab.test_adaptive import TINY

SEED = 20_260_101
KILLS = 8
RETRIES = 2
SECONDS = 600.0
"""Nothing is waited for longer."""
WORDS = (
    *("--experiment-id", "x", "--architectures", "fast,memory_free", "--levels", "level_1_basic"),
    *("--timesteps", "20000", "--seeds-per-level", "1", "--local", "--max-parallel", "2", "--retries", str(RETRIES)),
    *(*TINY, "trainer.checkpoint_every=2000"),
)


@dataclass
class Experiment:
    """One command, repeated in a folder of its own."""

    folder: Path
    controller: "subprocess.Popen[bytes] | None" = None
    finished: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Run -> starts and evaluation file's time, when the run was first seen finished."""

    def start(self) -> None:
        """Type the command."""
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "said.txt").open("ab") as said:
            self.controller = subprocess.Popen(
                [sys.executable, adaptive.__file__, *WORDS],
                cwd=self.folder,
                env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
                stdout=said,
                stderr=said,
            )

    def end(self) -> None:
        """Wait for the command's own end; it must be a good one."""
        assert self.controller is not None
        assert self.controller.wait(SECONDS) == 0, self.said

    @property
    def said(self) -> str:
        """Everything that all the controllers said."""
        return (self.folder / "said.txt").read_text()

    @property
    def runs(self) -> list[RunFolder]:
        return [RunFolder(path) for path in sorted((self.folder / "train_dir" / "x").glob("x.*"))]

    def workers(self) -> dict[int, tuple[int, str]]:
        """Jobs that live, whoever started them: process -> parent and what it works on."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and (entry / "cwd").readlink() == self.folder:
                    words = (entry / "cmdline").read_text().split("\0")
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    if any(word.endswith("tools/run.py") for word in words):
                        what = next(w for w in words if w.startswith(("run=", "policy_uri=")))
                        found[int(entry.name)] = (parent, what)
            except OSError:
                continue  # it has just ended
        return found

    def watch(self) -> None:
        """Of a run, one job of the living controller at most; what is finished stays as it is."""
        assert self.controller is not None
        mine = [what for parent, what in self.workers().values() if parent == self.controller.pid]
        assert len(mine) <= 2
        assert len(set(mine)) == len(mine)
        for run in self.runs:
            if run.is_finished():
                status = run.status()
                assert status is not None
                seen = (status.starts, run.evaluation_file.stat().st_mtime_ns)
                assert self.finished.setdefault(run.path.name, seen) == seen

    def wait_for(self, found: Callable[[], Any]) -> Any:
        """The first true value of `found`; None if the controller ends before."""
        assert self.controller is not None
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            self.watch()
            if value := found():
                return value
            if self.controller.poll() is not None:
                return None
            time.sleep(0.05)
        raise AssertionError(f"waited in vain:\n{self.said}")

    def kill(self) -> None:
        """Clean up after a test that failed."""
        for process in [*self.workers(), *([self.controller.pid] if self.controller else [])]:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue


def results(experiment: Experiment) -> dict[str, Any]:
    """What an experiment found, without times: hearts, rewards, learning curves and the policies' own hashes."""
    found: dict[str, Any] = {}
    for record in read_results(experiment.folder / "train_dir" / "x" / "benchmark_results.json").runs:
        assert (record.training.status, record.evaluation.status) == ("success", "success")
        run = RunFolder(experiment.folder / "train_dir" / "x" / record.training.run_name)
        lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
        for line in lines:
            del line["timing"]
        manifests = {
            path.parent.name: json.loads(path.read_text())["policy.safetensors"]
            for path in run.checkpoints.glob("step_*/manifest.json")
        }
        evaluation = {name: result.model_dump() for name, result in record.evaluation.results.items()}
        found[record.training.run_name] = (evaluation, lines, manifests)
    return found


@pytest.mark.slow
def test_kills_at_random_change_no_result(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    kinds = ["worker", "controller"]
    rng.shuffle(kinds)
    kinds += rng.choices(["worker", "controller"], k=KILLS - len(kinds))
    killed: Counter[str] = Counter()
    undisturbed, disturbed = Experiment(tmp_path / "undisturbed"), Experiment(tmp_path / "disturbed")
    try:
        undisturbed.start()
        undisturbed.end()
        disturbed.start()
        for kind in kinds:
            moment = time.monotonic() + rng.uniform(0.0, 10.0)
            disturbed.wait_for(lambda moment=moment: time.monotonic() > moment)  # type: ignore[misc]

            def victims() -> list[tuple[int, str]]:
                assert disturbed.controller is not None
                parent = disturbed.controller.pid
                mine = [(pid, what) for pid, (whose, what) in disturbed.workers().items() if whose == parent]
                # One that is killed more often than it is tried again has failed.
                return sorted(each for each in mine if killed[each[1]] < RETRIES)

            found = disturbed.wait_for(victims)
            if found is None:
                break
            if kind == "worker":
                process, what = rng.choice(found)
                os.kill(process, signal.SIGKILL)
                killed[what] += 1
            else:
                assert disturbed.controller is not None
                disturbed.controller.kill()
                disturbed.controller.wait()
                disturbed.start()
            killed[kind] += 1
        disturbed.end()
        assert killed["worker"] > 0, disturbed.said
        assert killed["controller"] > 0, disturbed.said
        assert results(disturbed) == results(undisturbed)
        deadline = time.monotonic() + SECONDS
        while disturbed.workers() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert disturbed.workers() == {}
        # Each update was kept once, and what was finished is not begun again.
        for run in disturbed.runs:
            updates = [json.loads(line)["update"] for line in (run.path / "metrics.jsonl").read_text().splitlines()]
            assert updates == list(range(1, len(updates) + 1))
        disturbed.start()
        disturbed.end()
        disturbed.watch()
        assert len(disturbed.finished) == len(disturbed.runs) == 2
    finally:
        undisturbed.kill()
        disturbed.kill()
