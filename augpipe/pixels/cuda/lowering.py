"""From the steps of a plan to passes: what each kernel does to one picture, before anything has an address.

A pass reads one picture and writes one. Whatever works on single pixels (colour, noise, erase, bars) is a program that
runs behind the pass before it, while the pixels are still in registers; so a warp with all its tones, bars and noise is
one pass, a blur two, a JPEG round trip two, and a plan without a warp one copy with a program.

Everything here is a plain function of steps and sizes; :mod:`augpipe.pixels.cuda.launch` brings it to a device.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from augpipe.core.color import Linear, Stage, compiled, gray_table, luma
from augpipe.core.geometry import IDENTITY, Matrix, is_affine, is_exact
from augpipe.core.opencv import cv2
from augpipe.core.plan import AnyStep, Blur, Color, Cutout, JpegCompress, Noise, PadFill, Rgb, Warp
from augpipe.pixels import noise
from augpipe.pixels.cpu import filter_radius, require_warpable, upright_box
from augpipe.pixels.resample import index_map, region_sides

MATRIX, TABLE, NOISE, OUTSIDE_BOX, OUTSIDE_REGION, BOXES = range(6)
"""Kinds of operations, as ``points.cu`` counts them."""
_BORDERS = {"constant": 0, "replicate": 1, "reflect": 2, "wrap": 3}
_INT32 = 2**31
_FAR = 2**30
_TILE_WH = (128, 8)
_JPEG_BLOCKS = 64


@dataclass(frozen=True)
class Instruction:
    """One entry of a program; ``table`` is what it reads besides, put among the parameters."""

    kind: int
    count: int = 0
    fill: int = 0
    values: tuple[int, ...] = ()
    table: bytes = b""


@dataclass(frozen=True)
class Pass:
    """One kernel on one picture.

    ``head`` and ``table`` are what the kernel reads besides: the head stands in the descriptor, the table among the
    parameters, with its place put before the head.
    """

    kernel: str
    source_wh: tuple[int, int]
    target_wh: tuple[int, int]
    channels: int
    nbytes: int
    head: bytes = b""
    table: bytes = b""
    border: int = 0
    fill: int = 0
    projective: bool = False
    program: list[Instruction] = field(default_factory=list)

    @property
    def tiles(self) -> int:
        """How many blocks of threads it takes."""
        if self.kernel == "jpeg_blocks":
            return -(-self.nbytes // (64 * _JPEG_BLOCKS))
        (w, h), (tile_w, tile_h) = self.target_wh, _TILE_WH
        return -(-w // tile_w) * -(-h // tile_h)


def lowered(size_wh: tuple[int, int], channels: int, steps: Iterable[AnyStep]) -> tuple[Pass, ...]:
    """The passes of a picture of ``size_wh`` with 1 or 3 channels; none where there is nothing to do.

    Raises:
        Reject: as the CPU backend does.
    """
    passes: list[Pass] = []
    for step in steps:
        now_wh = passes[-1].target_wh if passes else size_wh
        if isinstance(step, Warp):
            passes.extend(_warp(now_wh, channels, step))
        elif isinstance(step, Blur):
            passes.extend(_blur(now_wh, channels, step.sigma))
        elif isinstance(step, JpegCompress):
            passes.extend(_recode(now_wh, channels, step.quality))
        else:
            for a_pass_or_operation in _point(step, now_wh, channels):
                if isinstance(a_pass_or_operation, Pass):
                    passes.append(a_pass_or_operation)
                    continue
                if not passes:
                    passes.append(_copy(now_wh, channels, Warp(matrix=IDENTITY, size_wh=now_wh)))
                passes[-1].program.append(a_pass_or_operation)
    return tuple(passes)


def _nbytes(size_wh: tuple[int, int], channels: int) -> int:
    return size_wh[0] * size_wh[1] * channels


def _fill(color: Rgb, channels: int) -> int:
    """As the kernels unpack it: the first channel lowest."""
    if not all(0 <= v <= 255 for v in color):
        raise ValueError(f"a fill of {color}; expected levels 0..255")
    return luma(color) if channels == 1 else color[0] | color[1] << 8 | color[2] << 16


# --- passes ----------------------------------------------------------------------------------------------------------


def _warp(size_wh: tuple[int, int], channels: int, step: Warp) -> Iterator[Pass]:
    require_warpable(max(size_wh), step)
    if is_exact(step.matrix):
        yield _copy(size_wh, channels, step)
        return
    if step.reduce != (1, 1):
        (w, h), (kx, ky) = size_wh, step.reduce
        source_wh, size_wh = size_wh, (-(-w // kx), -(-h // ky))
        head = struct.pack("<iif", kx, ky, 1.0 / (kx * ky))
        yield Pass("means", source_wh, size_wh, channels, _nbytes(size_wh, channels), head)
    back = index_map(step.matrix, step.reduce)
    yield Pass(
        "warp",
        size_wh,
        step.size_wh,
        channels,
        _nbytes(step.size_wh, channels),
        head=struct.pack("<9d", *back),
        border=_BORDERS[step.border],
        fill=_fill(step.fill, channels),
        projective=not is_affine(back),
    )


def _copy(size_wh: tuple[int, int], channels: int, step: Warp) -> Pass:
    return Pass(
        "copy",
        size_wh,
        step.size_wh,
        channels,
        _nbytes(step.size_wh, channels),
        head=struct.pack("<6i", *_whole_index_map(step.matrix)),
        border=_BORDERS[step.border],
        fill=_fill(step.fill, channels),
    )


def _whole_index_map(exact: Matrix) -> list[int]:
    """The map back between pixel indexes, whose numbers are whole; so far beyond, everything is border."""
    return [max(-_FAR, min(_FAR, round(v))) for v in index_map(exact, (1, 1))[:6]]


def _blur(size_wh: tuple[int, int], channels: int, sigma: float) -> Iterator[Pass]:
    weights = blur_weights(sigma)
    head, table = struct.pack("<i", len(weights) // 2), struct.pack(f"<{len(weights)}i", *weights)
    nbytes = _nbytes(size_wh, channels)
    yield Pass("blur_rows", size_wh, size_wh, channels, 2 * nbytes, head, table)
    yield Pass("blur_columns", size_wh, size_wh, channels, nbytes, head, table)


@lru_cache(maxsize=256)
def blur_weights(sigma: float) -> tuple[int, ...]:
    """The whole 1/256 that OpenCV takes for a blur, 2·radius + 1 of them, asked of OpenCV itself.

    A single white pixel blurred along a row shows them: 255·w/256 is w when rounded, for every w below a half, which
    all but the middle one are; together they are 256.
    """
    radius = filter_radius(sigma)
    row = np.zeros((1, 4 * radius + 1), np.uint8)
    row[0, 2 * radius] = 255
    side = 2 * radius + 1
    shown = cv2.GaussianBlur(row, (side, side), sigma, None, sigma, cv2.BORDER_REFLECT_101)[0, radius : 3 * radius + 1]
    weights = [int(v) for v in shown]
    weights[radius] = 0
    weights[radius] = 256 - sum(weights)
    return tuple(weights)


def _recode(size_wh: tuple[int, int], channels: int, quality: int) -> Iterator[Pass]:
    w, h = size_wh
    table = [v for divisor in divisors(quality) for v in (divisor, -(-(2**32) // (8 * divisor)))]
    nbytes = 64 * -(-w // 8) * -(-h // 8) + (2 * 64 * -(-w // 16) * -(-h // 16) if channels == 3 else 0)
    yield Pass("jpeg_blocks", size_wh, size_wh, channels, nbytes, table=struct.pack("<256I", *table))
    yield Pass("jpeg_pixels", size_wh, size_wh, channels, _nbytes(size_wh, channels))


# --- programs --------------------------------------------------------------------------------------------------------


def _point(
    step: Color | Noise | Cutout | PadFill, size_wh: tuple[int, int], channels: int
) -> Iterator[Instruction | Pass]:
    if isinstance(step, Color):
        stages = compiled(step.stages)
        if channels == 3:
            yield from (_stage(stage, size_wh) for stage in stages)
        elif stages:
            yield _gray(stages)
    elif isinstance(step, Noise):
        scale = int(np.int32(noise.scale_of(step.std)))
        yield Instruction(NOISE, values=(scale, step.offset % noise.LENGTH))
    elif isinstance(step, Cutout):
        boxes = [max(0, min(v, _FAR)) for box_xyxy in step.boxes_xyxy for v in box_xyxy]
        table = struct.pack(f"<{len(boxes)}i", *boxes)
        yield Instruction(BOXES, len(step.boxes_xyxy), _fill(step.fill, channels), table=table)
    else:
        yield _bars(step, channels)


def _stage(stage: Stage, size_wh: tuple[int, int]) -> Instruction | Pass:
    if not isinstance(stage, Linear):
        return Instruction(TABLE, table=stage.levels.tobytes())
    rows = stage.q.tolist()
    if max(255 * (abs(r) + abs(g) + abs(b)) + abs(offset) + 512 for r, g, b, offset in rows) < _INT32:
        return Instruction(MATRIX, values=tuple(v for row in rows for v in row))
    return Pass("matrix", size_wh, size_wh, 3, _nbytes(size_wh, 3), table=stage.q.astype("<i8").tobytes())


def _gray(stages: list[Stage]) -> Instruction:
    levels = gray_table(stages[0])
    for stage in stages[1:]:
        levels = gray_table(stage)[levels]
    return Instruction(TABLE, table=levels.tobytes())


def _bars(step: PadFill, channels: int) -> Instruction:
    fill = _fill(step.fill, channels)
    box_xyxy = upright_box(step.region)
    if box_xyxy:
        return Instruction(OUTSIDE_BOX, 1, fill, table=struct.pack("<4i", *(min(v, _FAR) for v in box_xyxy)))
    sides = [v for side in region_sides(step.region) for v in side]
    return Instruction(OUTSIDE_REGION, len(step.region), fill, table=struct.pack(f"<{len(sides)}d", *sides))


# --- jpeg_tables ------------------------------------------------------------------------------------------------------


_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *(99,) * 32,
)  # fmt: skip


def divisors(quality: int) -> tuple[int, ...]:
    """64 for luma and 64 for chroma, each 1..255."""
    quality = max(1, min(100, quality))
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(max(1, min(255, (v * percent + 50) // 100)) for v in (*_LUMA, *_CHROMA))
