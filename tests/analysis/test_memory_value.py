"""What probes say of hearts: paired intervals, the share that is kept, the horizon."""

import numpy as np
import pytest

from metta.analysis.memory_value import difference, horizon, kept


def test_the_difference_is_paired_over_episodes():
    found = difference([1.0, 11.0, 21.0], [2.0, 12.0, 22.0])
    assert found[:3] == (-1.0, -1.0, -1.0)


def test_the_share_kept_is_a_ratio_of_means():
    found = kept([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    assert found[:3] == pytest.approx((0.5, 0.5, 0.5))
    assert kept([0.0, 0.0], [0.0, 0.0]) is None
    assert kept([1.0], [2.0])[:3] == (0.5, None, None)


def test_the_share_s_interval_covers_in_simulation():
    generator = np.random.default_rng(0)
    covered = []
    for _ in range(1000):
        untouched = generator.normal(10, 2, 8)
        found = kept(0.7 * untouched + generator.normal(0, 1, 8), untouched)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        covered.append(found.low <= 0.7 <= found.high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def test_the_horizon_is_where_all_larger_steps_keep_enough():
    untouched = [10.0, 10.0]
    emptied = {1: [2.0, 2.0], 2: [9.9, 9.9], 4: [9.0, 9.0], 8: [9.6, 9.6], 16: [10.0, 10.0]}
    assert horizon(emptied, untouched) == (8, 8, 8)
    assert horizon({1: [1.0, 1.0]}, untouched) == (None, None, None)
    assert horizon({1: [10.0, 10.0]}, untouched) == (1, 1, 1)
    assert horizon(emptied, [0.0, 0.0]) is None


def test_the_horizon_s_interval_comes_from_the_episodes():
    found = horizon({1: [5.0, 5.0, 5.0], 2: [10.0, 10.0, 8.5], 4: [10.0, 10.0, 10.0]}, [10.0, 10.0, 10.0])
    assert found == (2, 2, 4)
