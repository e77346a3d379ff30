"""`key=value` texts become typed values of a configuration; nothing is evaluated.

A key is a dotted path into the configuration. Its value is read according to the type of the field it goes to; the
configuration's own rules then decide whether it is allowed.
"""

import ast
import json
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from metta.base.config import Config
from metta.base.errors import InputError

SHOWN_KEYS = 12
"""Most keys that an error message lists."""


@dataclass(frozen=True)
class Setting:
    """One `key=value` of a command line."""

    key: str
    text: str


@dataclass(frozen=True)
class KnownKey:
    """A key that may be set, for help pages and messages."""

    key: str
    type: str
    default: str
    meaning: str


def read_settings(arguments: Sequence[str]) -> list[Setting]:
    """Split `key=value` words. Raises `InputError` for a word of another form and for a key given twice."""
    settings: list[Setting] = []
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or not key.strip() or key.startswith("-"):
            raise InputError(f"cannot read {argument!r}: expected key=value, e.g. seed=3 (--help lists the keys).")
        if any(key == setting.key for setting in settings):
            raise InputError(f"{key} is given twice.")
        settings.append(Setting(key, text))
    return settings


def read_value(text: str, annotation: Any) -> Any:
    """`text` as plain data fit for a field of this type; validation decides whether it is allowed.

    Text fields take the text as it is; `none` stands for no value where that is allowed; sequences and tables are
    Python or JSON literals; whole numbers may be written 1_000_000 or 1e6.
    """
    members = set(_members(annotation))
    if type(None) in members and text.strip().lower() in ("none", "null"):
        return None
    if str in members:
        return text
    if members <= {int, type(None)}:
        return _whole_number(text)
    if members <= {bool, float, type(None)}:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return text


def _whole_number(text: str) -> Any:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if any(sign in text for sign in ".eE") and number.is_integer() else text


def _members(annotation: Any) -> Iterator[Any]:
    """The plain types an annotation stands for: members of unions, types of literals, what `Annotated` wraps."""
    if isinstance(annotation, TypeVar):
        return
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from _members(member)
    elif origin is typing.Annotated:
        yield from _members(typing.get_args(annotation)[0])
    elif origin is Literal:
        yield from {type(value) for value in typing.get_args(annotation)}
    else:
        yield origin or annotation


def change(config: Config, settings: Sequence[Setting], fixed: Mapping[str, str], other_keys: Sequence[str]) -> Config:
    """`config` with every setting applied, checked as a whole.

    Args:
        config: the configuration to start from.
        settings: keys and texts; a whole part may be given as a table, and `<part>.kind` alone takes that kind's
            defaults.
        fixed: keys that may not be set, each with the way to choose them instead.
        other_keys: keys known besides those of the configuration, for the hint at an unknown key.

    Raises:
        InputError: an unknown or fixed key, or a value that its field refuses.
    """
    # A part comes before what is inside it, its kind before its other fields.
    ordered = sorted(settings, key=lambda setting: (setting.key.count("."), not setting.key.endswith(".kind")))
    for setting in ordered:
        if setting.key in fixed:
            raise InputError(f"{setting.key} cannot be set: {fixed[setting.key]}.")
        if _is_part(config, setting.key):
            config = _set(config, [setting], fixed, other_keys)
    inner = [setting for setting in ordered if not _is_part(config, setting.key)]
    return _set(config, inner, fixed, other_keys) if inner else config


def _is_part(config: Config, key: str) -> bool:
    return key.endswith(".kind") or isinstance(_find(config, key), Config)


def _find(config: Config, key: str) -> Any:
    """The value at a dotted key, or None."""
    value: Any = config
    for name in key.split("."):
        if isinstance(value, Config) and name in type(value).model_fields:
            value = getattr(value, name)
        elif isinstance(value, Mapping) and name in value:
            value = value[name]
        else:
            return None
    return value


def _set(config: Config, settings: Sequence[Setting], fixed: Mapping[str, str], other_keys: Sequence[str]) -> Config:
    tree = config.model_dump()
    for setting in settings:
        *path, last = setting.key.split(".")
        owner: Any = config
        branch: Any = tree
        for name in path:
            owner = _step(owner, name, setting.key, config, fixed, other_keys)
            branch = branch[name]
        _step(owner, last, setting.key, config, fixed, other_keys)
        value = read_value(setting.text, _annotation(owner, last))
        if last == "kind" and isinstance(owner, Config):
            branch.clear()  # the fields of the former kind mean nothing to the new one
        branch[last] = value
    return type(config).parse(tree)


def _annotation(owner: Config | Mapping[str, Any], name: str) -> Any:
    if isinstance(owner, Config):
        return type(owner).model_fields[name].annotation
    value = owner[name]
    return type(value) if isinstance(value, str | int | float | bool) else object


def _step(owner: Any, name: str, key: str, config: Config, fixed: Mapping[str, str], other_keys: Sequence[str]) -> Any:
    if isinstance(owner, Config) and name in type(owner).model_fields:
        return getattr(owner, name)
    if isinstance(owner, Mapping) and name in owner:
        return owner[name]
    raise InputError(unknown_key_sentence(key, config, fixed, other_keys))


OTHER_NAMES = {
    "batch_size": "trainer.minibatches",
    "clip_coef": "trainer.clip",
    "clip_range": "trainer.clip",
    "device": "system.device",
    "ent_coef": "trainer.entropy_weight",
    "max_steps": "sim.max_steps",
    "n_envs": "trainer.num_streams",
    "n_steps": "trainer.rollout_steps",
    "num_envs": "trainer.num_streams",
    "num_minibatches": "trainer.minibatches",
    "num_steps": "trainer.rollout_steps",
    "num_workers": "system.threads",
    "steps": "trainer.total_timesteps",
    "timesteps": "trainer.total_timesteps",
    "total_steps": "trainer.total_timesteps",
    "vf_coef": "trainer.value_weight",
}
"""What other libraries (Stable-Baselines3, CleanRL, PufferLib) call a setting -> its key here."""


