"""Point operations on color as integers: the same arithmetic for the CPU, a GPU kernel and the color of a bar.

A matrix is 12 integers on a grid of 1/1024: out = clip((Σ qᵢ·vᵢ + q₃ + 512) >> 10), as ``cv2.transform`` does for 8-bit
pictures; where no channel takes from another, each has a table, halves to even. A curve is a table of 256 levels.
Saturation and hue are linear in YIQ, so a color jitter is one matrix. Contrast about a picture's mean is a matrix, too,
as soon as the sums of its levels are known (:class:`SumTone`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
import numpy as np

from augpipe.core.annotations import F64, I64, U8
from augpipe.core.geometry import inverse
from augpipe.core.plan import ColorStage, Contrast, Curve, CurveName, Matrix3x4, Rgb, Step, ToneT

Rows: TypeAlias = tuple[float, ...]

MIDDLE = 127.5
LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601 weights of red, green and blue."""


def _inverse_of(rows: Rows) -> Rows:
    """The inverse of a matrix without offsets."""
    a, b, c, _, d, e, f, _, g, h, i, _ = rows
    inverse_rows = inverse((a, b, c, d, e, f, g, h, i))  # up to a factor
    scale = sum(rows[k] * inverse_rows[3 * k] for k in range(3))
    return tuple(v / scale for k in (0, 3, 6) for v in (*inverse_rows[k : k + 3], 0.0))


_ONE = 1024
_MOST = 1e9
_MOST_16_BITS = (31 * _ONE, 7000 * _ONE)
_WHITE_KELVIN = 6504.0
_LEVELS_OF_LIGHT = 1 / 2.2
_TO_YIQ = (0.299, 0.587, 0.114, 0.0, 0.596, -0.274, -0.322, 0.0, 0.211, -0.523, 0.312, 0.0)
_FROM_YIQ = _inverse_of(_TO_YIQ)


@dataclass(frozen=True, eq=False)
class Linear:
    """``q`` is int64 (3, 4): three weights and an offset a channel, in 1/1024.

    ``gray`` are the weight and the offset of a gray picture, those of the first row if not given.
    """

    q: I64
    gray: tuple[int, int] | None = None

    @property
    def is_wide(self) -> bool:
        """Whether weights and offsets are beyond those that ``cv2.transform`` computes in integers."""
        weight, offset = _MOST_16_BITS
        return any(max(abs(r), abs(g), abs(b)) >= weight or abs(o) >= offset for r, g, b, o in self.q.tolist())

    def by_channel(self) -> U8 | None:
        """The matrix as a table (256, 3), red, green, blue, if it mixes no channels and is not wide.

        ``cv2.transform`` computes such a one in floats, which round halves to even; old pictures were made so.
        """
        (_, rg, rb, _), (gr, _, gb, _), (br, bg, _, _) = self.q.tolist()
        if rg or rb or gr or gb or br or bg or self.is_wide:
            return None
        levels = (np.outer(np.arange(256), np.diag(self.q)) + self.q[:, 3]) / _ONE
        table: U8 = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        return table


@dataclass(frozen=True, eq=False)
class Table:
    """``levels`` is uint8 (256,)."""

    levels: U8


Stage: TypeAlias = Linear | Table


# --- the matrices that operations draw -------------------------------------------------------------------------------


def brightness(factor: float, offset: float = 0) -> Rows:
    """Levels times ``factor``, and ``offset`` levels."""
    return (factor, 0, 0, offset, 0, factor, 0, offset, 0, 0, factor, offset)


def contrast(factor: float, about: float = MIDDLE) -> Rows:
    """Levels spread about one level by ``factor``."""
    offset = about * (1.0 - factor)
    return (factor, 0, 0, offset, 0, factor, 0, offset, 0, 0, factor, offset)


def saturation_hue(factor: float, turns: float) -> Rows:
    """Chroma in YIQ scaled by ``factor`` and turned by ``turns`` of the full circle; gray stays gray.

    Positive turns lead from red to yellow and green, as in HSV, so from I towards -Q.
    """
    cos, sin = math.cos(2.0 * math.pi * turns) * factor, math.sin(2.0 * math.pi * turns) * factor
    chroma = (1.0, 0.0, 0.0, 0.0, 0.0, cos, sin, 0.0, 0.0, -sin, cos, 0.0)
    return merge(merge(_TO_YIQ, chroma), _FROM_YIQ)


