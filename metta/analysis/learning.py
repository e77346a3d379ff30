"""How fast a run learned: area under its learning curve, and steps until thresholds.

A learning curve is two arrays [K]: agent-steps, rising, and the value measured there.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Agent-steps [K] and values [K]."""


def check_curve(curve: Curve) -> Curve:
    """`curve` as two float64 arrays. Raises `ValueError` unless there is a point, all are finite, and steps rise."""
    steps, values = (np.asarray(part, dtype=np.float64) for part in curve)
    if steps.ndim != 1 or steps.shape != values.shape or steps.size == 0:
        raise ValueError("a learning curve is two arrays of the same length, at least 1")
    if not (np.isfinite(steps).all() and np.isfinite(values).all()) or (np.diff(steps) <= 0).any():
        raise ValueError("a learning curve is finite, and its steps rise")
    return steps, values


def area(curve: Curve) -> float:
    """Mean height of the curve between its first and its last point (trapezoids), in units of the values."""
    steps, values = check_curve(curve)
    if steps.size == 1:
        return float(values[0])
    return float(np.trapezoid(values, steps) / (steps[-1] - steps[0]))


def steps_to(curve: Curve, threshold: float) -> float | None:
    """Agent-steps until the curve, linear between its points, first reaches `threshold`; None if it never does."""
    steps, values = check_curve(curve)
    reached = np.flatnonzero(values >= threshold)
    if reached.size == 0:
        return None
    at = int(reached[0])
    if at == 0:
        return float(steps[0])
    share = (threshold - values[at - 1]) / (values[at] - values[at - 1])
    return float(steps[at - 1] + share * (steps[at] - steps[at - 1]))


def smoothed(curve: Curve, span: int) -> Curve:
    """Each value replaced by the mean of up to `span` points that end there, so that the future never leaks back."""
    steps, values = check_curve(curve)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(0, np.arange(1, values.size + 1) - max(1, span))
    last = np.arange(1, values.size + 1)
    return steps, (sums[last] - sums[first]) / (last - first)


def on_grid(curves: Sequence[Curve], points: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps [K] and values [S, K] of several curves on a common even grid over the steps that all of them cover.

    Raises `ValueError` when they have no steps in common.
    """
    checked = [check_curve(curve) for curve in curves]
    first, last = max(steps[0] for steps, _ in checked), min(steps[-1] for steps, _ in checked)
    if first > last:
        raise ValueError("the curves have no steps in common")
    grid = np.linspace(first, last, points if last > first else 1)
    return grid, np.stack([np.interp(grid, steps, values) for steps, values in checked])
