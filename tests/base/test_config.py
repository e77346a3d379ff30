"""Configurations refuse unknown keys and wrong values with one sentence that names the key; seeds are independent."""

import pytest
from pydantic import Field

from metta.base.config import Config
from metta.base.errors import InputError
from metta.base.seeding import derive_seed


class Inner(Config):
    """A part."""

    steps: int = Field(3, ge=1)


class Outer(Config):
    """A whole."""

    inner: Inner = Inner()
    name: str


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"name": "a", "inner": {"stepps": 1}},
            r"unknown key 'inner\.stepps'; did you mean 'steps'\? Allowed here: steps",
        ),
        (
            {"name": "a", "inner": {"steps": 0}},
            r"inner\.steps: input should be greater than or equal to 1 \(given: 0\)\.$",
        ),
        ({"name": "a", "inner": {"steps": "x"}}, r"inner\.steps: input should be a valid integer"),
        ({}, r"'name' is missing and has no default\.$"),
    ],
)
def test_one_sentence_names_the_key(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        Outer.parse(values)
    assert "\n" not in str(error.value)


def test_configurations_are_frozen_and_read_back() -> None:
    config = Outer(name="a")
    with pytest.raises(ValueError, match="frozen"):
        config.name = "b"  # type: ignore[misc]
    assert Outer.model_validate_json(config.model_dump_json()) == config


def test_seeds_depend_on_every_argument() -> None:
    seeds = {
        derive_seed(0, "weights"),
        derive_seed(1, "weights"),
        derive_seed(0, "worlds"),
        derive_seed(0, "worlds", 0),
        derive_seed(0, "worlds", 0, 0),
        derive_seed(0, "worlds", 1, 0),
    }
    assert len(seeds) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)
