"""Writing a replay: one evaluation episode of a checkpoint, or of a reference player, as a page that plays it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from pydantic import Field

from metta.analysis.replays import replay_name
from metta.analysis.results import REPORT_NAME
from metta.base.addresses import local_path
from metta.base.errors import InputError
from metta.base.files import file_part, make_folder, write_atomically
from metta.base.job import Job
from metta.base.patience import patience
from metta.base.provenance import now, provenance
from metta.base.stopping import ending_with_the_runner
from metta.rl.resolved_player import EpisodeConfig, ResolvedPlayer, choose, fixed_by_path, with_players


class ReplayConfig(EpisodeConfig):
    """One replay, resolved."""

    output: str | None = None
    """The page, or, where the name ends in .svg, an animated picture of some steps; none:
    replay.<checkpoint>.<level>.<environment>.<episode>.html in the run's folder; for reference players
    ./train_dir/replays/<player>.<level>.<environment>.<episode>.html."""
    first_step: int = Field(default=0, ge=0)
    """First step of an animated picture."""
    steps: int = Field(default=150, ge=1)
    """Steps of an animated picture."""


class Written(NamedTuple):
    """A page that was written."""

    file: Path
    title: str
    hearts_per_agent: float
    steps: int
    map_hash: str
    """Of the map that was played."""
    bytes: int


@dataclass(frozen=True)
class ReplayJob(Job):
    """Play one episode of an evaluation again and write it as a page."""

    config: ReplayConfig

    fixed: ClassVar[Mapping[str, str]] = fixed_by_path("replay")

    def execute(self) -> int:
        """Write the page and say what is on it; returns 0. Errors as `write_replay`."""
        print(f"Playing episode {self.config.episode} of {self.config.level}, {self.config.environment}.", flush=True)
        with ending_with_the_runner(), patience(lambda sentence: print(sentence, flush=True)):
            written = write_replay(self.config)
        print(f"{written.title}: {written.hearts_per_agent:.3f} hearts per agent in {written.steps} steps")
        print(f"Written to {written.file} ({written.bytes / 1e6:.1f} MB); open it in a browser")
        return 0


def write_replay(config: ReplayConfig) -> Written:
    """Play the episode and write its page.

    Raises:
        InputError: the checkpoint is missing, damaged or of another architecture, there is no such environment or
            episode, or the page cannot be written.
        RunError: the disk is full.
    """
    return with_players(lambda: [choose(config.policy_uri, config.architecture)], lambda who: _write(config, *who))


def _write(config: ReplayConfig, chosen: ResolvedPlayer) -> Written:
    sim = config.sim
    output = _output(config, chosen.player)
    make_folder(output.parent)

    from metta.replay.animation import animated_picture
    from metta.replay.page import replay_page
    from metta.replay.recording import record

    if config.first_step >= sim.max_steps:
        raise InputError(f"first_step={config.first_step}: the episode has steps 0 to {sim.max_steps - 1}.")
    recording = record(chosen.player, sim, config.evaluation, config.system, config.episode)
    hearts = recording.result["hearts"]
    mean = sum(hearts) / len(hearts)
    code = provenance()["code"]
    facts = [
        ("player", chosen.name),
        ("checkpoint", str(chosen.player) if isinstance(chosen.player, Path) else "none"),
        ("level and environment", f"{config.level}, {config.environment}"),
        ("episode", f"{config.episode} of the evaluation with seed {config.evaluation.seed}"),
        ("hearts per agent", f"{mean:.3f}"),
        ("map", recording.result["map_hash"]),
        ("code", f"{code['commit'] or code['source_sha256']}{' with changes' if code['modified'] else ''}"),
        ("written", now()),
    ]
    title = f"{chosen.name} on {config.level}, {config.environment}, episode {config.episode}"
    if output.suffix == ".svg":
        page = animated_picture(recording, title, config.first_step, config.steps)
    else:
        page = replay_page(recording, chosen.name, facts, title, sim, _report(output, config.level))
    write_atomically(output, page)
    return Written(output, title, mean, len(recording.agents), recording.result["map_hash"], len(page.encode()))


def _report(output: Path, level: str) -> str | None:
    """Where the report of a run's benchmark tells of a level, as seen from the run's folder; None without a report."""
    beside = output.absolute().parent.parent / REPORT_NAME
    return f"../{REPORT_NAME}#{file_part(level)}" if beside.is_file() else None


def _output(config: ReplayConfig, player: Path | str) -> Path:
    if config.output is not None:
        return local_path(config.output)
    if isinstance(player, Path):
        name = replay_name(player.name, config.level, config.environment, config.episode)
        return player.parent.parent / name
    return Path("train_dir") / "replays" / f"{player}.{config.level}.{config.environment}.{config.episode}.html"
