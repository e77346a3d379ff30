"""Real commands that are interrupted at random moments in every way end as if nothing had happened.

`METTA_INTERRUPTIONS=50 python -m pytest -s -m slow tests/lab/test_interruptions.py` for 50 of every command, counted;
with METTA_INTERRUPTIONS_MINUTES=30 as many of them as there is time for.

Each command is a process of its own, forked from one that has imported torch, which takes longest; jobs that it starts
are started as ever.
"""

import json
import multiprocessing
import os
import random
import runpy
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from experiments.recipes.benchmark_architectures import adaptive, run_benchmark
from metta.analysis.results import read_results
from metta.base.files import holder, read_json
from metta.base.provenance import REPOSITORY
from metta.lab.run_folder import RunFolder, RunStatus

INTERRUPTIONS = int(os.environ.get("METTA_INTERRUPTIONS", "9"))
SEED = int(os.environ.get("METTA_INTERRUPTIONS_SEED", "20260101"))
MINUTES = float(os.environ.get("METTA_INTERRUPTIONS_MINUTES", "inf"))
"""No command is interrupted later than so long after the first."""
SECONDS = 1200.0
"""Nothing is waited for longer."""


@dataclass(frozen=True)
class Kind:
    """A way to interrupt a command."""

    signals: tuple[signal.Signals, ...] = ()
    everybody: bool = False
    """Also the command's jobs, as a terminal does; else only the command itself."""
    loses: bool = False
    """Finished updates may be lost: those since the last checkpoint."""
    kills: bool = False
    """Nothing can be written down any more."""
    job: bool = False
    """Only one of its jobs; the command goes on, and tries the run again."""


KINDS = {
    "ctrl-c": Kind((signal.SIGINT,), everybody=True),
    "ctrl-c twice": Kind((signal.SIGINT, signal.SIGINT), everybody=True, loses=True),
    "ctrl-c and its controller": Kind((signal.SIGINT, signal.SIGTERM), everybody=True),
    "sigterm": Kind((signal.SIGTERM,)),
    "sighup": Kind((signal.SIGHUP,), everybody=True),
    "closed pipe": Kind(),
    "kill -9": Kind((signal.SIGKILL,), loses=True, kills=True),
    "kill -9 of everybody": Kind((signal.SIGKILL,), everybody=True, loses=True, kills=True),
    "kill -9 of a job": Kind((signal.SIGKILL,), job=True),
}
SETTINGS = (
    *("trainer.num_streams=12", "trainer.rollout_steps=8", "trainer.minibatches=1", "trainer.checkpoint_every=1000"),
    *("sim.max_steps=40", "evaluation.worlds=1", "evaluation_environments.basic.max_steps=20"),
    *("system.threads=1", "system.device=cpu"),
)
FEW = ("--architectures", "fast", "--levels", "level_1_basic", "--replays", "none")
LEVEL = "experiments.recipes.benchmark_architectures.level_1_basic"
COMMANDS: dict[str, tuple[str, ...]] = {
    "train": (
        *(str(REPOSITORY / "tools" / "run.py"), f"{LEVEL}.train", "run=r", "arch_type=fast", "train_dir=x"),
        *("trainer.total_timesteps=5000", *SETTINGS),
    ),
    "benchmark": (
        *(run_benchmark.__file__, "--output-dir", "x", "--parallel", "2", "--seeds", "2", "--max-timesteps", "3000"),
        *(*FEW, *SETTINGS),
    ),
    "adaptive": (
        *(adaptive.__file__, "--local", "--experiment-id", "x", "--results-root", ".", "--max-parallel", "2"),
        *("--seeds-per-level", "2", "--timesteps", "3000", *FEW, *SETTINGS),
    ),
}


FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    [
        *("experiments.recipes.benchmark_architectures.level_1_basic", run_benchmark.__name__, adaptive.__name__),
        *("metta.lab.training", "metta.lab.evaluation", "metta.rl.trainer", "metta.rl.evaluate", "metta.rl.latency"),
        *("metta.rl.resolved_player", "metta.analysis.report", "metta.analysis.summary"),
    ]
)


