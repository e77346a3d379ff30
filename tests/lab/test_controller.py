"""Thousands of schedules in a simulated world: workers and controllers die, jobs hang, fail and are held by others.

In the end every task is done exactly once or listed as failed, nothing finished is repeated, and no job is left over.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from metta.base.errors import InputError, RunError
from metta.lab.controller import Controller, Look
from metta.lab.decide import Rank, RetryPolicy
from metta.lab.executors.contract import Command, Ended, Executor

RULES = RetryPolicy(retries=2, retry_seconds=5.0, silence_seconds=300.0)
LOG = Path("no_such_log")


class ControllerKilled(BaseException):
    """The controller dies at once, without cleaning up."""


@dataclass
class Disk:
    """A task's folder, which outlives everybody."""

    name: str
    always: str | None = None
    """What every job of the task does: fail, wrong, hang."""
    trained: bool = False
    finished: bool = False
    beats: int = 0
    damaged: bool = False
    trainings: int = 0
    evaluations: int = 0
    holder: "Process | None" = None


@dataclass
class Process:
    """A job under way."""

    disk: Disk
    rank: Rank
    fate: str
    ends_at: float
    command: Command
    parent_alive: bool = True
    by_hand: bool = False
    """Somebody typed the command elsewhere; it does all that is left to do."""
    asked_to_end_at: float | None = None
    stubborn: bool = False


@dataclass
class World(Executor):
    """Clock, disks and processes; also the executor and the listener of the controller that lives now."""

    random: random.Random
    disks: list[Disk]
    slots: int
    faults: float
    """Chance that a job goes wrong."""
    kill_controller: float = 0.0
    """Chance per round that the controller is killed."""
    remote: bool = False
    """Jobs outlive their controller, and the next one takes them over."""
    attempts: Path | None = None
    hands: float = 0.0
    """Chance per round that somebody starts to work on a task by hand."""
    now: float = 0.0
    processes: list[Process] = field(default_factory=list)
    settled: dict[str, str | None] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    order: list[Rank] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        if self.random.random() < self.kill_controller:
            raise ControllerKilled
        self.advance(self.random.choice([0.1, 1.0, 5.0, 30.0]))

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for process in list(self.processes):
            if process.fate != "hang":
                process.disk.beats += 1
            if process.by_hand and self.now >= process.ends_at:
                self._finish_all(process)
            elif not process.parent_alive and not process.by_hand and process.fate != "hang":
                if not self.remote:
                    self._gone(process)  # it noticed that its controller is dead
                elif self.now >= process.ends_at:
                    self._gone(process)
                    self._result(process)
        if self.random.random() < self.hands:
            self._work_by_hand()

    def _work_by_hand(self) -> None:
        free = [disk for disk in self.disks if disk.holder is None and not disk.finished and not disk.always]
        if free:
            disk = self.random.choice(free)
            ends_at = self.now + self.random.uniform(0, 60)
            process = Process(disk, Rank.TRAIN, "done", ends_at, Command(disk.name, (), LOG, 1), False, True)
            disk.holder = process
            self.processes.append(process)

    def _finish_all(self, process: Process) -> None:
        disk = process.disk
        disk.trainings += not disk.trained
        disk.evaluations += 1
        disk.trained = disk.finished = True
        self._gone(process)

    def _gone(self, process: Process) -> None:
        self.processes.remove(process)
        if process.disk.holder is process:
            process.disk.holder = None

    def adopt(self, commands: Sequence[Command]) -> Sequence[str]:
        """Remote jobs outlive their controller; half of the worlds have such jobs."""
        if not self.remote:
            return ()
        names = {command.name for command in commands}
        found = [p for p in self.processes if p.disk.name in names and not p.by_hand]
        for process in found:
            process.parent_alive = True
        return [process.disk.name for process in found]

    def start(self, command: Command) -> None:
        disk = next(disk for disk in self.disks if disk.name == command.name)
        assert not disk.finished, "finished work is repeated"
        assert not any(p.disk is disk and p.parent_alive for p in self.processes), "two jobs for one task"
        assert sum(process.parent_alive for process in self.processes) < self.slots, "more jobs than slots"
        if self.random.random() < self.faults / 5:
            raise RunError("no space left on device.")
        rank = Rank.EVALUATE if disk.trained else Rank.TRAIN
        fate = "done"
        if self.random.random() < self.faults:
            fate = self.random.choice(["fail", "killed", "hang", "empty", "late"])
        process = Process(
            disk, rank, disk.always or fate, self.now + self.random.choice([0.0, 10.0, 60.0, 900.0]), command
        )
        process.stubborn = self.random.random() < 0.5
        if disk.holder is not None or self.random.random() < self.hands:
            process.fate = "busy"  # somebody took the lock while the job was starting
        else:
            disk.holder = process
        self.order.append(rank)
        self.processes.append(process)

    def poll(self) -> Sequence[Ended]:
        ended = []
        for process in list(self.processes):
            if not process.parent_alive:
                continue
            asked = process.asked_to_end_at
            if asked is not None and (not process.stubborn or self.now > asked + 30):
                self._gone(process)
                ended.append(Ended(process.command, -9))
            elif self.now >= process.ends_at and process.fate != "hang":
                self._gone(process)
                ended.append(Ended(process.command, self._result(process)))
        return ended

    def _result(self, process: Process) -> int:
        disk = process.disk
        if process.fate in ("done", "late"):
            assert not disk.finished
            if process.rank == Rank.TRAIN:
                disk.trained, disk.trainings = True, disk.trainings + 1
            else:
                disk.finished, disk.evaluations = True, disk.evaluations + 1
        # "late": all was done, but the process died before it could say so.
        return {"done": 0, "empty": 0, "fail": 1, "wrong": 2, "killed": -9, "busy": 75, "late": -9}[process.fate]

    def end(self, name: str) -> None:
        process = next(p for p in self.processes if p.disk.name == name and p.parent_alive)
        assert process.fate == "hang", "a living job was ended"
        process.asked_to_end_at = self.now

    def close(self) -> None:
        for process in list(self.processes):
            if process.parent_alive:
                self._gone(process)

    def die(self) -> None:
        """The controller is killed: nobody closes anything."""
        for process in self.processes:
            process.parent_alive = False

    def started(self, task: Any, rank: Rank) -> None:
        assert task.name not in self.settled

    def ended(self, task: Any, fault: str | None, settled: bool) -> None:
        assert task.name not in self.settled
        if not settled:
            self.failures += [task.name] * (fault is not None)
        if settled:
            self.settled[task.name] = fault

    def waiting(self, active: Sequence[Any]) -> None:
        assert len(active) <= self.slots


