"""Which runs get further seeds in `adaptive.py --until-decided`: reads results, and applies the rule level by level."""

from collections.abc import Mapping
from pathlib import Path

from metta.analysis.results import BenchmarkResults

Counts = dict[tuple[str, str], int]
"""Architecture and level -> number of seeds."""


def further_runs(
    file: Path, results: BenchmarkResults, counts: Mapping[tuple[str, str], int], first_seed: int, most: int
) -> Counts:
    """What should have how many seeds next; empty: decided, or nothing more is allowed.

    Only the runs of `counts` are looked at, so that a command that is given again decides as it did before, whatever
    was run since.

    Args:
        file: the results file, beside which the run folders lie.
        results: what it holds.
        counts: seeds so far, from `first_seed` on.
        first_seed: of every architecture on every level.
        most: seeds that an architecture may have on a level.
    """
    from metta.analysis.extremes import extremes_of
    from metta.analysis.gather import combine
    from metta.analysis.sequential import further_seeds

    own = [run for run in results.runs if 0 <= run.training.seed - first_seed < counts.get(run.training.key[:2], 0)]
    benchmark = combine({file: results.model_copy(update={"runs": own, "planned": [run.training.key for run in own]})})
    ranked_nobody = extremes_of(benchmark)
    found: Counts = {}
    for level in benchmark.levels:
        if level in ranked_nobody:
            continue
        values = {
            name: [benchmark.value(run) for run in runs]
            for name in benchmark.architectures
            if (runs := benchmark.of(name, level))
        }
        found.update({(name, level): number for name, number in further_seeds(values, most).items()})
    return found
