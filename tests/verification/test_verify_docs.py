"""The limits in docs/verify.md are those of the code. Run this file as a program to write them anew."""

from __future__ import annotations

import math
import re

from places import DOCS

from augpipe.verification.findings import MEASURES

PAGE = DOCS / "verify.md"
BLOCK = re.compile(r"(<!-- begin measures -->\n).*?(<!-- end measures -->)", re.DOTALL)


def table() -> str:
    rows = ["| measure | limit for the worst | for the mean |", "| --- | --- | --- |"]
    for measure in MEASURES.values():
        unit = "" if measure.unit in ("px", "") else f" {measure.unit}"
        mean = "" if math.isinf(measure.mean) else f"{measure.mean:g}{unit}"
        rows.append(f"| {measure.title} | {measure.worst:g}{unit} | {mean} |")
    return "\n".join(rows) + "\n"


def test_the_table_of_limits_is_that_of_the_code():
    found = BLOCK.search(PAGE.read_text("utf-8"))
    assert found is not None
    assert found[0] == f"{found[1]}{table()}{found[2]}"


if __name__ == "__main__":
    PAGE.write_text(BLOCK.sub(lambda m: f"{m[1]}{table()}{m[2]}", PAGE.read_text("utf-8")), "utf-8")
