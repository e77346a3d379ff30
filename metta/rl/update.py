"""One PPO update: epochs of minibatches of streams, each minibatch shared out over the shards' threads.

Axes: N streams, B streams of a minibatch, T steps.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from metta.agent.policy import AuxiliaryTargets, Policy, PolicyOutput
from metta.agent.spec import EnvironmentSpec
from metta.agent.state import rows
from metta.agent.table import Table
from metta.base.errors import RunError
from metta.rl.adam import Adam
from metta.rl.advantage import generalised_advantages
from metta.rl.config import TrainerConfig
from metta.rl.devices import sent
from metta.rl.explained import explained_variance
from metta.rl.losses import Loss, Targets, ppo_loss
from metta.rl.recording import Play, plainly
from metta.rl.reward_scale import RewardScale
from metta.rl.rollout import Segments
from metta.rl.sampling import permutation
from metta.rl.shards import Shards, split


@dataclass
class Learner:
    """What learning changes: the policy's parameters, the optimiser's moments, and the scale of rewards."""

    policy: Policy
    optimizer: Adam
    reward_scale: RewardScale
    measures: tuple[str, ...] = ()
    """Names of what the last minibatch measured."""


def make_learner(policy: Policy, config: TrainerConfig, streams: int) -> Learner:
    """Adam over every parameter of the policy, and a scale for the rewards of so many streams."""
    parameters = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    scale = RewardScale(streams, config.reward_scale, config.gamma, parameters[0].device)
    return Learner(policy, Adam(parameters, config), scale)


def update(
    learner: Learner,
    segments: Segments,
    config: TrainerConfig,
    shards: Shards,
    seed: int,
    index: int,
    timesteps: int,
    play: Play = plainly,
) -> dict[str, float]:
    """Learn from one rollout; returns its mean reward, its rewards' factor and the means of the minibatches' losses.

    Args:
        learner: changed in place.
        segments: what was collected, whose rewards are scaled in place; where learning is recorded, always the same
            tensors.
        config: hyper-parameters.
        shards: threads that share each minibatch.
        seed: the run's seed; with `index` it decides the minibatches.
        index: number of this update in the run.
        timesteps: agent-steps of the run before this rollout; they decide the learning rate and the entropy's weight.
        play: how learning is done.

    Raises:
        RunError: a loss or gradient is not finite; the parameters are those of before that minibatch.
    """
    losses_LSK, rollout_3 = queue_update(learner, segments, config, shards, seed, index, timesteps, play)
    # The one time that a GPU is waited for.
    found = torch.cat([losses_LSK.flatten(), rollout_3]).cpu()
    reward, factor, explained = found[-3:].tolist()
    rows = [_metrics(learner.measures, losses_SK) for losses_SK in found[:-3].view(losses_LSK.shape).tolist()]
    for row in rows:
        _check_finite(row)
    means = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0] if name != DEVIATION}
    means["loss/first_ratio_deviation"] = rows[0][DEVIATION]
    of_rollout = {"rollout/reward_per_step": reward, "rollout/reward_factor": factor}
    return {**of_rollout, **means, "loss/explained_variance": explained}


def queue_update(
    learner: Learner,
    segments: Segments,
    config: TrainerConfig,
    shards: Shards,
    seed: int,
    index: int,
    timesteps: int,
    play: Play = plainly,
) -> tuple[Tensor, Tensor]:
    """What `update` has the device do, without waiting for it.

    Returns, float32: K losses of S shares of L minibatches [L, S, K], whose names are the learner's `measures`, and
    the rollout's mean reward, its rewards' factor and explained variance [3].
    """
    device = segments.rewards.device
    scale = learner.reward_scale
    advantages_NT, returns_NT, rollout_3 = play(
        "advantages", lambda: _judge(segments, scale, config), (), [segments.rewards, *scale.state_dict().values()]
    )
    # Tensors, so that a recording follows the schedules. A GPU's Adam takes float32.
    rates = [config.learning_rate_at(timesteps), config.entropy_weight_at(timesteps)]
    rates_2 = sent(torch.tensor(rates, dtype=torch.float64 if device.type == "cpu" else torch.float32), device)
    stop = torch.zeros((), device=device)
    measured: list[Tensor] = []

    def learn(chosen_B: Tensor, rates_2: Tensor, stop: Tensor) -> tuple[Tensor, Tensor]:
        return _step(learner, segments, advantages_NT, returns_NT, chosen_B, config, shards, rates_2, stop)

    for epoch in range(config.epochs):
        order_N = permutation(seed, "minibatches", index * config.epochs + epoch, len(returns_NT))
        order_N = sent(order_N, device)
        for low, high in split(len(returns_NT), config.minibatches):
            arguments = order_N[low:high], rates_2, stop
            losses_SK, stop = play(("learn", high - low), learn, arguments, learner.optimizer.changed)
            measured.append(losses_SK.clone())
    return torch.stack(measured), rollout_3


def _judge(segments: Segments, scale: RewardScale, config: TrainerConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Scale the rewards; advantages and returns [N, T], and of the rollout float32 [3]: mean reward before it was
    scaled, what it was multiplied with, and explained variance.
    """
    reward = segments.rewards.mean()
    factor = scale.scale(segments.rewards, segments.terminals | segments.truncations)
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
    explained = explained_variance(segments, config.gamma)
    return advantages_NT, returns_NT, torch.stack([reward, factor, explained])


