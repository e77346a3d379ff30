"""Worlds on a GPU do what worlds on the CPU do, number for number.

tests/sim/test_cuda.py runs this file in numba's simulator of CUDA; where there is a GPU, run it there as well:
`uv run --group cuda pytest tests/sim/cuda_cases.py`. Not collected otherwise.
"""

import copy
import json
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from metta.agent.state import leaves
from metta.base.errors import RunError
from metta.rl.checkpoint import newest_sound
from metta.rl.device_rollout import DeviceCollector, make_collector
from metta.rl.recording import CudaGraphs, Play, Recordings, plainly
from metta.rl.shards import Shards
from metta.rl.trainer import action_uniforms, initial_policy, train
from metta.rl.update import make_learner, update
from metta.sim.config import RoomConfig, RoundsConfig, SimConfig
from metta.sim.conformance import load_case, main, replay
from metta.sim.cuda.env import DEVICE, CudaVectorEnv
from metta.sim.cuda.functions import SIMULATED, device_form
from metta.sim.map_generation import draw_room
from metta.sim.vector_env import VectorEnv
from tests.rl.overwriting import Overwriting
from tests.rl.small_run import small_run
from tests.sim.test_variants import VARIANTS
from tests.sim.test_vector_env import CONFIG, actions

CASES = sorted((Path(__file__).parent.parent / "data" / "conformance").glob("*.npz"))
SHORT = 60
"""Most steps of a recorded case that is short."""

# Simulated threads are Python's, whose scalar arithmetic warns of the overflows that random numbers are made of.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")


def pair(config: SimConfig = CONFIG, **options: Any) -> tuple[VectorEnv, CudaVectorEnv]:
    """The same worlds on the CPU and on the device, reset."""
    cpu, device = (kind(config, seed=3, **{"num_worlds": 2, **options}) for kind in (VectorEnv, CudaVectorEnv))
    cpu.reset()
    device.reset()
    assert_same(cpu, device)
    return cpu, device


def changed(**values: Any) -> SimConfig:
    """The usual configuration with other values."""
    return CONFIG.model_copy(update=values)


def assert_same(cpu: VectorEnv, device: CudaVectorEnv) -> None:
    """Every byte of the worlds, of what they show and of the random streams is the same."""
    expected, found = cpu.state_dict(), device.state_dict()
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        assert (array.dtype, array.shape) == (found[name].dtype, found[name].shape), name
        assert array.tobytes() == found[name].tobytes(), name


def assert_same_episodes(cpu: VectorEnv, device: CudaVectorEnv) -> int:
    """The records of finished episodes agree; returns how many there were."""
    expected, found = cpu.drain_episodes(), device.drain_episodes()
    assert [record.as_dict() for record in expected] == [record.as_dict() for record in found]
    return len(expected)


def whole(path: Path) -> Any:
    """A case as a parameter; the long ones take half a minute in the simulator."""
    long = SIMULATED and len(load_case(path).actions) > SHORT
    return pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if long else [])


@pytest.mark.parametrize("path", [whole(path) for path in CASES])
def test_replays_identically(path: Path) -> None:
    assert replay(load_case(path), "cuda") is None


@pytest.mark.parametrize("path", [path for path in CASES if len(load_case(path).actions) > SHORT], ids=lambda p: p.stem)
def test_replays_the_start_of_a_long_case_identically(path: Path) -> None:
    """The CPU's worlds, which the same actions lead to, are those that were recorded (test_conformance.py)."""
    case = load_case(path)
    cpu, device = pair(case.config, num_worlds=1)
    for row in case.actions[:SHORT]:
        cpu.step(row)
        device.step(row)
        assert_same(cpu, device)


