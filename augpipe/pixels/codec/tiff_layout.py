"""The directory of a TIFF: how many bands of what depth, and where. Pixels are read by :mod:`.tiff_bands`.

Pillow knows a list of kinds and says of any other TIFF that it is none. Source: TIFF 6.0, and BigTIFF.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
FILL_ORDER, STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 266, 273, 274, 277, 278, 279
PLANAR, PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 284, 317, 322, 323, 324, 325
EXTRA, SAMPLE_FORMAT, PROFILE = 338, 339, 34675

MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_FORMS = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q"}  # type → unsigned number, as struct has it
_LONG = 4
_MOST_TAGS = 4096
_MOST_VALUES = 1 << 24
_MOST_BANDS = 1000
_KINDS = {1: "whole numbers", 2: "signed numbers", 3: "floating-point numbers"}
_JPEGS = (6, 7)
_HORIZONTAL = 2


@dataclass(frozen=True)
class TiffLayout:
    """The first picture of a TIFF.

    ``order`` is struct's ``<`` or ``>``; ``big`` is BigTIFF; ``tags`` holds the numbers of each tag that has such.
    """

    order: str
    big: bool
    tags: dict[int, tuple[int, ...]]

    def first(self, tag: int, default: int) -> int:
        """The first number of a tag."""
        return self.tags.get(tag, (default,))[0]

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the stored pixels."""
        return self.first(WIDTH, 0), self.first(HEIGHT, 0)

    @property
    def bands(self) -> int:
        """Samples a pixel."""
        return self.first(SAMPLES, 1)

    @property
    def bits(self) -> int:
        """Bits of the deepest band."""
        return max(self.tags.get(BITS, (1,)))

    @property
    def profile(self) -> bytes:
        """The color profile; empty if there is none."""
        return bytes(self.tags.get(PROFILE, ()))

    def is_readable(self) -> bool:
        """Whether its bands, of 8 or 16 bits each, can be read one by one."""
        depths = set(self.tags.get(BITS, (1,)))
        return (
            1 <= self.bands <= _MOST_BANDS
            and min(self.size_wh) > 0
            and depths in ({8}, {16})
            and set(self.tags.get(SAMPLE_FORMAT, (1,))) == {1}
            and self.first(PHOTOMETRIC, 1) in (0, 1, 2)
            and self.first(COMPRESSION, 1) not in _JPEGS
            and self.first(PREDICTOR, 1) in (1, _HORIZONTAL)
            and self.first(PLANAR, 1) in (1, 2)
        )

    def described(self) -> str:
        """What kind of TIFF it is, in words."""
        depth = "/".join(map(str, sorted(set(self.tags.get(BITS, (1,))))))
        kind = _KINDS.get(self.first(SAMPLE_FORMAT, 1), "numbers of another kind")
        bands = f"{self.bands} band{'s' * (self.bands != 1)}"
        return f"a TIFF of {bands} of {depth}-bit {kind}, compression {self.first(COMPRESSION, 1)}"


def directory_at(head: bytes | bytearray) -> int | None:
    """Where the directory of a TIFF begins, by its first 16 bytes; ``None`` if they are too few."""
    order, big = _kind_of(head)
    try:
        return int(struct.unpack_from(f"{order}{'Q' if big else 'I'}", head, 8 if big else 4)[0])
    except struct.error:
        return None


def _kind_of(head: bytes | bytearray) -> tuple[str, bool]:
    return "<" if head[:1] == b"I" else ">", head[2:4] in (b"+\0", b"\0+")


def layout_of(data: bytes | bytearray) -> TiffLayout | None:
    """The layout of a TIFF; ``None`` if its directory does not lie in the data, or is none."""
    if data[:4] not in MARKS or (place := directory_at(data)) is None:
        return None
    order, big = _kind_of(data)
    try:
        if big:
            count, place, size = struct.unpack_from(f"{order}Q", data, place)[0], place + 8, 20
        else:
            count, place, size = struct.unpack_from(f"{order}H", data, place)[0], place + 2, 12
        if not 0 < count <= _MOST_TAGS:
            return None
        tags: dict[int, tuple[int, ...]] = {}
        for i in range(count):
            if (found := _numbers(data, place + i * size, order, big)) is not None:
                tags.setdefault(*found)
    except (struct.error, OverflowError, ValueError):
        return None
    return TiffLayout(order, big, tags)


def _numbers(data: bytes | bytearray, place: int, order: str, big: bool) -> tuple[int, tuple[int, ...]] | None:
    """(tag, its numbers) of one row of the directory; ``None`` if they are no whole numbers."""
    tag, kind, count = struct.unpack_from(f"{order}HH{'Q' if big else 'I'}", data, place)
    form = _FORMS.get(kind)
    if form is None or not 0 < count <= min(_MOST_VALUES, len(data)):
        return None
    size = struct.calcsize(form) * count
    value = place + (12 if big else 8)
    if size > (8 if big else 4):
        value = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, value)[0]
    return tag, struct.unpack_from(f"{order}{count}{form}", data, value)


def with_directory(data: bytes, layout: TiffLayout, tags: dict[int, tuple[int, ...]]) -> bytes:
    """The same file with another directory of whole numbers, put behind it; never a BigTIFF, which few can read."""
    order = layout.order
    start = len(data) + len(data) % 2
    rows, values = [], b""
    behind = start + 2 + 12 * len(tags) + 4
    for tag, numbers in sorted(tags.items()):
        content = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(content) > 4:
            content, values = struct.pack(f"{order}I", behind + len(values)), values + content
        rows.append(struct.pack(f"{order}HHI", tag, _LONG, len(numbers)) + content)
    mark = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    head = struct.pack(f"{order}H", len(rows)) + b"".join(rows) + bytes(4)
    return b"".join((mark, memoryview(data)[len(mark) :], bytes(start - len(data)), head, values))
