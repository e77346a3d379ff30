"""The scripted player as an object: asks the compiled planner for the actions of a range of worlds.

The planner reads the whole state of its worlds, plans circuits when an episode starts (circuits.py), and in every
step decides what each agent does (tasks.py) and how it walks (traffic.py). It uses no randomness.

Nobody in the worlds it plays makes a laser or attacks, because a laser costs a battery and two ores, which is more
than the heart that the theft would move, so armor would never be hit and does not pay either: with combat on the player
does what it does without.

W worlds, A agents in a world.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metta.sim.config import SimConfig
from metta.sim.scripted.chain import Chain, make_chain
from metta.sim.scripted.circuits import plan_circuits
from metta.sim.scripted.compiled import entry, sources_digest
from metta.sim.scripted.decisions import decide
from metta.sim.scripted.distances import measure
from metta.sim.scripted.state import BLOCKED, NOTHING, TARGET, Memory, View, empty_memory
from metta.sim.scripted.traffic import walk
from metta.sim.vector_env import VectorEnv
from metta.sim.world_arrays import EPISODE, FROZEN, STEP, max_converters


class ScriptedPlayer:
    """Acts for every agent of a range of worlds of one configuration."""

    def __init__(self, config: SimConfig) -> None:
        """Raises InputError if the configuration does not hold the arena's chain of mine, generator and altar."""
        self._chain = make_chain(config)
        self._num_converters = max_converters(config)

    def initial_memory(self, num_worlds: int) -> Memory:
        """Memory in front of a first step of so many worlds."""
        chain = self._chain
        return empty_memory(num_worlds, chain.num_agents, self._num_converters, chain.height * chain.width)

    def act(self, env: VectorEnv, first: int, last: int, memory: Memory) -> tuple[NDArray[np.int32], Memory]:
        """Actions of worlds first..last-1 for their next step; a function of the arguments alone.

        Args:
            env: worlds of this player's configuration, after `reset`.
            first: first world.
            last: end of the range.
            memory: of these last - first worlds, as `initial_memory` or the last call gave it; it is not changed.

        Returns:
            Actions int32 [(last - first) * A], and the new memory.
        """
        worlds = env._worlds
        view = View(worlds.clock[first:last], worlds.cells[first:last], worlds.entities[first:last])
        if np.array_equal(memory.episode, view.clock[:, EPISODE]):
            memory = memory._replace(task=memory.task.copy())
        else:
            memory = Memory._make(array.copy() for array in memory)
        actions = np.zeros((last - first, self._chain.num_agents), np.int32)
        act_worlds(self._chain, view, memory, actions)
        return actions.reshape(-1), memory


def _make_entry(digest: int) -> Callable[..., Any]:
    @entry
    def act_worlds(chain: Chain, view: View, memory: Memory, actions: np.ndarray) -> int:
        """Write the actions int32 [W, A] of all worlds of a view, and change its memory."""
        if digest < 0:
            return digest
        for w in range(actions.shape[0]):
            if memory.episode[w] != view.clock[w, EPISODE]:
                memory.episode[w] = view.clock[w, EPISODE]
                memory.task[w, :, TARGET] = NOTHING
                memory.task[w, :, BLOCKED] = 0
                measure(chain, view, memory, w)
                plan_circuits(chain, view, memory, w)
            for agent in range(chain.num_agents):
                actions[w, agent] = 0
                if view.entities[w, agent, FROZEN] == 0:
                    actions[w, agent] = decide(chain, view, memory, w, agent, view.clock[w, STEP] + 1)
            walk(chain, view, memory, w, actions[w])
        return 0

    return act_worlds


act_worlds = _make_entry(sources_digest())
