"""Two places for jobs: a few named ones run near, all others far away."""

from collections.abc import Collection, Sequence

from metta.lab.dispatch.contract import Command, Dispatcher, Ended


class SplitDispatcher:
    """Sends each command to one of two dispatchers, by its name."""

    def __init__(self, far: Dispatcher, near: Dispatcher, names: Collection[str]) -> None:
        """`names`: the commands that run in `near`."""
        self._far = far
        self._near = near
        self._names = frozenset(names)

    @property
    def slots(self) -> int:
        """Jobs at once, as far away; those near are few and short."""
        return self._far.slots

    def adopt(self, commands: Sequence[Command]) -> list[str]:
        """Take over what an earlier controller left far away."""
        return [*self._far.adopt([command for command in commands if command.name not in self._names])]

    def start(self, command: Command) -> None:
        """Start a job where it belongs. Raises what that place raises."""
        self._of(command.name).start(command)

    def queued(self) -> list[str]:
        """Names of the jobs that wait for a machine."""
        return [*self._far.queued(), *self._near.queued()]

    def poll(self) -> list[Ended]:
        """The jobs that have ended since the last call."""
        return [*self._near.poll(), *self._far.poll()]

    def end(self, name: str) -> None:
        """Ask a job to end."""
        self._of(name).end(name)

    def close(self) -> None:
        """End all jobs and wait for them."""
        try:
            self._near.close()
        finally:
            self._far.close()  # also after a second Ctrl-C: what is far away is paid for

    def _of(self, name: str) -> Dispatcher:
        return self._near if name in self._names else self._far
