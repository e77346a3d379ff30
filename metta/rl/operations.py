"""Operations that a policy asks of a GPU in one step of acting and of learning: counted, and refused if they wait.

Each operation is about one kernel, and a small kernel takes as long as any other, so their number tells how fast a
small policy can be on a GPU. Counted on the CPU, on the way that a GPU takes (`metta.agent.path`); views cost nothing
there and are left out. An operation that would make the processor wait for the device, or whose result's shape depends
on numbers, raises: it could not be recorded in a CUDA graph.

    uv run python -m metta.rl.operations        # a table of the suite's architectures
"""

import sys
from collections import Counter
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from metta.agent.check import registered
from metta.agent.path import as_on_a_gpu
from metta.agent.policy import AuxiliaryTargets, Policy
from metta.agent.spec import CHOICES, arena_spec
from metta.agent.state import leaves
from metta.agent.synthetic import synthetic_observations
from metta.base.endings import report_errors
from metta.base.flags import Parser
from metta.rl.config import TrainerConfig
from metta.rl.losses import Targets, ppo_loss
from metta.rl.rollout import acting_step
from metta.rl.update import log_prior

WAITING = {
    "_local_scalar_dense",
    "_unique2",
    "bincount",
    "equal",
    "is_nonzero",
    "item",
    "lift_fresh",
    "masked_select",
    "nonzero",
    "unique_consecutive",
    "unique_dim",
}
"""Operations whose result the processor reads, or needs for a shape, or whose input lies with the processor."""

FREE = {
    "_reshape_alias",
    "_unsafe_view",
    "alias",
    "as_strided",
    "detach",
    "diagonal",
    "empty",
    "empty_like",
    "empty_strided",
    "expand",
    "new_empty",
    "new_empty_strided",
    "permute",
    "select",
    "slice",
    "split",
    "split_with_sizes",
    "squeeze",
    "t",
    "transpose",
    "unbind",
    "unfold",
    "unsqueeze",
    "view",
}
"""Views and allocations: no kernel."""


class WaitingError(AssertionError):
    """An operation cannot be queued on a GPU."""


class Operations(TorchDispatchMode):
    """Counts operations that launch something by name, and raises WaitingError for one that waits."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """Number of operations."""
        return sum(self.counts.values())

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Look at one operation."""
        kwargs = kwargs or {}
        name = function._schema.name.removeprefix("aten::")
        if name in WAITING or _shape_depends_on_numbers(name, function, args) or _changes_device(name, args, kwargs):
            raise WaitingError(f"{function} makes the processor wait for the device")
        if name not in FREE:
            self.counts[name] += 1
        return function(*args, **kwargs)


def _shape_depends_on_numbers(name: str, function: Any, args: Any) -> bool:
    if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
        return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    return name == "repeat_interleave" and function._overloadname == "Tensor"


def _changes_device(name: str, args: Any, kwargs: Any) -> bool:
    if name in ("copy_", "_foreach_copy_"):
        return bool(isinstance(args[0], Tensor) and args[0].device != args[1].device)
    device = kwargs.get("device")
    return name == "_to_copy" and device is not None and torch.device(device) != args[0].device


class Counted(NamedTuple):
    """Operations of one architecture."""

    acting: Counter[str]
    learning: Counter[str]


def count_operations(
    policy: Policy,
    config: TrainerConfig,
    acting_streams: int = 240,
    learning_streams: int = 16,
    steps: int = 32,
) -> Counted:
    """Operations, by name, of one step of acting and of one minibatch: forward, loss and gradients.

    Without the norm of the gradients and Adam, which are the same for all. Their number depends on none of the sizes
    but `steps`.

    Raises:
        WaitingError: an operation would make the processor wait for a GPU.
    """
    spec = policy.spec
    acting, learning = Operations(), Operations()
    observations = torch.from_numpy(synthetic_observations(spec, learning_streams * steps, seed=0))
    few = observations[torch.arange(acting_streams) % len(observations)]
    state = policy.initial_state(acting_streams)
    inputs = (few, torch.arange(acting_streams) % 7 == 0, torch.linspace(0.0, 0.9, acting_streams), *leaves(state))
    step = acting_step(policy, state)
    minibatch = Minibatch(policy, config, observations.unflatten(0, (learning_streams, steps)))
    with as_on_a_gpu():
        step(*inputs)  # tables are made, compiled loops compiled
        with acting:
            step(*inputs)
        minibatch.gradients()
        with learning:
            minibatch.gradients()
    return Counted(acting.counts, learning.counts)


class Minibatch:
    """A step of learning without the optimiser, on made-up targets."""

    def __init__(self, policy: Policy, config: TrainerConfig, observations: Tensor) -> None:
        """observations uint8 [B, T, M, 3], on the policy's device."""
        self.policy, self.config, self.observations = policy, config, observations
        shape, device = observations.shape[:2], observations.device
        steps = torch.arange(shape.numel(), device=device).view(shape)
        self.resets = steps % 11 == 5
        numbers = torch.sin(steps.float())
        self.targets = Targets(
            steps % policy.spec.num_actions, numbers - 3.0, numbers, numbers.roll(1, 0), numbers.roll(2, 1)
        )
        self.state = policy.initial_state(shape[0])
        self.parameters = [parameter for parameter in policy.parameters() if parameter.requires_grad]

    def gradients(self) -> tuple[Tensor, ...]:
        """Forward, loss, backward: the gradient of every parameter."""
        output = self.policy(self.observations, self.resets, self.state)
        targets = self.targets
        prior_C = log_prior(self.policy.spec).on(output.logits.device, torch.float32)
        count = targets.actions.numel()
        total = ppo_loss(output.logits, output.values, targets, count, self.config, 0.01, prior_C).total
        if self.policy.auxiliary is not None:
            known = AuxiliaryTargets(targets.advantages, targets.returns, self.resets)
            total = total + sum(self.policy.auxiliary.losses(output.auxiliary, known).values())
        return torch.autograd.grad(total, self.parameters)


def main() -> int:
    """Print the table of every architecture of the suite, with the trainer's own views."""
    Parser("python -m metta.rl.operations", str(__doc__)).parse_args()
    config = TrainerConfig()
    spec = arena_spec().model_copy(update={choice: getattr(config, choice) for choice in CHOICES})
    torch.set_num_threads(1)
    print(f"{'architecture':16s} {'acting':>7s} {'learning':>9s}")
    for name, architecture in registered().items():
        counted = count_operations(architecture.build(spec, seed=0), config, 24, 4)
        print(f"{name:16s} {counted.acting.total():7,d} {counted.learning.total():9,d}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(report_errors(main))
