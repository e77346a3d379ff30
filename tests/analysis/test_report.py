"""The report: numbers as in the results, half-finished and damaged input, one page that loads nothing, escaped text."""

import csv
import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metta.analysis.file_memory import FileMemory
from metta.analysis.findings import find
from metta.analysis.gather import HEARTS, SCORE, gather
from metta.analysis.markup import VOID
from metta.analysis.report import main
from metta.analysis.results import read_results, write_results
from metta.analysis.run_files import read_run_files
from tests.analysis.wide import ARCHITECTURES, LEVELS, write_benchmark

SMALL: dict[str, Any] = {"architectures": ("vit", "fast"), "levels": LEVELS[:1], "seeds": 2}
MOST_BYTES = 10 * 2**20


class Page(HTMLParser):
    """The elements of a page, its text, and that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of the elements of this name."""
        return [attributes for name, attributes in self.elements if name == tag]

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


def test_the_page_loads_nothing_and_runs_nothing(wide: tuple[Path, Page]) -> None:
    page = wide[1]
    assert not {"script", "img", "iframe", "object", "link", "base", "form"} & {tag for tag, _ in page.elements}
    policy = next(a["content"] for a in page.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none'")
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("href", "src"):
            assert str(attributes.get(name) or "#").startswith("#")
    assert "url(" not in (wide[0].parent / "report.html").read_text(encoding="utf-8")


def test_figures_are_named_captioned_and_whole(wide: tuple[Path, Page]) -> None:
    file, page = wide
    assert len(page.named("svg")) == len(page.named("figcaption")) == len(page.named("figure")) > 15
    assert all(attributes["role"] == "img" for attributes in page.named("svg"))
    drawn = sorted((file.parent / "report").glob("*.svg"))
    assert len(drawn) == len(page.named("svg"))
    for path in drawn:
        root = ElementTree.parse(path).getroot()
        kinds = [child.tag.rpartition("}")[2] for child in root]
        assert "title" in kinds
        assert "desc" in kinds
        numbers = [float(n) for n in re.findall(r'[ "](?:x|y|x1|y1|cx|cy)="(-?[\d.]+)"', path.read_text())]
        assert np.isfinite(numbers).all()
        assert "nan" not in path.read_text()


def test_tables_scroll_by_keyboard_and_name_rows_and_columns(wide: tuple[Path, Page]) -> None:
    page = wide[1]
    for attributes in page.named("div"):
        assert (attributes["class"], attributes["tabindex"], attributes["role"]) == ("scroll", "0", "region")
        assert attributes["aria-label"]
    assert all(attributes["scope"] in ("row", "col") for attributes in page.named("th"))
    assert len(page.named("caption")) == len(page.named("table"))


def test_numbers_are_those_of_the_results(wide: tuple[Path, Page]) -> None:
    file, page = wide
    results = read_results(file)
    for row in table(file, "levels"):
        values = [
            np.mean([result.normalised_score for result in run.evaluation.results.values()])  # type: ignore[arg-type]
            for run in results.runs
            if (run.training.architecture, run.training.level) == (row["architecture"], row["level"])
            and run.evaluation.results
        ]
        assert float(row["mean"]) == pytest.approx(float(np.mean(values)))
        assert int(row["seeds"]) == len(values)
        assert f"{float(row['mean']):.2f}" in page.text
    costs = {row["architecture"]: row for row in table(file, "cost_parameters")}
    assert {float(row["parameters"]) for row in costs.values()} == {10_007}
    behaviour = table(file, "behaviour_level_3_medium_combat_resources")
    assert len(behaviour) == len(ARCHITECTURES)
    assert table(file, "learning_level_1_basic_reward_per_step")[0]["agent-steps"] == "50000.0"


def test_latency_is_an_axis_of_cost(wide: tuple[Path, Page]) -> None:
    rows = {row["architecture"]: row for row in table(wide[0], "cost_latency")}
    assert {name: float(row["milliseconds to one action"]) for name, row in rows.items()} == {
        name: pytest.approx(len(name) / 10) for name in ARCHITECTURES
    }
    means = {row["architecture"]: float(row["mean"]) for row in table(wide[0], "standings")}
    for name, row in rows.items():
        dominated = any(
            means[other] > means[name] and len(other) <= len(name) for other in ARCHITECTURES if other != name
        )
        assert (row["on the front"] == "no") == dominated


def test_what_the_curriculum_chose_is_shown(wide: tuple[Path, Page]) -> None:
    file, page = wide
    rows = table(file, "curriculum_choices_level_5_expert")
    assert [row["architecture"] for row in rows] == list(ARCHITECTURES)
    for row in rows:
        assert (row["laser_cost_1"], row["laser_cost_100"], row["tasks known"]) == ("0.75", "0.25", "4.0")
        assert float(row["success"]) == 0.5
    curve = table(file, "curriculum_success_level_5_expert")
    assert float(curve[-1]["mean"]) > float(curve[0]["mean"])
    assert "what the curriculum chose" in page.text


def test_without_a_curriculum_the_page_says_so(tmp_path: Path) -> None:
    page = made(write_benchmark(tmp_path / "a", **SMALL))
    assert "No run that trained to its end has the metrics of a curriculum." in page.text


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


def test_the_seed_decides_the_intervals(tmp_path: Path) -> None:
    file = write_benchmark(tmp_path, architectures=("vit", "fast"), levels=LEVELS[:2], seeds=4)
    made(file)
    first = table(file, "aggregates")
    made(file)
    assert table(file, "aggregates") == first
    made(file, "--seed", "1")
    assert table(file, "aggregates") != first


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_and_one_architecture(tmp_path: Path, seeds: int) -> None:
    page = made(write_benchmark(tmp_path, architectures=("vit",), levels=LEVELS[:1], seeds=seeds))
    assert "Highest interquartile mean over 1 level: vit" in page.text
    assert "needs two architectures" in page.text
    assert ("With one seed nothing can be said about chance" in page.text) == (seeds == 1)


def test_nothing_evaluated_yet(tmp_path: Path) -> None:
    file = write_benchmark(tmp_path, **SMALL)
    write_results(file, read_results(file).model_copy(update={"runs": [], "end_time": None}))
    page = made(file)
    assert "No run has been evaluated yet." in page.text
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
    assert (tmp_path / "c" / "both" / "standings.md").exists()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda file: file.write_text(""), "is damaged or not JSON"),
        (lambda file: file.write_text('{"format": 1, "runs'), "is damaged or not JSON"),
        (lambda file: file.write_text("[]"), "it holds list instead of an object"),
        (lambda file: file.write_text('{"name": "package"}'), "'format' is None; this version reads format 2"),
        (lambda file: change(file, lambda record: record.update(format=7)), "'format' is 7"),
        (lambda file: change(file, lambda record: record.pop("seeds")), "'seeds' is missing"),
        (
            lambda file: change(file, lambda r: r["runs"][1]["evaluation"]["results"]["basic"].pop("reward")),
            "'runs.1.evaluation.results.basic.reward' is missing",
        ),
        (
            lambda file: change(file, lambda r: r["runs"][2]["evaluation"]["results"]["basic"].update(worlds_hash="x")),
            "'runs.2.evaluation.results.basic.worlds_hash' is x",
        ),
        (
            lambda file: change(file, lambda record: record["runs"].append(record["runs"][0])),
            "stands there twice, as wide.vit",
        ),
        (lambda file: file.unlink(), "there is no file"),
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


