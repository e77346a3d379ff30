"""Observations for the tests of the perceptions, with everything that an environment may write."""

import numpy as np
import torch

from metta.agent.spec import arena_spec
from metta.agent.synthetic import synthetic_observations

SPEC = arena_spec()


def odd_observations(count=24):
    """Synthetic observations; among them an empty one, ones with few tokens, and tokens that do not count."""
    observations = torch.from_numpy(synthetic_observations(SPEC, max(count, 7), seed=11))
    observations[1] = 255
    observations[2, 3:] = 255
    observations[3, 2] = torch.tensor([0xBB, 3, 7], dtype=torch.uint8)  # row and column 11, outside the window
    observations[3, 4] = torch.tensor([0x50, 27, 7], dtype=torch.uint8)  # the first unknown feature id
    observations[4, 1] = torch.tensor([255, 255, 255], dtype=torch.uint8)  # padding between tokens
    observations[5, 0] = torch.tensor([0, 26, 255], dtype=torch.uint8)  # the corner, the last feature, value 255
    observations[6, 0] = torch.tensor([0xAA, 0, 0], dtype=torch.uint8)  # the other corner, value 0
    return observations[:count]


def without(observations, counts):
    """The observations with every token for which `counts` is false removed, the rest moved up."""
    result = np.full_like(observations.numpy(), 255)
    for n, (rows, keep) in enumerate(zip(observations.numpy(), counts, strict=True)):
        result[n, : keep.sum()] = rows[keep]
    return torch.from_numpy(result)


def that_count(observations):
    """Which tokens count, bool [n, M]."""
    location, feature = observations[..., 0].numpy(), observations[..., 1].numpy()
    return (feature < SPEC.num_features) & (location >> 4 < SPEC.obs_height) & (location & 15 < SPEC.obs_width)


def gradients(module, observations, dtype=torch.float32):
    """Outputs and the gradients of a fixed weighted sum of them, by parameter name."""
    module.zero_grad()
    output = module(observations)
    weights = torch.linspace(-1.0, 1.0, output.numel(), dtype=dtype).view_as(output)
    (output * weights).sum().backward()
    return output.detach(), {name: parameter.grad.clone() for name, parameter in module.named_parameters()}


def assert_close(found, expected, tolerance):
    """Outputs relative to max(1, |target|), gradients relative to the largest entry of each."""
    assert ((found[0] - expected[0]).abs() / expected[0].abs().clamp(min=1.0)).max() < tolerance
    for name, gradient in expected[1].items():
        assert gradient.abs().max() > 0, name
        assert (found[1][name] - gradient).abs().max() / gradient.abs().max() < 20 * tolerance, name
