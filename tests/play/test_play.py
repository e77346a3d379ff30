"""Live play: everybody acts as in the evaluation, one agent can be steered, and nobody else gets at the world."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from experiments.recipes.benchmark_architectures.level_1_basic import LEVEL
from metta.base.addresses import PLAYERS
from metta.base.errors import InputError
from metta.cli.main import main
from metta.play.live import PlayConfig, agent_numbers, seated, seats
from metta.play.page import play_page
from metta.play.server import PlayServer
from metta.play.table import NOT_DONE_YET, Table
from metta.replay.recording import record
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.sim.constants import ACTION_NAMES, HEART

STEPS = 30
SIM = LEVEL.make_evals()["basic"].model_copy(update={"max_steps": STEPS})
EVALUATION = EvaluationConfig(worlds=2)
SYSTEM = SystemConfig(threads=1, device="cpu")
AGENTS = SIM.num_agents


def table_of(policy_uri: str, players: str = "", episode: int = 0) -> Table:
    """A world with these players."""
    config = PlayConfig(
        policy_uri=policy_uri,
        level="level_1_basic",
        evaluation_environments={"basic": SIM},
        evaluation=EVALUATION,
        system=SYSTEM,
        players=players,
    )
    return Table(SIM, EVALUATION, seats(seated(policy_uri, None, players, AGENTS), config, SIM), episode)


@pytest.mark.parametrize("player", PLAYERS)
def test_a_world_left_alone_is_the_evaluation_s_episode(player: str) -> None:
    table, recording = table_of(player, episode=1), record(player, SIM, EVALUATION, SYSTEM, 1)
    for _ in range(STEPS):
        table.step({})
    assert table.result == recording.result
    for name in ("agents", "inventories", "converters"):
        assert np.array_equal([row[name] for row in table.rows], getattr(recording, name)), name
    assert np.array_equal(np.array([row["rewards"] for row in table.rows], np.float32), recording.rewards)
    if recording.probabilities is not None:
        assert np.array_equal([row["probabilities"] for row in table.rows], recording.probabilities)
    with pytest.raises(InputError, match="the episode is over"):
        table.step({})


def test_several_players_share_a_world() -> None:
    table = table_of("scripted", "0-2=random 7=random")
    assert [table.head["players"][agent] for agent in (0, 2, 3, 7, 8)] == [
        *("random", "random", "scripted", "random", "scripted")
    ]
    alone = table_of("random")
    row, other = table.rows[0], alone.rows[0]
    for agent in range(AGENTS):
        draws = agent in (0, 1, 2, 7)
        assert any(row["probabilities"][agent]) == draws
        if draws:
            assert row["agents"][agent] == other["agents"][agent]


def test_a_steered_agent_does_what_it_is_told() -> None:
    table = table_of("scripted")
    east = ACTION_NAMES.index("move_east")
    before = table.rows[0]["agents"][4]
    table.step({4: east})
    row, column, _, _, action, success = table.rows[0]["agents"][4]
    assert (row, column, action) == (before[0], before[1], east)
    assert success in (0, 1)
    after = table.rows[1]["agents"][4]
    assert after[1] - column == success
    assert after[5] == NOT_DONE_YET
    assert after[2] == 3  # whether it moved or not, it faces east


def test_wrong_orders_change_nothing() -> None:
    table = table_of("random")
    other = table.rows[0]["agents"][0][4] ^ 1
    for steered, sentence in (({0: other, 99: 0}, "agent 99 is not one of"), ({0: 99}, "action 99 is not one of")):
        with pytest.raises(InputError, match=sentence):
            table.step(steered)
    assert len(table.rows) == 1
    table.step({})
    assert table.rows[0]["agents"][0][4] == other ^ 1
    with pytest.raises(InputError, match="episode=5 is not one of the 2"):
        table.restart(5)
    table.restart(1)
    assert table.head["episode"] == 1


@pytest.mark.parametrize(
    ("players", "sentence"),
    [
        ("0-5", "is not AGENTS=ADDRESS"),
        ("x=random", "'x' does not name agents"),
        ("5-2=random", "'5-2' does not name agents"),
        ("40=random", "there is no agent 40, only 0..11"),
        ("1=random 0-2=scripted", "agent 1 is named twice"),
        ("0=nowhere", "there is no checkpoint at 'nowhere'"),
        ("'0=random", "cannot be read"),
    ],
)
def test_wrong_players(players: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        seated("scripted", None, players, AGENTS)


def test_agents_by_number_and_range() -> None:
    assert agent_numbers("0-2,7") == [0, 1, 2, 7]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["policy_uri=random", "steer=12"], "steer=12 is not one of the agents 0..11."),
        (["policy_uri=random", "environment=fight"], "environment='fight' is not one of level_1_basic: basic."),
        (["policy_uri=random", "episode=99"], "episode=99 is not one of the 16"),
        (["policy_uri=random", "port=70000"], "port"),
        (["policy_uri=random", "level=level_2_easy"], "level_2_easy.play"),
    ],
)
def test_wrong_input(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiments.recipes.benchmark_architectures.level_1_basic.play", *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


@pytest.fixture
def server() -> Iterator[PlayServer]:
    """A served world of the random player."""
    with PlayServer(table_of("random"), play_page("A <game>", [("who", "<b>")], None, True), 0) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def ask(
    server: PlayServer, path: str, body: object = None, token: str | None = None, **headers: str
) -> tuple[int, str]:
    """Status and text of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=600)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    method, data = "GET", None
    if body is not None:
        method, data = "POST", json.dumps(body)
        given = {"Content-Type": "application/json", **given}
    connection.request(method, f"/{server.token if token is None else token}/{path}", data, given)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def found(answer: tuple[int, str]) -> dict[str, Any]:
    """The record of a good answer."""
    assert answer[0] == 200, answer[1]
    value: dict[str, Any] = json.loads(answer[1])
    return value


