"""Rewards: the potential of what an agent holds, and what a change of it pays."""

import numpy as np

from metta.sim.compiled import inner
from metta.sim.world_arrays import Rules, Worlds


@inner
def potential(rules: Rules, worlds: Worlds, w: int, agent: int) -> np.float32:
    """Sum of min(held * weight, cap) in float32, in alphabetical order of the resource names."""
    total = np.float32(0.0)
    for r in range(rules.rewarded.shape[0]):
        worth = np.float32(worlds.items[w, agent, rules.rewarded[r]]) * rules.reward_weight[r]
        total = np.float32(total + min(worth, rules.reward_cap[r]))
    return total


@inner
def pay_changes(rules: Rules, worlds: Worlds, w: int, rewards: np.ndarray) -> None:
    """Add each agent's change of potential to its reward; `rewards` [A] is the world's part."""
    for agent in range(rules.num_agents):
        if worlds.items_changed[w, agent]:
            worlds.items_changed[w, agent] = False
            new = potential(rules, worlds, w, agent)
            rewards[agent] = np.float32(rewards[agent] + np.float32(new - worlds.potential[w, agent]))
            worlds.potential[w, agent] = new
        worlds.returns[w, agent] += rewards[agent]
