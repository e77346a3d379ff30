"""docs/levels.md fits the levels, its scores can be measured again, and a changed level is noticed."""

import pytest

from experiments.recipes.benchmark_architectures.level_1_basic import LEVEL
from experiments.recipes.benchmark_architectures.levels import LEVELS
from experiments.recipes.benchmark_architectures.rungs import RUNGS
from metta.analysis.intervals import estimate
from metta.analysis.memory_value import kept
from metta.base.addresses import PLAYERS
from metta.base.errors import InputError
from metta.base.files import read_json
from metta.rl.config import EvaluationConfig, SystemConfig
from tools import levels_page as module

SCORES = read_json(module.SCORES)


def test_page_is_up_to_date() -> None:
    assert module.main(["--check"]) == 0


def test_scores_are_what_the_players_reach_and_knowing_more_is_worth_more() -> None:
    for level in LEVELS.values():
        for entry in SCORES[level.name].values():
            assert {entry[player]["episodes"] for player in PLAYERS} == {EvaluationConfig().worlds}
            hearts = {player: entry[player]["hearts_per_agent"] for player in PLAYERS}
            assert hearts["random"] < hearts["blind"] / 2
            assert hearts["blind"] < min(hearts["reflex"], hearts["scripted"]) / 3


def test_on_every_rung_memory_is_worth_a_third_and_eyes_are_worth_something() -> None:
    """What a rung is accepted for; and no player without memory is beyond what chance allows."""
    for rung in RUNGS.values():
        (entry,) = SCORES[rung.name].values()
        assert {len(entry[player]) for player in PLAYERS} == {EvaluationConfig().worlds}
        ends = {player: estimate(entry[player]) for player in PLAYERS}
        assert ends["random"].high < ends["blind"].low
        assert ends["blind"].high < ends["reflex"].low
        headroom = kept(entry["scripted"], entry["reflex"])
        assert headroom is not None
        assert headroom.low > 1.3
        without = rung.make_env().max_steps // (rung.wait + 1) / 2
        assert ends["reflex"].low < without
        assert ends["scripted"].low > 1.9 * without


@pytest.mark.slow
def test_scores_of_a_rung_can_be_measured_again() -> None:
    (rung, *_) = RUNGS.values()
    again = module.measure_rungs([rung], EvaluationConfig(), SystemConfig(device="cpu"))
    assert again[rung.name] == SCORES[rung.name]


@pytest.mark.slow
def test_scores_of_level_1_can_be_measured_again() -> None:
    assert module.measure([LEVEL], EvaluationConfig(), SystemConfig(device="cpu"))[LEVEL.name] == SCORES[LEVEL.name]


def test_measuring_takes_the_given_episodes() -> None:
    short = LEVEL.make_evals()["basic"].model_copy(update={"max_steps": 60})

    class Short:
        name = "short"

        def make_evals(self) -> dict[str, object]:
            return {"basic": short}

    evaluation, system = EvaluationConfig(worlds=2), SystemConfig(device="cpu", threads=1)
    entry = module.measure([Short()], evaluation, system)["short"]["basic"]
    assert entry["random"]["episodes"] == entry["scripted"]["episodes"] == 2
    assert entry["scripted"]["hearts_per_agent"] > entry["random"]["hearts_per_agent"]
    assert entry["environment_hash"] == module.environment_hash(short, evaluation)


def test_a_changed_level_asks_for_new_scores() -> None:
    harder = LEVEL.model_copy(update={"altar_ratio": 2})
    with pytest.raises(InputError, match=r"no scores of level_1_basic basic as it is now; run .*--measure"):
        module.page([harder], SCORES)
    with pytest.raises(InputError, match="no scores"):
        module.page([LEVEL], {})
