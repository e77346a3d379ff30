"""Writing a replay: one evaluation episode of a checkpoint, or of a reference player, as a page that plays it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from metta.base.addresses import PLAYERS, checkpoint_address
from metta.base.config import Config
from metta.base.errors import InputError
from metta.base.files import make_folder, read_json, write_atomically
from metta.lab.evaluation import find_checkpoint
from metta.lab.job import Job
from metta.lab.provenance import now, provenance
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.sim.config import SimConfig


class ReplayConfig(Config):
    """One replay, resolved."""

    policy_uri: str
    """Address of the checkpoint (see docs/interface.md), or `random` or `scripted`."""
    level: str
    """Level whose evaluation environments are used."""
    architecture: str | None = None
    """If given, a checkpoint of another architecture is refused."""
    environment: str = "basic"
    """Name of the evaluation environment."""
    episode: int = 0
    """Which of the evaluation's episodes, from 0."""
    output: str | None = None
    """The page; none: replay.<checkpoint>.<level>.<environment>.<episode>.html in the run's folder; for reference
    players ./train_dir/replays/<player>.<level>.<environment>.<episode>.html."""
    evaluation_environments: dict[str, SimConfig]
    """Evaluation environments by name, e.g. basic, combat."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Number of episodes and their seed."""
    system: SystemConfig = SystemConfig()
    """Where and how the computation runs."""


@dataclass(frozen=True)
class ReplayJob(Job):
    """Play one episode of an evaluation again and write it as a page."""

    config: ReplayConfig

    fixed: ClassVar[Mapping[str, str]] = {
        "level": "the level is chosen by the path, as in "
        "experiments.recipes.benchmark_architectures.level_2_easy.replay",
        "architecture": "the architecture to expect is chosen by policy_architecture= or arch_type=",
    }

    def execute(self) -> int:
        """Write the page and say what is on it; returns 0.

        Raises:
            InputError: the checkpoint is missing, damaged or of another architecture, there is no such environment or
                episode, or the page cannot be written.
        """
        config = self.config
        if config.environment not in config.evaluation_environments:
            known = ", ".join(config.evaluation_environments)
            raise InputError(f"environment={config.environment!r} is not one of {config.level}: {known}.")
        sim = config.evaluation_environments[config.environment]
        player: Path | str = config.policy_uri
        name = config.policy_uri
        if config.policy_uri not in PLAYERS:
            player = find_checkpoint(checkpoint_address(config.policy_uri))
            name = str(read_json(player / "policy.json").get("architecture"))
            if config.architecture not in (None, name):
                raise InputError(f"{player} holds the architecture {name!r}, not {config.architecture!r}.")
        output = self._output(player)
        make_folder(output.parent)

        from metta.replay.page import replay_page
        from metta.replay.recording import record

        recording = record(player, sim, config.evaluation, config.system, config.episode)
        hearts = recording.result["hearts"]
        mean = sum(hearts) / len(hearts)
        code = provenance()["code"]
        facts = [
            ("player", name),
            ("checkpoint", str(player) if isinstance(player, Path) else "none"),
            ("level and environment", f"{config.level}, {config.environment}"),
            ("episode", f"{config.episode} of the evaluation with seed {config.evaluation.seed}"),
            ("hearts per agent", f"{mean:.3f}"),
            ("map", recording.result["map_hash"]),
            ("code", f"{code['commit'] or code['source_sha256']}{' with changes' if code['modified'] else ''}"),
            ("written", now()),
        ]
        title = f"{name} on {config.level}, {config.environment}, episode {config.episode}"
        window = sim.obs_height, sim.obs_width
        page = replay_page(recording, facts, title, window, sim.resource_names)
        write_atomically(output, page)
        print(f"{title}: {mean:.3f} hearts per agent in {len(recording.agents)} steps")
        print(f"Written to {output} ({len(page) / 1e6:.1f} MB); open it in a browser")
        return 0

    def _output(self, player: Path | str) -> Path:
        config = self.config
        if config.output is not None:
            return Path(config.output)
        place = f"{config.level}.{config.environment}.{config.episode}.html"
        if isinstance(player, Path):
            return player.parent.parent / f"replay.{player.name}.{place}"
        return Path("train_dir") / "replays" / f"{player}.{place}"
