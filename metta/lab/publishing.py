"""From what runs leave behind to published runs: what is taken, what is left out, and what is refused.

Published runs lie in `published/<agent-steps>/runs/`, further runs of the same architecture, level and seed in
`repetitions/` beside it. A published run is never replaced.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from metta.analysis.published import PublishedRun, read_published
from metta.analysis.results import environment_result
from metta.base.errors import InputError
from metta.base.files import make_folder, write_json
from metta.base.run_files import CONFIGURATION
from metta.lab.archive import read_archive, run_record
from metta.lab.run_folder import RunFolder

RUNS, REPETITIONS = "runs", "repetitions"


def offered_records(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name for messages, and record, of every started run in a folder: of run folders, and of archives of a batch.

    Raises:
        InputError: there is nothing of the kind, or something is damaged.
    """
    archives = [folder] if folder.is_file() else sorted(folder.glob("*.tar.gz"))
    runs = sorted(file.parent for file in folder.glob(f"*/{CONFIGURATION}"))
    if not archives and not runs:
        raise InputError(f"{folder} holds neither run folders nor an archive of runs (.tar.gz).")
    for archive in archives:
        for name, record in read_archive(archive).items():
            if record.get("status"):  # others of the plan were never begun
                yield f"{archive}: {name}", record
    for path in runs:
        yield str(path), run_record(RunFolder(path))


def unfinished(record: Mapping[str, Any]) -> str | None:
    """Why a run is not complete, in words; None if it is."""
    status = record.get("status") or {}
    if not status.get("trained"):
        return f"trained {status.get('timesteps') or 0:,} of {status.get('total_timesteps') or 0:,} agent-steps"
    return None if record.get("evaluation") else "not evaluated"


def published_run(record: Mapping[str, Any], core_mark: Callable[[str], str], where: str) -> PublishedRun:
    """A complete run as it is published.

    Args:
        record: as `archive.run_record` makes it.
        core_mark: commit -> mark of the numerical core.
        where: name for messages.

    Raises:
        InputError: it was not run at a commit as it is, with one core from start to end, or the record is damaged.
    """
    try:
        starts, configuration, evaluation = record["starts"], record["configuration"], record["evaluation"]
        codes = [*(start["code"] for start in starts), evaluation["provenance"]["code"]]
        if any(code["commit"] is None or code["modified"] for code in codes):
            raise InputError(f"{where}: it ran with uncommitted changes, so nobody could repeat it.")
        commits = list(dict.fromkeys(code["commit"] for code in codes))
        cores = {core_mark(commit) for commit in commits}
        if len(cores) > 1:
            raise InputError(f"{where}: it was continued or evaluated with another numerical core than it began with.")
        latency = evaluation.get("acting_latency") or {"busy": True}
        kept = ("policy", "trainer", "curriculum", "evaluation", "system")
        return PublishedRun.parse(
            {
                **{name: configuration[name] for name in ("architecture", "level", "seed")},
                "total_timesteps": configuration["trainer"]["total_timesteps"],
                "timesteps": evaluation["timesteps"],
                "core": cores.pop(),
                "commits": commits,
                "settings": record["settings"],
                "start_time": starts[0]["time"],
                "training_seconds": record["status"]["training_seconds"],
                "evaluation_seconds": evaluation.get("duration_seconds"),
                "results": {
                    name: environment_result(result, evaluation["rules"][name])
                    for name, result in evaluation["results"].items()
                },
                "curve": record["curve"],
                "latency_milliseconds": None if latency["busy"] else latency["median_milliseconds"],
                "parameters": record["parameters"],
                "configuration": {name: configuration[name] for name in kept if name in configuration},
                "machine": starts[-1]["machine"],
                "packages": starts[-1]["packages"],
            },
            where,
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"{where}: the record is damaged: {type(error).__name__} {error}.") from None


