"""Which evaluation episodes of an architecture are worth watching, and where their replays lie.

Per level: of all evaluated episodes of an architecture there, over its seeds and the level's evaluation environments,
the one with the most hearts per agent, and the median one (of an even number the lower of the middle two).
"""

from collections.abc import Sequence
from typing import NamedTuple

from metta.analysis.gather import Gathered, Run

BEST, MEDIAN = "best", "median"


class Episode(NamedTuple):
    """One evaluated episode."""

    hearts_per_agent: float
    environment: str
    number: int
    """Of the evaluation, from 0."""
    run: Run


class Choice(NamedTuple):
    """An episode worth watching."""

    architecture: str
    level: str
    kind: str
    """`BEST` or `MEDIAN`."""
    episode: Episode


def choices(benchmark: Gathered) -> list[Choice]:
    """The best and the median episode of every architecture on every level where it has results."""
    found = []
    for level in benchmark.levels:
        for architecture in benchmark.architectures:
            episodes = ranked(benchmark.of(architecture, level))
            if episodes:
                found.append(Choice(architecture, level, BEST, episodes[0]))
                found.append(Choice(architecture, level, MEDIAN, episodes[len(episodes) // 2]))
    return found


def ranked(runs: Sequence[Run]) -> list[Episode]:
    """Every evaluated episode of these runs, most hearts first; of equal ones the earlier seed's first."""
    episodes = [
        Episode(hearts, environment, number, run)
        for run in runs
        for environment, result in run.record.evaluation.results.items()
        for number, hearts in enumerate(result.hearts_of_episodes)
    ]
    return sorted(episodes, key=lambda episode: -episode.hearts_per_agent)


def replay_name(checkpoint: str, level: str, environment: str, episode: int) -> str:
    """Name of the page of one episode, in the folder of its run."""
    return f"replay.{checkpoint}.{level}.{environment}.{episode}.html"
