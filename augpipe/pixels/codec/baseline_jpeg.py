"""Which files a decoder on a device may get: plain, undamaged JPEGs, which all decoders decode alike.

Such a decoder makes some picture of a file that is cut, damaged or unusual, and reports nothing. So two checks go
first:

- :func:`is_plain` reads the segments: one baseline scan of gray, or of YCbCr in 4:4:4, 4:2:2 or 4:2:0, with all its
  tables, of the header's size, and nothing after it.
- :func:`whole` has libjpeg read every Huffman code, in a fifth to two fifths of the time of decoding, on all cores: an
  eighth of the size in gray needs no transform, and libjpeg reports the same damage.

All other files are left to :mod:`augpipe.pixels.codec.image`.
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
    JpegFrame,
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
    """Whether a file, of which ``header`` was read, is a usual baseline JPEG up to its Huffman codes."""
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


def _is_whole_scan(scan: bytes, frame: JpegFrame) -> bool:
    """All channels in the frame's order, all coefficients at once."""
    count = len(frame.components)
    identifiers = bytes(identifier for identifier, _, _ in frame.components)
    return len(scan) == 4 + 2 * count and scan[0] == count and scan[1:-3:2] == identifiers and scan[-3:] == b"\0\x3f\0"


def _is_ycc(segments: Sequence[Segment], frame: JpegFrame) -> bool:
    """Whether three channels are YCbCr by all that may define it: JFIF, Adobe, their identifiers."""
    adobe = [s.content[11] for s in segments if s.marker == APP14 and s.content[:5] == b"Adobe" and len(s.content) > 11]
    jfif = any(s.marker == APP0 and s.content[:5] == b"JFIF\0" for s in segments)
    by_name = [identifier for identifier, _, _ in frame.components] == [1, 2, 3]
    return all(value == _ADOBE_YCC for value in adobe) and (by_name or (jfif and bool(adobe)))


def _ends_at_its_end(data: bytes, start: int) -> bool:
    """Whether the codes from ``start`` hold no markers but restarts, up to the end of the image and the file."""
    codes = np.frombuffer(data, np.uint8)[start:]
    after = codes[np.flatnonzero(codes[:-1] == 0xFF) + 1]
    markers = after[(after != 0) & ((after < 0xD0) | (after > 0xD7))]
    return len(markers) == 1 and int(markers[0]) == EOI


def whole(files: Sequence[bytes], cores: Executor) -> list[bool]:
    """Whether libjpeg reads each plain JPEG to its end without a warning.

    Warnings go to the stderr of the process, so all threads of ``cores`` are listened to together, and the files one
    after the other only if there was a warning.
    """
    with captured_stderr.together() as heard:
        readable = list(cores.map(_read, files))
    return [good and _is_quiet(data) for data, good in zip(files, readable, strict=True)] if heard.text else readable


def _is_quiet(data: bytes) -> bool:
    with captured_stderr.alone() as heard:
        _read(data)
    return not heard.text


def _read(data: bytes) -> bool:
    """Have libjpeg read all Huffman codes; whether it finds a picture."""
    flags = cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags) is not None
    except cv2.error:  # the CPU's codec will report it
        return False
