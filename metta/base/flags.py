"""Command lines with flags: a wrong one is reported like every other wrong input."""

import argparse
import re
from difflib import get_close_matches
from typing import NoReturn

from metta.base.errors import InputError


class Parser(argparse.ArgumentParser):
    """Reports a wrong flag as one sentence; takes flags in full only; keeps the lines of a long description."""

    def __init__(self, prog: str, description: str, epilog: str | None = None) -> None:
        lines = argparse.RawDescriptionHelpFormatter if "\n" in description else argparse.HelpFormatter
        super().__init__(prog=prog, description=description, epilog=epilog, allow_abbrev=False, formatter_class=lines)

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


def natural(text: str) -> int:
    """A whole number of at least 0, as a flag's `type`."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0 (given: {text!r})")
    return int(text)
