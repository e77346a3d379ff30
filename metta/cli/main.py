"""The command line of tools/run.py: a dotted path to a recipe function and `key=value` pairs."""

import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any

from metta.base.config import Config
from metta.base.endings import INPUT_ERROR, command
from metta.base.errors import InputError
from metta.base.job import Job
from metta.cli.recipes import Recipe, all_recipes, find_recipe, plain_data
from metta.cli.values import KnownKey, change, known_keys, read_settings, unknown_key_sentence

USAGE = """usage: uv run ./tools/run.py PATH [key=value ...] [--dry-run]

  PATH              dotted path of a recipe function, or its end, e.g. level_1_basic.train for
                    experiments.recipes.benchmark_architectures.level_1_basic.train
  key=value         a parameter of the function or a dotted path into the run's configuration,
                    e.g. seed=3 trainer.total_timesteps=500000
  PATH --help       every key with its type, default and meaning
  PATH --dry-run    print the resolved configuration; nothing is run or written
  --list            list the recipes
"""


@command
def main(arguments: list[str]) -> int:
    """Run one command line."""
    flags = [word for word in arguments if word.startswith("-")]
    words = [word for word in arguments if not word.startswith("-")]
    known = {"--help", "-h", "--list", "--dry-run"}
    for flag in flags:
        if flag not in known:
            key, equals, value = flag.lstrip("-").partition("=")
            raise InputError(
                f"unknown option {flag!r}; there are --help, --list and --dry-run. A setting is written without "
                f"dashes: {key.replace('-', '_')}={value if equals else '...'}"
            )
    if "--list" in flags:
        for recipe in all_recipes():
            print(recipe.path)
            print(_wrapped(recipe.summary, 4))
        return 0
    if not words:
        print(USAGE, end="")
        return 0 if flags else INPUT_ERROR
    recipe = find_recipe(words[0])
    if "--help" in flags or "-h" in flags:
        return _help(recipe)
    return _run(recipe, words[1:], dry="--dry-run" in flags)


def _run(recipe: Recipe, words: list[str], dry: bool) -> int:
    result = _resolved(recipe, words)
    if isinstance(result, Job) and not dry:
        return result.execute()
    print(json.dumps(plain_data(result.config if isinstance(result, Job) else result), indent=2))
    return 0


def _resolved(recipe: Recipe, words: Sequence[str]) -> Any:
    """What the recipe returns for these `key=value` words: a job on the changed configuration, or configurations."""
    settings = read_settings(words)
    own = [setting for setting in settings if setting.key in recipe.parameters]
    rest = [setting for setting in settings if setting.key not in recipe.parameters]
    result = recipe.call(own)
    if not rest:
        return result
    if not isinstance(result, Job):
        raise InputError(unknown_key_sentence(rest[0].key, Config(), {}, list(recipe.parameters)))
    return result.with_config(change(result.config, rest, result.fixed, list(recipe.parameters)))


def resolve(words: Sequence[str]) -> Job:
    """The job that a command line of tools/run.py does. Raises `InputError` as that command would."""
    job = _resolved(find_recipe(words[0]), words[1:])
    if not isinstance(job, Job):
        raise InputError(f"{words[0]} cannot be run: it returns {type(job).__name__}, which is not a job.")
    return job


def _help(recipe: Recipe) -> int:
    print(f"{recipe.path}\n\n{_wrapped(recipe.summary, 0)}\n")
    own = recipe.known_keys()
    print("Parameters:")
    _print_keys(own)
    example = _example_job(recipe)
    if example is not None:
        names = {entry.key for entry in own}
        print("\nConfiguration (defaults as resolved for the parameters' defaults):")
        keys = [entry for entry in known_keys(example.config, example.fixed) if entry.key not in names]
        sizes = Counter(entry.key.split(".")[0] for entry in keys)
        # Small parts first: the environments alone have hundreds of keys.
        _print_keys(sorted(keys, key=lambda entry: sizes[entry.key.split(".")[0]]))
    return 0


def _example_job(recipe: Recipe) -> Job | None:
    """The job for the defaults of all parameters; those without one get a stand-in, which is not shown."""
    arguments: dict[str, Any] = {
        name: "REQUIRED" for name, parameter in recipe.parameters.items() if parameter.default is parameter.empty
    }
    result = recipe.function(**arguments)
    return result if isinstance(result, Job) else None


def _wrapped(text: str, indent: int) -> str:
    """Text in lines of at most 80 columns; a single word may be longer."""
    space = " " * indent
    return textwrap.fill(
        text, 80, initial_indent=space, subsequent_indent=space, break_long_words=False, break_on_hyphens=False
    )


def _print_keys(entries: Sequence[KnownKey]) -> None:
    for entry in entries:
        print(f"  {entry.key} = {entry.default}")
        print(_wrapped(f"({entry.type}) {entry.meaning}", 6))
