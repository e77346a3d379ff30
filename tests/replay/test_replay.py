"""Replays: the episode is the evaluation's, the page holds it whole, loads nothing, and escapes what it is told."""

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES, LEVEL
from experiments.recipes.benchmark_architectures.level_3_medium import LEVEL as LEVEL_3
from experiments.recipes.benchmark_architectures.memory_3 import LEVEL as LONGEST_WAIT
from metta.agent.checkpoint import policy_record, policy_tensors
from metta.agent.policies.fast import FastConfig
from metta.base.addresses import PLAYERS
from metta.base.errors import InputError
from metta.cli.main import main
from metta.replay.animation import CELL, animated_picture
from metta.replay.page import replay_page
from metta.replay.recording import Recording, record
from metta.replay.thumbnail import STEPS as THUMBNAIL_STEPS
from metta.replay.thumbnail import thumbnail
from metta.replay.writing import write_replay
from metta.rl.checkpoint import write_checkpoint
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.rl.evaluate import evaluate
from metta.rl.players import PolicyPlayer
from metta.rl.specs import spec_of
from metta.sim.config import SimConfig
from metta.sim.constants import ACTION_NAMES, FIRST_ATTACK, HEART
from metta.sim.vector_env import VectorEnv

EVALUATION = EvaluationConfig(worlds=2)
SYSTEM = SystemConfig(threads=1)
STEPS = 60


def short(sim: SimConfig) -> SimConfig:
    """The environment with short episodes."""
    return sim.model_copy(update={"max_steps": STEPS})


BASIC = short(LEVEL.make_evals()["basic"])
COMBAT = short(LEVEL_3.make_evals()["combat"])


@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize("episode", [0, 1])
def test_the_episode_is_the_evaluation_s(player: str, episode: int) -> None:
    recording = record(player, BASIC, EVALUATION, SYSTEM, episode)
    evaluated = evaluate(player, {"basic": BASIC}, EVALUATION, SYSTEM)["basic"]["per_episode"][episode]
    assert recording.result == evaluated
    assert recording.rewards.sum(axis=0).tolist() == pytest.approx(evaluated["reward"], abs=1e-4)
    assert (recording.probabilities is None) == (player in ("reflex", "scripted"))
    assert recording.values is None


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_policy_s_replay_is_the_episode_of_the_evaluation(name: str, tmp_path: Path) -> None:
    """Whatever the number of worlds and threads then and now."""
    policy = ARCHITECTURES[name].build(spec_of(BASIC), seed=1)
    record_of_policy = policy_record(ARCHITECTURES[name], policy.spec, name)
    checkpoint = write_checkpoint(tmp_path, 0, policy_tensors(policy), record_of_policy, {}, {})
    evaluation, few = EvaluationConfig(worlds=6), EvaluationConfig(worlds=5)
    evaluated = evaluate(checkpoint, {"basic": BASIC}, evaluation, SystemConfig(device="cpu", threads=2))["basic"]
    recording = record(checkpoint, BASIC, few, SystemConfig(device="cpu"), 4)
    assert recording.result == evaluated["per_episode"][4]


def test_steps_follow_from_each_other() -> None:
    """Moves that succeeded change the place by one cell, failed ones and other actions not at all."""
    recording = record("scripted", BASIC, EVALUATION, SYSTEM, 0)
    places = recording.agents[:, :, :2].astype(int)
    moved = np.abs(places[1:] - places[:-1]).sum(axis=2)
    actions, done = recording.agents[:-1, :, 4], recording.agents[:-1, :, 5]
    wants = (actions >= 1) & (actions <= 4)
    assert (moved[~wants] == 0).all()
    assert (moved[wants & (done == 0)] == 0).all()
    assert moved.max() == 1
    assert (recording.inventories[-1, :, HEART].astype(int) <= np.array(recording.result["hearts"])).all()
    for row, column, name in recording.converter_places:
        assert recording.legend[recording.start_rows[row][column]] == name


