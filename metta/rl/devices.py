"""Where a run computes, and with how many threads."""

import os

import torch

from metta.base.errors import InputError
from metta.rl.config import RunConfig, SystemConfig
from metta.sim.devices import check_cuda


def choose_device(system: SystemConfig) -> torch.device:
    """The device to compute on. Raises InputError when a GPU is asked for and torch sees none."""
    available = torch.cuda.is_available()
    if system.device == "cuda" and not available:
        raise InputError("system.device=cuda, but torch sees no GPU here; allowed: cpu, auto.")
    return torch.device("cuda" if available and system.device != "cpu" else "cpu")


def check_devices(config: RunConfig) -> None:
    """Raises InputError when the policy or the worlds of a run are to be on a GPU and cannot be."""
    choose_device(config.system)
    if config.sim.device == "cuda":
        check_cuda("sim.device=cuda")


def choose_threads(system: SystemConfig) -> int:
    """The number of CPU threads: as configured, or all cores given to this process."""
    return system.threads or len(os.sched_getaffinity(0))