@pytest.mark.parametrize("flags", [["--output", "report"], ["--seed", "-1"], ["--seed", "x"], ["--nonsense"]])
def test_wrong_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
    assert main([str(write_benchmark(tmp_path, **SMALL)), *flags]) == 2
    assert capsys.readouterr().err.count("\n") == 1


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
    assert not {"script", "img"} & {tag for tag, _ in page.elements}
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "<script>alert(1)</script>" in page.text
    for path in (tmp_path / "report").iterdir():
        assert path.parent == tmp_path / "report"
        text = path.read_text()
        if path.suffix == ".svg":
            names = {child.tag.rpartition("}")[2] for child in ElementTree.fromstring(text).iter()}
            assert not {"script", "img"} & names
        elif path.suffix == ".md":
            assert "<script" not in text
        else:
            assert not any(cell[:1] in "=+@" for row in csv.reader(text.splitlines()) for cell in row if cell)


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
    assert checked > 50


def is_number(text: str) -> bool:
    """Whether a program that reads the table would see a number."""
    try:
        float(text)
    except ValueError:
        assert "[" not in text, f"{text} is a value with its interval"
        return False
    return True


CHARACTER = 6.0
"""Width of a character of a figure's labels, at least."""


def test_labels_of_figures_lie_inside_the_drawing(tmp_path: Path) -> None:
    for name, given in {"wide": {}, "narrow": {"architectures": ("vit", "fast"), "levels": LEVELS[:1]}}.items():
        file = write_benchmark(tmp_path / name, **given)
        assert main([str(file)]) == 0
        for drawing in (tmp_path / name / "report").glob("*.svg"):
            root = ElementTree.fromstring(drawing.read_text())
            _, _, width, height = map(float, root.attrib["viewBox"].split())
            for text in root.iter("{http://www.w3.org/2000/svg}text"):
                if "transform" in text.attrib or not text.text:
                    continue
                x, y = float(text.attrib["x"]), float(text.attrib["y"])
                share = {"start": 0.0, "middle": 0.5, "end": 1.0}[text.attrib.get("text-anchor", "start")]
                left = x - share * CHARACTER * len(text.text)
                assert left >= -1, (drawing.name, text.text)
                assert left + CHARACTER * len(text.text) <= width + 1, (drawing.name, text.text)
                assert 0 < y <= height, (drawing.name, text.text)
