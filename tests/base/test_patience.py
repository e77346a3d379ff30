"""What takes long is said once, and only if it does take long."""

import threading

import pytest

from metta.base import patience as module
from metta.base.patience import TAKES_LONG, patience


def test_what_takes_long_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_OF_SILENCE", 0.0)
    told = threading.Event()
    said: list[str] = []

    def say(sentence: str) -> None:
        said.append(sentence)
        told.set()
        raise BrokenPipeError  # a reader that has gone costs nothing here

    with patience(say):
        told.wait()
    assert said == [TAKES_LONG]
    assert len(TAKES_LONG) <= 80


def test_what_ends_soon_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_OF_SILENCE", 3600.0)
    said: list[str] = []
    with patience(said.append) as ready:
        ready()
    with patience(said.append):
        pass
    assert said == []
