"""Random (seed x level) matrices for the tests of metta.analysis."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def random_matrix(seed: int, seeds: int = 3, levels: int = 5, shift: float = 0.0) -> Matrix:
    """[seeds, levels] scores around `shift`; levels differ."""
    generator = np.random.default_rng(seed)
    return generator.normal(shift, 0.1, (seeds, levels)) + generator.normal(0.5, 0.2, levels)


@st.composite
def matrices(draw: st.DrawFn, levels: int | None = None, gaps: bool = False) -> Matrix:
    """Matrices of up to 5 seeds and 4 levels, with equal values often, and gaps if wanted."""
    shape = draw(st.integers(1, 5)), levels or draw(st.integers(1, 4))
    values = st.one_of(st.sampled_from([0.0, 0.25, 1.0]), st.floats(-2, 2, width=32))
    flat = draw(st.lists(values, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    matrix = np.array(flat, dtype=np.float64).reshape(shape)
    if gaps:
        for level in range(shape[1]):
            matrix[draw(st.integers(1, shape[0])) :, level] = np.nan
    return matrix
