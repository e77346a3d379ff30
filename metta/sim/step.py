"""The order of a tick, and the two kernels that Python calls: start episodes, and make one step.

W worlds, A agents in a world, N = W * A agent streams, M tokens.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from metta.sim.actions import act, is_attack, is_valid, refuse
from metta.sim.compiled import entry, inner, source_digest
from metta.sim.constants import NOOP
from metta.sim.converters import finish_what_is_due
from metta.sim.episode_start import choose_variant, start_episode
from metta.sim.faces import draw_agent
from metta.sim.observations import observe_world
from metta.sim.randomness import GOLDEN, below
from metta.sim.rewards import pay_changes
from metta.sim.rounds import continue_rounds
from metta.sim.variants import rules_of
from metta.sim.window import Window
from metta.sim.world_arrays import (
    FACE_STALE,
    HELD,
    LAST_STEP,
    LIFETIME,
    ORDER_STATE,
    PLACE,
    SHOWN_ACTION,
    STEP,
    VARIANT,
    Rules,
    World,
    Worlds,
)


@inner
def tick(
    rules: Rules,
    world: World,
    window: Window,
    actions: np.ndarray,
    rewards: np.ndarray,
    success: np.ndarray,
    observations: np.ndarray,
) -> None:
    """One step of one world: actions int32 [A]; writes rewards float32 [A], success bool [A], observations."""
    change_world(rules, world, window, actions, rewards, success)
    observe_world(rules, world, window, rewards, observations)
    pay_changes(rules, world, rewards)


@inner
def change_world(
    rules: Rules, world: World, window: Window, actions: np.ndarray, rewards: np.ndarray, success: np.ndarray
) -> None:
    """What a step does to a world before anybody looks; the rewards are then the penalties alone."""
    rewards[:] = np.float32(0.0)
    world.clock[STEP] += 1
    world.clock[LIFETIME] += 1
    finish_what_is_due(rules, world)
    if rules.wait > 0:
        continue_rounds(rules, world)
    draw_order(rules, world)
    attacks_first(rules, world, window, actions, rewards, success)
    other_actions(rules, world, window, actions, rewards, success)
    redraw_agents(rules, world)


@inner
def draw_order(rules: Rules, world: World) -> None:
    """A uniformly random permutation of the agents (inside-out shuffle)."""
    state = np.uint64(world.clock[ORDER_STATE])
    for place in range(rules.num_agents):
        state += GOLDEN
        other = below(state, place + 1)
        world.entities[place, PLACE] = world.entities[other, PLACE]
        world.entities[other, PLACE] = place
    world.clock[ORDER_STATE] = np.int64(state)


@inner
def attacks_first(
    rules: Rules, world: World, window: Window, actions: np.ndarray, rewards: np.ndarray, success: np.ndarray
) -> None:
    """The actions of the first priority, in this step's order."""
    for place in range(rules.num_agents):
        agent = world.entities[place, PLACE]
        if is_attack(actions[agent]):
            success[agent] = act(rules, world, window, agent, actions[agent], rewards)


@inner
def other_actions(
    rules: Rules, world: World, window: Window, actions: np.ndarray, rewards: np.ndarray, success: np.ndarray
) -> None:
    """All other actions in the same order, and what the observation will show of every action."""
    for place in range(rules.num_agents):
        agent = world.entities[place, PLACE]
        action = actions[agent]
        if not is_valid(action):
            refuse(rules, world, agent, rewards)
            success[agent] = False
            action = NOOP
        elif not is_attack(action):
            success[agent] = act(rules, world, window, agent, action, rewards)
        if rules.wait > 0 and world.entities[agent, HELD] != 0:
            action = NOOP  # or an agent could tell itself the cue from step to step by what it tries in vain
        world.entities[agent, SHOWN_ACTION] = action


@inner
def redraw_agents(rules: Rules, world: World) -> None:
    """Encode every agent whose look or place changed."""
    for agent in range(rules.num_agents):
        if world.entities[agent, FACE_STALE] != 0:
            world.entities[agent, FACE_STALE] = 0
            draw_agent(rules, world, agent)


