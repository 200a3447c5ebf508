"""``--classes`` and ``--map``: what the texts of the two options ask of the classes of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from augpipe.core.errors import UsageError, one_line

_PAIR = "expected OLD=NEW, or a file with one OLD=NEW a line"


def asked(classes: str | None) -> tuple[Path | None, tuple[str, ...] | None]:
    """(the file that ``--classes`` names, the classes that it lists itself). Raises UsageError for an empty name."""
    if classes is None:
        return None, None
    path = Path(classes)
    if path.is_file() or ("," not in classes and (path.suffix or len(path.parts) > 1)):
        return path, None
    return None, names_in(classes, "--classes", "a file, or ")


def names_in(text: str, option: str, other: str = "") -> tuple[str, ...]:
    """Names with commas between. Raises UsageError for an empty one, saying what ``other`` text an option takes."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise UsageError(f"{option} {one_line(text, 200)}: expected {other}names with commas between")
    return names


def renamed(pairs: Sequence[str]) -> Mapping[str, str]:
    """Name → name of all ``--map``. Raises UsageError for what is no pair, and for a name that becomes two."""
    out: dict[str, str] = {}
    for text in pairs:
        for old, new in _pairs_of(text):
            if out.setdefault(old, new) != new:
                raise UsageError(f"--map: '{one_line(old, 80)}' becomes '{one_line(out[old], 80)}' and "
                                 f"'{one_line(new, 80)}'; choose one")  # fmt: skip
    return out


def _pairs_of(text: str) -> list[tuple[str, str]]:
    """The pair that an option is, or those of the file that it names."""
    lines = [text]
    if Path(text).is_file():
        try:
            lines = [line for line in Path(text).read_text("utf-8-sig").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--map {one_line(text, 200)}: cannot be read: {one_line(error)}") from error
    pairs = []
    for line in lines:
        old, equals, new = (part.strip() for part in line.partition("="))
        if not (old and equals and new):
            where = "" if line is text else f" '{one_line(line, 80)}'"
            raise UsageError(f"--map {one_line(text, 200)}:{where} {_PAIR}")
        pairs.append((old, new))
    return pairs
