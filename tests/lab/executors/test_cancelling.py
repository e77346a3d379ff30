"""Jobs elsewhere are cancelled although Slurm or SkyPilot does not answer for a while; what is left over is named.

Stand-ins for submitit, Slurm's commands and SkyPilot's SDK; tests/lab/test_slurm.py and test_skypilot.py have the real
ones, where these are installed.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from metta.lab.executors import skypilot, slurm
from metta.lab.executors.contract import Command, Ended, Executor, UnavailableError
from metta.lab.executors.skypilot import SkyPilotExecutor
from metta.lab.executors.slurm import SlurmExecutor

COMMANDS = [Command(f"r{number}", ("a.b.train",), Path("log.txt"), 1) for number in (1, 2, 3)]


@dataclass
class Place:
    """Jobs that run until they are cancelled, and a number of requests to cancel that fail before one succeeds."""

    names: list[str] = field(default_factory=list)
    faults: int = 0
    cancelled: set[int] = field(default_factory=set)

    def submit(self, name: str) -> int:
        self.names.append(name)
        return len(self.names)

    def cancel(self, ids: Sequence[int], fault: Exception) -> None:
        if self.faults:
            self.faults -= 1
            raise fault
        self.cancelled |= {*ids}

    def states(self) -> list[tuple[int, str, str]]:
        return [(i, name, "CANCELLED" if i in self.cancelled else "RUNNING") for i, name in enumerate(self.names, 1)]


def with_slurm(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Executor:
    class Submitter:
        def __init__(self, *_: Any, **__: Any) -> None:
            self.name = ""

        def update_parameters(self, job_name: str = "", **_: Any) -> None:
            self.name = job_name

        def submit(self, _: Any) -> Any:
            return SimpleNamespace(job_id=place.submit(self.name))

    def ask(program: str, *words: str) -> str:
        if program == "scancel":
            place.cancel([int(word) for word in words], UnavailableError("scancel: Unable to contact slurm controller"))
            return ""
        return "\n".join(f"{id}|{state}|None|{name}|{tmp_path}" for id, name, state in place.states())

    submitit = ModuleType("submitit")
    submitit.SlurmExecutor = Submitter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "submitit", submitit)
    monkeypatch.setattr(slurm, "check_available", lambda: None)
    monkeypatch.setattr(SlurmExecutor, "seconds_between_questions", 0.0)
    return SlurmExecutor(4, tmp_path, 1, {}, ask)


def with_skypilot(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Executor:
    def records(**_: Any) -> list[Any]:
        return [
            SimpleNamespace(job_id=id, job_name=name, status=SimpleNamespace(value=state), failure_reason=None)
            for id, name, state in place.states()
        ]

    sky = SimpleNamespace(
        Task=SimpleNamespace(from_yaml_config=lambda record: record),
        client=SimpleNamespace(sdk=SimpleNamespace(enabled_clouds=lambda: ["Kubernetes"])),
        get=lambda answer: answer,
        jobs=SimpleNamespace(
            launch=lambda task: ([place.submit(task["name"])], None),
            queue_v2=records,
            cancel=lambda job_ids: place.cancel(job_ids, ConnectionError("503 for a moment")),
        ),
    )
    monkeypatch.setattr(skypilot, "library", lambda: sky)
    monkeypatch.setattr(SkyPilotExecutor, "seconds_between_questions", 0.0)
    return SkyPilotExecutor(4, "s3://b/x", 1, {})


def started(executor: Executor, place: Place) -> None:
    """Start the commands, one after the other so that their numbers are known, and wait until they run."""
    for number, command in enumerate(COMMANDS, 1):
        executor.start(command)
        while len(place.names) < number:
            time.sleep(0.001)
    while executor.queued():
        assert executor.poll() == []


AtWork = tuple[Place, Executor]


@pytest.fixture(params=[with_slurm, with_skypilot])
def at_work(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AtWork:
    """Either engine with all the commands at work."""
    place = Place()
    executor = request.param(place, monkeypatch, tmp_path)
    started(executor, place)
    return place, executor


def test_a_job_is_cancelled_although_the_first_requests_fail(at_work: AtWork) -> None:
    place, executor = at_work
    place.faults = 3
    executor.end("r2")
    ended: list[Ended] = []
    for _ in range(6):
        ended += executor.poll()
    assert [end.command.name for end in ended] == ["r2"]
    assert "it was cancelled" in str(ended[0].fault)
    assert place.cancelled == {2}
    executor.close()


def test_all_jobs_are_cancelled_at_the_end_although_the_first_requests_fail(
    at_work: AtWork, capsys: pytest.CaptureFixture[str]
) -> None:
    place, executor = at_work
    place.faults = 4
    executor.close()
    assert place.cancelled == {1, 2, 3}
    assert capsys.readouterr().err.count("\n") <= 1  # SkyPilot's silence is mentioned once
    assert executor.poll() == []


def test_jobs_that_could_not_be_cancelled_are_named(
    at_work: AtWork, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place, executor = at_work
    monkeypatch.setattr(type(executor), "seconds_to_stop", 0.2)
    place.faults = 1_000_000
    executor.close()
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("warning: ")
    assert "1 2 3" in said.replace(",", "")
    assert "they may go on" in said


def test_jobs_are_named_although_nobody_waits_for_their_end(
    at_work: AtWork, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second Ctrl-C."""
    place, executor = at_work
    place.faults = 1_000_000

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        executor.close()
    assert "they may go on: 1 2 3" in capsys.readouterr().err.splitlines()[-1].replace(",", "")


def test_what_runs_far_away_is_ended_although_the_end_of_what_runs_near_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    place = Place()
    monkeypatch.setattr(skypilot, "LocalExecutor", lambda slots: SimpleNamespace(close=interrupt, poll=list))
    executor = with_skypilot(place, monkeypatch, tmp_path)
    started(executor, place)
    with pytest.raises(KeyboardInterrupt):
        executor.close()
    assert place.cancelled == {1, 2, 3}
