"""One world that is played step by step: who plays which agent, what every agent will do next, and what came of it.

Every player sees the whole world and decides for everybody; only the decisions for its own agents count. So each policy
remembers the episode as if it had acted for its agents alone, and a steered agent can be given back at any step.

T steps, A agents, C converters, R resources, K actions.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from metta.base.errors import InputError
from metta.replay.page import header
from metta.replay.recording import agent_rows, converter_row, in_255ths
from metta.rl.config import EvaluationConfig
from metta.rl.evaluate import one_episode
from metta.rl.metrics import episode_result
from metta.rl.players import Player
from metta.sim.config import SimConfig
from metta.sim.constants import NUM_ACTIONS

NOT_DONE_YET = 255
"""In the place of success, for the step that comes next."""


class Seat(NamedTuple):
    """A player and the agents it acts for."""

    name: str
    player: Player
    agents: tuple[int, ...]


class Table:
    """An episode in progress. Rows are those of `metta.replay.recording.Recording`, as plain lists."""

    def __init__(self, sim: SimConfig, evaluation: EvaluationConfig, seats: list[Seat], episode: int) -> None:
        """Begin an episode of the evaluation.

        Args:
            sim: the environment.
            evaluation: gives the maps, the spawns and the numbers that policies draw with.
            seats: together they hold every agent once.
            episode: from 0.

        Raises:
            InputError: there is no such episode.
        """
        self._sim, self._evaluation, self._seats = sim, evaluation, seats
        self.games = 0
        """Episodes begun, which tells the same episode begun twice apart."""
        self.restart(episode)

    def restart(self, episode: int) -> None:
        """Begin another episode. Raises `InputError` if there is no such, and keeps the old one."""
        self._env, _, self._numbers = one_episode(self._sim, self._evaluation, episode)
        self.episode = episode
        self.games += 1
        self._states = [seat.player.initial_state(1) for seat in self._seats]
        self._actions = np.zeros(self._env.num_agents, np.int32)
        self.rows: list[dict[str, Any]] = []
        self.result: dict[str, Any] | None = None
        """What an evaluation keeps of the episode, once it has ended."""
        self._places = self._env.converters(0)
        self._start_rows = self._env.start_rows(0)
        self._decide()

    @property
    def head(self) -> dict[str, Any]:
        """What the page has to know before the first row."""
        places = [(row, column, name) for row, column, name, *_ in self._places]
        players = {agent: seat.name for seat in self._seats for agent in seat.agents}
        return {
            **header(self._sim, self._start_rows, self._env.legend, places),
            "players": [players[agent] for agent in range(self._env.num_agents)],
            "steps": self._sim.max_steps,
            "episode": self.episode,
            "episodes": self._evaluation.worlds,
        }

    @property
    def ended(self) -> bool:
        """Whether the episode is over."""
        return self.result is not None

    def step(self, steered: Mapping[int, int]) -> None:
        """Do one step; the last row then says what came of it, and a new one what comes next.

        Args:
            steered: agent -> action in the place of its player's.

        Raises:
            InputError: the episode is over, or there is no such agent or action.
        """
        if self.ended:
            raise InputError("the episode is over; begin another.")
        for agent, action in steered.items():
            if not 0 <= agent < self._env.num_agents:
                raise InputError(f"agent {agent} is not one of 0..{self._env.num_agents - 1}.")
            if not 0 <= action < NUM_ACTIONS:
                raise InputError(f"action {action} is not one of 0..{NUM_ACTIONS - 1}.")
        for agent, action in steered.items():
            self._actions[agent] = action
        self._env.step(self._actions)
        row = self.rows[-1]
        for agent, success in enumerate(self._env.buffers.action_success.tolist()):
            row["agents"][agent][4:] = [int(self._actions[agent]), int(success)]
        row["rewards"] = self._env.buffers.rewards.tolist()
        if len(self.rows) == self._sim.max_steps:
            self.result = episode_result(self._env.drain_episodes()[0], self._sim)
        else:
            self._decide()

    def _decide(self) -> None:
        """Ask everybody for the next action, and add the row."""
        env, step = self._env, len(self.rows)
        agents = env.num_agents
        probabilities = np.zeros((agents, NUM_ACTIONS), np.uint8)
        values: list[float | None] = [None] * agents
        for place, seat in enumerate(self._seats):
            decision = seat.player.act(env, 0, 1, self._states[place], self._numbers[step])
            self._states[place] = decision.state
            own = list(seat.agents)
            self._actions[own] = decision.actions[own]
            if decision.probabilities is not None:
                probabilities[own] = in_255ths(decision.probabilities[own])
            if decision.values is not None:
                for agent in own:
                    values[agent] = float(decision.values[agent])
        self.rows.append(
            {
                "agents": [
                    [*state, int(action), NOT_DONE_YET]
                    for state, action in zip(agent_rows(env, 0).tolist(), self._actions, strict=True)
                ],
                "inventories": env.inventory(0).tolist(),
                "converters": converter_row(env, 0).tolist(),
                "rewards": [0.0] * agents,
                "probabilities": probabilities.tolist(),
                "values": values,
            }
        )
