"""Compiled code finds a place where neither checkout nor home folder can be written, and only one of one's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from metta.base.compiled_cache import VARIABLE, find_place


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """A folder that cannot be written, not even by root: a file is in its way."""
    (tmp_path / "file").touch()
    return tmp_path / "file"


def place(package: Path, home: Path, temporary: Path, **environment: str) -> str | None:
    """What the variable says afterwards."""
    find_place(environment, package, home, temporary)
    return environment.get(VARIABLE)


def test_numba_s_own_places_are_left_to_it(tmp_path: Path, nowhere: Path) -> None:
    assert place(tmp_path, nowhere, tmp_path) is None
    assert place(nowhere, tmp_path / "home" / ".cache", tmp_path) is None
    assert place(nowhere, nowhere, tmp_path, NUMBA_CACHE_DIR="/mine") == "/mine"


def test_without_them_it_is_a_private_temporary_folder(tmp_path: Path, nowhere: Path) -> None:
    found = place(nowhere, nowhere, tmp_path)
    assert found is not None
    assert Path(found).parent == tmp_path
    assert Path(found).stat().st_mode & 0o077 == 0
    assert place(nowhere, nowhere, tmp_path) == found, "the next process finds what this one compiled"
    assert place(nowhere, nowhere, nowhere) is None


def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path, nowhere: Path) -> None:
    usual = tmp_path / f"metta-compiled-{os.getuid()}"
    usual.mkdir()
    usual.chmod(0o777)
    found = place(nowhere, nowhere, tmp_path)
    assert found is not None
    assert Path(found) != usual
    assert Path(found).stat().st_mode & 0o077 == 0


def test_the_simulator_runs_from_a_place_without_any(tmp_path: Path, nowhere: Path) -> None:
    """Numba itself is told, in a fresh process whose package seems to lie where nothing can be written."""
    program = (
        "import os, pathlib; from metta.base.compiled_cache import find_place;"
        f"find_place(os.environ, pathlib.Path({str(nowhere)!r}), pathlib.Path({str(nowhere)!r}),"
        f" pathlib.Path({str(tmp_path)!r}));"
        "import numba; print(numba.config.CACHE_DIR)"
    )
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip().startswith(str(tmp_path / "metta-compiled-"))
