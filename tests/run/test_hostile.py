"""Every hostile input ends as declared, in bounded time and memory, and docs/hostile.md lists them all."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from builders import needs
from hostile_cases import CASES, Case
from hostile_table import ROOT, Odd, row_of
from places import HELPERS

MOST_SECONDS, MOST_MB = 30, 600  # of a core, however busy it is; docs/hostile.md has what it takes
SHARE = {
    "4,000 polygons in one picture": 0.15,
    "50,000 fields of one name": 0.15,
    "25,000 empty members": 0.15,
}  # of the seconds; as much less as the input is smaller than what is let through
LIBRARIES_MB = 100  # of a worker; the process that is measured also has torch, whose builds differ by 200
PAGE = ROOT / "docs" / "hostile.md"


@pytest.fixture(scope="module")
def results() -> list[dict[str, Any]]:
    """What came of each case. All are run by a process of their own, whose memory is not that of the tests."""
    command = [sys.executable, str(HELPERS / "hostile_table.py"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ)
    return json.loads(done.stdout.splitlines()[-1])["cases"]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{c.group}: {c.name}" for c in CASES])
def test_it_ends_as_declared(results, number):
    case, found = CASES[number], results[number]
    said = found["out"] + found["err"]
    assert found["outcome"] == case.outcome, said
    assert case.says in said
    assert "Traceback" not in said
    assert "please report" not in said
    assert found["added"] < MOST_MB - LIBRARIES_MB
    assert found["seconds"] < MOST_SECONDS * SHARE.get(case.name, 1)
    assert all(c.isprintable() or c == "\n" for c in said), ascii(said)
    if case.outcome == "error":
        complaint = found["err"][found["err"].index("augpipe: ") :]
        assert len(complaint.splitlines()) <= 2
    elif "samples" in said or "sample " in said:
        assert found["written"] >= 1  # the good one beside it


def rows(page: str) -> list[str]:
    """The rows of the tables of cases, without time and memory."""
    tables = page.partition("\n## Odd pictures")[0]
    found = [line for line in tables.splitlines() if line.startswith("| ") and not line.startswith("| input")]
    return [re.sub(r" \| [\d.]+ \| \d+ \|$", "", line) for line in found]


def declared(case: Case) -> str:
    return re.sub(r" \| s \| MB \|\n$", "", row_of(case, "s", "MB"))


def test_the_page_lists_every_case():
    ordered = [declared(c) for group in dict.fromkeys(c.group for c in CASES) for c in CASES if c.group == group]
    assert rows(PAGE.read_text("utf-8")) == ordered, "python tests/helpers/hostile_table.py docs/hostile.md"


@pytest.fixture(scope="module")
def odd() -> list[Odd]:
    code = (
        "import json, hostile_table as t, augpipe.run.engine.preload\n"
        "print(json.dumps([vars(o) for o in t.odd_pictures()]))"
    )
    env = {**os.environ, "PYTHONPATH": str(HELPERS)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    return [Odd(**one) for one in json.loads(done.stdout)]


@pytest.mark.slow
@needs("odd_images")
def test_odd_pictures_are_pictures_or_rejects_in_silence_and_bounded_memory(odd):
    codes = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs" / "reading.md").read_text("utf-8"), re.MULTILINE)
    assert len(odd) >= 368
    for one in odd:
        assert one.outcome == "read" or one.outcome.removeprefix("reject ") in codes, one
        assert one.err == ""
        assert one.peak < MOST_MB, one
        assert one.seconds < MOST_SECONDS, one