def test_attacks_are_recorded() -> None:
    sim = COMBAT.model_copy(update={"max_steps": 300})
    recording = record("random", sim, EVALUATION, SYSTEM, 0)
    tried = (recording.agents[:, :, 4] >= FIRST_ATTACK).sum()
    assert tried > 0
    hits = sum(recording.result["counters"]["attacks_hit"])
    grown = (recording.agents[1:, :, 3].astype(int) > recording.agents[:-1, :, 3]).sum()
    assert grown <= hits


def test_a_wait_longer_than_a_byte_is_not_shown_as_none() -> None:
    recording = record("random", LONGEST_WAIT.make_env().model_copy(update={"max_steps": 3}), EVALUATION, SYSTEM, 0)
    assert recording.agents[:, 0, 3].tolist() == [255, 255, 254]


def test_a_decision_says_what_the_policy_thought() -> None:
    player = PolicyPlayer(FastConfig().build(spec_of(BASIC), seed=0), BASIC, torch.device("cpu"))
    env = VectorEnv(BASIC, num_worlds=1, seed=3)
    env.reset()
    state = player.initial_state(1)
    for step in range(8):
        numbers = torch.rand(BASIC.num_agents, generator=torch.Generator().manual_seed(step))
        actions, state, probabilities, values = player.act(env, 0, 1, state, numbers)
        assert probabilities is not None
        assert values is not None
        assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
        # Drawn by inverting the cumulative distribution with the given numbers.
        below = np.cumsum(probabilities, axis=1)[np.arange(len(actions)), actions] - numbers.numpy()
        assert (below > -1e-5).all()
        assert (below - probabilities[np.arange(len(actions)), actions] < 1e-5).all()
        assert values.shape == (BASIC.num_agents,)
        env.step(actions)