def test_a_game_over_the_network(server: PlayServer) -> None:
    episode = found(ask(server, "episode"))
    assert episode["head"]["players"] == ["random"] * AGENTS
    assert len(episode["rows"]) == 1
    for step in range(STEPS):
        answer = found(ask(server, "step", {"game": 1, "step": step, "steered": {"3": 0}}))
        assert answer["done"]["agents"][3][4] == 0
        assert (answer["row"] is None) == (step == STEPS - 1)
    again = found(ask(server, "episode"))
    assert again["ended"]
    assert len(again["rows"]) == STEPS
    assert server.table.result is not None
    last = again["rows"][-1]["inventories"]
    assert sum(server.table.result["hearts"]) >= sum(held[HEART] for held in last)
    assert ask(server, "step", {"game": 1, "step": STEPS - 1})[0] == 400
    assert found(ask(server, "restart", {"episode": 1})) == {"episode": 1}
    assert len(found(ask(server, "episode"))["rows"]) == 1


def test_the_page_is_escaped_and_may_ask_its_own_server_only(server: PlayServer) -> None:
    status, page = ask(server, "")
    assert status == 200
    assert "A &lt;game&gt;" in page
    assert "connect-src &#39;self&#39;" in page
    assert page.count("<script") == 1
    assert server.token not in page


