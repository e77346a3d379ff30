"""Ratings: exact where the answer is known, symmetric, and with intervals that cover in simulation."""

import math

import numpy as np
import pytest

from metta.analysis.ratings import SCALE, bradley_terry, ratings, shares

STRENGTHS = np.array([0.8, 0.1, -0.3, -0.6])


def expected_shares(strengths):
    return 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))


def test_strengths_that_made_the_shares_are_found_again():
    assert bradley_terry(expected_shares(STRENGTHS)) == pytest.approx(STRENGTHS, abs=1e-9)
    far_apart = np.array([6.0, 0.0, -6.0])
    assert bradley_terry(expected_shares(far_apart)) == pytest.approx(far_apart, abs=1e-6)


def test_ten_times_the_hearts_are_400_points():
    hearts = np.array([[[0.0, 999.5], [99.5, 0.0]]])
    first, second = ratings(hearts, seed=0)
    assert first.mean - second.mean == pytest.approx(400)
    assert first.low is None


def test_somebody_without_a_heart_has_a_rating():
    hearts = np.array([[[0.0, 10.0], [0.0, 0.0]], [[0.0, 12.0], [0.0, 0.0]]])
    found = ratings(hearts, seed=0)
    assert all(math.isfinite(end) for rating in found for end in rating[:3] if end is not None)


def test_equal_players_are_equal():
    found = ratings(np.full((3, 4, 4), 7.0), seed=1)
    assert [interval.mean for interval in found] == pytest.approx([0.0] * 4)


def test_the_interval_covers_in_simulation():
    """Shares around the model's, more spread than chance alone would have them, as in worlds that suit somebody."""
    generator = np.random.default_rng(0)
    probabilities, collected, spread = expected_shares(STRENGTHS), 60, 20
    truth = SCALE * STRENGTHS
    covered = []
    for trial in range(200):
        hearts = np.zeros((8, 4, 4))
        for i in range(4):
            for j in range(i):
                p = generator.beta(spread * probabilities[i, j], spread * (1 - probabilities[i, j]), 8)
                hearts[:, i, j] = generator.binomial(collected, p)
                hearts[:, j, i] = collected - hearts[:, i, j]
        found = ratings(hearts, seed=trial, number=400)
        covered += [one.low <= true <= one.high for one, true in zip(found, truth, strict=True)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)


def test_shares_add_up_to_one():
    hearts = np.random.default_rng(3).integers(0, 9, (2, 3, 3)).astype(float)
    found = shares(hearts)
    assert found + found.swapaxes(1, 2) == pytest.approx(np.ones((2, 3, 3)))
