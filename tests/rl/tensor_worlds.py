"""Worlds of the CPU in the shape of those on a GPU: what they show are tensors, and a step is only queued."""

from dataclasses import fields

import torch
from torch import Tensor

from metta.sim.cuda.env import DeviceBuffers
from metta.sim.vector_env import VectorEnv


class TensorWorlds:
    """What `DeviceCollector` needs of a `CudaVectorEnv`, from a `VectorEnv`."""

    def __init__(self, env: VectorEnv) -> None:
        self.env = env
        self.num_streams, self.longest = env.num_streams, env.longest
        buffers = {field.name: torch.from_numpy(getattr(env.buffers, field.name)) for field in fields(DeviceBuffers)}
        self.buffers = DeviceBuffers(**buffers)
        self.changed = [torch.from_numpy(array) for array in env.state_arrays().values()]
        self.steps = 0

    def queue_step(self, actions: Tensor) -> None:
        """Done at once."""
        self.env.step(actions.to(torch.int32).numpy())

    def made_steps(self, steps: int) -> None:
        """Count them."""
        self.steps += steps
