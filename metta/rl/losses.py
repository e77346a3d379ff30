"""The loss of PPO as a pure function of what was collected and what the policy says now.

Axes: B streams of the minibatch (or of one thread's share of it), T steps.
Source: Schulman et al. 2017, "Proximal Policy Optimization Algorithms", eq. 7 and 9; the clipped value loss is the one
of OpenAI's baselines, described in Huang et al. 2022, "The 37 Implementation Details of PPO", detail 9.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from metta.rl.config import TrainerConfig


class Targets(NamedTuple):
    """What the update learns from; every tensor is [B, T]."""

    actions: Tensor
    """int64, the action taken."""
    log_probs: Tensor
    """float32, its log-probability under the acting policy."""
    values: Tensor
    """float32, the acting policy's value."""
    advantages: Tensor
    """float32, already normalised where that is asked for."""
    returns: Tensor
    """float32, the value target."""


class Loss(NamedTuple):
    """A minibatch's share of the loss; totals and parts of the shares add up to the minibatch's means."""

    total: Tensor
    """Scalar with gradient."""
    parts: dict[str, Tensor]
    """Scalars without gradient, by metric name."""
    ratio_deviation: Tensor
    """Largest |probability ratio - 1|; 0 up to rounding before the first step of an update."""


def ppo_loss(
    logits_BTC: Tensor,
    values_BT: Tensor,
    targets: Targets,
    count: int,
    config: TrainerConfig,
    entropy_weight: float | Tensor,
    log_prior_C: Tensor,
) -> Loss:
    """The PPO loss, summed over [B, T] and divided by `count`.

    `count` is the number of agent-steps in the whole minibatch, so that the losses of its shares add up to its mean.

    Args:
        logits_BTC: float32 [B, T, actions] of the current policy.
        values_BT: float32 [B, T] of the current policy.
        targets: what was collected, [B, T] each.
        count: agent-steps of the whole minibatch.
        config: clip ranges and the value loss's weight.
        entropy_weight: what the distance from the prior weighs now; a tensor is float32, a scalar.
        log_prior_C: float32 [actions], log-probabilities that the policy is drawn to.
    """
    log_probs_BTC = torch.log_softmax(logits_BTC.float(), dim=-1)
    log_probs_BT = log_probs_BTC.gather(-1, targets.actions.unsqueeze(-1)).squeeze(-1)
    log_ratio_BT = log_probs_BT - targets.log_probs
    ratio_BT = log_ratio_BT.exp()
    clipped_ratio_BT = ratio_BT.clamp(1 - config.clip, 1 + config.clip)
    policy_loss = -torch.minimum(ratio_BT * targets.advantages, clipped_ratio_BT * targets.advantages).sum() / count

    values_BT = values_BT.float()
    squared_error_BT = (values_BT - targets.returns).square()
    if config.value_clip > 0:
        moved_BT = (values_BT - targets.values).clamp(-config.value_clip, config.value_clip)
        squared_error_BT = torch.maximum(squared_error_BT, (targets.values + moved_BT - targets.returns).square())
    value_loss = 0.5 * squared_error_BT.sum() / count

    probabilities_BTC = log_probs_BTC.exp()
    prior_kl = (probabilities_BTC * (log_probs_BTC - log_prior_C)).sum() / count
    total = policy_loss + config.value_weight * value_loss + entropy_weight * prior_kl
    with torch.no_grad():
        deviation_BT = (ratio_BT - 1).abs()
        parts = {
            "loss/policy": policy_loss,
            "loss/value": value_loss,
            "loss/entropy": -(probabilities_BTC * log_probs_BTC).sum() / count,
            # KL(policy || prior): the prior's cross-entropy minus the entropy.
            "loss/prior_kl": prior_kl,
            # The low-variance estimator of KL(old || new): http://joschu.net/blog/kl-approx.html, k3.
            "loss/kl": (ratio_BT - 1 - log_ratio_BT).sum() / count,
            "loss/clip_fraction": (deviation_BT > config.clip).sum() / count,
        }
        return Loss(total, {name: value.detach() for name, value in parts.items()}, deviation_BT.max())
