"""The proofs that docs/reliability.md names are there; a promise without its test is none."""

from __future__ import annotations

import ast
import re

from places import ROOT

PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")


def test_every_proof_is_a_test_that_is_there():
    proofs = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(proofs) > 20
    for file, name in proofs:
        functions = [n.name for n in ast.parse((ROOT / file).read_text("utf-8")).body if isinstance(n, ast.FunctionDef)]
        assert name in functions, f"{file}::{name}"


def test_every_promise_has_a_proof():
    section = PAGE.split("## Promises and proofs", 1)[1]
    rows = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(rows) > 20
    for row in rows:
        assert "`tests/" in row, row
