"""Where a run computes, and with how many threads."""

import os
from dataclasses import fields

import torch
from torch import Tensor

from metta.base.errors import InputError
from metta.rl.config import RunConfig, SystemConfig
from metta.sim.devices import check_cuda
from metta.sim.vector_env import Buffers

MOST_ACTING_SHARES = 4
"""Threads that act on one GPU; all of them need Python's lock to tell it what to do."""


def choose_device(system: SystemConfig) -> torch.device:
    """The device to compute on. Raises InputError when a GPU is asked for and torch sees none."""
    available = torch.cuda.is_available()
    if system.device == "cuda" and not available:
        raise InputError("system.device=cuda, but torch sees no GPU here; allowed: cpu, auto.")
    return torch.device("cuda" if available and system.device != "cpu" else "cpu")


def choose_worlds(config: RunConfig) -> str:
    """Where the worlds of a run are, "cpu" or "cuda": as configured, or where the policy is if they can be there.

    Raises InputError when they are to be on a GPU and cannot be.
    """
    if config.sim.device == "cuda":
        check_cuda("sim.device=cuda")
    if config.sim.device != "auto":
        return config.sim.device
    if choose_device(config.system).type != "cuda":
        return "cpu"
    try:
        check_cuda("sim.device=auto")
    except InputError:
        return "cpu"
    return "cuda"


def check_devices(config: RunConfig) -> None:
    """Raises InputError when the policy or the worlds of a run are to be on a GPU and cannot be."""
    choose_device(config.system)
    choose_worlds(config)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device, without waiting for what that is doing."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def choose_shares(threads: int, device: torch.device, worlds: str) -> tuple[int, int]:
    """How many threads share the worlds, to step and to act in them, and how many share learning.

    With a GPU and worlds on the CPU some threads step worlds while the GPU acts in those of others; learning, and
    worlds on a GPU, are shared out by the GPU itself.

    Args:
        threads: CPU threads to use.
        device: where the policy acts and learns.
        worlds: where the worlds are, "cpu" or "cuda".
    """
    if worlds != "cpu":
        return 1, 1
    return (threads, threads) if device.type == "cpu" else (min(threads, MOST_ACTING_SHARES), 1)


def choose_threads(system: SystemConfig) -> int:
    """The number of CPU threads: as configured, or all cores given to this process."""
    return system.threads or len(os.sched_getaffinity(0))


def pinned(buffers: Buffers) -> Buffers:
    """The same buffers in memory that a GPU copies from while the CPU goes on."""
    copies = {field.name: torch.from_numpy(getattr(buffers, field.name)).pin_memory() for field in fields(Buffers)}
    return Buffers(**{name: copy.numpy() for name, copy in copies.items()})
