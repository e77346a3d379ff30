"""The windowed context and the positions against plain loops."""

import torch

from metta.agent.memory.sinusoid import sinusoid
from metta.agent.memory.window import context_of, outside_window, steps_in_episode
from tests.agent.memory.cases import close
from tests.reference import textbook


def test_blocks_and_validity():
    generator = torch.Generator().manual_seed(0)
    for M, T, block in ((3, 1, 32), (4, 11, 4), (2, 9, 32), (5, 3, 2)):
        valid = torch.arange(M) >= torch.tensor([[0], [M], [1], [M - 1]])
        resets = torch.rand(4, T, generator=generator) < 0.2
        context = context_of(valid, resets, block)
        seen = torch.zeros(4, T, M + T, dtype=torch.bool)
        for part in context.blocks:
            hidden = outside_window(part, M, torch.device("cpu"))
            if part.forbidden is not None:
                hidden = hidden | part.forbidden[:, 0]
            seen[:, part.queries, part.slots] = ~hidden
        for b in range(4):
            for t in range(T):
                first = max([s for s in range(t + 1) if resets[b, s]], default=None)
                for j in range(M + T):
                    step = j - M
                    known = step >= 0 or bool(valid[b, j])
                    same = step >= first if first is not None else known
                    assert bool(seen[b, t, j]) == (same and t - M <= step <= t)
            last = max([s for s in range(T) if resets[b, s]], default=None)
            for slot in range(M):
                step = T - M + slot
                still = step >= last if last is not None else step >= 0 or bool(valid[b, step + M])
                assert bool(context.valid[b, slot]) == still


def test_steps_in_episode():
    resets = torch.tensor([[0, 0, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]]).bool()
    found = steps_in_episode(torch.tensor([4, 0, 9]), resets)
    assert found.tolist() == [[4, 5, 0, 1, 2, 0], [0, 1, 2, 3, 4, 5], [0, 0, 1, 2, 3, 4]]


def test_sinusoid():
    positions = torch.tensor([0, 1, 32, 1000])
    target = torch.stack([textbook.sinusoid(int(n), 10) for n in positions])
    close(sinusoid(positions, 10, torch.float64), target, 1e-12)
    close(sinusoid(positions, 10, torch.float32).double(), target, 2e-4)
