"""Report, replay and live play in a real browser: no errors, nothing loaded, every control works, numbers are right.

Needs playwright (optional group `browser`) and a chromium on the PATH; skipped by name without them.
"""

import csv
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.recipes.benchmark_architectures.level_3_medium import LEVEL
from metta.analysis.report import main
from metta.base.addresses import RANDOM
from metta.play.page import play_page
from metta.play.server import PlayServer
from metta.play.table import Seat, Table
from metta.replay.page import replay_page
from metta.replay.recording import Recording, record
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.rl.players import REFERENCE_PLAYERS
from metta.sim.constants import ACTION_NAMES
from tests.analysis.wide import LEVELS, write_benchmark

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (uv run --group browser ...)")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    "--disable-sync",
]
VIEWS = {"light": ("light", 1200, 900), "dark": ("dark", 1200, 900), "phone": ("light", 390, 844)}
STEPS = 40


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests."""
    with sync_api.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def opened(browser: Any, file: Path, view: str) -> tuple[Any, list[str]]:
    """The page of a file, offline, and the list that its faults and requests go to."""
    scheme, width, height = VIEWS[view]
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height}, offline=True)
    page, faults = context.new_page(), []
    page.on("console", lambda said: faults.append(said.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda asked: faults.append(asked.url) if not asked.url.startswith("file:") else None)
    page.goto(file.as_uri())
    return page, faults


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of four architectures on three levels, with a gap."""
    names = ("vit", "fast", "puffer", "agalite")
    gap = [("fast", LEVELS[2], 1)]
    results = write_benchmark(tmp_path_factory.mktemp("report"), names, LEVELS[:3], seeds=2, failed=gap)
    assert main([str(results)]) == 0
    return results.parent / "report.html"


@pytest.mark.parametrize("view", VIEWS)
def test_the_report_is_whole(browser: Any, report: Path, view: str) -> None:
    page, faults = opened(browser, report, view)
    assert page.evaluate("document.documentElement.scrollWidth") == VIEWS[view][1]
    for summary in page.query_selector_all("summary"):
        summary.focus()
        page.keyboard.press("Enter")
    assert page.evaluate("[...document.querySelectorAll('details')].every((folded) => folded.open)")
    assert page.evaluate("document.documentElement.scrollWidth") == VIEWS[view][1]
    page.keyboard.press("Home")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(22, 22, 22)" if view == "dark" else "rgb(255, 255, 255)")
    assert faults == []


def test_the_report_shows_the_numbers_of_its_tables(browser: Any, report: Path) -> None:
    page, _ = opened(browser, report, "light")
    shown = [cell.inner_text() for cell in page.query_selector_all("#summary tbody tr:first-child td")]
    row = next(csv.DictReader((report.parent / "report" / "standings.csv").read_text().splitlines()))
    assert shown[0] == f"{float(row['interquartile mean']):.3f}"
    assert shown[5] == row["runs"]
    assert page.inner_text("#summary tbody tr:first-child th") == row["architecture"]


def test_links_of_the_report_lead_there_by_keyboard(browser: Any, report: Path) -> None:
    page, _ = opened(browser, report, "light")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.url.endswith("#summary")
    page.click("nav a:last-of-type >> nth=-1")
    assert page.evaluate("scrollY") > 0


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recording]:
    """A short episode of the random player."""
    sim = LEVEL.make_evals()["combat"].model_copy(update={"max_steps": STEPS})
    recording = record("random", sim, EvaluationConfig(worlds=1), SystemConfig(threads=1), 0)
    file = tmp_path_factory.mktemp("replay") / "replay.html"
    file.write_text(replay_page(recording, "random", [("player", "random")], "A replay", sim))
    return file, recording


