"""Crossplay: who takes part, what is kept between commands, what the standings say."""

import json
from pathlib import Path

import pytest

from experiments.recipes.benchmark_architectures.crossplay import main
from metta.base.errors import InputError, InUseError
from metta.base.files import locked
from metta.probes.crossplay import Entrant, crossplay, crossplay_text, entrants, games_of, standings
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.rl.trainer import train
from tests.rl.small_run import SIM, small_run

TWO = [Entrant("a", "random", "a"), Entrant("b", "random", "b")]


def side(hearts: list[int], put: int, taken: int) -> dict[str, object]:
    names = ("lost_ore_red", "lost_battery_red", "gained_battery_red", "gained_heart")
    return {"agents": 2, "hearts": hearts, "counters": dict(zip(names, (put, 0, 0, taken), strict=True))}


def test_every_pair_plays_in_both_seats_and_everybody_against_itself() -> None:
    assert [(one.name, other.name) for one, other in games_of(TWO)] == [("a", "b"), ("b", "a"), ("a", "a"), ("b", "b")]


def test_standings_add_up_both_seats() -> None:
    games = {
        ("a", "b"): {"sides": [side([8, 12], 40, 20), side([2, 2], 0, 4)]},
        ("b", "a"): {"sides": [side([0, 4], 0, 4), side([12, 8], 40, 20)]},
        ("a", "a"): {"sides": [side([6, 6], 40, 12), side([6, 6], 40, 12)]},
        ("b", "b"): {"sides": [side([0, 0], 0, 0), side([0, 0], 0, 0)]},
    }
    found = standings(TWO, games)
    assert found["hearts"] == [[3.0, 5.0], [1.0, 0.0]]
    first, second = found["players"]
    assert (first["hearts"], first["own_kind"], second["hearts"]) == (5.0, 3.0, 1.0)
    assert first["counters"] == {"lost_ore_red": 10, "lost_battery_red": 0, "gained_battery_red": 0, "gained_heart": 5}
    assert first["rating"]["mean"] == pytest.approx(-second["rating"]["mean"])
    assert first["rating"]["mean"] > 100
    record = {"standings": found, "settings": {"level": "test", "environment": "basic"}}
    text = crossplay_text(record)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert " 1 a              3.0  5.0" in text


def test_text_for_seventeen_fits() -> None:
    rating = {"mean": -123.4, "low": -234.5, "high": -12.3}
    player = {"name": "fast_lstm_reset", "rating": rating, "hearts": 10.0, "own_kind": 10.0}
    counters = dict.fromkeys(("lost_ore_red", "lost_battery_red", "gained_battery_red", "gained_heart"), 30.0)
    found = {"worlds": 8, "hearts": [[31.8] * 17] * 17, "players": [{**player, "counters": counters}] * 17}
    text = crossplay_text({"standings": found, "settings": {"level": "level_1_basic", "environment": "basic"}})
    assert max(len(line) for line in text.splitlines()) <= 80


def test_names() -> None:
    found = entrants(["random", "mine=random"])
    assert [entrant.name for entrant in found] == ["random", "mine"]
    with pytest.raises(InputError, match="two players are called 'random'"):
        entrants(["random", "random"])
    with pytest.raises(InputError, match="at least two"):
        entrants(["random"])
    with pytest.raises(InputError, match="there is no checkpoint at"):
        entrants(["random", "a=/nowhere"])


def test_repeating_a_command_plays_only_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    train(small_run(updates=1), tmp_path / "run")
    output = tmp_path / "results.json"

    def play(*words: str, worlds: int = 1) -> list[str]:
        said: list[str] = []
        system = SystemConfig(device="cpu", threads=1)
        crossplay(entrants(words), "test", "basic", SIM, EvaluationConfig(worlds=worlds), system, output, said.append)
        return said

    assert len(play("random", str(tmp_path / "run"))) == 4
    first = json.loads(output.read_text())
    assert [player["name"] for player in first["players"]] == ["random", "fast"]
    assert play("random", f"learner={tmp_path / 'run'}") == []
    assert json.loads(output.read_text())["standings"]["hearts"] == first["standings"]["hearts"]

    record = json.loads(output.read_text())
    record["games"] = record["games"][:3]  # as after a kill
    output.write_text(json.dumps(record))
    assert len(play("random", str(tmp_path / "run"))) == 1
    again = json.loads(output.read_text())
    assert again["standings"] == first["standings"]
    assert len(play("random", str(tmp_path / "run"), "reflex")) == 5
    with pytest.raises(InputError, match="games in other worlds"):
        play("random", "reflex", worlds=2)


def test_a_file_has_one_writer(tmp_path: Path) -> None:
    """Two would each write the games that they know of."""
    output = tmp_path / "results.json"
    with locked(tmp_path / ".results.json.lock", "another"), pytest.raises(InUseError, match="is in use by process"):
        crossplay(TWO, "test", "basic", SIM, EvaluationConfig(worlds=1), SystemConfig(), output)
    assert not output.exists()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "results.json"
    words = ["--runs", "random", "reflex", "--worlds", "1", "--steps", "20", "--threads", "1", "--output", str(output)]
    assert main(words) == 0
    assert "every pair with mirrored seats" in capsys.readouterr().out
    assert len(json.loads(output.read_text())["games"]) == 4
    assert main([*words, "--environment", "dark"]) == 2
    assert "is not one of level_1_basic: basic" in capsys.readouterr().err
