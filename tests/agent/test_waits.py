"""Acting never asks the device for a value, so that it can be queued, and recorded, on a GPU.

Tensors of torch's device "meta" have shapes but no values: whatever would make the processor wait for a GPU (`item`,
`nonzero`, a copy back, an `if` on a tensor) raises. They take the paths of a GPU, because they are not on the CPU.
"""

import pytest
import torch

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES, LEVEL
from metta.agent.state import leaves
from metta.rl.config import TrainerConfig
from metta.rl.rollout import acting_step
from metta.rl.specs import spec_of

META = torch.device("meta")
STREAMS = 6


@pytest.mark.parametrize("views", [True, False])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_acting_asks_for_no_value(name: str, views: bool) -> None:
    spec = spec_of(LEVEL.make_env(), TrainerConfig(front_view=views, egocentric_view=views))
    policy = ARCHITECTURES[name].build(spec, 0).to(META)
    state = policy.initial_state(STREAMS)
    memory, actions, log_probs, *after = acting_step(policy, state)(
        torch.empty(STREAMS, spec.num_observation_tokens, 3, dtype=torch.uint8, device=META),
        torch.empty(STREAMS, dtype=torch.bool, device=META),
        torch.empty(STREAMS, device=META),
        *leaves(state),
    )
    assert memory.shape[:2] == (STREAMS, 1)
    assert actions.shape == log_probs.shape == (STREAMS,)
    # A recording copies the state back to where it came from, so it must keep its shapes and dtypes.
    assert [(leaf.shape, leaf.dtype) for leaf in after] == [(leaf.shape, leaf.dtype) for leaf in leaves(state)]
    assert all(leaf.device == META for leaf in after)


def test_the_device_meta_has_no_values_to_ask_for() -> None:
    with pytest.raises((RuntimeError, NotImplementedError)):
        bool(torch.empty(3, device=META).any())
    with pytest.raises((RuntimeError, NotImplementedError)):
        torch.empty(3, device=META).nonzero()
    with pytest.raises((RuntimeError, NotImplementedError)):
        torch.empty(3, device=META).cpu()
