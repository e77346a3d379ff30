"""Checks and measures everything a GPU does, within minutes: `python3 tasks.py gpu`, or `python -m benchmarks.gpu`.

Parts: versions of device and libraries; cases, recorded episodes replayed by worlds on the GPU; architectures, the same
run of all thirteen recorded as CUDA graphs and eager, with worlds on the GPU and on the CPU, compared and timed;
together, several runs on one device; profiles of one update; memories of trxl and trxl_nvidia; simulator, worlds alone;
streams, more agents in parallel; runs, real ones of level 1, evaluated on the processor's cores. Writes one dated file
below benchmarks/results/ and an archive of the runs beside it. A wrong number or a failing part is named, the rest goes
on, and the exit status is 1. Needs torch with a GPU and numba-cuda; `--rehearse` does every part in miniature without.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.gpu.extent import FULL, MINIATURE, SHARES
from metta.base.addresses import local_path
from metta.base.endings import command
from metta.base.flags import Parser, at_least, some_of
from metta.base.provenance import REPOSITORY, code_version, cores
from metta.base.stopping import interruptible
from metta.sim.devices import check_cuda

if TYPE_CHECKING:
    from benchmarks.gpu.parts import Session
    from benchmarks.gpu.report import Report

TARGETS = {"fast": 300_000, "others": 100_000, "together": 1_000_000, "trxl_nvidia": 1.5}
"""Agent-steps per second of one run of `fast`, of one of every other architecture, of several runs of `fast` at once;
and how many times as fast as `trxl` `trxl_nvidia` is. Wanted on an H100; others are told how far they are."""


@command
def main(words: list[str]) -> int:
    """Do the parts; returns 1 if one failed or found a wrong number."""
    given = _parse(words)
    if given.rehearse:
        os.environ["NUMBA_ENABLE_CUDASIM"] = "1"  # read when numba is imported
        warnings.filterwarnings("ignore", "overflow encountered", RuntimeWarning)  # simulated threads are Python's
    else:
        check_cuda("this measurement needs a GPU", instead="--rehearse does without")
    stem = f"{datetime.now(UTC):%Y-%m-%d}_{(code_version()['commit'] or 'unknown')[:7]}_gpu"
    output = given.output or REPOSITORY / "benchmarks" / "results" / f"{stem}.txt"
    with tempfile.TemporaryDirectory(prefix="gpu_") as work, interruptible():
        return _measure(given, output, Path(work))


def _measure(given: argparse.Namespace, output: Path, work: Path) -> int:
    """All parts, one after the other."""
    from benchmarks.gpu.parts import PARTS, Session
    from benchmarks.gpu.report import Report

    report = Report(output, given.minutes)
    session = Session(
        report=report,
        work=work,
        extent=MINIATURE if given.rehearse else FULL,
        archive=output.with_suffix(".runs.tar.gz"),
        at_once=given.at_once,
        cpu_jobs=given.cpu_jobs,
    )
    try:
        for number, name in enumerate(given.parts, start=1):
            with report.part(name, SHARES[name]) as part:
                PARTS[name](session, part)
            if not _gpu_answers() and given.parts[number:]:
                report.wrong(part, "the GPU takes no more work from this process; another one does the other parts")
                _go_on(given, given.parts[number:], output, (report.deadline - report.clock()) / 60)
                break
    finally:
        session.aside.close()
    report.say("\n".join(["summary", *(part.summary for part in report.parts)]))
    if not given.rehearse:
        _say_targets(report, session)
    report.write()
    print(f"Written to {output}")
    return report.status


def _gpu_answers() -> bool:
    """Whether the GPU still takes work: after some faults it does not, until the process is another."""
    import torch

    try:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def _go_on(given: argparse.Namespace, parts: list[str], output: Path, minutes: float) -> None:
    """Do parts in another process, which writes a file beside."""
    output = output.with_stem(f"{output.stem}_continued")
    words = ["--at-once", str(given.at_once), "--cpu-jobs", str(given.cpu_jobs)]
    words += ["--parts", ",".join(parts), "--minutes", str(minutes), "--output", str(output)]
    subprocess.run([sys.executable, "-m", "benchmarks.gpu", *words], cwd=REPOSITORY, check=False)


def _parse(words: list[str]) -> argparse.Namespace:
    description, _, more = (__doc__ or "").partition("\n")
    parser = Parser("python -m benchmarks.gpu", description, more)
    parser.add_argument("--minutes", type=at_least(0, float), default=8.0, help="time for everything (default: 8)")
    parser.add_argument("--parts", type=some_of(SHARES), default="all", help=f"of {', '.join(SHARES)} (default: all)")
    parser.add_argument(
        "--output", type=local_path, help="the file to write (default: a dated one in benchmarks/results)"
    )
    parser.add_argument("--rehearse", action="store_true", help="every part in miniature, on the processor")
    parser.add_argument("--at-once", type=at_least(1), default=4, help="real runs side by side on the GPU (default: 4)")
    parser.add_argument(
        "--cpu-jobs", type=at_least(0), default=max(1, cores() - 4), help="real runs on cores (default: all but 4)"
    )
    return parser.parse_args(words)


def _say_targets(report: "Report", session: "Session") -> None:
    """How far the rates are from those wanted."""
    rates = {name: brief.rate for (name, variant), brief in session.briefs.items() if variant == "recorded"}
    runs = [row for part in report.parts if part.name == "together" for row in part.rows]
    found = {name: (rate, TARGETS["fast" if name == "fast" else "others"]) for name, rate in rates.items()}
    if {"trxl", "trxl_nvidia"} <= set(rates):
        found["trxl_nvidia / trxl"] = (rates["trxl_nvidia"] / rates["trxl"], TARGETS["trxl_nvidia"])
    of_fast = [row["agent_steps_per_second"] for row in runs if row["architecture"] == "fast"]
    if of_fast:
        found["fast, several runs"] = (max(of_fast), TARGETS["together"])
    for name, (value, wanted) in found.items():
        report.say(f"{name:24} {value:>14,.2f} of {wanted:>12,.1f}: {'reached' if value >= wanted else 'NOT reached'}")


if __name__ == "__main__":
    sys.exit(main())