def unpacked(page: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a page, read as the script reads them."""
    found = re.search(r'<script type="text/plain" id="data">([A-Za-z0-9+/=]+)</script>', page)
    assert found
    data = gzip.decompress(base64.b64decode(found[1]))
    length = int.from_bytes(data[:4], "little")
    header, at, arrays = json.loads(data[4 : 4 + length]), 4 + length, {}
    for name, kind, shape in header["arrays"]:
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(data, kind, count, at).reshape(shape)
        at += arrays[name].nbytes
    assert at == len(data)
    return header, arrays


def page_of(recording: Recording, text: str = "x") -> str:
    """The page of a recording."""
    return replay_page(recording, text, [(text, text)], text, BASIC)


def test_the_page_holds_the_whole_recording() -> None:
    recording = record("random", BASIC, EVALUATION, SYSTEM, 0)
    header, arrays = unpacked(page_of(recording))
    assert header["rows"] == recording.start_rows
    assert header["actions"] == list(ACTION_NAMES)
    assert header["hearts"] == recording.result["hearts"]
    for name in ("rewards", "agents", "inventories", "converters", "probabilities"):
        assert np.array_equal(arrays[name], getattr(recording, name)), name
    assert "values" not in arrays


def test_the_page_loads_nothing_and_its_policy_knows_the_script() -> None:
    page = page_of(record("scripted", BASIC, EVALUATION, SYSTEM, 0))
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in page
    assert "default-src &#39;none&#39;" in page
    assert [address[:26] for address in re.findall(r' (?:src|href)="([^"]*)', page)] == ["data:image/svg+xml;base64,"]
    assert "innerHTML" not in script
    assert "http" not in script


def test_the_thumbnail_shows_where_agents_went() -> None:
    recording = record("scripted", BASIC, EVALUATION, SYSTEM, 0)
    text = base64.b64decode(thumbnail(recording).partition(",")[2]).decode()
    paths = [each.get("d") for each in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}path")]
    own = paths[-BASIC.num_agents :]
    for agent, path in enumerate(own):
        row, column = recording.agents[-THUMBNAIL_STEPS:, agent, :2].tolist()[0]
        assert str(path).startswith(f"M{column + 0.5:g} {row + 0.5:g}h0")
        moves = [(kind, int(by)) for kind, by in re.findall(r"([hv])(-?\d+)", str(path))]
        end = [
            row + sum(by for kind, by in moves if kind == "v"),
            column + sum(by for kind, by in moves if kind == "h"),
        ]
        assert end == recording.agents[-1, agent, :2].tolist()


def test_a_page_beside_a_report_leads_back_to_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert written(run).count("report.html") == 0
    (tmp_path / "report.html").touch()
    assert '<a href="../report.html#level_1_basic">' in written(run)


def written(folder: Path) -> str:
    """The page that the command writes into a folder."""
    words = ["policy_uri=random", "evaluation_environments.basic.max_steps=5", f"output={folder / 'page.html'}"]
    assert main(["level_1_basic.replay", *words, "evaluation.worlds=1"]) == 0
    return (folder / "page.html").read_text()


def test_text_does_no_harm() -> None:
    page = page_of(record("scripted", BASIC, EVALUATION, SYSTEM, 0), "</title><script>alert(1)</script>\"'")
    assert page.count("<script") == 2
    assert "&lt;script&gt;alert(1)" in page


def test_a_full_episode_is_below_five_megabytes(tmp_path: Path) -> None:
    path = "experiments.recipes.benchmark_architectures.level_3_medium.replay"
    words = ["policy_uri=random", "environment=combat", f"output={tmp_path / 'page.html'}", "evaluation.worlds=1"]
    assert main([path, *words]) == 0
    page = (tmp_path / "page.html").read_text()
    assert len(page) < 5e6
    assert unpacked(page)[1]["agents"].shape == (1000, 20, 6)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["policy_uri=random", "environment=fight"], "environment='fight' is not one of level_1_basic: basic."),
        (["policy_uri=random", "episode=99"], "episode=99 is not one of the"),
        (["policy_uri=nowhere"], "there is no checkpoint at 'nowhere'"),
        (["policy_uri=random", "level=level_2_easy"], "level_2_easy.replay"),
    ],
)
def test_wrong_input(words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = "experiments.recipes.benchmark_architectures.level_1_basic.replay"
    assert main([path, *words, f"output={tmp_path / 'page.html'}"]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "page.html").exists()


def test_no_such_episode() -> None:
    with pytest.raises(InputError, match="episode=-1"):
        record("random", BASIC, EVALUATION, SYSTEM, -1)


def test_an_animated_picture_shows_the_recorded_steps(tmp_path: Path) -> None:
    recording = record("scripted", BASIC, EVALUATION, SYSTEM, 0)
    first, steps = 5, 20
    root = ElementTree.fromstring(animated_picture(recording, "a <title> & more", first, steps))
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title") == "a <title> & more"
    assert not root.findall(f".//{space}script")
    moves = [each for each in root.iter(f"{space}animateTransform") if each.get("type") == "translate"]
    shown = recording.agents[first : first + steps]
    assert len(moves) == shown.shape[1]
    for agent, move in enumerate(moves):
        places = [place.split() for place in str(move.get("values")).split(";")]
        assert [[float(y) / CELL - 0.5, float(x) / CELL - 0.5] for x, y in places] == shown[:, agent, :2].tolist()


def test_its_size_is_told_in_bytes(tmp_path: Path) -> None:
    config = LEVEL.replay("random").config.model_copy(
        update={"evaluation_environments": {"basic": BASIC}, "output": str(tmp_path / "hearts.svg")}
    )
    written = write_replay(config)
    assert written.bytes == written.file.stat().st_size


def test_an_animated_picture_from_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "experiments.recipes.benchmark_architectures.level_1_basic.replay",
        "policy_uri=random",
        "evaluation_environments.basic.max_steps=30",
        f"output={tmp_path}/a.svg",
    ]
    assert main([*words, "first_step=30"]) == 2
    assert "the episode has steps 0 to 29" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main([*words, "first_step=10", "steps=1000"]) == 0
    assert (tmp_path / "a.svg").read_text().count("<circle") == 12
