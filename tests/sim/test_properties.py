"""Laws that hold in every world whatever the agents do: checked without the twin, on random cases (hypothesis).

A agents in a world, N = W*A streams, T steps.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from metta.sim.arena import arena_config
from metta.sim.config import SimConfig
from metta.sim.constants import RESOURCES
from metta.sim.vector_env import VectorEnv
from tests.reference.cases import FLAVOURS, Flavour, random_actions, random_case
from tests.sim.lockstep import config_of

SEEDS = st.integers(0, 2**32)
FLAVOUR = st.sampled_from(FLAVOURS)
# A smaller seed is not a simpler case, so nothing is shrunk.
few_examples = settings(
    max_examples=20,
    phases=(Phase.explicit, Phase.generate),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def started(case: dict[str, Any], seed: int) -> VectorEnv:
    """A reset environment with one world of the case."""
    env = VectorEnv(config_of(case), num_worlds=1, seed=seed)
    env.reset()
    return env


def drawn(flavour: Flavour, seed: int, **changes: Any) -> tuple[dict[str, Any], np.ndarray]:
    """A random case that does not end while it is watched, and actions [T, A] for it."""
    rng = np.random.default_rng(seed)
    case = random_case(rng, flavour)
    case["max_steps"] = 1000
    case |= changes
    return case, random_actions(rng, flavour, flavour.steps, case["num_agents"])


def totals(env: VectorEnv) -> Counter[str]:
    """Items in the world, in hands and in converters together."""
    count: Counter[str] = Counter()
    for held in env.inventory(0):
        count.update(dict(zip(RESOURCES, map(int, held), strict=True)))
    for *_, contents, _, _ in env.converters(0):
        count.update(contents)
    return count


@few_examples
@given(flavour=FLAVOUR, seed=SEEDS)
def test_items_are_conserved_except_at_converters_and_in_fights(flavour: Flavour, seed: int) -> None:
    """With conversions of one tick: one that runs now has taken its inputs in this step, one that ran before the step
    has given its outputs in it. Attacks cost lasers, defences armor; nothing else makes or loses an item."""
    case, actions = drawn(flavour, seed)
    for name, thing in case["objects"].items():
        if name != "wall":
            thing["conversion_ticks"] = 1
            thing["initial_resource_count"] = min(thing["initial_resource_count"], 5)
            thing["output_resources"] = {item: min(n, 3) for item, n in thing["output_resources"].items()}
            thing["max_output"] = 20
    env = started(case, seed)
    before, machines = totals(env), env.converters(0)
    laser_cost = case["actions"]["attack"]["consumed_resources"].get("laser", 0)
    defence = case["actions"]["attack"]["defense_resources"].get("armor", 0)
    for row in actions:
        env.step(row)
        expected = Counter(before)
        for *_, name, _, converting, _ in machines:
            if converting:
                expected.update(case["objects"][name]["output_resources"])
        machines = env.converters(0)
        for *_, name, _, converting, _ in machines:
            if converting:
                expected.subtract(case["objects"][name]["input_resources"])
        attacks = int((env.buffers.action_success & (row >= 7) & (row <= 15)).sum())
        expected["laser"] -= attacks * laser_cost
        before = totals(env)
        lost = {item: expected[item] - before[item] for item in RESOURCES if expected[item] != before[item]}
        armor = lost.pop("armor", 0)
        assert lost == {}
        assert 0 <= armor <= attacks * defence
        assert defence == 0 or armor % defence == 0


@few_examples
@given(flavour=FLAVOUR, seed=SEEDS)
def test_one_object_per_cell_and_only_agents_move(flavour: Flavour, seed: int) -> None:
    case, actions = drawn(flavour, seed)
    env = started(case, seed)
    scenery = [row.replace("@", ".") for row in case["map"]]
    assert env.start_rows(0) == case["map"]
    for row in actions:
        before = env.agent_state(0)
        env.step(row)
        now = env.agent_state(0)
        cells = {(int(r), int(c)) for r, c in now[:, :2]}
        assert len(cells) == env.num_agents
        rows = env.map_rows(0)
        assert {(r, c) for r, line in enumerate(rows) for c, character in enumerate(line) if character == "@"} == cells
        assert [line.replace("@", ".") for line in rows] == scenery
        assert (np.abs(now[:, :2] - before[:, :2]).sum(1) <= 1).all()
        moved = (now[:, :2] != before[:, :2]).any(1)
        assert (env.buffers.action_success[moved] & (row[moved] >= 1) & (row[moved] <= 4)).all()


def seen(observation: np.ndarray, rows: int, columns: int) -> dict[tuple[int, int], dict[int, int]]:
    """(row offset, column offset) -> feature -> value, of an observation's cell tokens (the first four are global)."""
    cells: dict[tuple[int, int], dict[int, int]] = {}
    for location, feature, value in observation[4:].tolist():
        if location == 255:
            break
        features = cells.setdefault(((location >> 4) - rows // 2, (location & 15) - columns // 2), {})
        assert feature not in features, "a token was written twice"
        features[feature] = value
    return cells


@few_examples
@given(flavour=FLAVOUR, seed=SEEDS)
def test_observations_agree_with_the_state(flavour: Flavour, seed: int) -> None:
    """With room for all tokens, every object in the window and nothing else is told, with its whole state."""
    case, actions = drawn(flavour, seed, num_observation_tokens=1500)
    env = started(case, seed)
    height, width = case["obs_height"], case["obs_width"]
    for index, row in enumerate(actions[:12]):
        env.step(row)
        things: dict[tuple[int, int], dict[int, int]] = {
            (r, c): {0: 1} for r, line in enumerate(case["map"]) for c, character in enumerate(line) if character == "#"
        }
        for r, c, name, contents, converting, cooling in env.converters(0):
            items = {17 + RESOURCES.index(item): amount for item, amount in contents.items()}
            things[r, c] = {0: case["objects"][name]["type_id"], 5: int(converting or cooling), **items}
        states, hands = env.agent_state(0).tolist(), env.inventory(0).tolist()
        for (r, c, orientation, frozen), held in zip(states, hands, strict=True):
            items = {17 + item: amount for item, amount in enumerate(held) if amount}
            things[r, c] = {0: 0, 1: 0, 2: int(frozen > 0), 3: orientation, **items}
        for agent, (r, c, *_) in enumerate(states):
            window = {
                (down, right): things[r + down, c + right]
                for down in range(-(height // 2), height - height // 2)
                for right in range(-(width // 2), width - width // 2)
                if (r + down, c + right) in things
            }
            observation = env.buffers.observations[agent]
            assert seen(observation, height, width) == window
            centre = (height // 2) << 4 | (width // 2)
            action = int(row[agent]) if 0 <= row[agent] < 16 else 0
            argument = action - 7 if action >= 7 else action - 1 if 1 <= action <= 4 else 0
            completion = int((index + 1) / 1000 * 255 + 0.5)
            assert observation[:3].tolist() == [[centre, 7, completion], [centre, 8, action], [centre, 9, argument]]


@few_examples
@given(flavour=FLAVOUR, seed=SEEDS)
def test_rewards_telescope_to_the_potential(flavour: Flavour, seed: int) -> None:
    """Without penalties, an episode's rewards add up to the potential of what an agent holds at its end."""
    case, actions = drawn(flavour, seed)
    case["agent"]["action_failure_penalty"] = 0
    env = started(case, seed)
    weights, caps = case["agent"]["rewards"]["inventory"], case["agent"]["rewards"]["inventory_max"]
    total = np.zeros(env.num_agents)
    for row in actions:
        env.step(row)
        total += env.buffers.rewards
        potential = np.zeros(env.num_agents)
        for item, weight in weights.items():
            potential += np.minimum(env.inventory(0)[:, RESOURCES.index(item)] * weight, caps.get(item, np.inf))
        np.testing.assert_allclose(total, potential, rtol=1e-5, atol=1e-3)


@few_examples
@given(flavour=st.sampled_from([FLAVOURS[1], FLAVOURS[3]]), seed=SEEDS)
def test_frozen_agents_lose_their_actions_one_by_one(flavour: Flavour, seed: int) -> None:
    case, actions = drawn(flavour, seed)
    duration = case["agent"]["freeze_duration"]
    env = started(case, seed)
    for row in actions:
        before, hands = env.agent_state(0), env.inventory(0)
        env.step(row)
        now, success = env.agent_state(0), env.buffers.action_success
        valid = (row >= 0) & (row < 16)
        left, frozen = before[:, 3], now[:, 3]
        hit_again = (frozen == duration) | (frozen == duration - 1)
        counted = frozen == np.maximum(left - valid, 0)
        assert (counted | hit_again).all()
        stuck = left >= 1
        assert not success[stuck].any()
        np.testing.assert_array_equal(now[stuck, :3], before[stuck, :3])
        safe = left >= 2  # frozen until after every attack of the step: nothing but armor can go
        other = [item for item, name in enumerate(RESOURCES) if name != "armor"]
        np.testing.assert_array_equal(env.inventory(0)[safe][:, other], hands[safe][:, other])


# ---- batches, threads, continuation


def arena(max_steps: int = 12, size: int = 8, episode_truncates: bool = False) -> SimConfig:
    """Twelve fighting agents in a small generated room."""
    weights = {"ore": 0.1, "battery": 0.3, "laser": 0.2, "armor": 0.2, "blueprint": 0.1}
    config = arena_config(
        size=size,
        num_agents=6,
        altar_ratio=1,
        initial_count=2,
        laser_cost=1,
        rewards=weights,
        caps=dict.fromkeys(weights, 1.0),
        max_steps=max_steps,
    )
    return config.model_copy(update={"episode_truncates": episode_truncates})


def actions_for(streams: int, steps: int, seed: int = 0) -> np.ndarray:
    """int32 [T, N] useful random actions."""
    return random_actions(np.random.default_rng(seed), FLAVOURS[0], steps, streams)


def copied(env: VectorEnv) -> dict[str, np.ndarray]:
    """Everything the caller sees after a call; final observations only where an episode has just ended."""
    buffers = env.buffers
    names = ("observations", "rewards", "terminals", "truncations", "resets", "action_success")
    shown = {name: getattr(buffers, name).copy() for name in names}
    ended = buffers.terminals | buffers.truncations
    shown["final_observations"] = np.where(ended[:, None, None], buffers.final_observations, 0)
    return shown


def history(env: VectorEnv, actions: np.ndarray) -> dict[str, np.ndarray]:
    """What a caller sees over T steps after reset, stacked [T+1, N, ...]."""
    env.reset()
    shown = [copied(env)]
    for row in actions:
        env.step(row)
        shown.append(copied(env))
    return {name: np.stack([entry[name] for entry in shown]) for name in shown[0]}


def assert_same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    """Bit for bit."""
    assert first.keys() == second.keys()
    for name, values in first.items():
        assert values.dtype == second[name].dtype
        assert values.tobytes() == second[name].tobytes(), name


@pytest.mark.parametrize("desynchronise", [False, True])
def test_worlds_do_not_depend_on_threads_or_batch(desynchronise: bool) -> None:
    config, worlds, agents = arena(), 7, 6
    actions = actions_for(worlds * agents, 40)
    expected = history(VectorEnv(config, num_worlds=worlds, seed=3, desynchronise=desynchronise), actions)
    for threads in (2, 9):
        env = VectorEnv(config, num_worlds=worlds, seed=3, threads=threads, desynchronise=desynchronise)
        assert_same(expected, history(env, actions))
    for first, count in ((0, 1), (2, 3), (6, 1)):
        mine = slice(first * agents, (first + count) * agents)
        env = VectorEnv(config, num_worlds=count, seed=3, first_world=first, desynchronise=desynchronise)
        alone = history(env, np.ascontiguousarray(actions[:, mine]))
        assert_same({name: values[:, mine] for name, values in expected.items()}, alone)


def test_caller_threads_may_step_disjoint_worlds() -> None:
    config, actions = arena(), actions_for(36, 30)
    expected = history(VectorEnv(config, num_worlds=6, seed=3), actions)
    env = VectorEnv(config, num_worlds=6, seed=3)
    env.reset()
    shown = [copied(env)]
    with ThreadPoolExecutor(3) as pool:
        for row in actions:
            list(pool.map(env.step_worlds, [row] * 3, (0, 1, 4), (1, 4, 6)))
            shown.append(copied(env))
    assert_same(expected, {name: np.stack([entry[name] for entry in shown]) for name in shown[0]})


def blind(num_worlds: int, seed: int) -> VectorEnv:
    """Six agents that see nothing but their own cell, which makes many steps cheap."""
    narrow = {"obs_width": 1, "obs_height": 1, "num_observation_tokens": 4}
    env = VectorEnv(arena(max_steps=3000).model_copy(update=narrow), num_worlds=num_worlds, seed=seed)
    env.reset()
    return env


def test_action_orders_differ_between_steps_worlds_and_seeds() -> None:
    orders = set()
    for seed in (1, 2):
        env = blind(2, seed)
        for _ in range(40):
            env.step(np.zeros(12, np.int32))
            orders |= {tuple(env.action_order(world).tolist()) for world in (0, 1)}
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert len(orders) > 120  # of 720; 160 draws meet about 143 different ones


def test_action_order_is_uniform() -> None:
    """Every agent takes every place about equally often (six standard deviations)."""
    env = blind(1, seed=5)
    places = np.zeros((6, 6))
    for _ in range(1500):
        env.step(np.zeros(6, np.int32))
        places[np.arange(6), env.action_order(0)] += 1
    assert np.abs(places - 1500 / 6).max() < 6 * np.sqrt(1500 * 5 / 36)


@pytest.mark.parametrize("desynchronise", [False, True])
@pytest.mark.parametrize("saved_after", [0, 5, 12, 31])
def test_state_dict_continues_exactly(saved_after: int, desynchronise: bool) -> None:
    def new(seed: int) -> VectorEnv:
        return VectorEnv(arena(), num_worlds=3, seed=seed, desynchronise=desynchronise)

    actions = actions_for(18, 60)
    whole = new(8)
    expected = history(whole, actions)
    env = new(8)
    history(env, actions[:saved_after])
    drained = env.drain_episodes()
    state = env.state_dict()
    assert all(isinstance(values, np.ndarray) and values.dtype != object for values in state.values())
    for row in actions[:7]:
        env.step(row)  # the saved state must be a copy
    other = new(99)
    other.reset()
    other.step(actions[0])
    other.load_state_dict(state)
    shown = [copied(other)]
    for row in actions[saved_after:]:
        other.step(row)
        shown.append(copied(other))
    continued = {name: np.stack([entry[name] for entry in shown]) for name in shown[0]}
    assert_same({name: values[saved_after:] for name, values in expected.items()}, continued)
    records = [record.as_dict() for record in drained + other.drain_episodes()]
    assert records == [record.as_dict() for record in whole.drain_episodes()]


@pytest.mark.parametrize("episode_truncates", [False, True])
@pytest.mark.parametrize("desynchronise", [False, True])
def test_no_step_is_lost_or_reported_twice(desynchronise: bool, episode_truncates: bool) -> None:
    worlds, agents, steps, length = 9, 6, 50, 12
    config = arena(length, episode_truncates=episode_truncates)
    env = VectorEnv(config, num_worlds=worlds, seed=3, desynchronise=desynchronise)
    seen = history(env, actions_for(worlds * agents, steps))
    records = env.drain_episodes()
    assert env.drain_episodes() == []
    assert [(r.finished_at, r.world) for r in records] == sorted((r.finished_at, r.world) for r in records)
    ended = seen["terminals"] | seen["truncations"]
    assert not (seen["terminals"] & seen["truncations"]).any()
    assert seen["resets"][0].all()
    assert not ended[0].any()
    np.testing.assert_array_equal(seen["resets"][1:], ended[1:])
    first_lengths = set()
    for world in range(worlds):
        mine = slice(world * agents, (world + 1) * agents)
        assert (ended[:, mine] == ended[:, mine][:, :1]).all()
        ends = np.flatnonzero(ended[:, world * agents])
        own = [record for record in records if record.world == world]
        assert [record.finished_at for record in own] == ends.tolist()
        assert [record.episode for record in own] == list(range(len(own)))
        begin = 0
        for record in own:
            end = record.finished_at
            assert record.length == end - begin
            shortened = desynchronise and record.episode == 0
            assert (1 <= record.length <= length) if shortened else record.length == length
            # A random first length may happen to be the whole one; that episode ends as any other.
            assert record.truncated == (record.length < length or episode_truncates)
            assert record.terminated == (not record.truncated)
            assert (seen["truncations"][end, mine] == record.truncated).all()
            returned = seen["rewards"][begin + 1 : end + 1, mine].astype(np.float64).sum(0)
            np.testing.assert_allclose(record.returns, returned, rtol=1e-12, atol=1e-12)
            assert record.counter("failed_actions").sum() == (~seen["action_success"][begin + 1 : end + 1, mine]).sum()
            begin = end
        first_lengths.add(own[0].length)
        assert env.steps(world) == steps - begin
    assert (len(first_lengths) > 1) == desynchronise
    # The observation at an episode's start says: no step made yet, nothing done yet; the last one before: all done.
    assert (seen["observations"][seen["resets"]][:, :4, 2] == 0).all()
    whole = seen["terminals"] if not episode_truncates else seen["truncations"]
    completion = seen["final_observations"][..., 0, 2][whole]
    assert (completion[-agents:] == 255).all()


def test_final_observations_of_other_worlds_stay_untouched() -> None:
    env = VectorEnv(arena(), num_worlds=9, seed=3, desynchronise=True)
    env.reset()
    env.buffers.final_observations[:] = 77
    for row in actions_for(54, 30):
        env.step(row)
        ended = env.buffers.terminals | env.buffers.truncations
        assert (env.buffers.final_observations[~ended] == 77).all()
        assert (env.buffers.final_observations[ended][:, 0, 1] == 7).all()
        env.buffers.final_observations[:] = 77
