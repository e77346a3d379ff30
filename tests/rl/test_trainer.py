"""A run is reproducible, differs with its seed, continues exactly after any kill, and stops clearly on bad numbers."""

import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from metta.base.errors import InputError, RunError
from metta.rl import trainer as trainer_module
from metta.rl.checkpoint import checkpoint_name, list_checkpoints, newest_sound, read_policy_files
from metta.rl.config import RunConfig, TrainerConfig
from metta.rl.metrics import MetricsFile, Progress
from metta.rl.trainer import train
from metta.rl.training_time import TrainingTime
from tests.rl.small_run import STEPS_PER_UPDATE, small_run, stopped_after


def weights(folder):
    """The bytes of the newest checkpoint's weights."""
    return (newest_sound(folder / "checkpoints") / "policy.safetensors").read_bytes()


def metrics(folder):
    """The lines of metrics.jsonl without their timing."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        assert set(line.pop("timing")) == {"seconds", "rollout_seconds", "update_seconds", "steps_per_second"}
    return lines


def run(folder, config):
    folder.mkdir(exist_ok=True)
    train(config, folder)
    return folder


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_seed_gives_the_same_bytes(tmp_path, threads):
    first, second = (run(tmp_path / name, small_run(threads=threads)) for name in ("a", "b"))
    assert weights(first) == weights(second)
    assert metrics(first) == metrics(second)


def test_another_seed_gives_other_weights_worlds_and_actions(tmp_path):
    collected = {}
    for seed in (0, 1):
        segments = []
        original = trainer_module.Collector.collect

        def spy(self, uniforms, original=original, segments=segments):
            result = original(self, uniforms)
            if not segments:
                segments.append((uniforms.clone(), result.observations.clone(), result.actions.clone()))
            return result

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trainer_module.Collector, "collect", spy)
            folder = run(tmp_path / str(seed), small_run(updates=1, seed=seed))
        first = folder / "checkpoints" / "step_000000000000"
        collected[seed] = (read_policy_files(first)[0], *segments[0])
    weights_0, uniforms_0, observations_0, actions_0 = collected[0]
    weights_1, uniforms_1, observations_1, actions_1 = collected[1]
    assert any(not torch.equal(weights_0[name], weights_1[name]) for name in weights_0)
    assert not torch.equal(uniforms_0, uniforms_1)
    assert not torch.equal(observations_0[:, 0], observations_1[:, 0])
    assert not torch.equal(actions_0, actions_1)


def test_a_stopped_run_continues_as_if_never_stopped(tmp_path):
    whole = run(tmp_path / "whole", small_run(updates=9))
    parts = tmp_path / "parts"
    for update in (3, 5):
        stopped_after(update, parts, small_run(updates=9))
    run(parts, small_run(updates=9))
    assert weights(whole) == weights(parts)
    assert metrics(whole) == metrics(parts)


def test_weights_that_the_architecture_s_code_no_longer_has_are_refused_by_name(tmp_path, monkeypatch):
    run(tmp_path / "x", small_run(updates=1))

    def of_earlier_code(checkpoint):
        weights, record = read_policy_files(checkpoint)
        return {**weights, "memory.gate.weight": torch.zeros(2)}, record

    monkeypatch.setattr(trainer_module, "read_policy_files", of_earlier_code)
    with pytest.raises(InputError, match=r"memory\.gate\.weight has no place in it"):
        run(tmp_path / "x", small_run(updates=2))


def test_whoever_ends_a_run_after_an_update_finds_it_saved(tmp_path):
    whole = run(tmp_path / "whole", small_run(updates=6, checkpoint_every=10_000))
    ended = tmp_path / "ended"
    ended.mkdir()

    def end(progress):
        if progress.update == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small_run(updates=6, checkpoint_every=10_000), ended, end)
    assert list_checkpoints(ended / "checkpoints")[-1].name == checkpoint_name(3 * STEPS_PER_UPDATE)
    updates = []
    train(small_run(updates=6, checkpoint_every=10_000), ended, lambda progress: updates.append(progress.update))
    assert updates == [4, 5, 6]
    assert weights(whole) == weights(ended)
    assert metrics(whole) == metrics(ended)


def test_time_in_training_is_that_of_the_updates_in_the_result(tmp_path):
    """Every look at this clock takes a second, and an update has two parts."""
    ticks = itertools.count()

    def clock():
        return float(next(ticks))

    def follow(progress):
        seen.append((progress.seconds, progress.warm_up_seconds))
        if len(seen) == stop_after:
            raise KeyboardInterrupt

    config = small_run(updates=6, checkpoint_every=4 * STEPS_PER_UPDATE)
    seen, stop_after = [], 3
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path, follow, clock)
    assert [seconds for seconds, _ in seen] == [0, 4, 6]
    seen, stop_after = [], None
    train(config, tmp_path, follow, clock)
    assert [seconds for seconds, _ in seen] == [6, 10, 12]


def test_compiling_is_not_time_in_training():
    time = TrainingTime(seconds=100.0, warm_up=5.0)
    time.add(40.0, last=False)
    assert (time.seconds, time.warm_up) == (100.0, 5.0)
    time.add(3.0, last=False)
    assert (time.seconds, time.warm_up) == (106.0, 42.0)
    time.add(4.0, last=True)
    assert (time.seconds, time.warm_up) == (110.0, 42.0)
    alone = TrainingTime(seconds=0.0, warm_up=0.0)
    alone.add(7.0, last=True)
    assert alone.seconds == 7.0


def test_a_damaged_last_checkpoint_is_made_anew(tmp_path):
    whole = run(tmp_path / "whole", small_run(updates=6))
    repaired = run(tmp_path / "repaired", small_run(updates=6))
    (list_checkpoints(repaired / "checkpoints")[-1] / "manifest.json").unlink()
    run(repaired, small_run(updates=6))
    assert weights(whole) == weights(repaired)
    assert metrics(whole) == metrics(repaired)


def test_a_line_that_does_not_fit_on_the_disk_leaves_nothing(tmp_path, monkeypatch):
    file = tmp_path / "metrics.jsonl"
    metrics_file = MetricsFile(file, last_update=0)
    progress = Progress(1, 48, 480, 1.0, 1.0, {}, 0.1, 0.1)
    metrics_file.append(progress, {})
    whole, write = file.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:5]))
    with pytest.raises(RunError, match="No space left"):
        metrics_file.append(progress, {})
    assert file.read_bytes() == whole


def started(folder, updates):
    """The process of a small run."""
    words = [sys.executable, "-m", "tests.rl.small_run", str(folder), str(updates)]
    return subprocess.Popen(words, env={**os.environ, "OMP_NUM_THREADS": "1"})


def finish(folder, updates):
    """Train a small run to its end in a process of its own, which is gone afterwards."""
    process = started(folder, updates)
    try:
        assert process.wait(600) == 0
    finally:
        process.kill()


def killed_and_finished(killed, times, updates):
    """Start a run so many times, kill -9 it at a random moment each, and finish it; returns how often it was killed."""
    moments, kills = random.Random(0), 0
    for _ in range(times):
        before = newest_number(killed)
        process = started(killed, updates)
        deadline = time.monotonic() + 600
        # Wait until it really goes on, then a little longer; checkpoints follow one another within milliseconds.
        while newest_number(killed) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.15))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    finish(killed, updates)
    return kills


def test_ten_kills_at_random_moments_change_nothing(tmp_path):
    updates = 260
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(whole, updates)
    assert killed_and_finished(killed, 10, updates) >= 8, "the run is too short for this test"
    assert weights(whole) == weights(killed)
    assert metrics(whole) == metrics(killed)
    assert not [path for path in (killed / "checkpoints").iterdir() if path.name.startswith(".")]


def newest_number(folder):
    found = list_checkpoints(folder / "checkpoints") if (folder / "checkpoints").exists() else []
    return int(found[-1].name.removeprefix("step_")) if found else -1


def test_the_ratio_is_one_before_the_first_step_with_resets_inside(tmp_path):
    folder = run(tmp_path / "run", small_run(updates=12, rollout_steps=50, checkpoint_every=10_000))
    deviations = [line["loss/first_ratio_deviation"] for line in metrics(folder)]
    assert len(deviations) == 12 * STEPS_PER_UPDATE // (6 * 50) + 1
    assert max(deviations) < 1e-5


def test_a_non_finite_loss_stops_the_run_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    config = small_run(updates=8)
    stopped_after(5, folder, config)
    before = hashlib.sha256(weights(folder)).hexdigest()
    monkeypatch.setattr(
        "metta.rl.update.generalised_advantages",
        lambda rewards, values, *rest: (values * float("nan"), values),
    )
    with pytest.raises(RunError, match=r"became nan: training stopped.*checkpoint is kept"):
        train(config, folder)
    assert hashlib.sha256(weights(folder)).hexdigest() == before


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    from metta.agent.policies.memory_free import MemoryFreeConfig

    folder = run(tmp_path / "run", small_run(updates=2))
    with pytest.raises(InputError, match="another run name"):
        train(small_run(updates=4, policy=MemoryFreeConfig()), folder)


def test_metrics_name_episodes_and_losses(tmp_path):
    lines = metrics(run(tmp_path / "run", small_run(updates=20)))
    ended = [line for line in lines if "episode/count" in line]
    assert ended
    for name in ("return", "hearts_per_agent", "gained_ore_red", "lost_ore_red", "attacks_tried", "frozen_share"):
        assert all(f"episode/{name}" in line for line in ended)
    for name in (
        "policy",
        "value",
        "entropy",
        "prior_kl",
        "kl",
        "clip_fraction",
        "gradient_norm",
        "explained_variance",
    ):
        assert all(f"loss/{name}" in line for line in lines)
    assert [line["update"] for line in lines] == list(range(1, 21))


def test_learning_rate_and_entropy_weight_fall_linearly_over_the_run():
    trainer = TrainerConfig(
        total_timesteps=1000,
        learning_rate=0.002,
        final_learning_rate_share=0.5,
        entropy_weight=0.04,
        final_entropy_share=0.25,
    )
    steps = (0, 500, 1000, 1010)
    assert [trainer.learning_rate_at(timesteps) for timesteps in steps] == pytest.approx([0.002, 0.0015, 0.001, 0.001])
    assert [trainer.entropy_weight_at(timesteps) for timesteps in steps] == pytest.approx([0.04, 0.025, 0.01, 0.01])


def test_the_falling_learning_rate_is_the_one_learned_with(tmp_path):
    run(tmp_path / "run", small_run(updates=4, final_learning_rate_share=0.0, checkpoint_every=STEPS_PER_UPDATE))
    last = list_checkpoints(tmp_path / "run" / "checkpoints")[-2:]
    moved = [read_policy_files(checkpoint)[0] for checkpoint in last]
    # Adam moves a parameter by the learning rate at most, and nearly so in its first steps.
    largest = max(float((moved[1][name] - moved[0][name]).abs().max()) for name in moved[0])
    assert 0.0 < largest <= 2 * 1.5 * 0.25 * TrainerConfig().learning_rate


def test_the_falling_entropy_weight_is_the_one_learned_from(tmp_path):
    config = small_run(updates=4, normalise_advantages=True, entropy_weight=0.1, final_entropy_share=0.0)
    for number, line in enumerate(metrics(run(tmp_path / "run", config))):
        weight = 0.1 * (1 - number / 4)
        parts = line["loss/policy"] + config.trainer.value_weight * line["loss/value"] + weight * line["loss/prior_kl"]
        assert line["loss/total"] == pytest.approx(parts, rel=1e-4, abs=1e-6)


def test_damaged_lines_of_metrics_go_when_a_run_goes_on(tmp_path):
    file = tmp_path / "metrics.jsonl"
    line = b'{"update": %d, "timesteps": 64}\n'
    file.write_bytes(line % 1 + b'{"upd\n\xff\xfe\n\0\0\n' + line % 2 + line % 3)
    MetricsFile(file, last_update=2)
    assert file.read_bytes() == line % 1 + line % 2


def test_the_policy_is_evaluated_on_held_out_worlds_evenly_over_the_run(tmp_path):
    folder = run(tmp_path / "run", small_run(updates=9, curve_points=3))
    points = {line["update"]: line for line in metrics(folder) if "held_out/hearts_per_agent" in line}
    assert list(points) == [3, 6, 9]
    best = json.loads((folder / "checkpoints" / "best.json").read_text())
    hearts = {number: line["held_out/hearts_per_agent"] for number, line in points.items()}
    assert best["hearts_per_agent"] == max(hearts.values())
    number = next(number for number, value in hearts.items() if value == best["hearts_per_agent"])
    assert best["checkpoint"] == f"step_{number * STEPS_PER_UPDATE:012d}"
    assert (folder / "checkpoints" / best["checkpoint"]).is_dir()


def test_a_run_without_a_curve_names_no_best_checkpoint(tmp_path):
    folder = run(tmp_path / "run", small_run(updates=2, curve_points=0))
    assert not (folder / "checkpoints" / "best.json").exists()
    assert not any("held_out/reward" in line for line in metrics(folder))


def test_a_window_that_cannot_be_turned_is_refused_at_once():
    config = small_run(updates=2).model_dump()
    config["sim"]["obs_width"] = 9
    with pytest.raises(InputError, match="as many rows as columns, an odd number, not 11 x 9"):
        RunConfig.parse(config)
    config["trainer"]["egocentric_view"] = False
    assert RunConfig.parse(config)
