"""The result: in a sentence, as verdicts, and as the overall table; the terminal and the report say the same."""

from metta.analysis.aggregates import AGGREGATES
from metta.analysis.blocks import Block, Cell, Column, Section, Table, Text, counted, listed, text_of
from metta.analysis.extremes import CEILING, FLOOR
from metta.analysis.figures import Axis, Figure, Record, axis_of, dots, lines
from metta.analysis.findings import Findings
from metta.analysis.gather import Gathered
from metta.analysis.metrics import HEARTS, LATENCY, PARAMETERS, SCORE, SECONDS
from metta.analysis.verdicts import FALSE_CALLS, POWER
from metta.base.addresses import RANDOM, SCRIPTED

NOT_YET = "Nothing to compare yet: there is no level on which every architecture with results has one."
NAMED = 3
"""Architectures in the first sentence; of more the best and the worst are named."""
FEW = 3
"""Names in a cell; more would make its row too high, and stand in the verdicts for every pair."""
MOST_FALSE = 0.07
"""As `FALSE_CALLS`, where noisier architectures have fewer seeds (docs/statistics.md)."""


def section(benchmark: Gathered, found: Findings) -> Section:
    """What the benchmark says, most important first."""
    blocks: list[Block] = [Text(sentence) for sentence in verdict_sentences(benchmark, found)[1:]]
    if len(found.compared_levels) > 1:
        blocks += figures(benchmark, found)
    if found.compared:
        blocks.append(standings_table(benchmark, found))
    blocks.append(Text(measure_words(found)))
    return Section("result", "Result", blocks)


def title(benchmark: Gathered) -> str:
    """Of page and terminal."""
    return f"Architecture benchmark: {counted(len(benchmark.architectures), 'architecture')}"


def headline(benchmark: Gathered, found: Findings) -> str:
    """The result in a sentence."""
    if not found.compared:
        return NOT_YET if benchmark.evaluated else "No run that was trained to its end has been evaluated yet."
    one = found.compared_levels[0] if len(found.compared_levels) == 1 else None
    metric = HEARTS if one else found.measure
    values = {}
    for name in found.compared:
        hearts = benchmark.hearts_over_seeds(name, one) if one else None
        values[name] = hearts or found.overall[name]
    first, *rest = sorted(values, key=lambda name: -values[name].mean)
    number = f"{values[first].mean:.{metric.digits}f}"
    text = f"{first} scores {number}" if metric is SCORE else f"{first} has {number} hearts per agent"
    if len(rest) < NAMED:
        text += "".join(f", {name} {values[name].mean:.{metric.digits}f}" for name in rest)
    else:
        text += f", {rest[0]} {values[rest[0]].mean:.{metric.digits}f}, and so on down to {rest[-1]} "
        text += f"{values[rest[-1]].mean:.{metric.digits}f}"
    players = benchmark.players(found.compared_levels, hearts=metric is HEARTS)
    known = [
        f"{name} {players[name]:.{metric.digits}f}"
        for name in players
        if metric is HEARTS or name in ("blind", "reflex")
    ]
    where = f"on {one}" if one else f"as a mean over {counted(len(found.compared_levels), 'level')}"
    text += f" {where}" + (f" ({', '.join(known)}). " if known else ". ")
    if not found.verdicts:
        return text.strip()
    pairs = [verdict for verdict in found.verdicts if verdict.better is not None]
    if not pairs:
        if _has_single_seeds(benchmark, found):
            return text + "One seed of each cannot rule out chance."
        return f"{text}{'No two of them can' if len(found.verdicts) > 1 else 'The two cannot'} be told apart."
    if len(found.verdicts) == 1:
        return f"{text}{pairs[0].words}."
    if found.better_than(first):
        return text + f"{first} is better than {_names(found.better_than(first), len(rest))}."
    return text + f"{len(pairs)} of {len(found.verdicts)} pairs can be told apart."


def _names(names: list[str], of: int) -> str:
    if len(names) > FEW:
        return "all others" if len(names) == of else f"{len(names)} of {of} others"
    return listed(names)


def status(benchmark: Gathered) -> str:
    """What was planned and how much of it is there."""
    planned = len(benchmark.runs) + len(benchmark.begun) + len(benchmark.missing)
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
            (benchmark.begun, "begun"),
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
        return f"Score: {SCORE.meaning[0].lower()}{SCORE.meaning[1:]}"
    return (
        "Numbers are hearts per agent on held-out maps; there is no score where a reference player has not been "
        "evaluated on the same episodes, or where the scripted player collected no more than the random one. "
        "Averages over levels then weigh rich levels more."
    )