def black_body(kelvin: float) -> tuple[float, float, float]:
    """What light of a black body makes of white, as factors of red, green and blue levels; green is 1.

    The chromaticity is that of the cubic approximation of Planck's locus from 1667 to 25,000 K (B. Kim et al., *Design
    of advanced color temperature control system for HDTV applications*, 2002), brought to linear sRGB (IEC 61966-2-1).
    Light is multiplied in linear light, so levels take the root 1/2.2 of its ratio to that of D65's neighbour on the
    locus, 6504 K, which is white.
    """
    own, white = _linear_srgb(kelvin), _linear_srgb(_WHITE_KELVIN)
    ratios = [max(0.0, light) / base for light, base in zip(own, white, strict=True)]
    red, green, blue = ratios
    return (red / green) ** _LEVELS_OF_LIGHT, 1.0, (blue / green) ** _LEVELS_OF_LIGHT


def _linear_srgb(kelvin: float) -> tuple[float, float, float]:
    a = 1000.0 / kelvin
    if kelvin <= 4000.0:
        x = ((-0.2661239 * a - 0.2343589) * a + 0.8776956) * a + 0.179910
    else:
        x = ((-3.0258469 * a + 2.1070379) * a + 0.2226347) * a + 0.240390
    if kelvin <= 2222.0:
        y = ((-1.1063814 * x - 1.34811020) * x + 2.18555832) * x - 0.20219683
    elif kelvin <= 4000.0:
        y = ((-0.9549476 * x - 1.37418593) * x + 2.09137015) * x - 0.16748867
    else:
        y = ((3.0817580 * x - 5.87338670) * x + 3.75112997) * x - 0.37001483
    big_x, big_z = x / y, (1.0 - x - y) / y
    return (
        3.2404542 * big_x - 1.5371385 - 0.4985314 * big_z,
        -0.9692660 * big_x + 1.8760108 + 0.0415560 * big_z,
        0.0556434 * big_x - 0.2040259 + 1.0572252 * big_z,
    )


def gray_of(matrix: Matrix3x4) -> tuple[float, float]:
    """What a matrix does to a gray level: a factor and an offset."""
    return matrix.gray or (sum(matrix.rows[:3]), matrix.rows[3])


def by_luma(rows: Rows) -> Matrix3x4:
    """A matrix by which a gray picture becomes the luma of what a picture of three equal channels would become."""
    factor = sum(w * sum(rows[4 * i : 4 * i + 3]) for i, w in enumerate(LUMA))
    offset = sum(w * rows[4 * i + 3] for i, w in enumerate(LUMA))
    return Matrix3x4(tuple(map(float, rows)), (factor, offset))


def to_gray() -> Rows:
    """Every channel becomes the luma."""
    return (*LUMA, 0.0) * 3


def merge(first: Rows, second: Rows) -> Rows:
    """The matrix that applies ``first`` and then ``second``, without rounding between them."""
    a, b, c, d, e, f, g, h, i, j, k, m = second  # plain floats: a matrix library may sum in another order elsewhere
    r0, r1, r2, r3, g0, g1, g2, g3, b0, b1, b2, b3 = first
    return (
        a * r0 + b * g0 + c * b0, a * r1 + b * g1 + c * b1, a * r2 + b * g2 + c * b2, a * r3 + b * g3 + c * b3 + d,
        e * r0 + f * g0 + g * b0, e * r1 + f * g1 + g * b1, e * r2 + f * g2 + g * b2, e * r3 + f * g3 + g * b3 + h,
        i * r0 + j * g0 + k * b0, i * r1 + j * g1 + k * b1, i * r2 + j * g2 + k * b2, i * r3 + j * g3 + k * b3 + m,
    )  # fmt: skip


def on_grid(rows: Rows) -> Rows:
    """The matrix on the grid of 1/1024 that backends compute with, limited to ±10⁹."""
    if not -_MOST <= min(rows) <= max(rows) <= _MOST:
        rows = tuple(min(max(v, -_MOST), _MOST) for v in rows)
    return tuple([round(v * _ONE) / _ONE for v in rows])


