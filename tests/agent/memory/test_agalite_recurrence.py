"""AGaLiTe's compiled recurrence against its parallel scan, the scan against a loop, and cosines at large ticks."""

import math

import pytest
import torch

from metta.agent.memory.agalite_recurrence import cosines_at, distinct_frequencies, recurrence, scanned_recurrence
from metta.agent.memory.scan import linear_scan
from tests.agent.memory.cases import close


def test_scan_is_the_recurrence():
    torch.manual_seed(0)
    for T in (1, 2, 3, 8, 13):
        decay, inputs, h = (
            torch.rand(*shape, dtype=torch.float64) for shape in ((2, T, 1, 4), (2, T, 3, 4), (2, 3, 4))
        )
        found = linear_scan(decay, inputs, h)
        for t in range(T):
            h = decay[:, t] * h + inputs[:, t]
            close(found[:, t], h, 1e-12)


@pytest.mark.parametrize("r", [2, 3, 5])
def test_kernels_equal_the_scan(r):
    torch.manual_seed(r)
    B, T, H, d, E = 3, 11, 2, 5, 3
    F = len(distinct_frequencies(r)[0])
    keep = (torch.rand(B, T) > 0.2).double()
    cosines = cosines_at(torch.randint(1, 2000, (B, T)), r, torch.float64)
    inputs = [
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in ((B, T, H, 5 * d), (B, T, H, 3 * E), (B, H, F + 1, E * d), (B, H, F, d))
    ]
    with torch.no_grad():
        inputs[2].abs_()
    results = []
    for function in (
        lambda: recurrence(*inputs[:2], cosines, keep, r, tuple(inputs[2:])),
        lambda: scanned_recurrence(*inputs[:2], cosines, keep, r, *inputs[2:]),
    ):
        out, (keys, values) = function()
        loss = (out * torch.arange(out.numel()).view_as(out)).sum() + keys.square().sum() + values.square().sum()
        results.append([out, keys, values, *torch.autograd.grad(loss, inputs)])
    for found, target in zip(*results, strict=True):
        close(found, target, 1e-9)


@pytest.mark.parametrize("r", [2, 3, 7])
def test_cosines_do_not_drift(r):
    ticks = torch.tensor([[1, 2, 3, 999, 10**6 + 1, 10**9 + 7]])
    n = r - 1
    multiples, counts = distinct_frequencies(r)
    assert sum(counts) == r
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6), (torch.bfloat16, 1e-2)):
        found = cosines_at(ticks, r, dtype)
        for i in range(len(multiples)):
            target = [math.cos(math.pi * (((2 * i - n) * int(t)) % (2 * n)) / n) for t in ticks[0]]
            close(found[0, :, i].double(), torch.tensor(target, dtype=torch.float64), tolerance)
