"""One PPO update: epochs of minibatches of streams, each minibatch shared out over the shards' threads.

Axes: N streams, B streams of a minibatch, T steps.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from metta.agent.policy import AuxiliaryTargets, Policy, PolicyOutput
from metta.agent.state import rows
from metta.base.errors import RunError
from metta.rl.adam import Adam
from metta.rl.advantage import generalised_advantages
from metta.rl.config import TrainerConfig
from metta.rl.losses import Loss, Targets, ppo_loss
from metta.rl.rollout import Segments
from metta.rl.sampling import permutation
from metta.rl.shards import Shards, split


@dataclass
class Learner:
    """What learning changes: the policy's parameters and the optimiser's moments."""

    policy: Policy
    optimizer: Adam


def make_learner(policy: Policy, config: TrainerConfig) -> Learner:
    """Adam over every parameter of the policy."""
    return Learner(policy, Adam([parameter for parameter in policy.parameters() if parameter.requires_grad], config))


def update(
    learner: Learner,
    segments: Segments,
    config: TrainerConfig,
    shards: Shards,
    seed: int,
    index: int,
    timesteps: int,
) -> dict[str, float]:
    """Learn from one rollout; returns the mean of every loss metric over the minibatches.

    Args:
        learner: changed in place.
        segments: what was collected.
        config: hyper-parameters.
        shards: threads that share each minibatch.
        seed: the run's seed; with `index` it decides the minibatches.
        index: number of this update in the run.
        timesteps: agent-steps of the run before this rollout; they decide the learning rate and the entropy's weight.

    Raises:
        RunError: a loss or gradient is not finite; the parameters are those of before that minibatch.
    """
    advantages_NT, returns_NT = generalised_advantages(
        segments.rewards,
        segments.values,
        segments.terminals,
        segments.truncations,
        segments.final_values,
        segments.next_values,
        config.gamma,
        config.gae_lambda,
    )
    num_streams = advantages_NT.shape[0]
    device = advantages_NT.device
    metrics: dict[str, list[float]] = {}
    first_deviation: float | None = None
    learning_rate, entropy_weight = config.learning_rate_at(timesteps), config.entropy_weight_at(timesteps)
    for epoch in range(config.epochs):
        order_N = permutation(seed, "minibatches", index * config.epochs + epoch, num_streams).to(device)
        for low, high in split(num_streams, config.minibatches):
            chosen_B = order_N[low:high]
            parts = _step(
                learner, segments, advantages_NT, returns_NT, chosen_B, config, shards, entropy_weight, learning_rate
            )
            deviation = parts.pop("ratio_deviation")
            if first_deviation is None:
                first_deviation = deviation
            for name, value in parts.items():
                metrics.setdefault(name, []).append(value)
    means = {name: sum(values) / len(values) for name, values in metrics.items()}
    means["loss/first_ratio_deviation"] = first_deviation or 0.0
    means["loss/explained_variance"] = _explained_variance(segments.values, returns_NT)
    return means


def _step(
    learner: Learner,
    segments: Segments,
    advantages_NT: Tensor,
    returns_NT: Tensor,
    chosen_B: Tensor,
    config: TrainerConfig,
    shards: Shards,
    entropy_weight: float,
    learning_rate: float,
) -> dict[str, float]:
    """One minibatch: every thread differentiates its share, the gradients are added in a fixed order, Adam steps."""
    count = chosen_B.numel() * advantages_NT.shape[1]
    advantages_BT = advantages_NT[chosen_B]
    if config.normalise_advantages:
        # Over the whole minibatch, before it is shared out, so that the number of threads does not matter.
        advantages_BT = (advantages_BT - advantages_BT.mean()) / (advantages_BT.std(correction=0) + 1e-8)

    def differentiate(share: tuple[int, int]) -> tuple[Loss, tuple[Tensor, ...]]:
        low, high = share
        streams_B = chosen_B[low:high]
        output = learner.policy(
            segments.observations[streams_B], segments.resets[streams_B], rows(segments.state, streams_B)
        )
        targets = Targets(
            actions=segments.actions[streams_B],
            log_probs=segments.log_probs[streams_B],
            values=segments.values[streams_B],
            advantages=advantages_BT[low:high],
            returns=returns_NT[streams_B],
        )
        loss = ppo_loss(output.logits, output.values, targets, count, config, entropy_weight)
        loss = _with_auxiliary(loss, learner.policy, output, segments, streams_B, targets, count)
        return loss, torch.autograd.grad(loss.total, learner.optimizer.parameters)

    results = shards.map(differentiate, split(chosen_B.numel(), shards.threads))
    losses = [loss for loss, _ in results]
    gradients = [
        (shares[0] if len(shares) == 1 else torch.stack(shares).sum(0)).contiguous()
        for shares in zip(*(gradients for _, gradients in results), strict=True)
    ]
    norm = torch.nn.utils.get_total_norm(gradients)
    torch._foreach_mul_(gradients, (config.max_gradient_norm / (norm + 1e-6)).clamp(max=1.0))
    parts = {name: sum(float(loss.parts[name]) for loss in losses) for name in losses[0].parts}
    parts["loss/total"] = sum(float(loss.total.detach()) for loss in losses)
    parts["loss/gradient_norm"] = float(norm)
    bad = [name for name, value in parts.items() if value != value or value in (float("inf"), float("-inf"))]
    if bad:
        raise RunError(
            f"{bad[0]} became {parts[bad[0]]}: training stopped before the update that would have spread it; "
            "the last checkpoint is kept (a lower trainer.learning_rate usually helps)."
        )
    learner.optimizer.step(gradients, learning_rate)
    return parts | {"ratio_deviation": max(float(loss.ratio_deviation) for loss in losses)}


def _with_auxiliary(
    loss: Loss,
    policy: Policy,
    output: PolicyOutput,
    segments: Segments,
    streams_B: Tensor,
    targets: Targets,
    count: int,
) -> Loss:
    """Add the losses of the policy's auxiliary predictions; means over a share are weighted by its size."""
    if policy.auxiliary is None:
        return loss
    known = AuxiliaryTargets(segments.rewards[streams_B], targets.returns, segments.resets[streams_B])
    weight = targets.returns.numel() / count
    losses = {name: weight * value for name, value in policy.auxiliary.losses(output.auxiliary, known).items()}
    parts = {f"loss/auxiliary_{name}": value.detach() for name, value in losses.items()}
    return loss._replace(total=loss.total + sum(losses.values()), parts=loss.parts | parts)


def _explained_variance(values_NT: Tensor, returns_NT: Tensor) -> float:
    """1 - Var(returns - values) / Var(returns); 0 where the returns do not vary."""
    variance = returns_NT.var(correction=0)
    return float(1 - (returns_NT - values_NT).var(correction=0) / variance) if variance > 0 else 0.0
