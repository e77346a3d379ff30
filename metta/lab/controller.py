"""The loop around `decide`: looks at the tasks, starts and ends jobs, and tells a listener; holds no truth of its own.

What is done is read from the folders. Pauses and signs of life are remembered here and forgotten with the process;
failed attempts are kept on disk until the end: a controller that is killed, or stopped, and started again goes on
counting, and one that has named all failures leaves nothing behind, so that repeating the command tries them anew.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from metta.base.errors import InputError, RunError
from metta.base.files import read_json, write_json
from metta.base.stopping import interruptible
from metta.lab.decide import Rank, RetryPolicy, Start, TaskState, after_failure, decide
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


@dataclass(frozen=True)
class Failure:
    """What is remembered of a task that failed."""

    attempts: int
    """How often it failed."""
    permanent: bool
    """The cause is one that trying again does not mend."""
    fault: str
    """The last cause, a sentence."""


@dataclass
class _Memory:
    """What is remembered of one task."""

    task: Task
    state: TaskState
    beat: object = None
    looked_at: float = 0.0
    killed: bool = False


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
        self._failures: dict[str, Failure] = {}
        self._executor = executor
        self._policy = policy
        self._listener = listener
        self._clock = clock
        self._sleep = sleep
        self._memories = [_Memory(task, TaskState(rank=Rank.TRAIN)) for task in tasks]
        self._places = {task.name: place for place, task in enumerate(tasks)}
        self._states = [memory.state for memory in self._memories]
        self._watched: set[int] = set()
        """Places of the tasks that somebody works on."""

    def run(self) -> None:
        """Work until every task is done or given up.

        A request to end asks the running jobs to stop, waits for them and is raised again; no process is left. A second
        Ctrl-C ends them at once.
        """
        with interruptible() as ending:
            try:
                for place in range(len(self._memories)):
                    self._look(place)
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
        ended = self._executor.poll()
        for each in ended:
            self._job_ended(self._places[each.command.name], each)
        now = self._clock()
        for name in self._executor.queued():
            place = self._places[name]
            if self._memories[place].task.gives_signs:
                # A job that waits for a machine is not silent; its time begins when it does.
                self._put(place, replace(self._memories[place].state, alive_at=now))
        for place in list(self._watched):
            if now - self._memories[place].looked_at >= LOOK_SECONDS:
                self._watch(place)
        decision = decide(self._states, self._executor.slots, self._clock(), self._policy)
        for action in decision.actions:
            if isinstance(action, Start):
                self._start(action.index)
            else:
                self._end(action.index)
        self._listener.waiting([self._memories[p].task for p in sorted(self._watched) if self._states[p].active])
        if not decision.settled and not decision.actions:
            self._sleep(POLL_SECONDS)
        return decision.settled

    def _put(self, place: int, state: TaskState) -> None:
        self._memories[place].state = self._states[place] = state
        if state.active or state.held:
            self._watched.add(place)
        else:
            self._watched.discard(place)

    def _look(self, place: int) -> Look | None:
        """Read the folder of a task that no job of this controller works on; tells the listener if it is settled.

        Returns None after a fault of the folder, which is permanent.
        """
        memory = self._memories[place]
        now = memory.looked_at = self._clock()
        try:
            look = memory.task.look(active=False)
        except (InputError, RunError) as error:
            self._put(place, replace(memory.state, held=False, alive_at=None, permanent=True))
            self._listener.ended(memory.task, str(error), settled=True)
            return None
        held = look.held and look.rank is not None
        alive_at = memory.state.alive_at
        if not held:
            alive_at = None
        elif look.beat != memory.beat or alive_at is None:
            alive_at = now
        memory.beat = look.beat
        state = replace(
            memory.state,
            rank=look.rank,
            held=held,
            ending=held and memory.state.ending,
            alive_at=alive_at,
            active=False,
        )
        self._put(place, state)
        if look.rank is None:
            self._listener.ended(memory.task, None, settled=True)
        return look

    def _watch(self, place: int) -> None:
        """Look for a sign of life from the process that works on a task."""
        memory = self._memories[place]
        if not memory.state.active:
            self._look(place)
            return
        now = memory.looked_at = self._clock()
        try:
            beat = memory.task.look(active=True).beat
        except (InputError, RunError):
            return  # judged when the job ends
        if beat != memory.beat and memory.task.gives_signs:
            memory.beat = beat
            self._put(place, replace(memory.state, alive_at=now))

    def _recall(self) -> None:
        """Go on counting where an earlier controller was interrupted."""
        for name, failure in self._earlier_failures().items():
            place = self._places.get(name)
            if place is None or self._states[place].rank is None or self._states[place].permanent:
                continue
            self._failures[name] = failure
            memory = self._memories[place]
            self._put(place, replace(memory.state, attempts=failure.attempts, permanent=failure.permanent))
            if memory.state.has_failed(self._policy):
                self._listener.ended(memory.task, failure.fault, settled=True)

    def _earlier_failures(self) -> dict[str, Failure]:
        """By the task's name; a damaged file counts as none, because it only saves attempts."""
        if self._attempts is not None:
            with suppress(InputError, TypeError):
                return {name: Failure(**entry) for name, entry in read_json(self._attempts).items()}
        return {}

    def _adopt(self) -> None:
        """Go on with the jobs of an earlier controller."""
        commands = [
            memory.task.command()
            for memory in self._memories
            if memory.state.rank is not None and not memory.state.has_failed(self._policy)
        ]
        for name in self._executor.adopt(commands):
            place = self._places[name]
            memory = self._memories[place]
            assert memory.state.rank is not None
            self._now_active(place)
            self._listener.started(memory.task, memory.state.rank)

    def _now_active(self, place: int) -> None:
        memory = self._memories[place]
        alive_at = self._clock() if memory.task.gives_signs else None
        memory.killed = False
        self._put(place, replace(memory.state, active=True, held=False, ending=False, alive_at=alive_at))

    def _start(self, place: int) -> None:
        memory = self._memories[place]
        before = memory.state.rank
        # The folder is the truth, and somebody else may have worked in it since the last look.
        look = self._look(place)
        if look is None or look.rank is None or look.held or look.rank != before:
            return
        try:
            self._executor.start(memory.task.command())
        except UnavailableError:
            self._put(place, replace(memory.state, retry_at=self._clock() + self._policy.retry_seconds))
            return
        except (InputError, RunError) as error:
            self._failed(place, str(error), isinstance(error, InputError))
            return
        self._now_active(place)
        self._listener.started(memory.task, look.rank)

    def _end(self, place: int) -> None:
        memory = self._memories[place]
        memory.killed = True
        self._put(place, replace(memory.state, ending=True))
        if memory.state.active:
            self._executor.end(memory.task.name)
            return
        try:
            memory.task.end_holder()
        except RunError as error:
            self._put(place, replace(memory.state, held=False, permanent=True))
            self._listener.ended(memory.task, str(error), settled=True)

    def _job_ended(self, place: int, ended: Ended) -> None:
        memory = self._memories[place]
        before = memory.state.rank
        self._put(place, replace(memory.state, active=False, ending=False, alive_at=None))
        if ended.in_use:
            # Whoever holds it may just be ending; that is no failure of the run.
            self._put(place, replace(memory.state, retry_at=self._clock() + LOOK_SECONDS))
            return
        look = self._look(place)
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
        self._failed(place, fault, ended.permanent and not memory.killed)

    def _failed(self, place: int, fault: str, permanent: bool) -> None:
        memory = self._memories[place]
        self._put(place, after_failure(memory.state, permanent, self._clock(), self._policy))
        self._failures[memory.task.name] = Failure(memory.state.attempts, permanent, fault)
        if self._attempts is not None:
            with suppress(InputError, RunError):  # a full disk costs no more than the memory of attempts
                write_json(self._attempts, {name: asdict(failure) for name, failure in self._failures.items()})
        self._listener.ended(memory.task, fault, memory.state.has_failed(self._policy))
