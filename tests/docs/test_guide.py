"""Every command of docs/guide.md runs as written, each in its smallest form."""

import re
import shlex
from pathlib import Path

import pytest

from metta.base.provenance import REPOSITORY
from tests.analysis.wide import LEVELS, write_benchmark
from tests.docs.test_commands import SHORT_EVALUATION, SHORT_TRAINING, run

GUIDE = (REPOSITORY / "docs" / "guide.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    uv run (.+)$", GUIDE, re.MULTILINE)
RUN = "quick.trxl.level_1_basic.s0"
TRAIN = (
    "tools/run.py experiments.recipes.benchmark_architectures.level_1_basic.train arch_type=trxl "
    f"run={RUN} train_dir=train_dir/quick"
)
COMBAT = ("evaluation_environments.combat.max_steps=20", "evaluation.worlds=4", "system.threads=1")


def small_form(command: str) -> list[str]:
    """The words of the command's smallest form; a key that is given again replaces the documented one."""
    words = shlex.split(command)
    if ".train " in command:
        extra: tuple[str, ...] = (*SHORT_TRAINING, *SHORT_EVALUATION[:2])
    elif "combat" in command:
        extra = COMBAT
    elif ".play " in command:
        extra = SHORT_EVALUATION[1:]
    elif ".replay " in command or ".evaluate " in command:
        extra = SHORT_EVALUATION
    elif "metta.lab.replays" in command:
        extra = ("--help",)  # the results here are invented; tests/docs/test_commands.py plays real ones
    elif "run_benchmark.py" in command:
        extra = () if "--dry-run" in command else ("--dry-run",)
    else:
        extra = ()
    again = {word.split("=")[0] for word in extra if "=" in word}
    return [*(word for word in words if word.split("=")[0] not in again), *extra]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the repository after the quick start, with one real run in it."""
    folder = tmp_path_factory.mktemp("workplace")
    for name in ("tools", "experiments", "tests"):
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / "train_dir").mkdir()
    write_benchmark(folder / "train_dir" / "quick", architectures=("trxl", "vit"), levels=LEVELS[:1], seeds=2)
    write_benchmark(folder / "train_dir" / "more", architectures=("puffer",), levels=LEVELS[:1], seeds=2)
    done = run(folder, [*shlex.split(TRAIN), *SHORT_TRAINING, *SHORT_EVALUATION[:2]])
    assert done.returncode == 0, done.stderr
    return folder


def test_commands_are_found() -> None:
    assert len(COMMANDS) == 15


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_guide_runs(workplace: Path, command: str) -> None:
    done = run(workplace, small_form(command))
    assert done.returncode == 0, done.stderr + done.stdout


def test_what_the_commands_left(workplace: Path) -> None:
    """Runs after the commands above."""
    for name in ("quick/report.html", "quick/report/standings.csv", "both.html"):
        assert (workplace / "train_dir" / name).stat().st_size > 0
    assert list((workplace / "train_dir" / "quick" / RUN).glob("replay.*.html"))
    assert len(list((workplace / "train_dir" / "replays").glob("*.html"))) == 2