@pytest.mark.parametrize("view", VIEWS)
def test_every_control_of_the_replay_works(browser: Any, replay: tuple[Path, Recording], view: str) -> None:
    page, faults = opened(browser, replay[0], view)
    sync_api.expect(page.locator("#clock")).to_have_text(f"0 of {STEPS - 1}")

    def clock() -> int:
        return int(page.inner_text("#clock").split()[0])

    page.click("#step")
    page.click("#step")
    page.click("#back")
    assert clock() == 1
    page.fill("#scrub", "7")
    assert clock() == 7
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("n")
    assert (clock(), page.input_value("#agent")) == (8, "1")
    page.keyboard.press("p")
    page.keyboard.press("p")
    assert page.input_value("#agent") == str(replay[1].agents.shape[1] - 1)
    page.select_option("#agent", "3")
    page.select_option("#speed", "60")
    page.click("#play")
    sync_api.expect(page.locator("#clock")).to_have_text(f"{STEPS - 1} of {STEPS - 1}", timeout=60_000)
    assert page.inner_text("#play") == "Play"
    assert page.evaluate("document.documentElement.scrollWidth") == VIEWS[view][1]
    assert faults == []


def test_keys_work_after_every_control(browser: Any, replay: tuple[Path, Recording]) -> None:
    """Used by mouse; a button that was reached by keyboard is still pressed by space."""
    page, faults = opened(browser, replay[0], "light")
    clock = page.locator("#clock")

    def at(step: int) -> None:
        sync_api.expect(clock).to_have_text(f"{step} of {STEPS - 1}")

    at(0)
    page.click("#step")
    page.keyboard.press("ArrowRight")
    at(2)
    page.click("#back")
    page.keyboard.press("n")
    assert page.input_value("#agent") == "1"
    page.mouse.click(*(middle(page, "#scrub")))
    jumped = int(page.inner_text("#clock").split()[0])
    page.keyboard.press("ArrowLeft")
    at(jumped - 1)
    page.keyboard.press(" ")
    assert page.inner_text("#play") == "Pause"
    page.keyboard.press(" ")
    assert page.inner_text("#play") == "Play"
    before = int(page.inner_text("#clock").split()[0])
    page.focus("#back")
    page.keyboard.press(" ")
    at(before - 1)
    page.keyboard.press("ArrowRight")
    at(before)
    assert faults == []


def middle(page: Any, control: str) -> tuple[float, float]:
    """Where to click on a control."""
    box = page.locator(control).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_replay_shows_what_was_recorded(browser: Any, replay: tuple[Path, Recording]) -> None:
    file, recording = replay
    page, _ = opened(browser, file, "light")
    sync_api.expect(page.locator("#clock")).to_have_text(f"0 of {STEPS - 1}")
    for step, agent in ((0, 0), (11, 4), (STEPS - 1, 19)):
        page.fill("#scrub", str(step))
        page.select_option("#agent", str(agent))
        about = page.inner_text("#about")
        row, column, _, _, action, done = recording.agents[step, agent].tolist()
        assert f"row {row}, column {column}," in about
        assert f"{ACTION_NAMES[action]}{'' if done else ' (failed)'}" in about
        assert f"{recording.rewards[: step + 1, agent].sum():.3f}" in about
        assert page.locator("#probabilities tr").count() == len(ACTION_NAMES)


def test_a_click_on_an_agent_chooses_it(browser: Any, replay: tuple[Path, Recording]) -> None:
    file, recording = replay
    page, _ = opened(browser, file, "light")
    sync_api.expect(page.locator("#clock")).to_have_text(f"0 of {STEPS - 1}")
    rows, columns = len(recording.start_rows), len(recording.start_rows[0])
    box = page.locator("#map").bounding_box()
    row, column = recording.agents[0, 5, :2].tolist()
    x, y = (column + 0.5) / columns * box["width"], (row + 0.5) / rows * box["height"]
    page.click("#map", position={"x": x, "y": y})
    assert page.input_value("#agent") == "5"


@pytest.fixture
def live() -> Iterator[PlayServer]:
    """A short live world of random players."""
    sim = LEVEL.make_evals()["basic"].model_copy(update={"max_steps": STEPS})
    seats = [Seat("random", REFERENCE_PLAYERS[RANDOM](sim), tuple(range(sim.num_agents)))]
    table = Table(sim, EvaluationConfig(worlds=2), seats, 0)
    with PlayServer(table, play_page("Live", [("player", "random")], None), 0) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@pytest.mark.parametrize("view", VIEWS)
