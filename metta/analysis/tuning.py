"""The table of a search over settings: trials ranked, and the ones to freeze; pure.

A trial's score is the mean over architectures of an architecture's score, which is the mean over its runs and their
evaluation environments of the normalised score (hearts per agent on the scale from random, 0, to scripted, 1). On one
environment that is the order of hearts per agent; over several it keeps the one with most hearts from deciding alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from metta.analysis.results import EnvironmentResult, RunRecord
from metta.analysis.summary import aligned_table, csv_text

RULE = (
    "Frozen for each architecture is the trial with its highest score among those whose runs all succeeded; of equal "
    "ones that with the lowest number. An architecture's score is the mean normalised score of its runs."
)


@dataclass(frozen=True)
class Trial:
    """One draw of settings and what came of it."""

    number: int
    settings: Mapping[str, bool | int | float]
    runs: Sequence[RunRecord]
    """Those that ended so far."""
    planned: int
    """Number of runs that it consists of."""

    @property
    def architectures(self) -> list[str]:
        """Those of the runs, in their order."""
        return list(dict.fromkeys(run.training.architecture for run in self.runs))

    @property
    def fault(self) -> str | None:
        """Why it has no score, or None if it has one."""
        for run in self.runs:
            training = run.training
            error = training.error or run.evaluation.error
            if error is None and any(result.normalised_score is None for result in run.evaluation.results.values()):
                error = "there is no score: a reference player is missing, or scripted is no better than random."
            if error is not None:
                return f"{training.architecture} on {training.level}, seed {training.seed}: {error}"
        return None if len(self.runs) == self.planned else f"{len(self.runs)} of {self.planned} runs done."

    def score(self, architecture: str) -> float:
        """An architecture's mean normalised score; only without a fault."""
        results = self._results(architecture)
        return fmean(result.normalised_score for result in results if result.normalised_score is not None)

    def hearts(self, architecture: str) -> float:
        """An architecture's mean hearts per agent; only without a fault."""
        return fmean(result.hearts_per_agent for result in self._results(architecture))

    def mean_score(self) -> float:
        """The trial's score; only without a fault."""
        return fmean(self.score(architecture) for architecture in self.architectures)

    def _results(self, architecture: str) -> list[EnvironmentResult]:
        own = [run for run in self.runs if run.training.architecture == architecture]
        return [result for run in own for result in run.evaluation.results.values()]


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that have a score, best first."""
    return sorted(
        (trial for trial in trials if trial.fault is None), key=lambda trial: (-trial.mean_score(), trial.number)
    )


def own_best(trials: Sequence[Trial], architecture: str) -> Trial:
    """The trial that `RULE` freezes for an architecture; at least one trial must have a score."""
    return max(ranked(trials), key=lambda trial: (trial.score(architecture), -trial.number))


def tuning_markdown(trials: Sequence[Trial], heading: Sequence[str]) -> str:
    """The page: what was searched, the ranking, the rule and its choices, faults.

    Args:
        trials: all of the search.
        heading: paragraphs for the head of the page.
    """
    order = ranked(trials)
    parts = [*heading, RULE]
    if order:
        parts += [_ranking(order), _own_choices(order)]
    faults = [f"- trial {trial.number}: {trial.fault}" for trial in trials if trial.fault is not None]
    if faults:
        parts += ["Trials without a score:", "\n".join(faults)]
    return "\n\n".join(parts) + "\n"


def _ranking(order: Sequence[Trial]) -> str:
    architectures = order[0].architectures
    head = ["rank", "trial", "score", *(f"hearts {name}" for name in architectures), *order[0].settings]
    rows = [
        [
            str(rank),
            str(trial.number),
            f"{trial.mean_score():.4f}",
            *(f"{trial.hearts(name):.3f}" for name in architectures),
            *(value_text(value) for value in trial.settings.values()),
        ]
        for rank, trial in enumerate(order, start=1)
    ]
    return "\n".join(aligned_table(head, rows))


def _own_choices(order: Sequence[Trial]) -> str:
    rows = []
    for name in order[0].architectures:
        own = own_best(order, name)
        rows.append([name, str(own.number), f"{own.hearts(name):.3f}", *map(value_text, own.settings.values())])
    return "Frozen:\n\n" + "\n".join(aligned_table(["architecture", "trial", "hearts", *order[0].settings], rows))


def value_text(value: bool | int | float) -> str:
    """A value as a command line takes it, to the last digit."""
    return str(value).lower()


def tuning_csv(trials: Sequence[Trial]) -> str:
    """A line per trial, run and evaluation environment, with full numbers; runs that failed have one with the cause."""
    keys = list(dict.fromkeys(key for trial in trials for key in trial.settings))
    names = ("trial", "architecture", "level", "seed", "environment", "hearts_per_agent", "score", "reward")
    rows: list[list[object]] = [[*names, "timesteps", "training_seconds", "error", *keys]]
    for trial in trials:
        values = [value_text(trial.settings[key]) for key in keys]
        for run in trial.runs:
            training = run.training
            who = [trial.number, training.architecture, training.level, training.seed]
            end = [training.timesteps, training.duration_seconds, training.error or run.evaluation.error, *values]
            for name, result in run.evaluation.results.items():
                rows.append([*who, name, result.hearts_per_agent, result.normalised_score, result.reward, *end])
            if not run.evaluation.results:
                rows.append([*who, None, None, None, None, *end])
    return csv_text(rows)
