"""Every documented command runs as written, each in its smallest form: few steps, short episodes, one seed."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
import urllib.request
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from metta.base.provenance import REPOSITORY

SHORT_TRAINING = (
    *("trainer.total_timesteps=400", "trainer.num_streams=1", "trainer.rollout_steps=16", "trainer.minibatches=1"),
    *("sim.max_steps=40", "system.threads=1"),
)
SHORT_EVALUATION = ("evaluation.worlds=1", "evaluation_environments.basic.max_steps=20", "system.threads=1")

EXTRA_WORDS = {
    "level_1_basic.train": (*SHORT_TRAINING, *SHORT_EVALUATION[:2]),
    "level_3_medium.train": (
        *SHORT_TRAINING,
        *SHORT_EVALUATION[:2],
        "evaluation_environments.combat.max_steps=20",
    ),
    "level_1_basic.evaluate": SHORT_EVALUATION,
    ".probe": (*SHORT_EVALUATION, "emptied_every=[1,8]", "delayed_by=[2]"),
    "crossplay.py": ("--worlds", "1", "--steps", "20", "--threads", "1"),
    "imitation.py": (
        *("--samples", "400", "--seeds", "1", "--architectures", "fast"),
        *(*SHORT_TRAINING[1:], *SHORT_EVALUATION[:2]),
    ),
    ".play": SHORT_EVALUATION[1:],
    ".replay": SHORT_EVALUATION,
    "make_env": (),
    "make_evals": (),
    "--max-timesteps 5000000": ("--dry-run",),
    "--max-timesteps 500000": (
        *("--max-timesteps", "400", "--seeds", "1"),
        *(*SHORT_TRAINING[1:], *SHORT_EVALUATION[:2]),
    ),
    "--quick": (*("--max-timesteps", "400", "--seeds", "1"), *(*SHORT_TRAINING[1:-1], *SHORT_EVALUATION[:2])),
    "adaptive.py --experiment-id benchmark_20260101 --timesteps 1000000 --local": (
        *("--timesteps", "400", "--seeds-per-level", "1", "--architectures", "fast", "--levels", "level_1_basic"),
        *(*SHORT_TRAINING[1:-1], *SHORT_EVALUATION[:2]),
    ),
    "adaptive.py": (),
    "tuning.py": (
        *("--timesteps", "1", "--architectures", "memory_free"),
        *SHORT_EVALUATION[:2],
    ),
    "metta.sim.conformance": (),
    "batch.py": (),
}
"""Part of a documented command -> what is added to make it small; the first part that occurs counts.

