"""Writes the replays that a report links to: `uv run python -m metta.lab.replays RESULTS...`.

RESULTS are results files, or folders that hold one. Of every architecture on every level the best and the median
evaluation episode is played again from its checkpoint and written into its run's folder; those that are there already
are left alone, so the command may be stopped and repeated. Then the report is written anew.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from metta.analysis import report
from metta.analysis.command import results_parser
from metta.analysis.gather import Gathered, gather
from metta.analysis.replays import KINDS, Choice, choices, file_of, page_of, plays
from metta.base import output
from metta.base.addresses import CHECKPOINTS_FOLDER, path_text
from metta.base.endings import command
from metta.base.errors import InputError, RunError
from metta.base.files import read_json
from metta.base.provenance import cores
from metta.base.run_files import CONFIGURATION, EVALUATION
from metta.base.stopping import continued_when_repeated, interruptible
from metta.replay.writing import ReplayConfig, write_replay


def wanted(benchmark: Gathered, kinds: Sequence[str] = KINDS) -> list[Choice]:
    """The replays of these kinds that a benchmark's report asks for, without those that are there."""
    # By page, because the best of very few episodes may be the median one as well.
    chosen = {file_of(choice) or choice[:3]: choice for choice in choices(benchmark) if choice.kind in kinds}
    return [choice for choice in chosen.values() if page_of(choice) is None]


def players(wanted: Sequence[Choice]) -> list[Path]:
    """The checkpoints that play wanted replays, each once."""
    of_runs = [choice.episode.run.files for choice in wanted]
    named = [(files.folder, files.evaluated.checkpoint) for files in of_runs if files.evaluated.checkpoint is not None]
    return [folder / CHECKPOINTS_FOLDER / name for folder, name in dict.fromkeys(named)]


def write_replays(wanted: Sequence[Choice], processes: int, say: Callable[[str], None]) -> list[str]:
    """Write replays, each in one of so many processes, which share the cores; in this one if it is the only one.

    Returns:
        A sentence for each replay that could not be written.
    """
    with continued_when_repeated(), interruptible():
        if processes == 1:
            return [fault for choice in wanted if (fault := _written(choice, 0, say))]
        spawned = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, spawned, _end_with_the_parent) as pool:
            threads = max(1, cores() // processes)
            futures = [pool.submit(_written, choice, threads, say) for choice in wanted]
            try:
                return [fault for future in futures if (fault := future.result())]
            except BrokenProcessPool:
                return ["a process that writes replays was killed; some are missing."]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in multiprocessing.active_children():
                    process.terminate()
                raise


def _end_with_the_parent() -> None:
    """What a process of the pool does first: leave Ctrl-C to its parent, and not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_the_parent, daemon=True).start()


def _follow_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _written(choice: Choice, threads: int, say: Callable[[str], None]) -> str | None:
    """Write a replay; returns why it could not be written, if so."""
    what = f"replay of the {choice.kind} episode of {choice.architecture} on {choice.level}"
    say(what)
    run, file = choice.episode.run, file_of(choice)
    folder, settings = run.files.folder, run.files.settings
    try:
        if file is None:
            raise InputError(f"{folder / EVALUATION} does not say which checkpoint played.")
        written = write_replay(
            ReplayConfig.parse(
                {
                    "policy_uri": path_text(folder / CHECKPOINTS_FOLDER / str(run.files.evaluated.checkpoint)),
                    "level": choice.level,
                    "architecture": choice.architecture,
                    "evaluation_environments": settings.get("evaluation_environments", {}),
                    "evaluation": read_json(folder / EVALUATION).get("evaluation", {}),
                    # A machine without the run's GPU plays on its processor.
                    "system": {
                        "device": "cpu" if settings.get("system", {}).get("device") == "cpu" else "auto",
                        "threads": threads,
                    },
                    "environment": choice.episode.environment,
                    "episode": choice.episode.number,
                    "output": path_text(file),
                },
                where=str(folder),
            )
        )
        if not plays(choice, written.map_hash, written.steps):
            file.unlink(missing_ok=True)
            raise InputError(
                f"{folder / CONFIGURATION} describes other evaluation episodes than {folder / EVALUATION} holds; "
                "evaluate the run again."
            )
    except (InputError, RunError) as error:
        return f"no {what}: {error}"
    return None


@command
def main(words: list[str]) -> int:
    """Run the command: 1 if a replay could not be written."""
    given = results_parser("python -m metta.lab.replays", "Write the replays of a report.").parse_args(words)
    faults = write_replays(wanted(gather(given.results)), 1, output.say)
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return report.main(list(map(path_text, given.results))) or int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
