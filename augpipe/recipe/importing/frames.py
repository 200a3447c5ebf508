"""Sizes, crops and bars of Albumentations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from augpipe.recipe.importing.given import Given, Unreadable
from augpipe.recipe.importing.rows import Row, Step, plus, row, within

_MEANS = "where it shrinks, ours takes means of what lies under a pixel"
_ANY_SHAPE = [0.01, 100]


def _to_length(side: str) -> Callable[[Given], Sequence[Step]]:
    def steps(given: Given) -> Sequence[Step]:
        lengths = given.numbers("max_size")
        if not lengths:
            lengths = list(dict.fromkeys(given.numbers("max_size_hw")))
            if len(lengths) != 1:
                raise Unreadable("max_size: expected pixels; a height and a width apart cannot be written here")
        resizes: list[dict[str, Any]] = [{"resize": {side: int(length)}} for length in lengths]
        return [("one_of", {"steps": resizes})] if len(resizes) > 1 else [("resize", resizes[0]["resize"])]

    return steps


def _place(given: Given, name: str) -> str:
    word = given.word(name, "center").rpartition(".")[2].lower()
    if word not in ("center", "top_left"):
        given.note(f"{name} {word[:20]} is written as the centre")
    return "top_left" if word == "top_left" else "centre"


def _bars(given: Given) -> int | list[int]:
    if given.raw("border_mode") not in (None, 0):
        given.note("bars have one colour, theirs show the picture again")
    return given.color("fill", "value")


def _crop(operation: str) -> Callable[[Given], Sequence[Step]]:
    def steps(given: Given) -> Sequence[Step]:
        size = given.size_wh()
        crop: Step = (operation, {"size": size})
        given.quiet("pad_position", "border_mode", "fill", "pad_mode", "pad_cval")
        if not given.flag("pad_if_needed", False):
            return [crop]
        bars = {"size": size, "place": _place(given, "pad_position"), "fill": _bars(given)}
        return [("pad", bars), crop]

    return steps


def _sized_crop(given: Given) -> Sequence[Step]:
    low, high = given.pair("min_max_height", (64.0, 64.0))
    height = (low + high) / 2.0
    width = height * given.number("w2h_ratio", 1.0)
    window = [max(1, round(width)), max(1, round(height))]
    return [("random_crop", {"size": window}), ("resize", {"size": given.size_wh()})]


def _pad_if_needed(given: Given) -> Sequence[Step]:
    made: dict[str, Any] = {"place": _place(given, "position"), "fill": _bars(given)}
    given.quiet("padding")
    if given.has("pad_height_divisor") or given.has("pad_width_divisor"):
        sides = {given.whole(name, 1) for name in ("pad_height_divisor", "pad_width_divisor")}
        if len(sides) > 1:
            given.note("both sides become multiples of one number")
        given.quiet("min_height", "min_width")
        return [("pad", {"multiple": max(sides), **made})]
    return [("pad", {"size": [given.whole("min_width", 1024), given.whole("min_height", 1024)], **made})]


def _pad(given: Given) -> Sequence[Step]:
    sides = [round(number) for number in given.numbers("padding")] or [0]
    if len(sides) not in (1, 2, 4):
        raise Unreadable("padding: expected one, two or four numbers of pixels")
    return [("pad", {"sides": sides * (4 // len(sides)), "fill": _bars(given)})]


def _crop_and_pad(given: Given) -> Sequence[Step]:
    given.quiet("sample_independently", "border_mode", "fill", "pad_mode", "pad_cval")
    if given.flag("keep_size", True):
        given.note("theirs brings the result back to the size before")
    share = given.numbers("percent")
    if len(share) != 1 or given.has("px"):
        raise Unreadable("only one percent for all sides can be written here")
    return [("crop", {"box_xyxy": [-float(share[0])] * 2 + [1.0 + share[0]] * 2})]


def _box(given: Given) -> list[int]:
    return [
        given.whole(name, default) for name, default in (("x_min", 0), ("y_min", 0), ("x_max", 1024), ("y_max", 1024))
    ]


def _share(given: Given) -> Any:
    return within(given, "scale", given.pair("scale", (0.08, 1.0)), 1e-4, 1)


def _safe(given: Given) -> list[float]:
    if given.number("erosion_rate", 0.0) > 0.0:
        given.note("boxes stay whole, theirs may lose an edge")
    return [*_ANY_SHAPE]


_NEAR_OBJECT = "theirs keeps what it must of an object, ours goes around one that is drawn"

FRAMES: dict[str, Row] = {
    "Resize": row("resize", _MEANS, always=True, size=lambda given: given.size_wh()),
    "LongestMaxSize": Row(_to_length("longest"), _MEANS, always=True),
    "SmallestMaxSize": Row(_to_length("shortest"), _MEANS, always=True),
    "RandomScale": row(
        "random_scale",
        scale=lambda given: within(given, "scale", plus(given.span("scale_limit", (-0.1, 0.1)), 1.0), 0.01, 100),
    ),
    "LetterBox": row(
        "letterbox",
        _MEANS,
        always=True,
        size=lambda given: given.size_wh(),
        fill=lambda given: given.color("fill"),
        quiet="position",
    ),
    "CenterCrop": Row(_crop("center_crop"), always=True),
    "RandomCrop": Row(_crop("random_crop"), always=True),
    "Crop": row("crop", always=True, box_xyxy=_box, quiet="pad_if_needed pad_position border_mode fill"),
    "RandomResizedCrop": row(
        "random_resized_crop",
        _MEANS,
        always=True,
        size=lambda given: given.size_wh(),
        scale=_share,
        ratio=lambda given: given.pair("ratio", (0.75, 4 / 3)),
    ),
    "RandomSizedCrop": Row(_sized_crop, "the window has one size, the middle of min_max_height", always=True),
    "BBoxSafeRandomCrop": row("bbox_safe_crop", always=True, ratio=_safe),
    "RandomSizedBBoxSafeCrop": row(
        "bbox_safe_crop", _MEANS, always=True, size=lambda given: given.size_wh(), ratio=_safe
    ),
    **dict.fromkeys(
        ("AtLeastOneBBoxRandomCrop", "CropNonEmptyMaskIfExists"),
        row(
            "object_crop",
            _NEAR_OBJECT,
            always=True,
            size=lambda given: given.size_wh(),
            quiet="erosion_factor ignore_values ignore_channels",
        ),
    ),
    "RandomCropNearBBox": row(
        "object_crop",
        _NEAR_OBJECT,
        always=True,
        margin=lambda given: within(given, "margin", given.pair("max_part_shift", (0.0, 0.3)), 0, 100),
        quiet="cropping_bbox_key cropping_box_key",
    ),
    "PadIfNeeded": Row(_pad_if_needed, always=True),
    "Pad": Row(_pad, always=True),
    "CropAndPad": Row(_crop_and_pad, always=True),
}
