"""The loop around `decide`: looks at the tasks, starts and ends jobs, and tells a listener; holds no truth of its own.

What is done is read from the folders. Pauses and signs of life are remembered here and forgotten with the process;
failed attempts are kept on disk until the end: a controller that is killed, or stopped, and started again goes on
counting, and one that has named all failures leaves nothing behind, so that repeating the command tries them anew.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from metta.base.errors import InputError, RunError
from metta.base.files import read_json, write_json
from metta.base.stopping import interruptible
from metta.lab.decide import Rank, RetryPolicy, TaskState, after_failure, decide
from metta.lab.executors.contract import Command, Ended, Executor, UnavailableError

POLL_SECONDS = 0.1
LOOK_SECONDS = 2.0
"""Time between two looks at the folder of a task that a process works on."""


@dataclass(frozen=True)
class Look:
    """What a task's folder says."""

    rank: Rank | None
    """What is to be done next; None: nothing is left."""
    beat: object = None
    """A value that changes with every sign of life; None before the first."""
    held: bool = False
    """A process works on it (asked only while no job of this controller does)."""


class Task(Protocol):
    """Something to be done by one job after another, whose state lies on disk."""

    @property
    def name(self) -> str:
        """Unique name, for people, too."""

    @property
    def gives_signs(self) -> bool:
        """Whether its jobs give signs of life."""

    def look(self, active: bool) -> Look:
        """What its folder says; `active`: a job of this controller works on it. Raises `InputError` if damaged."""

    def command(self) -> Command:
        """The job that does all that is left to do."""

    def end_holder(self) -> None:
        """End the other process that works on it. Raises `RunError` if that cannot be done from here."""


class Listener(Protocol):
    """Gets every start and end of a job."""

    def started(self, task: Task, rank: Rank) -> None:
        """A job has been started."""

    def ended(self, task: Task, fault: str | None, settled: bool) -> None:
        """An attempt ended, or the task was found done; `settled`: it is done or given up now."""

    def waiting(self, active: Sequence[Task]) -> None:
        """Called several times a second, with the tasks that jobs work on."""


@dataclass
class _Memory:
    """What is remembered of one task."""

    task: Task
    state: TaskState
    beat: object = None
    looked_at: float = 0.0
    killed: bool = False
    fault: str = ""
    """Of the last attempt that failed, a sentence."""

    def change(self, **changes: Any) -> None:
        """Replace fields of the state."""
        self.state = replace(self.state, **changes)