# --- contrast about the mean of a picture ----------------------------------------------------------------------------

Sums: TypeAlias = tuple[tuple[int, ...], int]
"""The sums of a picture's levels, red, green, blue or gray, and how many pixels it has."""


# A sample makes some of these; a Struct is made in a tenth of the time of a frozen dataclass.
class SumTone(msgspec.Struct, frozen=True):
    """The colors of a source by whole sums, which no order of adding changes. Fulfils ``SourceTone``.

    Attributes:
        sums_behind: the sums of the source behind some stages, the last of which is a curve; behind none its own.
        curved: the stages up to the last curve.
        matrices: those after it, which need no pixels.
    """

    sums_behind: Callable[[tuple[ColorStage, ...]], Sums]
    curved: tuple[ColorStage, ...] = ()
    matrices: tuple[Matrix3x4, ...] = ()

    def behind(self, stage: ColorStage) -> SumTone:
        """See ``SourceTone``."""
        if isinstance(stage, Matrix3x4):
            return SumTone(self.sums_behind, self.curved, (*self.matrices, stage))
        return SumTone(self.sums_behind, (*self.curved, *self.matrices, stage))

    def mean_luma(self) -> float:
        """See ``SourceTone``."""
        sums, count = self.sums_behind(self.curved)
        for matrix in self.matrices:
            sums, count = _sums_through(matrix, sums, count), count * _ONE
        thousandths = sum(w * s for w, s in zip((299, 587, 114), sums * 3 if len(sums) == 1 else sums, strict=True))
        return (2 * _ONE * thousandths + 1000 * count) // (2000 * count) / _ONE


