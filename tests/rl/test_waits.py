"""A rollout and an update never ask a GPU for a value, so that they can be queued, and recorded, as a whole.

On torch's device "meta" tensors have shapes but no values, so whatever would make the processor wait for a GPU (`item`,
`nonzero`, a copy back, an `if` on a tensor) raises. Inside of what is recorded nothing may be copied to it, either.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES, LEVEL
from metta.agent.state import leaves
from metta.rl.device_rollout import DeviceCollector
from metta.rl.recording import Function
from metta.rl.sampling import uniforms
from metta.rl.shards import Shards
from metta.rl.specs import spec_of
from metta.rl.update import make_learner, queue_update
from metta.sim.cuda.env import DeviceBuffers
from metta.sim.vector_env import Buffers
from tests.rl.small_run import small_run

META = torch.device("meta")
STREAMS, STEPS = 6, 4
TRAINER = small_run(rollout_steps=STEPS, normalise_advantages=True).trainer


class OneDevice(TorchDispatchMode):
    """Refuses operations between devices: tensors come from the device, and stay there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        tensors = [value for value in tree_leaves((args, kwargs, made)) if isinstance(value, Tensor)]
        constant = func.name().startswith("aten::lift_fresh")  # torch.tensor of numbers
        if constant or any(tensor.device != META for tensor in tensors):
            raise AssertionError(f"{func.name()} leaves the device")
        return made


class NoAdam(TorchDispatchMode):
    """Leaves out the one operation that is not defined for tensors without values."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.name().startswith("aten::_fused_adam_"):
            assert kwargs["lr"].device == META
            return None
        return func(*args, **(kwargs or {}))


class Watched:
    """Has everything done that would be recorded, under the eyes of `OneDevice`."""

    def __init__(self) -> None:
        self.names: list[object] = []

    def __call__(
        self, name: object, function: Function, arguments: Sequence[Tensor], changed: Sequence[Tensor] = ()
    ) -> tuple[Tensor, ...]:
        self.names.append(name)
        assert {tensor.device for tensor in (*arguments, *changed)} <= {META}
        if name not in self.names[:-1]:  # as before a recording: constants are sent to the device when first used
            with NoAdam():
                function(*arguments)
        with NoAdam(), OneDevice():
            return function(*arguments)


class NoWorlds:
    """Worlds that show tensors without values."""

    def __init__(self, num_tokens: int) -> None:
        buffers = Buffers.allocate(STREAMS, num_tokens)
        shown = {field.name: torch.from_numpy(getattr(buffers, field.name)).to(META) for field in fields(DeviceBuffers)}
        self.buffers = DeviceBuffers(**shown)
        self.num_streams = STREAMS
        self.changed: list[Tensor] = []

    def queue_step(self, actions: Tensor) -> None:
        assert actions.shape == (STREAMS,)

    def made_steps(self, steps: int) -> None:
        assert steps == STEPS


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_training_asks_for_no_value(name: str) -> None:
    shards = Shards(1)
    spec = spec_of(LEVEL.make_env(), TRAINER)
    policy = ARCHITECTURES[name].build(spec, 0).to(META)
    learner = make_learner(policy, TRAINER, STREAMS)
    watched = Watched()
    collector = DeviceCollector(NoWorlds(spec.num_observation_tokens), policy, STEPS, META, watched)
    for index in range(2):
        segments = collector.collect(uniforms(0, "test", index, (STEPS, STREAMS)))
        losses, rollout = queue_update(learner, segments, TRAINER, shards, 0, index, 0, watched)
        assert losses.shape == (2, 1, len(learner.measures))
        assert rollout.shape == (3,)
    assert {leaf.device for leaf in leaves(collector.state)} <= {META}
    assert watched.names == ["collect", "advantages", ("learn", 3), ("learn", 3)] * 2


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: torch.zeros(3),
        lambda x: torch.as_tensor([1.0, 2.0], device=META),
        lambda x: x.cpu(),
        lambda x: x.sum().item(),
        lambda x: x.nonzero(),
        lambda x: x[torch.zeros(1, dtype=torch.int64)],
    ],
)
def test_what_leaves_the_device_is_refused(wrong: Callable[[Tensor], object]) -> None:
    x = torch.empty(3, device=META)
    with OneDevice():
        x.add_(1.0).mul(torch.ones((), device=META))
    with pytest.raises((AssertionError, RuntimeError, NotImplementedError)), OneDevice():
        wrong(x)
