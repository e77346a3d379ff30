"""Fixtures of the laboratory's tests."""

from pathlib import Path

import pytest

from tests.lab.stand_ins import Bench, install


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    """Stand-ins for training and evaluation, with an empty current folder."""
    monkeypatch.chdir(tmp_path)
    return install(monkeypatch)
