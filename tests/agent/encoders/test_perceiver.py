"""The perceiver: compiled, plain and textbook forms agree; what does not count changes nothing."""

import pytest
import torch

from metta.agent.encoders import perceiver, token_attention
from metta.agent.encoders.config import PerceiverConfig
from metta.agent.spec import FRONT_GAIN
from metta.base.errors import InputError
from tests.agent.encoders.cases import SPEC, assert_close, gradients, odd_observations, that_count, without
from tests.reference.perceiver_twin import perceive

CONFIGS = [
    PerceiverConfig(),
    PerceiverConfig(feature_width=12, num_frequencies=4, num_latents=16, num_layers=1),
    PerceiverConfig(width=32, num_layers=1, max_tokens=20),
    PerceiverConfig(width=30, num_latents=5, num_heads=3),
]


def build(config, scale=0.3):
    torch.manual_seed(0)
    module = config.build(SPEC)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(scale * torch.randn(parameter.shape))
    return module


@pytest.mark.parametrize("config", CONFIGS)
def test_compiled_equals_plain(config, monkeypatch):
    module, observations = build(config), odd_observations()
    assert perceiver.attend is token_attention.attend
    compiled = gradients(module, observations)
    monkeypatch.setattr(perceiver, "attend", token_attention.attend_plainly)
    assert_close(compiled, gradients(module, observations), 2e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_equals_the_textbook(config):
    module, observations = build(config).double(), odd_observations(6)
    found = gradients(module, observations, torch.float64)
    parameters = {name: p.detach().clone().requires_grad_() for name, p in module.named_parameters()}
    outputs = torch.stack(
        [
            perceive(
                parameters,
                observation,
                feature_scales=SPEC.feature_scales,
                size=(SPEC.obs_height, SPEC.obs_width),
                num_heads=config.num_heads,
                num_layers=config.num_layers,
                num_frequencies=config.num_frequencies,
                max_tokens=config.max_tokens,
            )
            for observation in observations
        ]
    )
    (outputs * torch.linspace(-1.0, 1.0, outputs.numel(), dtype=torch.float64).view_as(outputs)).sum().backward()
    expected = outputs.detach(), {name: parameter.grad for name, parameter in parameters.items()}
    assert_close(found, expected, 2e-6)


@pytest.mark.parametrize(("layers", "scale"), [(PerceiverConfig().num_layers, 4.0), (1, 6.0)])
def test_large_scores_neither_overflow_nor_vanish(layers, scale, monkeypatch):
    """In the second case one token takes all."""
    module, observations = build(PerceiverConfig(num_layers=layers), scale), odd_observations()
    outputs, compiled = gradients(module, observations)
    monkeypatch.setattr(perceiver, "attend", token_attention.attend_plainly)
    plain, _ = gradients(module, observations)
    assert ((outputs - plain).abs() / plain.abs().clamp(min=1.0)).max() < 1e-3
    assert all(bool(gradient.isfinite().all()) for gradient in compiled.values())


def test_not_a_number_in_a_weight_shows_in_the_output():
    module = build(PerceiverConfig())
    with torch.no_grad():
        module.layers[0].query.weight[3, 5] = float("nan")
        assert torch.isnan(module(odd_observations(4))[0]).any()


def test_tokens_that_do_not_count_change_nothing():
    module, observations = build(PerceiverConfig(max_tokens=200)), odd_observations()
    removed = without(observations, that_count(observations))
    assert not torch.equal(removed, observations)
    with torch.no_grad():
        assert torch.allclose(module(observations), module(removed), atol=1e-6)


def test_rows_beyond_max_tokens_are_not_looked_at():
    observations = odd_observations()
    changed = observations.clone()
    changed[:, 20:, 2] = 99
    with torch.no_grad():
        short, long = build(PerceiverConfig(max_tokens=20)), build(PerceiverConfig(max_tokens=128))
        assert torch.equal(short(observations), short(changed))
        assert not torch.allclose(long(observations), long(changed))


def test_a_number_of_queries_that_is_no_multiple_of_eight_works():
    module = build(PerceiverConfig(num_latents=3, num_heads=1, width=10))
    assert module(odd_observations(4).view(2, 2, 200, 3)).shape == (2, 2, 10)


def test_heads_that_do_not_divide_the_width_are_refused_with_the_remedy():
    with pytest.raises(InputError, match="num_heads 5 does not divide width 64; choose a width that is a multiple"):
        PerceiverConfig.parse({"num_heads": 5})
    with pytest.raises(InputError, match="greater than or equal to 1"):
        PerceiverConfig.parse({"num_layers": 0})


def test_a_new_one_tells_features_apart_and_hears_what_is_in_front():
    """Features whose embeddings start near zero look alike, and nothing is learned about them for a long time."""
    torch.manual_seed(0)
    seen = SPEC.model_copy(update={"front_view": True}).perceived()
    embedding = PerceiverConfig(feature_width=256).build(seen).feature_embedding
    elsewhere, in_front = embedding[: SPEC.num_features].std(), embedding[SPEC.num_features :].std()
    assert len(embedding) == 2 * SPEC.num_features
    torch.testing.assert_close(elsewhere, torch.tensor(1.0), atol=0.05, rtol=0)
    torch.testing.assert_close(in_front, torch.tensor(FRONT_GAIN), atol=0.2, rtol=0)


def test_pieces_change_nothing(monkeypatch):
    module, observations = build(PerceiverConfig()).double(), odd_observations()
    whole = gradients(module, observations, torch.float64)
    monkeypatch.setattr(perceiver, "OBSERVATIONS_AT_ONCE", 3)
    assert len(observations) > 2 * perceiver.OBSERVATIONS_AT_ONCE
    assert_close(gradients(module, observations, torch.float64), whole, 1e-12)
