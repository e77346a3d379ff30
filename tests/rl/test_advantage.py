"""Advantages against the definition, written as plain loops over one stream."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metta.rl.advantage import generalised_advantages


def plain_advantages(rewards, values, terminals, truncations, final_values, next_value, gamma, lam):
    """Sum over k of (gamma lambda)^k delta_{t+k}, up to the end of the episode: the formula itself."""
    steps = len(rewards)
    advantages = []
    for start in range(steps):
        total, weight = 0.0, 1.0
        for t in range(start, steps):
            if terminals[t]:
                following = 0.0
            elif truncations[t]:
                following = final_values[t]
            else:
                following = values[t + 1] if t + 1 < steps else next_value
            total += weight * (rewards[t] + gamma * following - values[t])
            weight *= gamma * lam
            if terminals[t] or truncations[t]:
                break
        advantages.append(total)
    return advantages


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), streams=st.integers(1, 4), steps=st.integers(1, 12))
def test_equals_the_definition(seed, streams, steps):
    rng = np.random.default_rng(seed)
    rewards, values, final_values = (rng.normal(size=(streams, steps)) for _ in range(3))
    ends = rng.integers(0, 4, size=(streams, steps))
    terminals, truncations = ends == 1, ends == 2
    following = rng.normal(size=streams)
    tensors = [torch.tensor(a) for a in (rewards, values, terminals, truncations, final_values, following)]
    advantages, returns = generalised_advantages(*tensors, gamma=0.9, gae_lambda=0.8)
    for n in range(streams):
        expected = plain_advantages(
            rewards[n], values[n], terminals[n], truncations[n], final_values[n], following[n], 0.9, 0.8
        )
        np.testing.assert_allclose(advantages[n].numpy(), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(returns.numpy(), advantages.numpy() + values, rtol=1e-12)


def test_a_terminal_needs_no_value_and_a_truncation_uses_the_final_one():
    zero = torch.zeros(1, 1)
    no, yes = torch.zeros(1, 1, dtype=torch.bool), torch.ones(1, 1, dtype=torch.bool)
    arguments = {"gamma": 0.5, "gae_lambda": 1.0}
    terminal, _ = generalised_advantages(zero, zero, yes, no, zero + 8, torch.tensor([4.0]), **arguments)
    truncated, _ = generalised_advantages(zero, zero, no, yes, zero + 8, torch.tensor([4.0]), **arguments)
    running, _ = generalised_advantages(zero, zero, no, no, zero + 8, torch.tensor([4.0]), **arguments)
    assert (terminal.item(), truncated.item(), running.item()) == (0.0, 4.0, 2.0)
