"""The base class of every configuration: small, frozen, keyword-only, unknown fields refused."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from metta.base.errors import InputError


class Config(BaseModel):
    """A frozen record of settings, written to and read back from JSON without loss.

    Direct construction raises pydantic's `ValidationError`; `Config.parse` turns the same faults into one sentence.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=False,
        validate_default=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str = "") -> Self:
        """Build from plain data. Raises `InputError` naming the first bad key, the nearest known one and the rule."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise InputError(sentence(error, cls, where, values)) from None


def sentence(
    error: ValidationError, model: type[BaseModel], where: str = "", values: Mapping[str, Any] | None = None
) -> str:
    """One sentence for the first fault of a `ValidationError`, with the full dotted key.

    Args:
        error: what the model raised.
        model: the configuration that could not be made.
        where: what keys begin with.
        values: what it was to be made of, which tells the `kind` of a part and with it what is allowed there.
    """
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    key = ".".join(([where] if where else []) + location)
    if first["type"] == "extra_forbidden":
        known = _fields_at(model, location[:-1], values or {})
        near = get_close_matches(location[-1], known, n=1, cutoff=0.0)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"unknown key {key!r}{hint} Allowed here: {', '.join(sorted(known))}."
    if first["type"] == "missing":
        return f"{key!r} is missing and has no default."
    message = first["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    given = first.get("input")
    shown = "" if isinstance(given, dict) or not location else f" (given: {given!r})"
    return f"{key or model.__name__}: {message[0].lower()}{message[1:].rstrip('.')}{shown}."


def _fields_at(model: type[BaseModel], location: list[str], values: Any) -> list[str]:
    """The field names of the nested configuration at `location`."""
    for part in location:
        values = values.get(part) if isinstance(values, Mapping) else None
        field = model.model_fields.get(part)
        annotation = field.annotation if field else None
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        nested = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not nested:
            break
        model = nested[0]
        if isinstance(values, Mapping):
            model = getattr(model, "kinds", {}).get(values.get("kind"), model)
    return list(model.model_fields)
