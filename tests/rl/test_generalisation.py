"""Training maps are really those that the run met, and both sides are reported beside each other."""

import json

import numpy as np
import pytest

from metta.base.errors import InputError
from metta.base.files import write_json
from metta.cli.generalisation import main, table
from metta.rl.config import EvaluationConfig
from metta.rl.generalisation import gap, trained_on
from metta.rl.trainer import train, training_worlds
from tests.rl.small_run import SIM, STEPS_PER_UPDATE, small_run

CONFIG = small_run(updates=12).model_copy(update={"evaluation": EvaluationConfig(worlds=3)})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished run, and the hashes of the maps whose episodes it finished."""
    folder = tmp_path_factory.mktemp("train_dir") / "small"
    folder.mkdir()
    train(CONFIG, folder)
    worlds = training_worlds(CONFIG, None)
    for _ in range(12 * CONFIG.trainer.rollout_steps):
        worlds.step(np.zeros(worlds.num_streams, np.int32))
    write_json(folder / "config.json", {"format": 1, "configuration": CONFIG.model_dump(mode="json"), "starts": []})
    return folder, {episode.map_hash for episode in worlds.drain_episodes()}


def test_training_maps_were_met_and_evaluation_maps_were_not(run, capsys):
    folder, met = run
    assert main([str(folder)]) == 0
    record = json.loads((folder / "generalisation.json").read_text())
    result = record["results"]["basic"]
    played = {side: [e["map_hash"] for e in result[side]["per_episode"]] for side in ("training", "evaluation")}
    assert [len(maps) for maps in played.values()] == [3, 3]
    assert set(played["training"]) <= met
    assert not set(played["evaluation"]) & met
    assert result["training"]["worlds_hash"] != result["evaluation"]["worlds_hash"]
    difference = result["training"]["hearts_per_agent"] - result["evaluation"]["hearts_per_agent"]
    assert result["gap"]["hearts_per_agent"]["difference"] == pytest.approx(difference)
    shown = capsys.readouterr().out
    assert "training maps (episodes)" in shown
    assert table(record) in shown


def test_only_maps_that_the_run_met_count():
    # Two worlds of three agents: 40 steps of every world are 240 agent-steps, one episode.
    assert trained_on(CONFIG, STEPS_PER_UPDATE).kept == 2
    assert (trained_on(CONFIG, 3 * 240).rounds, trained_on(CONFIG, 3 * 240).kept) == (2, 3)
    many = CONFIG.model_copy(update={"evaluation": EvaluationConfig(worlds=16)})
    assert (trained_on(many, 3 * 240).rounds, trained_on(many, 3 * 240).kept) == (3, 6)
    with pytest.raises(InputError, match="has not been trained"):
        trained_on(CONFIG, 0)


def test_gap_and_its_error_by_hand():
    def side(mean, deviation, episodes):
        return {"reward": mean, "spread": {"reward": {"standard_deviation": deviation}}, "episodes": episodes}

    found = gap(side(5.0, 3.0, 9), side(3.5, 4.0, 16), "reward")
    assert found["difference"] == 1.5
    assert found["standard_error"] == pytest.approx(2**0.5)


def test_other_rooms_and_missing_runs_are_refused(run, tmp_path):
    from metta.rl.generalisation import generalisation

    folder, _ = run
    other = SIM.model_copy(update={"world": SIM.world.model_copy(update={"height": 9})})
    config = CONFIG.model_copy(update={"evaluation_environments": {"wide": other}})
    with pytest.raises(InputError, match="'wide' has other rooms than training"):
        generalisation(folder / "checkpoints", config, 100)
    with pytest.raises(InputError, match="there is no checkpoint"):
        main([str(tmp_path / "nothing")])


@pytest.mark.parametrize(("episodes", "ending"), [(1, "+0.500 (one episode gives no interval)"), (4, "+0.500 ± 0.196")])
def test_one_episode_gives_no_interval(episodes, ending):
    def side(mean, episodes):
        spread = {"hearts_per_agent": {"standard_deviation": 0.2 / 2**0.5}}
        return {"hearts_per_agent": mean, "spread": spread, "episodes": episodes}

    training, evaluation = side(1.5, episodes), side(1.0, 4)
    found = {"hearts_per_agent": gap(training, evaluation, "hearts_per_agent")}
    result = {"training": training, "evaluation": evaluation, "gap": found}
    assert ending in table({"results": {"basic": result}})
