"""Replays recorded episodes of a reference engine: `uv run python -m metta.sim.conformance PATH...` (files or folders).

`--device cuda` replays them on a GPU.
Prints one line per case: its name, its steps, and "identical" or the first difference. Exit status 0 if all cases
are identical, 1 if one differs, 2 if a path, a file or its configuration cannot be used. docs/simulator.md describes
the files. W worlds (one here), A agents, T steps, M tokens, R resources.
"""

import json
import sys
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from metta.base.addresses import local_path
from metta.base.endings import report_errors
from metta.base.errors import InputError
from metta.base.flags import Parser
from metta.sim.config import SimConfig
from metta.sim.constants import ACTION_NAMES, NUM_RESOURCES
from metta.sim.devices import check_cuda

if TYPE_CHECKING:
    from metta.sim.cuda.env import CudaVectorEnv
    from metta.sim.vector_env import VectorEnv

Device = Literal["cpu", "cuda"]

CONFIG_KEYS = (
    "num_agents",
    "max_steps",
    "episode_truncates",
    "obs_width",
    "obs_height",
    "num_observation_tokens",
    "resource_names",
    "objects",
    "agent",
    "agent_initial_inventory",
    "actions",
    "rounds",
)
"""Keys of a case's JSON that are fields of `SimConfig` under the same name."""

TOKEN_PARTS = ("location", "feature", "value")
STATE_PARTS = ("row", "column", "orientation", "freeze remaining")


@dataclass(frozen=True, eq=False)
class Case:
    """One recorded episode."""

    name: str
    config: SimConfig
    actions: NDArray[np.int32]
    """[T, A]."""
    observations: NDArray[np.uint8]
    """[T+1, A, M, 3]; row 0 is the reset, here and below."""
    rewards: NDArray[np.float32]
    """[T, A]."""
    terminals: NDArray[np.bool_]
    """[T, A]."""
    truncations: NDArray[np.bool_]
    """[T, A]."""
    inventory: NDArray[np.uint8]
    """[T+1, A, R]."""
    agent_state: NDArray[np.int16]
    """[T+1, A, 4] row, column, orientation, freeze remaining."""
    action_success: NDArray[np.bool_]
    """[T, A]."""
    final_inventory: NDArray[np.uint8]
    """[A, R]."""
    final_converters: list[Any]
    """Row, column, name, contents, converting, cooling of each converter in row-major order."""


@dataclass(frozen=True)
class Difference:
    """The first place where a replay differs from its recording."""

    step: int
    """0 is the reset."""
    agent: int | None
    field: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        where = "" if self.agent is None else f", agent {self.agent}"
        return f"step {self.step}{where}, {self.field}: expected {self.expected}, got {self.got}"


def load_case(path: Path) -> Case:
    """Read a recorded case. Raises InputError, one sentence, if the file is not one or asks for what cannot be."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError("it is a single array, not an archive of arrays (.npz)")
            arrays = {name: archive[name] for name in archive.files}
        text = json.loads(str(arrays["config"]))
    except InputError:
        raise
    except KeyError:
        raise InputError("it has no array 'config'") from None
    except json.JSONDecodeError as error:
        raise InputError(f"its config is not JSON ({error})") from None
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"it is not a readable .npz file ({reason})") from None
    if not isinstance(text, dict):
        raise InputError("its config is not a JSON object")
    config = parse_config(text)
    return _checked_case(path.stem, text, config, arrays)


def parse_config(text: Mapping[str, Any]) -> SimConfig:
    """The configuration that a case's JSON describes. Raises InputError."""
    missing = sorted({"map", "legend", "num_agents", "objects", "agent"} - set(text))
    if missing:
        raise InputError(f"its config lacks {', '.join(missing)}")
    names = text.get("action_names", list(ACTION_NAMES))
    if not isinstance(names, list) or tuple(names) != ACTION_NAMES:
        raise InputError(f"its action_names are not the sixteen of this simulator ({', '.join(ACTION_NAMES)})")
    values = {key: text[key] for key in CONFIG_KEYS if key in text}
    values["world"] = {"kind": "fixed", "rows": text["map"], "legend": text["legend"]}
    return SimConfig.parse(values, where="config")


def _checked_case(name: str, text: Mapping[str, Any], config: SimConfig, arrays: dict[str, NDArray[Any]]) -> Case:
    """The case, its arrays of the right type and shape."""
    A, M, R = config.num_agents, config.num_observation_tokens, len(config.resource_names)
    if "actions" not in arrays or arrays["actions"].ndim != 2:
        raise InputError("it has no array 'actions' [T, A]")
    T = len(arrays["actions"])
    wanted: dict[str, tuple[Any, tuple[int, ...]]] = {
        "actions": (np.int32, (T, A)),
        "observations": (np.uint8, (T + 1, A, M, 3)),
        "rewards": (np.float32, (T, A)),
        "terminals": (np.bool_, (T, A)),
        "truncations": (np.bool_, (T, A)),
        "inventory": (np.uint8, (T + 1, A, R)),
        "agent_state": (np.int16, (T + 1, A, 4)),
        "action_success": (np.bool_, (T, A)),
        "final_inventory": (np.uint8, (A, R)),
    }
    found = {}
    for key, (dtype, shape) in wanted.items():
        if key not in arrays:
            raise InputError(f"it has no array {key!r}")
        array = arrays[key]
        if key in ("inventory", "final_inventory") and array.shape == (*shape[:-1], NUM_RESOURCES):
            array = array[..., :R]
        if array.shape != shape or array.dtype != dtype:
            raise InputError(f"its {key} is {array.dtype} {array.shape} instead of {np.dtype(dtype)} {shape}")
        found[key] = np.ascontiguousarray(array)
    converters = text.get("final_converters")
    if not isinstance(converters, list):
        raise InputError("its config has no list 'final_converters'")
    return Case(name=str(text.get("name", name)), config=config, final_converters=converters, **found)


