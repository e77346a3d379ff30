"""Many worlds on a GPU: what `VectorEnv` does, with worlds, observations and the starts of episodes on the device.

The rules are those of the CPU, compiled once more (functions.py, kernels.py); every number is the same. What
a step shows are tensors that are already where a policy computes. A step waits for nothing: finished episodes stay on
the device until somebody asks for them.
W worlds, A agents in a world, N = W * A agent streams (world-major), M tokens of an observation.
"""

import os
import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Self

import numpy as np
import torch
from numba import cuda
from numpy.typing import NDArray
from torch import Tensor

from metta.base.errors import RunError
from metta.sim.config import SimConfig
from metta.sim.cuda.functions import SIMULATED
from metta.sim.cuda.kernels import Ended, Shown, Starts, change_worlds, show_start, show_step, start_ended
from metta.sim.episodes import NUM_COUNTERS, EpisodeRecord
from metta.sim.vector_env import NO_MAP, Buffers, VectorEnv
from metta.sim.world_arrays import CLOCK_COLUMNS, ENTITY_COLUMNS, STEP, Worlds

DEVICE = torch.device("cpu" if SIMULATED else "cuda")
WORLD_THREADS = 32
"""Threads of a block where each has a world: few, so that the worlds spread over the whole GPU."""
AGENT_THREADS = 128
"""Threads of a block where each has an agent."""


# Numba warns of few blocks: a small batch is slow on any GPU, but nothing is wrong with it.
warnings.filterwarnings("ignore", message="Grid size")


@dataclass(frozen=True, eq=False)
class DeviceBuffers:
    """The tensors a `CudaVectorEnv` writes into: what `vector_env.Buffers` describes, on the device."""

    observations: Tensor
    rewards: Tensor
    terminals: Tensor
    truncations: Tensor
    resets: Tensor
    action_success: Tensor
    final_observations: Tensor


