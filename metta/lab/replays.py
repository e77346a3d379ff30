"""Writes the replays that a report links to: `uv run python -m metta.lab.replays RESULTS...`.

RESULTS are results files, or folders that hold one. Of every architecture on every level the best and the median
evaluation episode is played again from its checkpoint and written into its run's folder; those that are there already
are left alone, so the command may be stopped and repeated. Then the report is written anew.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from metta.analysis import report
from metta.analysis.gather import Gathered, gather
from metta.analysis.replays import Choice, choices, file_of, page_of, plays
from metta.base.errors import InputError, RunError
from metta.base.files import read_json
from metta.lab.endings import report_errors
from metta.lab.replay import ReplayConfig, write_replay


def write_missing(benchmark: Gathered, say: Callable[[str], None]) -> list[str]:
    """Write the replays that a benchmark's report asks for and has not yet.

    Args:
        benchmark: gathered results.
        say: is told each replay before it is played.

    Returns:
        A sentence for each replay that could not be written.
    """
    # By page, because the best of very few episodes may be the median one as well.
    missing = list(
        {file_of(choice) or choice[:3]: choice for choice in choices(benchmark) if page_of(choice) is None}.values()
    )
    faults = []
    for number, choice in enumerate(missing, start=1):
        say(f"[{number}/{len(missing)}] replay of the {choice.kind} episode of {choice.architecture} on {choice.level}")
        try:
            _write(choice)
        except (InputError, RunError) as error:
            faults.append(f"no replay of the {choice.kind} episode of {choice.architecture} on {choice.level}: {error}")
    return faults


def _write(choice: Choice) -> None:
    """Raises `InputError` if the run's folder lacks what is needed or plays another episode, else as `write_replay`."""
    run, file = choice.episode.run, file_of(choice)
    folder = run.files.folder
    if file is None:
        raise InputError(f"{folder / 'evaluation.json'} does not say which checkpoint played.")
    settings = run.files.settings
    written = write_replay(
        ReplayConfig.parse(
            {
                "policy_uri": str(folder / "checkpoints" / str(run.files.evaluated.checkpoint)),
                "level": choice.level,
                "architecture": choice.architecture,
                "evaluation_environments": settings.get("evaluation_environments", {}),
                "evaluation": read_json(folder / "evaluation.json").get("evaluation", {}),
                # A machine without the run's GPU plays on its processor.
                "system": {"device": "cpu" if settings.get("system", {}).get("device") == "cpu" else "auto"},
                "environment": choice.episode.environment,
                "episode": choice.episode.number,
                "output": str(file),
            },
            where=str(folder),
        )
    )
    if not plays(choice, written.map_hash, written.steps):
        file.unlink(missing_ok=True)
        raise InputError(
            f"{folder / 'config.json'} describes other evaluation episodes than {folder / 'evaluation.json'} holds; "
            "evaluate the run again."
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 1 if a replay could not be written."""
    parser = argparse.ArgumentParser(prog="python -m metta.lab.replays", description="Write the replays of a report.")
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help="results files, or their folders")
    given = parser.parse_args(arguments)
    faults = write_missing(gather(given.results), print)
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    status = report.main([str(path) for path in given.results])
    return status or int(bool(faults))


if __name__ == "__main__":
    sys.exit(report_errors(main))
