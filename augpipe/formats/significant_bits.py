"""How many of the 16 bits of a sample a whole source uses: cameras and scanners store 10, 12 or 14 of them in 16.

PNG and TIFF do not say what is white, so one range is found for all pictures of a source, whatever split or part of it
is asked for. Only files that may have 16 bits are looked at, and of these the first bytes; only those that have are
decoded, and no more of them once one uses all bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from augpipe.core.errors import DatasetError, Reject, UsageError, one_line
from augpipe.core.machine import cores, processes_that_fit
from augpipe.formats.base import Dataset, Entry, read_picture
from augpipe.formats.registry import open_dataset
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.codec.image import highest_of
from augpipe.pixels.codec.pixel_reading import FULL, PixelReading
from augpipe.pixels.codec.tiff_layout import BITS, MARKS, directory_at, layout_of
from augpipe.storage.byte_range import head_of
from augpipe.storage.remote import is_url

_NEVER = (".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".jp2", ".ppm", ".pgm")
_PNG = b"\x89PNG\r\n\x1a\n"
_FIRST_BYTES, _DIRECTORY_BYTES = 64, 1 << 16
_REQUESTS = 16  # at a time, of a server
_MOST_THREADS = 4
_PART = 64  # pictures that are decoded before their result is looked at


def is_deep(header_bits: int, format: str) -> bool:
    """Whether the levels of a range matter to a picture of that depth and format."""
    return header_bits == 16 and format in ("PNG", "TIFF")


def found_levels(source: str, dataset: Dataset, reading: PixelReading, max_pixels: int) -> tuple[int, int]:
    """The values that become 0 and 255: 0, and the highest of so many bits, 8 to 16, as the whole source uses.

    Args:
        source: the place that ``dataset`` was read from.
        dataset: the part of it that is asked for.
        reading: which bands are read.
        max_pixels: larger pictures are not looked at, as they are rejected.

    Raises:
        UsageError: a picture cannot be read for a reason that may pass, so the range is not known.
    """
    if next(_deep_in(dataset.entries), None) is None:
        return FULL
    deep = list(_deep_in(_whole(source, dataset)))
    bits = _highest(deep, reading, max_pixels).bit_length()
    return (0, (1 << max(8, bits)) - 1) if bits else FULL


def remark_on(levels: tuple[int, int]) -> str | None:
    """A sentence on a range that was found, unless it is that of all bits."""
    if levels == FULL:
        return None
    return (
        f"of 16-bit pictures 0 to {levels[1]} become black to white, as all of them use {levels[1].bit_length()} bits; "
        "--range LOW,HIGH or --range full decides otherwise"
    )


def _whole(source: str, dataset: Dataset) -> Sequence[Entry]:
    """The pictures of all splits, without a limit; those of the dataset where that cannot be read."""
    options = dataset.options
    if options.split is None and options.limit is None:
        return dataset.entries
    alone = replace(options, format=dataset.format, limit=None)
    try:
        return open_dataset(source, replace(alone, split=None)).entries
    except DatasetError:
        return dataset.entries


def _deep_in(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Those that may have samples of 16 bits, by the first bytes of files of which the name does not tell."""
    doubtful = [entry for entry in entries if entry.picture is not None and not _name_of(entry).endswith(_NEVER)]
    found: Iterable[bool] = map(_is_deep, doubtful)  # one at a time, as one may be enough
    if any(entry.picture is not None and is_url(entry.picture.path) for entry in doubtful):
        with ThreadPoolExecutor(_REQUESTS, "augpipe-headers") as pool:
            found = list(pool.map(_is_deep, doubtful))
    return (entry for entry, deep in zip(doubtful, found, strict=True) if deep)


def _name_of(entry: Entry) -> str:
    """The end of the picture's name in small letters."""
    place = entry.picture
    return (entry.ending or (place.name or place.path if place else ""))[-5:].lower()


def _is_deep(entry: Entry) -> bool:
    try:
        return _bits_in(entry) == 16
    except Reject as reject:
        _require_lasting(reject, entry)
        return False


def _bits_in(entry: Entry) -> int:
    """Bits of a sample by the header of a PNG or TIFF; 16 where a directory does not lie where it is looked for."""
    assert entry.picture is not None
    head = head_of(entry.picture, _FIRST_BYTES)
    if head[: len(_PNG)] == _PNG and len(head) > 24:
        return head[24]
    place = directory_at(head) if head[:4] in MARKS else None
    if place is None:
        return 8
    if place > entry.size >= 0:
        return 8
    if entry.picture.packed is not None:
        data = bytearray(read_picture(entry))
    else:
        rest = entry.picture.size - place if entry.picture.size >= 0 else -1
        block = head_of(entry.picture._replace(offset=entry.picture.offset + place, size=rest), _DIRECTORY_BYTES)
        data = bytearray(max(place, len(head)))
        data[: len(head)] = head
        data[place:] = block
    layout = layout_of(data)
    depths = (0,) if layout is None else layout.tags.get(BITS, (1,))
    return 16 if 0 in depths else max(depths)


def _require_lasting(reject: Reject, entry: Entry) -> None:
    """Raise UsageError where a picture may be read another time: the same run would then have another range."""
    if reject.transient:
        raise UsageError(
            f"{one_line(entry.key)}: {one_line(reject.message)}, so the range of its bits is not known\n"
            "run the same command again, or say the range: --range full, or --range LOW,HIGH such as 0,4095"
        ) from reject


def _highest(entries: Sequence[Entry], reading: PixelReading, max_pixels: int) -> int:
    """The highest value of all pictures, or one that uses 16 bits."""

    def highest(entry: Entry) -> int:
        try:
            data = read_picture(entry)
            header = read_header(data, max_pixels, reading)
            return highest_of(data, header) if is_deep(header.bits, header.format) else 0
        except Reject as reject:
            _require_lasting(reject, entry)
            return 0

    found = 0
    with ThreadPoolExecutor(max(1, min(_MOST_THREADS, processes_that_fit(cores()))), "augpipe-range") as pool:
        for part in _parts(entries):
            found = max((found, *pool.map(highest, part)))
            if found.bit_length() == FULL[1].bit_length():
                break
    return found


def _parts(entries: Sequence[Entry]) -> Iterable[Sequence[Entry]]:
    return (entries[i : i + _PART] for i in range(0, len(entries), _PART))
