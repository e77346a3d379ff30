"""A level, a launcher and a metric are added by one entry each, as CONTRIBUTING.md says, in a temporary copy."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPES = "experiments/recipes/benchmark_architectures"
LAUNCHER = '''"""A place for a test."""
from pathlib import Path
from metta.lab.executors.launcher import BaseLauncher
from metta.lab.executors.local import LocalExecutor
class Launcher(BaseLauncher):
    def executor(self, slots: int, output: Path, address: str | None) -> LocalExecutor:
        return LocalExecutor(slots)
'''


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("metta", "experiments"):
        shutil.copytree(ROOT / folder, tmp_path / folder)  # with the compiled kernels
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "architectures.md", tmp_path / "docs")  # forecasts begin with its rates
    return tmp_path


def changed(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))


REPORT = """
from pathlib import Path
from metta.analysis.report import main
from metta.sim.episodes import COUNTER_NAMES
from tests.analysis import wide
wide.COUNTERS = COUNTER_NAMES  # all that the simulator counts
main([str(wide.write_benchmark(Path("bench"), architectures=("fast",), levels=("level_1_basic",), seeds=1))])
"""


def printed(copy: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_level_and_a_launcher(copy: Path) -> None:
    four = (copy / RECIPES / "level_4_hard.py").read_text()
    (copy / RECIPES / "level_6_new.py").write_text(four.replace("level_4_hard", "level_6_new"))
    levels = copy / RECIPES / "levels.py"
    changed(levels, "    level_5_expert,\n)", "    level_5_expert,\n    level_6_new,\n)")
    changed(levels, "level_5_expert)", "level_5_expert, level_6_new)")
    (copy / "metta/lab/executors/yard.py").write_text(LAUNCHER)
    changed(copy / "metta/lab/executors/launcher.py", 'LAUNCHERS = ("local",', 'LAUNCHERS = ("local", "yard",')
    words = ("--experiment-id", "x", "--launcher", "yard", "--architectures", "fast", "--cpus-per-job", "2")
    said = printed(copy, f"{RECIPES}/adaptive.py", *words, "--seeds-per-level", "1", "--dry-run", "--commands")
    commands = [line for line in said.splitlines() if not line.startswith("#")]
    assert len(commands) == 6
    assert ".level_6_new.train " in commands[-1]
    assert commands[-1].endswith("system.threads=2")


def test_a_metric(copy: Path) -> None:
    """A counter of episodes that no page showed so far."""
    shutil.copytree(ROOT / "tests" / "analysis", copy / "tests" / "analysis")
    moves = '    "moves": "moves",\n'
    changed(copy / "metta/analysis/metrics.py", moves, f'{moves}    "lost_ore_red": "spent ore",\n')
    printed(copy, "-c", REPORT)
    assert "spent ore" in (copy / "bench" / "report.html").read_text()
