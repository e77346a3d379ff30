"""Rounds of a cue, a wait and an answer: equal to the twin's, and worth nothing to a player without memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metta.base.errors import InputError
from metta.sim.config import SimConfig
from metta.sim.conformance import load_case, replay
from metta.sim.constants import GET_ITEMS, HEART, NUM_ACTIONS, PUT_ITEMS
from metta.sim.scripted.oracles import NO_CUE, OraclePlayer
from metta.sim.vector_env import VectorEnv
from tests.reference.cases import (
    ACTION,
    CONVERTER_CHARACTERS,
    FLAVOURS,
    Flavour,
    arena_case,
    random_actions,
    random_case,
)
from tests.sim.lockstep import answers, config_of, run_lockstep
from tests.sim.test_properties import few_examples, started

CASES = sorted((Path(__file__).parent.parent / "data" / "rounds").glob("*.npz"))
"""Written by `tests/reference/record_rounds.py` from the twin."""

EAST, NOOP = ACTION["move_east"], ACTION["noop"]


def oracle_case(rows: list[str], wait: int = 3, **changes: Any) -> dict[str, Any]:
    """A case whose altars are oracles that pay a heart."""
    case = arena_case(rows, **changes)
    case["objects"]["altar"] |= {"input_resources": {}, "max_conversions": 0}
    return case | {"rounds": {"oracle": "altar", "wait": wait}}


def cue_of(observation: np.ndarray) -> int:
    """The action that an observation [M, 3] tells, 0 for none."""
    shown = [(int(feature), int(value)) for _, feature, value in observation if feature in (11, 12)]
    assert shown in ([], [(11, 1)], [(12, 1)])
    return {11: PUT_ITEMS, 12: GET_ITEMS}[shown[0][0]] if shown else 0


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_replays_identically(path: Path) -> None:
    assert replay(load_case(path)) is None


def test_the_recorded_cases_answer_right_and_wrong() -> None:
    cases = [load_case(path) for path in CASES]
    assert [case.name for case in cases] == ["altar_wait_3", "mine_wait_1"]
    for case in cases:
        assert case.final_inventory.any()
        shown = (case.observations[..., 1] == 11).any(-1) | (case.observations[..., 1] == 12).any(-1)
        begun = int(shown.sum())
        paid = int((case.rewards > 0).sum())
        assert 0 < paid < begun - case.actions.shape[1]


@settings(few_examples, max_examples=30)
@given(flavour=st.sampled_from(FLAVOURS), seed=st.integers(0, 2**32))
def test_equal_to_the_twin(flavour: Flavour, seed: int) -> None:
    """Whatever the oracle is and whatever else the rules are, attacks on agents that wait among them."""
    rng = np.random.default_rng(seed)
    case = random_case(rng, flavour)
    case["rounds"] = {"oracle": str(rng.choice(list(CONVERTER_CHARACTERS))), "wait": int(rng.choice([1, 2, 3, 7, 30]))}
    env = VectorEnv(config_of(case), num_worlds=2, seed=seed, first_world=seed % 5)
    run_lockstep(env, case, random_actions(rng, flavour, flavour.steps, env.num_streams))


def test_a_round_step_by_step() -> None:
    """Cue in one observation, three lost actions that show as noop, then the first put or get ends the round."""
    env = started(oracle_case(["@_"]), seed=0)
    right = answers(0, 0, 0)
    hearts = 0
    for n in range(20):
        observation = env.buffers.observations[0]
        assert cue_of(observation) == right(0, n) == env.answers(0)[0]
        assert env.agent_state(0)[0, 3] == 3
        for tried in (EAST, PUT_ITEMS, GET_ITEMS):
            env.step(np.array([tried], np.int32))
            assert cue_of(observation) == 0
            assert observation[1].tolist() == [85, 8, 0]
            assert not env.buffers.action_success[0]
        if n == 0:
            assert env.agent_state(0)[0].tolist() == [0, 0, 0, 0]  # it did not turn while it waited
            env.step(np.array([EAST], np.int32))
        env.step(np.array([PUT_ITEMS], np.int32))
        hearts += right(0, n) == PUT_ITEMS
        assert env.buffers.action_success[0] == (right(0, n) == PUT_ITEMS)
        assert env.buffers.rewards[0] == (right(0, n) == PUT_ITEMS)
        assert env.inventory(0)[0, HEART] == hearts
    assert 0 < hearts < 20
    assert env.converters(0)[0][3:] == ({}, False, False)


def test_an_answer_needs_an_oracle_in_front() -> None:
    env = started(oracle_case(["@m_"]), seed=0)
    for action in (NOOP, NOOP, NOOP, GET_ITEMS, PUT_ITEMS, EAST, PUT_ITEMS, GET_ITEMS):
        env.step(np.array([action], np.int32))
    assert env.agent_state(0)[0, 3] == 0  # still the first round
    assert env.inventory(0)[0, 0] == 1  # and the mine is an ordinary one


def test_answers_are_fair_and_differ_between_agents_rounds_episodes_and_worlds() -> None:
    drawn = np.array(
        [[[answers(9, w, e)(a, n) for n in range(50)] for a in range(4)] for w in range(5) for e in range(5)]
    )
    assert set(drawn.reshape(-1)) == {PUT_ITEMS, GET_ITEMS}
    share = (drawn == GET_ITEMS).mean()
    assert abs(share - 0.5) < 4 * 0.5 / np.sqrt(drawn.size)
    assert len(np.unique(drawn.reshape(-1, 50), axis=0)) == 100


def test_what_a_waiting_agent_sees_and_shows_does_not_depend_on_its_cue() -> None:
    """Two worlds with the same everything but the answers: from the first step on, every observation is the same."""
    case = oracle_case(["@._.@", "..@..", "_...@"], wait=6)
    actions = random_actions(np.random.default_rng(0), FLAVOURS[0], 6, 4)
    actions[actions > GET_ITEMS] = NOOP
    seen, told = [], []
    for seed in range(8):
        env = started(case, seed)
        told.append(env.answers(0).tolist())
        seen.append([env.buffers.observations.copy() for row in actions if env.step(row) is None])
    assert len({tuple(one) for one in told}) > 4
    for other in seen[1:]:
        np.testing.assert_array_equal(other, seen[0])


class Tables:
    """Any player without memory: a random table from what is in front and the last action to an action."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.likes = rng.choice(NUM_ACTIONS, (2, NUM_ACTIONS, 8), p=[0.0, *[0.05] * 4, 0.3, 0.4, *[0.1 / 9] * 9])
        self.rng = rng

    def act(self, observations: np.ndarray) -> np.ndarray:
        last = observations[:, 1, 2]
        frozen = ((observations[:, :, 0] == 85) & (observations[:, :, 1] == 2) & (observations[:, :, 2] == 1)).any(1)
        return self.likes[frozen.astype(int), last, self.rng.integers(8, size=len(last))].astype(np.int32)


