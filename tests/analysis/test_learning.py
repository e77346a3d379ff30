"""Learning curves: area and steps to thresholds, against plain twins and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta.analysis.learning import Curve, area, on_grid, smoothed, steps_to


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    """Up to 8 points."""
    count = draw(st.integers(1, 8))
    gaps = draw(st.lists(st.integers(1, 100), min_size=count, max_size=count))
    values = draw(st.lists(st.floats(-5, 5, width=32), min_size=count, max_size=count))
    return np.cumsum(gaps).astype(np.float64), np.array(values, dtype=np.float64)


@given(curves())
def test_area_is_the_fine_sum(curve: Curve) -> None:
    steps, values = curve
    fine = np.linspace(steps[0], steps[-1], 20_001)
    assert area(curve) == pytest.approx(float(np.interp(fine, steps, values).mean()), abs=5e-3)
    assert values.min() - 1e-9 <= area(curve) <= values.max() + 1e-9


@given(curves(), st.floats(-5, 5))
def test_the_threshold_is_met_there_and_not_before(curve: Curve, threshold: float) -> None:
    steps, values = curve
    found = steps_to(curve, threshold)
    if found is None:
        assert (values < threshold).all()
        return
    assert float(np.interp(found, steps, values)) >= threshold - 1e-6
    assert (values[steps < found - 1e-9] < threshold).all()


def test_by_hand() -> None:
    curve = np.array([0.0, 10.0, 20.0]), np.array([0.0, 1.0, 1.0])
    assert area(curve) == 0.75
    assert steps_to(curve, 0.5) == 5.0
    assert steps_to(curve, 0.0) == 0.0
    assert steps_to(curve, 1.1) is None
    assert smoothed(curve, 2)[1].tolist() == [0.0, 0.5, 1.0]


@given(curves(), st.integers(1, 10))
def test_smoothing_is_the_plain_running_mean(curve: Curve, span: int) -> None:
    values = curve[1].tolist()
    plain = [
        sum(values[max(0, i - span + 1) : i + 1]) / len(values[max(0, i - span + 1) : i + 1])
        for i in range(len(values))
    ]
    assert smoothed(curve, span)[1].tolist() == pytest.approx(plain, abs=1e-9)


def test_common_grid() -> None:
    grid, values = on_grid(
        [(np.array([0.0, 10.0]), np.array([0.0, 10.0])), (np.array([5.0, 20.0]), np.array([1.0, 1.0]))], 3
    )
    assert grid.tolist() == [5.0, 7.5, 10.0]
    assert values.tolist() == [[5.0, 7.5, 10.0], [1.0, 1.0, 1.0]]
    with pytest.raises(ValueError, match="no steps in common"):
        on_grid([(np.array([0.0]), np.array([0.0])), (np.array([5.0]), np.array([1.0]))], 3)


@pytest.mark.parametrize("curve", [([], []), ([1.0, 1.0], [0.0, 0.0]), ([1.0], [float("nan")]), ([1.0], [1.0, 2.0])])
def test_what_is_no_curve(curve: Curve) -> None:
    with pytest.raises(ValueError, match="learning curve"):
        area(curve)
