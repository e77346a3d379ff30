"""Run a recipe function: `uv run ./tools/run.py <dotted.path.to.function> key=value ...` (`--help`, `--list`)."""

import sys

from metta.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
