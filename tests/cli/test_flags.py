"""One parser for every command: the same sentence and exit status for a wrong flag, whatever the command."""

import importlib
from pathlib import Path

import pytest

from metta.base.endings import report_errors
from metta.base.provenance import REPOSITORY


def commands() -> list[str]:
    """Every module of the project that can be run."""
    files = [file for folder in ("metta", "experiments", "benchmarks") for file in (REPOSITORY / folder).rglob("*.py")]
    found = [file for file in files if '__name__ == "__main__"' in file.read_text(encoding="utf-8")]
    return [".".join(file.relative_to(REPOSITORY).with_suffix("").parts) for file in sorted(found)]


def test_there_is_one_parser() -> None:
    for folder in ("metta", "experiments", "benchmarks", "tools", "tests"):
        for file in (REPOSITORY / folder).rglob("*.py"):
            assert file == Path(__file__) or "argparse.ArgumentParser(" not in file.read_text(encoding="utf-8"), file


def test_every_path_is_read_alike() -> None:
    """`local_path` knows ~ and file://; `Path` as a flag's type does not."""
    for folder in ("metta", "experiments", "benchmarks", "tools"):
        for file in (REPOSITORY / folder).rglob("*.py"):
            assert "type=Path" not in file.read_text(encoding="utf-8"), file


@pytest.mark.parametrize("command", commands())
def test_a_wrong_flag_is_one_sentence(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [command, "--no-such-flag"])
    main = importlib.import_module(command).main
    assert report_errors(main) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.endswith("(--help explains every flag).\n")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
