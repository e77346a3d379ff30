"""Explained variance is measured on rewards alone."""

import pytest
import torch

from metta.rl.explained import explained_variance
from metta.rl.rollout import Segments

STREAMS, STEPS, GAMMA = 50, 4, 0.9


def segments(**changes):
    """Random rewards, no episode ends, values 0."""
    rewards = torch.rand(STREAMS, STEPS, generator=torch.Generator().manual_seed(0))
    none, nothing = torch.zeros(STREAMS, STEPS, dtype=torch.bool), torch.zeros(STREAMS, STEPS)
    parts = {
        "observations": torch.zeros(0),
        "resets": none,
        "actions": none.long(),
        "log_probs": nothing,
        "values": nothing,
        "rewards": rewards,
        "terminals": none,
        "truncations": none,
        "final_values": nothing,
        "next_values": torch.zeros(STREAMS),
        "state": (),
    }
    return Segments(**{**parts, **changes})


def plain_returns(rewards, ended):
    """Discounted rewards from the first step to the segment's or the episode's end."""
    totals = []
    for row, ends in zip(rewards.tolist(), ended.tolist(), strict=True):
        total = 0.0
        for t, (reward, end) in enumerate(zip(row, ends, strict=True)):
            total += GAMMA**t * reward
            if end:
                break
        totals.append(total)
    return torch.tensor(totals)


def test_values_that_say_nothing_explain_nothing_however_large_the_targets():
    assert float(explained_variance(segments(), GAMMA)) == pytest.approx(0.0, abs=1e-5)
    constant = segments(values=torch.full((STREAMS, STEPS), 7.0), next_values=torch.full((STREAMS,), 7.0))
    assert float(explained_variance(constant, GAMMA)) == pytest.approx(0.0, abs=1e-4)


def test_values_that_foretell_the_rewards_explain_all_of_them():
    given = segments()
    ended = torch.rand(STREAMS, STEPS, generator=torch.Generator().manual_seed(1)) < 0.2
    cut = ended & (torch.rand(STREAMS, STEPS, generator=torch.Generator().manual_seed(2)) < 0.5)
    after = torch.rand(STREAMS, generator=torch.Generator().manual_seed(3))
    final = torch.rand(STREAMS, STEPS, generator=torch.Generator().manual_seed(4)) * cut
    values = torch.zeros(STREAMS, STEPS)
    values[:, 0] = plain_returns(given.rewards, ended)
    for n in range(STREAMS):
        first = int(ended[n].nonzero()[0, 0]) if bool(ended[n].any()) else None
        values[n, 0] += GAMMA**STEPS * after[n] if first is None else GAMMA ** (first + 1) * final[n, first]
    knowing = segments(values=values, terminals=ended & ~cut, truncations=cut, final_values=final, next_values=after)
    assert float(explained_variance(knowing, GAMMA)) == pytest.approx(1.0, abs=1e-5)


def test_rewards_that_do_not_vary_have_nothing_to_explain():
    assert float(explained_variance(segments(rewards=torch.ones(STREAMS, STEPS)), GAMMA)) == 0.0
