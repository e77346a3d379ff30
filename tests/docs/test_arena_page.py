"""The tables and numbers of docs/arena.md are those of the code."""

import re

import pytest

from experiments.recipes.benchmark_architectures import level_1_basic, level_2_easy
from metta.base.provenance import REPOSITORY
from metta.sim import constants
from metta.sim.arena import OBJECTS_PER_SIX_AGENTS
from metta.sim.config import ConverterConfig

PAGE = (REPOSITORY / "docs" / "arena.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")]
SIM = level_1_basic.make_env()


def row(first: str, columns: int) -> list[str]:
    """The one row of that many columns which begins with `first`."""
    found = [cells for cells in ROWS if cells[0] == first and len(cells) == columns]
    assert len(found) == 1, first
    return found[0]


def items(text: str) -> dict[str, int]:
    """ "2 ore_red, 1 battery_red" -> amounts."""
    return {name: int(number) for number, name in re.findall(r"(\d+) ([a-z_]+)", text)}


@pytest.mark.parametrize("name", [name for name, thing in SIM.objects.items() if isinstance(thing, ConverterConfig)])
def test_machines(name: str) -> None:
    machine = SIM.objects[name]
    assert isinstance(machine, ConverterConfig)
    _, takes, makes, ticks, rest, most, type_id = row(name, 7)
    if name == "altar":
        assert machine.input_resources == {"battery_red": 1}
        harder = level_2_easy.make_env().objects[name]
        assert isinstance(harder, ConverterConfig)
        assert harder.input_resources == {"battery_red": 3}
        assert takes == "1 battery_red on level 1, 3 elsewhere"
    else:
        assert items(takes) == machine.input_resources
    assert items(makes) == machine.output_resources
    assert [int(text) for text in (ticks, rest, most, type_id)] == [
        machine.conversion_ticks,
        machine.cooldown,
        machine.max_output,
        machine.type_id,
    ]


def test_actions() -> None:
    for action, name in enumerate(constants.ACTION_NAMES[: constants.FIRST_ATTACK]):
        assert row(str(action), 3)[1] == name
    attacks = row(f"{constants.FIRST_ATTACK} to {constants.LAST_ATTACK}", 3)[1]
    names = constants.ACTION_NAMES
    assert attacks == f"{names[constants.FIRST_ATTACK]} to {names[constants.LAST_ATTACK]}"


def test_features() -> None:
    documented: dict[int, float] = {}
    for cells in ROWS:
        if re.fullmatch(r"\d+( to \d+)?", cells[0]) and len(cells) in (4, 5):
            first, last = (int(text) for text in (cells[0].split(" to ") * 2)[:2])
            documented |= {feature: float(cells[-1]) for feature in range(first, last + 1)}
    used = {
        value for name, value in vars(constants).items() if name.startswith("FEATURE_") and name != "FEATURE_SCALES"
    }
    assert set(documented) == used | set(range(constants.FEATURE_FIRST_ITEM, constants.NUM_FEATURES))
    assert documented == {feature: constants.FEATURE_SCALES[feature] for feature in documented}


def test_sentences() -> None:
    agent = SIM.agent
    per_six = OBJECTS_PER_SIX_AGENTS
    assert f"at most {agent.default_resource_limit} of each item and {agent.resource_limits['heart']} hearts" in TEXT
    assert f"frozen for {agent.freeze_duration} steps" in TEXT
    assert f"After {SIM.max_steps} steps the episode ends" in TEXT
    assert f"uint8 [{SIM.num_observation_tokens}, 3]" in TEXT
    assert f"The window is {SIM.obs_height} x {SIM.obs_width} cells" in TEXT
    assert f"the agent's own cell is {(SIM.obs_height // 2) * 16 + SIM.obs_width // 2}" in TEXT
    assert ", ".join(constants.RESOURCES) in TEXT
    assert (
        f"{per_six['wall']} walls, {per_six['altar']} altars, {per_six['mine_red']} mines, "
        f"{per_six['generator_red']} generators, {per_six['lasery']} lasery and {per_six['armory']} armory" in TEXT
    )
