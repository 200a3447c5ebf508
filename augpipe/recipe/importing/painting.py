"""Erasing, weather and light of Albumentations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from augpipe.recipe.importing.given import ASSUMED_SIDE, Given, Pair, Unreadable
from augpipe.recipe.importing.rows import Row, Step, row, shares, whole, within

_HOLE = (0.1, 0.2)
_RATIO = (0.01, 100.0)


def _holes(given: Given) -> tuple[Pair, Pair]:
    """(height, width) of holes in shares of a side."""
    sides = []
    for name in ("height", "width"):
        pair = given.ends(f"hole_{name}_range", f"min_{name}", f"max_{name}", _HOLE)
        if given.has(f"max_{name}") and not given.has(f"min_{name}"):  # then all holes are as large
            pair = (pair[1], pair[1])
        sides.append(shares(given, pair))
    return sides[0], sides[1]


def _window(given: Given, height: Pair, width: Pair) -> dict[str, Any]:
    """Area and shape of holes of these sides."""
    if height[0] <= 0.0 or width[0] <= 0.0:
        height, width = ((max(1e-3, low), max(1e-3, high)) for low, high in (height, width))
    return {
        "area": within(given, "area", (height[0] * width[0], height[1] * width[1]), 0, 1),
        "ratio": within(given, "ratio", (width[0] / height[1], width[1] / height[0]), *_RATIO),
    }


def _count(given: Given) -> tuple[int, int]:
    pair = given.ends("num_holes_range", "min_holes", "max_holes", (1.0, 2.0))
    if given.has("max_holes") and not given.has("min_holes"):
        pair = (pair[1], pair[1])
    return whole(within(given, "count", pair, 0, 100))


def _coarse(given: Given) -> Sequence[Step]:
    window = _window(given, *_holes(given))
    return [("erase", {"count": _count(given), **window, "fill": given.color("fill", "fill_value")})]


def _cutout(given: Given) -> Sequence[Step]:
    height, width = (
        shares(given, (side, side)) for side in (given.whole("max_h_size", 8), given.whole("max_w_size", 8))
    )
    count = given.whole("num_holes", 8)
    return [("erase", {"count": count, **_window(given, height, width), "fill": given.color("fill_value")})]


def _constrained(given: Given) -> Sequence[Step]:
    window = _window(given, *_holes(given))
    classes = given.raw("bbox_labels")
    given.quiet("mask_indices")
    made = {"objects": _count(given), **window, "fill": given.color("fill")}
    if classes is None:
        return [("object_cutout", made)]
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise Unreadable("bbox_labels: expected names of classes; numbers mean nothing here")
    return [("object_cutout", {**made, "classes": classes})]


def _unit(given: Given) -> Pair:
    given.quiet("random_offset", "shift_xy", "shift_x", "shift_y", "holes_number_x", "holes_number_y")
    if given.has("unit_size_range") or given.has("unit_size_min"):
        sides = given.ends("unit_size_range", "unit_size_min", "unit_size_max", (32.0, 64.0))
        return within(given, "unit", shares(given, sides), 0.02, 1)
    holes = given.numbers("holes_number_xy") or [10.0]
    return within(given, "unit", (1.0 / max(1.0, *holes, 1.0), 1.0 / max(1.0, min(holes))), 0.02, 1)


def _flares(given: Given) -> tuple[int, int]:
    default = (6.0, 10.0)
    pair = given.ends("num_flare_circles_range", "num_flare_circles_lower", "num_flare_circles_upper", default)
    return whole(within(given, "circles", pair, 0, 20))


def _slant(given: Given) -> Pair:
    """Degrees of drops that lean by so many pixels over their length."""
    low, high = given.ends("slant_range", "slant_lower", "slant_upper", (-10.0, 10.0))
    length = max(1.0, given.number("drop_length", 20.0))
    low, high = (math.degrees(math.atan2(pixels, length)) for pixels in (low, high))
    return within(given, "angle", (low, high), -80, 80)


_DROPS = {"drizzle": 1.3, "heavy": 1.7, "torrential": 2.0}
_FLARE = "angle_range angle_lower angle_upper flare_roi src_color method"
_SHAPES = {"linear": "linear", "gaussian": "spot", "corner": "any"}


def _shadows(given: Given) -> str:
    given.quiet("shadow_dimension", "num_shadows_lower", "num_shadows_upper")
    roi = given.numbers("shadow_roi")
    return "lower" if len(roi) != 4 or roi[1] >= 0.4 else "anywhere"


def _lit(name: str, default: Pair) -> Any:
    def value(given: Given) -> Pair:
        low, high = given.span(name, default)
        most = min(1.0, max(abs(low), abs(high)))
        return (0.0, most) if low < 0.0 else (min(1.0, low), most)

    return value


_SQUARES = "area and shape are drawn, theirs height and width"
_LAYERS = "other shapes of the same strength"

PAINTING: dict[str, Row] = {
    "CoarseDropout": Row(_coarse, _SQUARES),
    "Cutout": Row(_cutout, _SQUARES),
    "Erasing": row(
        "erase",
        "ours may cross the frame",
        count=lambda given: 1,
        area=lambda given: within(given, "area", given.pair("scale", (0.02, 0.33)), 0, 1),
        ratio=lambda given: within(given, "ratio", given.pair("ratio", (0.3, 3.3)), *_RATIO),
        fill=lambda given: given.color("fill"),
    ),
    "ConstrainedCoarseDropout": Row(_constrained, _SQUARES),
    **dict.fromkeys(
        ("GridDropout", "GridMask"),
        row(
            "grid_dropout",
            "squares of one side, theirs as the picture is",
            unit=_unit,
            ratio=lambda given: given.number("ratio", 0.5),
            fill=lambda given: given.color("fill", "fill_value"),
        ),
    ),
    **dict.fromkeys(
        ("RandomFog", "AtmosphericFog"),
        row(
            "fog",
            _LAYERS,
            strength=lambda given: within(
                given, "strength", given.ends("fog_coef_range", "fog_coef_lower", "fog_coef_upper", (0.3, 1.0)), 0, 1
            ),
            quiet="alpha_coef",
        ),
    ),
    "RandomRain": row(
        "rain",
        _LAYERS,
        amount=lambda given: _DROPS.get(given.word("rain_type", "default"), 1.7),
        angle=_slant,
        length=lambda given: (
            min(0.5, max(0.001, given.number("drop_length", 20.0) / ASSUMED_SIDE)) if given.has("drop_length") else None
        ),
        width=lambda given: given.number("drop_width", 1.0),
        dim=lambda given: given.number("brightness_coefficient", 0.7),
        quiet="blur_value drop_color",
    ),
    "RandomSnow": row(
        "snow",
        _LAYERS,
        amount=lambda given: 0 if given.word("method", "bleach") == "bleach" else None,
        whiten=lambda given: within(
            given, "whiten", given.ends("snow_point_range", "snow_point_lower", "snow_point_upper", (0.1, 0.3)), 0, 0.33
        ),
        quiet="brightness_coeff",
    ),
    "RandomShadow": row(
        "shadow",
        _LAYERS,
        count=lambda given: whole(
            given.ends("num_shadows_limit", "num_shadows_lower", "num_shadows_upper", (1.0, 2.0))
        ),
        strength=lambda given: within(given, "strength", given.pair("shadow_intensity_range", (0.5, 0.5)), 0, 1),
        region=_shadows,
    ),
    **dict.fromkeys(
        ("RandomSunFlare", "LensFlare"),
        row(
            "sun_flare",
            _LAYERS,
            size=lambda given: min(1.0, max(0.02, given.number("src_radius", 400.0) / (2.0 * ASSUMED_SIDE))),
            circles=_flares,
            quiet=_FLARE,
        ),
    ),
    "Illumination": row(
        "illumination",
        _LAYERS,
        strength=_lit("intensity_range", (0.01, 0.2)),
        shape=lambda given: _SHAPES.get(given.word("mode", "linear"), "any"),
        quiet="effect_type angle_range center_range sigma_range",
    ),
    "PlasmaBrightnessContrast": row(
        "illumination",
        "light alone, and contrast as it is",
        strength=_lit("brightness_range", (-0.3, 0.3)),
        shape=lambda given: "plasma",
        quiet="contrast_range plasma_size roughness",
    ),
    "Vignetting": row("vignette", _LAYERS, strength=_lit("intensity_range", (0.2, 0.5)), quiet="center_range"),
}
