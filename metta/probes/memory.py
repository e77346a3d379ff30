"""Probing one checkpoint: what its recurrent state is worth in hearts, and how many steps of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from metta.analysis.intervals import Estimate, interval_text
from metta.analysis.summary import aligned_table
from metta.base.addresses import PLAYERS, local_path
from metta.base.errors import InputError
from metta.base.files import make_folder, write_json
from metta.base.job import Job
from metta.base.provenance import now, provenance
from metta.base.stopping import ending_with_the_runner
from metta.rl.config import EvaluationConfig
from metta.rl.resolved_player import EnvironmentConfig, choose, fixed_by_path

Steps = Annotated[int, Field(ge=1, le=10_000)]


class ProbeConfig(EnvironmentConfig):
    """The probes of one checkpoint, resolved."""

    evaluation: EvaluationConfig = EvaluationConfig(worlds=8)
    """Number of episodes and their seed; the first ones of the evaluation with this seed."""
    emptied_every: tuple[Steps, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    """Steps from one emptying of the state to the next, each played apart; 1 takes all memory away."""
    delayed_by: tuple[Steps, ...] = (1, 4, 16)
    """Steps by which the state that is acted on is late, each played apart."""
    output: str | None = None
    """File for the results; none: probe.<checkpoint>.<level>.<environment>.json in the run's folder."""


@dataclass(frozen=True)
class ProbeJob(Job):
    """Play the evaluation's episodes with the state left alone, emptied, exchanged and delayed."""

    config: ProbeConfig

    fixed: ClassVar[Mapping[str, str]] = fixed_by_path("probe")

    def execute(self) -> int:
        """Print the table and write the results; returns 0. Errors as `probe_record`."""
        config = self.config
        with ending_with_the_runner():
            if config.policy_uri in PLAYERS:
                raise InputError(f"policy_uri={config.policy_uri}: a reference player has no memory to probe.")
            chosen = choose(config.policy_uri, config.architecture)
            assert isinstance(chosen.player, Path)
            name = f"probe.{chosen.checkpoint}.{config.level}.{config.environment}.json"
            output = local_path(config.output) if config.output else chosen.player.parent.parent / name
            make_folder(output.parent)
            record = probe_record(chosen.player, chosen.name, chosen.timesteps, config)
            write_json(output, record)
        print(probe_text(record))
        print(f"Written to {output}")
        return 0


def probe_record(checkpoint: Path, architecture: str, timesteps: int | None, config: ProbeConfig) -> dict[str, Any]:
    """Play and compare; the record that is written.

    Raises:
        InputError: the checkpoint is damaged or does not fit the environment, or there is no such environment.
    """
    sim = config.sim

    from metta.analysis.memory_value import KEPT, difference, horizon, kept
    from metta.rl.checkpoint import load_policy
    from metta.rl.devices import choose_device, choose_threads
    from metta.rl.evaluate import held_out
    from metta.rl.probes import DELAYED, EMPTIED, EXCHANGED, UNTOUCHED, Intervention, probe
    from metta.rl.shards import Shards
    from metta.rl.specs import spec_of

    start_time, before = now(), time.monotonic()
    interventions = [
        Intervention(UNTOUCHED),
        *(Intervention(EMPTIED, steps) for steps in sorted(set(config.emptied_every) | {1})),
        Intervention(EXCHANGED),
        *(Intervention(DELAYED, steps) for steps in sorted(set(config.delayed_by))),
    ]
    device = choose_device(config.system)
    policy = load_policy(checkpoint, spec_of(sim)).to(device)
    shards = Shards(choose_threads(config.system) if device.type == "cpu" else 1)
    try:
        hearts = probe(policy, sim, interventions, held_out(config.evaluation), device, shards)
    finally:
        shards.close()
    untouched = hearts[0]
    emptied = {steps: found for (kind, steps), found in zip(interventions, hearts, strict=True) if kind == EMPTIED}
    exchanged = hearts[interventions.index(Intervention(EXCHANGED))]
    without = kept(emptied[1], untouched)
    return {
        "run": checkpoint.resolve().parent.parent.name,
        "policy_uri": config.policy_uri,
        "checkpoint": checkpoint.name,
        "architecture": architecture,
        "timesteps": timesteps,
        "level": config.level,
        "environment": config.environment,
        "evaluation": config.evaluation.model_dump(mode="json"),
        "start_time": start_time,
        "duration_seconds": round(time.monotonic() - before, 3),
        "interventions": [
            {
                "state": kind,
                "steps": steps,
                "hearts_per_agent": sum(found) / len(found),
                "difference": difference(found, untouched).plain,
                "kept": share.plain if (share := kept(found, untouched)) else None,
                "hearts_of_episodes": found,
            }
            for (kind, steps), found in zip(interventions, hearts, strict=True)
        ],
        "value_of_memory": _rest(without).plain if without else None,
        "memory_horizon": seen._asdict() if (seen := horizon(emptied, untouched)) else None,
        "memory_horizon_keeps": KEPT,
        "emptied_minus_exchanged": difference(emptied[1], exchanged).plain,
        "provenance": provenance(),
    }


def _rest(share: Estimate) -> Estimate:
    """What is lost of a share that is kept."""
    return Estimate(
        1 - share.mean, None if share.high is None else 1 - share.high, None if share.low is None else 1 - share.low
    )


def probe_text(record: Mapping[str, Any]) -> str:
    """The record for people, at most 80 columns wide."""
    rows = [
        [
            state_text(entry["state"], entry["steps"]),
            f"{entry['hearts_per_agent']:.2f}",
            "" if entry["state"] == "left alone" else interval_text(entry["difference"], "{:+.2f}"),
            "" if entry["kept"] is None or entry["state"] == "left alone" else interval_text(entry["kept"], "{:.0%}"),
        ]
        for entry in record["interventions"]
    ]
    episodes = len(record["interventions"][0]["hearts_of_episodes"])
    lines = [
        f"{record['architecture']} on {record['level']} {record['environment']}, {record['checkpoint']}:",
        f"hearts per agent, {episodes} episodes, 95 % intervals over paired episodes",
        "",
        *aligned_table(["state", "hearts", "difference", "kept"], rows),
        "",
    ]
    value, steps = record["value_of_memory"], record["memory_horizon"]
    if value is None or steps is None:
        return "\n".join([*lines, "No hearts with the state left alone, so memory has no value here."])
    lines.append(f"Value of memory: {interval_text(value, '{:.0%}')} of the hearts are lost without it.")
    harmful = value["high"] is not None and value["high"] < 0
    if harmful:
        lines.append("Below 0: it collects more when it forgets.")
    most = max(entry["steps"] for entry in record["interventions"] if entry["state"] == "emptied")
    named = [f"more than {most}" if steps[end] is None else str(steps[end]) for end in ("steps", "low", "high")]
    share = f"{record['memory_horizon_keeps']:.0%}"
    lines.append(f"Memory horizon: {named[0]} [{named[1]}, {named[2]}] steps seen keep {share} of them.")
    gap = record["emptied_minus_exchanged"]
    if gap["high"] is not None and gap["high"] < 0:
        lines.append("An empty state costs more than another agent's: part of the loss is that emptiness")
        lines.append("is unusual input, not that something was forgotten.")
    if gap["low"] is not None and gap["low"] > 0 and not harmful:
        lines.append("Another agent's state costs more than an empty one: it misleads.")
    return "\n".join(lines)


def state_text(state: str, steps: int) -> str:
    """`emptied every 4`, `delayed by 1`, or the kind alone."""
    return state + {"emptied": f" every {steps}", "delayed": f" by {steps}"}.get(state, "")