def test_the_command_replays_on_the_device(capsys: pytest.CaptureFixture[str]) -> None:
    small = next(path for path in CASES if path.stem == "p12_attack_armor")
    assert main(["--device", "cuda", str(small)]) == 0
    assert "p12_attack_armor: 23 steps, identical" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("config", "options", "ends"),
    [
        pytest.param(CONFIG, {"desynchronise": True, "episode_steps": 4}, 4, id="cut"),
        pytest.param(VARIANTS[0], {"variants": VARIANTS, "num_worlds": 1, "episode_steps": 1}, 9, id="variants"),
        pytest.param(changed(max_steps=3, episode_truncates=True), {}, 6, id="truncates"),
        pytest.param(changed(max_steps=8, num_observation_tokens=23), {"first_world": 5}, 2, id="short"),
        pytest.param(changed(max_steps=8, rounds=RoundsConfig(oracle="altar", wait=1)), {}, 2, id="rounds"),
    ],
)
def test_equal_step_for_step_over_episode_ends(config: SimConfig, options: dict[str, Any], ends: int) -> None:
    cpu, device = pair(config, **options)
    for row in actions(9, cpu.num_streams):
        cpu.step(row)
        device.step(torch.from_numpy(row).to(DEVICE))
        assert_same(cpu, device)
    assert assert_same_episodes(cpu, device) == ends
    assert assert_same_episodes(cpu, device) == 0


def test_new_weights_a_new_seed_and_ranges_of_worlds() -> None:
    cpu, device = pair(VARIANTS[0], variants=VARIANTS, episode_steps=2)
    for env in (cpu, device):
        env.set_variant_weights(np.array([0.0, 1.0, 3.0]))
        env.reset(seed=8)
    for row in actions(3, cpu.num_streams):
        for env in (cpu, device):
            env.step_worlds(row, 1, 2)
            env.step_worlds(row, 1, 1)
            env.step_worlds(row, 0, 1)
        assert_same(cpu, device)
    assert assert_same_episodes(cpu, device) == 2
    assert device.on_cpu().map_rows(1) == cpu.map_rows(1)


def test_a_state_goes_on_from_either_device_to_the_other() -> None:
    acts = actions(6, 14)
    cpu, device = pair(episode_steps=4)
    for row in acts[:3]:
        cpu.step(row)
    device.load_state_dict(cpu.state_dict())
    for row in acts[3:]:
        cpu.step(row)
        device.step(row)
    assert_same(cpu, device)
    assert assert_same_episodes(cpu, device) == 2
    cpu.load_state_dict(device.state_dict())
    assert_same(cpu, device)


def test_observations_are_where_the_policy_reads_them() -> None:
    """What a step shows is one and the same memory before and after it, on the device."""
    device = pair()[1]
    buffers, places = device.buffers, device.buffers.observations.data_ptr()
    before = buffers.observations.clone()
    device.step(torch.ones(device.num_streams, dtype=torch.int32, device=DEVICE))
    assert device.buffers is buffers
    assert buffers.observations.data_ptr() == places
    assert buffers.observations.device.type == DEVICE.type
    assert not torch.equal(buffers.observations, before)


def test_refuses_wrong_calls() -> None:
    device = CudaVectorEnv(CONFIG, num_worlds=2, seed=0)
    with pytest.raises(RuntimeError, match="reset"):
        device.step(np.zeros(14, np.int32))
    device.reset()
    for wrong in (np.zeros(13, np.int32), torch.zeros(14, dtype=torch.int64)):
        with pytest.raises(ValueError, match="int32"):
            device.step(wrong)
    with pytest.raises(ValueError, match="inside"):
        device.step_worlds(np.zeros(14, np.int32), 1, 3)
    with pytest.raises(ValueError, match="at least 1"):
        CudaVectorEnv(CONFIG, num_worlds=0, seed=0)


@pytest.mark.skipif(not SIMULATED, reason="reaches into a simulated kernel")
def test_a_map_that_cannot_be_drawn_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(device_form(draw_room).fn.__globals__, "MAX_ATTEMPTS", 3)
    impossible = changed(world=RoomConfig(height=1, width=9, objects={"mine_red": 1, "altar": 1}))
    with pytest.raises(RunError, match="reach one of each converter"):
        CudaVectorEnv(impossible, num_worlds=1, seed=0).reset()


