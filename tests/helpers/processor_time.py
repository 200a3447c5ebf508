"""Processor time of each test, which hardly depends on how busy the machine is: a bound, and `--processor-times`.

It is that of the process and of those that it has waited for, from the setup of a test, in which fixtures are made, to
the end of its call.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

MOST_SECONDS, MOST_SECONDS_IF_SLOW = 30, 120
"""Of a test with its fixtures; several times what those that take longest do take."""

_PROPERTY = "processor_seconds"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--processor-times", type=int, default=0, metavar="N", help="list the N tests and files that take most of it"
    )


def _now() -> float:
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    return (yield from _counted(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    return (yield from _counted(item))


def _counted(item: pytest.Item) -> Generator[None, Any, Any]:
    started = _now()
    try:
        result = yield
    finally:
        item.user_properties.append((_PROPERTY, _now() - started))
    spent = sum(value for name, value in item.user_properties if name == _PROPERTY)
    most = MOST_SECONDS_IF_SLOW if item.get_closest_marker("slow") else MOST_SECONDS
    unbounded = "AUGPIPE_FUZZ" in os.environ or item.get_closest_marker("bench")  # which are called to take long
    if spent > most and not unbounded:
        pytest.fail(f"{spent:.1f} s of processor time, and a test has {most}: see tests/README.md", pytrace=False)
    return result


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    most = config.getoption("--processor-times")
    if not most:
        return
    tests: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for report in (one for reports in terminalreporter.stats.values() for one in reports):
        if getattr(report, "when", "") == "teardown":
            spent = sum(value for name, value in report.user_properties if name == _PROPERTY)
            tests[report.nodeid] += spent
            files[report.nodeid.partition("::")[0]] += spent
    terminalreporter.section(f"{sum(files.values()):.0f} s of processor time in {len(tests)} tests")
    for found in (files, tests):
        for name, spent in found.most_common(most):
            terminalreporter.write_line(f"{spent:8.2f} s  {name}")
        terminalreporter.write_line("")
