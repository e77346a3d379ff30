"""Run a recipe function: `uv run ./tools/run.py <dotted.path.to.function> key=value ...` (`--help`, `--list`)."""

import sys

try:
    from metta.cli.main import main
except ModuleNotFoundError as error:
    sys.exit(f"error: this Python has no {error.name}; run `uv run tools/run.py ...` (README.md says where uv is).")

if __name__ == "__main__":
    sys.exit(main())
