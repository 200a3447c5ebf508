"""What an import says: a line for each transform, the counts, and the same as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Status: TypeAlias = Literal["exact", "near", "trainer", "missing"]


@dataclass(frozen=True)
class Line:
    """What became of one transform or argument: its line in the file, what it is here, and the difference."""

    status: Status
    name: str
    line: int
    steps: tuple[str, ...] = ()
    why: str = ""

    def remark(self) -> str:
        """The same as a comment of a recipe; empty for what is exact."""
        return "" if self.status == "exact" else f"{self.name}, line {self.line}: {self.status}: {self.why}"

    def text(self) -> str:
        """The same for people."""
        said = "; ".join(self.steps)
        return f"{self.status:<8} {self.line:>4}  {self.name:<26} {said}{'   ' if said and self.why else ''}{self.why}"


@dataclass(frozen=True)
class Imported:
    """A recipe that was made of a file. ``text`` is empty where nothing of the file is a step here."""

    file: str
    writer: str
    text: str
    lines: tuple[Line, ...]

    def counts(self) -> dict[str, int]:
        """Lines by status, those of none left as 0."""
        found = Counter(line.status for line in self.lines)
        return {status: found[status] for status in ("exact", "near", "trainer", "missing")}

    def summary(self) -> str:
        """The counts in a sentence."""
        n = self.counts()
        return f"{n['exact']} exact, {n['near']} near, {n['trainer']} left to the trainer, {n['missing']} missing"

    def report(self) -> dict[str, Any]:
        """Everything, for JSON."""
        rows = [
            {"line": row.line, "name": row.name, "status": row.status, "steps": list(row.steps), "why": row.why}
            for row in self.lines
        ]
        return {"file": self.file, "writer": self.writer, "counts": self.counts(), "transforms": rows}
