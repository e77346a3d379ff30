"""The verdicts and the overall table: what the report and the terminal say first."""

from collections.abc import Sequence

from metta.analysis import charts
from metta.analysis.findings import Findings
from metta.analysis.findings.extremes import CEILING, FLOOR
from metta.analysis.gather import SCORE, Gathered
from metta.analysis.markup import element
from metta.analysis.sections.blocks import NOT_YET, Block, counted, listed, paragraph
from metta.analysis.table import Table, ends, shown
from metta.analysis.verdicts import FALSE_CALLS, POWER


def title(benchmark: Gathered) -> str:
    """The page's heading."""
    return f"Architecture benchmark: {counted(len(benchmark.architectures), 'architecture')}"


def status(benchmark: Gathered) -> str:
    """What was planned and how much of it is there."""
    planned = len(benchmark.runs) + len(benchmark.missing)
    steps = next(iter(benchmark.sources.values())).max_timesteps
    text = (
        f"{counted(len(benchmark.architectures), 'architecture')}, {counted(len(benchmark.levels), 'level')}, "
        f"{counted(len(benchmark.seeds), 'seed')}, {steps:,} agent-steps per run. "
        f"{len(benchmark.evaluated)} of {counted(planned, 'run')} evaluated"
    )
    left = [
        f"{len(group)} {word}"
        for group, word in (
            (benchmark.failed, "failed"),
            (benchmark.missing, "not started or not recorded yet"),
            (benchmark.waiting, "without an evaluation"),
            (benchmark.partly_trained, "trained only in part and not compared"),
        )
        if group
    ]
    return f"{text}; {', '.join(left)}." if left else f"{text}."


def measure_words(found: Findings) -> str:
    """What the numbers are, in a sentence."""
    if found.measure == SCORE:
        return (
            "Score: hearts per agent on held-out maps, on the scale from the random player (0) to the scripted player "
            "(1); mean over a level's evaluation environments."
        )
    return (
        "Numbers are hearts per agent on held-out maps; there is no score where a reference player has not been "
        "evaluated on the same episodes, or where the scripted player collected no more than the random one. "
        "Averages over levels then weigh rich levels more."
    )


def summary(benchmark: Gathered, found: Findings) -> list[Block]:
    """The verdicts as a list, what the numbers are, and the overall table."""
    blocks: list[Block] = [element("ul", [element("li", text) for text in verdict_sentences(benchmark, found)])]
    blocks.append(paragraph(measure_words(found)))
    if found.standings:
        blocks.append(standings_table(found))
    return blocks


def standings_table(found: Findings) -> Table:
    """Every architecture over all levels, best first."""
    return Table(
        "standings",
        f"Overall, {counted(len(found.compared_levels), 'level')}, best first",
        [
            *("architecture", "interquartile mean", "95 % from", "to", "mean", "mean rank"),
            *("runs", "training, s", "latency, ms", "parameters", "better than", "worse than"),
        ],
        [
            [
                row.architecture,
                *ends(row.aggregates["interquartile mean"]),
                row.aggregates["mean"].mean,
                row.mean_rank,
                row.runs,
                row.training_seconds,
                row.latency,
                row.parameters,
                _few(row.better_than, len(found.standings) - 1),
                _few(row.worse_than, len(found.standings) - 1),
            ]
            for row in found.standings
        ],
    )


FEW = 3
"""Names in a cell; more would make its row too high, and stand in the verdicts for every pair."""


def _few(names: Sequence[str], of: int) -> str:
    if len(names) > FEW:
        return f"{len(names)} of {of}"
    return ", ".join(names) or "-"


