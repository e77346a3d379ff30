"""Which run is which: its architecture, level, seed, and the settings that change numbers; names are labels.

Planning finds the folder of a run, resuming compares it, and results mark it by what is said here.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from metta.analysis.results import FILE_NAME, Key, find_folder, read_results
from metta.base.addresses import check_run_name
from metta.base.errors import InputError
from metta.base.run_files import CONFIGURATION
from metta.lab.evaluation_key import mark_of
from metta.lab.run_folder import RunFolder, difference_of_settings

TRAINING = ("policy", "sim", "trainer", "curriculum")
"""Parts of a configuration that training depends on and that seeds share; where it runs does not tell seeds apart."""
WITHOUT_EFFECT = {"sim": ("device",), "trainer": ("checkpoint_every",)}
"""Settings inside them that change no number."""


def training_mark(configuration: Mapping[str, Any]) -> str:
    """A short name of the settings of a run's training: the same for all seeds of one thing, in hexadecimal digits."""
    settings = {
        part: {name: value for name, value in configuration[part].items() if name not in WITHOUT_EFFECT.get(part, ())}
        for part in TRAINING
        if isinstance(configuration.get(part), Mapping)
    }
    return mark_of(settings)


class KnownRuns:
    """The runs of an experiment that are there already, in its folder or where its results say that they lie."""

    def __init__(self, output: Path, elsewhere: bool = True) -> None:
        """Read the configurations of all run folders.

        Args:
            output: the experiment's folder.
            elsewhere: False: only runs inside it count, also where its results name others.

        Raises:
            InputError: the results file is damaged.
        """
        self._output = output
        self._found: dict[Key, list[tuple[RunFolder, dict[str, Any]]]] = {}
        for folder in dict.fromkeys(self._folders()):
            if not elsewhere and folder.path.parent != output:
                continue
            try:
                check_run_name(folder.path.name)
                configuration = folder.configuration() or {}
                key = Key(*(configuration[name] for name in Key._fields))
            except (InputError, KeyError):
                continue  # a damaged one that a plan names is refused when its turn comes
            self._found.setdefault(key, []).append((folder, configuration))

    def _folders(self) -> Iterator[RunFolder]:
        file = self._output / FILE_NAME
        if file.exists():
            for record in read_results(file).runs:
                yield RunFolder(find_folder(file, record.training.run_name, record.training.run_folder))
        for path in sorted(self._output.glob(f"*/{CONFIGURATION}")):
            yield RunFolder(path.parent)

    @property
    def threads(self) -> int | None:
        """Threads of the first run; None if there is no run."""
        first = next((configuration for runs in self._found.values() for _, configuration in runs), {})
        threads = first.get("system", {}).get("threads")
        return threads if isinstance(threads, int) else None

    def folder_of(self, key: Key, name: str, configuration: Mapping[str, Any], train: bool) -> RunFolder:
        """Where a planned run lies or will lie.

        Args:
            key: which run.
            name: what it is called where none like it is there.
            configuration: its settings.
            train: False: it is only evaluated, and which settings it was trained with is its own affair.
        """
        own = RunFolder.of(self._output, name)
        there = sorted(self._found.get(key, []), key=lambda found: found[0].path != own.path)
        same = [folder for folder, settings in there if difference_of_settings(settings, configuration) is None]
        if not train and not own.path.exists():
            same += [folder for folder, _ in there]
        return same[0] if same else own
