"""Random rooms: right contents, everything reachable, and a function of (seed, world, episode) alone."""

from collections import Counter, deque

import numpy as np
import pytest

from metta.base.errors import RunError
from metta.sim.arena import arena_config
from metta.sim.config import ConverterConfig, RoomConfig, SimConfig
from metta.sim.vector_env import VectorEnv


def arena(size: int, num_agents: int) -> SimConfig:
    return arena_config(
        size=size, num_agents=num_agents, altar_ratio=1, initial_count=2, laser_cost=100, rewards={}, caps={}
    )


LEVEL_1 = arena(15, 12)


def start_maps(config: SimConfig, num_worlds: int, seed: int, first_world: int = 0) -> list[list[str]]:
    env = VectorEnv(config, num_worlds=num_worlds, seed=seed, first_world=first_world)
    env.reset()
    return [env.start_rows(world) for world in range(num_worlds)]


def reachable_kinds(rows: list[str], start: tuple[int, int]) -> set[str]:
    """Characters beside the cells that can be walked to: the test's own flood fill."""
    seen, queue, met = {start}, deque([start]), set()
    while queue:
        row, column = queue.popleft()
        for next_cell in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            character = rows[next_cell[0]][next_cell[1]]
            if character in ".@":
                if next_cell not in seen:
                    seen.add(next_cell)
                    queue.append(next_cell)
            else:
                met.add(character)
    return met


def test_rooms_keep_their_promises() -> None:
    maps = start_maps(LEVEL_1, 100, seed=5)
    for rows in maps:
        assert set(rows[0]) | set(rows[-1]) | {row[0] for row in rows} | {row[-1] for row in rows} == {"#"}
        inner = Counter("".join(row[1:-1] for row in rows[1:-1]))
        assert inner == {"#": 20, "_": 10, "m": 20, "n": 10, "S": 2, "o": 2, "@": 12, ".": 225 - 64 - 12}
        for row, line in enumerate(rows):
            for column, character in enumerate(line):
                if character == "@":
                    assert reachable_kinds(rows, (row, column)) >= set("_mnSo")
    assert len({tuple(rows) for rows in maps}) == len(maps)


def test_objects_are_spread_over_the_room() -> None:
    """Every inner cell is about equally often empty (a bias towards a corner or an edge would show)."""
    maps = np.array([[[c == "." for c in row] for row in rows] for rows in start_maps(LEVEL_1, 400, seed=1)])
    share = maps[:, 1:-1, 1:-1].mean(axis=0)
    assert abs(share.mean() - 149 / 225) < 1e-9
    assert abs(share - share.mean()).max() < 0.13


def test_agents_start_in_row_major_order_facing_north() -> None:
    env = VectorEnv(LEVEL_1, num_worlds=3, seed=2)
    env.reset()
    for world in range(3):
        state = env.agent_state(world)
        cells = [tuple(cell) for cell in state[:, :2].tolist()]
        assert cells == sorted(cells)
        assert not state[:, 2:].any()
        assert not env.inventory(world).any()


def test_maps_are_a_function_of_seed_world_and_episode() -> None:
    six = start_maps(LEVEL_1, 6, seed=7)
    assert start_maps(LEVEL_1, 2, seed=7, first_world=3) == six[3:5]
    assert start_maps(LEVEL_1, 6, seed=8) != six
    short = LEVEL_1.model_copy(update={"max_steps": 1})
    env = VectorEnv(short, num_worlds=6, seed=7)
    env.reset()
    episodes = [[env.start_rows(world) for world in range(6)]]
    for _ in range(3):
        env.step(np.zeros(env.num_streams, np.int32))
        episodes.append([env.start_rows(world) for world in range(6)])
    assert episodes[0] == six
    assert len({tuple(rows) for maps in episodes for rows in maps}) == 24


def test_a_full_room_and_an_impossible_one() -> None:
    full = SimConfig(num_agents=3, world=RoomConfig(height=2, width=3, objects={"wall": 3}))
    assert Counter("".join(start_maps(full, 1, seed=0)[0]))["@"] == 3
    machine = ConverterConfig(type_id=2)
    corridor = SimConfig(
        num_agents=1,
        objects={**full.objects, "a": machine, "b": machine, "c": machine},
        world=RoomConfig(height=1, width=4, objects={"a": 1, "b": 1, "c": 1}),
    )
    with pytest.raises(RunError, match="reach one of each converter"):
        start_maps(corridor, 1, seed=0)
