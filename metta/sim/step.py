"""The order of a tick, and the two kernels that Python calls: start episodes, and make one step.

W worlds, A agents in a world, N = W * A agent streams, M tokens.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from metta.sim.actions import act, is_attack, is_valid, refuse
from metta.sim.compiled import entry, inner, source_digest
from metta.sim.constants import NOOP
from metta.sim.converters import happen_events
from metta.sim.episode_start import start_episode
from metta.sim.faces import draw_agent
from metta.sim.observations import observe_world
from metta.sim.randomness import GOLDEN, below
from metta.sim.rewards import pay_changes
from metta.sim.world_arrays import Rules, Worlds


@inner
def tick(
    rules: Rules,
    worlds: Worlds,
    w: int,
    actions: np.ndarray,
    rewards: np.ndarray,
    success: np.ndarray,
    observations: np.ndarray,
) -> None:
    """One step of one world: actions int32 [A]; writes rewards float32 [A], success bool [A], observations."""
    rewards[:] = np.float32(0.0)
    worlds.step[w] += 1
    worlds.lifetime[w] += 1
    happen_events(rules, worlds, w)
    draw_order(rules, worlds, w)
    attacks_first(rules, worlds, w, actions, rewards, success)
    other_actions(rules, worlds, w, actions, rewards, success)
    redraw_agents(rules, worlds, w)
    observe_world(rules, worlds, w, rewards, observations)
    pay_changes(rules, worlds, w, rewards)


@inner
def draw_order(rules: Rules, worlds: Worlds, w: int) -> None:
    """A uniformly random permutation of the agents (inside-out shuffle)."""
    state = worlds.order_state[w]
    for place in range(rules.num_agents):
        state += GOLDEN
        other = below(state, place + 1)
        worlds.order[w, place] = worlds.order[w, other]
        worlds.order[w, other] = place
    worlds.order_state[w] = state


@inner
def attacks_first(
    rules: Rules, worlds: Worlds, w: int, actions: np.ndarray, rewards: np.ndarray, success: np.ndarray
) -> None:
    """The actions of the first priority, in this step's order."""
    for place in range(rules.num_agents):
        agent = worlds.order[w, place]
        if is_attack(actions[agent]):
            success[agent] = act(rules, worlds, w, agent, actions[agent], rewards)


@inner
def other_actions(
    rules: Rules, worlds: Worlds, w: int, actions: np.ndarray, rewards: np.ndarray, success: np.ndarray
) -> None:
    """All other actions in the same order, and what the observation will show of every action."""
    for place in range(rules.num_agents):
        agent = worlds.order[w, place]
        action = actions[agent]
        if not is_valid(action):
            refuse(rules, worlds, w, agent, rewards)
            success[agent] = False
            action = NOOP
        elif not is_attack(action):
            success[agent] = act(rules, worlds, w, agent, action, rewards)
        worlds.shown_action[w, agent] = action


@inner
def redraw_agents(rules: Rules, worlds: Worlds, w: int) -> None:
    """Encode every agent whose look or place changed."""
    for agent in range(rules.num_agents):
        if worlds.face_stale[w, agent]:
            worlds.face_stale[w, agent] = False
            draw_agent(rules, worlds, w, agent)


def _make_entries(digest: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The kernels, their caches on disk named by the digest of the sources."""

    @entry
    def step_worlds(
        rules: Rules,
        worlds: Worlds,
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
        """Step worlds first..last-1; arrays are [N] and observations [N, 3 * M]. Returns how many episodes ended."""
        if digest < 0:
            return digest
        ended = 0
        for w in range(first, last):
            streams = slice(w * rules.num_agents, (w + 1) * rules.num_agents)
            tick(rules, worlds, w, actions[streams], rewards[streams], success[streams], observations[streams])
            ends = worlds.step[w] >= worlds.last_step[w]
            cut = rules.truncates or worlds.last_step[w] < rules.max_steps
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
        chosen: np.ndarray,
        episodes: np.ndarray,
        random_length: bool,
        observations: np.ndarray,
        rewards: np.ndarray,
        resets: np.ndarray,
        scratch: np.ndarray,
    ) -> int:
        """Start an episode in each chosen world int64 [n] and observe it; returns a world without a map, or -1.

        `rewards` is float32 [A] of zeros, `scratch` int32 [2 * H * V + K].
        """
        if digest < 0:
            return digest
        for i in range(chosen.shape[0]):
            w = chosen[i]
            streams = slice(w * rules.num_agents, (w + 1) * rules.num_agents)
            if not start_episode(rules, worlds, w, episodes[i], random_length, scratch):
                return w
            observe_world(rules, worlds, w, rewards, observations[streams])
            resets[streams] = True
        return -1

    return step_worlds, start_episodes


step_worlds, start_episodes = _make_entries(source_digest())
