"""A test that takes too much processor time fails, however much real time it takes."""

from __future__ import annotations

import time
from types import SimpleNamespace

import processor_time
import pytest


def phase(item, seconds: float, work) -> None:
    """A setup or call of this item in which so many seconds are worked, or waited."""
    held = processor_time.pytest_runtest_call(item)
    next(held)
    work(seconds)
    with pytest.raises(StopIteration):
        held.send(None)


def busy(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def item(marked: bool) -> SimpleNamespace:
    return SimpleNamespace(user_properties=[], get_closest_marker=lambda name: marked and name == "slow")


def test_what_takes_longer_than_its_bound_fails(monkeypatch):
    slow, usual = item(True), item(False)
    with monkeypatch.context() as patch:  # which ends before this test itself is measured
        patch.setattr(processor_time, "MOST_SECONDS", 0.15)
        patch.delenv("AUGPIPE_FUZZ", raising=False)
        for _ in range(2):
            phase(slow, 0.1, busy)
        phase(usual, 0.1, busy)
        with pytest.raises(pytest.fail.Exception, match=r"s of processor time, and a test has 0\.15"):
            phase(usual, 0.1, busy)  # setup and call count together


def test_waiting_is_no_processor_time(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(processor_time, "MOST_SECONDS", 0.15)
        phase(item(False), 0.3, time.sleep)
