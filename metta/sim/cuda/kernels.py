"""The order of a tick on a GPU, in four kernels, of the functions that step.py is made of.

What changes a world is done by one thread for that world, what one agent sees and earns by one thread for that agent:
agents act one after the other, but look at the same time. step.py's `tick` is the same order on a CPU.
W worlds, A agents in a world, N = W * A agent streams, M tokens, H rows and V columns of the map, K kinds of object.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import cuda

from metta.sim.compiled import inner
from metta.sim.cuda.functions import kernel
from metta.sim.episodes import NUM_COUNTERS
from metta.sim.observations import completion_value, observe_agent
from metta.sim.rewards import pay_change
from metta.sim.step import begin_episode, change_world, has_ended, is_cut, one_world
from metta.sim.variants import rules_of
from metta.sim.window import Window
from metta.sim.world_arrays import CLOCK_COLUMNS, ENTITY_COLUMNS, EPISODE, STEP, VARIANT, Rules, World, Worlds


class Shown(NamedTuple):
    """What a step shows of all worlds: arrays on the device, as `vector_env.Buffers` describes them."""

    observations: Any
    """uint8 [N, 3 * M], as is `final_observations`."""
    rewards: Any
    terminals: Any
    truncations: Any
    resets: Any
    action_success: Any
    final_observations: Any


class Starts(NamedTuple):
    """What the start of an episode needs."""

    start_cells: Any
    """uint8 [W, H, V]."""
    thresholds: Any
    """float64, what a variant is drawn by."""
    scratch: Any
    """int32 [W, 2 * H * V + K] of any content."""
    failed: Any
    """int32 [1]; 1 once a map could not be drawn."""


class Ended(NamedTuple):
    """The newest episode of every world that ended, until the CPU fetches it."""

    clock: Any
    """int64 [W, CLOCK_COLUMNS]; its STEP is 0 where there is none."""
    start_cells: Any
    """uint8 [W, H, V]."""
    account: Any
    """float64 [W, A, 2]."""
    entities: Any
    """int32 [W, A, ENTITY_COLUMNS], those of agents alone."""
    counters: Any
    """int32 [W, A, NUM_COUNTERS]."""
    truncated: Any
    """bool [W]."""


@kernel
def change_worlds(
    rules: Rules, worlds: Worlds, window: Window, shown: Shown, actions: np.ndarray, first: int, last: int
) -> None:
    """A thread for each of the worlds first..last-1: what happens in it, with actions int32 [N]."""
    w = first + cuda.grid(1)  # type: ignore[call-arg]
    if w < last:
        world = one_world(worlds, w)
        streams = slice(w * rules.num_agents, (w + 1) * rules.num_agents)
        own = rules_of(rules, world.clock[VARIANT])
        change_world(own, world, window, actions[streams], shown.rewards[streams], shown.action_success[streams])


@kernel
def show_step(rules: Rules, worlds: Worlds, window: Window, shown: Shown, first: int, last: int) -> None:
    """A thread for each agent of the worlds first..last-1: what it sees, what it earns, and whether that was all."""
    stream = first * rules.num_agents + cuda.grid(1)  # type: ignore[call-arg]
    if stream < last * rules.num_agents:
        w = stream // rules.num_agents
        agent = stream % rules.num_agents
        world = one_world(worlds, w)
        own = rules_of(rules, world.clock[VARIANT])
        completion = completion_value(world.clock[STEP], own.max_steps)
        observe_agent(own, world, window, agent, completion, shown.rewards[stream], shown.observations[stream])
        pay_change(own, world, agent, shown.rewards[w * rules.num_agents : (w + 1) * rules.num_agents])
        ends = has_ended(world)
        cut = is_cut(own, world)
        shown.terminals[stream] = ends and not cut
        shown.truncations[stream] = ends and cut
        shown.resets[stream] = False


@inner
def keep(rules: Rules, world: World, start_cells: np.ndarray, ended: Ended, w: int) -> None:
    """Copy what a record of the finished episode of world `w` is made of; `start_cells` uint8 [H, V] are its own."""
    for column in range(CLOCK_COLUMNS):
        ended.clock[w, column] = world.clock[column]
    for row in range(rules.height):
        for column in range(rules.width):
            ended.start_cells[w, row, column] = start_cells[row, column]
    for agent in range(rules.num_agents):
        for column in range(world.account.shape[1]):
            ended.account[w, agent, column] = world.account[agent, column]
        for column in range(ENTITY_COLUMNS):
            ended.entities[w, agent, column] = world.entities[agent, column]
        for column in range(NUM_COUNTERS):
            ended.counters[w, agent, column] = world.counters[agent, column]
    ended.truncated[w] = is_cut(rules, world)


@kernel
def start_ended(
    rules: Rules,
    worlds: Worlds,
    window: Window,
    shown: Shown,
    starts: Starts,
    ended: Ended,
    first: int,
    last: int,
    longest: int,
    random_length: bool,
    afresh: bool,
) -> None:
    """A thread for each of the worlds first..last-1: if its episode is over, keep that and start the next one.

    Episodes end after `longest` steps, those of random length after 1 to `longest`. Afresh: start episode 0 of every
    world instead and keep nothing.
    """
    w = first + cuda.grid(1)  # type: ignore[call-arg]
    if w < last:
        world = one_world(worlds, w)
        if afresh or has_ended(world):
            episode = 0
            if not afresh:
                keep(rules, world, starts.start_cells[w], ended, w)
                episode = world.clock[EPISODE] + 1
            cells, thresholds, scratch = starts.start_cells, starts.thresholds, starts.scratch[w]
            if begin_episode(rules, worlds, window, cells, thresholds, w, episode, longest, random_length, scratch):
                for stream in range(w * rules.num_agents, (w + 1) * rules.num_agents):
                    shown.resets[stream] = True
            else:
                starts.failed[0] = 1


@kernel
def show_start(rules: Rules, worlds: Worlds, window: Window, shown: Shown, first: int, last: int, afresh: bool) -> None:
    """A thread for each agent of the worlds first..last-1: what it sees first of an episode that just began.

    The last observation of the episode before is kept, unless there was none (afresh).
    """
    stream = first * rules.num_agents + cuda.grid(1)  # type: ignore[call-arg]
    if stream < last * rules.num_agents and shown.resets[stream]:
        if not afresh:
            for place in range(shown.observations.shape[1]):
                shown.final_observations[stream, place] = shown.observations[stream, place]
        world = one_world(worlds, stream // rules.num_agents)
        own = rules_of(rules, world.clock[VARIANT])
        completion = completion_value(world.clock[STEP], own.max_steps)
        agent = stream % rules.num_agents
        observe_agent(own, world, window, agent, completion, np.float32(0.0), shown.observations[stream])
