"""Command lines with flags: a wrong one is reported like every other wrong input."""

import argparse
import math
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from difflib import get_close_matches
from typing import NoReturn

from metta.base.errors import InputError


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Says defaults, where there are any and the help does not say its own."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if isinstance(action.default, bool | list | None) or "(default: " in (action.help or ""):
            return action.help
        return super()._get_help_string(action)


class _LinesFormatter(_Formatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of a description, too."""


class Parser(argparse.ArgumentParser):
    """Reports a wrong flag as one sentence; takes flags in full only; help says defaults."""

    def __init__(self, prog: str, description: str, epilog: str | None = None) -> None:
        formatter = _LinesFormatter if "\n" in description else _Formatter
        super().__init__(
            prog=prog, description=description, epilog=epilog, allow_abbrev=False, formatter_class=formatter
        )

    def error(self, message: str) -> NoReturn:
        """Raise `InputError`; a flag that does not exist gets the one that was probably meant."""
        unknown = re.fullmatch(r"unrecognized arguments: (-\S+).*", message, re.DOTALL)
        if unknown:
            flag = unknown[1].partition("=")[0]
            message = f"there is no flag {flag}{self._meant(flag)}"
        raise InputError(f"{message} (--help explains every flag).")

    def _meant(self, flag: str) -> str:
        """By its spelling, or by the words of a flag's help: --steps is --max-timesteps."""
        helps = {name: f"{name} {action.help}".lower() for action in self._actions for name in action.option_strings}
        words = [re.escape(word) for word in flag.lower().strip("-").split("-")]
        found = [
            *get_close_matches(flag, helps, n=1, cutoff=0.75),
            *(name for name, text in helps.items() if all(re.search(rf"\b{word}", text) for word in words)),
        ]
        if found:
            return f"; did you mean {found[0]}?"
        settings = any(action.dest == "settings" for action in self._actions)
        return "; settings of a run are given as key=value, without dashes" if settings else ""


def at_least(least: float, kind: type[int] | type[float] = int) -> Callable[[str], float]:
    """A finite number, whole unless `kind` is float, of at least so much, as a flag's `type`."""

    def read(text: str) -> float:
        with suppress(ValueError, OverflowError):
            if least <= (value := kind(text)) < math.inf:
                return value
        whole = "whole " if kind is int else ""
        raise argparse.ArgumentTypeError(f"must be a {whole}number of at least {least:g} (given: {text!r})")

    return read


def one_of(known: Iterable[str]) -> Callable[[str], str]:
    """One of these names, as a flag's `type`."""
    known = list(known)

    def read(text: str) -> str:
        if text not in known:
            near = get_close_matches(text, known, n=1, cutoff=0.0)[0]
            raise argparse.ArgumentTypeError(f"unknown name {text!r}; did you mean {near!r}? Known: {', '.join(known)}")
        return text

    return read


def some_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Some of these names, separated by commas, each once, as a flag's `type`; an empty text and `all` mean all."""
    known = list(known)

    def read(text: str) -> list[str]:
        if text in ("", "all"):
            return known
        found = [one_of(known)(part.strip()) for part in text.split(",") if part.strip()]
        if not found:
            raise argparse.ArgumentTypeError(f"names nothing; known: {', '.join(known)}")
        return list(dict.fromkeys(found))

    return read