@inner
def has_ended(world: World) -> bool:
    """Whether the episode is over."""
    return world.clock[STEP] >= world.clock[LAST_STEP]


@inner
def is_cut(rules: Rules, world: World) -> bool:
    """Whether the end of the episode is a truncation, not a terminal."""
    return rules.truncates or world.clock[LAST_STEP] < rules.max_steps


@inner
def begin_episode(
    rules: Rules,
    worlds: Worlds,
    window: Window,
    start_cells: np.ndarray,
    thresholds: np.ndarray,
    w: int,
    episode: int,
    longest: int,
    random_length: bool,
    scratch: np.ndarray,
) -> bool:
    """Start an episode of a world by one of the variants; False if no map could be drawn (see `start_episodes`)."""
    world = one_world(worlds, w)
    choose_variant(world, thresholds, episode)
    own = rules_of(rules, world.clock[VARIANT])
    return start_episode(own, world, window, start_cells[w], episode, longest, random_length, scratch)


@inner
def one_world(worlds: Worlds, w: int) -> World:
    """The arrays of one world."""
    return World(
        worlds.clock[w],
        worlds.cells[w],
        worlds.occupied[w],
        worlds.faces[w],
        worlds.long_faces[w],
        worlds.entities[w],
        worlds.account[w],
        worlds.counters[w],
    )


def _make_entries(digest: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The kernels; that they use the digest of the sources keeps their caches on disk apart."""

    @entry
    def step_worlds(
        rules: Rules,
        worlds: Worlds,
        window: Window,
        first: int,
        last: int,
        actions: np.ndarray,
        observations: np.ndarray,
        rewards: np.ndarray,
        terminals: np.ndarray,
        truncations: np.ndarray,
        resets: np.ndarray,
        success: np.ndarray,
    ) -> int:
        """Step worlds first..last-1; arrays are [N] and observations [N, 3 * M]. Returns how many episodes ended.

        `rules` are those of all variants (see variants.py).
        """
        if digest < 0:
            return digest
        ended = 0
        for w in range(first, last):
            world = one_world(worlds, w)
            streams = slice(w * rules.num_agents, (w + 1) * rules.num_agents)
            own = rules_of(rules, world.clock[VARIANT])
            tick(own, world, window, actions[streams], rewards[streams], success[streams], observations[streams])
            ends = has_ended(world)
            cut = is_cut(own, world)
            terminals[streams] = ends and not cut
            truncations[streams] = ends and cut
            resets[streams] = False
            if ends:
                ended += 1
        return ended

    @entry
    def start_episodes(
        rules: Rules,
        worlds: Worlds,
        window: Window,
        start_cells: np.ndarray,
        thresholds: np.ndarray,
        chosen: np.ndarray,
        episodes: np.ndarray,
        longest: int,
        random_length: bool,
        observations: np.ndarray,
        rewards: np.ndarray,
        resets: np.ndarray,
        scratch: np.ndarray,
    ) -> int:
        """Start an episode in each chosen world int64 [n] and observe it; returns a world without a map, or -1.

        Episodes end after `longest` steps, those of random length after 1 to `longest`.
        `rules` are those of all variants and `thresholds` float64 what one is drawn by (see variants.py),
        `start_cells` is uint8 [W, H, V], `rewards` float32 [A] of zeros, `scratch` int32 [2 * H * V + K].
        """
        if digest < 0:
            return digest
        for i in range(chosen.shape[0]):
            w = chosen[i]
            if not begin_episode(
                rules, worlds, window, start_cells, thresholds, w, episodes[i], longest, random_length, scratch
            ):
                return w
            world = one_world(worlds, w)
            streams = slice(w * rules.num_agents, (w + 1) * rules.num_agents)
            own = rules_of(rules, world.clock[VARIANT])
            observe_world(own, world, window, rewards, observations[streams])
            resets[streams] = True
        return -1

    return step_worlds, start_episodes


step_worlds, start_episodes = _make_entries(source_digest())