def replay(case: Case, device: Device = "cpu") -> Difference | None:
    """Replay a case; returns the first difference, or None if everything is identical."""
    world = _one_episode(case.config, device)
    world.reset()
    difference = _compare_state(case, world.on_cpu(), 0)
    for step in range(1, len(case.actions) + 1):
        if difference:
            return difference
        world.step(case.actions[step - 1])
        seen = world.on_cpu()
        difference = _compare_state(case, seen, step) or _compare_outcome(case, seen, step)
    return difference or _compare_end(case, world.on_cpu())


def _one_episode(config: SimConfig, device: Device) -> "VectorEnv | CudaVectorEnv":
    """A world that stays as it is when its episode ends, so that its last state can be compared."""
    if device == "cuda":
        from metta.sim.cuda.env import CudaVectorEnv

        class OneEpisodeOnCuda(CudaVectorEnv):
            def _finish(self, first: int, last: int) -> None:
                pass

        return OneEpisodeOnCuda(config, num_worlds=1, seed=0)

    from metta.sim.vector_env import VectorEnv

    class OneEpisode(VectorEnv):
        def _finish(self, first: int, last: int) -> None:
            pass

    return OneEpisode(config, num_worlds=1, seed=0)


def _compare_state(case: Case, world: "VectorEnv", step: int) -> Difference | None:
    """Observations, agents and inventories after a step (0: after the reset)."""
    expected, got = case.observations[step], world.buffers.observations
    if not np.array_equal(expected, got):
        agent, token, part = _first(expected, got)
        tokens = expected[agent, token].tolist(), got[agent, token].tolist()
        return Difference(step, agent, f"token {token} {TOKEN_PARTS[part]}", *tokens)
    expected_state, got_state = case.agent_state[step], world.agent_state(0)
    if not np.array_equal(expected_state, got_state):
        agent, part = _first(expected_state, got_state)
        return Difference(step, agent, STATE_PARTS[part], expected_state[agent, part], got_state[agent, part])
    return _compare_inventory(case, world, step, "inventory", case.inventory[step])


def _compare_inventory(
    case: Case, world: "VectorEnv", step: int, field: str, expected: NDArray[np.uint8]
) -> Difference | None:
    names = case.config.resource_names
    got = world.inventory(0)[:, : len(names)]
    if np.array_equal(expected, got):
        return None
    agent, item = _first(expected, got)
    return Difference(step, agent, f"{field} {names[item]}", expected[agent, item], got[agent, item])


def _compare_outcome(case: Case, world: "VectorEnv", step: int) -> Difference | None:
    """Reward, end and success of a step."""
    pairs = {
        "reward": (case.rewards, world.buffers.rewards),
        "terminal": (case.terminals, world.buffers.terminals),
        "truncation": (case.truncations, world.buffers.truncations),
        "action_success": (case.action_success, world.buffers.action_success),
    }
    for field, (recorded, got) in pairs.items():
        expected = recorded[step - 1]
        if not np.array_equal(expected, got):
            (agent,) = _first(expected, got)
            return Difference(step, agent, field, expected[agent], got[agent])
    return None


def _compare_end(case: Case, world: "VectorEnv") -> Difference | None:
    """What agents hold and how converters stand after the last step."""
    step = len(case.actions)
    difference = _compare_inventory(case, world, step, "final_inventory", case.final_inventory)
    if difference:
        return difference
    got = [list(converter) for converter in world.converters(0)]
    if len(got) != len(case.final_converters):
        return Difference(step, None, "number of final_converters", len(case.final_converters), len(got))
    for i, (expected, actual) in enumerate(zip(case.final_converters, got, strict=True)):
        if expected != actual:
            return Difference(step, None, f"final_converters {i}", expected, actual)
    return None


def _first(expected: NDArray[Any], got: NDArray[Any]) -> tuple[int, ...]:
    """Index of the first element that differs."""
    return tuple(int(i) for i in np.argwhere(expected != got)[0])


def case_paths(paths: Sequence[Path]) -> list[Path]:
    """The case files named by files and folders. Raises InputError for a path without any."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.npz")) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"the folder {path} has no .npz file.")
        if not inside[0].exists():
            raise InputError(f"there is no file or folder {path}.")
        found += inside
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay all cases of the given paths; returns the exit status."""
    return report_errors(lambda: _conformance(arguments))


def _conformance(arguments: Sequence[str] | None) -> int:
    parser = Parser("python -m metta.sim.conformance", "Replay recorded episodes of a reference engine.")
    parser.add_argument("paths", nargs="+", type=local_path, metavar="PATH", help="a case (.npz) or a folder of cases")
    parser.add_argument("--device", choices=get_args(Device), default="cpu", help="where to simulate")
    given = parser.parse_args(arguments)
    files = case_paths(given.paths)
    if given.device == "cuda":
        check_cuda("--device cuda")
    differing = unusable = 0
    for path in files:
        try:
            case = load_case(path)
        except InputError as error:
            print(f"{path}: cannot be replayed: {str(error).rstrip('.')}.")
            unusable += 1
            continue
        difference = replay(case, given.device)
        differing += difference is not None
        print(f"{case.name}: {len(case.actions)} steps, {difference or 'identical'}", flush=True)
    print(f"{len(files)} cases: {len(files) - differing - unusable} identical, {differing} differing", end="")
    print(f", {unusable} not replayable" if unusable else "")
    return 1 if differing else 2 if unusable else 0


if __name__ == "__main__":
    sys.exit(main())