def _sums_through(matrix: Matrix3x4, sums: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Sums behind a matrix in 1/1024, so larger."""
    q = [round(v * _ONE) for v in matrix.rows]
    if len(sums) == 1:
        factor, offset = _gray_integers(matrix) or (q[0] + q[1] + q[2], q[3])
        return (factor * sums[0] + offset * count,)
    red, green, blue = sums
    return tuple(q[i] * red + q[i + 1] * green + q[i + 2] * blue + q[i + 3] * count for i in range(0, 12, 4))


def _gray_integers(matrix: Matrix3x4) -> tuple[int, int] | None:
    return matrix.gray and (round(matrix.gray[0] * _ONE), round(matrix.gray[1] * _ONE))


def about_mean(stage: Contrast, mean: float) -> Matrix3x4:
    """The matrix that contrast about the mean is for a picture of that mean, which the matrix keeps."""
    (factor,) = on_grid((stage.factor,))
    return Matrix3x4(on_grid(contrast(factor, mean)))


def aimed(steps: Iterable[Step], tone: ToneT) -> tuple[Step, ...]:
    """The steps of a plan for one source, whose colors ``tone`` has; nothing is asked of it where no step needs it."""
    steps = tuple(steps)
    if not any(step.needs_tone() for step in steps):
        return steps
    out = []
    for step in steps:
        made, tone = step.aimed(tone)
        out.append(made)
    return tuple(out)


# --- what backends run -----------------------------------------------------------------------------------------------


def compiled(stages: Sequence[ColorStage]) -> list[Stage]:
    """The stages as integer tables; neighbours of one kind become one, which is rounded once."""
    out: list[Stage] = []
    levels: F64 | None = None
    for stage in merged(stages):
        if isinstance(stage, Curve):
            levels = _CURVES[stage.name](np.arange(256.0) if levels is None else levels, stage.amount, stage.second)
            continue
        if levels is not None:
            out.append(_table(levels))
            levels = None
        if not isinstance(stage, Matrix3x4):
            raise TypeError(f"{type(stage).__name__.lower()} of no source; expected matrices and curves, see aimed()")
        q = np.array([round(v * _ONE) for v in stage.rows], np.int64).reshape(3, 4)
        out.append(Linear(q, _gray_integers(stage)))
    if levels is not None:
        out.append(_table(levels))
    return out


def _gamma(levels: F64, exponent: float, _: float) -> F64:
    out: F64 = 255.0 * (np.clip(levels, 0, 255) / 255.0) ** exponent
    return out


def _posterize(levels: F64, bits: float, _: float) -> F64:
    step = 2 ** (8 - int(bits))
    out: F64 = _whole(levels) // step * step
    return out


def _solarize(levels: F64, threshold: float, _: float) -> F64:
    whole = _whole(levels)
    return np.where(whole >= threshold, 255.0 - whole, whole)


def _solarize_add(levels: F64, threshold: float, added: float) -> F64:
    whole = _whole(levels)
    return np.where(whole < threshold, whole + added, whole)


def _tone(levels: F64, lower: float, upper: float) -> F64:
    t = np.clip(levels, 0, 255) / 255.0
    out: F64 = 255.0 * (3.0 * lower * t * (1.0 - t) * (1.0 - t) + 3.0 * upper * t * t * (1.0 - t) + t * t * t)
    return out


_CURVES: dict[CurveName, Callable[[F64, float, float], F64]] = {
    "gamma": _gamma,
    "posterize": _posterize,
    "solarize": _solarize,
    "solarize_add": _solarize_add,
    "tone": _tone,
}


def _whole(levels: F64) -> F64:
    out: F64 = np.clip(np.floor(levels + 0.5), 0, 255)
    return out


def _table(levels: F64) -> Table:
    return Table(_whole(levels).astype(np.uint8))


def apply_integers(stage: Stage, pixels_rgb: U8) -> U8:
    """One stage on pixels (..., 3), halves rounded up."""
    if isinstance(stage, Table):
        levels: U8 = stage.levels[pixels_rgb]
        return levels
    sums: I64 = pixels_rgb.astype(np.int64) @ stage.q[:, :3].T + stage.q[:, 3]
    out: U8 = np.clip((sums + _ONE // 2) >> 10, 0, 255).astype(np.uint8)
    return out


def gray_table(stage: Stage) -> U8:
    """A stage as a table (256,) for gray levels: the first row on (v, v, v)."""
    if isinstance(stage, Table):
        return stage.levels
    weights = stage.q[0].tolist()
    factor, offset = stage.gray or (sum(weights[:3]), weights[3])
    sums = factor * np.arange(256, dtype=np.int64) + offset
    out: U8 = np.clip((sums + _ONE // 2) >> 10, 0, 255).astype(np.uint8)
    return out


def recolored(stages: Sequence[ColorStage], color: Rgb) -> Rgb:
    """One colour through some stages."""
    pixel = np.array(color, np.uint8)
    for stage in compiled(stages):
        pixel = apply_integers(stage, pixel)
    r, g, b = (int(v) for v in pixel)
    return r, g, b


def luma(color: Rgb) -> int:
    """The gray level of a colour."""
    return math.floor(sum(w * v for w, v in zip(LUMA, color, strict=True)) + 0.5)


def fill_levels(color: Rgb, channels: int) -> tuple[int, ...]:
    """A colour as one level a channel: itself, or its luma for 1 channel.

    Raises:
        ValueError: a level is not in 0..255.
    """
    if not all(0 <= v <= 255 for v in color):
        raise ValueError(f"a fill of {color}; expected levels 0..255")
    return (luma(color),) if channels == 1 else color


def merged(stages: Sequence[ColorStage]) -> tuple[ColorStage, ...]:
    """Neighbouring matrices as one, on the grid that backends compute with."""
    out: list[ColorStage] = []
    for stage in stages:
        if out and isinstance(stage, Matrix3x4) and isinstance(out[-1], Matrix3x4):
            out[-1] = Matrix3x4(merge(out[-1].rows, stage.rows), _merged_gray(out[-1], stage))
        else:
            out.append(stage)
    return tuple(_on_grid(s) if isinstance(s, Matrix3x4) else s for s in out)


def _merged_gray(first: Matrix3x4, second: Matrix3x4) -> tuple[float, float] | None:
    if first.gray is None and second.gray is None:
        return None
    (factor, offset), (then_factor, then_offset) = gray_of(first), gray_of(second)
    return factor * then_factor, offset * then_factor + then_offset


def _on_grid(matrix: Matrix3x4) -> Matrix3x4:
    if matrix.gray is None:
        return Matrix3x4(on_grid(matrix.rows))
    factor, offset = on_grid(matrix.gray)
    return Matrix3x4(on_grid(matrix.rows), (factor, offset))
