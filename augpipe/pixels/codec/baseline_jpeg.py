"""Which files a decoder on the device may have: plain JPEGs, whole to the last bit, about which no two decoders differ.

A decoder on the device is quick because it asks little. Of a file that is cut, damaged or of a rare kind it makes some
picture, and says nothing. So a file is looked at before, in two steps:

- :func:`is_plain` walks its segments: one baseline scan of gray, or of YCbCr in 4:4:4, 4:2:2 or 4:2:0, with all its
  tables, of the size that the header says, and nothing behind it.
- :func:`whole` has libjpeg read every Huffman code of it. It does so in a fifth to two fifths of the time of decoding,
  on all cores at once, since an eighth of the size in gray needs no transform; and it mutters about the same damage.

What is not plain and whole is left to :mod:`augpipe.pixels.codec.image`, which knows what becomes of it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor

import numpy as np

from augpipe.core.annotations import Header
from augpipe.core.opencv import cv2
from augpipe.pixels.codec import captured_stderr

_SOF0, _DHT, _SOI, _EOI, _SOS, _DQT, _APP0, _APP14 = 0xC0, 0xC4, 0xD8, 0xD9, 0xDA, 0xDB, 0xE0, 0xEE
_OTHER_FRAMES = frozenset(range(0xC1, 0xD0)) - {_DHT, 0xC8, 0xCC}
_BARE = frozenset({0x01, *range(0xD0, 0xD8), _SOI, _EOI})  # markers without a length
_CHROMA = b"\x11"
_LUMA = (b"\x11", b"\x21", b"\x22")  # 4:4:4, 4:2:2, 4:2:0
_ADOBE_YCC = 1


def is_plain(data: bytes, header: Header) -> bool:
    """Whether a file is a baseline JPEG without anything out of the ordinary, up to its Huffman codes.

    Args:
        data: the file.
        header: what :func:`~augpipe.pixels.codec.header.read_header` says of it.
    """
    if header.format != "JPEG" or header.mode not in ("L", "RGB") or data[-2:] != b"\xff\xd9":
        return False
    try:
        *segments, (marker, scan, start) = _segments(data)
    except (ValueError, struct.error):
        return False
    kinds = [marker for marker, _, _ in segments]
    frames = [body for kind, body, _ in segments if kind == _SOF0]
    if marker != _SOS or len(frames) != 1 or _OTHER_FRAMES.intersection(kinds) or not {_DHT, _DQT} <= set(kinds):
        return False
    tables = {body[i] for kind, body, _ in segments if kind == _DQT for i in range(0, len(body), 65)}
    channels = 1 if header.mode == "L" else 3
    return (
        max(tables, default=16) < 16  # 8 bits a number
        and _is_plain_frame(frames[0], channels, header)
        and _is_whole_scan(scan, frames[0])
        and (channels == 1 or _is_ycc(segments, frames[0]))
        and _ends_at_its_end(data, start)
    )


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """(marker, content, place of what follows) of every segment up to the first scan.

    Raises:
        ValueError: there is something else between them, or a segment leaves the file.
    """
    if data[:2] != b"\xff\xd8":
        raise ValueError("no start")
    place = 2
    while True:
        mark, marker, length = struct.unpack_from(">BBH", data, place)
        end = place + 2 + length
        if mark != 0xFF or marker in _BARE or marker in (0x00, 0xFF) or length < 2 or end > len(data):
            raise ValueError("no segment")
        yield marker, data[place + 4 : end], end
        if marker == _SOS:
            return
        place = end


def _is_plain_frame(frame: bytes, channels: int, header: Header) -> bool:
    """8 bits, the header's size, and a usual sampling of the colours."""
    if len(frame) != 6 + 3 * channels or frame[0] != 8 or frame[5] != channels:
        return False
    height, width = struct.unpack_from(">HH", frame, 1)
    samplings = [frame[i : i + 1] for i in range(7, len(frame), 3)]
    usual = samplings == [b"\x11"] if channels == 1 else samplings[0] in _LUMA and samplings[1:] == [_CHROMA] * 2
    return (width, height) == header.stored_wh and usual


def _is_whole_scan(scan: bytes, frame: bytes) -> bool:
    """All channels in the frame's order, all coefficients at once."""
    channels = frame[5]
    return (
        len(scan) == 4 + 2 * channels
        and scan[0] == channels
        and [scan[1 + 2 * i] for i in range(channels)] == [frame[6 + 3 * i] for i in range(channels)]
        and scan[-3:] == b"\x00\x3f\x00"
    )


def _is_ycc(segments: Sequence[tuple[int, bytes, int]], frame: bytes) -> bool:
    """Whether three channels are YCbCr by all that may say so, so that nobody has to guess."""
    adobe = [body[11] for kind, body, _ in segments if kind == _APP14 and body[:5] == b"Adobe" and len(body) >= 12]
    jfif = any(kind == _APP0 and body[:5] == b"JFIF\0" for kind, body, _ in segments)
    by_name = bytes(frame[6 + 3 * i] for i in range(3)) == b"\x01\x02\x03"
    return all(value == _ADOBE_YCC for value in adobe) and (by_name or (jfif and bool(adobe)))


def _ends_at_its_end(data: bytes, start: int) -> bool:
    """Whether the codes from ``start`` hold no marker but restarts, up to the one that ends the file."""
    codes = np.frombuffer(data, np.uint8)[start:]
    after = codes[np.flatnonzero(codes[:-1] == 0xFF) + 1]
    markers = after[(after != 0) & ((after < 0xD0) | (after > 0xD7))]
    return len(markers) == 1 and int(markers[0]) == _EOI


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
