"""Which files a decoder on the device may have: plain JPEGs, whole to the last bit, about which no two decoders differ.

A decoder on the device is quick because it asks little. Of a file that is cut, damaged or of a rare kind it makes some
picture, and says nothing. So a file is looked at before, in two steps:

- :func:`is_plain` looks at its segments: one baseline scan of gray, or of YCbCr in 4:4:4, 4:2:2 or 4:2:0, with all its
  tables, of the size that the header says, and nothing behind it.
- :func:`whole` has libjpeg read every Huffman code of it. It does so in a fifth to two fifths of the time of decoding,
  on all cores at once, since an eighth of the size in gray needs no transform; and it mutters about the same damage.

What is not plain and whole is left to :mod:`augpipe.pixels.codec.image`, which knows what becomes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np

from augpipe.core.annotations import Header
from augpipe.core.opencv import cv2
from augpipe.pixels.codec import captured_stderr
from augpipe.pixels.codec.jpeg_segments import (
    APP0,
    APP14,
    DHT,
    DQT,
    EOI,
    FRAMES,
    SOF0,
    Frame,
    Segment,
    frame_of,
    has_byte_tables,
    header_segments,
)

_SAMPLINGS = {
    "L": ((0x11,),),
    "RGB": ((0x11, 0x11, 0x11), (0x21, 0x11, 0x11), (0x22, 0x11, 0x11)),  # 4:4:4, 4:2:2, 4:2:0
}
_ADOBE_YCC = 1


def is_plain(data: bytes, header: Header) -> bool:
    """Whether a file is a baseline JPEG without anything out of the ordinary, up to its Huffman codes.

    Args:
        data: the file.
        header: what :func:`~augpipe.pixels.codec.header.read_header` says of it.
    """
    if header.format != "JPEG" or header.mode not in _SAMPLINGS or data[-2:] != b"\xff\xd9":
        return False
    found = header_segments(data)
    if found is None:
        return False
    *tables, scan = found
    markers = [segment.marker for segment in tables]
    if [m for m in markers if m in FRAMES] != [SOF0] or not {DHT, DQT} <= set(markers):
        return False
    frame = frame_of(tables[markers.index(SOF0)].content)
    return (
        frame is not None
        and frame.bits == 8
        and frame.size_wh == header.stored_wh
        and tuple(sampling for _, sampling, _ in frame.components) in _SAMPLINGS[header.mode]
        and all(has_byte_tables(segment.content) for segment in tables if segment.marker == DQT)
        and _is_whole_scan(scan.content, frame)
        and (header.mode == "L" or _is_ycc(tables, frame))
        and _ends_at_its_end(data, scan.end)
    )


def _is_whole_scan(scan: bytes, frame: Frame) -> bool:
    """All channels in the frame's order, all coefficients at once."""
    count = len(frame.components)
    identifiers = bytes(identifier for identifier, _, _ in frame.components)
    return len(scan) == 4 + 2 * count and scan[0] == count and scan[1:-3:2] == identifiers and scan[-3:] == b"\0\x3f\0"


def _is_ycc(segments: Sequence[Segment], frame: Frame) -> bool:
    """Whether three channels are YCbCr by everything in the file that may say so: JFIF, Adobe, their identifiers."""
    adobe = [s.content[11] for s in segments if s.marker == APP14 and s.content[:5] == b"Adobe" and len(s.content) > 11]
    jfif = any(s.marker == APP0 and s.content[:5] == b"JFIF\0" for s in segments)
    by_name = [identifier for identifier, _, _ in frame.components] == [1, 2, 3]
    return all(value == _ADOBE_YCC for value in adobe) and (by_name or (jfif and bool(adobe)))


def _ends_at_its_end(data: bytes, start: int) -> bool:
    """Whether the codes from ``start`` hold no marker but restarts, up to the one that ends the file."""
    codes = np.frombuffer(data, np.uint8)[start:]
    after = codes[np.flatnonzero(codes[:-1] == 0xFF) + 1]
    markers = after[(after != 0) & ((after < 0xD0) | (after > 0xD7))]
    return len(markers) == 1 and int(markers[0]) == EOI


def whole(files: Sequence[bytes], cores: Executor) -> list[bool]:
    """Whether libjpeg can read plain JPEGs to their ends without a complaint.

    Args:
        files: for which :func:`is_plain` holds.
        cores: threads that share the work. What libjpeg has to say goes to the stderr of the process, so all of them
            are listened to at once, and one after the other only where something was said.
    """
    with captured_stderr.together() as heard:
        readable = list(cores.map(_read, files))
    return [good and _is_quiet(data) for data, good in zip(files, readable, strict=True)] if heard.text else readable


def _is_quiet(data: bytes) -> bool:
    with captured_stderr.alone() as heard:
        _read(data)
    return not heard.text


def _read(data: bytes) -> bool:
    """Have libjpeg read all Huffman codes of a JPEG; whether there is a picture in it."""
    flags = cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags) is not None
    except cv2.error:  # the CPU's codec finds out what it is
        return False