def test_a_world_is_played_and_an_agent_steered(browser: Any, live: PlayServer, view: str) -> None:
    scheme, width, height = VIEWS[view]
    page = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height}).new_page()
    faults: list[str] = []
    page.on("console", lambda said: faults.append(said.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(live.url)
    clock = page.locator("#clock")
    sync_api.expect(clock).to_have_text(f"0 of {STEPS - 1}")
    page.click("#step")
    sync_api.expect(clock).to_have_text(f"1 of {STEPS - 1}")
    page.select_option("#steer", "3")
    assert page.input_value("#agent") == "3"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("d")
    sync_api.expect(clock).to_have_text(f"2 of {STEPS - 1}")
    assert live.table.rows[1]["agents"][3][4] == ACTION_NAMES.index("move_east")
    page.click("button.act >> text=Put")
    sync_api.expect(clock).to_have_text(f"3 of {STEPS - 1}")
    page.click("#attack")
    sync_api.expect(clock).to_have_text(f"4 of {STEPS - 1}")
    assert live.table.rows[2]["agents"][3][4] == ACTION_NAMES.index("put_items")
    assert live.table.rows[3]["agents"][3][4] == ACTION_NAMES.index("attack_0")
    page.click("#back")
    sync_api.expect(clock).to_have_text(f"3 of {STEPS - 1}")
    assert "attack_0" in page.inner_text("#about")
    page.select_option("#speed", "60")
    page.click("#play")
    sync_api.expect(page.locator("#message")).to_have_text("The episode is over.", timeout=60_000)
    assert live.table.ended
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.select_option("#episode", "1")
    page.click("#restart")
    sync_api.expect(clock).to_have_text(f"0 of {STEPS - 1}")
    assert live.table.episode == 1
    assert faults == []


def test_rewards_so_far_are_those_of_the_steps_done(browser: Any, live: PlayServer) -> None:
    page = browser.new_page()
    page.goto(live.url)
    clock = page.locator("#clock")
    for step in range(STEPS - 1):
        sync_api.expect(clock).to_have_text(f"{step} of {STEPS - 1}")
        page.click("#step")
    sync_api.expect(clock).to_have_text(f"{STEPS - 1} of {STEPS - 1}")

    def so_far() -> list[float]:
        return [float(text) for text in page.locator("#all tr td:nth-child(4)").all_inner_texts()]

    shown = so_far()
    rewards = [sum(row["rewards"][agent] for row in live.table.rows) for agent in range(len(shown))]
    assert any(rewards)
    assert shown == pytest.approx(rewards, abs=0.006)
    page.reload()
    sync_api.expect(clock).to_have_text(f"{STEPS - 1} of {STEPS - 1}")
    assert so_far() == shown


def test_tabs_follow_each_other_and_the_end_of_the_server_is_told(browser: Any, live: PlayServer) -> None:
    first, second = browser.new_page(), browser.new_page()
    for page in (first, second):
        page.goto(live.url)
        sync_api.expect(page.locator("#clock")).to_have_text(f"0 of {STEPS - 1}")
    first.click("#step")
    sync_api.expect(second.locator("#clock")).to_have_text(f"1 of {STEPS - 1}")
    second.click("#step")
    sync_api.expect(first.locator("#clock")).to_have_text(f"2 of {STEPS - 1}")
    second.select_option("#episode", "1")
    second.click("#restart")
    for page in (first, second):
        sync_api.expect(page.locator("#clock")).to_have_text(f"0 of {STEPS - 1}")
        assert page.input_value("#episode") == "1"
    live.shutdown()
    live.server_close()
    for page in (first, second):
        sync_api.expect(page.locator("#message")).to_contain_text("the command that serves this world has ended")


def test_a_wrong_address_is_told_in_words(browser: Any, live: PlayServer) -> None:
    page = browser.new_page()
    page.goto(live.url.replace(live.token, "old"))
    assert "There is no game at this address" in page.inner_text("body")
