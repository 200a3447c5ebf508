"""Names: source keys, KEY = SLUG-HASH-COPY made from them, and the members of a sample."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from checker.archive import Member

KEY = re.compile(r"[A-Za-z0-9_-]+")
PICTURES = ("jpg", "png")
ORDER = ("picture", "json", "semantic.png", "instance.png", "panoptic.png")


def make_key(source: str, copy: int) -> str:
    """Return the KEY of a copy of a picture."""
    # One `_` for each character that is not allowed, after NFC: "é" is one character, whatever the disk has.
    slug = re.sub(r"[^A-Za-z0-9_-]", "_", PurePosixPath(source).stem)[:60]
    # The first digits of the 64-byte digest; a BLAKE2b of another length is another function.
    digest = hashlib.blake2b(source.encode()).hexdigest()[:10]
    return f"{slug}-{digest}-{'orig' if copy == -1 else f'c{copy:03d}'}"


def check_source_key(source: Any, where: str) -> Iterator[str]:
    """Report a source key that is no NFC path below the picture root."""
    if not isinstance(source, str) or not source:
        yield f"{where}: source key {source!r} is not a text"
        return
    if unicodedata.normalize("NFC", source) != source:
        yield f"{where}: source key {source!r} is not in NFC"
    if source.startswith("/") or re.match(r"[A-Za-z]:[\\/]", source) or {"", ".", ".."} & set(source.split("/")):
        yield f"{where}: source key {source!r} is not a relative POSIX path"


def check_names(members: list[Member], where: str) -> Iterator[str]:
    """Report member names that are no KEY.EXT."""
    for name, _ in members:
        key, _, ext = name.partition(".")
        if not KEY.fullmatch(key):
            yield f"{where}: member {name!r}: KEY {key!r} has other characters than letters, digits, _ and -"
        if ext not in (*PICTURES, *ORDER[1:]):
            yield f"{where}: member {name!r}: unknown EXT {ext!r}"


def group(members: list[Member], where: str) -> tuple[list[tuple[str, dict[str, bytes]]], list[str]]:
    """Return the samples, (KEY, {EXT: bytes}) each, and what is wrong with how members stand."""
    samples: list[tuple[str, dict[str, bytes]]] = []
    problems: list[str] = []
    for name, data in members:
        key, _, ext = name.partition(".")
        if not samples or samples[-1][0] != key:
            if any(key == other for other, _ in samples):
                problems.append(f"{where}: members of {key} do not stand together")
            samples.append((key, {}))
        if ext in samples[-1][1]:
            problems.append(f"{where}: member {name!r} is there twice")
        samples[-1][1][ext] = data
    for key, parts in samples:
        problems += check_order(list(parts), f"{where}: {key}")
    return samples, problems


def check_order(extensions: list[str], where: str) -> Iterator[str]:
    """Report a sample whose members are missing or in another order than the page's."""
    kinds = ["picture" if ext in PICTURES else ext for ext in extensions]
    known = [kind for kind in kinds if kind in ORDER]
    if known != sorted(known, key=ORDER.index):
        yield f"{where}: order of members is {extensions}, not {list(ORDER)}"
    for kind in ORDER[:2]:
        if known.count(kind) != 1:
            yield f"{where}: has {known.count(kind)} members of kind {kind}, not one"