def _step(
    learner: Learner,
    segments: Segments,
    advantages_NT: Tensor,
    returns_NT: Tensor,
    chosen_B: Tensor,
    config: TrainerConfig,
    shards: Shards,
    rates_2: Tensor,
    stop: Tensor,
) -> tuple[Tensor, Tensor]:
    """One minibatch: every thread differentiates its share, the gradients are added in a fixed order, Adam steps.

    `rates_2` are the learning rate and the entropy's weight. Adam does not step if `stop` (float32, on the device) is
    1, and `stop` becomes 1 for good with the first loss or gradient that is not finite. Returns K losses of S shares,
    float32 [S, K], whose names are the learner's `measures` from then on, and `stop`.
    """
    learning_rate, entropy_weight = rates_2[0], rates_2[1].float()
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
        log_prior_C = log_prior(learner.policy.spec).on(output.logits.device, torch.float32)
        loss = ppo_loss(output.logits, output.values, targets, count, config, entropy_weight, log_prior_C)
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
    columns = [
        {**loss.parts, "loss/total": loss.total.detach(), "loss/gradient_norm": norm, DEVIATION: loss.ratio_deviation}
        for loss in losses
    ]
    losses_SK = torch.stack([torch.stack(list(column.values())).float() for column in columns])
    stop = torch.maximum(stop, (~losses_SK.isfinite().all()).float())
    learner.optimizer.step(gradients, learning_rate, stop)
    learner.measures = tuple(columns[0])
    return losses_SK, stop


DEVIATION = "ratio_deviation"
_OF_THE_WHOLE = {"loss/gradient_norm", DEVIATION}
"""Not sums over the shares: every share has the same norm, and the largest deviation counts."""


def _metrics(names: Sequence[str], losses_SK: Sequence[Sequence[float]]) -> dict[str, float]:
    """The metrics of a minibatch from those of its shares."""
    columns = zip(names, zip(*losses_SK, strict=True), strict=True)
    return {name: max(values) if name in _OF_THE_WHOLE else sum(values) for name, values in columns}


def _check_finite(metrics: Mapping[str, float]) -> None:
    """Raise `RunError` naming the first metric of a minibatch that is not a finite number."""
    bad = [name for name, value in metrics.items() if not math.isfinite(value)]
    if bad:
        raise RunError(
            f"{bad[0]} became {metrics[bad[0]]}: training stopped before the update that would have spread it; "
            "the last checkpoint is kept (a lower trainer.learning_rate usually helps)."
        )


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


@cache
def log_prior(spec: EnvironmentSpec) -> Table:
    """float32 [actions], log-probabilities of the prior."""
    return Table(np.asarray(spec.log_prior(), np.float32))