def figures(benchmark: Gathered, found: Findings) -> list[Figure]:
    """Up the ladder and as a mean over levels; of several levels."""
    levels = found.compared_levels
    means: list[Record] = [
        {"who": name, "x": level, "y": own.mean, "low": own.low, "high": own.high}
        for (name, level), own in found.means.items()
        if name in found.compared and level in levels
    ]
    heights: list[Record] = [
        {"who": player, "x": level, "y": value}
        for level in levels
        for player, value in benchmark.players([level]).items()
    ]
    axis = axis_of(found.measure, [record["y"] for record in [*means, *heights]])
    who = [*benchmark.architectures]
    overall = {name: found.overall[name] for name in found.compared}
    across = axis_of(found.measure, [value for row in overall.values() for value in row.values])
    seeds = {name: benchmark.seeds_of(name, levels) for name in overall}
    title = found.measure.name.capitalize()
    return [
        Figure(
            "ladder",
            f"{title} by level",
            lines([*who, *benchmark.players(levels)], [*means, *heights], Axis("level"), axis, order=levels),
            "Means over seeds; reference players are drawn like architectures. Levels get harder to the right.",
        ),
        Figure(
            "overall",
            f"{title}, mean over {counted(len(levels), 'level')}",
            dots(who, overall, across, benchmark.players(levels), seeds=seeds),
            "Bars are means over levels, lines their 95 % intervals, dots the means over the levels of the seeds that "
            "have all of them.",
        ),
    ]


def standings_table(benchmark: Gathered, found: Findings) -> Table:
    """Every architecture over all levels, best first."""
    several = len(found.compared) > 1
    names = [] if len(found.compared_levels) == 1 else list(AGGREGATES)
    rows: list[list[Cell]] = [
        [
            name,
            found.overall[name],
            *(AGGREGATES[kind](found.matrices[name]) for kind in names),
            *([found.places[name]] if several else []),
            sum(len(benchmark.of(name, level)) for level in found.compared_levels),
            found.costs[name].seconds,
            found.costs[name].latency,
            found.costs[name].parameters,
            *([_few(found.better_than(name), len(found.compared) - 1)] if found.verdicts else []),
            *(["not tuned" if name in benchmark.untuned else "tuned"] if benchmark.untuned else []),
        ]
        for name in found.compared
    ]
    return Table(
        "standings",
        f"Overall, {counted(len(found.compared_levels), 'level')}, best first",
        [
            "architecture",
            Column(f"{found.measure.name}, mean", found.measure.digits),
            *names,
            *([Column("mean place", 1)] if several else []),
            "runs",
            SECONDS,
            LATENCY,
            PARAMETERS,
            *(["better than"] if found.verdicts else []),
            *(["learning rate"] if benchmark.untuned else []),
        ],
        rows,
    )


def _few(names: list[str], of: int) -> str:
    if len(names) > FEW:
        return f"{len(names)} of {of}"
    return ", ".join(names) or "-"


def verdict_sentences(benchmark: Gathered, found: Findings) -> list[str]:
    """What the benchmark says, one sentence each, most important first."""
    sentences = [headline(benchmark, found)]
    if found.compared:
        if len(found.compared) > 1:
            sentences += [
                sentence for sentence in _verdict_sentences(benchmark, found) if not sentences[0].endswith(sentence)
            ]
        sentences += extreme_sentences(found)
        sentences += _power_sentences(benchmark, found)
    if benchmark.untuned:
        sentences.append(
            f"Not tuned: the learning rate of {listed(benchmark.untuned)}. The others have one that was chosen for "
            "them, so the comparison is not even."
        )
    left_out = [name for name in benchmark.architectures if name not in found.compared]
    if found.compared and left_out:
        sentences.append(f"Without any result of a whole run so far: {listed(left_out)}.")
    dropped = [level for level in benchmark.levels if found.compared and level not in found.compared_levels]
    if dropped:
        sentences.append(
            f"Not in the overall comparison, because some architecture has no result there: {listed(dropped)}."
        )
    names = [
        f"{run.key.architecture} on {run.key.level}, seed {run.key.seed} ({run.record.training.trained_words})"
        for run in benchmark.partly_trained
    ]
    return sentences + (
        [f"Not compared, because their training did not reach its end: {listed(names)}."] if names else []
    )


