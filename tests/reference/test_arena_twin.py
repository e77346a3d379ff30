"""The twin itself is held to the recorded episodes of the reference engine: every array of every case, bit for bit."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.reference.arena_twin import ArenaTwin

CASES = sorted((Path(__file__).parents[1] / "data" / "conformance").glob("*.npz"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_twin_replays_recorded_case(path: Path) -> None:
    with np.load(path, allow_pickle=False) as case:
        recorded = {name: case[name] for name in case.files}
    config = json.loads(str(recorded["config"]))
    twin = ArenaTwin(config)
    order = range(config["num_agents"])
    np.testing.assert_array_equal(twin.observations(), recorded["observations"][0])
    np.testing.assert_array_equal(twin.inventory(), recorded["inventory"][0])
    np.testing.assert_array_equal(twin.agent_state(), recorded["agent_state"][0])
    for index, actions in enumerate(recorded["actions"]):
        result = twin.step(actions, order)
        where = f"step {index + 1}"
        np.testing.assert_array_equal(result.observations, recorded["observations"][index + 1], where)
        assert result.rewards.tobytes() == recorded["rewards"][index].tobytes(), where
        np.testing.assert_array_equal(result.terminals, recorded["terminals"][index], where)
        np.testing.assert_array_equal(result.truncations, recorded["truncations"][index], where)
        np.testing.assert_array_equal(result.action_success, recorded["action_success"][index], where)
        np.testing.assert_array_equal(twin.inventory(), recorded["inventory"][index + 1], where)
        np.testing.assert_array_equal(twin.agent_state(), recorded["agent_state"][index + 1], where)
    np.testing.assert_array_equal(twin.inventory(), recorded["final_inventory"])
    assert twin.final_converters() == config["final_converters"]


def test_there_are_cases() -> None:
    assert len(CASES) >= 16
