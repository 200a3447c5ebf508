"""The tables in docs/parity.md are those of the tests. Run this file as a program to write them anew."""

from __future__ import annotations

import re

from places import DOCS
from tolerances import DEVICE, REFERENCE

PAGE = DOCS / "parity.md"
TABLES = {"device": DEVICE, "reference": REFERENCE}


def written(page: str) -> str:
    """The page with its tables as they should be."""
    for name, tolerances in TABLES.items():
        rows = ["| what | differs by at most | equal at least | because |", "| --- | --- | --- | --- |"]
        for kind, (most, share, reason) in tolerances.items():
            levels = "nothing" if most == 0 else "1 level" if most == 1 else f"{most} levels"
            rows.append(f"| {kind} | {levels} | {100 * share:g} % | {reason} |")
        block = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        assert block.search(page)
        page = block.sub(lambda m, rows=rows: m[1] + "\n".join(rows) + "\n" + m[2], page)
    return page


def test_the_tables_are_those_of_the_tests():
    page = PAGE.read_text("utf-8")
    assert written(page) == page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
