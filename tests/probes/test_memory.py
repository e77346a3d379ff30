"""The probe command: what it writes and where, what it prints, what it refuses."""

import json
from pathlib import Path

import pytest

from metta.base.errors import InputError
from metta.probes.memory import ProbeConfig, ProbeJob, probe_text
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.rl.trainer import train
from tests.rl.small_run import SIM, small_run


def job(uri: str, **settings: object) -> ProbeJob:
    given = {
        "policy_uri": uri,
        "level": "test",
        "evaluation_environments": {"basic": SIM},
        "evaluation": EvaluationConfig(worlds=2),
        "emptied_every": (1, 4),
        "delayed_by": (2,),
        "system": SystemConfig(device="cpu", threads=1),
        **settings,
    }
    return ProbeJob(ProbeConfig(**given))


def test_results_lie_in_the_run_s_folder_and_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(small_run(updates=1), tmp_path)
    assert job(str(tmp_path)).execute() == 0
    (file,) = tmp_path.glob("probe.*.json")
    assert file.name == "probe.step_000000000048.test.basic.json"
    record = json.loads(file.read_text())
    assert [(entry["state"], entry["steps"]) for entry in record["interventions"]] == [
        ("left alone", 0),
        ("emptied", 1),
        ("emptied", 4),
        ("exchanged", 0),
        ("delayed", 2),
    ]
    assert all(len(entry["hearts_of_episodes"]) == 2 for entry in record["interventions"])
    printed = capsys.readouterr().out
    assert probe_text(record) in printed
    assert max(len(line) for line in probe_text(record).splitlines()) <= 80


def record_of(emptied: float, exchanged: float) -> dict[str, object]:
    """What a probe may have found, as far as its text needs it."""
    interval = {"mean": emptied - exchanged, "low": emptied - exchanged - 0.1, "high": emptied - exchanged + 0.1}
    entry = {"hearts_per_agent": 10.0, "difference": interval, "kept": interval, "hearts_of_episodes": [9.0, 11.0]}
    return {
        "architecture": "fast",
        "level": "test",
        "environment": "basic",
        "checkpoint": "step_1",
        "interventions": [{"state": "emptied", "steps": 256, **entry}],
        "value_of_memory": {"mean": 0.5, "low": 0.4, "high": 0.6},
        "memory_horizon": {"steps": 16, "low": 8, "high": None},
        "memory_horizon_keeps": 0.95,
        "emptied_minus_exchanged": interval,
    }


def test_where_emptied_and_exchanged_states_disagree_the_text_says_so() -> None:
    assert "emptiness" in probe_text(record_of(emptied=5, exchanged=8))
    assert "misleads" in probe_text(record_of(emptied=8, exchanged=5))
    text = probe_text(record_of(emptied=5, exchanged=5))
    assert "emptiness" not in text
    assert "misleads" not in text
    assert "Value of memory: 50% [40%, 60%]" in text
    assert "Memory horizon: 16 [8, more than 256] steps" in text
    harmed = {**record_of(emptied=8, exchanged=5), "value_of_memory": {"mean": -0.3, "low": -0.5, "high": -0.1}}
    assert "collects more when it forgets" in probe_text(harmed)
    assert "misleads" not in probe_text(harmed)


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no memory to probe"):
        job("random").execute()
    train(small_run(updates=1), tmp_path)
    with pytest.raises(InputError, match="environment='dark' is not one of test: basic"):
        job(str(tmp_path), environment="dark").execute()
