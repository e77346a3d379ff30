"""From the configurations of a policy's parts to the policy, with weights that depend on the seed only."""

from threading import Lock

import torch

from metta.agent.heads import build_head, set_bias
from metta.agent.heads_config import HeadConfig
from metta.agent.parts import AuxiliaryConfig, EncoderConfig, MemoryConfig
from metta.agent.policy import Policy
from metta.agent.spec import EnvironmentSpec
from metta.base.seeding import derive_seed

_borrows_the_generator = Lock()
"""Torch's global one of the CPU, which one thread at a time can draw from."""


def build_policy(
    parts: tuple[EncoderConfig, MemoryConfig, AuxiliaryConfig | None],
    heads: tuple[HeadConfig, HeadConfig],
    spec: EnvironmentSpec,
    seed: int,
) -> Policy:
    """Build on the CPU in float32. Each part draws from a stream of its own; the global generator is put back."""
    encoder_config, memory_config, auxiliary_config = parts
    actor_config, critic_config = heads
    width = encoder_config.output_width
    memory_width = memory_config.output_width(width)
    with _borrows_the_generator, torch.random.fork_rng(devices=[]):
        _seed(seed, "encoder")
        encoder = encoder_config.build(spec.perceived())
        _seed(seed, "memory")
        memory = memory_config.build(width)
        _seed(seed, "actor")
        actor = build_head(actor_config, memory_width, spec.num_actions, "actor")
        if spec.verbs_prior:
            set_bias(actor, spec.log_prior())
        _seed(seed, "critic")
        critic = build_head(critic_config, memory_width, 1, "critic")
        _seed(seed, "auxiliary")
        auxiliary = None if auxiliary_config is None else auxiliary_config.build(width, memory_width)
    return Policy(spec, encoder, memory, actor, critic, auxiliary)


def _seed(seed: int, part: str) -> None:
    # The CPU generator alone: torch.manual_seed would also reseed the GPUs, which are not put back.
    torch.default_generator.manual_seed(derive_seed(seed, f"weights of the {part}"))