def unknown_key_sentence(key: str, config: Config, fixed: Mapping[str, str], other_keys: Sequence[str]) -> str:
    """Names an unknown key, the nearest known one, and what is allowed at the deepest part that exists."""
    known = [*other_keys, *(entry.key for entry in known_keys(config, fixed))]
    if not known:
        return f"unknown key {key!r}; nothing can be set here."
    by_last_name = {known_key.rpartition(".")[2]: known_key for known_key in reversed(known)}
    by_last_name |= {other.rpartition(".")[2]: other for other in known if _part(other) == _part(key)}
    short = get_close_matches(key.rpartition(".")[2], by_last_name, n=1, cutoff=0.75)
    other = OTHER_NAMES.get(key.rpartition(".")[2])
    nearest = (
        [other]
        if other in known
        else [by_last_name[name] for name in short] or _by_meaning(key, known_keys(config, fixed))
    )
    nearest = nearest or get_close_matches(key, known, n=1, cutoff=0.0)
    part = key
    while part and not any(other.startswith(part + ".") for other in known):
        part = part.rpartition(".")[0]
    prefix = part + "." if part else ""
    allowed = list(
        dict.fromkeys(prefix + other.removeprefix(prefix).split(".")[0] for other in known if other.startswith(prefix))
    )
    listed = ", ".join(allowed[:SHOWN_KEYS]) + (", ... (see --help)" if len(allowed) > SHOWN_KEYS else "")
    return f"unknown key {key!r}; did you mean {nearest[0]!r}? Allowed here: {listed}."


def _part(key: str) -> str:
    return key.rpartition(".")[0]


def _by_meaning(key: str, known: Sequence[KnownKey]) -> list[str]:
    """A key that `key` abbreviates (lr: learning_rate) or whose meaning has its words (discount: gamma), if any."""
    last = key.rpartition(".")[2]
    words = last.lower().split("_")
    found = []
    for entry in sorted(known, key=lambda entry: _part(entry.key) != _part(key)):
        name = entry.key.rpartition(".")[2]
        initials = "".join(word[0] for word in name.split("_"))
        if len(last) > 1 and last.lower() == initials:
            return [entry.key]
        if all(re.search(rf"\b{re.escape(word)}", f"{name} {entry.meaning}".lower()) for word in words):
            found.append(entry.key)
    return found[:1]


def known_keys(config: Config, fixed: Mapping[str, str] = types.MappingProxyType({})) -> list[KnownKey]:
    """Every key of a configuration that may be set, in order, with the present value as default."""
    return [entry for entry in _walk(config, "") if entry.key not in fixed]


def _walk(owner: Config | Mapping[str, Any], prefix: str) -> Iterator[KnownKey]:
    names = list(type(owner).model_fields) if isinstance(owner, Config) else list(owner)
    for name in names:
        field = type(owner).model_fields[name] if isinstance(owner, Config) else None
        value = getattr(owner, name) if isinstance(owner, Config) else owner[name]
        key = prefix + name
        holds_parts = isinstance(value, Mapping) and any(isinstance(item, Config) for item in value.values())
        if isinstance(value, Config) or holds_parts:
            yield from _walk(value, key + ".")
        else:
            kinds = getattr(type(owner), "kinds", None) if name == "kind" else None
            yield KnownKey(
                key,
                " | ".join(sorted(kinds))
                if kinds
                else type_text(field.annotation if field else type(value)) + (_range_text(field) if field else ""),
                value_text(value),
                " ".join((field.description if field and field.description else "").split()),
            )


def type_text(annotation: Any) -> str:
    """An annotation in the words of a command line: `integer`, `true/false`, `a | b`, `integer or none`."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_text(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_text(argument) for argument in arguments)
    if origin is Literal:
        return " | ".join(str(argument) for argument in arguments)
    if origin in (tuple, list, typing.get_origin(Sequence[int])):
        inner = dict.fromkeys(type_text(argument) for argument in arguments if argument is not Ellipsis)
        return f"list of {' or '.join(inner)}" if inner else "list"
    if origin in (dict, typing.get_origin(Mapping[str, int])):
        return f"table of {type_text(arguments[1])}"
    names = {int: "integer", float: "number", bool: "true/false", str: "text", type(None): "none"}
    return names.get(
        annotation, "table" if isinstance(annotation, type) and issubclass(annotation, Config) else "value"
    )


def _range_text(field: FieldInfo) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    bounds = [
        f"{sign} {getattr(constraint, name)}"
        for constraint in field.metadata
        for name, sign in signs.items()
        if getattr(constraint, name, None) is not None
    ]
    return f" {' and '.join(bounds)}" if bounds else ""


def value_text(value: Any) -> str:
    """A value as it would be written after `key=`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    if isinstance(value, tuple | list | Mapping):
        return json.dumps(value, default=lambda item: item.model_dump() if isinstance(item, Config) else list(item))
    return str(value)


def read_argument(setting: Setting, annotation: Any) -> Any:
    """The value of a function parameter. Raises `InputError` when it does not have the parameter's type."""
    try:
        return TypeAdapter(annotation).validate_python(read_value(setting.text, annotation))
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise InputError(f"{setting.key}: {message[0].lower()}{message[1:]} (given: {setting.text!r}).") from None
