"""Time in training: what the updates that are in the result took, apart from what compiling added to the first one."""

from dataclasses import dataclass


@dataclass
class TrainingTime:
    """Counts the updates of one start of a run.

    The first update of a start compiles and warms caches up: it counts as long as the second one took, the rest is
    warm-up. Until the second one it does not count, unless it is the only one.
    """

    seconds: float
    """In collecting and learning, over all starts, of the updates that the run goes on from."""
    warm_up: float
    """Of this start: getting ready, and what the first update took longer than the second."""
    _updates: int = 0
    _first: float = 0.0

    def add(self, duration: float, last: bool) -> None:
        """An update took `duration` seconds; `last`: none follows."""
        self._updates += 1
        if self._updates == 1:
            self._first = duration
        if self._updates == 2:
            counted = min(self._first, duration)
            self.warm_up += self._first - counted
            self.seconds += counted
        if self._updates > 1 or last:
            self.seconds += duration
