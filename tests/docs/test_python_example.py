"""The example of docs/interface.md runs as it stands."""

import re
import shutil
from pathlib import Path

import pytest

from metta.base.provenance import REPOSITORY
from metta.rl.trainer import train
from tests.analysis.wide import write_benchmark
from tests.rl.small_run import small_run


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = write_benchmark(tmp_path / "train_dir" / "quick", ("fast", "vit"), ("level_1_basic",), seeds=2).parent
    run = results / "quick.fast.level_1_basic.s0"
    run.mkdir(exist_ok=True)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    trained = tmp_path / "trained"
    trained.mkdir()
    train(small_run(updates=2), trained)
    shutil.copytree(trained / "checkpoints", run / "checkpoints")
    page = (REPOSITORY / "docs" / "interface.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(example, "docs/interface.md", "exec"), names)
    assert {"fast", "vit"} <= set(names["results"].architecture)  # type: ignore[attr-defined]
    assert len(names["curves"])  # type: ignore[arg-type]
