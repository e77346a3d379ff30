"""The parts of the measurement on a GPU; each adds rows to its part of the report and says what it finds."""

import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numba
import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.bench_memory import measure as measure_memory
from benchmarks.gpu.brief import Brief, SideBySide, brief_run, loss_deviation, weight_deviation
from benchmarks.gpu.extent import CHECK_AFTER, SHORT, SMALL, WARM_UP, Extent
from benchmarks.gpu.report import Part, Report
from benchmarks.gpu.simulator import measure as measure_simulator
from experiments.recipes.benchmark_architectures.batch import read_plan
from experiments.recipes.benchmark_architectures.level_1_basic import ARCHITECTURES
from experiments.recipes.benchmark_architectures.levels import LEVELS, PACKAGE
from metta.base.provenance import REPOSITORY, cores, machine, provenance
from metta.cli.main import resolve
from metta.lab.batch import Batch, Place
from metta.lab.executors.contract import Command
from metta.lab.executors.local import LocalExecutor
from metta.lab.training import TrainJob
from metta.rl.config import RunConfig
from metta.sim.conformance import case_paths, load_case, replay

LEVEL = "level_1_basic"
ON_GPU = "sim.device=cuda"
EAGER = "system.cuda_graphs=false"
ONE_UPDATE = ("trainer.total_timesteps=1", "system.device=cpu", "sim.device=cpu", *SMALL, *SHORT)


@dataclass
class Session:
    """What the parts share."""

    report: Report
    extent: Extent
    archive: Path
    work: Path
    """Folder for run folders, removed in the end."""
    at_once: int
    cpu_jobs: int
    briefs: dict[tuple[str, str], Brief] = field(default_factory=dict)
    """By architecture and variant."""
    aside: LocalExecutor = field(default_factory=lambda: LocalExecutor(len(ARCHITECTURES)))
    """Where kernels for the processor are compiled, while the GPU is looked at."""


def config_of(architecture: str, *settings: str) -> RunConfig:
    """The configuration of a run on level 1; of settings that are given twice the later ones count."""
    latest = {word.split("=")[0]: word for word in settings}
    job = resolve([f"{PACKAGE}.{LEVEL}.train", f"arch_type={architecture}", *latest.values()])
    assert isinstance(job, TrainJob)
    return job.config


