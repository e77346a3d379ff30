"""What the parts of the measurement say, how much time each may take, and the dated file that keeps it."""

import json
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metta.base.files import write_atomically
from metta.base.provenance import code_version


@dataclass
class Part:
    """What became of one part."""

    name: str
    deadline: float
    """Time of the clock at which nothing of the part should start any more."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """What did not fit into its time."""
    wrong: list[str] = field(default_factory=list)
    """What differs from what it should be, or failed."""
    seconds: float = 0.0

    @property
    def summary(self) -> str:
        """One line."""
        state = f"WRONG: {self.wrong[0]}" if self.wrong else "done"
        more = f" (and {len(self.wrong) - 1} more)" if len(self.wrong) > 1 else ""
        missing = f"; no time for {', '.join(self.left_out)}" if self.left_out else ""
        return f"{self.name}: {state}{more} in {self.seconds:.1f} s{missing}"


class Report:
    """Prints every line with the time as it comes, and keeps it for the file."""

    def __init__(self, path: Path, minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock; `path` is the file to write."""
        self.path, self.clock = path, clock
        self.started = clock()
        self.deadline = self.started + 60 * minutes
        self.parts: list[Part] = []
        self.head: dict[str, Any] = {
            "benchmark": "gpu",
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "minutes": minutes,
            "code": code_version(),
        }
        self._lines: list[str] = []

    def say(self, text: str) -> None:
        """One or more lines, under the time since the start."""
        for line in text.splitlines():
            stamped = f"{self.clock() - self.started:7.1f} {line}"
            self._lines.append(stamped)
            print(stamped, flush=True)

    @contextmanager
    def part(self, name: str, share: float) -> Iterator[Part]:
        """Do one part; whatever it raises is kept as its fault, and the next part goes on.

        Args:
            name: of the part.
            share: of the time that is left, which it may take.
        """
        started = self.clock()
        part = Part(name, started + share * max(0.0, self.deadline - started))
        self.parts.append(part)
        self.say(f"== {name}, at most {part.deadline - started:.0f} s")
        try:
            with self.faults(part, name):
                yield part
        finally:  # also of a part that is interrupted
            part.seconds = self.clock() - started
            self.say(part.summary)
            self.write()

    @contextmanager
    def faults(self, part: Part, what: str) -> Iterator[None]:
        """Whatever is raised inside goes to the log with its whole traceback, and to the part as one sentence."""
        try:
            yield
        except Exception as error:
            self.say(traceback.format_exc())
            lines = str(error).splitlines() or [""]
            self.wrong(part, f"{what}: {type(error).__name__}: {lines[0]}")

    def wrong(self, part: Part, sentence: str) -> None:
        """Something is not as it should be."""
        part.wrong.append(sentence)
        self.say(f"WRONG {sentence}")

    def fits(self, part: Part, what: str, seconds: float = 0.0) -> bool:
        """Whether something that takes so long can still be started; if not, it is noted as left out."""
        if self.clock() + seconds <= part.deadline:
            return True
        part.left_out.append(what)
        return False

    @property
    def status(self) -> int:
        """Exit status: 1 if anything was wrong."""
        return 1 if any(part.wrong for part in self.parts) else 0

    def write(self) -> None:
        """Replace the file: the lines so far, and as the last one everything as JSON."""
        parts = {part.name: {**vars(part), "deadline": None} for part in self.parts}
        for part in parts.values():
            del part["deadline"], part["name"]
        text = "\n".join([*self._lines, json.dumps({**self.head, "results": parts})])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, text + "\n")