@pytest.mark.parametrize("episode_steps", [3, 5])
def test_training_gives_the_same_numbers(tmp_path: Path, episode_steps: int) -> None:
    """Metrics of a run do not depend on where its worlds are, over cut episodes and a second start.

    Where segments outlast episodes, not by a bit, and nor do weights; otherwise values of cut episodes come from larger
    products, whose rounding differs.
    """
    outcomes = []
    for device in ("cpu", "cuda"):
        config = small_run(updates=3, rollout_steps=4, episode_steps=episode_steps)
        system = config.system.model_copy(update={"device": "cuda" if torch.cuda.is_available() else "cpu"})
        config = config.model_copy(update={"sim": config.sim.model_copy(update={"device": device}), "system": system})
        folder = tmp_path / device
        folder.mkdir()
        train(config.model_copy(update={"trainer": config.trainer.model_copy(update={"total_timesteps": 30})}), folder)
        train(config, folder)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        outcomes.append((lines_without_timing(lines), weights(folder)))
    cpu, cuda = outcomes
    if SIMULATED and episode_steps < 4:
        assert cpu == cuda
    for a, b in zip(cpu[0], cuda[0], strict=True):
        assert a == pytest.approx(b, rel=1e-2, abs=1e-4)


def test_recorded_training_is_the_same() -> None:
    """Rollouts and updates as CUDA graphs on a GPU, as a stand-in for them in the simulator."""
    told, recorded = (
        trained(play) for play in (plainly, Overwriting() if SIMULATED else Recordings(CudaGraphs(DEVICE)))
    )
    for a, b in zip(told, recorded, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def trained(play: Play) -> list[torch.Tensor]:
    """Everything in four rollouts over the ends of episodes, each learned from, and the weights in the end."""
    config = small_run(rollout_steps=4, epochs=2)
    env = CudaVectorEnv(config.sim, num_worlds=2, seed=3, desynchronise=True, episode_steps=6)
    env.reset()
    policy = initial_policy(config).to(DEVICE)
    learner = make_learner(policy, config.trainer, env.num_streams)
    collector = make_collector(env, policy, 4, DEVICE, Shards(1), play)
    assert isinstance(collector, DeviceCollector)
    found = []
    ended = 0
    for index in range(4):
        segments = collector.collect(action_uniforms(config, index, env.num_streams))
        for value in vars(segments).values():
            found += [leaf.clone() for leaf in leaves(value)]
        update(learner, segments, config.trainer, Shards(1), 0, index, 0, play)
        ended += len(env.drain_episodes())
    assert ended >= 4
    return found + [parameter.detach() for parameter in policy.parameters()]


def lines_without_timing(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What metrics.jsonl says of learning."""
    return [{key: value for key, value in line.items() if key != "timing"} for line in lines]


def weights(folder: Path) -> bytes:
    """The bytes of the newest checkpoint's weights."""
    checkpoint = newest_sound(folder / "checkpoints")
    assert checkpoint is not None
    return (checkpoint / "policy.safetensors").read_bytes()


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_go_on_as_their_original(way: Any) -> None:
    """Made before the end of episodes, with episodes not drained."""
    cpu, device = pair(changed(max_steps=5))
    for act in actions(8, cpu.num_streams):
        cpu.step(act)
        device.step(act)
    cpu_copy, device_copy = way(cpu), way(device)
    for act in actions(12, cpu.num_streams, seed=1):
        for env in (cpu, device, cpu_copy, device_copy):
            env.step(act)
    assert_same(cpu, device_copy)
    assert_same(cpu_copy, device)
    assert assert_same_episodes(cpu, device_copy) == assert_same_episodes(cpu_copy, device) == 8


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_process_is_refused() -> None:
    _, device = pair()
    context = multiprocessing.get_context("fork")
    said = context.SimpleQueue()

    def child() -> None:
        try:
            device.step(actions(1, device.num_streams)[0])
        except RuntimeError as error:
            said.put(str(error))

    process = context.Process(target=child)
    process.start()
    process.join()
    assert "a forked process cannot use worlds on a GPU" in said.get()
