"""Perceptions crossed with memories: `uv run experiments/recipes/benchmark_architectures/factorial.py`.

A benchmark of the architectures of `crossed.py`, with its files and its report, and after it the effects of perception
and memory apart. Repeating a command continues it. `--help` explains every flag.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.recipes.benchmark_architectures import run_benchmark
from experiments.recipes.benchmark_architectures.crossed import MEMORIES, PERCEPTIONS, crossed_name
from experiments.recipes.benchmark_architectures.levels import FIRST_LEVEL
from experiments.recipes.benchmark_architectures.planning import call_text, print_forecast
from metta.analysis.results import FILE_NAME, read_results
from metta.base.endings import command
from metta.base.errors import InputError
from metta.base.files import write_atomically
from metta.base.flags import Parser, some_of
from metta.lab.executors import local

NAME = "factorial.md"
"""Of the file with the effects, beside the results."""


def _parser() -> Parser:
    parser = run_benchmark.local_parser(
        "factorial.py",
        "Train every perception with every memory, at one width and nearly one number of parameters, and say what "
        "perception and memory contribute; repeating the command continues it.",
        "./train_dir/factorial",
    )
    add = parser.add_argument
    add("--perceptions", type=some_of(PERCEPTIONS), default=",".join(PERCEPTIONS), metavar="A,B", help="encoders")
    add("--memories", type=some_of(MEMORIES), default=",".join(MEMORIES), metavar="A,B", help="memories")
    parser.set_defaults(levels=FIRST_LEVEL)
    return parser


@command
def main(words: list[str]) -> int:
    """Run one command line."""
    given = _parser().parse_intermixed_args(words)
    perceptions, memories = given.perceptions, given.memories
    if min(len(perceptions), len(memories)) < 2:
        raise InputError("--perceptions and --memories: two of each are the least that can be crossed.")
    given.architectures = [crossed_name(one, other) for one in perceptions for other in memories]
    study = run_benchmark.local_study(given, call_text("factorial.py", words))
    if given.dry_run:
        print_forecast(study, given)
        return 0
    status = study.execute(local.LocalExecutor(study.parallel))
    file = study.output / FILE_NAME
    text = effects_of_file(file, perceptions, memories)
    write_atomically(file.parent / NAME, text + "\n")
    print(f"\n{text}\n\nEffects: {file.parent / NAME}")
    return status


def effects_of_file(file: Path, perceptions: Sequence[str], memories: Sequence[str]) -> str:
    """The effects in every environment of a results file, as Markdown. Raises `InputError` for a damaged file."""
    from metta.analysis.factorial import effects_text
    from metta.analysis.summary import terminal_width

    results = read_results(file)
    crossed = {crossed_name(one, other): (one, other) for one in perceptions for other in memories}
    cells: dict[tuple[str, str], dict[tuple[str, str], list[float]]] = {}
    for run in results.runs:
        if run.training.architecture in crossed and run.training.is_whole(results.max_timesteps):
            for environment, result in run.evaluation.results.items():
                own = cells.setdefault((run.training.level, environment), {name: [] for name in crossed.values()})
                own[crossed[run.training.architecture]].append(result.hearts_per_agent)
    return (
        "\n\n".join(
            effects_text(f"{level}, {environment}: hearts per agent", ("perception", "memory"), own, terminal_width())
            for (level, environment), own in cells.items()
        )
        or "No run is whole, so there are no effects."
    )


if __name__ == "__main__":
    sys.exit(main())
