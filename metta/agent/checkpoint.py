"""A policy on disk: weights in safetensors beside its configuration in JSON, and back from these two files alone.

policy.safetensors    every parameter by name
policy.json           {"architecture": key, "policy": configuration, "spec": environment}
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from metta.agent.policies.config import PolicyConfig
from metta.agent.policy import Policy
from metta.agent.spec import EnvironmentSpec
from metta.base.errors import InputError
from metta.base.files import disk_faults, read_json, write_json
from metta.base.run_files import POLICY_RECORD, POLICY_WEIGHTS

WEIGHTS, RECORD = POLICY_WEIGHTS, POLICY_RECORD


class SavedPolicy(NamedTuple):
    """What a checkpoint holds."""

    policy: Policy
    config: PolicyConfig
    architecture: str


def policy_tensors(policy: Policy) -> dict[str, Tensor]:
    """The parameters by name, on the CPU and contiguous, as safetensors wants them."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in policy.state_dict().items()}


def policy_record(config: PolicyConfig, spec: EnvironmentSpec, architecture: str) -> dict[str, Any]:
    """What besides the weights is needed to build the policy again, as plain data."""
    return {
        "architecture": architecture,
        "policy": config.model_dump(mode="json"),
        "spec": spec.model_dump(mode="json"),
    }


def rebuild_policy(tensors: Mapping[str, Tensor], record: Mapping[str, Any], where: str) -> SavedPolicy:
    """The policy of a checkpoint, on the CPU.

    Args:
        tensors: as `policy_tensors` gave them.
        record: as `policy_record` gave it.
        where: the checkpoint's name in error messages.

    Raises:
        InputError: something is missing, unknown or does not fit.
    """
    missing = [key for key in ("architecture", "policy", "spec") if key not in record]
    if missing:
        raise InputError(f"{where} is not the record of a policy: it lacks {', '.join(missing)}.")
    spec = EnvironmentSpec.parse(record["spec"], f"{where}: spec")
    config = PolicyConfig.parse(record["policy"], f"{where}: policy")
    policy = config.build(spec, seed=0)
    refuse_unfit(policy.state_dict(), tensors, where)
    policy.load_state_dict(tensors)
    return SavedPolicy(policy, config, str(record["architecture"]))


def save_policy(folder: Path, policy: Policy, config: PolicyConfig, architecture: str) -> None:
    """Write both files into an existing folder. Raises InputError or RunError when that is impossible."""
    with disk_faults(folder, "write the policy to"):
        save_file(policy_tensors(policy), folder / WEIGHTS)
    write_json(folder / RECORD, policy_record(config, policy.spec, architecture))


def load_policy(folder: Path) -> SavedPolicy:
    """Read what `save_policy` wrote. Raises InputError when a file is missing, damaged or does not fit."""
    record = read_json(folder / RECORD)
    try:
        tensors = load_file(folder / WEIGHTS)
    except OSError as error:
        raise InputError(f"cannot read {folder / WEIGHTS}: {error.strerror or error}.") from None
    except SafetensorError as error:
        raise InputError(f"{folder / WEIGHTS} is damaged: {error}.") from None
    return rebuild_policy(tensors, record, str(folder))


def refuse_unfit(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], where: str) -> None:
    """Raise InputError unless names and shapes agree."""
    for name, tensor in expected.items():
        if name not in found:
            raise InputError(f"the weights in {where} do not fit their configuration: {name} is missing.")
        if found[name].shape != tensor.shape:
            shapes = f"{list(found[name].shape)}, not {list(tensor.shape)}"
            raise InputError(f"the weights in {where} do not fit their configuration: {name} is {shapes}.")
    unknown = sorted(found.keys() - expected.keys())
    if unknown:
        raise InputError(f"the weights in {where} do not fit their configuration: {unknown[0]} has no place in it.")
