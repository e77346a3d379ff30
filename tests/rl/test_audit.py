"""The seed audit passes on a sound run and names what does not follow its seed."""

import os

import pytest
import torch

from metta.cli import audit as command
from metta.rl import audit as module
from metta.rl.audit import audit, finding
from metta.rl.config import CurriculumConfig
from metta.sim.vector_env import VectorEnv
from tests.rl.small_run import small_run

CONFIG = small_run(updates=2).model_copy(update={"curriculum": CurriculumConfig(sampler="learning_progress")})
SOURCES = ["weights", "maps and spawns", "world steps", "curriculum", "action sampling", "minibatch order"]


def test_a_sound_run_passes_and_every_source_is_named():
    findings = audit(CONFIG, other_seed=1)
    assert [one.source for one in findings] == [*SOURCES, "whole training run", "evaluation"]
    assert all(one.sound for one in findings)
    assert len({one.fingerprint for one in findings}) == len(findings)


def test_weights_that_ignore_the_seed_are_found(monkeypatch):
    seeded = module.initial_policy
    monkeypatch.setattr(module, "initial_policy", lambda config: seeded(CONFIG))
    found = finding("weights", module.weights, CONFIG, 1)
    assert (found.equal_seeds_agree, found.different_seeds_differ, found.sound) == (True, False, False)


def test_sampling_that_no_seed_reaches_is_found(monkeypatch):
    monkeypatch.setattr(
        module, "action_uniforms", lambda *_: torch.frombuffer(bytearray(os.urandom(64)), dtype=torch.uint8)
    )
    found = finding("action sampling", module.sampling, CONFIG, 1)
    assert (found.equal_seeds_agree, found.different_seeds_differ, found.sound) == (False, True, False)


def test_worlds_that_ignore_the_seed_are_found(monkeypatch):
    def same_worlds(config, curriculum):
        env = VectorEnv(config.sim, num_worlds=2, seed=0)
        env.reset()
        return env

    monkeypatch.setattr(module, "training_worlds", same_worlds)
    for name, source in (("maps", module.maps), ("steps", module.world_steps)):
        assert not finding(name, source, CONFIG, 1).different_seeds_differ


@pytest.mark.parametrize("sound", [True, False])
def test_command_prints_a_table_and_says_so_by_its_status(monkeypatch, capsys, sound):
    shown = [module.Finding("weights", True, True, "00ff"), module.Finding("evaluation", True, sound, "11ee")]
    monkeypatch.setattr(module, "audit", lambda config, other_seed: shown)
    assert command.main(["sim.max_steps=20"]) == (0 if sound else 1)
    table = capsys.readouterr().out
    assert "| weights " in table
    assert ("NO" in table) == (not sound)


def test_command_refuses_equal_seeds_and_other_recipes():
    with pytest.raises(command.InputError, match="must differ from seed=0"):
        command.main(["--other-seed", "0"])
    evaluate = command.RECIPE.replace(".train", ".evaluate")
    with pytest.raises(command.InputError):
        command.main(["--recipe", evaluate, "policy_uri=random"])


def test_the_small_run_is_short_everywhere_and_has_the_levels_curriculum():
    config = command.small_run(command.RECIPE, ["seed=4", "sim.max_steps=30"])
    assert config.seed == 4
    assert {sim.max_steps for sim in config.evaluation_environments.values()} == {30}
    assert config.curriculum.sampler == "learning_progress"
