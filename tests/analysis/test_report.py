"""The report: numbers as in the results, half-finished and damaged input, one page that loads nothing, escaped text."""

import base64
import csv
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import altair
import numpy as np
import pytest

from metta.analysis.figures import svg
from metta.analysis.file_memory import FileMemory
from metta.analysis.findings import find
from metta.analysis.gather import HEARTS, SCORE, gather
from metta.analysis.report import main, published_figures
from metta.analysis.results import read_results, write_results
from metta.analysis.run_files import read_run_files
from tests.analysis.wide import ARCHITECTURES, LEVELS, write_benchmark

SMALL: dict[str, Any] = {"architectures": ("vit", "fast"), "levels": LEVELS[:1], "seeds": 2}
MOST_BYTES = 5 * 2**20


class Page(HTMLParser):
    """The elements of a page, its text, and that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.scripts if self.open and self.open[-1] in ("script", "style") else self.words).append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of the elements of this name."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def figures(self) -> dict[str, Any]:
        """Name -> specification."""
        data = next(script for script in self.scripts if script.startswith('{"specs"'))
        specs: dict[str, Any] = json.loads(data)["specs"]
        return specs

    @property
    def text(self) -> str:
        """All text, one space between words."""
        return " ".join(" ".join(self.words).split())


def made(results: Path, *arguments: str) -> Page:
    """The page that the command writes for these results."""
    assert main([str(results), *arguments]) == 0
    text = (results.parent / "report.html").read_text(encoding="utf-8")
    assert len(text) < MOST_BYTES
    return Page(text)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Page]:
    """The report of 13 architectures x 5 levels x 3 seeds, one run failed and one left out."""
    gaps = {"failed": [("trxl", LEVELS[3], 2)], "left_out": [("puffer", LEVELS[4], 2)]}
    file = write_benchmark(tmp_path_factory.mktemp("wide"), **gaps)  # type: ignore[arg-type]
    return file, made(file)


def table(file: Path, name: str) -> list[dict[str, str]]:
    """A table of the report."""
    return list(csv.DictReader((file.parent / "report" / f"{name}.csv").read_text().splitlines()))


def test_every_section_is_there_and_every_link_leads_to_one(wide: tuple[Path, Page]) -> None:
    page = wide[1]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for attributes in page.named("a")]
    assert len(links) >= 11
    assert {str(link)[1:] for link in links if str(link).startswith("#")} <= set(ids)
    for attributes in page.named("section") + page.named("figure"):
        assert attributes["aria-labelledby"] in ids
    assert {"result", "levels", "pairs", "learning", "cost", "behaviour", "ladder", "curriculum", "gaps"} <= set(ids)


def test_a_section_appears_only_if_its_data_say_something(tmp_path: Path) -> None:
    page = made(write_benchmark(tmp_path, **SMALL))
    ids = {attributes["id"] for attributes in page.named("section")}
    assert ids == {LEVELS[0], "result", "levels", "pairs", "learning", "cost", "behaviour", "watching", "provenance"}
    assert not any(name.startswith(("ladder", "overall", "profiles", "curriculum")) for name in page.figures)


def test_the_page_loads_nothing_and_runs_only_what_it_names(wide: tuple[Path, Page]) -> None:
    page = wide[1]
    assert not {"img", "iframe", "object", "link", "base", "form"} & {tag for tag, _ in page.elements}
    policy = next(str(a["content"]) for a in page.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy
    allowed = set(re.findall("'sha256-([^']+)'", policy))
    text = (wide[0].parent / "report.html").read_text(encoding="utf-8")
    run = re.findall("<script>(.*?)</script>", text, re.DOTALL)
    assert {base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in run} == allowed
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert tag != "script" or set(attributes) <= {"type", "id"}
        for name in ("href", "src"):
            assert str(attributes.get(name) or "#").startswith("#")


def test_figures_are_named_captioned_and_follow_the_schema(wide: tuple[Path, Page]) -> None:
    page = wide[1]
    drawn = [str(attributes["data-figure"]) for attributes in page.named("div") if "data-figure" in attributes]
    assert len(drawn) == len(set(drawn)) == len(page.named("figcaption")) == len(page.figures) > 15
    for name in drawn:
        spec = page.figures[name]
        altair.Chart.from_dict({**spec, "data": {"values": []}}, validate=True)
        records = spec["data"]["values"]
        numbers = [value for record in records for value in record.values() if isinstance(value, float)]
        assert np.isfinite(numbers).all()
        assert {"kind", "who"} <= set.intersection(*(set(record) for record in records))


def test_reference_players_are_lines_wherever_hearts_are_shown(wide: tuple[Path, Page]) -> None:
    for name, spec in wide[1].figures.items():
        if name.startswith(("hearts_", "sample_efficiency", "cost_", "overall")):
            players = {record["who"] for record in spec["data"]["values"] if record["kind"] == "player"}
            assert players == {"random", "blind", "reflex", "scripted"}, name


def test_scores_have_a_fixed_scale(wide: tuple[Path, Page]) -> None:
    domains = [
        layer["encoding"]["x"]["scale"]["domain"]
        for layer in wide[1].figures["overall"]["layer"]
        if "domain" in layer["encoding"].get("x", {}).get("scale", {})
    ]
    assert domains
    assert all(domain == [0.0, 1.0] for domain in domains)


def test_figures_are_files_on_request(tmp_path: Path) -> None:
    file = write_benchmark(tmp_path, **SMALL)
    assert main([str(file), "--figures"]) == 0
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"hearts_level_1_basic.svg", "hearts_level_1_basic.png", "sample_efficiency_level_1_basic.svg"} <= names
    text = (tmp_path / "report" / "hearts_level_1_basic.svg").read_text()
    assert all(word in text for word in ("vit", "fast", "scripted", "hearts per agent"))
    two = gather([write_benchmark(tmp_path / "two", **(SMALL | {"levels": LEVELS[:2]}))])
    published = published_figures(two, find(two))
    assert {"ladder", "hearts_level_2_easy", "cost_latency"} <= set(published)
    assert all(svg(figure.spec).startswith("<svg") for figure in published.values())


def test_tables_scroll_by_keyboard_and_name_rows_and_columns(wide: tuple[Path, Page]) -> None:
    page = wide[1]
    scrolling = [attributes for attributes in page.named("div") if attributes["class"] == "scroll"]
    for attributes in scrolling:
        assert (attributes["tabindex"], attributes["role"]) == ("0", "region")
        assert attributes["aria-label"]
    assert all(attributes["scope"] in ("row", "col") for attributes in page.named("th"))
    assert len(page.named("caption")) == len(page.named("table")) == len(scrolling)


def test_numbers_are_those_of_the_results(wide: tuple[Path, Page]) -> None:
    file, page = wide
    results = read_results(file)
    rows = [row for row in table(file, "levels") if not row["architecture"].startswith("(")]
    assert [row["architecture"] for row in rows] == list(ARCHITECTURES)
    for row in rows:
        for level in LEVELS:
            values = [
                np.mean([result.normalised_score for result in run.evaluation.results.values()])  # type: ignore[arg-type]
                for run in results.runs
                if (run.training.architecture, run.training.level) == (row["architecture"], level)
                and run.evaluation.results
            ]
            assert float(row[level]) == pytest.approx(float(np.mean(values)))
            assert (row[f"{level} low"] != "") == (len(values) > 2)
            assert f"{float(row[level]):.3f}" in page.text
    for record in page.figures[f"hearts_{LEVELS[0]}"]["data"]["values"]:
        if record["kind"] == "seed":
            (run,) = [r for r in results.runs if r.training.key == (record["who"], LEVELS[0], record["seed"])]
            assert record["x"] == pytest.approx(run.evaluation.results["basic"].hearts_per_agent)
    assert {float(row["parameters"]) for row in table(file, "standings")} == {10_007}
    assert len(table(file, "behaviour_level_3_medium_combat")) == len(ARCHITECTURES)
    assert len(table(file, "runs")) == sum(len(run.evaluation.results) for run in results.runs) + 4 * 8


def test_latency_is_an_axis_of_cost(wide: tuple[Path, Page]) -> None:
    records = [r for r in wide[1].figures["cost_latency"]["data"]["values"] if r["kind"] == "mean"]
    assert {record["who"]: record["x"] for record in records} == {
        name: pytest.approx(len(name) / 10) for name in ARCHITECTURES
    }
    means = {row["architecture"]: float(row["score, mean"]) for row in table(wide[0], "standings")}
    assert {record["who"]: record["y"] for record in records} == pytest.approx(means)
    front = {(r["x"], r["y"]) for r in wide[1].figures["cost_latency"]["data"]["values"] if r["kind"] == "front"}
    for record in records:
        dominated = any(o["y"] > record["y"] and o["x"] <= record["x"] for o in records)
        assert ((record["x"], record["y"]) not in front) == dominated
    assert "cost_parameters" not in wide[1].figures  # all have as many


def test_what_the_curriculum_chose_is_shown(wide: tuple[Path, Page]) -> None:
    file, page = wide
    rows = table(file, "curriculum_choices_level_5_expert")
    assert [row["architecture"] for row in rows] == list(ARCHITECTURES)
    for row in rows:
        assert (row["laser_cost_1"], row["laser_cost_100"], row["tasks known"]) == ("0.75", "0.25", "4.0")
        assert float(row["success"]) == 0.5
    curve = [r["y"] for r in page.figures["success_level_5_expert"]["data"]["values"] if r["who"] == "vit"]
    assert curve[-1] > curve[0]
    assert "what the curriculum chose" in page.text


def test_gaps_are_named(wide: tuple[Path, Page]) -> None:
    file, page = wide
    assert "193 of 195 runs evaluated; 1 failed, 1 not started or not recorded yet." in page.text
    assert table(file, "failed")[0]["run"] == "wide.trxl.level_4_hard.s2"
    assert table(file, "failed")[0]["what went wrong"] == "the loss became NaN."
    assert table(file, "missing") == [
        {"architecture": "puffer", "level": LEVELS[4], "seed": "2", "state": "not started or not recorded yet"}
    ]


def test_verdicts_and_provenance_are_in_words(wide: tuple[Path, Page]) -> None:
    text = wide[1].text
    assert re.search(r"vit is better than [a-z_, ]*puffer", text)
    assert "a true difference of" in text
    for fact in ("0123abc", "9.9", "machine.cores", "trainer.learning_rate", "run_benchmark.py"):
        assert fact in text


def test_who_is_better_has_a_difference_above_the_one_needed_and_comes_first(wide: tuple[Path, Page]) -> None:
    for level in LEVELS:
        rows = table(wide[0], f"verdicts_{level}")
        better = [" is better than " in row["verdict"] for row in rows]
        assert better == sorted(better, reverse=True)
        assert all(
            (float(row["difference"]) > float(row["difference needed"])) == called
            for row, called in zip(rows, better, strict=True)
        )
    assert any(" is better than " in row["verdict"] for row in table(wide[0], f"verdicts_{LEVELS[0]}"))


def test_settings_that_should_agree_and_do_not_are_shown(tmp_path: Path) -> None:
    file = write_benchmark(tmp_path, architectures=("vit", "fast"), levels=LEVELS[:2], seeds=2)
    for folder in tmp_path.glob("wide.*"):
        place = folder / "config.json"
        record = json.loads(place.read_text())
        record["configuration"]["sim"] = {
            "num_agents": 16 if "level_2" in folder.name else 12,
            "max_steps": 500 if folder.name == f"wide.vit.{LEVELS[0]}.s1" else 1000,
        }
        place.write_text(json.dumps(record))
    made(file)
    values = {row["setting"]: row["value"] for row in table(file, "settings")}
    assert set(values[f"sim.max_steps ({LEVELS[0]})"].split(" | ")) == {"1000", "500"}
    assert [name for name in values if name.startswith("sim.")] == [f"sim.max_steps ({LEVELS[0]})"]


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_and_one_architecture(tmp_path: Path, seeds: int) -> None:
    page = made(write_benchmark(tmp_path, architectures=("vit",), levels=LEVELS[:1], seeds=seeds))
    assert re.search(r"vit has \d\.\d\d hearts per agent on level_1_basic", page.text)
    assert "Pair by pair" not in page.text
    standing = table(tmp_path / "x", "standings")[0]
    assert standing["score, mean low"] == ""
    assert ("With one seed, chance cannot be ruled out" in page.text) == (seeds == 1)


def test_nothing_evaluated_yet(tmp_path: Path) -> None:
    file = write_benchmark(tmp_path, **SMALL)
    write_results(file, read_results(file).model_copy(update={"runs": [], "end_time": None}))
    page = made(file)
    assert "No run that was trained to its end has been evaluated yet." in page.text
    assert "0 of 4 runs evaluated; 4 not started or not recorded yet." in page.text


def test_any_number_of_finished_runs_gives_a_page(tmp_path: Path) -> None:
    file = write_benchmark(tmp_path, architectures=("vit", "fast", "puffer"), levels=LEVELS[2:4], seeds=2)
    whole = read_results(file)
    for count in range(len(whole.runs) + 1):
        write_results(file, whole.model_copy(update={"runs": whole.runs[:count]}))
        assert f"{count} of 12 runs evaluated" in made(file).text


def test_without_a_scripted_player_hearts_are_compared(tmp_path: Path) -> None:
    file = write_benchmark(tmp_path, **SMALL)
    record = json.loads(file.read_text())
    del record["references"][LEVELS[0]]["scripted"]
    for run in record["runs"]:
        run["evaluation"]["results"]["basic"]["normalised_score"] = None
    file.write_text(json.dumps(record))
    assert gather([file]).measure == HEARTS
    page = made(file)
    assert "Numbers are hearts per agent" in page.text
    assert "or where the scripted player collected no more than the random one" in page.text
    assert "Reference players without results: scripted on level_1_basic." in page.text


def test_several_files_are_one_benchmark(tmp_path: Path) -> None:
    first = write_benchmark(tmp_path / "a", architectures=("vit",), levels=LEVELS[:2])
    second = write_benchmark(tmp_path / "b", architectures=("fast",), levels=LEVELS[:2])
    both = gather([first, second.parent])
    assert both.architectures == ["vit", "fast"]
    assert both.measure == SCORE
    assert len(both.evaluated) == 12
    assert find(both).compared == ["vit", "fast"]
    assert main([str(first), str(second), "--output", str(tmp_path / "c" / "both.html")]) == 0
    assert (tmp_path / "c" / "both" / "standings.csv").exists()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda file: file.write_text(""), "is damaged or not JSON"),
        (lambda file: file.write_text('{"name": "package"}'), "'format' is None; this version reads format 2"),
        (
            lambda file: change(file, lambda r: r["runs"][1]["evaluation"]["results"]["basic"].pop("reward")),
            "'runs.1.evaluation.results.basic.reward' is missing",
        ),
        (
            lambda file: change(file, lambda r: r["runs"][2]["evaluation"]["results"]["basic"].update(worlds_hash="x")),
            "'runs.2.evaluation.results.basic.worlds_hash' is x",
        ),
        (lambda file: file.unlink(), "there are no results"),
    ],
)
def test_damage_is_one_sentence_with_file_and_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Any, sentence: str
) -> None:
    file = write_benchmark(tmp_path, **SMALL)
    damage(file)
    assert main([str(file)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert str(file) in error
    assert error.count("\n") == 1
    assert not (tmp_path / "report.html").exists()


def change(file: Path, alter: Any) -> None:
    """Alter the record in a results file."""
    record = json.loads(file.read_text())
    alter(record)
    file.write_text(json.dumps(record))


def test_runs_of_different_length_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write_benchmark(tmp_path / "a", **SMALL)
    second = write_benchmark(tmp_path / "b", **SMALL, max_timesteps=5)
    assert main([str(first), str(second)]) == 2
    assert f"{second}: 'max_timesteps' is 5, but in {first} it is 1000000" in capsys.readouterr().err


def test_a_page_without_an_ending_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(write_benchmark(tmp_path, **SMALL)), "--output", "report"]) == 2
    assert "must be the name of a page" in capsys.readouterr().err


EVIL_NAME = "</title></svg><script>alert(1)</script><img src=x onerror=alert(2)>\"'&=1+1|`*"
"""Names must be printable."""
EVIL = EVIL_NAME.replace("=1", "\x00\x1b[31m=1")


def test_text_from_results_does_no_harm(tmp_path: Path) -> None:
    file = write_benchmark(tmp_path, **SMALL, failed=[("vit", LEVELS[0], 1)])
    text = file.read_text().replace('"vit"', json.dumps(EVIL_NAME))
    text = text.replace('"level_1_basic"', json.dumps("level_1_" + EVIL_NAME))
    text = text.replace('"the loss became NaN."', json.dumps(EVIL)).replace('"basic"', json.dumps(EVIL_NAME))
    record = json.loads(text)
    record["provenance"] = {EVIL: [EVIL, {EVIL: EVIL}]}
    record["command"] = EVIL
    for run in record["runs"]:
        run["training"]["command"] = EVIL
    folders = {run["training"]["run_name"]: run for run in record["runs"]}
    for number, (name, run) in enumerate(folders.items()):
        new = f"{EVIL_NAME.replace('/', '')}{number}"
        (tmp_path / name).rename(tmp_path / new)
        run["training"]["run_name"] = new
        evaluation = (tmp_path / new / "evaluation.json").read_text()
        (tmp_path / new / "evaluation.json").write_text(evaluation.replace('"basic"', json.dumps(EVIL_NAME)))
    file.write_text(json.dumps(record))
    page = made(file)
    assert "img" not in {tag for tag, _ in page.elements}
    assert len(page.named("script")) == 3  # data, Vega, the page's own
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "<script>alert(1)</script>" in page.text
    assert EVIL_NAME in {record["who"] for spec in page.figures.values() for record in spec["data"]["values"]}
    for path in (tmp_path / "report").iterdir():
        assert path.parent == tmp_path / "report"
        rows = csv.reader(path.read_text().splitlines())
        assert path.name == "runs.csv" or not any(cell[:1] in "=+@" for row in rows for cell in row if cell)


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("metrics.jsonl", b'{"timesteps": 5}\n{"time\n{"timesteps": 7}\n', "is damaged in line 2"),
        ("metrics.jsonl", b'{"timesteps": 5}\n{"timesteps": 5}\n', "'timesteps' does not rise"),
        ("metrics.jsonl", b"\xff\xfe\n\n", "it is not text"),
        ("evaluation.json", b'{"results": {"basic": {"per_episode": []}}}', "is damaged"),
        ("config.json", b'{"configuration": 3, "starts": [{"code": {"source_sha256": "x"}}]}', "is damaged"),
        ("checkpoints/step_000001000000/policy.safetensors", b"\xff" * 20, "is damaged"),
        ("checkpoints/step_000001000000/policy.safetensors", b"\x02\0\0\0\0\0\0\0[]", "is damaged"),
    ],
)
def test_a_damaged_run_folder_costs_only_its_parts(tmp_path: Path, name: str, content: bytes, fault: str) -> None:
    file = write_benchmark(tmp_path, **SMALL)
    folder = tmp_path / "wide.fast.level_1_basic.s0"
    (folder / name).write_bytes(content)
    found = read_run_files(folder, {"basic"}, FileMemory())
    assert len(found.faults) == 1
    assert fault in found.faults[0]
    assert str(folder / name) in found.faults[0]
    assert "Run files that could not be read" in made(file).text


def test_a_torn_last_line_is_no_damage(tmp_path: Path) -> None:
    write_benchmark(tmp_path, **SMALL)
    folder = tmp_path / "wide.fast.level_1_basic.s0"
    with (folder / "metrics.jsonl").open("a") as opened:
        opened.write('{"update": 21, "times')
    found = read_run_files(folder, {"basic"}, FileMemory())
    assert found.faults == ()
    assert found.parameters == 10_007
    assert {metric: curve[0].size for metric, curve in found.curves.items()} == {
        "rollout/reward_per_step": 20,
        "held_out/hearts_per_agent": 15,
    }


def test_tables_load_as_numbers(tmp_path: Path) -> None:
    """A column that holds a number holds nothing but numbers and gaps; names of columns differ."""
    file = write_benchmark(tmp_path, failed=[("vit", LEVELS[0], 1)], left_out=[("fast", LEVELS[1], 0)])
    assert main([str(file)]) == 0
    checked = 0
    for table in (tmp_path / "report").glob("*.csv"):
        if table.name.startswith(("provenance", "settings")):
            continue  # settings of all kinds below each other
        header, *rows = csv.reader(table.read_text().splitlines())
        assert len(set(header)) == len(header), table.name
        for name, cells in zip(header, zip(*rows, strict=True), strict=False):
            kinds = {is_number(cell) for cell in cells if cell}
            assert len(kinds) <= 1, (table.name, name)
            checked += kinds == {True}
    assert checked > 40


def is_number(text: str) -> bool:
    """Whether a program that reads the table would see a number."""
    try:
        float(text)
    except ValueError:
        assert "[" not in text, f"{text} is a value with its interval"
        return False
    return True