def _verdict_sentences(benchmark: Gathered, found: Findings) -> list[str]:
    """Which architectures can be told apart from the leader, and overall."""
    if not found.verdicts:
        return ["No architecture is ranked: on every level all are at the floor or at the ceiling."]
    best = found.compared[0]
    better, worse = found.better_than(best), found.worse_than(best)
    sentences = [f"{best} is better than {listed(better)}."] if better else []
    if worse:
        sentences.append(f"{best} is worse than {listed(worse)} on the levels that are judged.")
    unclear = [name for name in found.compared if name not in {best, *better, *worse}]
    if unclear:
        sentences.append(f"{best} is not distinguishable from {listed(unclear)} with these seeds.")
    sentences.append(how_sure(benchmark, found))
    if any(verdict.better is not None for verdict in found.verdicts):
        sentences.append(f"Tiers, best mean first: {'; '.join(listed(tier) for tier in found.tiers)}.")
    return sentences


def how_sure(benchmark: Gathered, found: Findings) -> str:
    """How many pairs are told apart, by which test, and how often it is wrong; empty where none is judged."""
    if not found.verdicts:
        return ""
    uneven = len({verdict.seeds for verdict in found.verdicts}) > 1
    chance = (
        f"up to {MOST_FALSE:.0%} where noisier architectures have fewer seeds" if uneven else f"below {FALSE_CALLS:.0%}"
    )
    several = len(found.judged_levels) > 1
    test = f"Tukey's test{' on the mean over levels' * several}, variances pooled over architectures"
    first, *others = found.verdicts
    if others or first.needed is None:
        sure = sum(verdict.better is not None for verdict in found.verdicts)
        return (
            f"Of {counted(len(found.verdicts), 'pair')}, {sure} can be told apart ({test}; the chance of even one "
            f'false "better" is {chance}).'
        )
    hearts = _hearts_of_a_score(benchmark, found)
    metric = found.measure if hearts is None else HEARTS
    apart, needed = (text_of((hearts or 1.0) * value, metric.digits) for value in (abs(first.value), first.needed))
    return (
        f"{first.a} and {first.b} are {apart} apart in {metric.name}; a difference above {needed} counts as more "
        f'than chance ({test}; the chance of a false "better" is {chance}).'
    )


def _hearts_of_a_score(benchmark: Gathered, found: Findings) -> float | None:
    """Hearts that a score of 1 is more than one of 0; None where no single number of hearts is."""
    environments = {name for run in benchmark.evaluated for name in run.record.evaluation.results}
    if found.measure != SCORE or len(found.judged_levels) != 1 or len(environments) != 1:
        return None
    low, high = (benchmark.hearts_of_player(player, found.judged_levels[0]) for player in (RANDOM, SCRIPTED))
    return None if low is None or high is None else high - low


def extreme_sentences(found: Findings) -> list[str]:
    """Which levels rank no architecture, and why; empty if there is no such level."""
    words = {
        FLOOR: "none is clearly above the blind player",
        CEILING: "all are as good as the scripted player",
    }
    return [f"{level} ranks no architecture: {words[extreme]} there." for level, extreme in found.extremes.items()]


def _has_single_seeds(benchmark: Gathered, found: Findings) -> bool:
    """Whether nothing that is compared has two seeds."""
    return all(len(benchmark.of(name, level)) < 2 for name in found.compared for level in found.compared_levels)


def _power_sentences(benchmark: Gathered, found: Findings) -> list[str]:
    if _has_single_seeds(benchmark, found):
        return ["With one seed, chance cannot be ruled out; two are the least, three or more are better."]
    if not found.verdicts:
        return []
    if found.fewest < 2:
        return [
            "An architecture with a single seed on some level cannot be told apart from any other; two are the least, "
            "three or more are better."
        ]
    if not found.smallest:
        return []
    digits = found.measure.digits
    unit = "score (0: random player, 1: scripted player)" if found.measure == SCORE else found.measure.name
    text = (
        f"With {found.fewest} seeds, the fewest that an architecture has on a level, a true difference of "
        f"{text_of(found.smallest[found.fewest], digits)} in {unit} would be detected {POWER:.0%} of the time; smaller "
        "ones may exist and go unnoticed."
    )
    more = [f"{text_of(value, digits)} with {n}" for n, value in found.smallest.items() if n > found.fewest]
    return [f"{text} More seeds would detect {listed(more)}." if more else text]


def best_first(benchmark: Gathered, found: Findings) -> list[str]:
    """Architectures as overall, best first, then those without an overall place."""
    rest = [name for name in benchmark.architectures if name not in found.compared]
    return [*found.compared, *(name for name in rest if any(key[0] == name for key in found.means))]
