"""A Plan: every decision for one output sample as plain frozen data, JSON in and JSON out.

A plan holds no randomness and no pixels. A backend turns its steps into pixels, :mod:`augpipe.labels.transform` turns
the same steps into labels, and both get the same answer wherever and whenever they do it. Each step kind is defined
here, to the pixel; the slow float64 oracle of the tests is written from these words.

Colours are RGB levels 0..255. A gray picture takes a colour's luma (0.299, 0.587, 0.114) instead.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from augpipe.core.geometry import Matrix, Region

VERSION = 1

LONGEST_SIDE = 32_766
"""The longest side of a picture that can be warped: ``cv2.remap`` has 16-bit positions. Copies have no such limit."""

Rgb: TypeAlias = tuple[int, int, int]
Border: TypeAlias = Literal["constant", "replicate", "reflect", "wrap"]


class Step(msgspec.Struct, frozen=True, tag_field="kind", tag=str.lower, kw_only=True):
    """Base of the step kinds."""


class Warp(Step, frozen=True):
    """Resample the picture onto a new canvas, once, whatever number of moves it stands for.

    An output pixel takes the value at the source point that ``matrix`` sends to its centre. A map that only flips,
    turns by quarters and moves by whole pixels is a copy. Otherwise the source is first reduced to the rounded means
    of ``reduce`` = (kx, ky) blocks (the last row or column repeated to fill a block), then interpolated linearly
    between pixel centres at positions rounded to 1/32 pixel. Interpolated values are rounded half up. A mean is the
    block's sum times 1/(kx·ky) in float32, rounded half to even; of 2×2 pixels it is (sum + 2) >> 2. Of a JPEG, the
    decoder may do a part of it from the stored frequencies (:mod:`augpipe.pixels.scaled_decode`).

    Outside the picture: ``constant`` is ``fill``, ``replicate`` the nearest edge pixel, ``reflect`` the mirror image
    with the edge pixel repeated, ``wrap`` the picture again. What lies behind the horizon of a projective map is far
    outside.
    """

    matrix: Matrix
    size_wh: tuple[int, int]
    border: Border = "constant"
    fill: Rgb = (0, 0, 0)
    reduce: tuple[int, int] = (1, 1)


class PadFill(Step, frozen=True, tag="bars"):
    """Paint ``fill`` on every pixel whose centre lies outside the convex ``region``, its edge counting as inside.

    Labels out there are hidden too. A region of fewer than three points holds nothing.
    """

    region: Region
    fill: Rgb


class Matrix3x4(msgspec.Struct, frozen=True, tag="matrix", tag_field="stage"):
    """(r, g, b) → ``rows`` · (r, g, b, 1), entries on a grid of 1/1024; the sum is rounded half up, then clipped.

    Row-major, 12 numbers. A gray level v stands for (v, v, v) and comes back as the first row's value.
    """

    rows: tuple[float, ...]


class Curve(msgspec.Struct, frozen=True, tag="curve", tag_field="stage"):
    """Level → level in each channel by a named curve: ``gamma``, 255·(v/255)^amount. Curves in a row round once."""

    name: Literal["gamma"]
    amount: float


ColorStage: TypeAlias = Matrix3x4 | Curve


class Color(Step, frozen=True, tag="colour"):
    """Point operations in order; neighbours of one kind are merged, and each merged stage rounds and clips once."""

    stages: tuple[ColorStage, ...]


class Blur(Step, frozen=True, tag="filter"):
    """Gaussian blur with standard deviation ``sigma`` in pixels, picture edges mirrored without the edge pixel.

    The kernel ends at ⌈3·sigma⌉ pixels; its weights are whole 1/256 that add up to 1, so a strong blur of hard stripes
    is some levels from the ideal one.
    """

    sigma: float


class Noise(Step, frozen=True):
    """Add Gaussian noise of standard deviation ``std`` levels, read from the noise bank from ``offset`` on.

    Numbers are used row by row, in a pixel for blue, green, red.
    """

    std: float
    offset: int


class Cutout(Step, frozen=True, tag="erase"):
    """Paint ``fill`` over half-open integer rectangles (x0, y0, x1, y1)."""

    boxes_xyxy: tuple[tuple[int, int, int, int], ...]
    fill: Rgb


class JpegCompress(Step, frozen=True, tag="recode"):
    """Compress as baseline JPEG, 4:2:0, at ``quality`` and decode again."""

    quality: int


AnyStep: TypeAlias = Warp | PadFill | Color | Blur | Noise | Cutout | JpegCompress


class Drawn(msgspec.Struct, frozen=True):
    """One operation of the recipe that took part, by its path in the recipe, with the parameters it drew."""

    name: str
    parameters: dict[str, Any]


class Plan(msgspec.Struct, frozen=True):
    """The decisions for one (source, copy); with the source's bytes and labels enough to make the sample again."""

    seed: int
    steps: tuple[AnyStep, ...] = ()
    drawn: tuple[Drawn, ...] = ()
    version: int = VERSION


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON-ready values."""
    builtins: dict[str, Any] = msgspec.to_builtins(plan)
    return builtins


def from_json(value: Any) -> Plan:
    """The plan back from its JSON values.

    Raises:
        ValueError: if the values are not a plan of this version.
    """
    try:
        plan = msgspec.convert(value, Plan, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"not a plan: {error}") from error
    if plan.version != VERSION:
        raise ValueError(f"plan version {plan.version}, expected {VERSION}")
    return plan


def output_size(steps: tuple[AnyStep, ...], size_wh: tuple[int, int]) -> tuple[int, int]:
    """The (width, height) that ``steps`` leave of a picture of ``size_wh``."""
    for step in reversed(steps):
        if isinstance(step, Warp):
            return step.size_wh
    return size_wh
