"""From what a user writes for an architecture (a key, a configuration's name, a call with literals) to a configuration.

The text is parsed, never evaluated.
"""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, get_type_hints

from pydantic import ValidationError

from metta.agent import policies
from metta.agent.policies.config import PolicyConfig
from metta.base.config import sentence
from metta.base.errors import InputError

Builder = Callable[..., PolicyConfig]


def choose_architecture(text: str, registry: Mapping[str, PolicyConfig]) -> tuple[str, PolicyConfig]:
    """The name that runs and results carry, and the policy configuration.

    Args:
        text: a key of `registry`, the name of a configuration class or function with or without parentheses, with
            keyword arguments that are Python literals: `ViTSlidingTransConfig(num_layers=3)`.
        registry: the suite's architectures by key.

    Returns:
        The key if the configuration is the one registered under it, else the call as text.

    Raises:
        InputError: the text is none of these, or the configuration refuses the arguments.
    """
    name, arguments = parse_call(text)
    if name in registry and not arguments:
        return name, registry[name]
    builders = configuration_builders(registry)
    builder = _builder_of_key(name, registry, builders) if name in registry else builders.get(name)
    if builder is None:
        known = [*registry, *builders]
        near = get_close_matches(name, known, n=1, cutoff=0.0)
        raise InputError(
            f"unknown architecture {name!r}; did you mean {near[0]!r}? Known: {', '.join(registry)}, or one of the "
            f"configurations {', '.join(builders)}."
        )
    config = _call(builder, name, arguments)
    for key, registered in registry.items():
        if registered.model_dump() == config.model_dump():
            return key, config
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})", config


def parse_call(text: str) -> tuple[str, dict[str, Any]]:
    """`Name`, `Name()` or `Name(key=literal, ...)` as name and arguments; anything else is an `InputError`."""
    shape = "expected a key, or Name, Name() or Name(key=value, ...) with literal values"
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise InputError(f"cannot read the architecture {text!r}; {shape}.") from None
    if isinstance(tree, ast.Name):
        return tree.id, {}
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise InputError(f"cannot read the architecture {text!r}; {shape}.")
    if tree.args or any(keyword.arg is None for keyword in tree.keywords):
        raise InputError(f"the architecture {text!r} has an argument without a name; {shape}.")
    arguments = {}
    for keyword in tree.keywords:
        try:
            arguments[str(keyword.arg)] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, MemoryError, RecursionError):
            raise InputError(f"{keyword.arg} in the architecture {text!r} is not a literal; {shape}.") from None
    return tree.func.id, arguments


def configuration_builders(registry: Mapping[str, PolicyConfig]) -> dict[str, Builder]:
    """Every configuration class or function by name: those of metta.agent.policies, and the registered classes."""
    builders: dict[str, Builder] = {}
    for module_info in pkgutil.iter_modules(policies.__path__, policies.__name__ + "."):
        module = importlib.import_module(module_info.name)
        for name, value in vars(module).items():
            if getattr(value, "__module__", None) == module.__name__ and _is_builder(name, value):
                builders[name] = value
    for config in registry.values():
        if _is_builder(type(config).__name__, type(config)):
            builders[type(config).__name__] = type(config)
    return builders


def _is_builder(name: str, value: object) -> bool:
    if name.startswith("_") or value is PolicyConfig:
        return False
    if inspect.isclass(value):
        return issubclass(value, PolicyConfig)
    result = get_type_hints(value).get("return") if inspect.isfunction(value) else None
    return isinstance(result, type) and issubclass(result, PolicyConfig)


def _builder_of_key(key: str, registry: Mapping[str, PolicyConfig], builders: Mapping[str, Builder]) -> Builder | None:
    """What `key(...)` calls: the class or function whose defaults are registered under the key."""
    wanted = registry[key].model_dump()
    for builder in builders.values():
        try:
            if builder().model_dump() == wanted:
                return builder
        except (TypeError, ValidationError):
            continue  # it has arguments without defaults, so it is not what the key names
    return None


def _call(builder: Builder, name: str, arguments: dict[str, Any]) -> PolicyConfig:
    try:
        return builder(**arguments)
    except ValidationError as error:
        raise InputError(sentence(error, PolicyConfig if inspect.isfunction(builder) else builder, name)) from None  # type: ignore[arg-type]
    except TypeError:
        allowed = list(inspect.signature(builder).parameters)
        unknown = [key for key in arguments if key not in allowed]
        raise InputError(
            f"{name} does not take {', '.join(unknown) or 'these arguments'}; it takes {', '.join(allowed) or 'none'}."
        ) from None
