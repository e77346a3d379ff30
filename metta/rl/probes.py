"""Probes of memory: the same held-out episodes with the recurrent state left alone, emptied, exchanged or delayed.

Axes: B rows of a batch (agents, world after world), T = 1 step, D width.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from metta.agent.policy import Policy
from metta.agent.state import State, map_state, rows
from metta.rl.evaluate import Episodes, evaluate_player
from metta.rl.players import PolicyPlayer
from metta.rl.shards import Shards
from metta.sim.config import SimConfig

UNTOUCHED, EMPTIED, EXCHANGED, DELAYED = "left alone", "emptied", "exchanged", "delayed"


class Intervention(NamedTuple):
    """What happens to the state in front of a step."""

    kind: str
    """UNTOUCHED: nothing. EMPTIED: in front of every `steps`-th step, from the first, it becomes the policy's initial
    state, so that a step sees itself and at most `steps` - 1 before. EXCHANGED: an agent acts on the state that the
    next agent of its world would act on. DELAYED: on its own of `steps` steps ago, the initial one before that. In the
    last two, what is remembered goes on undisturbed: only what acting reads of it is another."""
    steps: int = 0
    """0 where the kind has none."""


class Memory(Protocol):
    """What probes need of a memory module."""

    extra_inputs: int

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """The state in front of a first episode."""
        ...

    def __call__(self, x: Tensor, resets: Tensor, state: State) -> tuple[Tensor, State]:
        """x [B, T, D], resets bool [B, T], state -> [B, T, D_out], new state."""
        ...


class ProbedMemory(nn.Module):
    """A memory with an intervention in its state; acting only.

    State: (steps so far, int64 [B]; the states of the last steps that the intervention needs, oldest first).
    """

    def __init__(self, memory: Memory, intervention: Intervention, agents: int) -> None:
        """`agents`: agents of a world; B is a multiple of it."""
        super().__init__()
        self.memory, self.intervention, self.agents = memory, intervention, agents
        self.extra_inputs = memory.extra_inputs

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """The memory's own, as often as it is kept."""
        kept = self.intervention.steps + 1 if self.intervention.kind == DELAYED else 1
        own = self.memory.initial_state(batch, device=device, dtype=dtype)
        return torch.zeros(batch, dtype=torch.int64, device=device), (own,) * kept

    def forward(self, x: Tensor, resets: Tensor, state: State) -> tuple[Tensor, State]:
        """x [B, 1, D], resets bool [B, 1], state -> [B, 1, D_out], new state. Raises ValueError for T other than 1."""
        if x.shape[1] != 1:
            raise ValueError("a probed memory takes one step at a time")
        clock, past = state
        assert isinstance(clock, Tensor)
        assert isinstance(past, tuple)
        kind, steps = self.intervention
        own = past[-1]
        if kind == EMPTIED and int(clock[0]) % steps == 0:
            own = self.memory.initial_state(x.shape[0], device=x.device, dtype=x.dtype)
        output, after = self.memory(x, resets, own)
        if kind == DELAYED:
            output, _ = self.memory(x, resets, past[0])
        if kind == EXCHANGED:
            order = torch.arange(x.shape[0], device=x.device).unflatten(0, (-1, self.agents)).roll(-1, 1).flatten()
            output, _ = self.memory(x, resets, rows(own, order))
        # A memory may hand back views of what it was given, whose storage a chain of kept states would keep alive.
        after = map_state(torch.clone, after) if kind == DELAYED else after
        return output, (clock + 1, (*past[1:], after))


def probed(policy: Policy, intervention: Intervention, agents: int) -> Policy:
    """A policy of the same parts whose memory is disturbed in worlds of so many agents."""
    memory = ProbedMemory(policy.memory, intervention, agents)  # type: ignore[arg-type]
    return Policy(policy.spec, policy.encoder, memory, policy.actor, policy.critic, policy.auxiliary)


def probe(
    policy: Policy,
    sim: SimConfig,
    interventions: list[Intervention],
    episodes: Episodes,
    device: torch.device,
    shards: Shards,
) -> list[list[float]]:
    """Hearts per agent of every episode, in the order of the worlds, for each intervention.

    Args:
        policy: any; one without memory gives the same numbers for all, to the last bit.
        sim: the environment.
        interventions: each is played in all episodes, with the same uniform numbers.
        episodes: which.
        device: where the policy acts.
        shards: threads; each plays one intervention at a time.
    """

    def play(intervention: Intervention) -> list[float]:
        player = PolicyPlayer(probed(policy, intervention, sim.num_agents), sim, device)
        alone = Shards(1)
        result = evaluate_player(player, sim, episodes, alone)
        return [sum(episode["hearts"]) / len(episode["hearts"]) for episode in result["per_episode"]]

    return shards.map(play, interventions)