def test_strangers_find_nothing(server: PlayServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    for path in ("", "episode"):
        assert ask(server, path, token="guess")[0] == 404
        assert ask(server, path, token="")[0] == 404
        assert ask(server, path, Host="evil.example")[0] == 404
    assert ask(server, "step", {"step": 0}, token="guess")[0] == 404
    assert ask(server, "step", {"step": 0}, Origin="http://evil.example")[0] == 403
    assert ask(server, "other")[0] == 404
    assert len(server.table.rows) == 1


@pytest.mark.parametrize(
    ("path", "body", "headers", "sentence"),
    [
        ("step", {"game": 1, "step": 0, "steered": {"x": 1}}, {}, "must map agents"),
        ("step", {"game": 1, "step": 0, "steered": {"1": "move"}}, {}, "must map agents"),
        ("step", {"game": 1, "step": 0, "steered": {"1": 16}}, {}, "action 16 is not one of"),
        ("step", [], {}, "must be a JSON object"),
        ("step", {"step": 0}, {"Content_Type": "text/plain"}, "must be JSON"),
        ("step", {"step": "0" * 5000}, {}, "at most 4096 bytes"),
        ("restart", {"episode": "1"}, {}, "must be a whole number"),
        ("restart", {"episode": -1}, {}, "episode=-1 is not one of"),
    ],
)
def test_bad_requests_are_refused_in_a_sentence(
    server: PlayServer, path: str, body: object, headers: dict[str, str], sentence: str
) -> None:
    status, text = ask(server, path, body, **headers)
    assert status == 400
    assert sentence in json.loads(text)["error"]
    assert len(server.table.rows) == 1


def test_a_second_tab_is_told_what_the_first_one_did(server: PlayServer) -> None:
    assert found(ask(server, "episode"))["game"] == 1
    found(ask(server, "step", {"game": 1, "step": 0}))
    status, text = ask(server, "step", {"game": 1, "step": 0})
    assert status == 409
    assert json.loads(text)["error"] == "another page has played on; the world is at step 1."
    news = found(ask(server, "since/0"))
    assert (news["game"], len(news["rows"]), news["ended"]) == (1, 2, False)
    assert news["rows"][0]["agents"][0][5] != NOT_DONE_YET
    assert found(ask(server, "since/1"))["rows"] == news["rows"][1:]
    found(ask(server, "restart", {"episode": 0}))
    assert ask(server, "step", {"game": 1, "step": 0})[0] == 409, "the same step of another game"
    assert found(ask(server, "since/7")) == {"game": 2, "rows": [], "ended": False}
    assert ask(server, "since/x")[0] == 404


def test_a_browser_with_a_wrong_address_is_told_in_words(server: PlayServer) -> None:
    status, text = ask(server, "", token="guess", Accept="text/html,*/*")
    assert status == 404
    assert "There is no game at this address" in text
    assert server.token not in text


def test_a_browser_that_goes_away_is_no_news(server: PlayServer, capfd: pytest.CaptureFixture[str]) -> None:
    address = server.server_address[:2]
    for fault in (ConnectionResetError(), BrokenPipeError(), ValueError("a fault of ours")):
        try:
            raise fault
        except (ConnectionError, ValueError):
            server.handle_error(None, address)
        said = capfd.readouterr().err
        assert ("a fault of ours" in said) == isinstance(fault, ValueError)
        assert bool(said) == isinstance(fault, ValueError)


def test_a_taken_port_is_one_sentence(server: PlayServer) -> None:
    with pytest.raises(InputError, match="cannot be listened on: address already in use"):
        PlayServer(server.table, "", server.server_port)


class SlowTable:
    """Stands in for a table whose answer takes until `go`."""

    def __init__(self) -> None:
        self.asked, self.go = threading.Event(), threading.Event()
        self.rows: list[Any] = []
        self.games = 1
        self.ended = False

    @property
    def head(self) -> dict[str, Any]:
        """Nothing, late."""
        self.asked.set()
        assert self.go.wait(600)
        return {}


def test_closing_waits_for_an_answer_and_not_for_a_connection_that_says_nothing() -> None:
    table, answers = SlowTable(), []
    server = PlayServer(table, "", 0)  # type: ignore[arg-type]
    serving = threading.Thread(target=server.serve_forever, args=(0.01,))
    asking = threading.Thread(target=lambda: answers.append(ask(server, "episode")))
    closing = threading.Thread(target=server.server_close)
    with socket.create_connection(("127.0.0.1", server.server_port)):
        serving.start()
        asking.start()
        assert table.asked.wait(600)
        server.shutdown()
        closing.start()
        closing.join(0.1)
        assert closing.is_alive()
        table.go.set()
        for thread in (closing, asking, serving):
            thread.join()
    assert [status for status, _ in answers] == [200]
