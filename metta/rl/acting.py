"""A policy, or a reference player, in a loop of one's own: `metta.load_policy(address).act(observations)`.

A agents, M tokens of an observation.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from metta.agent.policy import Policy
from metta.agent.state import State
from metta.base.addresses import PLAYERS, checkpoint_address
from metta.base.errors import InputError
from metta.rl import checkpoint
from metta.rl.players import REFERENCE_PLAYERS
from metta.rl.resolved_player import find_checkpoint
from metta.rl.sampling import sample_actions
from metta.sim.gymnasium_env import ArenaStreams


class ActingPolicy:
    """A policy with its recurrent state and the randomness of its actions; call `act` once per step."""

    def __init__(self, policy: Policy, seed: int = 0) -> None:
        self.policy = policy
        self._random = np.random.default_rng(seed)
        self._state: State | None = None
        self._agents = 0

    def act(self, observations: NDArray[np.uint8], resets: NDArray[np.bool_] | None = None) -> NDArray[np.int32]:
        """An action for every agent, drawn from the policy's distribution; the state goes on to the next call.

        Args:
            observations: uint8 [A, M, 3], or [M, 3] of one agent.
            resets: bool [A], where a new episode begins with this observation; none by default. The first
                call, and the first after `reset`, always begins one.

        Returns:
            int32 [A], or [] of one agent.

        Raises:
            InputError: the observations have another shape or type than the policy's environment, or another number of
                agents than in the call before.
        """
        tokens = self.policy.spec.num_observation_tokens
        if observations.dtype != np.uint8 or observations.shape[-2:] != (tokens, 3) or observations.ndim not in (2, 3):
            raise InputError(
                f"observations must be uint8 [agents, {tokens}, 3], or [{tokens}, 3] of one agent; these are "
                f"{observations.dtype} {list(observations.shape)}."
            )
        seen = torch.from_numpy(np.ascontiguousarray(observations)).reshape(-1, 1, tokens, 3)
        if self._state is None:
            self._agents = len(seen)
            self._state = self.policy.initial_state(self._agents)
            resets = np.ones(self._agents, np.bool_)
        if len(seen) != self._agents:
            raise InputError(
                f"observations of {len(seen)} agents follow those of {self._agents}; call reset() in between."
            )
        begins = torch.zeros(self._agents, 1, dtype=torch.bool)
        if resets is not None:
            begins[:, 0] = torch.as_tensor(resets)
        with torch.inference_mode():
            logits, self._state = self.policy.act(seen, begins, self._state)
            uniforms = torch.from_numpy(self._random.random(self._agents, dtype=np.float32))
            actions, _ = sample_actions(logits[:, 0], uniforms)
        return actions.numpy().astype(np.int32).reshape(observations.shape[:-2])

    def reset(self) -> None:
        """Forget everything: the next call begins an episode for every agent, of which there may be another number."""
        self._state = None


class ActingPlayer:
    """A reference player in the streams that it was made for; call `act` once per step."""

    def __init__(self, name: str, streams: ArenaStreams, seed: int = 0) -> None:
        """Raises InputError if the player cannot play in these worlds."""
        self._player = REFERENCE_PLAYERS[name](streams.worlds.config)
        self._worlds = streams.worlds
        self._random = np.random.default_rng(seed)
        self._state = self._player.initial_state(self._worlds.num_worlds)

    def act(self, observations: NDArray[np.uint8], resets: NDArray[np.bool_] | None = None) -> NDArray[np.int32]:
        """An action int32 [A] for every agent of the streams; the arguments of `ActingPolicy.act` are not needed.

        The player looks into the worlds themselves.
        """
        worlds = self._worlds
        uniforms = torch.from_numpy(self._random.random(worlds.num_streams, dtype=np.float32))
        actions, self._state = self._player.choose(worlds, 0, worlds.num_worlds, self._state, uniforms)
        return actions

    def reset(self) -> None:
        """Forget everything."""
        self._state = self._player.initial_state(self._worlds.num_worlds)


def load_policy(address: str | Path, seed: int = 0, streams: ArenaStreams | None = None) -> ActingPolicy | ActingPlayer:
    """The policy at an address, ready to act.

    Args:
        address: as `policy_uri` takes it (docs/interface.md): a run's folder, its `checkpoints`, one checkpoint, or a
            reference player.
        seed: of the actions that are drawn.
        streams: for a reference player, the environment from `metta.make_env` that it acts in.

    Raises:
        InputError: nothing is there, it is damaged, or a reference player has no streams that it can play in.
    """
    if str(address) in PLAYERS:
        if streams is None:
            raise InputError(
                f"the reference player {str(address)!r} looks into the worlds that it plays in: give them, as in "
                f"load_policy({str(address)!r}, streams=streams) after streams = metta.make_env('level_1_basic')."
            )
        return ActingPlayer(str(address), streams, seed)
    return ActingPolicy(checkpoint.load_policy(find_checkpoint(checkpoint_address(str(address)))), seed)
