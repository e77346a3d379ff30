"""The powers of two that the compiled kernels use, against numpy's."""

import numpy as np

from metta.agent.lanes import WIDTH, exp2_nonpositive, kernel, load, store


@kernel
def powers(x, y):
    """y = 2^x."""
    for i in range(0, x.shape[0], WIDTH):
        store(y, i, exp2_nonpositive(load(x, i)))


def powers_of_two(x):
    """2^x for any number of non-positive numbers."""
    padded = np.zeros(-(-len(x) // WIDTH) * WIDTH, np.float32)
    padded[: len(x)] = x
    result = np.empty_like(padded)
    powers(padded, result)
    return result[: len(x)]


def test_powers_are_right_to_the_last_place_or_two():
    x = np.linspace(-125.0, 0.0, 400_001, dtype=np.float32)
    exact = np.exp2(x.astype(np.float64))
    assert np.abs(powers_of_two(x) / exact - 1).max() < 2e-7


def test_powers_of_whole_numbers_are_exact():
    x = -np.arange(126, dtype=np.float32)
    assert np.array_equal(powers_of_two(x), np.exp2(x))


def test_powers_stay_small_and_positive_far_below_and_nan_stays_nan():
    x = np.array([-125.5, -1e4, -1e30, -np.inf, np.nan], np.float32)
    result = powers_of_two(x)
    assert np.array_equal(result[:4], np.full(4, 2.0**-125, np.float32))
    assert np.isnan(result[4])
