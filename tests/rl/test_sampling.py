"""Action sampling: right frequencies, right log-probabilities, and randomness that depends on its arguments only."""

import numpy as np
import torch

from metta.rl.sampling import permutation, sample_actions, uniforms


def test_frequencies_and_log_probabilities():
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0])
    count = 20_000
    grid = (torch.arange(count) + 0.5) / count
    actions, log_probs = sample_actions(logits.expand(count, 4), grid)
    expected = torch.softmax(logits, -1)
    np.testing.assert_allclose(torch.bincount(actions, minlength=4) / count, expected, atol=2 / count)
    np.testing.assert_allclose(log_probs.exp(), expected[actions], rtol=1e-5)


def test_impossible_actions_are_never_drawn():
    logits = torch.tensor([[float("-inf"), 0.0, float("-inf")]]).expand(3, 3)
    actions, _ = sample_actions(logits, torch.tensor([0.0, 0.5, 1 - 2**-24]))
    assert actions.tolist() == [1, 1, 1]


def test_uniforms_and_permutations_are_functions_of_their_arguments():
    first = uniforms(3, "sampling", 7, (4, 5))
    assert torch.equal(first, uniforms(3, "sampling", 7, (4, 5)))
    for other in (uniforms(4, "sampling", 7, (4, 5)), uniforms(3, "x", 7, (4, 5)), uniforms(3, "sampling", 8, (4, 5))):
        assert not torch.equal(first, other)
    assert 0 <= float(first.min()) <= float(first.max()) < 1
    order = permutation(1, "minibatches", 0, 10)
    assert sorted(order.tolist()) == list(range(10))
    assert torch.equal(order, permutation(1, "minibatches", 0, 10))
    assert not torch.equal(order, permutation(2, "minibatches", 0, 10))
