"""Live play: a page on this machine in which one watches players step by step, or steers one agent among them."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from metta.base.errors import InputError
from metta.base.job import Job
from metta.base.patience import patience
from metta.base.stopping import interruptible
from metta.rl.resolved_player import EpisodeConfig, ResolvedPlayer, choose, fixed_by_path, with_players
from metta.sim.config import SimConfig

if TYPE_CHECKING:
    from metta.play.table import Seat


class PlayConfig(EpisodeConfig):
    """One live world, resolved. `policy_uri` plays every agent that `players` does not name."""

    players: str = ""
    """Who plays which agent: words AGENTS=ADDRESS, e.g. '0-5=./train_dir/my_run 6,7=scripted'; agents count from 0."""
    steer: int | None = None
    """Agent that you steer at first; on the page it can be changed at any step."""
    port: int = Field(default=0, ge=0, le=65535)
    """Port on 127.0.0.1; 0 takes a free one."""


@dataclass(frozen=True)
class PlayJob(Job):
    """Serve a live world until it is interrupted."""

    config: PlayConfig

    fixed: ClassVar[Mapping[str, str]] = fixed_by_path("play")

    def execute(self) -> int:
        """Print the address and serve; returns 0 after Ctrl-C.

        Raises:
            InputError: a checkpoint is missing, damaged or of another architecture, there is no such environment,
                episode or agent, or the port is taken.
        """
        config = self.config
        sim = config.sim
        if config.steer is not None and not 0 <= config.steer < sim.num_agents:
            raise InputError(f"steer={config.steer} is not one of the agents 0..{sim.num_agents - 1}.")

        from metta.play.page import play_page
        from metta.play.server import PlayServer
        from metta.play.table import Table

        with patience(lambda sentence: print(sentence, flush=True)):
            chosen, table = with_players(
                lambda: seated(config.policy_uri, config.architecture, config.players, sim.num_agents),
                lambda chosen: (chosen, Table(sim, config.evaluation, seats(chosen, config, sim), config.episode)),
            )
        names = " and ".join(dict.fromkeys(who.name for who in chosen))
        title = f"Live: {names} on {config.level}, {config.environment}"
        facts = [
            ("level and environment", f"{config.level}, {config.environment}"),
            ("evaluation", f"episodes of seed {config.evaluation.seed}"),
        ]
        for who, agents in _by_player(chosen).items():
            facts.append((f"agents {', '.join(map(str, agents))}", f"{who.name}: {who.player}"))
        with (
            PlayServer(table, play_page(title, facts, config.steer, sim.can_attack), config.port) as server,
            interruptible(),
        ):
            print(f"{title}. Open this address in a browser on this machine; Ctrl-C ends it:\n{server.url}", flush=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print("Ended.")
        return 0


def seated(policy_uri: str, architecture: str | None, players: str, agents: int) -> list[ResolvedPlayer]:
    """Who plays each agent.

    Args:
        policy_uri: address of the player of those whom `players` does not name.
        architecture: that its checkpoint must have; None: any.
        players: see `PlayConfig.players`.
        agents: number of agents.

    Raises:
        InputError: a word cannot be read, names an agent that is not there or twice, or an address means no player.
    """
    try:
        words = shlex.split(players)
    except ValueError as error:
        raise InputError(f"players={players!r} cannot be read: {str(error).lower()}.") from None
    named: dict[int, ResolvedPlayer] = {}
    for word in words:
        text, equals, address = word.partition("=")
        if not equals or not address:
            raise InputError(f"players: {word!r} is not AGENTS=ADDRESS, like 0-5=scripted.")
        who = choose(address)
        for agent in agent_numbers(text):
            if agent >= agents:
                raise InputError(f"players: there is no agent {agent}, only 0..{agents - 1}.")
            if agent in named:
                raise InputError(f"players: agent {agent} is named twice.")
            named[agent] = who
    if len(named) == agents:
        return [named[agent] for agent in range(agents)]
    rest = choose(policy_uri, architecture)
    return [named.get(agent, rest) for agent in range(agents)]


def agent_numbers(text: str) -> list[int]:
    """The agents in `3`, `0-5` or `0-2,7`. Raises `InputError`."""
    numbers: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", part)
        if found is None or int(found[2] or found[1]) < int(found[1]):
            raise InputError(f"players: {text!r} does not name agents; use 3, 0-5 or 0-2,7.")
        numbers += range(int(found[1]), int(found[2] or found[1]) + 1)
    return numbers


def _by_player(chosen: list[ResolvedPlayer]) -> dict[ResolvedPlayer, list[int]]:
    return {who: [agent for agent, other in enumerate(chosen) if other == who] for who in chosen}


def seats(chosen: list[ResolvedPlayer], config: PlayConfig, sim: SimConfig) -> "list[Seat]":
    """A seat per player; a checkpoint is loaded once. Raises `InputError` if one does not fit the environment."""
    from metta.play.table import Seat
    from metta.rl.devices import choose_device
    from metta.rl.evaluate import choose_player

    device = choose_device(config.system)
    return [
        Seat(who.name, choose_player(who.player, sim, device), tuple(agents))
        for who, agents in _by_player(chosen).items()
    ]