A flag or key that is given again by these words replaces the documented one.
"""


TRAIN, QUICK = "run=quick_test", "--quick"
"""What tells the documented commands whose files are looked at below."""


def documented_commands() -> list[str]:
    """The commands of docs/interface.md and of the README's table that have no place-holders, in order."""
    page = (REPOSITORY / "docs" / "interface.md").read_text(encoding="utf-8")
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^    (uv run .+)$", page, re.MULTILINE) + re.findall(r"`(uv run [^`]+)`", readme)
    return list(dict.fromkeys(command for command in found if "<" not in command))


def small_form(command: str) -> list[str]:
    """The words of the command's smallest form, without `uv run`."""
    extra = next((words for part, words in EXTRA_WORDS.items() if part in command), None)
    assert extra is not None, f"say how to make this documented command small: {command}"
    words = shlex.split(command)[2:]
    given_again = {word.split("=")[0] for word in extra if "=" in word}
    words = [word for word in words if word.split("=")[0] not in given_again]
    return [*words, *extra]


@dataclass
class Workplace:
    """A folder that looks like the repository and takes what the commands write."""

    folder: Path
    done: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)

    def result(self, command: str) -> subprocess.CompletedProcess[str]:
        """What a documented command did, run once, after those that stand before it."""
        for each in documented_commands():
            if each not in self.done:
                self.done[each] = run(self.folder, small_form(each))
            if each == command:
                break
        return self.done[command]

    def after(self, part: str) -> Path:
        """The folder once the first documented command that contains `part` has succeeded."""
        done = self.result(next(command for command in documented_commands() if part in command))
        assert done.returncode == 0, done.stderr + done.stdout
        return self.folder


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """One for all tests of this file; each runs what it needs first, so that their order does not matter."""
    folder = tmp_path_factory.mktemp("workplace")
    for name in ("tools", "experiments", "tests", "benchmarks"):
        (folder / name).symlink_to(REPOSITORY / name)
    return Workplace(folder)


def run(folder: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run one command with this interpreter, in the place of `uv run`."""
    words = words[1:] if words[0] == "python" else words
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if any(".play" in word for word in words):
        return play(folder, words, environment)
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def play(folder: Path, words: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Start a live world, load its page and its episode, and interrupt it."""
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as serving:
        assert serving.stdout is not None
        lines: list[str] = []
        try:
            for line in iter(serving.stdout.readline, ""):
                lines.append(line)
                if line.startswith("http"):  # before it there may be a word about what takes long
                    for what in ("", "episode"):
                        with urllib.request.urlopen(line.strip() + what, timeout=600) as answer:
                            assert answer.status == 200
                    break
        finally:
            serving.send_signal(signal.SIGINT)
            output, error = serving.communicate()
        return subprocess.CompletedProcess(words, serving.returncode, "".join(lines) + output, error)


def test_optional_tests_name_groups_and_files_that_exist() -> None:
    page = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    groups = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    commands = [shlex.split(line) for line in re.findall(r"^    (uv run --group .+)$", page, re.MULTILINE)]
    assert len(commands) >= 5
    for words in commands:
        assert {name for flag, name in pairwise(words) if flag == "--group"} <= set(groups)
        assert (REPOSITORY / words[-1]).exists()


def test_commands_are_found() -> None:
    assert len(documented_commands()) >= 10


@pytest.mark.parametrize("command", documented_commands())
def test_documented_command_runs(workplace: Workplace, command: str) -> None:
    done = workplace.result(command)
    assert done.returncode == 0, done.stderr + done.stdout


def test_what_the_commands_left(workplace: Workplace) -> None:
    """The files that docs/interface.md promises."""
    folder = workplace.after(TRAIN) / "train_dir" / "quick_test"
    for name in ("config.json", "status.json", "metrics.jsonl", "evaluation.json", "log.txt"):
        assert (folder / name).stat().st_size > 0, name
    assert list((folder / "checkpoints").glob("step_*/*.safetensors"))
    benchmark = workplace.after(QUICK) / "train_dir" / "quick"
    quick = json.loads((benchmark / "benchmark_results.json").read_text())
    assert [run["training"]["status"] for run in quick["runs"]] == ["success"] * 2
    assert [run["evaluation"]["status"] for run in quick["runs"]] == ["success"] * 2
    quick_command = next(command for command in documented_commands() if QUICK in command)
    said = workplace.result(quick_command).stdout.partition("Watch the best run")[2]
    assert "The pair was chosen because it differs" in said
    (watch,) = re.findall(r"uv run (tools/run.py level_1_basic.replay policy_uri=.+)", said)
    assert run(workplace.folder, [*shlex.split(watch), *SHORT_EVALUATION, "output=best.html"]).returncode == 0
    assert set(quick["references"]) == {"level_1_basic"}
    table = (benchmark / "benchmark_results.md").read_text()
    assert all(name in table for name in ("trxl", "transformer", "random"))


def test_the_benchmark_left_replays_that_its_report_links_to(workplace: Workplace) -> None:
    folder = workplace.after(QUICK) / "train_dir" / "quick"
    page = (folder / "report.html").read_text()
    replays = sorted(folder.glob("*/replay.*.html"))
    assert 2 <= len(replays) <= 4  # the best episode may be the median one
    for file in replays:
        assert f'href="{file.relative_to(folder)}"' in page
        assert file.stat().st_size < 5e6
    before = {file: file.stat().st_mtime_ns for file in replays}
    replays[0].unlink()
    done = run(workplace.folder, ["-m", "metta.lab.replays", "train_dir/quick"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("replay of the") == 1
    assert {file for file in before if file.stat().st_mtime_ns != before[file]} == {replays[0]}


def test_a_replay_without_its_checkpoint_is_one_sentence(workplace: Workplace) -> None:
    folder = workplace.after(QUICK) / "train_dir" / "quick"
    replay = next(folder.glob("*/replay.*.html"))
    replay.unlink()
    checkpoints = replay.parent / "checkpoints"
    checkpoints.rename(replay.parent / "away")
    done = run(workplace.folder, ["-m", "metta.lab.replays", "train_dir/quick"])
    (replay.parent / "away").rename(checkpoints)
    assert done.returncode == 1
    assert done.stderr.count("error: no replay of the") == done.stderr.count("\n") >= 1
    assert "does not exist" in done.stderr


def test_best_and_named_checkpoints(workplace: Workplace) -> None:
    path = "experiments.recipes.benchmark_architectures.level_1_basic.evaluate"
    checkpoints = Path("train_dir/quick_test/checkpoints")
    name = max((workplace.after(TRAIN) / checkpoints).glob("step_*")).name
    addresses = (f"{checkpoints}/{name}", *(f"file://./{checkpoints}:{which}" for which in (name, "best")))
    for address in (*addresses, "train_dir/quick_test"):
        done = run(workplace.folder, ["tools/run.py", path, f"policy_uri={address}", *SHORT_EVALUATION])
        assert done.returncode == 0, done.stderr


def test_a_damaged_checkpoint_is_one_sentence(workplace: Workplace) -> None:
    checkpoint = max((workplace.after(TRAIN) / "train_dir" / "quick_test" / "checkpoints").glob("step_*"))
    weights = checkpoint / "policy.safetensors"
    whole = weights.read_bytes()
    path = "experiments.recipes.benchmark_architectures.level_1_basic.evaluate"
    for damaged in (whole[:100], whole[:-1] + bytes([whole[-1] ^ 1]), b""):
        weights.write_bytes(damaged)
        done = run(workplace.folder, ["tools/run.py", path, f"policy_uri={checkpoint}", *SHORT_EVALUATION])
        assert done.returncode == 2
        assert "damaged" in done.stderr
        assert done.stderr.count("\n") == 1
    weights.write_bytes(whole)
