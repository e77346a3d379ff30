"""Further seeds go to neighbours that are not told apart, in stages, up to the most; and looking often is paid for."""

import numpy as np
import pytest

from metta.analysis.sequential import further_seeds, next_stage
from metta.analysis.verdicts import judge


def test_neighbours_that_are_not_told_apart_get_seeds() -> None:
    values = {"low": [0.0, 0.1, 0.2], "one": [5.0, 5.3, 5.6], "two": [5.1, 5.2, 5.9], "high": [9.0, 9.1, 9.2]}
    assert further_seeds(values, 20) == {"one": 5, "two": 5}
    assert further_seeds(values, 4) == {"one": 4, "two": 4}
    assert further_seeds(values, 3) == {}


def test_who_has_the_most_stays_while_its_neighbour_goes_on() -> None:
    assert further_seeds({"a": [1.0, 1.1, 1.2, 1.0], "b": [1.0, 1.3]}, 4) == {"b": 3}


def test_one_architecture_or_a_single_seed() -> None:
    assert further_seeds({"a": [1.0, 2.0]}, 5) == {}
    assert further_seeds({"a": [1.0], "b": [9.0]}, 5) == {"a": 2, "b": 2}


def test_stages_end_at_the_most() -> None:
    stages = [3]
    while stages[-1] < 20:
        stages.append(next_stage(stages[-1], 20))
    assert stages == [3, 5, 8, 12, 18, 20]


@pytest.mark.parametrize("high", [0, 3])
def test_a_false_call_at_the_end_is_as_rare_as_promised(high: int) -> None:
    """Six equal architectures, some with four times the variance; 400 tables, so that 8 % would be chance."""
    generator = np.random.default_rng(high)
    false = 0
    for _ in range(400):
        scores = {str(place): generator.normal(0, 2 if place < high else 1, 12).tolist() for place in range(6)}
        counts = dict.fromkeys(scores, 3)
        while more := further_seeds({name: own[: counts[name]] for name, own in scores.items()}, 12):
            counts.update(more)
        end = {name: np.array(own[: counts[name]])[:, None] for name, own in scores.items()}
        false += any(verdict.better is not None for verdict in judge(end))
    assert false / 400 <= 0.08
