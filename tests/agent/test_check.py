"""The check command: keys, configurations in modules of one's own, refusals, and its exit status."""

import json

import pytest

from metta.agent.check import main

MODULE = '''"""A user's own architecture."""

from typing import Literal

from metta.agent.memory.config import NoMemoryConfig
from metta.agent.parts import MemoryConfig
from metta.agent.policies.config import PolicyConfig
from metta.agent.policies.fast import FastConfig


class SumConfig(MemoryConfig):
    kind: Literal["{kind}"] = "{kind}"

    def output_width(self, input_width):
        return input_width

    def build(self, input_width):
        import torch
        from torch import nn

        class Sum(nn.Module):
            extra_inputs = 0

            def initial_state(self, batch, device=None, dtype=None):
                return (torch.zeros(batch, input_width, device=device, dtype=dtype),)

            def forward(self, x, resets, state):
                (total,), outputs = state, []
                for t in range(x.shape[1]):
                    total = total * (~resets[:, t:t + 1]) * 0.9 + x[:, t]
                    outputs.append(total + {offset})
                return torch.stack(outputs, 1), (total,)

        return Sum()


class OwnConfig(FastConfig):
    memory: MemoryConfig = SumConfig()


def own(**changes):
    return OwnConfig(**changes)


NOT_ONE = 3
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name, offset="0.0"):
        (tmp_path / f"{name}.py").write_text(MODULE.format(kind=name, offset=offset))
        return name

    return write


def test_a_configuration_of_ones_own_is_checked(module, capsys):
    name = module("own_sum")
    assert main([f"{name}:OwnConfig"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:8]] == [[str(law), "pass"] for law in range(1, 8)]


def test_a_registered_configuration_by_its_module_is_not_a_copy_of_itself(capsys):
    assert main(["metta.agent.policies.memory_free:MemoryFreeConfig"]) == 0
    assert capsys.readouterr().out.startswith("memory_free\n")


def test_a_broken_law_gives_status_1_and_is_named(module, capsys):
    name = module("own_broken", offset="x.mean()")
    assert main([f"{name}:own", "--json"]) == 1
    result = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)  # Infinity is no JSON
    assert result["passed"] is False
    laws = {law["number"]: law["passed"] for law in result["architectures"][0]["laws"]}
    assert laws == {1: False, 2: False, 3: False, 4: True, 5: True, 6: True, 7: True}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vitt", "did you mean 'vit'"),
        ("no.such.module:Config", "cannot import"),
        (":Config", "is not package.module:Configuration"),
        ("metta.agent.policies.vit:", "is not package.module:Configuration"),
        ("metta.agent.policies.vit:Missing", "has no 'Missing'"),
        ("metta.agent.policies.config:Config", "PolicyConfig"),
    ],
)
def test_unknown_names_are_refused(name, message, capsys):
    assert main([name]) == 2
    assert message in capsys.readouterr().err
