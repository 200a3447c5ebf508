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
from hostile_cases import CASES
from hostile_table import ADDED_MB, ROOT, SECONDS, Odd, odd_section, page
from places import HELPERS

MOST_MB = 600  # of a picture of other projects, with the libraries
SHARE = {
    "4,000 polygons in one picture": 0.15,
    "50,000 fields of one name": 0.15,
    "25,000 empty members": 0.15,
}  # of the seconds; as much less as the input is smaller than what is let through
PAGE = ROOT / "docs" / "hostile.md"
TRIED = [case for case in CASES if not case.long or "AUGPIPE_FUZZ" in os.environ]


@pytest.fixture(scope="module")
def results() -> list[dict[str, Any]]:
    """What came of each case. All are run by a process of their own, whose memory is not that of the tests."""
    command = [sys.executable, str(HELPERS / "hostile_table.py"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ)
    return json.loads(done.stdout.splitlines()[-1])["cases"]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(TRIED)), ids=[f"{c.group}: {c.name}" for c in TRIED])
def test_it_ends_as_declared(results, number):
    case, found = TRIED[number], results[number]
    said = found["out"] + found["err"]
    assert found["outcome"] == case.outcome, said
    assert case.says in said
    assert "Traceback" not in said
    assert "please report" not in said
    assert found["added"] < ADDED_MB
    assert found["seconds"] < SECONDS * SHARE.get(case.name, 1)
    assert all(c.isprintable() or c == "\n" for c in said), ascii(said)
    if case.outcome == "error":
        complaint = found["err"][found["err"].index("augpipe: ") :]
        assert len(complaint.splitlines()) <= 2
    elif "samples" in said or "sample " in said:
        assert found["written"] >= 1  # the good one beside it


def test_the_page_lists_every_case():
    assert PAGE.read_text("utf-8").startswith(page(CASES, [])), "python tests/helpers/hostile_table.py docs/hostile.md"


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
        assert one.seconds < SECONDS, one
    assert PAGE.read_text("utf-8").endswith(odd_section(odd))
