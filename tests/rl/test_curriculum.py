"""A run's curriculum: its tasks, its choices in metrics and worlds, and exact continuation after a stop."""

import json
from dataclasses import replace

import numpy as np
import pytest

from metta.base.errors import InputError
from metta.rl.checkpoint import newest_sound, read_trainer_files
from metta.rl.config import CurriculumConfig
from metta.rl.curriculum import start_curriculum
from metta.rl.curriculum_tasks import make_tasks
from metta.rl.learning_progress import ProgressState, learn
from metta.rl.trainer import train
from metta.sim.constants import HEART
from metta.sim.limits import arena_limit
from metta.sim.vector_env import VectorEnv
from tests.rl.small_run import SIM, curriculum_run, stopped_after
from tests.rl.test_trainer import metrics, weights

PROGRESS = CurriculumConfig(sampler="learning_progress")
CONVERTERS = ("altar", "mine_red", "generator_red", "lasery", "armory")
AXES = {"laser_cost": (1, 100), **{f"initial_{name}": (0, 1) for name in CONVERTERS}}


def test_tasks_are_every_combination_of_costs_and_counts():
    tasks = make_tasks(SIM, PROGRESS, 0, SIM.max_steps)
    assert len(tasks) == len({tuple(task.choices.values()) for task in tasks}) == 64
    for task in tasks:
        assert task.choices == {
            "laser_cost": int(task.sim.actions["attack"].consumed_resources["laser"]),
            **{f"initial_{name}": task.sim.objects[name].initial_resource_count for name in CONVERTERS},
        }
        assert task.limit * SIM.num_agents == max(1, arena_limit(task.sim).hearts)
    VectorEnv(SIM, num_worlds=1, seed=0, variants=[task.sim for task in tasks])
    assert make_tasks(SIM, CurriculumConfig(), 0, SIM.max_steps) == []


def test_of_too_many_combinations_the_seed_draws_some():
    settings = PROGRESS.model_copy(update={"initial_counts": (0, 1, 2, 3), "max_tasks": 10})
    first, again, other = (make_tasks(SIM, settings, seed, SIM.max_steps) for seed in (1, 1, 2))
    assert len({tuple(task.choices.values()) for task in first}) == 10
    assert [task.choices for task in first] == [task.choices for task in again]
    assert [task.choices for task in first] != [task.choices for task in other]


def test_limits_are_those_of_the_training_episodes_length():
    whole, cut = (make_tasks(SIM, PROGRESS, 0, steps)[-1].limit for steps in (SIM.max_steps, SIM.max_steps // 2))
    assert 0 < cut < whole


def test_success_is_the_clipped_share_of_the_hearts_that_can_be_made():
    tasks = make_tasks(SIM, PROGRESS, 0, SIM.max_steps)
    for task in (tasks[0], tasks[-1]):
        assert task.success(0.0) == 0.0
        assert task.success(task.free) == 0.0
        assert task.success((task.free + task.limit) / 2) == pytest.approx(0.5)
        assert task.success(task.limit * 3) == 1.0


def test_what_lies_in_the_altars_at_the_start_is_free():
    altars = SIM.world.objects["altar"]
    for task in make_tasks(SIM, PROGRESS, 0, SIM.max_steps):
        assert task.free * SIM.num_agents == pytest.approx(altars * task.choices["initial_altar"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"actions": {}}, "no attack paid with lasers"),
        (
            {"objects": {"wall": SIM.objects["wall"]}, "world": {"kind": "room", "height": 8, "width": 8}},
            "one kind of mine",
        ),
    ],
)
def test_environments_without_attack_or_chain_are_refused(change, words):
    sim = type(SIM).parse({**SIM.model_dump(), **change})
    with pytest.raises(InputError, match=words):
        make_tasks(sim, PROGRESS, 0, SIM.max_steps)


@pytest.mark.parametrize(
    "change", [{"laser_costs": []}, {"initial_counts": [1, 1]}, {"sampler": "best"}, {"time_scale": 0}]
)
def test_bad_settings_are_refused(change):
    with pytest.raises(InputError, match=next(iter(change))):
        CurriculumConfig.parse(change)


def ended_episodes(env: VectorEnv, steps: int) -> list:
    generator = np.random.default_rng(0)
    for _ in range(steps):
        env.step(generator.integers(0, 16, env.num_streams, dtype=np.int32))
    return env.drain_episodes()


def test_learns_from_whole_episodes_under_their_own_task():
    curriculum = start_curriculum(SIM, PROGRESS, 0, SIM.max_steps)
    env = VectorEnv(SIM, num_worlds=9, seed=0, desynchronise=True, variants=[task.sim for task in curriculum.tasks])
    env.set_variant_weights(curriculum.weights)
    env.reset()
    whole = [episode for episode in ended_episodes(env, 90) if episode.length == SIM.max_steps]
    after = curriculum.after(whole)
    assert len(whole) > 0
    assert after.state.episodes.sum() == len(whole)
    for episode in whole:
        assert curriculum.weights[episode.variant] > 0
        assert after.state.episodes[episode.variant] > 0
    shares = [
        curriculum.tasks[episode.variant].success(float(episode.final_inventory[:, HEART].mean())) for episode in whole
    ]
    shown = after.metrics()
    assert shown["curriculum/episodes"] == len(whole)
    for axis, values in AXES.items():
        for value in values:
            of_value = [episode for episode in whole if curriculum.tasks[episode.variant].choices[axis] == value]
            assert shown[f"curriculum/episodes_{axis}_{value}"] == len(of_value)
    assert 0 <= after.metrics()["curriculum/success"] <= max(shares)


