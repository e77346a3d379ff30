"""Search over settings: dimensions and what each random trial takes from them, or the points of a grid.

Source: Bergstra and Bengio, "Random search for hyper-parameter optimization", JMLR 13 (2012), 281-305.
Every dimension of every trial has a seed of its own, so that a dimension added to a space, or one more trial, changes
no other value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

from metta.base.errors import InputError
from metta.base.seeding import derive_seed

Value = bool | int | float
Settings = dict[str, Value]
"""Key -> value."""


class Dimension(Protocol):
    """One thing that trials vary."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that it sets."""

    def at(self, uniform: float) -> Settings:
        """The values for a uniform number in [0, 1)."""


@dataclass(frozen=True)
class LogUniform:
    """A number whose logarithm is uniform between those of two others; three significant digits."""

    key: str
    low: float
    """Above 0."""
    high: float

    @property
    def keys(self) -> tuple[str, ...]:
        """The key."""
        return (self.key,)

    def at(self, uniform: float) -> Settings:
        """The value for a uniform number in [0, 1)."""
        return {self.key: self.number(uniform)}

    def number(self, uniform: float) -> float:
        """As `at`, without the key."""
        return float(f"{self.low * (self.high / self.low) ** uniform:.3g}")


@dataclass(frozen=True)
class OneMinusLogUniform(LogUniform):
    """A number just below 1, such as a discount, whose distance from 1 is drawn; low and high bound that distance."""

    def at(self, uniform: float) -> Settings:
        """The value for a uniform number in [0, 1)."""
        distance = self.number(uniform)
        digits = 3 - math.ceil(math.log10(distance))  # those that the distance has behind the point
        return {self.key: round(1.0 - distance, digits)}


@dataclass(frozen=True)
class Choice:
    """One of several rows of values, equally likely; several keys where they only make sense together."""

    keys: tuple[str, ...]
    options: Sequence[tuple[Value, ...]]
    """Rows with one value per key."""

    def at(self, uniform: float) -> Settings:
        """The values for a uniform number in [0, 1)."""
        return dict(zip(self.keys, self.options[int(uniform * len(self.options))], strict=True))


def draw(space: Sequence[Dimension], seed: int, trial: int) -> Settings:
    """What a trial takes from the space.

    Args:
        space: dimensions; no key occurs twice.
        seed: of the search.
        trial: its number, at least 0.
    """
    import numpy as np  # here, so that commands that only explain the space need not wait for it

    settings: Settings = {}
    for dimension in space:
        purpose = f"search {'+'.join(dimension.keys)}"
        generator = np.random.Generator(np.random.Philox(key=derive_seed(seed, purpose, trial)))
        settings |= dimension.at(float(generator.random()))
    return settings


def grid(texts: Sequence[str]) -> list[Settings]:
    """Every combination of the values in texts like "learning_rate=0.001,0.002", the last one varying fastest.

    Raises:
        InputError: a text is not of that form, or a key or value occurs twice.
    """
    rows: dict[str, list[Value]] = {}
    for text in texts:
        key, _, values = text.partition("=")
        found = [_value(value) for value in values.split(",")]
        known = [value for value in found if value is not None]
        if not key or key in rows or len(known) < len(found) or len(set(known)) < len(known):
            raise InputError(f"--vary {text!r} is not KEY=A,B with a new key and different numbers, true or false.")
        rows[key] = known
    return [dict(zip(rows, point, strict=True)) for point in product(*rows.values())]


def _value(text: str) -> Value | None:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None