def counted(env: VectorEnv, act: Any, steps: int) -> tuple[int, int]:
    """Answers given and right ones."""
    env.reset()
    given = right = 0
    for _ in range(steps):
        held = env.agent_state(0)[:, 3]
        before = env.hearts(0).sum()
        env.step(act(env.buffers.observations))
        given += int((env.agent_state(0)[:, 3] > held).sum())
        right += int(env.hearts(0).sum() - before)
    return given, right


@pytest.mark.parametrize("seed", range(6))
def test_no_player_without_memory_is_right_more_often_than_by_chance(seed: int) -> None:
    case = oracle_case(["._.@._.", "@_.@_.@", "_.@._@_", "@._@._."], wait=2, max_steps=100_000)
    env = VectorEnv(config_of(case), num_worlds=1, seed=seed)
    given, right = counted(env, Tables(seed).act, 600)
    assert given > 200
    assert abs(right - given / 2) < 4.5 * np.sqrt(given) / 2


@pytest.mark.parametrize(("remembers", "chance"), [(False, 0.5), (True, 1.0)])
def test_the_reference_players(remembers: bool, chance: float) -> None:
    """Both answer as often as there is time for; one is right in half of its rounds, the other in all."""
    config = config_of(oracle_case(["@_"] * 20, wait=4, max_steps=100_000))
    env = VectorEnv(config, num_worlds=1, seed=1)
    player, rng = OraclePlayer(config, remembers), np.random.default_rng(0)
    cues = np.full(20, NO_CUE, np.int32)

    def act(observations: np.ndarray) -> np.ndarray:
        nonlocal cues
        actions, cues = player.act(observations, rng.random(len(observations), dtype=np.float32), cues)
        return actions

    given, right = counted(env, act, 504)
    assert given >= 20 * 98  # two or more steps to the oracle, then five for each round
    assert abs(right - chance * given) <= 4.5 * np.sqrt(given * chance * (1 - chance))
    assert (cues == NO_CUE).all() != remembers


def test_a_player_of_rounds_needs_some() -> None:
    with pytest.raises(InputError, match="needs an environment with rounds"):
        OraclePlayer(config_of(arena_case(["@_"])), remembers=True)


def test_bad_rounds_are_refused() -> None:
    case = oracle_case(["@_"])
    for rounds, words in (
        ({"oracle": "wall", "wait": 3}, "rounds.oracle is 'wall', which is not a converter"),
        ({"oracle": "shrine", "wait": 3}, "rounds.oracle is 'shrine', which is not a converter"),
    ):
        with pytest.raises(ValueError, match=words):
            config_of(case | {"rounds": rounds})


def test_without_rounds_a_configuration_is_written_as_ever() -> None:
    config = config_of(arena_case(["@_"]))
    assert "rounds" not in config.model_dump()
    assert SimConfig.parse(config_of(oracle_case(["@_"])).model_dump()).rounds is not None
