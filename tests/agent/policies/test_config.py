"""Policy configurations: the documented names and sizes, parts of all kinds, JSON, and refusals with the remedy."""

import json
from typing import Literal

import pytest
from pydantic import ValidationError

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.agent.encoders.config import CNNConfig, PerceiverConfig
from metta.agent.memory.config import GTrXLConfig, LSTMConfig, NoMemoryConfig, SlidingConfig
from metta.agent.parts import MemoryConfig
from metta.agent.policies.config import PolicyConfig
from metta.agent.policies.memory_free import MemoryFreeConfig
from metta.agent.policies.vit import ViTDefaultConfig
from metta.agent.policies.vit_sliding import ViTSlidingTransConfig
from metta.agent.spec import arena_spec
from metta.base.errors import InputError

DOCUMENTED_HEADS = {
    "vit": ([32, 256, 256, 16], [32, 512, 1]),
    "vit_sliding": ([32, 16], [32, 1024, 1]),
    "vit_reset": ([32, 256, 256, 16], [32, 512, 1]),
    "transformer": ([64, 256, 16], [64, 512, 1]),
    "fast": ([128, 512, 16], [128, 1024, 1]),
    "fast_lstm_reset": ([128, 512, 16], [128, 1024, 1]),
    "fast_dynamics": ([128, 512, 16], [128, 1024, 1]),
    "memory_free": ([64, 256, 256, 16], [64, 512, 1]),
    "agalite": ([64, 128, 16], [64, 256, 1]),
    "gtrxl": ([32, 256, 16], [32, 512, 1]),
    "trxl": ([32, 256, 16], [32, 512, 1]),
    "trxl_nvidia": ([32, 256, 16], [32, 512, 1]),
    "puffer": ([512, 16], [512, 1]),
}


@pytest.mark.parametrize("name", DOCUMENTED_HEADS)
def test_heads_have_the_documented_sizes_and_initial_gains(name):
    policy = ARCHITECTURES[name].build(arena_spec(), seed=0)
    for head, documented, gain in zip((policy.actor, policy.critic), DOCUMENTED_HEADS[name], (0.01, 1.0), strict=True):
        linears = [module for module in head if hasattr(module, "weight")]
        assert [linears[0].in_features, *(linear.out_features for linear in linears)] == documented
        assert linears[-1].weight.norm(dim=1).mean().item() == pytest.approx(gain, rel=1e-3)
        assert not linears[-1].bias.any()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_json_gives_the_configuration_back_without_its_class(name):
    config = ARCHITECTURES[name]
    again = PolicyConfig.parse(json.loads(config.model_dump_json()))
    assert again.model_dump() == config.model_dump()
    assert type(again.memory) is type(config.memory)
    assert type(config).parse(config.model_dump(mode="json")) == config


def test_a_size_goes_to_the_part_that_has_it_the_memory_first():
    config = ViTSlidingTransConfig(num_layers=3, num_latents=8)
    assert config.memory == SlidingConfig(num_layers=3)
    assert config.encoder == PerceiverConfig(num_latents=8)
    assert config.memory.num_layers != ViTSlidingTransConfig().memory.num_layers


def test_a_part_given_without_kind_changes_the_architectures_own():
    config = ViTDefaultConfig(memory={"num_layers": 2}, actor={"activation": "tanh"})
    assert config.memory == LSTMConfig(width=32, num_layers=2, honour_resets=False, input_gain=1.0)
    assert config.actor.hidden == (256, 256)
    assert config.actor.activation == "tanh"


def test_a_part_may_be_named_by_its_kind():
    config = ViTDefaultConfig(memory="gtrxl", encoder={"kind": "cnn", "width": 32})
    assert config.memory == GTrXLConfig()
    assert config.encoder == CNNConfig(width=32)
    assert ViTDefaultConfig(memory={"kind": "none"}).memory == NoMemoryConfig()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"memory": "lstn"}, "unknown memory kind 'lstn'; did you mean 'lstm'"),
        ({"encoder": {"kind": "vision"}}, "unknown perception kind 'vision'"),
        ({"num_layer": 3}, "did you mean 'num_layers'"),
        ({"memory": {"kind": "gtrxl", "num_heads": 5}}, "num_heads=5 does not divide width=32; choose"),
        ({"memory": {"kind": "sliding", "window": 0}}, "greater than 0"),
        ({"num_layers": -1}, "greater than"),
        ({"actor": {"hidden": [0]}}, "greater than or equal to 1"),
        ({"encoder": {"num_heads": 5}}, "does not divide width 64"),
        ({"memory": 3}, "memory"),
    ],
)
def test_bad_sizes_are_refused_when_configured(given, message):
    with pytest.raises(InputError, match=message):
        ViTDefaultConfig.parse(given)


def test_configurations_are_frozen():
    with pytest.raises(ValidationError):
        ViTDefaultConfig().memory = NoMemoryConfig()


def test_a_kind_belongs_to_one_class():
    with pytest.raises(TypeError, match="give it a `kind` of its own"):

        class Copycat(MemoryConfig):
            """Takes a kind that is taken."""

            kind: Literal["lstm"] = "lstm"


def test_sizes_of_a_perception_reach_an_architecture_without_memory():
    assert MemoryFreeConfig(num_layers=3).encoder == PerceiverConfig(num_layers=3)