def typed(words: Sequence[str], folder: Path, output: Connection) -> None:
    """Become a command that is typed in a folder, as the leader of a session and its group."""
    os.setsid()
    os.chdir(folder)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.dup2(output.fileno(), 1)
    output.close()
    with (folder / "faults.txt").open("ab") as faults:
        os.dup2(faults.fileno(), 2)
    sys.stdout, sys.stderr = (os.fdopen(descriptor, "w", closefd=False) for descriptor in (1, 2))
    sys.argv = list(words)
    runpy.run_path(words[0], run_name="__main__")


@dataclass
class Started:
    """A command at work."""

    process: ForkServerProcess
    reader: Connection
    """The other end of its output."""

    def wait(self) -> int:
        """Wait for its end; returns its exit status."""
        assert not self.lives_until(time.monotonic() + SECONDS)
        assert self.process.exitcode is not None
        return self.process.exitcode

    def lives_until(self, moment: float) -> bool:
        """Whether it still lives at a moment of the monotonic clock."""
        self.process.join(max(0.0, moment - time.monotonic()))
        return self.process.is_alive()

    def send(self, number: signal.Signals, everybody: bool) -> None:
        """Send it a signal, or to its whole group."""
        assert self.process.pid is not None
        with suppress(ProcessLookupError):
            (os.killpg if everybody else os.kill)(self.process.pid, number)


@dataclass
class Place:
    """A folder in which one command is repeated."""

    words: Sequence[str]
    folder: Path

    def start(self) -> Started:
        """Type the command, in a session of its own."""
        self.folder.mkdir(exist_ok=True)
        reader, writer = multiprocessing.Pipe(duplex=False)
        process = FORKED.Process(target=typed, args=(self.words, self.folder, writer))
        process.start()
        writer.close()
        return Started(process, reader)

    def complete(self) -> float:
        """Let the command come to its end, which must be a good one; returns how long it took, in seconds."""
        begun = time.monotonic()
        assert self.start().wait() == 0, self.faults
        return time.monotonic() - begun

    @property
    def faults(self) -> str:
        """All that was said on standard error."""
        return (self.folder / "faults.txt").read_text()

    @property
    def runs(self) -> list[RunFolder]:
        """Those that have been begun."""
        return [RunFolder(file.parent) for file in sorted((self.folder / "x").glob("*/config.json"))]

    def statuses(self) -> dict[str, RunStatus | None]:
        """Where the runs stand."""
        return {run.path.name: run.status() for run in self.runs}

    def results(self) -> dict[str, Any]:
        """Weights, metrics without times and evaluations of the runs."""
        found = {}
        for run in self.runs:
            lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
            for line in lines:
                del line["timing"]
            newest = max(run.checkpoints.glob("step_*"))
            hearts = read_json(run.evaluation_file)["results"]
            assert run.is_finished()
            found[run.path.name] = ((newest / "policy.safetensors").read_bytes(), lines, hearts)
        table = self.folder / "x" / "benchmark_results.json"
        if table.exists():
            runs = read_results(table).runs
            assert [run.training.run_name for run in runs] == list(found)
            assert all(run.training.status == run.evaluation.status == "success" for run in runs)
        return found


