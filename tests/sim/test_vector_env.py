"""The batched API: seeds, records, where episodes are cut off, and what is refused; more in test_properties.py."""

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import metta.sim
from metta.sim.arena import arena_config
from metta.sim.compiled import KERNEL_MODULES, trailing_zeros
from metta.sim.config import FixedMap, SimConfig
from metta.sim.constants import ACTION_NAMES, HEART
from metta.sim.vector_env import Buffers, VectorEnv
from metta.sim.window import token_order, window_tables

CONFIG = arena_config(
    size=9,
    num_agents=7,
    altar_ratio=1,
    initial_count=2,
    laser_cost=1,
    rewards={"ore": 0.5, "laser": 0.7},
    caps={"ore": 2.0, "laser": 2.0},
    max_steps=30,
)
FIELDS = ("observations", "rewards", "terminals", "truncations", "resets", "action_success", "final_observations")


def actions(steps: int, streams: int, seed: int = 0) -> np.ndarray:
    """[steps, streams] random actions, a few of them invalid."""
    return np.random.default_rng(seed).integers(-1, 18, (steps, streams), dtype=np.int32)


def started(num_worlds: int = 6, seed: int = 3, **options: Any) -> VectorEnv:
    env = VectorEnv(CONFIG, num_worlds=num_worlds, seed=seed, **options)
    env.reset()
    return env


def trace(env: VectorEnv, acts: np.ndarray) -> list[list[np.ndarray]]:
    """Copies of all buffers after every step."""
    copies = []
    for act in acts:
        env.step(act)
        copies.append([getattr(env.buffers, field).copy() for field in FIELDS])
    return copies


def same(a: list[list[np.ndarray]], b: list[list[np.ndarray]]) -> bool:
    return all(
        np.array_equal(x, y) for step_a, step_b in zip(a, b, strict=True) for x, y in zip(step_a, step_b, strict=True)
    )


def test_seeds_differ_and_repeat() -> None:
    acts = actions(40, 6 * 7)
    assert same(trace(started(), acts), trace(started(), acts))
    assert not same(trace(started(), acts), trace(started(seed=4), acts))
    env = started()
    trace(env, acts)
    env.reset()
    assert same(trace(env, acts), trace(started(), acts))
    env.reset(seed=4)
    assert same(trace(env, acts), trace(started(seed=4), acts))


def test_records_agree_with_what_was_seen() -> None:
    env = started(num_worlds=3)
    start_rows = [env.start_rows(world) for world in range(3)]
    returns = np.zeros(env.num_streams)
    succeeded = np.zeros(env.num_streams, np.int64)
    held: list[np.ndarray] = []
    for act in actions(30, env.num_streams):
        held = [env.inventory(world) for world in range(3)]
        env.step(act)
        returns += env.buffers.rewards
        succeeded += env.buffers.action_success
    for world, record in enumerate(env.drain_episodes()):
        streams = slice(world * 7, world * 7 + 7)
        assert record.start_rows == start_rows[world]
        assert record.length == 30
        assert (record.terminated, record.truncated) == (True, False)
        assert np.array_equal(record.returns, returns[streams])
        assert np.array_equal(record.counter("failed_actions"), 30 - succeeded[streams])
        net = record.counters[:, :10] - record.counters[:, 10:20]
        assert np.array_equal(net, record.final_inventory)
        assert abs(record.final_inventory.astype(int) - held[world]).sum() < 60
        assert (record.counter("attacks_tried") >= record.counter("attacks_hit")).all()
        assert record.counter("items_stolen").sum() == record.counter("items_lost_to_theft").sum()
        assert record.counter("moves").sum() > 0
        assert record.as_dict()["counters"]["gained_heart"] == record.counters[:, HEART].tolist()
        assert len(record.map_hash) == 16


def test_episodes_can_be_cut_off() -> None:
    env = started(num_worlds=60, desynchronise=True, episode_steps=6)
    for act in actions(20, env.num_streams):
        env.step(act)
    records = env.drain_episodes()
    assert {record.length for record in records if record.episode == 0} == set(range(1, 7))
    assert {record.length for record in records if record.episode > 0} == {6}
    assert all(record.truncated and not record.terminated for record in records)
    with pytest.raises(ValueError, match="episode_steps must be at least 1"):
        started(episode_steps=0)


def test_cut_off_lengths_in_few_steps() -> None:
    """Small enough for tests.mutations, which runs it uncompiled."""
    env = started(num_worlds=8, desynchronise=True, episode_steps=2)
    for act in actions(4, env.num_streams):
        env.step(act)
    records = env.drain_episodes()
    first = [record.length for record in records if record.episode == 0]
    assert len(first) == 8
    assert set(first) == {1, 2}
    assert {record.length for record in records if record.episode > 0} == {2}


def test_first_lengths_are_uniform_whatever_the_cut_off() -> None:
    env = started(num_worlds=600, desynchronise=True, episode_steps=20)
    for act in actions(20, env.num_streams):
        env.step(act)
    lengths = np.array([record.length for record in env.drain_episodes() if record.episode == 0])
    assert len(lengths) == 600
    short = int((lengths <= 10).sum())  # expected 300, standard deviation 12
    assert 250 < short < 350


def test_a_cut_off_at_the_end_or_later_changes_nothing() -> None:
    acts = actions(70, 6 * 7)
    expected = trace(started(desynchronise=True), acts)
    for steps in (30, 31):
        assert same(expected, trace(started(desynchronise=True, episode_steps=steps), acts))


