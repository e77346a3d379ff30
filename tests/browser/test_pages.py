"""Report, replay and live play in a real browser: no errors, nothing loaded, every control works, numbers are right.

Needs playwright (optional group `browser`) and a chromium on the PATH; skipped by name without them.
"""

import base64
import csv
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.recipes.benchmark_architectures.level_3_medium import LEVEL
from experiments.recipes.benchmark_architectures.memory_1 import LEVEL as RUNG
from metta.analysis.gather import gather
from metta.analysis.replays import MEDIAN, choices, file_of
from metta.analysis.report import main
from metta.analysis.results import FILE_NAME, read_results
from metta.base.addresses import RANDOM
from metta.play.page import play_page
from metta.play.server import PlayServer
from metta.play.table import Seat, Table
from metta.replay.page import replay_page
from metta.replay.recording import Recording, record
from metta.rl.config import EvaluationConfig, SystemConfig
from metta.rl.players import REFERENCE_PLAYERS
from metta.sim.constants import ACTION_NAMES, HEART
from tests.analysis.test_replays import write
from tests.analysis.wide import ARCHITECTURES, LEVELS, write_benchmark

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (uv run --group browser ...)")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    "--disable-sync",
]
VIEWS = {"light": ("light", 1280, 800), "dark": ("dark", 1280, 800), "phone": ("light", 390, 844)}
STEPS = 40
MILLISECONDS = 600_000
"""Nothing is waited for longer: a busy machine is no fault of a page."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests."""
    sync_api.expect.set_options(timeout=MILLISECONDS)
    with sync_api.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def opened(browser: Any, file: Path, view: str, anchor: str = "") -> tuple[Any, list[str]]:
    """The page of a file, offline, and the list that its faults and requests go to."""
    scheme, width, height = VIEWS[view]
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height}, offline=True)
    context.set_default_timeout(MILLISECONDS)
    page, faults = context.new_page(), []
    page.on("console", lambda said: faults.append(said.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda asked: faults.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None)
    page.goto(file.as_uri() + anchor)
    return page, faults


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of three architectures on two levels."""
    results = write_benchmark(tmp_path_factory.mktemp("report"), ("vit", "fast", "puffer"), LEVELS[:2], seeds=3)
    for choice in choices(gather([results])):
        write(choice, picture=f"data:image/svg+xml;base64,{base64.b64encode(DRAWING.encode()).decode()}")
    assert main([str(results)]) == 0
    return results.parent / "report.html"


FIRST_FIGURES = (f"hearts_per_agent_{LEVELS[0]}", f"hearts_{LEVELS[0]}")
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9v9z"/></svg>'


def drawn(browser: Any, file: Path, view: str = "light") -> tuple[Any, list[str]]:
    """The report with all its figures drawn."""
    page, faults = opened(browser, file, view)
    page.wait_for_selector("body[data-ready]", timeout=MILLISECONDS)
    return page, faults


def figure(name: str) -> str:
    """Selector of a figure."""
    return f".chart[data-figure='{name}']"


WIDEST = (
    "Math.max(...[...document.querySelectorAll('svg.marks')].map((drawing) => drawing.getBoundingClientRect().right))"
)


@pytest.mark.parametrize("view", VIEWS)
def test_the_report_is_whole(browser: Any, report: Path, view: str) -> None:
    page, faults = drawn(browser, report, view)
    assert report.stat().st_size < 5 * 2**20
    assert page.locator("svg.marks").count() == page.locator(".chart").count() > 10
    assert page.evaluate("document.documentElement.scrollWidth") == VIEWS[view][1]
    assert page.evaluate(WIDEST) <= VIEWS[view][1]
    words = page.inner_text(figure(f"hearts_per_agent_{LEVELS[0]}"))
    assert {"agent-steps", "hearts per agent", "random", "blind", "reflex", "scripted"} <= set(words.splitlines())
    assert "latency (ms), log scale" in page.inner_text(figure("cost_latency"))
    for summary in page.query_selector_all("main summary:not(.chart summary)"):
        summary.focus()
        page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.scrollWidth") == VIEWS[view][1]
    ground, ink = (
        ("rgb(22, 22, 22)", "rgb(236, 236, 236)") if view == "dark" else ("rgb(255, 255, 255)", "rgb(28, 28, 28)")
    )
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
    assert page.evaluate("getComputedStyle(document.querySelector('.role-axis-label text')).fill") == ink
    assert faults == []


def test_the_report_shows_the_numbers_of_the_results(browser: Any, report: Path) -> None:
    page, _ = drawn(browser, report)
    results = read_results(report.parent / FILE_NAME)
    hearts = [
        run.evaluation.results["basic"].hearts_per_agent
        for run in results.runs
        if run.training.architecture == "vit" and run.training.level == LEVELS[0]
    ]
    dots = page.locator(f"{figure(f'hearts_{LEVELS[0]}')} .mark-symbol path[aria-label*='who: vit']")
    shown = [float(str(label).split("seed:")[0].split("agent: ")[1].split(";")[0]) for label in labels(dots)]
    assert sorted(shown) == pytest.approx(sorted(hearts), rel=1e-3)
    dots.first.hover(force=True)
    tip = page.locator("#vg-tooltip-element.visible")
    sync_api.expect(tip).to_contain_text("vit")
    assert any(f"{value:,.4g}".rstrip("0") in tip.inner_text() for value in hearts)
    row = next(csv.DictReader((report.parent / "report" / "standings.csv").read_text().splitlines()))
    cells = page.locator("#table-standings tbody tr").first.locator("th, td").all_inner_texts()
    assert cells[0] == row["architecture"] == "vit"
    mean, low, high = (float(row[f"score, mean{end}"]) for end in ("", " low", " high"))
    assert cells[1] == f"{mean:.3f} [{low:.3f}, {high:.3f}]"
    assert f"vit scores {mean:.3f}" in page.inner_text("#headline")


def test_the_first_screen_holds_the_result(browser: Any, report: Path) -> None:
    """The sentence, curves, seeds and thumbnails, which open the median episode's replay."""
    page, faults = drawn(browser, report)
    pictures = page.locator(f"#{LEVELS[0]} .watch img")
    wanted = ["#headline", *map(figure, FIRST_FIGURES)]
    for place in [*(page.locator(name) for name in wanted), pictures.first]:
        box = place.bounding_box()
        assert box["y"] + box["height"] <= VIEWS["light"][2]
    assert pictures.evaluate_all("all => all.map((picture) => picture.naturalWidth > 0)") == [True] * 3
    found = choices(gather([report.parent]))
    median = [choice for choice in found if (choice.kind, choice.level) == (MEDIAN, LEVELS[0])]
    best = max(median, key=lambda choice: choice.episode.hearts_per_agent)
    name = f"{best.architecture} ({best.episode.hearts_per_agent:.2f})"
    assert page.locator(f"#{LEVELS[0]} .watch").first.inner_text().strip() == f"▶ {name}"
    pictures.first.click()
    assert page.url == file_of(best).resolve().as_uri()
    assert faults == []


def labels(marks: Any) -> list[str]:
    """What screen readers say of marks."""
    return [mark.get_attribute("aria-label") for mark in marks.all()]


def test_the_legend_switches_everywhere(browser: Any, report: Path) -> None:
    page, faults = drawn(browser, report)
    marks = page.locator(".mark-symbol path[aria-label*='who: fast']")
    before = marks.count()
    assert before > 20
    page.click("[data-who=fast]")
    sync_api.expect(marks).to_have_count(0)
    assert page.get_attribute("[data-who=fast]", "aria-pressed") == "false"
    others = page.locator(".mark-symbol path[aria-label*='who: vit']")
    assert others.count() > 20
    page.click("#nobody")
    sync_api.expect(others).to_have_count(0)
    page.click("[data-who=scripted]")
    sync_api.expect(page.locator(figure(f"hearts_{LEVELS[0]}"))).not_to_contain_text("scripted")
    page.click("#everybody")
    sync_api.expect(marks).to_have_count(before)
    sync_api.expect(page.locator(figure(f"hearts_{LEVELS[0]}"))).to_contain_text("scripted")
    assert faults == []


def test_tables_sort_by_every_column(browser: Any, report: Path) -> None:
    page, _ = drawn(browser, report)

    def column(place: int) -> list[str]:
        return page.locator(f"#table-standings tbody tr > :nth-child({place})").all_inner_texts()

    head = page.locator("#table-standings thead th")
    latency = head.all_inner_texts().index("latency (ms)") + 1
    for wanted in ("descending", "ascending"):
        page.click(f"#table-standings th:nth-child({latency}) .sort")
        assert head.nth(latency - 1).get_attribute("aria-sort") == wanted
        numbers = [float(text) for text in column(latency)]
        assert numbers == sorted(numbers, reverse=wanted == "descending")
    page.click("#table-standings th:first-child .sort")
    assert column(1) == sorted(column(1))
    assert head.nth(latency - 1).get_attribute("aria-sort") is None


def test_figures_follow_the_window_and_are_saved(browser: Any, report: Path) -> None:
    page, faults = drawn(browser, report)
    chart = page.locator(f"{figure(f'hearts_{LEVELS[0]}')} svg.marks")
    before = chart.bounding_box()["width"]
    page.set_viewport_size({"width": 450, "height": 800})
    page.wait_for_function(f"{WIDEST} <= 450")
    assert chart.bounding_box()["width"] != before
    page.click(f"{figure(f'hearts_{LEVELS[0]}')} summary")
    with page.expect_download() as download:
        page.click(f"{figure(f'hearts_{LEVELS[0]}')} >> text=Save as SVG")
    saved = Path(download.value.path()).read_text(encoding="utf-8")
    assert "<svg" in saved
    assert "puffer" in saved
    assert [fault for fault in faults if not fault.startswith(("data:", "blob:"))] == []


def test_the_report_prints_whole(browser: Any, report: Path) -> None:
    page, _ = drawn(browser, report, "dark")
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 720, "height": 1000})
    page.wait_for_function(f"{WIDEST} <= 720")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("#table-commands").is_visible()
    assert page.locator("#table-standings").is_visible()
    assert page.locator(".watch img").first.is_visible()
    curves, hearts = (page.locator(figure(name)).bounding_box() for name in FIRST_FIGURES)
    assert curves["y"] == hearts["y"]


