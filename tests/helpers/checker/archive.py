"""The bytes of a tar: POSIX ustar with regular files and nothing that could differ from one run to the next."""

import io
import re
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

BLOCK = 512
END = bytes(2 * BLOCK)


class Member(NamedTuple):
    """One file of a tar."""

    name: str
    data: bytes


def read_tar(data: bytes, where: str) -> tuple[list[Member], list[str]]:
    """Return the members up to the first header that cannot be read, and everything wrong with the bytes."""
    members: list[Member] = []
    problems: list[str] = []
    at = 0
    while (block := data[at : at + BLOCK]).strip(b"\0"):
        name = block[:100].split(b"\0")[0].decode("utf-8", "replace")
        place = f"{where}: member {name!r} at byte {at}"
        problems += [f"{place}: {problem}" for problem in header_problems(block)]
        size = octal(block[124:136])
        if size is None or len(block) < BLOCK:
            return members, [*problems, f"{place}: the header cannot be read on"]
        body = data[at + BLOCK : at + BLOCK + size]
        end = at + BLOCK + -(-size // BLOCK) * BLOCK
        if len(body) < size:
            return members, [*problems, f"{place}: {size} bytes announced, {len(body)} there"]
        if data[at + BLOCK + size : end].strip(b"\0"):
            problems.append(f"{place}: its last block is not filled up with zeros")
        members.append(Member(name, body))
        at = end
    if data[at:] != END:
        problems.append(f"{where}: {len(data) - at} bytes of end, not two zero blocks and no more padding")
    if not members:
        problems.append(f"{where}: a tar without members should not exist")
    return members, problems + list(compare_with_tarfile(data, members, where))


def octal(text: bytes) -> int | None:
    """Return the number of a header field: octal digits, ended by blanks or zero bytes."""
    found = re.fullmatch(rb"([0-7]+)[ \0]+", text)
    return int(found[1], 8) if found else None


def header_problems(block: bytes) -> Iterator[str]:
    """Report what is wrong in one header block."""
    if block[257:265] != b"ustar\x0000":
        yield f"magic and version {block[257:265]!r} are not those of POSIX ustar"
    # Either: POSIX keeps a zero byte as the old way to say "regular file".
    if block[156:157] not in (b"0", b"\0"):
        yield f"type {block[156:157]!r} is not a regular file"
    for name, start, stop, wanted in [("mode", 100, 108, 0o644), ("uid", 108, 116, 0), ("gid", 116, 124, 0)]:
        if octal(block[start:stop]) != wanted:
            yield f"{name} {block[start:stop]!r} is not {wanted:o}"
    if octal(block[136:148]) != 0:
        yield f"mtime {block[136:148]!r} is not 0"
    for name, start, stop in [("uname", 265, 297), ("gname", 297, 329), ("linkname", 157, 257)]:
        if block[start:stop].strip(b"\0"):
            yield f"{name} {block[start:stop]!r} is not empty"
    for name, start, stop in [("devmajor", 329, 337), ("devminor", 337, 345)]:
        # Either: zero in octal, or nothing at all, for what is no device.
        if block[start:stop].strip(b"\0") and octal(block[start:stop]) != 0:
            yield f"{name} {block[start:stop]!r} is not 0"
    if block[345:512].strip(b"\0"):
        yield "prefix or padding in use; a name of at most 100 bytes needs none"
    if block[block[:100].find(b"\0") : 100].strip(b"\0") and b"\0" in block[:100]:
        yield "name is followed by something else than zero bytes"
    blank = block[:148] + b" " * 8 + block[156:]
    if octal(block[148:156]) != sum(blank):
        yield f"checksum {block[148:156]!r} is not {sum(blank):o}"


def compare_with_tarfile(data: bytes, members: list[Member], where: str) -> Iterator[str]:
    """Report where Python's own reader sees something else."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            seen = [Member(m.name, file.read() if (file := tar.extractfile(m)) else b"") for m in tar.getmembers()]
    except (tarfile.TarError, OSError, ValueError, KeyError) as error:
        yield f"{where}: tarfile cannot read it: {error}"
        return
    if seen != members:
        yield f"{where}: tarfile reads {len(seen)} members, which are not the {len(members)} that stand there"