def test_probabilities_per_axis_add_up_to_one_and_uniform_is_uniform():
    for sampler, spread in (("uniform", 0.0), ("learning_progress", 0.5)):
        shown = start_curriculum(SIM, PROGRESS.model_copy(update={"sampler": sampler}), 3, SIM.max_steps).metrics()
        for axis, values in AXES.items():
            pair = [shown[f"curriculum/probability_{axis}_{value}"] for value in values]
            assert sum(pair) == pytest.approx(1.0)
            assert abs(pair[0] - 0.5) <= spread + 1e-12


def progress_shown(sampler: str, successes: dict[int, list[float]]) -> float:
    """`curriculum/progress` after these successes of tasks, of a curriculum with two active tasks."""
    settings = PROGRESS.model_copy(update={"sampler": sampler, "active_tasks": 2})
    start = start_curriculum(SIM, settings, 0, SIM.max_steps)
    results = [(task, success) for task, values in successes.items() for success in values]
    return replace(start, state=learn(start.state, results, settings.time_scale)).metrics()["curriculum/progress"]


def test_progress_shown_is_of_the_drawn_tasks_and_near_zero_when_all_stand_still():
    first, second, *waiting = np.argsort(start_curriculum(SIM, PROGRESS, 0, SIM.max_steps).state.turn).tolist()
    assert progress_shown("learning_progress", {first: [0.5, 0.5], second: [0.2, 0.2]}) == 0.0
    # f of 0.3 and 0.25 against f of 0.2 and 0.2: the mean over the two tasks.
    change = progress_shown("learning_progress", {first: [0.2, 0.3], second: [0.2, 0.2]})
    assert change == pytest.approx((0.9 * 0.25 / 0.3 - 0.9 * 0.225 / 0.28) / 2, rel=1e-3)
    assert progress_shown("learning_progress", {first: [0.5, 0.5], waiting[0]: [0.1, 0.9]}) == 0.0
    # Uniformly all tasks are drawn: f of 0.5 and 0.3 counts, too.
    change = progress_shown("uniform", {first: [0.5, 0.5], waiting[0]: [0.1, 0.9]})
    assert change == pytest.approx((0.9 - 0.27 / 0.34) / 2, rel=2e-3)


def test_only_another_number_of_tasks_is_another_curriculum():
    curriculum = start_curriculum(SIM, PROGRESS, 0, SIM.max_steps)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(curriculum.restored(curriculum.arrays()).state, curriculum.state, strict=True)
    )
    fewer = start_curriculum(SIM, PROGRESS.model_copy(update={"laser_costs": (1,)}), 0, SIM.max_steps)
    with pytest.raises(ValueError, match="does not fit 64 tasks"):
        curriculum.restored(fewer.arrays())


def run(folder, config):
    folder.mkdir(exist_ok=True)
    train(config, folder)
    return folder


def test_a_stopped_run_continues_as_if_never_stopped(tmp_path):
    whole = run(tmp_path / "whole", curriculum_run(40))
    parts = tmp_path / "parts"
    for update in (8, 21):
        stopped_after(update, parts, curriculum_run(40))
    run(parts, curriculum_run(40))
    assert weights(whole) == weights(parts)
    assert metrics(whole) == metrics(parts)
    assert known_of_tasks(whole) == known_of_tasks(parts)
    assert set(known_of_tasks(whole)) == {f"curriculum/{name}" for name in ProgressState._fields}
    last = metrics(whole)[-1]
    assert last["curriculum/episodes"] > 8
    # Learned from whole episodes only: those that the metrics of episodes are means of.
    assert last["curriculum/episodes"] == sum(line.get("episode/count", 0) for line in metrics(whole))
    assert last["curriculum/tasks_known"] > 2
    for axis, values in AXES.items():
        assert sum(last[f"curriculum/episodes_{axis}_{value}"] for value in values) == last["curriculum/episodes"]


def known_of_tasks(folder):
    """The curriculum's arrays in the newest checkpoint, as bytes."""
    tensors, _ = read_trainer_files(newest_sound(folder / "checkpoints"))
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items() if name.startswith("curriculum/")}


def test_samplers_and_seeds_differ_and_off_says_nothing(tmp_path):
    lines = {
        (sampler, seed): metrics(run(tmp_path / f"{sampler}{seed}", curriculum_run(30, sampler, seed=seed)))
        for sampler, seed in (("learning_progress", 0), ("learning_progress", 1), ("uniform", 0), ("off", 0))
    }
    chosen = {key: [v for k, v in sorted(lines[key][-1].items()) if "probability" in k] for key in lines}
    assert chosen["learning_progress", 0] != chosen["learning_progress", 1]
    assert chosen["uniform", 0] == pytest.approx([0.5] * 12)
    assert not any(name.startswith("curriculum/") for line in lines["off", 0] for name in line)
    assert json.dumps(lines["uniform", 0]) != json.dumps(lines["off", 0])
