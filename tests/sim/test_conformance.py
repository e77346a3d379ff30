"""Recorded episodes replay identically, differences are found and named, and files that are no cases are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metta.base.errors import InputError
from metta.sim.conformance import load_case, main, replay

CASES = sorted((Path(__file__).parent.parent / "data" / "conformance").glob("*.npz"))
SMALL = next(path for path in CASES if path.stem == "p12_attack_armor")

Change = Callable[[dict[str, np.ndarray], dict[str, Any]], None]


def changed(path: Path, change: Change) -> Path:
    """A copy of the small case with something changed."""
    with np.load(SMALL, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    text = json.loads(str(arrays["config"]))
    change(arrays, text)
    if "config" in arrays:
        arrays["config"] = np.array(json.dumps(text))
    np.savez_compressed(path, **arrays)
    return path


def test_there_are_sixteen_cases() -> None:
    assert len(CASES) == 16


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_replays_identically(path: Path) -> None:
    assert replay(load_case(path)) is None


@pytest.mark.parametrize(
    ("array", "index", "field"),
    [
        ("observations", (3, 1, 2, 2), "token 2 value"),
        ("rewards", (2, 0), "reward"),
        ("terminals", (2, 1), "terminal"),
        ("truncations", (2, 1), "truncation"),
        ("inventory", (3, 0, 7), "inventory armor"),
        ("agent_state", (3, 1, 3), "freeze remaining"),
        ("action_success", (2, 0), "action_success"),
    ],
)
def test_names_the_first_difference(tmp_path: Path, array: str, index: tuple[int, ...], field: str) -> None:
    def change(arrays: dict[str, np.ndarray], _: dict[str, Any]) -> None:
        value = arrays[array][index]
        arrays[array][index] = not value if arrays[array].dtype == bool else value + 1

    difference = replay(load_case(changed(tmp_path / "case.npz", change)))
    assert difference is not None
    assert difference.field == field
    assert difference.step == 3
    assert difference.agent == (index[1])


def test_compares_the_end(tmp_path: Path) -> None:
    def other_inventory(arrays: dict[str, np.ndarray], _: dict[str, Any]) -> None:
        arrays["final_inventory"][1, 0] += 1

    def other_converter(_: dict[str, np.ndarray], text: dict[str, Any]) -> None:
        text["final_converters"][0][5] = not text["final_converters"][0][5]

    def fewer_converters(_: dict[str, np.ndarray], text: dict[str, Any]) -> None:
        del text["final_converters"][0]

    for change, field in [
        (other_inventory, "final_inventory ore_red"),
        (other_converter, "final_converters 0"),
        (fewer_converters, "number of final_converters"),
    ]:
        difference = replay(load_case(changed(tmp_path / "case.npz", change)))
        assert difference is not None
        assert difference.field == field


def _text_set(key: str, value: Any) -> Change:
    def change(_: dict[str, np.ndarray], text: dict[str, Any]) -> None:
        text[key] = value

    return change


def _text_without(key: str) -> Change:
    def change(_: dict[str, np.ndarray], text: dict[str, Any]) -> None:
        del text[key]

    return change


def _object_array(arrays: dict[str, np.ndarray], _: dict[str, Any]) -> None:
    arrays["rewards"] = np.array([{"pickled": True}], dtype=object)


def _wrong_shape(arrays: dict[str, np.ndarray], _: dict[str, Any]) -> None:
    arrays["rewards"] = arrays["rewards"][:-1]


def _wrong_dtype(arrays: dict[str, np.ndarray], _: dict[str, Any]) -> None:
    arrays["actions"] = arrays["actions"].astype(np.float32)


def _no_actions(arrays: dict[str, np.ndarray], _: dict[str, Any]) -> None:
    del arrays["actions"]


def _no_config(arrays: dict[str, np.ndarray], _: dict[str, Any]) -> None:
    del arrays["config"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_text_set("num_agents", 3), "2 agents but num_agents is 3"),
        (_text_set("map", ["##", "#"]), "differ in length"),
        (_text_set("map", ["#?@@"]), "legend does not name"),
        (_text_set("action_names", ["noop"]), "action_names"),
        (_text_set("obs_width", 17), "obs_width"),
        (_text_set("resource_names", ["ore_red"]), "unknown resource"),
        (_text_set("final_converters", None), "final_converters"),
        (_text_without("legend"), "lacks legend"),
        (_object_array, "allow_pickle"),
        (_wrong_shape, "rewards"),
        (_wrong_dtype, "actions"),
        (_no_actions, "actions"),
        (_no_config, "config"),
    ],
)
def test_refuses_what_is_no_case(tmp_path: Path, change: Change, words: str) -> None:
    path = changed(tmp_path / "case.npz", change)
    with pytest.raises(InputError, match=words):
        load_case(path)


def test_exit_status_and_one_line_per_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def other_reward(arrays: dict[str, np.ndarray], _: dict[str, Any]) -> None:
        arrays["rewards"][0, 0] += 1

    good, bad, damaged, foreign = (tmp_path / f"{name}.npz" for name in ("a_good", "b_bad", "c_damaged", "d_foreign"))
    good.write_bytes(SMALL.read_bytes())
    assert main([str(good)]) == 0
    assert "p12_attack_armor: 23 steps, identical" in capsys.readouterr().out
    damaged.write_bytes(SMALL.read_bytes()[:1500])
    foreign.write_text("this is not an archive")
    assert main([str(good), str(damaged), str(foreign)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert "cannot be replayed" in lines[1]
    assert "cannot be replayed" in lines[2]
    changed(bad, other_reward)
    assert main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "step 1, agent 0, reward: expected 1.0, got 0.0" in out


def test_refuses_paths_without_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert main([str(tmp_path / "missing.npz")]) == 2
    assert capsys.readouterr().err.count("error: ") == 2
