"""The PPO loss against a plain-Python twin, and how shares of a minibatch add up."""

import math

import numpy as np
import torch

from metta.rl.config import TrainerConfig
from metta.rl.losses import Targets, ppo_loss

ENTROPY_WEIGHT = 0.03
LOG_PRIOR = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()


def example(seed=0, streams=6, steps=5, actions=4):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float32)

    logits = normal(streams, steps, actions)
    old_logits = logits + 0.3 * normal(streams, steps, actions)
    chosen = torch.randint(actions, (streams, steps), generator=generator)
    old = torch.log_softmax(old_logits, -1).gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
    targets = Targets(chosen, old, normal(streams, steps), normal(streams, steps), normal(streams, steps))
    return logits, normal(streams, steps), targets


def plain_loss(logits, values, targets, config):
    """Sums over single agent-steps, straight from the paper."""
    total, count = 0.0, 0
    for n in range(logits.shape[0]):
        for t in range(logits.shape[1]):
            scores = [float(x) for x in logits[n, t]]
            norm = math.log(sum(math.exp(x) for x in scores))
            log_probs = [x - norm for x in scores]
            ratio = math.exp(log_probs[int(targets.actions[n, t])] - float(targets.log_probs[n, t]))
            advantage = float(targets.advantages[n, t])
            clipped = min(max(ratio, 1 - config.clip), 1 + config.clip)
            policy = -min(ratio * advantage, clipped * advantage)
            value, old, goal = (float(x[n, t]) for x in (values, targets.values, targets.returns))
            error = (value - goal) ** 2
            if config.value_clip:
                near = old + min(max(value - old, -config.value_clip), config.value_clip)
                error = max(error, (near - goal) ** 2)
            distance = sum(math.exp(x) * (x - float(p)) for x, p in zip(log_probs, LOG_PRIOR, strict=True))
            total += policy + config.value_weight * 0.5 * error + ENTROPY_WEIGHT * distance
            count += 1
    return total / count


def test_equals_the_plain_twin_with_and_without_value_clipping():
    logits, values, targets = example()
    for value_clip in (0.1, 0.0):
        config = TrainerConfig(value_clip=value_clip)
        loss = ppo_loss(logits, values, targets, values.numel(), config, ENTROPY_WEIGHT, LOG_PRIOR)
        np.testing.assert_allclose(float(loss.total), plain_loss(logits, values, targets, config), rtol=1e-5)


def test_shares_add_up_to_the_minibatch():
    logits, values, targets = example()
    config = TrainerConfig()
    whole = ppo_loss(logits, values, targets, values.numel(), config, ENTROPY_WEIGHT, LOG_PRIOR)
    shares = [
        ppo_loss(
            logits[part],
            values[part],
            Targets(*(x[part] for x in targets)),
            values.numel(),
            config,
            ENTROPY_WEIGHT,
            LOG_PRIOR,
        )
        for part in (slice(0, 2), slice(2, 6))
    ]
    np.testing.assert_allclose(float(whole.total), sum(float(share.total) for share in shares), rtol=1e-6)
    for name, value in whole.parts.items():
        np.testing.assert_allclose(float(value), sum(float(s.parts[name]) for s in shares), rtol=1e-5, atol=1e-7)


def test_the_ratio_is_one_for_the_acting_policy():
    logits, values, targets = example()
    own = torch.log_softmax(logits, -1).gather(-1, targets.actions.unsqueeze(-1)).squeeze(-1)
    loss = ppo_loss(
        logits, values, targets._replace(log_probs=own), values.numel(), TrainerConfig(), ENTROPY_WEIGHT, LOG_PRIOR
    )
    assert float(loss.ratio_deviation) == 0.0
    assert float(loss.parts["loss/kl"]) == 0.0
    assert float(loss.parts["loss/clip_fraction"]) == 0.0


def test_the_bonus_is_highest_at_the_prior_and_the_entropy_is_reported():
    logits, values, targets = example()
    at_prior = LOG_PRIOR.expand_as(logits).contiguous()
    for given, distance in ((at_prior, 0.0), (torch.zeros_like(logits), float(-(LOG_PRIOR.mean() + math.log(4))))):
        parts = ppo_loss(given, values, targets, values.numel(), TrainerConfig(), ENTROPY_WEIGHT, LOG_PRIOR).parts
        np.testing.assert_allclose(float(parts["loss/prior_kl"]), distance, atol=1e-6)
        probabilities = given[0, 0].softmax(-1)
        entropy = -float((probabilities * probabilities.log()).sum())
        np.testing.assert_allclose(float(parts["loss/entropy"]), entropy, rtol=1e-5)
