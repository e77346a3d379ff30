"""Which checkpoint is evaluated, where the results go, and what is refused."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from metta.base.errors import InputError
from metta.cli.main import resolve
from metta.lab.evaluation_key import differ
from tests.lab.stand_ins import Bench

PACKAGE = "experiments.recipes.benchmark_architectures"
CHECKPOINTS = Path("train_dir/r/checkpoints")


@pytest.fixture
def run(bench: Bench) -> Path:
    """A finished run of vit on level 1."""
    resolve([f"{PACKAGE}.level_1_basic.train", "run=r", "trainer.total_timesteps=300"]).execute()
    (CHECKPOINTS / "best.json").write_text('{"checkpoint": "step_000000000200"}')
    return Path("train_dir/r")


def evaluate(uri: str, *words: str, level: str = "level_1_basic") -> int:
    """Evaluate an address on a level."""
    return resolve([f"{PACKAGE}.{level}.evaluate", f"policy_uri={uri}", *words]).execute()


def test_the_newest_goes_to_evaluation_json(run: Path) -> None:
    (run / "evaluation.json").unlink()
    assert evaluate(f"file://./{CHECKPOINTS}") == 0
    record = json.loads((run / "evaluation.json").read_text())
    assert record["checkpoint"] == "step_000000000300"
    assert record["architecture"] == "vit"


def test_latency_is_measured_again_only_where_asked_for_or_the_machine_was_busy(run: Path, bench: Bench) -> None:
    def latency(*words: str, measures: float, busy: bool = False) -> float:
        bench.latency = {"median_milliseconds": measures, "busy": busy}
        assert evaluate(str(CHECKPOINTS), *words) == 0
        found: float = json.loads((run / "evaluation.json").read_text())["acting_latency"]["median_milliseconds"]
        return found

    assert latency(measures=9.0) == 1.5
    assert latency("latency=again", measures=2.5, busy=True) == 2.5
    assert latency(measures=3.5) == 3.5
    assert latency(measures=4.5) == 3.5


def test_another_checkpoint_or_level_goes_to_a_file_of_its_own(run: Path) -> None:
    own = (run / "evaluation.json").read_bytes()
    evaluate(f"file://./{CHECKPOINTS}:best")
    record = json.loads((run / "evaluation.level_1_basic.best.json").read_text())
    assert record["checkpoint"] == "step_000000000200"
    evaluate(f"{CHECKPOINTS}/step_000000000100", level="level_3_medium")
    record = json.loads((run / "evaluation.level_3_medium.step_000000000100.json").read_text())
    assert set(record["results"]) == {"basic", "combat"}
    assert (run / "evaluation.json").read_bytes() == own


@pytest.mark.parametrize("word", ["evaluation.worlds=2", "evaluation_environments.basic.max_steps=5"])
@pytest.mark.parametrize("which", ["newest", "best"])
def test_other_settings_than_the_run_s_go_to_a_file_of_their_own(run: Path, word: str, which: str) -> None:
    evaluate(f"{CHECKPOINTS}:{which}")
    file = run / ("evaluation.json" if which == "newest" else "evaluation.level_1_basic.best.json")
    own = file.read_bytes()
    evaluate(f"{CHECKPOINTS}:{which}", word)
    (other,) = run.glob(f"evaluation.level_1_basic.{which}.*.json")
    configuration = json.loads((run / "config.json").read_text())["configuration"]
    assert differ(json.loads(other.read_text()), configuration)
    assert not differ(json.loads(own), configuration)
    assert file.read_bytes() == own


def test_random_is_written_only_where_asked(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate("random")
    assert "random on level_1_basic basic: 0.000 hearts per agent" in capsys.readouterr().out
    assert list(Path().iterdir()) == []
    evaluate("random", "output=new/folder/random.json", "evaluation.worlds=3")
    assert json.loads(Path("new/folder/random.json").read_text())["results"]["basic"]["episodes"] == 3


@pytest.mark.parametrize(
    ("uri", "words", "sentence"),
    [
        (f"{CHECKPOINTS}:step_9", (), "there are newest, best, step_000000000100"),
        ("train_dir/nobody/checkpoints", (), "there is no checkpoint at"),
        ("train_dir/empty", (), "there is no checkpoint in"),
        ("r", (), r"there is no checkpoint at 'r': .* or of one checkpoint \(train_dir/r\), or a reference"),
        ("train_dir", (), r"there is no checkpoint in train_dir, but in runs below it \(train_dir/r\)"),
        (str(CHECKPOINTS), ("policy_architecture=fast",), "holds the architecture 'vit', not 'fast'"),
        (str(CHECKPOINTS), ("arch_type=memory_free",), "holds the architecture 'vit', not 'memory_free'"),
        (str(CHECKPOINTS), ("output=train_dir/r/config.json/x",), "cannot write to the folder"),
    ],
)
def test_what_is_refused(run: Path, uri: str, words: tuple[str, ...], sentence: str) -> None:
    Path("train_dir/empty").mkdir()
    before = sorted(Path().rglob("*"))
    with pytest.raises(InputError, match=sentence):
        evaluate(uri, *words)
    assert sorted(Path().rglob("*")) == before


def test_no_best_checkpoint_yet(run: Path) -> None:
    (CHECKPOINTS / "best.json").unlink()
    with pytest.raises(InputError, match="no best checkpoint yet"):
        evaluate(f"{CHECKPOINTS}:best")


def test_a_checkpoint_that_a_run_in_training_removes_is_chosen_again(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it goes between being found and being read."""
    evaluated = Bench().evaluate
    tried = []

    def removed_at_first(player: Path, *rest: Any) -> dict[str, Any]:
        tried.append(player.name)
        if len(tried) == 1:
            player.rename(player.with_name("step_000000000400"))
            raise InputError(f"there is no checkpoint at {player}.")
        return evaluated(player, *rest)

    monkeypatch.setattr(sys.modules["metta.rl.evaluate"], "evaluate", removed_at_first)
    assert evaluate(str(CHECKPOINTS)) == 0
    assert tried == ["step_000000000300", "step_000000000400"]
    assert json.loads((run / "evaluation.json").read_text())["checkpoint"] == "step_000000000400"


def test_a_named_checkpoint_that_is_gone_stays_gone(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(player: Path, *rest: Any) -> dict[str, Any]:
        shutil.rmtree(player)
        raise InputError(f"there is no checkpoint at {player}.")

    monkeypatch.setattr(sys.modules["metta.rl.evaluate"], "evaluate", gone)
    with pytest.raises(InputError, match="there is no checkpoint"):
        evaluate(f"{CHECKPOINTS}:step_000000000200")
