"""Command lines with flags: a wrong one is reported like every other wrong input."""

import argparse
from typing import NoReturn

from metta.base.errors import InputError


class Parser(argparse.ArgumentParser):
    """Reports a wrong flag as one sentence; takes flags in full only; keeps the lines of a long description."""

    def __init__(self, prog: str, description: str, epilog: str | None = None) -> None:
        lines = argparse.RawDescriptionHelpFormatter if "\n" in description else argparse.HelpFormatter
        super().__init__(prog=prog, description=description, epilog=epilog, allow_abbrev=False, formatter_class=lines)

    def error(self, message: str) -> NoReturn:
        """Raise `InputError`."""
        raise InputError(f"{message} (--help explains every flag).")


def natural(text: str) -> int:
    """A whole number of at least 0, as a flag's `type`."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0 (given: {text!r})")
    return int(text)
