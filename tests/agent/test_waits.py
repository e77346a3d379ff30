"""Acting and learning never ask the device for a value, so that they can be queued, and recorded, on a GPU.

Tensors of torch's device "meta" have shapes but no values: whatever would make the processor wait for a GPU (`item`,
`nonzero`, a copy back, an `if` on a tensor) raises. They take the way of a GPU, because they are not on the CPU. The
same operations on the CPU's numbers give what the CPU's compiled loops give.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES, LEVEL
from metta.agent.laws import moved_policy, training_loss
from metta.agent.path import as_on_a_gpu
from metta.agent.policy import Policy
from metta.agent.state import leaves
from metta.agent.synthetic import synthetic_observations
from metta.rl.config import TrainerConfig
from metta.rl.operations import Minibatch, Operations, WaitingError, count_operations
from metta.rl.rollout import acting_step
from metta.rl.specs import spec_of

META = torch.device("meta")
STREAMS, STEPS = 6, 5

EVERY = pytest.mark.parametrize("name", ARCHITECTURES)
VIEWS = pytest.mark.parametrize("views", [True, False])


def build(name: str, views: bool) -> Policy:
    trainer = TrainerConfig(front_view=views, egocentric_view=views)
    return ARCHITECTURES[name].build(spec_of(LEVEL.make_env(), trainer), 0)


@VIEWS
@EVERY
def test_acting_asks_for_no_value(name: str, views: bool) -> None:
    policy = build(name, views).to(META)
    state = policy.initial_state(STREAMS)
    memory, actions, log_probs, *after = acting_step(policy, state)(
        torch.empty(STREAMS, policy.spec.num_observation_tokens, 3, dtype=torch.uint8, device=META),
        torch.empty(STREAMS, dtype=torch.bool, device=META),
        torch.empty(STREAMS, device=META),
        *leaves(state),
    )
    assert memory.shape[:2] == (STREAMS, 1)
    assert actions.shape == log_probs.shape == (STREAMS,)
    # A recording copies the state back to where it came from, so it must keep its shapes and dtypes.
    assert [(leaf.shape, leaf.dtype) for leaf in after] == [(leaf.shape, leaf.dtype) for leaf in leaves(state)]
    assert all(leaf.device == META for leaf in after)


@VIEWS
@EVERY
def test_learning_asks_for_no_value(name: str, views: bool) -> None:
    policy = build(name, views).to(META)
    shape = (STREAMS, STEPS, policy.spec.num_observation_tokens, 3)
    gradients = Minibatch(policy, TrainerConfig(), torch.empty(shape, dtype=torch.uint8, device=META)).gradients()
    assert [gradient.shape for gradient in gradients] == [parameter.shape for parameter in policy.parameters()]


@EVERY
def test_no_operation_waits_or_makes_a_shape_of_numbers(name: str) -> None:
    counted = count_operations(build(name, True), TrainerConfig(), acting_streams=8, learning_streams=2, steps=3)
    assert 0 < counted.acting.total() < counted.learning.total()


@EVERY
def test_the_way_of_a_gpu_gives_the_same_numbers(name: str) -> None:
    """In float64, where the CPU's way is the definition of what is compiled in float32."""
    spec = spec_of(LEVEL.make_env(), TrainerConfig())
    policy = moved_policy(ARCHITECTURES[name], spec).double()
    rows, steps = 3, 24
    observations = torch.from_numpy(synthetic_observations(spec, rows * steps, seed=2))
    observations[::7, 100:] = 255
    observations[3] = 255  # nothing to see
    observations = observations.unflatten(0, (rows, steps))
    resets = torch.arange(rows * steps).view(rows, steps) % 11 == 5
    resets[0, 0] = resets[2, 1] = resets[2, 2] = resets[1, steps - 1] = True
    with torch.no_grad():
        state = policy(observations.flip(1), resets.flip(1), policy.initial_state(rows)).state

    def results() -> tuple[list[Tensor], list[Tensor]]:
        output = policy(observations, resets, state)
        gradients = torch.autograd.grad(training_loss(policy, output, resets), list(policy.parameters()))
        return [output.logits, output.values, *leaves(output.state)], list(gradients)

    outputs, gradients = results()
    with as_on_a_gpu():
        found_outputs, found_gradients = results()
    for found, expected in zip(found_outputs, outputs, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    for (key, _), found, expected in zip(policy.named_parameters(), found_gradients, gradients, strict=True):
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max() + 1e-12, key


def test_the_device_meta_has_no_values_to_ask_for() -> None:
    with pytest.raises((RuntimeError, NotImplementedError)):
        bool(torch.empty(3, device=META).any())
    with pytest.raises((RuntimeError, NotImplementedError)):
        torch.empty(3, device=META).nonzero()
    with pytest.raises((RuntimeError, NotImplementedError)):
        torch.empty(3, device=META).cpu()


@pytest.mark.parametrize(
    "waits",
    [
        lambda x: bool(x.any()),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: x.masked_select(x > 0),
        lambda x: x.repeat_interleave(torch.ones(3, dtype=torch.int64)),
        lambda x: x.to(META),
        lambda x: x + torch.tensor([1.0, 2.0, 3.0]),
        lambda x: x.unique(),
        lambda x: x.sum().item(),
    ],
)
def test_operations_that_wait_are_refused(waits: Callable[[Tensor], object]) -> None:
    with pytest.raises(WaitingError), Operations():
        waits(torch.arange(3.0))


def test_operations_are_counted_without_views() -> None:
    with Operations() as operations:
        (torch.ones(3, 4)[1:] * 2).view(-1).sum()
    assert operations.counts == {"ones": 1, "mul": 1, "sum": 1}
    assert operations.total == 3
