"""The convolutions over the window: from tokens and from the box alike; what does not count changes nothing."""

import pytest
import torch
from torch.nn import functional as F

from metta.agent.encoders.config import CNNConfig, PufferBoxConfig
from metta.agent.path import as_on_a_gpu
from metta.agent.synthetic import synthetic_observations
from metta.base.errors import InputError
from tests.agent.encoders.cases import SPEC, assert_close, gradients, odd_observations, that_count, without

CONFIGS = [CNNConfig(), PufferBoxConfig()]


def build(config, spec=SPEC):
    torch.manual_seed(0)
    module = config.build(spec)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return module


@pytest.mark.parametrize("config", CONFIGS)
def test_from_tokens_equals_one_product(config):
    module, observations = build(config), odd_observations()
    from_tokens = gradients(module, observations)
    with as_on_a_gpu():
        assert_close(from_tokens, gradients(module, observations), 2e-5)


def slow_box(observation, scales):
    planes = torch.zeros(len(scales), SPEC.obs_height, SPEC.obs_width, dtype=torch.float64)
    for location, feature, value in observation.tolist():
        if feature < len(scales) and location // 16 < SPEC.obs_height and location % 16 < SPEC.obs_width:
            planes[feature, location // 16, location % 16] += value / scales[feature]
    return planes


def test_cnn_is_the_documented_network():
    module, observations = build(CNNConfig()).double(), odd_observations()
    x = torch.stack([slow_box(observation, SPEC.feature_scales) for observation in observations])
    x = F.conv2d(x, module.first.weight, module.first.bias, stride=3).relu()
    x = F.conv2d(x, module.second.weight, module.second.bias).relu().flatten(1)
    x = F.linear(x, module.hidden.weight, module.hidden.bias).relu()
    x = F.linear(x, module.output.weight, module.output.bias).relu()
    assert torch.allclose(module(observations), x, atol=2e-6)
    assert torch.allclose(module.float()(observations).double(), x, atol=2e-5)


def test_puffer_is_the_documented_network_with_columns_first():
    module, observations = build(PufferBoxConfig()).double(), odd_observations()
    x = torch.stack([slow_box(observation, SPEC.feature_scales) for observation in observations]).transpose(2, 3)
    centre = F.linear(x[:, :, 5, 5], module.centre.weight, module.centre.bias).relu()
    x = F.conv2d(x, module.first.weight, module.first.bias, stride=3).relu()
    x = F.conv2d(x, module.second.weight, module.second.bias).relu().flatten(1)
    x = torch.cat([centre, F.linear(x, module.linear.weight, module.linear.bias).relu()], 1)
    assert torch.allclose(module(observations), x, atol=2e-6)
    assert torch.allclose(module.float()(observations).double(), x, atol=2e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_padding_and_unknown_tokens_write_nothing(config):
    module, observations = build(config), odd_observations()
    removed = without(observations, that_count(observations))
    with torch.no_grad():
        assert torch.allclose(module(observations), module(removed), atol=1e-6)
        corner = observations.clone()
        corner[2, 3] = torch.tensor([0, 17, 255], dtype=torch.uint8)
        assert not torch.allclose(module(observations)[2], module(corner)[2])


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("size", [(15, 14), (11, 16), (12, 13), (16, 16)])
def test_larger_windows_work_in_both_forms(config, size):
    spec = SPEC.model_copy(update=dict(zip(("obs_width", "obs_height"), size, strict=True)))
    module, observations = build(config, spec), torch.from_numpy(synthetic_observations(spec, 24, seed=11))
    with torch.no_grad():
        from_tokens = module(observations)
        with as_on_a_gpu():
            assert torch.allclose(from_tokens, module(observations), atol=2e-5)
    assert from_tokens.shape == (len(observations), config.output_width)


def test_too_small_a_window_is_refused_with_the_remedy():
    with pytest.raises(InputError, match="11 x 11 or more"):
        CNNConfig().build(SPEC.model_copy(update={"obs_width": 9}))


def test_channels_that_are_no_multiple_of_eight_work():
    assert build(CNNConfig(first_channels=5))(odd_observations(4)).shape == (4, 128)