class CudaVectorEnv:
    """W worlds of one configuration, stepped together on a GPU; apart from where things are, a `VectorEnv`.

    Not for several threads at once, and no views of single worlds: `on_cpu` has those. Copies go on like those of a
    `VectorEnv`, except that a forked process cannot use the GPU.
    """

    def __init__(
        self,
        config: SimConfig,
        *,
        num_worlds: int,
        seed: int,
        desynchronise: bool = False,
        episode_steps: int | None = None,
        first_world: int = 0,
        variants: Sequence[SimConfig] = (),
    ) -> None:
        """Arguments and errors as of `VectorEnv`."""
        host = VectorEnv(
            config,
            num_worlds=num_worlds,
            seed=seed,
            desynchronise=desynchronise,
            episode_steps=episode_steps,
            first_world=first_world,
            variants=variants,
        )
        self._build(host)

    def _build(self, host: VectorEnv) -> None:
        """Put the worlds of `host` on the device."""
        self._host, self._process = host, os.getpid()
        num_worlds, config = host.num_worlds, host.config
        self.config = config
        self.num_worlds, self.num_agents, self.num_streams = num_worlds, config.num_agents, self._host.num_streams
        self._state = {name: on_device(array) for name, array in self._host.state_arrays().items()}
        self.buffers = DeviceBuffers(**{field.name: self._state[f"buffers.{field.name}"] for field in fields(Buffers)})
        self._actions = on_device(np.zeros(self.num_streams, np.int32))
        self._failed = on_device(np.zeros(1, np.int32))
        self._ended = _no_episodes(num_worlds, config)
        self._fetched = [_in_reach(part) for part in (*self._ended, self._failed)]
        self._steps_since_fetch = 0
        # The same memory as kernels take it.
        self._worlds = Worlds(**{name: view(self._state[f"worlds.{name}"]) for name in Worlds._fields})
        self._shown = Shown(
            **{field.name: view(_rows(getattr(self.buffers, field.name))) for field in fields(DeviceBuffers)}
        )
        self._starts = Starts(
            start_cells=view(self._state["start_cells"]),
            thresholds=view(self._state["variant_thresholds"]),
            scratch=view(on_device(self._host.scratch(num_worlds))),
            failed=view(self._failed),
        )
        self._fixed = copied(self._host.rules), self._worlds, copied(self._host.window), self._shown
        self._kept = Ended(*map(view, self._ended))
        self._given = view(self._actions)

    def __getstate__(self) -> VectorEnv:
        self._fetch()
        return self.on_cpu()

    def __setstate__(self, host: VectorEnv) -> None:
        self._build(host)

    def __copy__(self) -> Self:
        return deepcopy(self)

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise RuntimeError(
                "a forked process cannot use worlds on a GPU: start processes with spawn and pickle the worlds."
            )

    def reset(self, seed: int | None = None) -> None:
        """Start episode 0 in every world (of another seed, if given) and write its first observations.

        Raises RunError if a map of the configured room cannot be drawn.
        """
        self._check_process()
        self.on_cpu().prepare(seed)
        self._upload()
        self._start(0, self.num_worlds, afresh=True)
        self._check_maps()
        self._host.started = True

    def step(self, actions: Tensor | NDArray[np.int32]) -> None:
        """One step of all worlds with actions int32 [N], best a tensor on the device. Errors as `step_worlds`."""
        self.step_worlds(actions, 0, self.num_worlds)

    def step_worlds(self, actions: Tensor | NDArray[np.int32], first: int, last: int) -> None:
        """One step of worlds first..last-1 only; `actions` is int32 [N] of all. Returns before the GPU is done.

        Raises:
            ValueError: `actions` is not an int32 [N], or the range is not inside 0..W.
            RuntimeError: `reset` was not called, or this process was forked.
            RunError: the map of an episode could not be drawn, in this step or one of the last ones.
        """
        given = torch.as_tensor(actions)
        if given.shape != (self.num_streams,) or given.dtype != torch.int32:
            raise ValueError(f"actions must be an int32 array or tensor [{self.num_streams}]")
        if not 0 <= first <= last <= self.num_worlds:
            raise ValueError(f"worlds {first}..{last} are not inside 0..{self.num_worlds}")
        if not self._host.started:
            raise RuntimeError("call reset before the first step")
        self._check_process()
        self.queue_step(given, first, last)
        self.made_steps(1)

    def queue_step(self, actions: Tensor, first: int = 0, last: int | None = None) -> None:
        """What `step_worlds` asks the GPU for and nothing else, so that it can be recorded in a CUDA graph.

        Whoever plays it back calls `made_steps`. To be called once before it is recorded, to be compiled.

        Args:
            actions: [N] of any integers, on the device.
            first: first world.
            last: the one behind the last world; None: all.
        """
        last = self.num_worlds if last is None else last
        self._actions.copy_(actions)
        launch(change_worlds, WORLD_THREADS, last - first, *self._fixed, self._given, first, last)
        launch(show_step, AGENT_THREADS, (last - first) * self.num_agents, *self._fixed, first, last)
        self._finish(first, last)

    def made_steps(self, steps: int) -> None:
        """Keep account of so many steps at a time, no more than an episode has; may fetch what ended in them."""
        # Episodes of one world end at least `longest` steps apart, so none is overwritten before it is fetched.
        self._steps_since_fetch += steps
        if self._steps_since_fetch + steps > self._host.longest:
            self._fetch()

    @property
    def longest(self) -> int:
        """Steps of the longest episode, which are also the fewest between the ends of two episodes of one world."""
        return self._host.longest

    @property
    def changed(self) -> list[Tensor]:
        """All that a step changes in place on the device."""
        return [*self._state.values(), *self._ended, self._failed, self._actions]

    def _finish(self, first: int, last: int) -> None:
        """Keep the episodes that ended in worlds first..last-1 and start the next ones."""
        self._start(first, last, afresh=False)

    def _start(self, first: int, last: int, afresh: bool) -> None:
        """The same; afresh: start episode 0 of all instead."""
        random_length = afresh and self._host.desynchronise
        how = (first, last, self._host.longest, random_length, afresh)
        launch(start_ended, WORLD_THREADS, last - first, *self._fixed, self._starts, self._kept, *how)
        launch(show_start, AGENT_THREADS, (last - first) * self.num_agents, *self._fixed, first, last, afresh)

    def _check_maps(self) -> None:
        if self._failed.item():
            raise RunError(NO_MAP)

    def _fetch(self) -> None:
        """Make records of the finished episodes on the device; waits for it once."""
        self._steps_since_fetch = 0
        for own, part in zip(self._fetched, (*self._ended, self._failed), strict=True):
            own.copy_(part, non_blocking=True)
        self._ended.clock.zero_()
        if not SIMULATED:
            torch.cuda.current_stream().synchronize()
        *columns, failed = (part.numpy() for part in self._fetched)
        if failed[0]:
            raise RunError(NO_MAP)
        for world in np.flatnonzero(columns[0][:, STEP]).tolist():
            self._host.add_episodes([self._host.record(*(column[world] for column in columns))])

    def drain_episodes(self) -> list[EpisodeRecord]:
        """Records of the episodes that ended since the last call, ordered by (finished_at, world).

        Raises RunError if the map of an episode could not be drawn.
        """
        self._fetch()
        return self._host.drain_episodes()

    def on_cpu(self) -> VectorEnv:
        """These worlds as they are now, for looking at them; the next call writes over it.

        What has ended is not in it: drain episodes here.
        """
        for name, array in self._host.state_arrays().items():
            array[...] = self._state[name].cpu().numpy()
        return self._host

    def _upload(self) -> None:
        """Make the worlds on the device those on the CPU; episodes not drained are forgotten."""
        for name, array in self._host.state_arrays().items():
            self._state[name].copy_(torch.from_numpy(array))
        self._ended.clock.zero_()
        self._failed.zero_()
        self._steps_since_fetch = 0

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """As of `VectorEnv`, which can load it, too."""
        return self.on_cpu().state_dict()

    def load_state_dict(self, state: dict[str, NDArray[Any]]) -> None:
        """Continue exactly where `state_dict` was taken, on whichever device. Errors as of `VectorEnv`."""
        self._host.load_state_dict(state)
        self._upload()

    def set_variant_weights(self, weights: NDArray[np.float64]) -> None:
        """Draw the variants of all episodes that begin from now on with these weights [V]. Errors as of `VectorEnv`."""
        self._host.set_variant_weights(weights)
        name = "variant_thresholds"
        self._state[name].copy_(torch.from_numpy(self._host.state_arrays()[name]))


