"""docs/memory.md fits docs/memory.json, and its tables are made of what the commands write."""

import json
from pathlib import Path

import pytest

from metta.lab.merge import main as merge
from metta.probes.crossplay import crossplay, entrants
from metta.probes.imitation import record_of
from metta.probes.memory import ProbeConfig, probe_record
from metta.rl.checkpoint import newest_sound
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.rl.trainer import train
from tests.analysis.wide import write_benchmark
from tests.rl.small_run import SIM, small_run
from tools import memory_page as module

CPU = SystemConfig(device="cpu", threads=1)


def test_page_is_up_to_date() -> None:
    assert module.main(["--check"]) == 0


def test_tables_are_made_of_what_the_commands_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", tmp_path / "memory.md")
    monkeypatch.setattr(module, "RESULTS", tmp_path / "memory.json")
    text = "".join(f"Of {name}.\n<!-- {name} -->\nold\n<!-- /{name} -->\nEnd.\n" for name in module.TABLES)
    module.PAGE.write_text(text)
    assert module.main([]) == 0
    assert module.PAGE.read_text() == text.replace("old", f"\n{module.NOTHING}\n")

    (tmp_path / "run").mkdir()
    train(small_run(updates=1), tmp_path / "run")
    evaluation = EvaluationConfig(worlds=2)
    config = ProbeConfig(
        policy_uri="x", level="test", evaluation_environments={"basic": SIM}, evaluation=evaluation, system=CPU
    )
    checkpoint = newest_sound(tmp_path / "run" / "checkpoints")
    assert checkpoint is not None
    (tmp_path / "probe.json").write_text(json.dumps(probe_record(checkpoint, "fast", 48, config)))
    players = entrants(["random", str(tmp_path / "run")])
    crossplay(players, "test", "basic", SIM, evaluation, CPU, tmp_path / "games.json", lambda said: None)
    record_of(small_run(updates=1), "basic", tmp_path / "imitation")
    write_benchmark(tmp_path, ("fast", "trxl"), ("level_1_basic",), seeds=3)
    assert merge([str(tmp_path), "--into", str(tmp_path / "merged")]) == 0
    words = [
        "--ladder",
        "benchmark_results.json",
        "merged/benchmark_results.json",
        "--probes",
        "probe.json",
        "--crossplay",
        "games.json",
        "--imitation",
        "imitation/small.json",
    ]
    assert module.main([word if word.startswith("-") else str(tmp_path / word) for word in words]) == 0

    page = module.PAGE.read_text()
    assert page.count("| fast ") == 6
    ladders = page[: page.index("<!-- /ladder -->")].split("agent-steps, ")
    assert ladders[1].splitlines()[0] == ladders[2].splitlines()[0]  # merged results name the same commit
    assert "test basic, 2 episodes" in page
    assert module.NOTHING not in page
    assert page.count("Of ") == page.count("End.") == 4
    assert str(tmp_path) not in module.RESULTS.read_text()
    assert module.main(["--check"]) == 0
    module.PAGE.write_text(page.replace("test basic", "another"))
    assert module.main(["--check"]) == 2


def test_orders_are_compared_with_ppo_s() -> None:
    interval = {"mean": 1.0, "low": None, "high": None}
    rows = [
        {
            "architecture": name,
            "seeds": 1,
            "hearts_per_agent": {**interval, "mean": hearts},
            "own_states": {**interval, "mean": 1 / hearts},
            "teacher_states": interval,
            "agreement": interval,
        }
        for name, hearts in (("a", 3.0), ("b", 2.0), ("c", 1.0))
    ]
    imitation = {"level": "l", "environment": "basic", "samples": 10, "rows": rows, "commits": ["abc"]}
    benchmark = {"hearts": {"l": {"basic": {"a": 9.0, "b": 7.0, "c": 8.0}}}}
    lines = module._imitation_table({"imitation": imitation, "benchmark": benchmark})
    assert "Rank correlation of hearts with PPO's hearts: +0.50 (3 architectures)." in lines
