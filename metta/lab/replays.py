"""Writes the replays that a report links to: `uv run python -m metta.lab.replays RESULTS...`.

RESULTS are results files, or folders that hold one. Of every architecture on every level the best and the median
evaluation episode is played again from its checkpoint and written into its run's folder; those that are there already
are left alone, so the command may be stopped and repeated. Then the report is written anew.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from metta.analysis import report
from metta.analysis.gather import Gathered, gather
from metta.analysis.replays import KINDS, Choice, choices, file_of, page_of, plays
from metta.base.addresses import CHECKPOINTS_FOLDER, local_path, path_text
from metta.base.endings import report_errors
from metta.base.errors import InputError, RunError
from metta.base.files import read_json
from metta.base.flags import Parser, natural
from metta.base.run_files import EVALUATION
from metta.base.stopping import ending_with_the_runner, interruptible
from metta.lab.executors.environment import job_environment
from metta.replay.writing import ReplayConfig, write_replay


def wanted(benchmark: Gathered, kinds: Sequence[str] = KINDS) -> list[tuple[int, Choice]]:
    """The replays of these kinds that a benchmark's report asks for, numbered from 1, without those that are there."""
    # By page, because the best of very few episodes may be the median one as well.
    chosen = {file_of(choice) or choice[:3]: choice for choice in choices(benchmark) if choice.kind in kinds}
    return [(number, choice) for number, choice in enumerate(chosen.values(), start=1) if page_of(choice) is None]


def players(wanted: Sequence[tuple[int, Choice]]) -> list[Path]:
    """The checkpoints that play wanted replays, each once."""
    of_runs = [choice.episode.run.files for _, choice in wanted]
    named = [(files.folder, files.evaluated.checkpoint) for files in of_runs if files.evaluated.checkpoint is not None]
    return [folder / CHECKPOINTS_FOLDER / name for folder, name in dict.fromkeys(named)]


def write_missing(
    benchmark: Gathered,
    say: Callable[[str], None],
    kinds: Sequence[str] = KINDS,
    part: tuple[int, int] = (1, 1),
    threads: int = 0,
) -> list[str]:
    """Write the replays that a benchmark's report asks for and has not yet.

    Args:
        benchmark: gathered results.
        say: is told each replay before it is played.
        kinds: of `KINDS`.
        part: (k, n): only every n-th replay, beginning with the k-th, so that n processes share the work.
        threads: of each; 0 takes all cores.

    Returns:
        A sentence for each replay that could not be written.
    """
    faults = []
    first, step = part
    for number, choice in wanted(benchmark, kinds):
        if number % step != first % step:
            continue
        what = f"{choice.kind} episode of {choice.architecture} on {choice.level}"
        say(f"[{number}] replay of the {what}")
        try:
            _write(choice, threads)
        except (InputError, RunError) as error:
            faults.append(f"no replay of the {what}: {error}")
    return faults


def write_side_by_side(results_file: Path, kinds: Sequence[str], processes: int, threads: int) -> list[str]:
    """`write_missing` in several processes.

    Args:
        results_file: the benchmark's results.
        kinds: of `KINDS`.
        processes: how many, at least 1.
        threads: of each process.

    Returns:
        A sentence for each replay that could not be written, or process that failed.
    """
    words = [sys.executable, "-m", "metta.lab.replays", path_text(results_file), "--kinds", ",".join(kinds)]
    words += ["--threads", str(threads), "--part"]
    started: list[subprocess.Popen[str]] = []
    faults = []
    try:
        with interruptible():
            for number in range(1, processes + 1):
                part = [*words, f"{number}/{processes}"]
                environment = job_environment(threads)
                started.append(subprocess.Popen(part, stderr=subprocess.PIPE, text=True, env=environment))
            for process in started:
                _, said = process.communicate()
                found = [line.removeprefix("error: ") for line in said.splitlines() if line.startswith("error: ")]
                if process.returncode and not found:
                    last = (said.strip().splitlines() or ["it said nothing"])[-1]
                    found = [f"a process that writes replays ended with exit status {process.returncode}: {last}"]
                faults += found
    finally:
        for process in started:
            process.terminate()
            process.wait()
    return faults


def _write(choice: Choice, threads: int) -> None:
    """Raises `InputError` if the run's folder lacks what is needed or plays another episode, else as `write_replay`."""
    run, file = choice.episode.run, file_of(choice)
    folder = run.files.folder
    if file is None:
        raise InputError(f"{folder / 'evaluation.json'} does not say which checkpoint played.")
    settings = run.files.settings
    written = write_replay(
        ReplayConfig.parse(
            {
                "policy_uri": path_text(folder / "checkpoints" / str(run.files.evaluated.checkpoint)),
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
            f"{folder / 'config.json'} describes other evaluation episodes than {folder / 'evaluation.json'} holds; "
            "evaluate the run again."
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 1 if a replay could not be written."""
    parser = Parser(prog="python -m metta.lab.replays", description="Write the replays of a report.")
    parser.add_argument("results", nargs="+", type=local_path, metavar="RESULTS", help="results files, or folders")
    parser.add_argument("--kinds", default=",".join(KINDS), metavar="A,B", help="of %(default)s (default: all)")
    parser.add_argument(
        "--part", metavar="K/N", help="only every N-th, beginning with the K-th, and no report: N processes share them"
    )
    parser.add_argument("--threads", type=natural, default=0, metavar="N", help="of this process (default: all cores)")
    given = parser.parse_args(arguments)
    kinds, part = _kinds(given.kinds), _part(given.part) if given.part else (1, 1)
    with ending_with_the_runner():
        faults = write_missing(gather(given.results), print, kinds, part, given.threads)
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    status = 0 if given.part else report.main([path_text(path) for path in given.results])
    return status or int(bool(faults))


def _kinds(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in KINDS:
            raise InputError(f"--kinds: unknown name {name!r}; known: {', '.join(KINDS)}.")
    return names


def _part(text: str) -> tuple[int, int]:
    first, _, step = text.partition("/")
    if not (first.isdecimal() and step.isdecimal() and 1 <= int(first) <= int(step)):
        raise InputError(f"--part {text!r} is not K/N, such as 1/2.")
    return int(first), int(step)


if __name__ == "__main__":
    sys.exit(report_errors(main))
