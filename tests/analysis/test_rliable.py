"""The published library computes the same; it comes with `uv run --group yardstick pytest tests/analysis`."""

import numpy as np
import pytest

from metta.analysis.aggregates import interquartile_mean, median
from metta.analysis.comparison import improvement, profile
from tests.analysis.scores import random_matrix

REASON = "rliable is not installed (uv run --group yardstick pytest tests/analysis/test_rliable.py)"
library = pytest.importorskip("rliable.library", reason=REASON)
metrics = pytest.importorskip("rliable.metrics", reason=REASON)

A, B = random_matrix(0, seeds=5), random_matrix(1, seeds=4, shift=0.05)


def test_point_estimates() -> None:
    assert interquartile_mean(A) == pytest.approx(metrics.aggregate_iqm(A), abs=1e-12)
    assert median(A) == pytest.approx(metrics.aggregate_median(A), abs=1e-12)
    assert improvement(A, B) == pytest.approx(metrics.probability_of_improvement(A, B))


def test_profiles() -> None:
    thresholds = np.linspace(0, 1, 21)
    theirs, _ = library.create_performance_profile({"a": A}, thresholds, reps=10)
    assert profile(A, thresholds).tolist() == pytest.approx(theirs["a"].tolist(), abs=1e-12)