def versions(session: Session, part: Part) -> None:
    """Device, libraries, processor."""
    found: dict[str, Any] = {**provenance(), "numba": numba.__version__, "cores": cores()}
    if torch.cuda.is_available():
        of_device = torch.cuda.get_device_properties(0)
        found["gpu"] = {
            "name": of_device.name,
            "multiprocessors": of_device.multi_processor_count,
            "bytes": of_device.total_memory,
            "capability": torch.cuda.get_device_capability(),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
        session.report.say(f"{of_device.name}, CUDA {torch.version.cuda}")
    session.report.say(f"{machine()['processor']}, {cores()} cores; {found['packages']}")
    part.rows.append(found)
    _compile_aside(session)


def _compile_aside(session: Session) -> None:
    """Have cores compile what evaluations and runs on them need, so that not each of these has to."""
    folder = session.work / "compiling"
    for number, name in enumerate(session.extent.compiled):
        words = (f"{PACKAGE}.{LEVEL}.train", f"arch_type={name}", f"run={name}", f"train_dir={folder}")
        session.aside.start(Command(str(number), (*words, *ONE_UPDATE), folder / f"{name}.txt", threads=1))


def cases(session: Session, part: Part) -> None:
    """Recorded episodes of a reference engine, replayed by worlds on the GPU."""
    report = session.report
    for path in case_paths([REPOSITORY / "tests" / "data" / "conformance"]):
        case = load_case(path)
        if len(case.actions) > session.extent.cases_of_steps or not report.fits(part, case.name):
            continue
        with report.faults(part, case.name):
            difference = replay(case, "cuda")
            part.rows.append({"case": case.name, "steps": len(case.actions), "identical": difference is None})
            if difference:
                report.wrong(part, f"{case.name}: {difference}")
    identical = sum(row["identical"] for row in part.rows)
    report.say(f"{identical} of {len(part.rows)} replayed cases are identical")


VARIANTS: dict[str, tuple[str, ...]] = {
    "recorded": (ON_GPU,),
    "eager": (ON_GPU, EAGER),
    "recorded, worlds on the CPU": ("sim.device=cpu",),
    "eager, worlds on the CPU": ("sim.device=cpu", EAGER),
    "all on the CPU": ("system.device=cpu", "sim.device=cpu"),
}
"""Ways to do the same run, and their settings; the first that works is what the others are compared with."""
SAME_DEVICE = 0.02
OTHER_DEVICE = 0.05
"""Largest deviation that passes for rounding: it grows over the updates, and may now and then change an action."""


def architectures(session: Session, part: Part) -> None:
    """The same run of every architecture in every way: the numbers agree, and how fast it is."""
    report = session.report
    for variant, settings in VARIANTS.items():
        for name in session.extent.variants.get(variant, tuple(ARCHITECTURES)):
            if not report.fits(part, f"{name} {variant}", seconds=2.0):
                continue
            with report.faults(part, f"{name}, {variant}"):
                brief = _brief(session, name, settings, alone=variant.startswith("all"))
                session.briefs[name, variant] = brief
                part.rows.append(_row(session, part, name, variant, brief))
    _print_rates(session)


def _brief(session: Session, name: str, settings: tuple[str, ...], alone: bool) -> Brief:
    extent = session.extent
    # The simulator of CUDA is so slow that every run that is compared with one in it has to be as small.
    simulated = extent.simulated_settings if name in extent.variants.get("recorded", ()) else ()
    config = config_of(name, *extent.settings, *simulated, *settings)
    least, most = (CHECK_AFTER, CHECK_AFTER) if alone else (extent.least_updates, extent.most_updates)
    return brief_run(config, extent.seconds, least, most)


def _row(session: Session, part: Part, name: str, variant: str, brief: Brief) -> dict[str, Any]:
    """A row of the table; what is compared with what comes first."""
    row: dict[str, Any] = {
        "architecture": name,
        "variant": variant,
        "first_update_seconds": brief.first_update_seconds,
        "peak_bytes": brief.peak_bytes,
    }
    text = f"{name:16} {variant:28} first update {brief.first_update_seconds:5.1f} s"
    if len(brief.times) > WARM_UP:
        row |= {"agent_steps_per_second": brief.rate, "milliseconds_per_update": 1000 * brief.seconds_per_update}
        text += f"  {brief.rate:>9,.0f} agent-steps/s  {1000 * brief.seconds_per_update:7.2f} ms per update"
    first = next(known for (architecture, known) in session.briefs if architecture == name)
    if first != variant:
        other = variant.startswith("all")
        # On another device rounding differs from the first product on, and Adam's first steps go by the signs.
        losses = loss_deviation(session.briefs[name, first], brief, 1 if other else CHECK_AFTER)
        weights = weight_deviation(session.briefs[name, first], brief)
        row |= {"compared_with": first, "loss_deviation": losses, "weight_deviation": weights}
        text += f"  deviation from {first}: losses {losses:.1e}, weights {weights:.1e}"
        worst = losses if other else max(losses, weights)
        if not worst <= (OTHER_DEVICE if other else SAME_DEVICE):
            session.report.wrong(part, f"{name}: {variant} differs from {first}: losses {losses:.2e}, {weights:.2e}")
    session.report.say(text)
    return row


def _print_rates(session: Session) -> None:
    shown = [variant for variant in VARIANTS if not variant.startswith("all")]
    session.report.say("agent-steps per second of whole updates\n" + " " * 16 + "".join(f"{v:>30}" for v in shown))
    for name in ARCHITECTURES:
        found = [session.briefs.get((name, variant)) for variant in shown]
        session.report.say(
            f"{name:16}" + "".join(f"{brief.rate:>30,.0f}" if brief else f"{'-':>30}" for brief in found)
        )


def streams(session: Session, part: Part) -> None:
    """Rates with more agents acting in parallel."""
    extent, report = session.extent, session.report
    for name in extent.streams_of:
        for count in extent.streams:
            if not report.fits(part, f"{name} with {count} streams", seconds=3.0):
                continue
            with report.faults(part, f"{name} with {count} streams"):
                config = config_of(name, *extent.settings, *_worlds(extent), f"trainer.num_streams={count}")
                brief = brief_run(config, extent.seconds, extent.least_updates, extent.most_updates)
                part.rows.append(
                    {"architecture": name, "streams": count, "agent_steps_per_second": brief.rate}
                    | {"peak_bytes": brief.peak_bytes}
                )
                report.say(f"{name:16} {count:6} streams {brief.rate:>12,.0f} agent-steps/s")


def together(session: Session, part: Part) -> None:
    """Total rate of several runs side by side on the device; each measurement has more of them than the last."""
    extent, report = session.extent, session.report
    for name in extent.together_of:
        with report.faults(part, f"runs of {name} side by side"), SideBySide() as runs:
            started = 0
            for count in extent.together:
                if not report.fits(part, f"{count} runs of {name}", seconds=3.0):
                    continue
                for seed in range(started, count):
                    runs.start(config_of(name, *extent.settings, *_worlds(extent), f"seed={seed}"))
                started = count
                rate = runs.rate(max(0.5, extent.seconds), patience=max(20.0, part.deadline - report.clock()))
                part.rows.append({"architecture": name, "runs": count, "agent_steps_per_second": rate})
                report.say(f"{count:3} runs of {name:12} at once {rate:>12,.0f} agent-steps/s together")


def _worlds(extent: Extent) -> tuple[str, ...]:
    """Worlds on the GPU, where there is one: the simulator of CUDA is too slow for more than a few steps."""
    return ("sim.device=cpu",) if extent.rehearsal else (ON_GPU,)


def simulator(session: Session, part: Part) -> None:
    """Worlds alone, without a policy."""
    for level, counts in session.extent.simulator:
        for worlds in counts:
            if not session.report.fits(part, f"level {level} with {worlds} worlds", seconds=2.0):
                continue
            with session.report.faults(part, f"level {level} with {worlds} worlds"):
                row = measure_simulator(
                    list(LEVELS.values())[level - 1].make_env(), worlds, session.extent.simulator_steps, 3
                )
                part.rows.append({"level": level, **row})
                session.report.say(
                    f"level {level} {worlds:6} worlds {row['agent_steps_per_second']:>14,.0f} agent-steps/s "
                    f"{row['milliseconds_per_step']:8.3f} ms per step, first step {row['first_step_seconds']:.1f} s"
                )


def memories(session: Session, part: Part) -> None:
    """`trxl` against `trxl_nvidia`: their memories alone, beside the rates of whole updates."""
    device = torch.device("cpu" if session.extent.rehearsal else "cuda")
    for name in ("transformer_xl", "transformer_xl_fused"):
        row = measure_memory(name, device, 240, 16)
        part.rows.append(row)
        session.report.say(
            f"{name:22} acting {row['acting_microseconds']} us, training {row['training_microseconds']} us per step"
        )


def profiles(session: Session, part: Part) -> None:
    """One update's kernels: how many, how long, which; per acting step and per minibatch."""
    extent, report = session.extent, session.report
    for name in extent.profiled:
        if not report.fits(part, name, seconds=5.0):
            continue
        with report.faults(part, name):
            settings = (*extent.settings, *_worlds(extent))
            many = config_of(name, *settings)
            few = config_of(name, *settings, f"trainer.minibatches={max(1, many.trainer.minibatches // 3)}")
            (kernels, seconds, wall), (fewer, _, _) = (_profiled(config, extent.rehearsal) for config in (many, few))
            per_minibatch = (kernels.total() - fewer.total()) / (many.trainer.minibatches - few.trainer.minibatches)
            rest = kernels.total() - per_minibatch * many.trainer.minibatches
            row: dict[str, Any] = {
                "architecture": name,
                "kernels_per_update": kernels.total(),
                "kernels_per_minibatch": per_minibatch,
                "kernels_per_acting_step": rest / many.trainer.rollout_steps,
                "busy_milliseconds": 1000 * sum(seconds.values()),
                "milliseconds": 1000 * wall,
                "kernels": [
                    {"name": kernel[:100], "count": kernels[kernel], "milliseconds": 1000 * seconds[kernel]}
                    for kernel in sorted(seconds, key=lambda kernel: -seconds[kernel])[:20]
                ],
            }
            part.rows.append(row)
            report.say(
                f"{name}: {kernels.total()} kernels in an update, {per_minibatch:.0f} per minibatch, "
                f"{row['kernels_per_acting_step']:.0f} per acting step (all else of the rollout included); "
                f"busy {row['busy_milliseconds']:.2f} of {row['milliseconds']:.2f} ms under the profiler"
            )
            for each in row["kernels"]:
                report.say(f"  {each['milliseconds']:8.3f} ms {each['count']:6} x {each['name']}")


def _profiled(config: RunConfig, on_cpu: bool) -> tuple[Counter[str], dict[str, float], float]:
    """Number and seconds of each kernel (on a CPU: operator) of the update after warming up, and its wall time."""
    activity = ProfilerActivity.CPU if on_cpu else ProfilerActivity.CUDA
    recording = profile(activities=[activity])
    stamps: list[float] = []

    def hook(update: int) -> None:
        if update == WARM_UP:
            recording.start()
            stamps.append(time.perf_counter())
        elif update == WARM_UP + 1:
            stamps.append(time.perf_counter())
            recording.stop()

    brief_run(config, 0.0, WARM_UP + 1, WARM_UP + 1, hook)
    counts: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    events: Any = recording.events()
    for event in events:
        if on_cpu or event.device_type == DeviceType.CUDA:
            counts[event.name] += 1
            taken = event.self_cpu_time_total if on_cpu else event.self_device_time_total
            seconds[event.name] = seconds.get(event.name, 0.0) + taken / 1e6
    return counts, seconds, stamps[1] - stamps[0]


def runs(session: Session, part: Part) -> None:
    """Real runs of the benchmark, as many as the time allows, evaluated on the cores."""
    extent, report = session.extent, session.report
    # Side by side each run has at least its share of the device.
    rates: dict[tuple[Place, str], float] = {
        ("gpu", name): brief.rate / session.at_once
        for (name, variant), brief in session.briefs.items()
        if variant == "recorded"
    }
    planned = read_plan(plan_of(extent), session.work / "runs", extent.run_settings, gpu=True)
    batch = Batch(
        planned, session.archive, part.deadline, session.at_once, session.cpu_jobs, report.say, rates, report.clock
    )
    batch.execute()
    records = batch.records()
    for run in planned:
        if run.state == "failed":
            report.wrong(part, f"{run.name}: {run.error}")
        elif run.state != "finished":
            part.left_out.append(f"{run.name} ({run.state})")
        else:
            row = {
                "run": run.name,
                "place": run.place,
                "hearts_per_agent": _hearts(records[run.name]),
                "training_seconds": (records[run.name].get("status") or {}).get("training_seconds"),
            }
            part.rows.append(row)
            report.say(
                f"{run.name:40} {row['hearts_per_agent']} hearts per agent, trained in {row['training_seconds']} s"
            )
    _print_places(session, part)


def plan_of(extent: Extent) -> list[str]:
    """Every architecture once on the GPU, and, beside it, the fastest of them with the same seeds on cores."""
    names = ["fast", "memory_free"] if extent.rehearsal else list(ARCHITECTURES)
    lines = [f"{name} {LEVEL} 0" for name in names]
    cpu = ["fast"] if extent.rehearsal else ["fast", "puffer", "fast_lstm_reset", "fast_dynamics"]
    seeds = [0] if extent.rehearsal else [0, 1, 2]
    lines += [f"{name} {LEVEL} {seed} on=cpu" for seed in seeds for name in cpu]
    lines += [f"{name} {LEVEL} {seed}" for seed in seeds[1:] for name in cpu]
    return lines


def _hearts(record: dict[str, Any]) -> dict[str, float] | None:
    """Hearts per agent by evaluation environment."""
    evaluation = record.get("evaluation")
    return (
        {name: round(result["hearts_per_agent"], 3) for name, result in evaluation["results"].items()}
        if evaluation
        else None
    )


def _print_places(session: Session, part: Part) -> None:
    """Hearts of an architecture's runs on the GPU beside those on cores: mean over the seeds."""
    means: dict[tuple[str, str], list[float]] = {}
    for row in part.rows:
        if row["hearts_per_agent"]:
            architecture = row["run"].split(".")[1]
            means.setdefault((architecture, row["place"]), []).extend(row["hearts_per_agent"].values())
    for name in sorted({name for name, place in means if place == "cpu"}):
        texts = [
            f"{place} {statistics.mean(values):.2f} (of {len(values)}: {', '.join(map(str, values))})"
            for place in ("gpu", "cpu")
            if (values := means.get((name, place)))
        ]
        session.report.say(f"{name}: hearts per agent {'; '.join(texts)}")


PARTS: dict[str, Callable[[Session, Part], None]] = {
    function.__name__: function
    for function in (versions, cases, architectures, together, profiles, memories, simulator, streams, runs)
}
