"""Recipe functions by dotted path: finding, listing and calling them with typed arguments."""

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from metta.base.config import Config
from metta.base.errors import InputError
from metta.base.job import Job
from metta.cli.values import KnownKey, Setting, read_argument, type_text, value_text

RECIPES_PACKAGE = "experiments.recipes"


@dataclass(frozen=True)
class Recipe:
    """A function that returns a job, or plain configurations to print."""

    path: str
    function: Callable[..., Any]

    @property
    def summary(self) -> str:
        """First sentence of the documentation."""
        return (inspect.getdoc(self.function) or "").split("\n\n")[0].replace("\n", " ")

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The function's own keys."""
        return dict(inspect.signature(self.function).parameters)

    @property
    def annotations(self) -> dict[str, Any]:
        """Types of the parameters and, as `return`, of the result."""
        return typing.get_type_hints(self.function, include_extras=True)

    def known_keys(self) -> list[KnownKey]:
        """The function's own keys with type, default and meaning."""
        meanings = parameter_meanings(inspect.getdoc(self.function) or "")
        annotations = self.annotations
        return [
            KnownKey(
                name,
                type_text(annotations[name]),
                "required" if parameter.default is inspect.Parameter.empty else value_text(parameter.default),
                meanings.get(name, ""),
            )
            for name, parameter in self.parameters.items()
        ]

    def call(self, settings: Sequence[Setting]) -> Any:
        """Call the function with these of its own keys. Raises `InputError` for a wrong type or a missing key."""
        annotations = self.annotations
        arguments = {setting.key: read_argument(setting, annotations[setting.key]) for setting in settings}
        for name, parameter in self.parameters.items():
            if parameter.default is inspect.Parameter.empty and name not in arguments:
                raise InputError(f"{name}= is missing: {parameter_meanings(inspect.getdoc(self.function) or '')[name]}")
        return self.function(**arguments)


def parameter_meanings(documentation: str) -> dict[str, str]:
    """Parameter -> meaning, from the `Args:` section of a docstring."""
    meanings: dict[str, str] = {}
    _, _, section = documentation.partition("Args:\n")
    name = ""
    for line in section.splitlines():
        if not line.startswith("    "):
            break
        text = line.strip()
        if not line.startswith("     ") and ":" in text:
            name, _, text = text.partition(":")
        meanings[name] = f"{meanings.get(name, '')} {text.strip()}".strip()
    return meanings


def find_recipe(path: str) -> Recipe:
    """The recipe at a dotted path, or at the only one that ends in it, as level_1_basic.train.

    Raises:
        InputError: there is none, and which is nearest, or several end in it.
    """
    module_name = path.rpartition(".")[0]
    recipes = {recipe.path: recipe for recipe in module_recipes(module_name)}
    if path in recipes:
        return recipes[path]
    everything = {recipe.path: recipe for recipe in all_recipes()}
    known = list(everything)
    ends = [each for each in known if each.endswith(f".{path}")]
    if len(ends) == 1:
        return everything[ends[0]]
    if ends:
        raise InputError(f"{len(ends)} recipes end in {path!r}; name one of them in full: {', '.join(ends)}.")
    raise InputError(f"there is no recipe {path!r}; {_hint(path, known)} tools/run.py --list shows all.")


def _hint(path: str, known: Sequence[str]) -> str:
    """What a path that is no recipe may have meant."""
    owner, _, verb = path.rpartition(".")
    pairs = [tuple(each.split(".")[-2:]) for each in known]
    verbs = [f"{own}.{each}" for own, each in pairs if own == verb]
    if verbs:
        return f"say what to do: {', '.join(verbs)}."
    nearest = get_close_matches(path, known, n=1, cutoff=0.0)[0]
    owners = [own for own, each in pairs if each == verb]
    name = owner.rpartition(".")[2]
    if not owners or name in owners:
        return f"did you mean {nearest!r}?"
    meant = get_close_matches(name, owners, n=1, cutoff=0.0)[0]
    return f"did you mean '{meant}.{verb}'? {verb!r} is a verb of {', '.join(owners)}."


def module_recipes(module_name: str) -> list[Recipe]:
    """The recipes of one module; empty if it is not a module of recipes."""
    if not module_name.startswith(RECIPES_PACKAGE + "."):
        return []
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name + ".").startswith(error.name + "."):
            return []
        raise
    return [
        Recipe(f"{module_name}.{name}", value)
        for name, value in vars(module).items()
        if _is_recipe(name, value, module)
    ]


def _is_recipe(name: str, value: object, module: ModuleType) -> bool:
    """A public function or bound method, belonging to the module, whose result is a job or configurations."""
    if name.startswith("_") or not (inspect.isfunction(value) or inspect.ismethod(value)):
        return False
    if inspect.isfunction(value) and value.__module__ != module.__name__:
        return False
    result = inspect.get_annotations(value).get("return")  # not of what is quoted, which may be imported for types only
    if typing.get_origin(result) is not None:
        result = typing.get_args(result)[-1]
    return isinstance(result, type) and issubclass(result, Job | Config)


def all_recipes() -> list[Recipe]:
    """Every recipe, sorted by path."""
    package = importlib.import_module(RECIPES_PACKAGE)
    modules = [info.name for info in pkgutil.walk_packages(package.__path__, package.__name__ + ".") if not info.ispkg]
    return [recipe for module in sorted(modules) for recipe in module_recipes(module)]


def plain_data(value: Config | Mapping[str, Config]) -> Any:
    """What a recipe that returns configurations prints."""
    if isinstance(value, Config):
        return value.model_dump(mode="json")
    return {name: config.model_dump(mode="json") for name, config in value.items()}
