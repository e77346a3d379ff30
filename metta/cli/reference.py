"""Writes docs/settings.md from the code: `uv run python -m metta.cli.reference` (`--check` only compares)."""

import sys
from collections.abc import Sequence

from metta.analysis.summary import aligned_table
from metta.base.endings import report_errors
from metta.base.errors import InputError
from metta.base.files import write_atomically
from metta.base.flags import Parser
from metta.base.provenance import REPOSITORY
from metta.cli.main import resolve
from metta.cli.recipes import find_recipe
from metta.cli.values import KnownKey, known_keys

PAGE = REPOSITORY / "docs" / "settings.md"
TRAIN = "experiments.recipes.benchmark_architectures.level_1_basic.train"
HEAD = f"""# Every setting of a run

Written by `python3 tasks.py docs` from the code; the same list as `uv run ./tools/run.py {TRAIN} --help`. Defaults are
those of level 1 and the default architecture. `evaluation_environments.<name>.*` has the keys of `sim.*` except
`sim.device`.
"""


def settings_page() -> str:
    """The page as Markdown."""
    job = resolve([TRAIN])
    own = find_recipe(TRAIN).known_keys()
    sections = {"Parameters": own}
    names = {entry.key for entry in own}
    for entry in known_keys(job.config, job.fixed):
        part = entry.key.split(".")[0]
        if entry.key not in names and part != "evaluation_environments":
            sections.setdefault(f"`{part}`", []).append(entry)
    return HEAD + "".join(f"\n## {title}\n\n{_table(entries)}\n" for title, entries in sections.items())


def _table(entries: Sequence[KnownKey]) -> str:
    rows = [[f"`{entry.key}`", entry.type, f"`{entry.default}`", entry.meaning] for entry in entries]
    cells = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    return "\n".join(aligned_table(["key", "type", "default", "meaning"], cells))


def main() -> int:
    """Write or compare the page; returns the exit status."""
    parser = Parser(prog="python -m metta.cli.reference", description="Write the page of all settings.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is out of date")
    if parser.parse_args().check:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != settings_page():
            raise InputError(f"{PAGE} is out of date; run `python3 tasks.py docs`.")
        return 0
    write_atomically(PAGE, settings_page())
    print(f"Written: {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(report_errors(main))