@dataclass
class SimulatedTask:
    """The task of a disk."""

    world: World
    disk: Disk
    gives_signs: bool = True

    @property
    def name(self) -> str:
        return self.disk.name

    def look(self, active: bool) -> Look:
        if self.disk.damaged:
            raise InputError("status.json is damaged.")
        held = not active and self.disk.holder is not None
        if self.disk.finished:
            return Look(None, self.disk.beats, held)
        return Look(Rank.EVALUATE if self.disk.trained else Rank.TRAIN, self.disk.beats, held)

    def command(self) -> Command:
        return Command(self.name, (), LOG, 1)

    def end_holder(self) -> None:
        holder = self.disk.holder
        assert holder is not None
        assert holder.fate == "hang", "a living process was ended"
        self.world._gone(holder)


def run_to_the_end(world: World, policy: RetryPolicy = RULES) -> int:
    """Restart the controller until one comes to the end; returns the number of restarts."""
    for restarts in range(100):
        world.settled.clear()
        tasks = [SimulatedTask(world, disk) for disk in world.disks]
        controller = Controller(
            tasks, world, policy, world, clock=world.clock, sleep=world.sleep, attempts=world.attempts
        )
        close, world.close = world.close, lambda: None  # type: ignore[method-assign]
        try:
            controller.run()
        except ControllerKilled:
            world.die()
            if restarts > 20:
                world.kill_controller = 0.0
            world.advance(world.random.choice([0.0, 1.0, 10.0]))
        else:
            close()
            return restarts
        finally:
            world.close = close  # type: ignore[method-assign]
    raise AssertionError("no controller came to the end")


@pytest.mark.parametrize("block", range(10))
def test_every_schedule_ends_with_each_task_done_once_or_failed(block: int) -> None:
    restarts = failures = 0
    for number in range(150):
        rng = random.Random(1000 * block + number)
        disks = [
            Disk(f"t{i}", always=rng.choice([None, None, None, None, "fail", "wrong", "hang"]))
            for i in range(rng.randrange(1, 8))
        ]
        for disk in disks:
            disk.damaged = rng.random() < 0.05
        world = World(rng, disks, slots=rng.randrange(1, 4), faults=rng.choice([0.0, 0.1, 0.4]))
        world.kill_controller = rng.choice([0.0, 0.0, 0.02, 0.1])
        world.hands = rng.choice([0.0, 0.0, 0.05, 0.3])
        world.remote = rng.random() < 0.5
        restarts += run_to_the_end(world)
        assert [p for p in world.processes if p.parent_alive] == []
        for disk in disks:
            fault = world.settled[disk.name]
            # By hand a task may still be finished after the controller has given it up.
            assert disk.finished or fault is not None, disk
            assert disk.trainings <= 1
            assert disk.evaluations <= 1
            assert not (disk.always or disk.damaged) or fault is not None
            assert fault is None or disk.always or disk.damaged or world.faults
            failures += fault is not None
    assert restarts > 0
    assert failures > 0