class Controller:
    """Brings all tasks to an end."""

    def __init__(
        self,
        tasks: Sequence[Task],
        executor: Executor,
        policy: RetryPolicy,
        listener: Listener,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        attempts: Path | None = None,
    ) -> None:
        """Take the tasks in this order.

        `clock` (seconds) and `sleep` are exchanged in tests; `attempts`: the file of failed attempts, if they
        are to outlive the controller.
        """
        self._attempts = attempts
        self._executor = executor
        self._policy = policy
        self._listener = listener
        self._clock = clock
        self._sleep = sleep
        self._memories = [_Memory(task, TaskState(rank=Rank.TRAIN)) for task in tasks]
        self._by_name = {memory.task.name: memory for memory in self._memories}

    def run(self) -> None:
        """Work until every task is done or given up.

        A request to end asks the running jobs to stop, waits for them and is raised again; no process is left. A second
        Ctrl-C ends them at once.
        """
        with interruptible() as ending:
            try:
                for memory in self._memories:
                    self._look(memory)
                self._recall()
                self._adopt()
                while not self._tick():
                    pass
                if self._attempts is not None:
                    with suppress(OSError):
                        self._attempts.unlink(missing_ok=True)
            finally:
                ending.told()
                self._executor.close()

    def _tick(self) -> bool:
        """One round: who ended, who lives, what to do; returns whether all is settled."""
        for ended in self._executor.poll():
            self._job_ended(self._by_name[ended.command.name], ended)
        now = self._clock()
        for name in self._executor.queued():
            memory = self._by_name[name]
            if memory.task.gives_signs:
                memory.change(alive_at=now)  # a job that waits for a machine is not silent
        for memory in self._memories:
            if (memory.state.active or memory.state.held) and now - memory.looked_at >= LOOK_SECONDS:
                self._watch(memory)
        states = [memory.state for memory in self._memories]
        decision = decide(states, self._executor.slots, self._clock(), self._policy)
        for place in decision.ends:
            self._end(self._memories[place])
        for place in decision.starts:
            self._start(self._memories[place])
        self._listener.waiting([memory.task for memory in self._memories if memory.state.active])
        if not (decision.settled or decision.ends or decision.starts):
            self._sleep(POLL_SECONDS)
        return decision.settled

    def _look(self, memory: _Memory) -> Look | None:
        """Read the folder of a task that no job of this controller works on; tells the listener if it is settled.

        Returns None after a fault of the folder, which is permanent.
        """
        now = memory.looked_at = self._clock()
        try:
            look = memory.task.look(active=False)
        except (InputError, RunError) as error:
            memory.change(held=False, alive_at=None, permanent=True)
            self._listener.ended(memory.task, str(error), settled=True)
            return None
        held = look.held and look.rank is not None
        alive_at = memory.state.alive_at if held else None
        if held and (look.beat != memory.beat or alive_at is None):
            alive_at = now
        memory.beat = look.beat
        ending = held and memory.state.ending
        memory.change(rank=look.rank, held=held, ending=ending, alive_at=alive_at, active=False)
        if look.rank is None:
            self._listener.ended(memory.task, None, settled=True)
        return look

    def _watch(self, memory: _Memory) -> None:
        """Look for a sign of life from the process that works on a task."""
        if not memory.state.active:
            self._look(memory)
            return
        now = memory.looked_at = self._clock()
        try:
            beat = memory.task.look(active=True).beat
        except (InputError, RunError):
            return  # judged when the job ends
        if beat != memory.beat and memory.task.gives_signs:
            memory.beat = beat
            memory.change(alive_at=now)

    def _recall(self) -> None:
        """Go on counting where an earlier controller was interrupted; a damaged file only costs further attempts."""
        earlier = {}
        if self._attempts is not None:
            with suppress(InputError):
                earlier = read_json(self._attempts)
        for name, entry in earlier.items():
            memory = self._by_name.get(name)
            if memory is None or memory.state.rank is None or memory.state.permanent:
                continue
            with suppress(KeyError, TypeError, ValueError):
                attempts, permanent = int(entry["attempts"]), bool(entry["permanent"])
                memory.fault = str(entry["fault"])
                memory.change(attempts=attempts, permanent=permanent)
            if memory.state.has_failed(self._policy):
                self._listener.ended(memory.task, memory.fault, settled=True)

    def _adopt(self) -> None:
        """Go on with the jobs of an earlier controller."""
        commands = [
            memory.task.command()
            for memory in self._memories
            if memory.state.rank is not None and not memory.state.has_failed(self._policy)
        ]
        for name in self._executor.adopt(commands):
            self._now_active(self._by_name[name])

    def _now_active(self, memory: _Memory) -> None:
        memory.killed = False
        alive_at = self._clock() if memory.task.gives_signs else None
        memory.change(active=True, held=False, ending=False, alive_at=alive_at)
        assert memory.state.rank is not None
        self._listener.started(memory.task, memory.state.rank)

    def _start(self, memory: _Memory) -> None:
        before = memory.state.rank
        # The folder is the truth, and somebody else may have worked in it since the last look.
        look = self._look(memory)
        if look is None or look.rank is None or look.held or look.rank != before:
            return
        try:
            self._executor.start(memory.task.command())
        except UnavailableError:
            memory.change(retry_at=self._clock() + self._policy.retry_seconds)
        except (InputError, RunError) as error:
            self._failed(memory, str(error), isinstance(error, InputError))
        else:
            self._now_active(memory)

    def _end(self, memory: _Memory) -> None:
        memory.killed = True
        memory.change(ending=True)
        if memory.state.active:
            self._executor.end(memory.task.name)
            return
        try:
            memory.task.end_holder()
        except RunError as error:
            memory.change(held=False, permanent=True)
            self._listener.ended(memory.task, str(error), settled=True)

    def _job_ended(self, memory: _Memory, ended: Ended) -> None:
        before = memory.state.rank
        memory.change(active=False, ending=False, alive_at=None)
        if ended.in_use:
            # Whoever holds it may just be ending; that is no failure of the run.
            memory.change(retry_at=self._clock() + LOOK_SECONDS)
            return
        look = self._look(memory)
        if look is None or look.rank is None:
            return
        fault = ended.fault
        if fault is None and look.rank != before:
            self._listener.ended(memory.task, None, settled=False)
            return
        if fault is None:
            fault = f"ended without a result; its log is {ended.command.log_file}."
        elif memory.killed:
            fault = f"gave no sign of life for {self._policy.silence_seconds:.0f} seconds and was ended."
        self._failed(memory, fault, ended.permanent and not memory.killed)

    def _failed(self, memory: _Memory, fault: str, permanent: bool) -> None:
        memory.state, memory.fault = after_failure(memory.state, permanent, self._clock(), self._policy), fault
        if self._attempts is not None:
            failures = {
                each.task.name: {
                    "attempts": each.state.attempts,
                    "permanent": each.state.permanent,
                    "fault": each.fault,
                }
                for each in self._memories
                if each.state.attempts
            }
            with suppress(InputError, RunError):  # a full disk costs no more than the memory of attempts
                write_json(self._attempts, failures)
        self._listener.ended(memory.task, fault, memory.state.has_failed(self._policy))
