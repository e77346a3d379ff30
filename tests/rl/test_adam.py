"""Adam is torch's, bit for bit, also after it was stopped and continued, without the import that torch's costs."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from metta.rl.adam import Adam
from metta.rl.config import TrainerConfig

CONFIG = TrainerConfig(learning_rate=0.01)


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    shapes: list[tuple[int, ...]] = [(7, 5), (33,), ()]
    transposed = torch.randn(4, 6, generator=generator).t()
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes] + [nn.Parameter(transposed)]


def gradients(step: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(step + 1)
    return [torch.randn(parameter.shape, generator=generator) for parameter in parameters()]


def test_it_is_torchs() -> None:
    own, plain = parameters(), parameters()
    for parameter in plain:
        parameter.data = parameter.data.contiguous()
    adam = Adam(own, CONFIG)
    reference = torch.optim.Adam(
        plain, lr=CONFIG.learning_rate, betas=(CONFIG.beta1, CONFIG.beta2), eps=CONFIG.adam_eps, fused=True
    )
    for step in range(20):
        adam.step(gradients(step), CONFIG.learning_rate)
        for parameter, gradient in zip(plain, gradients(step), strict=True):
            parameter.grad = gradient
        reference.step()
        assert all(torch.equal(a, b) for a, b in zip(own, plain, strict=True))
    for index, moments in reference.state_dict()["state"].items():
        for name, moment in moments.items():
            assert torch.equal(adam.state_dict()[f"{index}/{name}"], moment)


def test_it_can_be_told_on_the_device_not_to_step() -> None:
    own, other = parameters(), parameters()
    adam, plain = Adam(own, CONFIG), Adam(other, CONFIG)
    for step in range(3):
        adam.step(gradients(step), CONFIG.learning_rate, torch.zeros(()))
        plain.step(gradients(step), CONFIG.learning_rate)
    adam.step(gradients(3), CONFIG.learning_rate, torch.ones(()))
    assert all(torch.equal(a, b) for a, b in zip(own, other, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(adam.state_dict().values(), plain.state_dict().values(), strict=True))


def test_it_continues_where_it_was() -> None:
    whole, parts = parameters(), parameters()
    first, second = Adam(whole, CONFIG), Adam(parts, CONFIG)
    for step in range(3):
        first.step(gradients(step), CONFIG.learning_rate)
        second.step(gradients(step), CONFIG.learning_rate)
    saved = {name: moment.clone() for name, moment in second.state_dict().items()}
    third = Adam(parts, CONFIG)
    third.load_state_dict(saved)
    first.step(gradients(3), CONFIG.learning_rate)
    third.step(gradients(3), CONFIG.learning_rate)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_a_missing_moment_changes_nothing() -> None:
    adam = Adam(parameters(), CONFIG)
    with pytest.raises(KeyError):
        adam.load_state_dict({"0/step": torch.ones(())})
    assert not adam.state_dict()["0/step"]


def test_training_does_not_import_the_compiler(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from metta.rl.trainer import train\n"
        "from tests.rl.small_run import small_run\n"
        f"train(small_run(updates=1), Path({str(tmp_path)!r}))\n"
        "sys.exit('torch._dynamo' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "metrics.jsonl").exists()