def check(run: PublishedRun, settings: str, rules: Mapping[str, str], core: str, where: str) -> None:
    """Raise `InputError` unless a run was trained and evaluated as it must, to its end.

    Args:
        run: the run.
        settings: mark of the settings of training that its level has.
        rules: evaluation environment -> mark of the level's rules.
        core: mark of the numerical core of the published runs.
        where: name for messages.
    """
    if run.core != core:
        raise InputError(
            f"{where}: its numerical core is {run.core}, that of the published runs {core}; results of different code "
            "are not compared. Run it at the commit that they name."
        )
    if run.timesteps < run.total_timesteps:
        raise InputError(
            f"{where}: the evaluated policy was trained {run.timesteps:,} of {run.total_timesteps:,} agent-steps."
        )
    if run.settings != settings:
        raise InputError(
            f"{where}: it was trained with other settings than the level's own, which are the only ones published."
        )
    if {name: result.rules for name, result in run.results.items()} != rules:
        raise InputError(f"{where}: it was evaluated on other environments or episodes than the level's own.")


class Published:
    """The folder of published runs."""

    def __init__(self, home: Path) -> None:
        """Read every run there. Raises `InputError` if a file is damaged or has another name than its run."""
        self.home = home
        self.runs = {file: self._read(file) for file in sorted(home.glob(f"*/{RUNS}/*.json"))}
        self.repetitions = {file: self._read(file) for file in sorted(home.glob(f"*/{REPETITIONS}/*.json"))}

    @property
    def core(self) -> str | None:
        """The numerical core of all of them; None without any."""
        return next((run.core for run in self.runs.values()), None)

    @property
    def budgets(self) -> list[int]:
        """Agent-steps per run, of every group of runs."""
        return sorted({run.total_timesteps for run in self.runs.values()})

    def of(self, budget: int) -> dict[Path, PublishedRun]:
        """The runs of a group, by seed, level and architecture."""
        own = {file: run for file, run in self.runs.items() if run.total_timesteps == budget}
        return dict(sorted(own.items(), key=lambda item: (item[1].seed, item[1].level, item[1].architecture)))

    def add(self, offered: Iterable[PublishedRun]) -> Counter[str]:
        """Write those that are not published yet: the first of an architecture, level and seed as a run, others as
        repetitions. Returns how many were new, repeated, and known before.
        """
        counts: Counter[str] = Counter()
        for run in offered:
            file = self.home / str(run.total_timesteps) / RUNS / f"{run.name}.json"
            again = {path: other for path, other in self.repetitions.items() if self._main(path) == file}
            there = [self.runs[file], *again.values()] if file in self.runs else []
            if any((run.start_time, run.machine) == (other.start_time, other.machine) for other in there):
                counts["known"] += 1
                continue
            counts["repeated" if there else "new"] += 1
            if there:
                last = max((int(path.stem.rpartition(".")[2]) for path in again), default=0)
                file = file.parent.with_name(REPETITIONS) / f"{run.name}.{last + 1}.json"
            make_folder(file.parent)
            write_json(file, run.model_dump(mode="json"))
            (self.repetitions if there else self.runs)[file] = run
        return counts

    def pairs(self) -> list[tuple[PublishedRun, PublishedRun]]:
        """Every repetition with the run that it repeats."""
        return [(self.runs[self._main(path)], run) for path, run in self.repetitions.items()]

    @staticmethod
    def _main(repetition: Path) -> Path:
        """The file of the run that a repetition repeats."""
        return repetition.parent.with_name(RUNS) / f"{repetition.stem.rpartition('.')[0]}.json"

    def _read(self, file: Path) -> PublishedRun:
        run = read_published(file)
        name = file.stem if file.parent.name == RUNS else file.stem.rpartition(".")[0]
        if (run.name, str(run.total_timesteps)) != (name, file.parent.parent.name):
            raise InputError(f"{file} holds {run.name} of {run.total_timesteps} agent-steps; its name must say so.")
        return run
