"""What is asked for: tiles, or a window around each object. As JSON it is ``window`` of a run's configuration."""

from __future__ import annotations

import math
import re
from typing import Any, Literal, TypeAlias

import msgspec

from augpipe.core.errors import UsageError, one_line
from augpipe.core.plan import LONGEST_SIDE


class Tiles(msgspec.Struct, frozen=True, tag_field="kind", tag="tiles"):
    """Windows of one size that cover a picture.

    ``overlap`` is the pixels that neighbours share at least, in x and y. ``keep_empty`` is the share of a picture's
    windows without labels that stay. ``pad`` fills up windows of pictures that are smaller, to the right and below.
    """

    size: tuple[int, int]
    overlap: tuple[int, int]
    keep_empty: float = 1.0
    pad: bool = False


class ObjectWindows(msgspec.Struct, frozen=True, tag_field="kind", tag="objects"):
    """A window around each object.

    ``margin`` is what it shows beside the object's box: a share of the box's width left and right and of its height
    above and below, or so many pixels on each side. ``square`` widens it to a square. ``others`` keeps the labels of
    the other objects that it shows. Objects whose box has a side under ``min_side`` pixels get none.
    """

    margin: float = 0.0
    unit: Literal["share", "pixels"] = "share"
    square: bool = False
    others: bool = False
    min_side: float = 0.0


WindowSpec: TypeAlias = Tiles | ObjectWindows


def to_json(spec: WindowSpec) -> dict[str, Any]:
    """The values for the configuration."""
    values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(spec))
    return values


def from_json(value: Any) -> WindowSpec:
    """The windows of a configuration.

    Raises:
        ValueError: the values are none.
    """
    try:
        spec: WindowSpec = msgspec.convert(value, Tiles | ObjectWindows, strict=False)
        check(spec)
    except (msgspec.ValidationError, UsageError) as error:
        raise ValueError(f"no windows: {error}") from error
    return spec


def check(spec: WindowSpec) -> None:
    """Raise :class:`UsageError` for values that make no sense."""
    if isinstance(spec, ObjectWindows):
        if not 0.0 <= spec.margin <= (10.0 if spec.unit == "share" else LONGEST_SIDE):
            raise UsageError(f"--margin {spec.margin:g}: expected 0 to 10 times the box, or pixels such as 16px")
        if not 0.0 <= spec.min_side < math.inf:
            raise UsageError(f"--min-side {spec.min_side:g}: expected 0 or more pixels")
        return
    for side, overlap in zip(spec.size, spec.overlap, strict=True):
        if not 8 <= side <= LONGEST_SIDE:
            raise UsageError(f"--size {side}: expected 8 to {LONGEST_SIDE} pixels")
        if not 0 <= overlap < side:
            raise UsageError(f"--overlap: {overlap} of {side} pixels; expected less than the whole window")
    if not 0.0 <= spec.keep_empty <= 1.0:
        raise UsageError(f"--keep-empty {spec.keep_empty:g}: expected 0% to 100%")


# --- what is written on a command line -------------------------------------------------------------------------------


def tiles_of(size: str, overlap: str = "0.2", keep_empty: str = "100%", *, pad: bool = False) -> Tiles:
    """The tiles that texts ask for.

    Args:
        size: ``1024``, or ``1280x720`` for width and height.
        overlap: a share of the size such as ``0.2`` or ``20%``, or pixels such as ``200`` or ``200px``.
        keep_empty: a share such as ``10%`` or ``0.1``.
        pad: see :class:`Tiles`.

    Raises:
        UsageError: they make no sense.

    >>> tiles_of("1024", "0.2").overlap
    (205, 205)
    """
    match = re.fullmatch(r"\s*(\d{1,6})(?:\s*[x×,]\s*(\d{1,6}))?\s*", size)
    if match is None:
        raise UsageError(f"--size {one_line(size, 40)}: expected pixels such as 1024, or width and height as 1280x720")
    w, h = int(match[1]), int(match[2] or match[1])
    share, unit = _amount("--overlap", overlap, "0.2, 20% or 200px")
    if unit == "share" and share >= 1.0 and share == int(share) and "%" not in overlap:
        unit = "pixels"
    both = (w, h) if unit == "share" else (1, 1)
    spec = Tiles((w, h), (round(share * both[0]), round(share * both[1])), _share("--keep-empty", keep_empty), pad)
    check(spec)
    return spec


def object_windows_of(
    margin: str = "0.1", *, square: bool = False, others: bool = False, min_side: float = 0.0
) -> ObjectWindows:
    """The windows that texts ask for; ``margin`` is a share of the box such as ``0.1`` or ``10%``, or ``16px``.

    Raises:
        UsageError: they make no sense.
    """
    amount, unit = _amount("--margin", margin, "0.1, 10% or 16px")
    spec = ObjectWindows(amount, unit, square, others, min_side)
    check(spec)
    return spec


def _amount(option: str, text: str, such_as: str) -> tuple[float, Literal["share", "pixels"]]:
    match = re.fullmatch(r"\s*(\d{1,6}(?:\.\d{1,9})?|\.\d{1,9})\s*(%|px)?\s*", text)
    if match is None or (match[2] == "px" and "." in match[1]):
        raise UsageError(f"{option} {one_line(text, 40)}: expected {such_as}")
    if match[2] == "%":
        return float(match[1]) / 100.0, "share"
    return float(match[1]), "pixels" if match[2] else "share"


def _share(option: str, text: str) -> float:
    amount, unit = _amount(option, text, "a share such as 10%")
    if unit != "share" or amount > 1.0:
        raise UsageError(f"{option} {one_line(text, 40)}: expected a share of 0% to 100%")
    return amount