def test_links_of_the_report_lead_there_by_keyboard(browser: Any, report: Path) -> None:
    page, _ = drawn(browser, report)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    page.click("nav a:last-of-type >> nth=-1")
    assert page.evaluate("scrollY") > 0


@pytest.mark.parametrize("view", ["light", "phone"])
def test_every_control_of_a_full_report_works(browser: Any, full_report: Path, view: str) -> None:
    """Thirteen architectures on five levels: every switch, every column of every table, every fold, every link."""
    page, faults = drawn(browser, full_report, view)
    assert full_report.stat().st_size < 5 * 2**20
    for name in ARCHITECTURES:
        marks = page.locator(f"{figure(f'hearts_{LEVELS[0]}')} .mark-symbol path[aria-label*='who: {name};']")
        assert marks.count() == 3
        page.click(f"[data-who={name}]")
        sync_api.expect(marks).to_have_count(0)
    page.click("#everybody")
    sync_api.expect(marks).to_have_count(3)
    for summary in page.query_selector_all("main summary:not(.chart summary)"):
        summary.click()
    page.evaluate(SORT_EVERYTHING)
    assert page.evaluate(UNSORTED) == []
    for link in page.locator("nav a").all():
        link.click()
        assert page.evaluate("document.querySelector(location.hash).getBoundingClientRect().top") < VIEWS[view][2]
    assert page.evaluate("document.documentElement.scrollWidth") == VIEWS[view][1]
    assert faults == []


