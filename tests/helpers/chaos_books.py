"""Kinds of runs for chaos.py whose books are damaged beforehand, or whose source changes while they are disturbed.

What is damaged is a manifest, rejects or a record, another one each run; a picture gets another content of the same
size after the first call. Going on must come to the bytes of a run without the damage, and of the source as it is in
the end: where shards of the old picture are there, that takes the way out that the refusal names.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from chaos_runs import Call, End, Kind, augmented

PICTURE = Path("JPEGImages/img_002.jpg")
_AGAIN = augmented()

KINDS = (
    Kind("books", (_AGAIN,), before=(_AGAIN,), spoilt="books"),
    Kind("books checked", (augmented(check=True),), before=(_AGAIN,), spoilt="books"),
    Kind("changed", (Call("retry", {"all": True}),), before=(_AGAIN,), source="changed", spoilt="changed"),
    Kind("changing", (_AGAIN,), source="changing", spoilt="changing"),
)


def _cut(name: str, share: float) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share)])

    return harm


def _with(file: str, **fields: object) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        (folder / file).write_text(json.dumps({**json.loads((folder / file).read_bytes()), **fields}))

    return harm


_HARMS: tuple[tuple[str, Callable[[Path], None]], ...] = (
    ("manifest.json", _cut("manifest.json", 0.6)),
    ("manifest.json", _cut("manifest.json", 0.0)),
    ("manifest.json", _with("manifest.json", shards=[])),
    ("rejects.jsonl", lambda folder: (folder / "rejects.jsonl").unlink()),
    ("rejects.jsonl", lambda folder: (folder / "rejects.jsonl").write_bytes(b'{"source": "x"}\n')),
    ("all-000004.json", _cut("all-000004.json", 0.5)),
    ("all-000004.json", _with("all-000004.json", rejects=[1])),
    ("all-000004.json", _with("all-000004.json", name=None)),
)


class Damage:
    """The damage of one run, and whether it is still there."""

    def __init__(self, kind: Kind, number: int, folder: Path) -> None:
        self._file: Path | None = None
        self._left: bytes | None = None
        if kind.spoilt == "books":
            name, harm = _HARMS[number % len(_HARMS)]
            harm(folder)
            self._file = folder / name
            self._left = self._now()

    def _now(self) -> bytes | None:
        return self._file.read_bytes() if self._file is not None and self._file.exists() else None

    def is_there(self) -> bool:
        return self._file is not None and self._now() == self._left


def repaint(source: Path) -> None:
    """Change the picture but not its size, and its time."""
    path = source / PICTURE
    time = path.stat().st_mtime_ns + 10**9
    data = bytearray(path.read_bytes())
    place = next(i for i in range(len(data) - 40, 0, -1) if 0 < data[i] < 0xFE and data[i - 1] != 0xFF)
    data[place] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(time, time))


def own_source(kind: Kind, source: Path, place: Path) -> Path:
    """The source of one run: a copy where it is to change."""
    if kind.spoilt != "changing":
        return source
    shutil.rmtree(place, ignore_errors=True)
    return Path(shutil.copytree(source, place))


def calls_after(kind: Kind, end: End) -> tuple[Call, ...] | None:
    """What to call after a call of a changed source was refused; ``None`` if it was not."""
    told = "its source is not what it was made of" in end.said or "has changed while the run was at work" in end.said
    return (Call("retry", {"all": True}), _AGAIN) if kind.spoilt == "changing" and told else None
