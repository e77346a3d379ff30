"""Effects of crossed factors: those of an analysis of variance, with intervals and tests that keep their promise."""

import numpy as np
import pytest
from scipy import stats

from metta.analysis.factorial import Cells, effects_text, interaction, main_effect, main_verdicts

ROWS, COLUMNS = ("cnn", "perceiver"), ("none", "lstm", "gtrxl")
ADDITIVE = np.array([[1.0, 2.0, 6.0], [2.0, 3.0, 7.0]])


def drawn(means: np.ndarray, seeds: int, generator: np.random.Generator) -> Cells:
    return {
        (row, column): list(means[i, j] + generator.standard_normal(seeds))
        for i, row in enumerate(ROWS)
        for j, column in enumerate(COLUMNS)
    }


def test_it_is_the_analysis_of_variance() -> None:
    """The sums of squares of a balanced table, added up by hand."""
    cells = drawn(ADDITIVE, 4, np.random.default_rng(0))
    values = np.array([[cells[row, column] for column in COLUMNS] for row in ROWS])
    means = values.mean(axis=2)
    rest = means - means.mean(axis=1, keepdims=True) - means.mean(axis=0) + means.mean()
    within = ((values - means[..., None]) ** 2).sum()
    degrees = values.size - means.size
    test = 4 * (rest**2).sum() / 2 / (within / degrees)
    found = interaction(cells)
    assert found.p == pytest.approx(stats.f.sf(test, 2, degrees))
    assert [each.mean for each in found.cells.values()] == pytest.approx(rest.ravel().tolist())
    # The variance of a cell's interaction is that of its mean times the share of the table that both factors leave.
    half = stats.t.ppf(0.975, degrees) * np.sqrt(within / degrees / 4 * (1 / 2) * (2 / 3))
    assert [each.high - each.mean for each in found.cells.values() if each.high is not None] == pytest.approx(
        [half] * 6
    )
    assert {name: each.mean for name, each in main_effect(cells, 0).items()} == pytest.approx(
        dict(zip(ROWS, means.mean(axis=1), strict=True))
    )
    assert {name: each.mean for name, each in main_effect(cells, 1).items()} == pytest.approx(
        dict(zip(COLUMNS, means.mean(axis=0), strict=True))
    )


def test_effects_that_add_up_leave_nothing() -> None:
    cells = {(r, c): [ADDITIVE[i, j]] * 2 for i, r in enumerate(ROWS) for j, c in enumerate(COLUMNS)}
    found = interaction(cells)
    assert [each.mean for each in found.cells.values()] == pytest.approx([0.0] * 6)
    assert found.p is None  # seeds that do not vary give nothing to judge by


@pytest.mark.parametrize("uneven", [False, True])
def test_promises_are_kept_in_simulation(uneven: bool) -> None:
    generator = np.random.default_rng(1)
    tables, refused, covered, called = 2000, 0, 0, 0
    for _ in range(tables):
        cells = dict(drawn(ADDITIVE, 3, generator))
        if uneven:
            cells["cnn", "none"] = [*cells["cnn", "none"], *generator.standard_normal(4)]
        found = interaction(cells)
        assert found.p is not None
        refused += found.p < 0.05
        ends = found.cells["cnn", "none"]
        assert ends.low is not None
        assert ends.high is not None
        covered += ends.low <= 0 <= ends.high
    for _ in range(300):
        verdicts = main_verdicts(drawn(np.zeros((2, 3)), 3, generator), 1)
        called += any(verdict.better for verdict in verdicts)
    assert refused / tables == pytest.approx(0.05, abs=0.02)
    assert covered / tables == pytest.approx(0.95, abs=0.02)
    assert called / 300 <= 0.08


def test_a_large_effect_is_found_and_said() -> None:
    cells = drawn(10 * ADDITIVE, 3, np.random.default_rng(2))
    text = effects_text("level_1_basic, basic: hearts per agent", ("perception", "memory"), cells)
    assert "3 of 3 pairs are told apart" in text
    assert "gtrxl is better than none" in text
    assert "perceiver is better than cnn" in text
    narrow = effects_text("hearts", ("perception", "memory"), cells, 80)
    assert max(map(len, narrow.splitlines())) <= 80


def test_a_single_seed_has_means_alone() -> None:
    found = interaction(drawn(ADDITIVE, 1, np.random.default_rng(3)))
    assert found.p is None
    assert all(each.low is None for each in found.cells.values())


def test_missing_cells_are_named() -> None:
    cells = {**drawn(ADDITIVE, 2, np.random.default_rng(4)), ("cnn", "lstm"): []}
    assert "missing: cnn with lstm." in effects_text("hearts", ("perception", "memory"), cells)
    with pytest.raises(ValueError, match="cnn with lstm"):
        interaction(cells)


def test_equal_seeds_cannot_be_tested() -> None:
    """Whatever rounding leaves of their variance."""
    cells = {("a", "x"): [0.1] * 3, ("a", "y"): [0.2] * 3, ("b", "x"): [0.7] * 3, ("b", "y"): [0.3] * 3}
    assert interaction(cells).p is None
