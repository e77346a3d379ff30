"""The results of a benchmark, rewritten after every run, its report and its replays: a study's reducer."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from metta.analysis.results import (
    FILE_NAME,
    REPORT_NAME,
    Alike,
    BenchmarkResults,
    read_results,
    write_results,
)
from metta.base.addresses import REFERENCES_FOLDER
from metta.base.errors import InputError
from metta.base.files import write_atomically
from metta.base.output import say
from metta.base.provenance import cores, now, provenance
from metta.lab.evaluation_key import marks_by_environment
from metta.lab.identity import training_mark
from metta.lab.records import benchmark_results, reference_results
from metta.lab.report_writer import ReportWriter, Throttle
from metta.lab.study import Study

REPLAYS = ("none", "best", "all")
"""Of each architecture on each level: no replay; of the best episode; of the best and of the median one."""
MANY_RUNS = 500
"""Up to so many, the results are rewritten after every run; beyond that it takes seconds."""
WRITING_SHARE = 0.1
"""No more than this share of the time is spent on the results of many runs."""


@dataclass
class Benchmark:
    """Makes `benchmark_results.json` of the runs of this call and of earlier ones."""

    max_timesteps: int
    command: str
    replays: str = "all"
    """Which replays are written at the end, one of `REPLAYS`."""
    untuned: Sequence[str] = ()
    """Architectures whose learning rate was not tuned, unlike those of others."""
    what: str = "benchmark"
    other_folder: str = "another folder (--output-dir, --experiment-id)"
    _earlier: BenchmarkResults | None = None
    """What earlier calls did, and planned, besides the runs and levels of this one."""
    _start_time: str = ""
    _throttle: Throttle = field(default_factory=lambda: Throttle(WRITING_SHARE))
    _report: ReportWriter | None = None

    def begin(self, study: Study) -> None:
        """Take over what an earlier call did and planned besides the runs of this one, and its start time.

        Raises:
            InputError: it was made with other steps, settings, or rules of evaluation.
        """
        file = study.output / FILE_NAME
        self._report = ReportWriter(file)
        self._start_time = now()
        if not file.exists():
            if not study.train:
                self._take_steps_of_runs(study)
            return
        earlier = read_results(file)
        if not study.train:
            self.max_timesteps = earlier.max_timesteps
        self._start_time = earlier.start_time
        here, levels = {run.spec.key for run in study.runs}, {item.level for item in study.references}
        others = {
            "planned": [key for key in earlier.planned_runs if key not in here],
            "runs": [record for record in earlier.runs if record.training.key not in here],
            "references": {level: found for level, found in earlier.references.items() if level not in levels},
        }
        self._earlier = earlier.model_copy(update=others)
        self._refuse_what_does_not_compare(study, self._earlier)

    def _take_steps_of_runs(self, study: Study) -> None:
        """The runs that are there say how many steps a run has, where they agree."""
        found = {
            configuration.get("trainer", {}).get("total_timesteps")
            for run in study.runs
            if (configuration := run.folder.configuration())
        }
        if len(found) == 1 and isinstance(steps := found.pop(), int):
            self.max_timesteps = steps

    def _refuse_what_does_not_compare(self, study: Study, earlier: BenchmarkResults) -> None:
        """Raise `InputError` if earlier runs are shorter or longer than those of this call, were evaluated under other
        rules than those on their level, or are no seeds of the same training.
        """
        alike, here = Alike(), "this call"
        alike.check_all(earlier.model_copy(update={"runs": [], "max_timesteps": self.max_timesteps}), here)
        firsts = {run.spec.key[:2]: run for run in reversed(study.runs)}
        for (_, level), run in firsts.items():
            settings = run.job.config.model_dump(mode="json")
            for environment, mark in marks_by_environment(settings).items():
                alike.check(level, environment, {"rules": mark}, here, run.name)
            trained = None if run.train else run.folder.configuration()
            alike.check_training(run.spec.key, run.name, training_mark(trained or settings), here)
        try:
            alike.check_all(earlier, study.output / FILE_NAME)
        except InputError as error:
            raise InputError(f"{error} Give the same settings, or {self.other_folder}.") from None

    def write(self, study: Study, final: bool) -> None:
        """Replace results, tables and report; of very many runs only now and then before the end."""
        assert self._report is not None
        if final or len(study.runs) <= MANY_RUNS or self._throttle.allows():
            with self._throttle.measured():
                results = self._results(study, now() if final else None)
                write_with_tables(study.output / FILE_NAME, results)
                (self._report.finish if final else self._report.refresh)(results)

    def end(self, study: Study) -> str:
        """Write the replays; returns the result in a sentence, the summary, and what to do next."""
        from metta.analysis.findings import find
        from metta.analysis.gather import combine
        from metta.analysis.summary import summary_markdown, terminal_width, wrapped
        from metta.analysis.topics.result import extreme_sentences, headline, how_sure

        if self.replays != "none":
            self._write_replays(study)
        file = study.output / FILE_NAME
        results = self._results(study, now())
        width = terminal_width()
        benchmark = combine({file: results})
        found = find(benchmark)
        said = [headline(benchmark, found), how_sure(benchmark, found), *extreme_sentences(found)]
        sentences = "\n".join(wrapped([sentence for sentence in said if sentence], width))
        summary = summary_markdown(results, width)
        where = f"Results: {file}\nReport: {study.output / REPORT_NAME}"
        return "\n\n".join([sentences, summary, where, *_next_commands(results, study.output)])

    def owns(self, name: str) -> bool:
        """Results, reports, references, replays."""
        from metta.analysis.replays import REPLAY_PATTERN

        folder, _, file = name.rpartition("/")
        return folder.split("/")[0] in ("", REFERENCES_FOLDER, Path(REPORT_NAME).stem) or fnmatch(file, REPLAY_PATTERN)

    def _results(self, study: Study, end_time: str | None) -> BenchmarkResults:
        records = [study.records[run.name] for run in study.runs if run.name in study.records]
        planned, references = [run.spec.key for run in study.runs], reference_results(study.references)
        if self._earlier is not None:
            numbered = enumerate(self._earlier.runs, start=len(study.runs) + 1)
            records += [record.model_copy(update={"run_number": number}) for number, record in numbered]
            planned += self._earlier.planned
            references = {**self._earlier.references, **references}
        done = {record.training.key for record in records}
        return benchmark_results(
            records,
            planned,
            references,
            self.untuned,
            start_time=self._start_time,
            end_time=end_time if done.issuperset(planned) else None,  # an earlier call may have left some undone
            max_timesteps=self.max_timesteps,
            command=self.command,
            provenance=provenance(),
        )

    def _write_replays(self, study: Study) -> None:
        """As many at a time as jobs; one that fails costs the benchmark nothing."""
        from metta.analysis.gather import combine
        from metta.analysis.replays import BEST, KINDS
        from metta.lab import replays

        file = study.output / FILE_NAME
        results = read_results(file)
        wanted = replays.wanted(combine({file: results}), [BEST] if self.replays == "best" else KINDS)
        if not wanted:
            return
        if study.bucket is not None:
            players = {folder.resolve() for folder in replays.players(wanted)}
            study.bucket.fetch(lambda name: (study.output / name).resolve().parent in players)
        say(f"Writing {len(wanted)} replays; --replays best and none write fewer.")
        faults = replays.write_replays(wanted, min(study.parallel, cores(), len(wanted)), say)
        for fault in faults:
            print(f"warning: {fault}", file=sys.stderr)
        assert self._report is not None
        self._report.finish(results)
        study.send(final=True)


def write_with_tables(results_file: Path, results: BenchmarkResults) -> None:
    """Replace a results file and the tables beside it. Raises `RunError` if the disk is full."""
    from metta.analysis.summary import CSV_NAME, MARKDOWN_NAME, summary_csv, summary_markdown

    write_results(results_file, results)
    write_atomically(results_file.parent / MARKDOWN_NAME, summary_markdown(results) + "\n")
    write_atomically(results_file.parent / CSV_NAME, summary_csv(results))


def _next_commands(results: BenchmarkResults, output: Path) -> list[str]:
    """How to see all verdicts and numbers, and to watch the best run, if there is one."""
    evaluated = [run for run in results.runs if run.evaluation.results]
    if not evaluated:
        return []
    best = max(evaluated, key=lambda run: max(each.hearts_per_agent for each in run.evaluation.results.values()))
    found = best.evaluation.results
    environment = max(found, key=lambda name: found[name].hearts_per_agent)
    hearts = found[environment].hearts_of_episodes
    which = f"environment={environment} " * (len(found) > 1) + f"episode={hearts.index(max(hearts))}"
    level, folder = best.training.level, shlex.quote(str(output / best.training.run_folder))
    return [
        f"All verdicts and numbers:\n  uv run python -m metta.analysis.show {shlex.quote(str(output))}",
        f"Watch the best run ({best.training.architecture}, seed {best.training.seed}), as a page or live:\n"
        f"  uv run tools/run.py {level}.replay policy_uri={folder} {which}\n"
        f"  uv run tools/run.py {level}.play policy_uri={folder}",
    ]
