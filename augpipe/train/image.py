"""The picture of a stored sample as a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from augpipe.core.errors import DatasetError, Reject
from augpipe.core.opencv import cv2
from augpipe.formats.webdataset.folder import StoredSample
from augpipe.formats.webdataset.schema import SampleRecord
from augpipe.pixels.codec.header import MAX_PIXELS, read_header
from augpipe.pixels.codec.jpeg_segments import FRAMES, frame_of, header_segments

_MOST_PIXELS = 4 * MAX_PIXELS
_PICTURES = ("jpg", "png", "webp")


def image_of(sample: StoredSample) -> torch.Tensor:
    """The picture as uint8 (C, H, W), C = 3 in the order red, green, blue, or 1.

    Raises:
        DatasetError: there is none, or not of the size in the record.
    """
    record = sample.record
    data = next((sample.members[ending] for ending in _PICTURES if ending in sample.members), None)
    pixels = None if data is None else _decoded(sample, bytes(data))
    if pixels is None or pixels.dtype != np.uint8 or pixels.shape not in _shapes_of(record):
        got = "none that can be decoded" if pixels is None else f"{pixels.dtype} {pixels.shape}"
        wanted = f"an 8-bit gray or colour picture of {record.width}×{record.height}"
        raise DatasetError(f"{sample.where}: expected {wanted}, got {got}")
    if pixels.ndim == 2:
        return torch.from_numpy(pixels)[None]
    image_chw = np.empty((3, record.height, record.width), np.uint8)
    red, green, blue = image_chw
    cv2.split(pixels, (blue, green, red))  # into the planes: transposed and reordered in one go
    return torch.from_numpy(image_chw)


def _decoded(sample: StoredSample, data: bytes) -> np.ndarray[Any, Any] | None:
    """The pixels of a picture of the size in its record, ``None`` if it is none; no other is decoded."""
    record = sample.record
    size_wh = _size_in_header(data)
    if size_wh is None:
        return None
    if size_wh != (record.width, record.height):
        wanted = f"an 8-bit gray or colour picture of {record.width}×{record.height}"
        raise DatasetError(f"{sample.where}: expected {wanted}, got {size_wh[0]}×{size_wh[1]}")
    if record.width * record.height > _MOST_PIXELS:
        got = f"{record.width}×{record.height} pixels"
        raise DatasetError(f"{sample.where}: {got}, expected at most {_MOST_PIXELS:,}")
    pixels: np.ndarray[Any, Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels


def _size_in_header(data: bytes) -> tuple[int, int] | None:
    """(width, height) by the first bytes of a picture; ``None`` if they are none of one."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR" and len(data) > 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    frames = (frame_of(s.content) for s in header_segments(data) or () if s.marker in FRAMES)
    if (frame := next(frames, None)) is not None:
        return frame.size_wh
    try:
        return read_header(data, _MOST_PIXELS).stored_wh
    except Reject:
        return None


def _shapes_of(record: SampleRecord) -> tuple[tuple[int, ...], ...]:
    return (record.height, record.width), (record.height, record.width, 3)