def updates(run: RunFolder) -> int:
    """Updates written down so far."""
    try:
        return (run.path / "metrics.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def kept(run: RunFolder) -> tuple[int, int]:
    """Updates and agent-steps in the newest checkpoint."""
    newest = max(run.checkpoints.glob("step_*"))
    record = read_json(newest / "trainer.json")
    return record["updates"], record["timesteps"]


def interrupt(started: Started, kind: Kind, rng: random.Random) -> None:
    """Interrupt it, and wait for its end."""
    if not kind.signals:
        started.reader.close()
    for sent in kind.signals:
        started.send(sent, kind.everybody)
        time.sleep(rng.choice((0, 0.05, 0.5)))
    started.wait()


def jobs_of(controller: int | None) -> list[int]:
    """The processes in which its runs are trained and evaluated."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == controller and "tools/run.py" in (entry / "cmdline").read_text():
                found.append(int(entry.name))
    return sorted(found)


def wait_for_jobs(place: Place) -> None:
    """Those of a controller that was killed end by themselves."""
    deadline = time.monotonic() + SECONDS
    while any(holder(run.lock_file) for run in place.runs):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def interrupted(place: Place, kind: Kind, rng: random.Random, seconds: float) -> str | None:
    """Start the command and interrupt it at a random moment; returns what it was doing, or None if it had ended.

    Args:
        place: where.
        kind: how.
        rng: draws the moment.
        seconds: how long the command takes, about.
    """
    before, counts = place.statuses(), {run.path: updates(run) for run in place.runs}
    begun = time.monotonic()
    started = place.start()

    def trains() -> bool:
        return any(updates(run) > counts.get(run.path, 0) for run in place.runs)

    # Half of them anywhere, half soon after something was learnt.
    moment = begun + rng.uniform(0, seconds)
    soon, delay = rng.random() < 0.5, rng.uniform(0, seconds / 10)
    while soon and not trains() and started.lives_until(0.0):
        time.sleep(0.02)
    lives = started.lives_until(time.monotonic() + delay if soon else moment)
    jobs: list[int] = []
    while kind.job and lives and not (jobs := jobs_of(started.process.pid)):
        lives = started.lives_until(time.monotonic() + 0.02)
    if not lives:
        assert started.wait() == 0, place.faults
        return None
    if kind.job:
        assert len(jobs) <= 2
        with suppress(ProcessLookupError):
            os.kill(rng.choice(jobs), signal.SIGKILL)
        assert started.wait() == 0, place.faults
        return "going on"
    states = {status.state for status in place.statuses().values() if status is not None}
    doing = "evaluating" if "evaluating" in states else "training" if trains() else "getting ready"
    interrupt(started, kind, rng)
    wait_for_jobs(place)
    for run in place.runs:
        status = run.status()
        if status is None or status == before.get(run.path.name) or kind.kills:
            continue  # nothing was written in this start, or nothing could be
        assert status.state in ("stopped", "trained", "finished"), (doing, status)
        assert status.error is None
        assert (status.state == "finished") == run.is_finished()
        trained = updates(run) != counts.get(run.path, 0)
        if trained and not kind.loses:
            assert kept(run) == (updates(run), status.timesteps), (doing, status)
    return doing


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_interruptions_at_random_moments_change_no_result(name: str, tmp_path: Path) -> None:
    rng = random.Random(SEED)
    Place([str(REPOSITORY / "tools" / "run.py"), "--help"], tmp_path / "imports").complete()
    whole = Place(COMMANDS[name], tmp_path / "whole")
    seconds = whole.complete()
    expected = whole.results()

    kinds = [kind for kind in KINDS if name == "adaptive" or not KINDS[kind].job]
    counted: Counter[str] = Counter()
    rounds = 0
    place = Place(COMMANDS[name], tmp_path / "round0")
    end = time.monotonic() + 60 * MINUTES
    while counted.total() < INTERRUPTIONS and time.monotonic() < end:
        kind = kinds[counted.total() % len(kinds)]
        try:
            doing = interrupted(place, KINDS[kind], rng, seconds)
        except AssertionError as error:
            raise AssertionError(f"{name}, {kind}, after {counted}, in {place.folder}") from error
        if doing is not None:
            counted[f"{kind}: {doing}"] += 1
            print(f"{counted.total()}: {kind}, {doing}", flush=True)
            continue
        assert place.results() == expected
        rounds += 1
        place = Place(COMMANDS[name], tmp_path / f"round{rounds}")
    place.complete()
    assert place.results() == expected
    print(f"{name}: {counted.total()} interruptions, {rounds + 1} times completed: {json.dumps(counted, indent=1)}")
