"""The batched native API: many worlds, stepped together into arrays of the caller.

W worlds, A agents in a world, N = W*A agent streams (world-major), M tokens of an observation.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from metta.base.errors import RunError
from metta.base.seeding import derive_seed
from metta.sim.config import SimConfig
from metta.sim.constants import HEART, NUM_RESOURCES
from metta.sim.episodes import EpisodeRecord
from metta.sim.map_text import map_characters
from metta.sim.step import start_episodes, step_worlds
from metta.sim.variants import stack_rules, weight_thresholds
from metta.sim.window import window_tables
from metta.sim.world_arrays import (
    AGENT_CODE,
    ANSWER,
    COLUMN,
    CONVERTING,
    COOLING,
    EMPTY_CODE,
    EPISODE,
    FROZEN,
    ITEMS,
    KIND,
    LAST_STEP,
    LIFETIME,
    NUM_CONVERTERS,
    ORIENTATION,
    PLACE,
    RETURN,
    ROW,
    SEED,
    STEP,
    VARIANT,
    WORLD_INDEX,
    fixed_cells,
    make_worlds,
)

NO_MAP = (
    "no random map of this room lets every agent reach one of each converter; "
    "make the room larger or ask for fewer objects"
)


@dataclass(frozen=True, eq=False)
class Buffers:
    """The arrays a `VectorEnv` writes into; `torch.from_numpy` shares them without a copy."""

    observations: NDArray[np.uint8]
    """[N, M, 3] tokens (location, feature, value), 255 where unused."""
    rewards: NDArray[np.float32]
    """[N] reward of the last step."""
    terminals: NDArray[np.bool_]
    """[N] the last step ended the episode."""
    truncations: NDArray[np.bool_]
    """[N] the last step cut the episode off."""
    resets: NDArray[np.bool_]
    """[N] `observations` is the first of an episode."""
    action_success: NDArray[np.bool_]
    """[N] the last action did not fail."""
    final_observations: NDArray[np.uint8]
    """[N, M, 3] last observation of the newest finished episode; written only when one ends."""

    @classmethod
    def allocate(cls, num_streams: int, num_tokens: int) -> "Buffers":
        """New arrays for N streams of M tokens."""
        return cls(
            observations=np.full((num_streams, num_tokens, 3), 255, np.uint8),
            rewards=np.zeros(num_streams, np.float32),
            terminals=np.zeros(num_streams, np.bool_),
            truncations=np.zeros(num_streams, np.bool_),
            resets=np.zeros(num_streams, np.bool_),
            action_success=np.zeros(num_streams, np.bool_),
            final_observations=np.full((num_streams, num_tokens, 3), 255, np.uint8),
        )


class VectorEnv:
    """W worlds of one configuration, stepped together; finished worlds start their next episode by themselves.

    Call `reset` first. A world that ends in a step has that episode's reward and flags in `buffers`, its last
    observation in `final_observations`, and the first observation of its next episode in `observations`.

    A copy (`copy`, `deepcopy`, `pickle`, also into another process or through a fork) goes on exactly as its original,
    in arrays of its own; episodes that were not drained yet are in both.
    """

    def __init__(
        self,
        config: SimConfig,
        *,
        num_worlds: int,
        seed: int,
        threads: int = 1,
        desynchronise: bool = False,
        episode_steps: int | None = None,
        first_world: int = 0,
        buffers: Buffers | None = None,
        variants: Sequence[SimConfig] = (),
    ) -> None:
        """World w of the batch is a function of (config, seed, first_world + w, episode index) alone.

        With variants it is one of these too and of the weights when its episode began.

        Args:
            config: the rules, and where maps come from.
            num_worlds: W, at least 1.
            seed: any integer.
            threads: threads of `step`, at least 1; results do not depend on it.
            desynchronise: give the first episode of each world a random length, reported as a truncation.
            episode_steps: cut every episode off after so many steps, reported as a truncation; None: play to the end.
            first_world: index of the first world, so that environments can share one numbering.
            buffers: arrays to write into; new ones if not given.
            variants: configurations that differ from `config` only in numbers of objects and actions; every episode
                is played by one of them, drawn by `set_variant_weights` (at first all equal). None: by `config`.

        Raises:
            ValueError: a number is out of range, an array of `buffers` has the wrong shape or type, or a variant
                differs in more than numbers.
        """
        if num_worlds < 1 or threads < 1 or first_world < 0:
            raise ValueError("num_worlds and threads must be at least 1, and first_world at least 0")
        if episode_steps is not None and episode_steps < 1:
            raise ValueError("episode_steps must be at least 1, or None")
        self.config = config
        self.num_worlds = num_worlds
        self.num_agents = config.num_agents
        self.num_streams = num_worlds * config.num_agents
        self.first_world = first_world
        self.seed = seed
        self.threads = min(threads, num_worlds)
        self.desynchronise = desynchronise
        self.longest = min(episode_steps or config.max_steps, config.max_steps)
        fresh = Buffers.allocate(self.num_streams, config.num_observation_tokens)
        self.buffers = buffers or fresh
        for field in fields(Buffers):
            given, wanted = getattr(self.buffers, field.name), getattr(fresh, field.name)
            if given.shape != wanted.shape or given.dtype != wanted.dtype or not given.flags.c_contiguous:
                raise ValueError(f"buffers.{field.name} must be a contiguous {wanted.dtype} array {wanted.shape}")
        self._rows = self.buffers.observations.reshape(self.num_streams, -1)
        self.num_variants = max(1, len(variants))
        self.rules = stack_rules(config, variants or (config,))
        self._thresholds = weight_thresholds(np.ones(self.num_variants))
        self.window = window_tables(config.obs_height, config.obs_width, config.map_width)
        self._worlds = make_worlds(config, num_worlds, first_world)
        self._start_cells = np.zeros((num_worlds, config.map_height, config.map_width), np.uint8)
        if not self.rules.random_maps:
            self._start_cells[:] = fixed_cells(config)
        self._names = list(config.objects)
        self._characters = map_characters(config)
        self._episodes: list[EpisodeRecord] = []
        self.started = False
        self._pool: tuple[int, ThreadPoolExecutor] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Everything but views of other arrays, and threads."""
        return {name: value for name, value in vars(self).items() if name not in ("_rows", "_pool")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._rows = self.buffers.observations.reshape(self.num_streams, -1)
        self._pool = None

    def __copy__(self) -> Self:
        return deepcopy(self)  # sharing arrays would mix two games

    @property
    def legend(self) -> dict[str, str]:
        """Character of `map_rows` -> "empty", "agent" or an object's name."""
        return dict(zip(self._characters, ["empty", "agent", *self._names], strict=True))

    def reset(self, seed: int | None = None) -> None:
        """Start episode 0 in every world (of another seed, if given) and write its first observations.

        Raises RunError if a map of the configured room cannot be drawn.
        """
        self.prepare(seed)
        self._start(np.arange(self.num_worlds), np.zeros(self.num_worlds, np.int64), self.desynchronise)
        self.started = True

    def prepare(self, seed: int | None) -> None:
        """What `reset` does before the first episodes start."""
        if seed is not None:
            self.seed = seed
        self._worlds.clock[:, SEED] = derive_seed(self.seed, "worlds")
        self._worlds.clock[:, LIFETIME] = 0
        self._worlds.entities[:, : self.num_agents, PLACE] = np.arange(self.num_agents)
        self._episodes.clear()
        for field in fields(Buffers):
            getattr(self.buffers, field.name)[...] = 0

    def step(self, actions: NDArray[np.int32]) -> None:
        """One step of all worlds with actions int32 [N], on `threads` threads. Errors as `step_worlds`."""
        if self.threads == 1:
            self.step_worlds(actions, 0, self.num_worlds)
            return
        self._check(actions, 0, self.num_worlds)
        if self._pool is None or self._pool[0] != os.getpid():  # threads do not follow into a forked process
            self._pool = os.getpid(), ThreadPoolExecutor(self.threads, "worlds")
        bounds = [self.num_worlds * part // self.threads for part in range(self.threads + 1)]
        before, after = self._arguments()
        ended = self._pool[1].map(lambda share: step_worlds(*before, *share, actions, *after), pairwise(bounds))
        if any([*ended]):
            self._finish(0, self.num_worlds)

    def step_worlds(self, actions: NDArray[np.int32], first: int, last: int) -> None:
        """One step of worlds first..last-1 only; `actions` is int32 [N] of all. Threads may take disjoint ranges.

        Raises:
            ValueError: `actions` is not a contiguous int32 [N], or the range is not inside 0..W.
            RuntimeError: `reset` was not called.
            RunError: the map of a next episode cannot be drawn.
        """
        self._check(actions, first, last)
        before, after = self._arguments()
        if step_worlds(*before, first, last, actions, *after):
            self._finish(first, last)

    def _arguments(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Of the kernel `step_worlds`, before the worlds and after the actions."""
        b = self.buffers
        after = (self._rows, b.rewards, b.terminals, b.truncations, b.resets, b.action_success)
        return (self.rules, self._worlds, self.window), after

    def _check(self, actions: NDArray[np.int32], first: int, last: int) -> None:
        if actions.shape != (self.num_streams,) or actions.dtype != np.int32 or not actions.flags.c_contiguous:
            raise ValueError(f"actions must be a contiguous int32 array [{self.num_streams}]")
        if not 0 <= first <= last <= self.num_worlds:
            raise ValueError(f"worlds {first}..{last} are not inside 0..{self.num_worlds}")
        if not self.started:
            raise RuntimeError("call reset before the first step")

    def _finish(self, first: int, last: int) -> None:
        """Record the episodes that ended in worlds first..last-1 and start the next ones."""
        clock = self._worlds.clock
        done = first + np.flatnonzero(clock[first:last, STEP] >= clock[first:last, LAST_STEP])
        for w in done.tolist():
            streams = self._streams(w)
            self.buffers.final_observations[streams] = self.buffers.observations[streams]
            self._episodes.append(self._record(w))
        self._start(done, clock[done, EPISODE] + 1, False)

    def _start(self, chosen: NDArray[np.int64], episodes: NDArray[np.int64], random_length: bool) -> None:
        rules = self.rules
        failed = start_episodes(
            rules,
            self._worlds,
            self.window,
            self._start_cells,
            self._thresholds,
            chosen,
            episodes,
            self.longest,
            random_length,
            self._rows,
            np.zeros(self.num_agents, np.float32),
            self.buffers.resets,
            self.scratch(1)[0],
        )
        if failed >= 0:
            raise RunError(NO_MAP)

    def scratch(self, count: int) -> NDArray[np.int32]:
        """[count, 2 * H * V + K] what so many starts of episodes at once need besides the worlds."""
        return np.empty((count, 2 * self.rules.height * self.rules.width + len(self._names)), np.int32)

    def _record(self, w: int) -> EpisodeRecord:
        worlds = self._worlds
        cut = bool(self.buffers.truncations[w * self.num_agents])
        return self.record(
            worlds.clock[w], self._start_cells[w], worlds.account[w], worlds.entities[w], worlds.counters[w], cut
        )

    def record(
        self,
        clock: NDArray[np.int64],
        start_cells: NDArray[np.uint8],
        account: NDArray[np.float64],
        entities: NDArray[np.int32],
        counters: NDArray[np.int32],
        truncated: bool | np.bool_,
    ) -> EpisodeRecord:
        """The record of a finished episode, of the arrays of its world (see world_arrays.py) and its start map."""
        numbers = clock.tolist()
        return EpisodeRecord(
            world=numbers[WORLD_INDEX],
            episode=numbers[EPISODE],
            seed=self.seed,
            variant=numbers[VARIANT],
            map_hash=hashlib.blake2b(start_cells.tobytes(), digest_size=8).hexdigest(),
            start_cells=start_cells.copy(),
            characters=self._characters,
            finished_at=numbers[LIFETIME],
            length=numbers[STEP],
            terminated=not truncated,
            truncated=bool(truncated),
            returns=account[:, RETURN].copy(),
            final_inventory=entities[: self.num_agents, ITEMS : ITEMS + NUM_RESOURCES].astype(np.uint8),
            counters=counters.astype(np.int64),
        )

    def add_episodes(self, records: Iterable[EpisodeRecord]) -> None:
        """Have `drain_episodes` return these, too."""
        self._episodes += records

    def drain_episodes(self) -> list[EpisodeRecord]:
        """Records of the episodes that ended since the last call, ordered by (finished_at, world)."""
        drained, self._episodes = self._episodes, []
        return sorted(drained, key=lambda record: (record.finished_at, record.world))

    def on_cpu(self) -> "VectorEnv":
        """Itself; worlds on a GPU are copied here for looking at them (see cuda/env.py)."""
        return self

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Copies of everything that the next steps depend on, buffers included; episodes not drained are not."""
        state = {name: array.copy() for name, array in self.state_arrays().items()}
        state["started"] = np.array(self.started)
        # As decimal digits: a seed may be any integer, and trainers store only arrays of numbers.
        state["run_seed"] = np.frombuffer(str(self.seed).encode("ascii"), np.uint8).copy()
        return state

    def state_arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of the state themselves, by name."""
        arrays = {f"worlds.{name}": array for name, array in self._worlds._asdict().items()}
        arrays |= {f"buffers.{field.name}": getattr(self.buffers, field.name) for field in fields(Buffers)}
        return arrays | {"start_cells": self._start_cells, "variant_thresholds": self._thresholds}

    def load_state_dict(self, state: dict[str, NDArray[Any]]) -> None:
        """Continue exactly where `state_dict` was taken, in an environment of the same configuration and size.

        Raises ValueError, with nothing changed, if an array is missing or has another shape or type.
        """
        own = self.state_arrays()
        if set(state) != {*own, "started", "run_seed"}:
            raise ValueError("this is not the state of a VectorEnv of this version")
        for name, array in own.items():
            if state[name].shape != array.shape or state[name].dtype != array.dtype:
                raise ValueError(
                    f"{name} is {state[name].dtype} {state[name].shape} in the state, but {array.dtype} "
                    f"{array.shape} here: the state is of another configuration or number of worlds"
                )
        for name, array in own.items():
            array[...] = state[name]
        self.started = bool(state["started"])
        self.seed = int(state["run_seed"].tobytes().decode("ascii"))
        self._episodes.clear()

    def set_variant_weights(self, weights: NDArray[np.float64]) -> None:
        """Draw the variants of all episodes that begin from now on with these weights [V]; not during a step.

        Raises ValueError for another number of weights, a negative or infinite one, or none above 0.
        """
        if weights.shape != (self.num_variants,):
            raise ValueError(f"{weights.size} weights for {self.num_variants} variants")
        self._thresholds[:] = weight_thresholds(weights)

    def variant(self, world: int) -> int:
        """Variant that the current episode is played by."""
        return int(self._worlds.clock[world, VARIANT])

    def inventory(self, world: int) -> NDArray[np.uint8]:
        """[A, 10] items held now."""
        held = self._worlds.entities[world, : self.num_agents, ITEMS : ITEMS + NUM_RESOURCES]
        return held.astype(np.uint8)

    def hearts(self, world: int) -> NDArray[np.uint8]:
        """[A] hearts held now."""
        return self.inventory(world)[:, HEART]

    def agent_state(self, world: int) -> NDArray[np.int16]:
        """[A, 4] row, column, orientation, freeze remaining."""
        columns = [ROW, COLUMN, ORIENTATION, FROZEN]
        return self._worlds.entities[world, : self.num_agents][:, columns].astype(np.int16)

    def converters(self, world: int) -> list[tuple[int, int, str, dict[str, int], bool, bool]]:
        """Row, column, name, contents, converting, cooling of each converter in row-major order."""
        names, listed = self.config.resource_names, []
        count = int(self._worlds.clock[world, NUM_CONVERTERS])
        for entity in self._worlds.entities[world, self.num_agents : self.num_agents + count].tolist():
            contents = {name: entity[ITEMS + item] for item, name in enumerate(names) if entity[ITEMS + item]}
            busy = bool(entity[CONVERTING]), bool(entity[COOLING])
            listed.append((entity[ROW], entity[COLUMN], self._names[entity[KIND]], contents, *busy))
        return listed

    def start_rows(self, world: int) -> list[str]:
        """The map at the start of the current episode."""
        return self._text(self._start_cells[world])

    def map_rows(self, world: int) -> list[str]:
        """The map as it is now, one character per cell (`legend` names them)."""
        codes = self._start_cells[world].copy()
        codes[codes == AGENT_CODE] = EMPTY_CODE
        for row, column, _, _ in self.agent_state(world).tolist():
            codes[row, column] = AGENT_CODE
        return self._text(codes)

    def _text(self, codes: NDArray[np.uint8]) -> list[str]:
        return ["".join(self._characters[code] for code in row) for row in codes.tolist()]

    def action_order(self, world: int) -> NDArray[np.int32]:
        """[A] the permutation of the agents in the last step."""
        order: NDArray[np.int32] = self._worlds.entities[world, : self.num_agents, PLACE].copy()
        return order

    def answers(self, world: int) -> NDArray[np.int32]:
        """[A] the action that pays in each agent's round, PUT_ITEMS or GET_ITEMS; only where there are rounds."""
        answers: NDArray[np.int32] = self._worlds.entities[world, : self.num_agents, ANSWER].copy()
        return answers

    def steps(self, world: int) -> int:
        """Steps of the current episode made so far."""
        return int(self._worlds.clock[world, STEP])

    def episode(self, world: int) -> int:
        """Index of the current episode, from 0."""
        return int(self._worlds.clock[world, EPISODE])

    def _streams(self, world: int) -> slice:
        return slice(world * self.num_agents, (world + 1) * self.num_agents)