def test_truncating_episodes() -> None:
    env = VectorEnv(CONFIG.model_copy(update={"episode_truncates": True, "max_steps": 2}), num_worlds=1, seed=0)
    env.reset()
    for ends in (False, True, False, True):
        env.step(np.zeros(7, np.int32))
        assert (env.buffers.truncations == ends).all()
        assert not env.buffers.terminals.any()


def test_refuses_a_foreign_state() -> None:
    env = started()
    before = env.state_dict()
    for foreign in (started(num_worlds=5).state_dict(), {}, {**before, "extra": np.zeros(1)}):
        with pytest.raises(ValueError, match="state"):
            env.load_state_dict(foreign)
    assert all(np.array_equal(env.state_dict()[name], array) for name, array in before.items())


def test_writes_into_the_callers_arrays() -> None:
    buffers = Buffers.allocate(2 * 7, 200)
    env = VectorEnv(CONFIG, num_worlds=2, seed=0, buffers=buffers)
    env.reset()
    assert env.buffers is buffers
    assert (buffers.observations[:, 0] == (85, 7, 0)).all()
    with pytest.raises(ValueError, match="observations"):
        VectorEnv(CONFIG, num_worlds=3, seed=0, buffers=buffers)


def test_refuses_wrong_calls() -> None:
    env = VectorEnv(CONFIG, num_worlds=2, seed=0)
    with pytest.raises(RuntimeError, match="reset"):
        env.step(np.zeros(14, np.int32))
    env.reset()
    for wrong in (np.zeros(13, np.int32), np.zeros(14, np.int64), np.zeros(28, np.int32)[::2]):
        with pytest.raises(ValueError, match="contiguous int32"):
            env.step(wrong)
    with pytest.raises(ValueError, match="inside"):
        env.step_worlds(np.zeros(14, np.int32), 1, 3)
    with pytest.raises(ValueError, match="at least 1"):
        VectorEnv(CONFIG, num_worlds=0, seed=0)


def test_map_rows_follow_the_agents() -> None:
    rows = ("...", ".@.", "..m")
    legend = {".": "empty", "m": "mine"}
    config = SimConfig.parse(
        {
            "num_agents": 1,
            "objects": {
                "mine": {"type": "converter", "type_id": 2, "output_resources": {"ore_red": 1}, "cooldown": 50}
            },
            "world": FixedMap(rows=rows, legend=legend).model_dump(),
        }
    )
    env = VectorEnv(config, num_worlds=1, seed=0)
    env.reset()
    assert env.legend == {".": "empty", "@": "agent", "m": "mine"}
    for name, shown in [
        ("move_north", [".@.", "...", "..m"]),
        ("move_north", [".@.", "...", "..m"]),
        ("move_east", ["..@", "...", "..m"]),
        ("move_south", ["...", "..@", "..m"]),
    ]:
        env.step(np.array([ACTION_NAMES.index(name)], np.int32))
        assert env.map_rows(0) == shown
    assert env.start_rows(0) == list(rows)
    assert env.steps(0) == 4
    env.step(np.array([ACTION_NAMES.index("move_south")], np.int32))
    env.step(np.array([ACTION_NAMES.index("get_items")], np.int32))
    assert env.inventory(0)[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert env.converters(0) == [(2, 2, "mine", {}, False, True)]


@pytest.mark.parametrize(("rows", "columns"), [(11, 11), (1, 1), (15, 15), (3, 8), (10, 5)])
def test_window_tables_rank_cells_in_token_order(rows: int, columns: int) -> None:
    """Whatever cells of a window row are taken, the tables name exactly their ranks."""
    window = window_tables(rows, columns, map_width=40)
    order = token_order(rows, columns)
    assert [abs(r) + abs(c) for r, c in order] == sorted(abs(r) + abs(c) for r, c in order)
    table = window.rank_words.reshape(rows, 2, -1, window.num_rank_words)
    generator = np.random.default_rng(0)
    for row in range(rows):
        taken = generator.integers(0, 2, columns)
        bits = int(sum(int(bit) << column for column, bit in enumerate(taken)))
        low = table[row, 0, bits & ((1 << window.half_bits) - 1)]
        found = low | table[row, 1, bits >> window.half_bits]
        ranks = {64 * word + bit for word in range(len(found)) for bit in range(64) if int(found[word]) >> bit & 1}
        cells = {(row - rows // 2, column - columns // 2) for column in range(columns) if taken[column]}
        assert {order[rank] for rank in ranks} == cells


def test_trailing_zeros_in_plain_python() -> None:
    assert [trailing_zeros(np.uint64(1 << bit)) for bit in range(64)] == list(range(64))
    assert trailing_zeros(np.uint64(0b101000)) == 3


def test_every_module_of_the_kernels_names_their_cache() -> None:
    """Numba does not notice a changed part of a kernel: KERNEL_MODULES must name all that `step` depends on."""
    folder = Path(metta.sim.__file__).parent
    found, queue = {"step"}, ["step"]
    while queue:
        for node in ast.walk(ast.parse((folder / f"{queue.pop()}.py").read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("metta.sim."):
                name = str(node.module).removeprefix("metta.sim.")
                if name not in found:
                    found.add(name)
                    queue.append(name)
    assert found - {"config"} == set(KERNEL_MODULES)
