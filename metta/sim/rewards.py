"""Rewards: the potential of what an agent holds, and what a change of it pays."""

import numpy as np

from metta.sim.compiled import inner
from metta.sim.world_arrays import CAP, ITEMS, ITEMS_CHANGED, POTENTIAL, RETURN, WEIGHT, Rules, World


@inner
def potential(rules: Rules, world: World, agent: int) -> np.float32:
    """Sum of min(held * weight, cap) in float32, in alphabetical order of the resource names."""
    total = np.float32(0.0)
    for r in range(rules.rewarded.shape[0]):
        worth = np.float32(world.entities[agent, ITEMS + rules.rewarded[r]]) * rules.rewards[r, WEIGHT]
        total = np.float32(total + min(worth, rules.rewards[r, CAP]))
    return total


@inner
def pay_changes(rules: Rules, world: World, rewards: np.ndarray) -> None:
    """Add each agent's change of potential to its reward; `rewards` [A] is the world's part."""
    for agent in range(rules.num_agents):
        pay_change(rules, world, agent, rewards)


@inner
def pay_change(rules: Rules, world: World, agent: int, rewards: np.ndarray) -> None:
    """The same for one agent; touches nothing of the others."""
    if world.entities[agent, ITEMS_CHANGED] != 0:
        world.entities[agent, ITEMS_CHANGED] = 0
        new = potential(rules, world, agent)
        change = np.float32(new - np.float32(world.account[agent, POTENTIAL]))
        rewards[agent] = np.float32(rewards[agent] + change)
        world.account[agent, POTENTIAL] = new
    world.account[agent, RETURN] += rewards[agent]
