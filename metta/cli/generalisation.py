"""Scores of one run on its training maps beside the evaluation maps: `uv run python -m metta.cli.generalisation RUN`.

RUN is a run's folder or the address of one of its checkpoints (as policy_uri=). Prints a table and writes
generalisation.json into the run's folder (`--output FILE`: elsewhere). Exit status 2 if there is no such run.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metta.analysis.summary import aligned_table
from metta.base.addresses import local_path
from metta.base.endings import report_errors
from metta.base.errors import InputError
from metta.base.files import make_folder, write_json
from metta.base.flags import Parser
from metta.base.provenance import provenance
from metta.lab.run_folder import RunFolder
from metta.rl.config import RunConfig
from metta.rl.resolved_player import ResolvedPlayer, choose, with_players


def compare_maps(chosen: ResolvedPlayer, output: Path | None) -> tuple[dict[str, Any], Path]:
    """The record of one comparison, and the file it was written to. Raises `InputError` if the run has not trained."""
    from metta.rl.generalisation import generalisation

    checkpoint = chosen.player
    if not isinstance(checkpoint, Path):
        raise InputError(f"{checkpoint} is a reference player, which was not trained on any maps.")
    folder = RunFolder(checkpoint.parent.parent)
    configuration = folder.configuration()
    if configuration is None:
        raise InputError(f"{folder.path} has no config.json, so its training maps are not known.")
    config = RunConfig.parse(configuration, where=str(folder.configuration_file))
    record = {
        "run": config.run,
        "architecture": config.architecture,
        "level": config.level,
        "checkpoint": checkpoint.name,
        "results": generalisation(checkpoint, config, chosen.timesteps or 0),
        "provenance": provenance(),
    }
    file = output or folder.path / "generalisation.json"
    make_folder(file.parent)
    write_json(file, record)
    return record, file


def table(record: Mapping[str, Any]) -> str:
    """One row per evaluation environment: hearts per agent on both kinds of map, and the gap."""
    rows = []
    for name, result in record["results"].items():
        sides = [
            f"{side['hearts_per_agent']:.3f} ({side['episodes']})"
            for side in (result["training"], result["evaluation"])
        ]
        gap = result["gap"]["hearts_per_agent"]
        error = gap["standard_error"]
        interval = "(one episode gives no interval)" if error is None else f"± {1.96 * error:.3f}"
        rows.append([name, *sides, f"{gap['difference']:+.3f} {interval}"])
    head = ["environment", "training maps (episodes)", "evaluation maps (episodes)", "gap, 95 %"]
    return "\n".join(aligned_table(head, rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print, write; returns the exit status."""
    parser = Parser("python -m metta.cli.generalisation", str(__doc__))
    parser.add_argument("run", help="folder of a run, or address of one of its checkpoints")
    parser.add_argument("--output", type=local_path, help="file for the results")
    given = parser.parse_args(arguments)
    record, file = with_players(lambda: [choose(given.run)], lambda who: compare_maps(who[0], given.output))
    print(f"{record['architecture']} on {record['level']}, {record['checkpoint']}: hearts per agent\n")
    print(table(record))
    print(f"\nWritten to {file}")
    return 0


if __name__ == "__main__":
    sys.exit(report_errors(main))
