"""The rank correlation: known values, and what has none."""

import pytest

from metta.analysis.ranks import rank_correlation


def test_known_values():
    assert rank_correlation([1, 2, 3], [10, 100, 1000]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert rank_correlation([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == pytest.approx(0.8)  # 1 - 6 * 4 / (5 * 24)
    assert rank_correlation([1, 1, 2], [1, 1, 3]) == pytest.approx(1)


def test_no_order_no_correlation():
    assert rank_correlation([1, 1], [1, 2]) is None
    assert rank_correlation([1], [1]) is None
