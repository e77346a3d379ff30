"""Generated pages are up to date, links lead somewhere, and the pages hold no address of a package index."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from metta.base.provenance import REPOSITORY

PAGES = sorted(
    [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md"), *(REPOSITORY / "experiments").rglob("*.md")]
)


def test_settings_page_is_up_to_date() -> None:
    # In a process of its own: kinds of parts that other tests define would stand on the page too.
    command = [sys.executable, "-m", "metta.cli.reference", "--check"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_dependency_is_pinned_without_an_index_address() -> None:
    import tomllib

    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)
    pins = project["tool"]["uv"]["constraint-dependencies"]
    pinned = {re.split(r"[=;\s]", pin)[0] for pin in pins}
    assert all("==" in pin for pin in pins)
    assert "://" not in text
    wanted = [
        *project["project"]["dependencies"],
        *(name for group in project["dependency-groups"].values() for name in group),
    ]
    # A group may pin what it needs in another version than a group that it excludes.
    pinned |= {name.split("==")[0] for name in wanted if "==" in name}
    assert {re.split(r"[<>=;\s\[]", name)[0] for name in wanted} <= pinned


def test_documented_benchmarks_share_a_folder_only_if_they_can() -> None:
    """Whoever follows two pages must not meet the folder of the first with other steps."""
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
    steps: dict[str, set[str]] = {}
    for page in pages:
        if page.name == "diary.md":
            continue
        for words in re.findall(r"run_benchmark\.py( --[^\n`]*)", page.read_text(encoding="utf-8")):
            if "--dry-run" in words or "--skip-training" in words:
                continue
            found = dict(re.findall(r"--(output-dir|max-timesteps) (\S+)", words))
            where = found.get("output-dir", "quick" if "--quick" in words else "benchmark")
            steps.setdefault(where, set()).add(found.get("max-timesteps", "1000000"))
    assert steps["benchmark"] == {"500000"}
    assert {where: found for where, found in steps.items() if len(found) > 1} == {}
