"""Evaluating one checkpoint, or a reference player, on the evaluation environments of a level."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from metta.analysis.results import EnvironmentResult, environment_result
from metta.base.addresses import CHECKPOINTS_FOLDER, NEWEST, PLAYERS, checkpoint_address, local_path
from metta.base.errors import InputError
from metta.base.files import holder, make_folder, read_json, write_json
from metta.base.job import Job
from metta.base.patience import patience
from metta.base.provenance import machine, now, provenance
from metta.base.stopping import ending_with_the_runner
from metta.lab.bucket import Bucket, is_bucket
from metta.lab.evaluation_key import RULES, differ, mark_of, marks_by_environment, rules_in
from metta.lab.run_folder import RunFolder
from metta.rl.resolved_player import PlayerConfig, ResolvedPlayer, choose, fixed_by_path, with_players

if TYPE_CHECKING:
    from metta.agent.policy import Policy


class EvaluateConfig(PlayerConfig):
    """One evaluation, resolved."""

    output: str | None = None
    """File for the results; none: evaluation.json in the run's folder (for another checkpoint than the newest, or
    another level than the run's own, evaluation.<level>.<checkpoint>.json; on the run's level with other settings than
    the run's, evaluation.<level>.<checkpoint>.<mark of the settings>.json), and nowhere for reference players."""
    latency: Literal["once", "again"] = "once"
    """Acting latency. once: measured unless the output has it already, of this checkpoint on a machine like this one
    that was not busy; again: measured anew."""


@dataclass(frozen=True)
class EvaluateJob(Job):
    """Evaluate one checkpoint, or a reference player, on a level's evaluation environments."""

    config: EvaluateConfig

    fixed: ClassVar[Mapping[str, str]] = fixed_by_path("evaluate")

    def execute(self) -> int:
        """Print the results and write them; returns 0.

        A run in a bucket is fetched first, and the results are sent there, unless a process here works on it.

        Raises:
            InputError: the checkpoint is missing, damaged or of another architecture, or the output cannot be written.
            RunError: the bucket does not answer.
        """
        with ending_with_the_runner():
            uri = self.config.policy_uri
            if not is_bucket(uri):
                return self._execute()
            run, _, which = uri.rstrip("/").rpartition("/")
            folder, _, name = which.partition(":")
            if folder != CHECKPOINTS_FOLDER:
                raise InputError(f"policy_uri={uri!r}: write it as s3://bucket/folder/run/{CHECKPOINTS_FOLDER}.")
            place = Bucket.open(run)
            here = f"{place.folder / CHECKPOINTS_FOLDER}{f':{name}' if name else ''}"
            job = self.with_config(self.config.model_copy(update={"policy_uri": here}))
            if holder(RunFolder(place.folder).lock_file):
                return job._execute()  # what a process of this machine works on is the newest, and is sent by it
            with place.synchronised(lambda said: print(f"warning: {said}", flush=True)):
                return job._execute()

    def _execute(self) -> int:
        output = self._output()
        if output is not None:
            make_folder(output.parent)
        config = self.config
        record = evaluate_into(
            *(output, config, lambda: choose(config.policy_uri, config.architecture)),
            lambda sentence: print(sentence, flush=True),
        )
        for sentence in result_sentences(record):
            print(sentence)
        if output is not None:
            print(f"Written to {output}")
        return 0

    def _output(self) -> Path | None:
        if self.config.output is not None:
            return local_path(self.config.output)
        if self.config.policy_uri in PLAYERS:
            return None
        address = checkpoint_address(self.config.policy_uri)
        run = RunFolder(address.folder.parent)
        configuration = run.configuration() or {}
        name = f"evaluation.{self.config.level}.{address.name}"
        if configuration.get("level") == self.config.level:
            rules = rules_in(self.config.model_dump(mode="json"))
            if differ(configuration, rules):
                name += f".{mark_of(rules)}"
            elif address.name == NEWEST:
                return run.evaluation_file
        return run.path / f"{name}.json"


def evaluate_into(
    output: Path | None, config: EvaluateConfig, find: Callable[[], ResolvedPlayer], say: Callable[[str], None]
) -> dict[str, Any]:
    """Evaluate the player that `find` gives and write the record to `output`; `say` gets a line about each stage.

    It says whose results, on which level, results per environment, acting latency and provenance.
    """
    return with_players(lambda: [find()], lambda who: _evaluate(output, config, who[0], say))


def _evaluate(
    output: Path | None, config: EvaluateConfig, chosen: ResolvedPlayer, say: Callable[[str], None]
) -> dict[str, Any]:
    start_time, before = now(), time.monotonic()
    environments = config.evaluation_environments
    where = f"{config.level} {', '.join(environments)}"
    say(f"Evaluating {chosen.name} on {where}: {config.evaluation.worlds} episodes each.")

    from metta.rl.checkpoint import load_policy
    from metta.rl.evaluate import evaluate

    with patience(say):
        player = load_policy(chosen.player) if isinstance(chosen.player, Path) else chosen.player
        results = evaluate(player, environments, config.evaluation, config.system)
    record = {
        "policy_uri": config.policy_uri,
        "checkpoint": chosen.checkpoint,
        "architecture": chosen.name,
        "timesteps": chosen.timesteps,
        "level": config.level,
        **config.model_dump(mode="json", include=set(RULES)),
        "start_time": start_time,
        "duration_seconds": round(time.monotonic() - before, 3),
        "results": results,
        "acting_latency": _known_latency(output, chosen, config) or _latency(player, config),
        "provenance": provenance(),
    }
    if output is not None:
        write_json(output, record)
    return record


def results_of(record: Mapping[str, Any]) -> dict[str, EnvironmentResult]:
    """The results of an evaluation by environment, with the marks of their rules. Raises faults of a damaged one."""
    marks = marks_by_environment(record)
    return {name: environment_result(result, marks[name]) for name, result in record["results"].items()}


def results_in(file: Path) -> dict[str, EnvironmentResult]:
    """`results_of` a file. Raises `InputError` if it is missing or damaged."""
    record = read_json(file)
    try:
        return results_of(record)
    except InputError as error:
        raise InputError(f"{file} is damaged: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise InputError(f"{file} is damaged: {type(error).__name__} {error}.") from None


def _known_latency(output: Path | None, chosen: ResolvedPlayer, config: EvaluateConfig) -> dict[str, Any] | None:
    """Of an earlier evaluation in `output`, where it may be kept."""
    if output is None or config.latency == "again":
        return None
    try:
        earlier = read_json(output)
        known, there = earlier["acting_latency"], earlier["provenance"]["machine"]
        same = (earlier["checkpoint"], earlier["level"]) == (chosen.checkpoint, config.level) and there == machine()
        return known if same and not known["busy"] else None
    except (InputError, KeyError, TypeError):
        return None  # nothing there, or damaged: it is written anew


def _latency(player: "str | Policy", config: EvaluateConfig) -> dict[str, Any] | None:
    """Of a policy on the first evaluation environment; reference players have none."""
    if isinstance(player, str):
        return None

    from metta.rl.latency import acting_latency

    sim = next(iter(config.evaluation_environments.values()))
    return acting_latency(player, sim, config.evaluation, config.system)


def result_sentences(record: Mapping[str, Any]) -> list[str]:
    """One line per evaluation environment, for people."""
    return [
        f"{record['architecture']} on {record['level']} {environment}: "
        f"{result['hearts_per_agent']:.3f} hearts per agent, reward {result['reward']:.3f} "
        f"(mean of {result['episodes']} episodes)"
        for environment, result in record["results"].items()
    ]
