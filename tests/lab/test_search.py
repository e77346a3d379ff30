"""Draws lie inside the declared space, depend on their own seed only, and cover it."""

import pytest

from metta.base.errors import InputError
from metta.lab.search import Choice, LogUniform, OneMinusLogUniform, draw, grid

RATE = LogUniform("rate", 1e-4, 1e-2)
DISCOUNT = OneMinusLogUniform("discount", 0.001, 0.1)
SHAPE = Choice(("streams", "steps"), [(120, 32), (240, 16), (480, 8)])


def test_a_logarithm_is_uniform() -> None:
    assert RATE.at(0.0) == {"rate": 1e-4}
    assert RATE.at(0.5) == {"rate": pytest.approx(1e-3)}
    assert RATE.at(1.0) == {"rate": pytest.approx(1e-2)}
    assert RATE.at(0.3217)["rate"] == float(f"{RATE.at(0.3217)['rate']:.3g}")


def test_the_distance_from_one_is_log_uniform() -> None:
    assert DISCOUNT.at(0.0) == {"discount": 0.999}
    assert DISCOUNT.at(0.5) == {"discount": 0.99}
    assert DISCOUNT.at(1.0) == {"discount": 0.9}
    assert DISCOUNT.at(0.1) == {"discount": 0.99842}


def test_keys_that_belong_together_are_drawn_together() -> None:
    rows = {tuple(SHAPE.at(place / 100).values()) for place in range(100)}
    assert rows == set(SHAPE.options)


def test_every_option_is_drawn_and_numbers_spread() -> None:
    drawn = [draw((RATE, DISCOUNT, SHAPE), 5, trial) for trial in range(200)]
    assert {(settings["streams"], settings["steps"]) for settings in drawn} == set(SHAPE.options)
    low = sum(settings["rate"] < 1e-3 for settings in drawn)
    assert 70 < low < 130
    assert all(1e-4 <= settings["rate"] <= 1e-2 and 0.9 <= settings["discount"] <= 0.999 for settings in drawn)


def test_a_draw_depends_on_seed_trial_and_dimension_alone() -> None:
    wide, narrow = draw((RATE, DISCOUNT, SHAPE), 5, 3), draw((DISCOUNT,), 5, 3)
    assert wide["discount"] == narrow["discount"]
    assert wide == draw((RATE, DISCOUNT, SHAPE), 5, 3)
    assert wide["rate"] != draw((RATE,), 6, 3)["rate"]
    assert wide["rate"] != draw((RATE,), 5, 4)["rate"]


def test_a_grid_holds_every_combination_once() -> None:
    assert grid(["rate=0.001,2", "clip=true,false"]) == [
        {"rate": 0.001, "clip": True},
        {"rate": 0.001, "clip": False},
        {"rate": 2, "clip": True},
        {"rate": 2, "clip": False},
    ]


@pytest.mark.parametrize("texts", [["rate"], ["=1"], ["rate="], ["rate=1,a"], ["rate=1,1"], ["rate=1", "rate=2"]])
def test_a_grid_that_is_none_is_refused(texts: list[str]) -> None:
    with pytest.raises(InputError, match="is not KEY=A,B with a new key"):
        grid(texts)
