"""Acting latency: the best of several rounds, and marked where even that one had to share its processor."""

import numpy as np
import pytest

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.rl.latency import BUSY_SHARE, ROUNDS, TIMED_STEPS, Round, acting_latency, best_of
from metta.rl.specs import spec_of
from tests.rl.small_run import SIM


def test_the_best_round_counts_and_is_marked_where_the_machine_was_busy():
    slow, quick = np.full(10, 0.004), np.array([0.001] * 9 + [0.011])
    found = best_of([Round(slow, 0.6), Round(quick, 0.0), Round(slow, 0.0)])
    assert found == {
        "median_milliseconds": 1.0,
        "percentile_90_milliseconds": pytest.approx(2.0),
        "steps": 10,
        "rounds": 3,
        "busy": False,
    }
    assert best_of([Round(slow, 0.0), Round(quick, 2 * BUSY_SHARE)])["busy"]


def test_a_policy_is_measured():
    policy = ARCHITECTURES["fast"].build(spec_of(SIM), seed=1)
    found = acting_latency(policy, SIM, EvaluationConfig(worlds=1), SystemConfig(device="cpu"))
    assert 0 < found["median_milliseconds"] <= found["percentile_90_milliseconds"]
    assert (found["steps"], found["rounds"], found["device"]) == (TIMED_STEPS, ROUNDS, "cpu")
    assert isinstance(found["busy"], bool)
