"""Evaluating one checkpoint, or a reference player, on the evaluation environments of a level."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from metta.base.addresses import BEST, NEWEST, PLAYERS, CheckpointAddress, checkpoint_address
from metta.base.config import Config
from metta.base.errors import InputError
from metta.base.files import make_folder, read_json, write_json
from metta.lab.job import Job
from metta.lab.provenance import now, provenance
from metta.lab.run import RunFolder
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.sim.config import SimConfig


class EvaluateConfig(Config):
    """One evaluation, resolved."""

    policy_uri: str
    """Address of the checkpoint (see docs/interface.md), or `random` or `scripted`, the players that are
    0 and 1 of the score."""
    level: str
    """Level whose evaluation environments are used."""
    architecture: str | None = None
    """If given, a checkpoint of another architecture is refused."""
    output: str | None = None
    """File for the results; none: evaluation.json in the run's folder (for another checkpoint than the newest, or
    another level than the run's own, evaluation.<level>.<checkpoint>.json), and nowhere for reference players."""
    evaluation_environments: dict[str, SimConfig]
    """Evaluation environments by name, e.g. basic, combat."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Number of episodes and their seed."""
    system: SystemConfig = SystemConfig()
    """Where and how the computation runs."""


@dataclass(frozen=True)
class EvaluateJob(Job):
    """Evaluate one checkpoint, or a reference player, on a level's evaluation environments."""

    config: EvaluateConfig

    fixed: ClassVar[Mapping[str, str]] = {
        "level": "the level is chosen by the path, as in "
        "experiments.recipes.benchmark_architectures.level_2_easy.evaluate",
        "architecture": "the architecture to expect is chosen by policy_architecture= or arch_type=",
    }

    def execute(self) -> int:
        """Print the results and write them; returns 0.

        Raises:
            InputError: the checkpoint is missing, damaged or of another architecture, or the output cannot be written.
        """
        output = self._output()
        if output is not None:
            make_folder(output.parent)
        record = evaluate_into(output, self.config)
        for sentence in result_sentences(record):
            print(sentence)
        if output is not None:
            print(f"Written to {output}")
        return 0

    def _output(self) -> Path | None:
        if self.config.output is not None:
            return Path(self.config.output)
        if self.config.policy_uri in PLAYERS:
            return None
        address = checkpoint_address(self.config.policy_uri)
        run = RunFolder(address.folder.parent)
        own_level = (run.configuration() or {}).get("level") == self.config.level
        if own_level and address.name == NEWEST:
            return run.evaluation_file
        return run.path / f"evaluation.{self.config.level}.{address.name}.json"


def evaluate_into(output: Path | None, config: EvaluateConfig) -> dict[str, Any]:
    """Evaluate and write the record to `output`: whose results, on which level, results per environment, provenance."""
    player: Path | str = config.policy_uri
    checkpoint: dict[str, Any] = {"architecture": config.policy_uri, "timesteps": 0}
    if config.policy_uri not in PLAYERS:
        player = find_checkpoint(checkpoint_address(config.policy_uri))
        checkpoint = read_json(player / "policy.json")
        if config.architecture not in (None, checkpoint.get("architecture")):
            raise InputError(
                f"{player} holds the architecture {checkpoint.get('architecture')!r}, not {config.architecture!r}."
            )
    start_time, before = now(), time.monotonic()

    from metta.rl.evaluate import evaluate

    results = evaluate(player, config.evaluation_environments, config.evaluation, config.system)
    record = {
        "policy_uri": config.policy_uri,
        "checkpoint": player.name if isinstance(player, Path) else None,
        "architecture": checkpoint.get("architecture"),
        "timesteps": checkpoint.get("timesteps"),
        "level": config.level,
        "evaluation": config.evaluation.model_dump(mode="json"),
        "start_time": start_time,
        "duration_seconds": round(time.monotonic() - before, 3),
        "results": results,
        "provenance": provenance(),
    }
    if output is not None:
        write_json(output, record)
    return record


def find_checkpoint(address: CheckpointAddress) -> Path:
    """The folder of the checkpoint that an address means. Raises `InputError` when it does not exist."""
    from metta.rl.checkpoint import list_checkpoints

    known = list_checkpoints(address.folder)
    if not known:
        raise InputError(f"there is no checkpoint in {address.folder}.")
    if address.name == NEWEST:
        return known[-1]
    name = address.name
    if name == BEST:
        if not (address.folder / "best.json").exists():
            raise InputError(f"{address.folder} has no best checkpoint yet: no training episode has ended; use newest.")
        name = str(read_json(address.folder / "best.json").get("checkpoint"))
    for path in known:
        if path.name == name:
            return path
    raise InputError(
        f"there is no checkpoint {name!r} in {address.folder}; there are newest, best, "
        f"{', '.join(path.name for path in known)}."
    )


def result_sentences(record: Mapping[str, Any]) -> list[str]:
    """One line per evaluation environment, for people."""
    return [
        f"{record['architecture']} on {record['level']} {environment}: "
        f"{result['hearts_per_agent']:.3f} hearts per agent, reward {result['reward']:.3f} "
        f"(mean of {result['episodes']} episodes)"
        for environment, result in record["results"].items()
    ]
