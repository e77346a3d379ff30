"""Imports point one way, as CONTRIBUTING.md says it, and no files import each other in a circle."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = [path for top in ("metta", "experiments", "tools") for path in (ROOT / top).rglob("*.py")]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def arrows() -> dict[str, set[str]]:
    """Module -> modules of this repository that it imports anywhere."""
    known = {module_of(path) for path in FILES}
    found: dict[str, set[str]] = {}
    for path in FILES:
        named: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
        found[module_of(path)] = (named & known) - {module_of(path)}
    return found


def layer_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "metta" and len(parts) > 1 else parts[0]


def test_arrows_point_as_the_page_says() -> None:
    """The page has the layers from above; those between commas do not know each other."""
    (line,) = re.findall(r"^    (tools -> .*)$", PAGE, re.MULTILINE)
    floors = [[name.strip() for name in floor.split(",")] for floor in line.split("->")]
    height = {name: len(floors) - floor for floor, names in enumerate(floors) for name in names}
    wrong = [
        f"{module} -> {other}"
        for module, others in arrows().items()
        for other in others
        if "metta" not in (module, other)
        and layer_of(module) != layer_of(other)
        and height[layer_of(module)] <= height[layer_of(other)]
    ]
    assert wrong == []


def test_there_are_no_circles() -> None:
    left = {module: others - {"metta"} for module, others in arrows().items()}
    while ends := {module for module, others in left.items() if not others & left.keys()}:
        left = {module: others for module, others in left.items() if module not in ends}
    assert left == {}


def test_walks_are_short_and_name_files_that_are_there() -> None:
    for heading, most in (("A run, from the command to the checkpoint", 9), ("A benchmark, from the command to", 12)):
        section = PAGE.partition(f"### {heading}")[2].partition("\n##")[0]
        named = re.findall(r"^\d+\. `([^`]+)`", section, re.MULTILINE)
        assert 3 < len(named) <= most
        for name in named:
            assert (ROOT / name).exists(), name
