"""Fixtures of the laboratory's tests."""

from pathlib import Path

import pytest

from metta.lab.decide import RetryPolicy
from metta.lab.executors import local
from tests.lab.stand_ins import Bench, Here, install


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    """Stand-ins for training and evaluation, with an empty current folder."""
    monkeypatch.chdir(tmp_path)
    return install(monkeypatch)


@pytest.fixture
def here(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Here:
    """Jobs on this machine run in this process, with the stand-ins; nobody waits between tries."""
    found = Here()
    monkeypatch.setattr(local, "LocalExecutor", lambda *given: found)
    monkeypatch.setattr(local, "visible_gpus", list)
    monkeypatch.setattr(RetryPolicy, "pause", lambda self, attempts: 0.0)
    return found
