"""A run folder shown in Weights & Biases: `uv run python -m metta.lab.wandb_mirror train_dir/<run> offline|online`.

It follows metrics.jsonl and evaluation.json from a process of its own, so that a tracker that hangs or fails cannot
hold up a run. The folder stays the truth: repeated by hand, the command shows what is still missing, also online what
was shown offline only.
Needs the optional package wandb (`uv sync --group wandb`).
"""

import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from metta.base.addresses import local_path, path_text
from metta.base.endings import command
from metta.base.errors import InputError
from metta.base.files import disk_faults, read_json, write_json
from metta.base.flags import Parser
from metta.base.run_files import METRICS
from metta.lab.run_folder import RunFolder

Mode = Literal["off", "offline", "online"]

PROJECT = "architecture-benchmark"
"""Where the environment variable WANDB_PROJECT names no other."""
SUITE_TAG = "benchmark_architectures"
LONGEST_TAG = 64
"""Characters; the tracker refuses longer ones."""
SECONDS_TO_FINISH = 5.0
"""How long a run waits for its mirror at the end."""
SECONDS_LEFT_ALONE = 120.0
"""How long the mirror may go on after its run has ended."""
FOLLOW_SECONDS = 2.0


def check_available() -> None:
    """Raise `InputError` saying what to install if the package is missing."""
    if importlib.util.find_spec("wandb") is None:
        raise InputError("wandb= needs the package wandb: run `uv sync --group wandb`, or leave wandb=off.")


@contextmanager
def mirrored(folder: RunFolder, mode: Mode, warn: Callable[[str], None]) -> Iterator[None]:
    """Show the run in Weights & Biases while the body runs; costs at most a few seconds and one warning."""
    if mode == "off":
        yield
        return
    log = folder.path / "wandb.log"
    command = [sys.executable, "-m", "metta.lab.wandb_mirror", path_text(folder.path), mode, "--follow"]
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output)
    except OSError as error:
        warn(f"Weights & Biases shows nothing of this run: {error}.")
        yield
        return
    try:
        yield
    finally:
        # The end of its input tells the mirror that the run has ended, however it ended.
        assert process.stdin is not None
        process.stdin.close()
        try:
            status = process.wait(SECONDS_TO_FINISH)
            if status != 0:
                warn(f"Weights & Biases does not show all of this run (see {log}).")
        except subprocess.TimeoutExpired:
            warn(f"Weights & Biases is slow; its process may go on for {SECONDS_LEFT_ALONE:.0f} seconds (see {log}).")


def identity(configuration: dict[str, Any]) -> dict[str, Any]:
    """Name, group and tags of a run: the suite, the experiment, architecture, level and seed."""
    run, architecture, level = (str(configuration[key]) for key in ("run", "architecture", "level"))
    seed = configuration["seed"]
    # A run with a name of its own belongs to no experiment.
    group = run.partition(".")[0] if run.endswith(f".{architecture}.{level}.s{seed}") else None
    tags = [SUITE_TAG, *([group] if group else []), architecture, level, f"seed_{seed}"]
    return {"name": run, "group": group, "tags": [tag[:LONGEST_TAG] for tag in dict.fromkeys(tags)]}


class Mirror:
    """Sends what a run folder holds and the tracker lacks."""

    def __init__(self, folder: RunFolder, mode: Mode) -> None:
        """Open the tracker's run. Raises `InputError` if the folder holds no run."""
        configuration = folder.configuration()
        if configuration is None:
            raise InputError(f"there is no run in {folder.path}.")
        if mode == "offline":
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # offline means that nothing leaves the machine
        import wandb

        self._folder, self._mode = folder, mode
        self._note = folder.path / "wandb.json"
        self._before = _sent_before(self._note)
        self._sent = self._before.get(mode, 0)
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=str(configuration["run"]),
            resume="allow",
            mode=mode,
            dir=str(folder.path),
            config=configuration,
            settings=wandb.Settings(console="off", disable_git=True, disable_code=True, x_disable_stats=True),
            **identity(configuration),
        )

    def send(self) -> None:
        """Send the metrics that are new; each line is one update, shown over agent-steps."""
        file = self._folder.path / METRICS
        for line in file.read_bytes().splitlines() if file.exists() else ():
            with suppress(ValueError, KeyError, TypeError, AttributeError):  # being written, or damaged by a full disk
                self._send_line(json.loads(line))

    def _send_line(self, record: dict[str, Any]) -> None:
        update = record.pop("update")
        if update <= self._sent:
            return
        timing = record.pop("timing", {})
        values = {**record, **{f"timing/{name}": value for name, value in timing.items()}}
        self._run.log(values, step=update)
        self._sent = update

    def finish(self) -> None:
        """Send the evaluation, and close."""
        if self._folder.evaluation_file.exists():
            for environment, result in read_json(self._folder.evaluation_file)["results"].items():
                for name in ("hearts_per_agent", "reward"):
                    self._run.summary[f"evaluation/{environment}/{name}"] = result[name]
        self._run.finish()
        write_json(self._note, {**self._before, self._mode: self._sent})


def _sent_before(note: Path) -> dict[str, int]:
    """The newest update sent by mode; none if the note is missing or damaged: the tracker ignores what it has."""
    with suppress(InputError):
        return {mode: sent for mode, sent in read_json(note).items() if isinstance(sent, int)}
    return {}


@command
def main(words: list[str]) -> int:
    """Run one command line."""
    parser = Parser("python -m metta.lab.wandb_mirror", "Show a run in Weights & Biases, beginning where it stopped.")
    parser.add_argument("folder", type=local_path, metavar="RUN_FOLDER", help="folder of the run")
    parser.add_argument("mode", choices=("offline", "online"), help="into the run's folder, or to the server")
    parser.add_argument("--follow", action="store_true", help="go on until standard input ends")
    given = parser.parse_args(words)
    check_available()
    ended = threading.Event()
    if given.follow:
        threading.Thread(target=_wait_for_the_end, args=(ended,), daemon=True).start()
    else:
        ended.set()
    folder = RunFolder(given.folder)
    with disk_faults(folder.path, "mirror"):
        mirror = Mirror(folder, given.mode)
        while not ended.wait(FOLLOW_SECONDS):
            mirror.send()
        mirror.send()
        mirror.finish()
    return 0


def _wait_for_the_end(ended: threading.Event) -> None:
    """Set `ended` at the end of the input, and end this process, whatever it does, some time after."""
    sys.stdin.buffer.read()
    ended.set()
    alarm = threading.Timer(SECONDS_LEFT_ALONE, os._exit, [3])
    alarm.daemon = True
    alarm.start()


if __name__ == "__main__":
    sys.exit(main())