def verdict_sentences(benchmark: Gathered, found: Findings) -> list[str]:
    """What the benchmark says, one sentence each, most important first."""
    if not benchmark.evaluated:
        return ["No run that was trained to its end has been evaluated yet.", *_partly_sentences(benchmark)]
    if not found.standings:
        return [NOT_YET]
    leader = found.standings[0]
    best = leader.architecture
    sentences = [
        f"Highest interquartile mean over {counted(len(found.compared_levels), 'level')}: {best}, "
        f"{charts.text_of(leader.aggregates['interquartile mean'])}."
    ]
    if len(found.standings) > 1:
        sentences += _verdict_sentences(found)
    sentences += extreme_sentences(found)
    sentences += _power_sentences(found)
    left_out = [name for name in benchmark.architectures if name not in found.compared]
    if left_out:
        sentences.append(f"Without any result of a whole run so far: {listed(left_out)}.")
    dropped = [level for level in benchmark.levels if level not in found.compared_levels]
    if dropped:
        sentences.append(
            f"Not in the overall comparison, because some architecture has no result there: {listed(dropped)}."
        )
    if benchmark.failed or benchmark.missing:
        sentences.append(
            f"{counted(len(benchmark.failed), 'run')} failed and {len(benchmark.missing)} missing; see the section on "
            "failed and missing runs."
        )
    return sentences + _partly_sentences(benchmark)


def _partly_sentences(benchmark: Gathered) -> list[str]:
    names = [
        f"{run.key.architecture} on {run.key.level}, seed {run.key.seed} ({run.record.training.trained_words})"
        for run in benchmark.partly_trained
    ]
    return [f"Not compared, because their training did not reach its end: {listed(names)}."] if names else []


def _verdict_sentences(found: Findings) -> list[str]:
    """Who is told apart from the leader and overall."""
    if not found.verdicts:
        return ["Nobody is ranked: on every level everybody is at the floor or at the ceiling."]
    leader = found.standings[0]
    best = leader.architecture
    sentences = []
    if leader.better_than:
        sentences.append(f"{best} is better than {listed(leader.better_than)}.")
    if leader.worse_than:
        sentences.append(f"By the mean, {best} is worse than {listed(leader.worse_than)}.")
    unclear = [name for name in found.compared if name not in {best, *leader.better_than, *leader.worse_than}]
    if unclear:
        sentences.append(f"{best} is not distinguishable from {listed(unclear)} with these seeds.")
    sure = sum(verdict.better is not None for verdict in found.verdicts)
    sentences.append(
        f"Of {counted(len(found.verdicts), 'pair')}, {sure} can be told apart (Tukey's test on the mean over levels, "
        f'variances pooled over architectures; the chance of even one false "better" is below {FALSE_CALLS:.0%}).'
    )
    if sure:
        sentences.append(f"Tiers, best mean first: {'; '.join(listed(tier) for tier in found.tiers)}.")
    return sentences


def extreme_sentences(found: Findings) -> list[str]:
    """Which levels rank nobody, and why; none where there is no such level."""
    words = {
        FLOOR: "nobody is clearly above the blind player",
        CEILING: "everybody is as good as the scripted player",
    }
    return [f"{level} ranks nobody: {words[extreme]} there." for level, extreme in found.extremes.items()]


def _power_sentences(found: Findings) -> list[str]:
    if max(row.runs for row in found.standings) == len(found.compared_levels):
        return ["With one seed nothing can be said about chance; two are the least, three or more are better."]
    if not found.verdicts:
        return []
    if found.fewest < 2:
        return [
            "Who has a single seed on some level cannot be told apart from anybody; two are the least, three or more "
            "are better."
        ]
    if not found.smallest:
        return []
    text = (
        f"With {found.fewest} seeds, the fewest that an architecture has on a level, a true difference of "
        f"{shown(found.smallest[found.fewest])} would have been shown {POWER:.0%} of the time; smaller ones may exist "
        "unseen."
    )
    more = [f"{shown(value)} with {n}" for n, value in found.smallest.items() if n > found.fewest]
    return [f"{text} More seeds would show {listed(more)}." if more else text]


def best_first(benchmark: Gathered, found: Findings) -> list[str]:
    """Architectures as overall, best first, then those without an overall place."""
    rest = [name for name in benchmark.architectures if name not in found.compared]
    return [*found.compared, *(name for name in rest if any(key[0] == name for key in found.means))]
