"""Who plays, and where: what evaluating, replaying and live play are told alike, and the checkpoint that it means."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import Field

from metta.base.addresses import BEST, NEWEST, PLAYERS, CheckpointAddress, checkpoint_address, runs_below
from metta.base.config import Config
from metta.base.errors import InputError
from metta.base.files import read_json
from metta.base.run_files import BEST_RECORD, POLICY_RECORD
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.sim.config import SimConfig


class PlayerConfig(Config):
    """A player on the evaluation environments of a level."""

    policy_uri: str
    """Address of the checkpoint (see docs/interface.md), or a reference player: `random`, `blind`, `reflex` or
    `scripted`."""
    level: str
    """Level whose evaluation environments are used."""
    architecture: str | None = None
    """If given, a checkpoint of another architecture is refused."""
    evaluation_environments: dict[str, SimConfig] = Field(min_length=1)
    """Evaluation environments by name, e.g. basic, combat."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Number of episodes and their seed."""
    system: SystemConfig = SystemConfig()
    """Where and how the computation runs."""


class EnvironmentConfig(PlayerConfig):
    """A player in one evaluation environment of a level."""

    environment: str = "basic"
    """Name of the evaluation environment."""

    @property
    def sim(self) -> SimConfig:
        """The evaluation environment. Raises `InputError` if the level has none of this name."""
        if self.environment not in self.evaluation_environments:
            known = ", ".join(self.evaluation_environments)
            raise InputError(f"environment={self.environment!r} is not one of {self.level}: {known}.")
        return self.evaluation_environments[self.environment]


class EpisodeConfig(EnvironmentConfig):
    """A player in one episode of an evaluation."""

    episode: int = 0
    """Which of the evaluation's episodes, from 0."""


def fixed_by_path(verb: str) -> dict[str, str]:
    """The keys that a command's path and parameters choose, each with the way to choose them."""
    return {
        "level": "the level is chosen by the path, as in "
        f"experiments.recipes.benchmark_architectures.level_2_easy.{verb}",
        "architecture": "the architecture to expect is chosen by policy_architecture= or arch_type=",
    }


class ResolvedPlayer(NamedTuple):
    """The player that an address means."""

    player: Path | str
    """Folder of one checkpoint, or a reference player's name."""
    name: str
    """Architecture of the checkpoint, or the reference player's name."""
    timesteps: int | None
    """Agent-steps that the checkpoint was trained for."""

    @property
    def checkpoint(self) -> str | None:
        """Name of the checkpoint; None for reference players."""
        return self.player.name if isinstance(self.player, Path) else None


T = TypeVar("T")


def with_players(choose: Callable[[], list[ResolvedPlayer]], work: Callable[[list[ResolvedPlayer]], T]) -> T:
    """Do work with chosen players; where a run that still trains removes a checkpoint meanwhile, choose again.

    Args:
        choose: gives the players.
        work: raises `InputError` for a checkpoint that is not there any more.

    Raises:
        InputError: nothing is there to be chosen, or `work` raised it for another reason.
    """
    while True:
        chosen = choose()
        try:
            return work(chosen)
        except InputError:
            if all(who.player.exists() for who in chosen if isinstance(who.player, Path)):
                raise


def choose(policy_uri: str, architecture: str | None = None) -> ResolvedPlayer:
    """The player at an address.

    Raises:
        InputError: nothing is there, or a checkpoint of another architecture than the expected one.
    """
    if policy_uri in PLAYERS:
        return ResolvedPlayer(policy_uri, policy_uri, 0)
    return resolve_checkpoint(checkpoint_address(policy_uri), architecture)


def resolve_checkpoint(address: CheckpointAddress, architecture: str | None = None) -> ResolvedPlayer:
    """The player whose checkpoint an address means. Errors as `choose`."""
    while True:
        player = find_checkpoint(address)
        try:
            record = read_json(player / POLICY_RECORD)
            break
        except InputError:
            if player.exists():
                raise
    name = str(record.get("architecture"))
    if architecture not in (None, name):
        raise InputError(f"{player} holds the architecture {name!r}, not {architecture!r}.")
    return ResolvedPlayer(player, name, record.get("timesteps"))


def find_checkpoint(address: CheckpointAddress) -> Path:
    """The folder of the checkpoint that an address means. Raises `InputError` when it does not exist."""
    from metta.rl.checkpoint import list_checkpoints

    known = list_checkpoints(address.folder)
    if not known:
        runs = runs_below(address.folder)
        raise InputError(f"there is no checkpoint in {address.folder}{f', but in runs below it{runs}' * bool(runs)}.")
    if address.name == NEWEST:
        return known[-1]
    name = address.name
    if name == BEST:
        if not (address.folder / BEST_RECORD).exists():
            raise InputError(
                f"{address.folder} has no best checkpoint yet: none was evaluated in training (trainer.curve_points); "
                "use newest."
            )
        name = str(read_json(address.folder / BEST_RECORD).get("checkpoint"))
    for path in known:
        if path.name == name:
            return path
    raise InputError(
        f"there is no checkpoint {name!r} in {address.folder}; there are newest, best, "
        f"{', '.join(path.name for path in known)}."
    )
