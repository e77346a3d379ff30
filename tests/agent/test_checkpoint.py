"""Policies on disk: exact round trips for every architecture, and refusals of what does not fit."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from metta.agent.checkpoint import load_policy, save_policy
from metta.agent.policies.vit import ViTDefaultConfig
from metta.agent.spec import arena_spec
from metta.base.errors import InputError

CONFIG = ViTDefaultConfig()


@pytest.fixture
def folder(tmp_path):
    save_policy(tmp_path, CONFIG.build(arena_spec(), seed=3), CONFIG, "vit")
    return tmp_path


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_round_trip(name, tmp_path):
    config = ARCHITECTURES[name]
    policy = config.build(arena_spec(), seed=3)
    save_policy(tmp_path, policy, config, name)
    saved = load_policy(tmp_path)
    assert saved.architecture == name
    assert saved.config.model_dump() == config.model_dump()
    assert saved.policy.spec == policy.spec
    for key, tensor in policy.state_dict().items():
        assert torch.equal(tensor, saved.policy.state_dict()[key])


def change_record(folder, change):
    path = folder / "policy.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def change_weights(folder, change):
    path = folder / "policy.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.pop("spec"), "it lacks spec"),
        (lambda record: record["policy"]["memory"].update(kind="unheard"), "unknown memory kind 'unheard'"),
        (lambda record: record["policy"].update(colour=3), "unknown key 'colour'"),
        (lambda record: record["policy"]["memory"].update(width=48), "do not fit their configuration"),
        (
            lambda record: record["policy"]["memory"].update(size=48),
            "policy.memory.size'.*Allowed here: .*input_gain",
        ),
        (lambda record: record["spec"].update(action_names=[]), "action_names"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(folder, change, message):
    change_record(folder, change)
    with pytest.raises(InputError, match=message):
        load_policy(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("encoder.latents"), "encoder.latents is missing"),
        (lambda weights: weights.update(extra=torch.ones(1)), "extra has no place"),
        (lambda weights: weights.update({"encoder.latents": torch.ones(3, 4)}), r"encoder.latents is \[3, 4\], not"),
    ],
)
def test_weights_that_do_not_fit_are_refused(folder, change, message):
    change_weights(folder, change)
    with pytest.raises(InputError, match=message):
        load_policy(folder)


def test_missing_and_damaged_files_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        load_policy(tmp_path / "elsewhere")
    (folder / "policy.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(InputError, match="damaged"):
        load_policy(folder)
    (folder / "policy.safetensors").unlink()
    with pytest.raises(InputError, match="cannot read"):
        load_policy(folder)
    (folder / "policy.json").write_text("[1, 2")
    with pytest.raises(InputError, match="damaged"):
        load_policy(folder)
