"""The hand-written LSTM against torch.nn.LSTM, run piece by piece between resets."""

import pytest
import torch

from metta.agent.memory.config import LSTMConfig
from metta.agent.path import as_on_a_gpu
from tests.agent.memory.cases import build, close, segment
from tests.reference.lstm_twin import lstm_twin


@pytest.mark.parametrize("honour_resets", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("way", ["on a CPU", "on a GPU", "on a GPU step by step"])
def test_equals_torch(honour_resets, layers, way):
    module = build(LSTMConfig(width=9, num_layers=layers, honour_resets=honour_resets))
    x, resets = segment(module, 5, 14, rate=0.15)
    resets[2, 0] = resets[2, 1] = resets[3, 13] = True
    state = tuple(torch.randn(5, layers, 9, dtype=torch.float64, requires_grad=True) for _ in range(2))
    x.requires_grad_()
    if way == "on a GPU":
        with as_on_a_gpu():
            y, end = module(x, resets, state)
    elif way == "on a GPU step by step":
        ys, end = [], state
        with as_on_a_gpu():
            for t in range(x.shape[1]):
                y, end = module(x[:, t : t + 1], resets[:, t : t + 1], end)
                ys.append(y)
        y = torch.cat(ys, 1)
    else:
        y, end = module(x, resets, state)
    target, target_end, parameters = lstm_twin(module, x, resets, state)
    close(y, target, 2e-6)
    for part, expected in zip(end, target_end, strict=True):
        close(part, expected, 2e-6)
    weights_y = torch.randn_like(y)

    def gradients(y, end, parameters):
        loss = (y * weights_y).sum() + end[0].square().sum() + end[1].square().sum()
        return torch.autograd.grad(loss, [x, *state, *parameters])

    own = dict(module.named_parameters())
    found = gradients(y, end, own.values())
    wanted = gradients(target, target_end, [parameters[name] for name in own])
    for gradient, expected in zip(found, wanted, strict=True):
        close(gradient, expected, 2e-6)


def test_single_precision_stays_close():
    torch.manual_seed(0)
    module = LSTMConfig(width=128, num_layers=2).build(128).double()
    x, resets = segment(module, 16, 64, rate=0.02)
    target, _ = module(x, resets, module.initial_state(16))
    module.float()
    y, _ = module(x.float(), resets, module.initial_state(16))
    close(y.double(), target, 2e-6)


def test_extreme_gate_sums_saturate():
    module = build(LSTMConfig(width=4), torch.float32)
    x, resets = segment(module, 2, 5, torch.float32)
    y, (_, cell) = module(1e6 * x, resets, module.initial_state(2))
    assert y.isfinite().all()
    assert cell.isfinite().all()


def test_starts_orthogonal_with_the_forget_gate_open():
    module = LSTMConfig(width=8, num_layers=2).build(8)
    for layer in range(2):
        weight_ih, weight_hh, bias_ih, bias_hh = module.layer_parameters(layer)
        for weight, gain in ((weight_ih, 3.0), (weight_hh, 1.0)):
            for gate in weight.chunk(4):
                close(gate.t() @ gate, gain**2 * torch.eye(8), 1e-5)
        assert (bias_ih.view(4, 8) == torch.tensor([0.0, 1.0, 0.0, 0.0]).unsqueeze(1)).all()
        assert (bias_hh == 0).all()


def test_a_new_lstm_listens_to_its_input():
    """Saturated gates (biases of 1 everywhere) make the output nearly constant, and nothing is learned."""
    torch.manual_seed(0)
    memory = LSTMConfig(width=128, num_layers=2).build(128)
    x = 0.17 * torch.randn(64, 32, 128)
    output, _ = memory(x, torch.zeros(64, 32, dtype=torch.bool), memory.initial_state(64))
    assert float(output[:, -1].std(0).mean().detach()) > 0.05
