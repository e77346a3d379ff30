"""tanh in one pass is torch's tanh, forward and backward, at the edges too."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from metta.agent.tanh import Tanh


@given(arrays.arrays("float32", arrays.array_shapes(min_dims=0, max_dims=3), elements=st.floats(-100, 100, width=32)))
@settings(deadline=None)
def test_it_is_torchs(x) -> None:  # type: ignore[no-untyped-def]
    given = torch.from_numpy(x).clone().requires_grad_()
    plain = given.detach().clone().requires_grad_()
    torch.testing.assert_close(Tanh()(given), torch.tanh(plain), rtol=0, atol=3e-7)
    weights = torch.linspace(-1, 2, given.numel()).view(given.shape)
    (Tanh()(given) * weights).sum().backward()
    (torch.tanh(plain) * weights).sum().backward()
    torch.testing.assert_close(given.grad, plain.grad, rtol=0, atol=3e-6)


def test_edges() -> None:
    found = Tanh()(torch.tensor([math.inf, -math.inf, math.nan, 0.0])).tolist()
    assert found[:2] == [1.0, -1.0]
    assert math.isnan(found[2])
    assert found[3] == 0.0


def test_rows_that_do_not_lie_together() -> None:
    x = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Tanh()(x.t()), torch.tanh(x.t()), rtol=0, atol=3e-7)


def test_other_types_are_torchs_own() -> None:
    x = torch.linspace(-3, 3, 7, dtype=torch.float64, requires_grad=True)
    assert torch.equal(Tanh()(x), torch.tanh(x))
    assert torch.autograd.gradcheck(Tanh(), (x,))