def on_device(array: NDArray[Any]) -> Tensor:
    """A copy of an array in the device's memory."""
    return torch.from_numpy(array.copy()).to(DEVICE)


def _in_reach(tensor: Tensor) -> Tensor:
    """Memory of the CPU for a tensor of the device, of the kind that is copied to while both go on."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=not SIMULATED)


def view(tensor: Tensor) -> Any:
    """A tensor's memory as a kernel takes it; keeps the tensor alive."""
    return tensor.numpy() if SIMULATED else cuda.as_cuda_array(tensor)


def copied(numbers: Any) -> Any:
    """A named tuple (`Rules`, `Window`) with its arrays on the device."""
    return type(numbers)(*(view(on_device(part)) if isinstance(part, np.ndarray) else part for part in numbers))


def launch(kernel: Any, most_threads: int, count: int, *arguments: Any) -> None:
    """Run a kernel with at least `count` threads behind what torch has asked the GPU for so far."""
    if count:
        threads = min(most_threads, count)
        kernel[-(-count // threads), threads, _stream()](*arguments)


def _stream() -> Any:
    """The queue of work that torch uses now, as numba takes it; 0 is the default one of both."""
    handle = 0 if SIMULATED else torch.cuda.current_stream().cuda_stream
    return _external_stream(handle) if handle else 0


@lru_cache
def _external_stream(handle: int) -> Any:
    return cuda.external_stream(handle)


def _rows(tensor: Tensor) -> Tensor:
    """Observations [N, M, 3] as [N, 3 * M], anything else as it is."""
    return tensor.reshape(len(tensor), -1) if tensor.ndim == 3 else tensor


def _no_episodes(num_worlds: int, config: SimConfig) -> Ended:
    """Room for one finished episode per world, as tensors."""
    W, A = num_worlds, config.num_agents
    return Ended(
        clock=on_device(np.zeros((W, CLOCK_COLUMNS), np.int64)),
        start_cells=on_device(np.zeros((W, config.map_height, config.map_width), np.uint8)),
        account=on_device(np.zeros((W, A, 2))),
        entities=on_device(np.zeros((W, A, ENTITY_COLUMNS), np.int32)),
        counters=on_device(np.zeros((W, A, NUM_COUNTERS), np.int32)),
        truncated=on_device(np.zeros(W, np.bool_)),
    )