@pytest.fixture(scope="module")
def full_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of thirteen architectures on five levels with three seeds."""
    results = write_benchmark(tmp_path_factory.mktemp("full"))
    assert main([str(results)]) == 0
    return results.parent / "report.html"


SORT_EVERYTHING = "document.querySelectorAll('.sort').forEach((button) => button.click())"
UNSORTED = """[...document.querySelectorAll('table')].filter((table) => {
  const head = table.querySelector('th[aria-sort]');
  const cells = [...table.tBodies[0].rows].map((row) => row.cells[head.cellIndex].dataset.order);
  const numbers = cells.filter((text) => text !== '').map(Number);
  const sign = head.getAttribute('aria-sort') === 'ascending' ? 1 : -1;
  return !numbers.some(Number.isNaN) && numbers.some((n, i) => i && sign * (n - numbers[i - 1]) < 0);
}).map((table) => table.id)"""
"""Tables whose rows are not in the order of the column that was clicked last, where that holds numbers."""


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recording]:
    """A short episode of the random player."""
    sim = LEVEL.make_evals()["combat"].model_copy(update={"max_steps": STEPS})
    recording = record("random", sim, EvaluationConfig(worlds=1), SystemConfig(threads=1), 0)
    file = tmp_path_factory.mktemp("replay") / "replay.html"
    file.write_text(replay_page(recording, "random", [("player", "random")], "A replay", sim, "report.html"))
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
    sync_api.expect(page.locator("#clock")).to_have_text(f"{STEPS - 1} of {STEPS - 1}")
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


RINGS = """() => {
  let rings = 0;
  for (const id of ["map", "view"]) {
    const canvas = document.getElementById(id);
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < data.length; i += 4) rings += data[i] === 0xd6 && data[i + 1] === 0x33 && data[i + 2] === 0x6c;
  }
  return rings;
}"""
"""Pixels of the red rings around agents that attack or are hit."""


def test_a_wait_is_no_hit(browser: Any, tmp_path: Path) -> None:
    sim = RUNG.make_env().model_copy(update={"max_steps": 60})
    recording = record("scripted", sim, EvaluationConfig(worlds=1), SystemConfig(threads=1), 0)
    frozen = recording.agents[:, :, 3].astype(int)
    step = int((frozen[1:] > frozen[:-1]).any(1).argmax())  # somebody answers and waits again
    assert (frozen[step + 1] > frozen[step]).any()
    file = tmp_path / "replay.html"
    file.write_text(replay_page(recording, "scripted", [], "A replay", sim))
    page, faults = opened(browser, file, "light", f"#step={step}&agent=0")
    page.wait_for_function("document.getElementById('message').hidden")
    assert page.inner_text("#clock") == f"{step} of 59"
    assert page.evaluate(RINGS) == 0
    assert faults == []


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


@pytest.mark.parametrize("view", VIEWS)
def test_the_map_fills_the_window(browser: Any, replay: tuple[Path, Recording], view: str) -> None:
    page, _ = opened(browser, replay[0], view)
    sync_api.expect(page.locator("#clock")).to_have_text(f"0 of {STEPS - 1}")
    room, drawn = (page.locator(name).bounding_box() for name in ("#room", "#map"))
    columns = len(replay[1].start_rows[0])
    missing = min(room[side] - drawn[side] for side in ("width", "height"))
    assert 0 <= missing < columns  # less than a pixel of a cell
    if view != "phone":
        assert drawn["height"] > VIEWS[view][2] / 2
        end = page.locator("#now").bounding_box()
        assert end["y"] + end["height"] <= VIEWS[view][2]
        page.set_viewport_size({"width": 1600, "height": 1000})
        sync_api.expect(page.locator("#map")).not_to_have_css("height", f"{drawn['height']:g}px")
        assert page.locator("#map").bounding_box()["height"] > drawn["height"] + columns


def test_the_address_holds_step_and_agent(browser: Any, replay: tuple[Path, Recording]) -> None:
    page, faults = opened(browser, replay[0], "light", "#step=7&agent=3")
    clock, chosen = page.locator("#clock"), page.locator("#all tr.chosen th")
    sync_api.expect(clock).to_have_text(f"7 of {STEPS - 1}")
    sync_api.expect(chosen).to_have_text("3")
    page.click("#step")
    page.click("#all tr >> nth=9")
    sync_api.expect(chosen).to_have_text("9")
    page.wait_for_url("**#step=8&agent=9")
    page.evaluate("location.hash = 'step=99999&agent=x'")
    sync_api.expect(clock).to_have_text(f"{STEPS - 1} of {STEPS - 1}")
    sync_api.expect(chosen).to_have_text("9")
    assert page.get_attribute("header a", "href") == "report.html"
    assert faults == []


def test_a_row_is_followed_while_the_episode_plays(browser: Any, replay: tuple[Path, Recording]) -> None:
    page, _ = opened(browser, replay[0], "light")
    page.select_option("#speed", "60")
    page.click("#play")
    page.click("#all tr >> nth=4")
    sync_api.expect(page.locator("#all tr.chosen th")).to_have_text("4")
    assert page.inner_text("#followed") == "Agent 4"


def test_the_chart_has_the_recording_s_numbers(browser: Any, replay: tuple[Path, Recording]) -> None:
    file, recording = replay
    page, _ = opened(browser, file, "light")
    sync_api.expect(page.locator("#clock")).to_have_text(f"0 of {STEPS - 1}")
    page.click("#chart", position={"x": page.locator("#chart").bounding_box()["width"] - 9, "y": 20})
    sync_api.expect(page.locator("#clock")).to_have_text(f"{STEPS - 1} of {STEPS - 1}")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("n")
    step, held = STEPS - 2, recording.inventories[STEPS - 2, :, HEART]
    shown = dict(text.split(": ") for text in page.locator("#now span").all_inner_texts())
    assert {name: float(number) for name, number in shown.items()} == {
        "hearts per agent": pytest.approx(held.mean(), abs=0.0051),
        "reward per agent so far": pytest.approx(recording.rewards[: step + 1].sum(axis=0).mean(), abs=0.0051),
        "hearts of agent 1": held[1],
    }
    assert page.locator("#all td:nth-child(5)").all_inner_texts() == [str(hearts) for hearts in held]


@pytest.fixture(params=["combat"])
def live(request: pytest.FixtureRequest) -> Iterator[PlayServer]:
    """A short live world of random players."""
    sim = LEVEL.make_evals()[request.param].model_copy(update={"max_steps": STEPS})
    seats = [Seat("random", REFERENCE_PLAYERS[RANDOM](sim), tuple(range(sim.num_agents)))]
    table = Table(sim, EvaluationConfig(worlds=2), seats, 0)
    with PlayServer(table, play_page("Live", [("player", "random")], None, sim.can_attack), 0) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@pytest.mark.parametrize("live", ["basic"], indirect=True)
def test_nobody_attacks_where_combat_is_off(browser: Any, live: PlayServer) -> None:
    page = browser.new_page()
    page.goto(live.url)
    clock = page.locator("#clock")
    page.select_option("#steer", "3")
    sync_api.expect(page.locator("#followed")).to_have_text("You (agent 3)")
    assert page.inner_text("#all tr.chosen th") == "3 you"
    assert page.locator("#attack, #target").count() == 0
    page.click("summary >> nth=0")
    assert "attack" not in page.inner_text(".stage") + page.inner_text("details >> nth=0")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("1")
    page.keyboard.press("g")
    sync_api.expect(clock).to_have_text(f"1 of {STEPS - 1}")
    assert live.table.rows[0]["agents"][3][4] == ACTION_NAMES.index("get_items")
    page.click("#step")
    page.keyboard.press("ArrowUp")
    sync_api.expect(clock).to_have_text(f"3 of {STEPS - 1}")
    assert live.table.rows[2]["agents"][3][4] == ACTION_NAMES.index("move_north")
    page.select_option("#steer", "")
    sync_api.expect(page.locator("#followed")).to_have_text("Agent 3")


@pytest.mark.parametrize("view", VIEWS)
def test_a_world_is_played_and_an_agent_steered(browser: Any, live: PlayServer, view: str) -> None:
    scheme, width, height = VIEWS[view]
    page = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height}).new_page()
    faults: list[str] = []
    page.on("console", lambda said: faults.append(said.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith(live.url) else faults.append(asked.url))
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
    sync_api.expect(page.locator("#message")).to_have_text("The episode is over.")
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


HELD_BACK = """() => {
  const real = window.fetch;
  window.fetch = async (what, options) => {
    const answer = await real(what, options);
    if (String(what).startsWith("since/")) {
      document.body.dataset.asked = "yes";
      await new Promise((resolve) => { window.release ??= resolve; });
    }
    return answer;
  };
}"""
"""The first answer about other tabs waits for `release`, the next ones for ever."""


def test_an_answer_that_a_step_has_overtaken_is_not_shown(browser: Any, live: PlayServer) -> None:
    page, again = browser.new_page(), browser.new_page()
    page.goto(live.url)
    page.evaluate(HELD_BACK)
    page.wait_for_selector("body[data-asked]", timeout=MILLISECONDS)
    page.click("#step")
    sync_api.expect(page.locator("#clock")).to_have_text(f"1 of {STEPS - 1}")
    page.evaluate("window.release()")
    again.goto(live.url)
    sync_api.expect(again.locator("#clock")).to_have_text(f"1 of {STEPS - 1}")
    drawn = "document.querySelector('#map').toDataURL()"
    assert page.evaluate(drawn) == again.evaluate(drawn)


def test_a_wrong_address_is_told_in_words(browser: Any, live: PlayServer) -> None:
    page = browser.new_page()
    page.goto(live.url.replace(live.token, "old"))
    assert "There is no game at this address" in page.inner_text("body")
