"""The published library computes the same; it comes with `uv run --group yardstick pytest tests/analysis`."""

import numpy as np
import pytest

from metta.analysis.aggregates import interquartile_mean, mean, median, optimality_gap
from metta.analysis.bootstrap import bootstrap_interval
from metta.analysis.comparison import improvement, profile, profile_band
from tests.analysis.scores import random_matrix

REASON = "rliable is not installed (uv run --group yardstick pytest tests/analysis/test_rliable.py)"
library = pytest.importorskip("rliable.library", reason=REASON)
metrics = pytest.importorskip("rliable.metrics", reason=REASON)

A, B = random_matrix(0, seeds=5), random_matrix(1, seeds=4, shift=0.05)
NUMBER = 4000


def test_point_estimates() -> None:
    assert float(interquartile_mean(A)) == pytest.approx(metrics.aggregate_iqm(A), abs=1e-12)
    assert float(mean(A)) == pytest.approx(metrics.aggregate_mean(A), abs=1e-12)
    assert float(median(A)) == pytest.approx(metrics.aggregate_median(A), abs=1e-12)
    assert float(optimality_gap(A)) == pytest.approx(metrics.aggregate_optimality_gap(A, 1.0), abs=1e-12)
    assert improvement(A, B, seed=0, number=10).mean == pytest.approx(metrics.probability_of_improvement(A, B))


def test_profiles() -> None:
    thresholds = np.linspace(0, 1, 21)
    theirs, bands = library.create_performance_profile({"a": A}, thresholds, reps=NUMBER)
    own, band = profile_band(A, thresholds, seed=0, number=NUMBER)
    assert own.tolist() == pytest.approx(theirs["a"].tolist(), abs=1e-12)
    assert own.tolist() == profile(A, thresholds).tolist()
    assert band == pytest.approx(bands["a"], abs=0.041)  # one run of 25 more or less at a percentile


def test_intervals_within_bootstrap_error() -> None:
    for statistic, name in (
        (interquartile_mean, "aggregate_iqm"),
        (mean, "aggregate_mean"),
        (median, "aggregate_median"),
    ):
        published = getattr(metrics, name)
        _, ends = library.get_interval_estimates({"a": A}, lambda x: np.array([published(x)]), reps=NUMBER)  # noqa: B023
        _, low, high = bootstrap_interval(A, statistic, seed=0, number=NUMBER)
        width = float(ends["a"][1, 0] - ends["a"][0, 0])
        assert [low, high] == pytest.approx(ends["a"][:, 0].tolist(), abs=0.06 * width), name


def test_probability_of_improvement_within_bootstrap_error() -> None:
    def published(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.array([metrics.probability_of_improvement(x, y)])

    _, ends = library.get_interval_estimates({"p": (A, B)}, published, reps=300)
    _, low, high = improvement(A, B, seed=0, number=NUMBER)
    assert [low, high] == pytest.approx(ends["p"][:, 0].tolist(), abs=0.05)
