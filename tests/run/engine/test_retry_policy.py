"""What is decided about a task whose workers die, without any process."""

from __future__ import annotations

import pytest

from augpipe.core.errors import Reject, RunError
from augpipe.formats.base import Entry
from augpipe.run.engine.retry_policy import ProbeImage, RunTask, TaskAttempts
from augpipe.run.job import Task

CRASH = Reject("pixels", "crash", "died", transient=True)
TIMEOUT = Reject("pixels", "timeout", "hung", transient=True)


def case(pictures: int = 3) -> TaskAttempts:
    entries = tuple(Entry(key, None, None, key) for key in "abcdefgh"[:pictures])
    return TaskAttempts(Task(0, "all-000000", entries, (0,), "digest"))


def played(made: TaskAttempts, deadly: dict[str, Reject], most: int = 100) -> list[str]:
    """What is ordered, in short, if these pictures kill whoever touches them: ``M`` to make, a letter to try alone."""
    said = []
    for _ in range(most):
        order = made.order
        if isinstance(order, RunTask):
            said.append("M")
            touched = [e.key for e in order.task.entries if e.key not in order.attempt.lost]
        else:
            touched = [order.task.entries[order.index].key]
            said.append(touched[0])
        killer = next((deadly[key] for key in touched if key in deadly), None)
        if killer is not None:
            made.died(killer)
        elif made.done():
            return said
    raise AssertionError("no end")


def test_a_task_that_is_done_is_done():
    assert played(case(), {}) == ["M"]


def test_the_guilty_picture_is_found_and_the_rest_made():
    made = case()
    assert played(made, {"b": CRASH}) == [*"MMM", *"abbc", "M"]
    assert made.lost == {"b": CRASH}


def test_what_hangs_is_not_waited_for_again_and_again():
    made = case()
    assert played(made, {"c": TIMEOUT}) == ["M", *"abc", "M"]
    assert made.lost == {"c": TIMEOUT}


def test_several_guilty_pictures():
    made = case(5)
    assert played(made, {"a": CRASH, "e": TIMEOUT}) == [*"MMM", *"aabcde", "M"]
    assert set(made.lost) == {"a", "e"}


def test_a_death_that_no_picture_explains_costs_the_shard_in_the_end_and_never_goes_on_for_ever():
    made = case()
    orders = []
    for _ in range(50):
        orders.append(made.order)
        if isinstance(made.order, RunTask) and len(made.lost) < 3:
            made.died(CRASH)
        elif made.done():
            break
    kinds = ["M" if isinstance(order, RunTask) else "r" for order in orders]
    assert "".join(kinds) == "MMM" + "rrr" + "MMM" + "M"
    assert set(made.lost) == set("abc")


def test_a_death_by_chance_loses_nothing():
    made = case()
    for _ in range(3):
        made.died(CRASH)
    assert isinstance(made.order, ProbeImage)
    made.died(CRASH)  # by chance again: the same picture is tried a second time
    assert made.order == ProbeImage(made.task, 0)
    assert played(made, {}) == [*"abc", "M"]
    assert made.lost == {}


def test_attempts_are_counted():
    made = case()
    made.died(CRASH)
    made.died(CRASH)
    assert isinstance(made.order, RunTask)
    assert made.order.attempt.number == 3


def test_a_death_without_any_picture_ends_the_run():
    """Else its shard would be tried for ever."""
    made = case()
    for _ in range(3 + 3 * 2 + 3 - 1):
        made.died(CRASH)
    with pytest.raises(RunError, match=r"died, even without any of its pictures\nwhat is finished is kept"):
        made.died(CRASH)
    assert set(made.lost) == set("abc")