def test_without_faults_all_training_goes_first() -> None:
    world = World(random.Random(0), [Disk(f"t{i}") for i in range(9)], slots=1, faults=0.0)
    run_to_the_end(world)
    assert world.order == [Rank.TRAIN] * 9 + [Rank.EVALUATE] * 9


def test_attempts_are_as_many_as_the_rules_say() -> None:
    for always, retries, attempts in (("fail", 2, 3), ("fail", 0, 1), ("wrong", 2, 1), ("hang", 1, 2)):
        world = World(random.Random(0), [Disk("t", always=always)], slots=1, faults=0.0)
        run_to_the_end(world, RetryPolicy(retries=retries))
        assert len(world.order) == attempts
        if always == "hang":
            assert world.settled["t"] == "gave no sign of life for 300 seconds and was ended."


def test_a_controller_that_is_killed_and_restarted_goes_on_counting(tmp_path: Path) -> None:
    file = tmp_path / "attempts.json"
    for restarts in range(200):
        world = World(random.Random(restarts), [Disk("t", always="fail"), Disk("u")], slots=1, faults=0.0)
        world.attempts, world.kill_controller = file, 0.1
        run_to_the_end(world, RetryPolicy(retries=2))
        assert world.failures == ["t", "t"]  # and a third one, with which the run was given up
        assert world.settled["t"] is not None
        assert world.settled["u"] is None
        assert not file.exists()  # a new command tries anew


def test_attempts_of_an_interrupted_controller_count(tmp_path: Path) -> None:
    attempts = tmp_path / "attempts.json"
    for before, starts in ((0, 3), (1, 2), (2, 1), (3, 0)):
        world = World(random.Random(0), [Disk("t", always="fail")], slots=1, faults=0.0, attempts=attempts)
        counted = {"attempts": before, "permanent": False, "fault": "it failed."}
        attempts.write_text(json.dumps({"t": counted, "another": {**counted, "attempts": 9}}))
        run_to_the_end(world, RetryPolicy(retries=2))
        assert len(world.order) == starts
        assert world.settled["t"] == ("it failed." if before == 3 else "ended with exit status 1.")


@pytest.mark.parametrize("entry", [3, [], {}, {"attempts": "many", "permanent": False, "fault": "it failed."}])
def test_damaged_attempts_cost_no_more_than_further_ones(tmp_path: Path, entry: Any) -> None:
    attempts = tmp_path / "attempts.json"
    attempts.write_text(json.dumps({"t": entry}))
    world = World(random.Random(0), [Disk("t")], slots=1, faults=0.0, attempts=attempts)
    run_to_the_end(world, RetryPolicy(retries=2))
    assert world.settled["t"] is None


def test_a_run_that_another_process_works_on_is_waited_for() -> None:
    world = World(random.Random(0), [Disk("t")], slots=1, faults=0.0)
    world.start(Command("t", (), LOG, 1))
    process = world.processes[0]
    process.parent_alive = False
    rounds = 0

    def sleep(seconds: float) -> None:
        nonlocal rounds
        rounds += 1
        world.now += 100.0
        process.disk.beats += 1
        if rounds == 20:
            process.disk.trained = process.disk.finished = True
            process.disk.holder = None
            world.processes.clear()

    task = SimulatedTask(world, world.disks[0])
    Controller([task], world, RULES, world, clock=world.clock, sleep=sleep).run()
    assert rounds >= 20
    assert world.order == [Rank.TRAIN]
    assert world.settled == {"t": None}


def test_an_interrupt_closes_the_executor() -> None:
    world = World(random.Random(0), [Disk("t", always="hang")], slots=1, faults=0.0)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Controller(
            [SimulatedTask(world, world.disks[0])], world, RULES, world, clock=world.clock, sleep=interrupt
        ).run()
    assert world.processes == []


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (35, "signal 35"), (64, "SIGRTMAX")])
def test_a_job_killed_by_any_signal_says_by_which(tmp_path: Path, number: int, name: str) -> None:
    ended = Ended(Command("x", ("path",), tmp_path / "log.txt", 1), -number)
    assert str(ended.fault).startswith(f"killed by {name}; its log is ")
