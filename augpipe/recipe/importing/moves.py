"""Flips, turns, maps and meshes of Albumentations."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from augpipe.recipe.importing.given import ASSUMED_SIDE, Given, Pair, Unreadable
from augpipe.recipe.importing.rows import Row, Step, plus, row, times, within

_MOST_PULL = 0.24
_NO = (0.0, 0.0)


def _degrees(given: Given) -> Pair:
    return times(given.span("limit", (-90.0, 90.0)), -1.0)  # positive is counter-clockwise there


def _joined(given: Given, first: Pair, second: Pair, what: str) -> Pair:
    """One range for two axes."""
    if first != second:
        given.note(f"one range for both axes of {what}")
    return min(first[0], second[0]), max(first[1], second[1])


def _axes(given: Given, name: str, default: Pair, first_alone: bool = False) -> tuple[Pair, Pair]:
    """(x, y) of ``{x: …, y: …}``, or of one value for both; ``first_alone``: for x alone."""
    if isinstance(given.raw(name), dict):
        both = given.below(name)
        return both.span("x", default), both.span("y", default)
    one = given.span(name, default)
    return one, default if first_alone else one


def _scale(given: Given) -> dict[str, Pair]:
    if not isinstance(given.raw("scale"), dict):
        one = given.pair("scale", (1.0, 1.0))
        x, y = one, one
        together = True
    else:
        both = given.below("scale")
        x, y = both.pair("x", (1.0, 1.0)), both.pair("y", (1.0, 1.0))
        together = x == y and (x[0] == x[1] or given.flag("keep_ratio", False))
    if x[0] <= 0.0 or y[0] <= 0.0:
        raise Unreadable("scale: expected factors above 0")
    scale = {"scale": within(given, "scale", ((x[0] * y[0]) ** 0.5, (x[1] * y[1]) ** 0.5), 0.01, 100)}
    if together:
        return {} if scale["scale"] == (1.0, 1.0) else scale
    given.note("width against height is drawn evenly about what theirs can be")
    stretch = within(given, "stretch", (x[0] / y[1] - 1.0, x[1] / y[0] - 1.0), -0.9, 0.9)
    return {**scale, "stretch": stretch}


def _translate(given: Given) -> Pair:
    if given.has("translate_percent"):
        given.quiet("translate_px")
        x, y = _axes(given, "translate_percent", _NO)
        return within(given, "translate", _joined(given, x, y, "translate"), -1, 1)
    x, y = _axes(given, "translate_px", _NO)
    if (x, y) == (_NO, _NO):
        return _NO
    given.note(f"pixels are written as shares of a side of {ASSUMED_SIDE}")
    return within(given, "translate", times(_joined(given, x, y, "translate"), 1.0 / ASSUMED_SIDE), -1, 1)


def _affine(given: Given, sign: float = -1.0) -> Sequence[Step]:
    """``sign`` of angles, which are counter-clockwise in Albumentations and clockwise in imgaug."""
    given.quiet("keep_ratio", "balanced_scale")
    shear, shear_y = (times(angles, sign) for angles in _axes(given, "shear", _NO, first_alone=True))
    made: dict[str, Pair] = {"rotate": times(given.span("rotate", _NO), sign), "translate": _translate(given)}
    made = {**made, "shear": shear, "shear_y": shear_y}
    if made["rotate"] != _NO and (shear, shear_y) != (_NO, _NO):
        given.note("shear and turn go together in another way")
    if given.flag("fit_output", False):
        given.note("the canvas stays as it is")
    if given.has("balanced_scale") and given.flag("balanced_scale", False):
        given.note("scales are drawn evenly")
    return [("affine", {**{k: v for k, v in made.items() if v != _NO}, **_scale(given)} or {"rotate": _NO})]


def _shift_scale_rotate(given: Given) -> Sequence[Step]:
    if given.has("shift_limit_x") or given.has("shift_limit_y"):
        given.quiet("shift_limit")
        x, y = given.span("shift_limit_x", _NO), given.span("shift_limit_y", _NO)
    else:
        x = y = given.span("shift_limit", (-0.0625, 0.0625))
    return [
        (
            "affine",
            {
                "rotate": times(given.span("rotate_limit", (-45.0, 45.0)), -1.0),
                "scale": within(given, "scale", plus(given.span("scale_limit", (-0.1, 0.1)), 1.0), 0.01, 100),
                "translate": within(given, "translate", _joined(given, x, y, "translate"), -1, 1),
            },
        )
    ]


def _pull(given: Given) -> Pair:
    if not given.flag("keep_size", True) or given.flag("fit_output", False):
        given.note("the canvas stays as it is")
    low, high = given.pair("scale", (0.05, 0.1))
    if not isinstance(given.raw("scale"), list):  # one number is (0, s) there
        low = 0.0
    return within(given, "scale", (1.5 * low, 1.5 * high), 0, _MOST_PULL)


def _flips(given: Given) -> Sequence[Step]:
    flips = [{"horizontal_flip": {}}, {"vertical_flip": {}}, {"rotate90": {"times": 2}}]
    return [("one_of", {"steps": flips})]


# --- meshes ----------------------------------------------------------------------------------------------------------

# The deviation of our displacements as a share of `strength`: √(1/3) is that of control points, which are drawn evenly;
# the B-spline leaves √(151/315) of it for each axis, by the mean of the squares of its weights.
_SPREAD = math.sqrt(1.0 / 3.0) * 151.0 / 315.0
_CELL = math.sqrt(3.0)  # a cell of the B-spline is as wide as a Gaussian of that part of it
_EVEN, _NORMAL = math.sqrt(1.0 / 3.0), 0.21  # of even noise in ±1, and of normal noise divided by its peak


def _elastic(given: Given) -> Sequence[Step]:
    """Noise of ±alpha that a Gaussian of sigma has smoothed: its deviation falls by 2·√π·sigma."""
    alpha, sigma = abs(given.number("alpha", 1.0)), given.number("sigma", 50.0)
    given.quiet("approximate")
    if sigma <= 0.0:
        raise Unreadable("sigma: expected a number above 0")
    evenly = given.version < (2,) or given.word("noise_distribution", "gaussian") == "uniform"
    if given.flag("same_dxdy", False):
        given.note("both axes are drawn")
    moved = alpha * (_EVEN if evenly else _NORMAL) / (2.0 * math.sqrt(math.pi) * sigma)
    given.note(f"a spline of control points, for pictures with a side of {ASSUMED_SIDE}")
    if moved < 0.1:
        given.note(f"that moves pixels by {moved:.1g}")
    return _splined(given, (moved / ASSUMED_SIDE,) * 2, ASSUMED_SIDE / (_CELL * sigma))


def _splined(given: Given, deviation: Pair, cells: float) -> Sequence[Step]:
    """``deviation`` of displacements as a share of the side."""
    strength = within(given, "strength", times(deviation, 1.0 / _SPREAD), 0.0, 0.2)
    return [("elastic", {"strength": strength, "nodes": min(16, max(4, round(cells) + 3))})]


def _piecewise(given: Given) -> Sequence[Step]:
    """Points of a grid that move by a normal distribution, with straight lines between them."""
    scale = given.pair("scale", (0.03, 0.05))
    given.note("a spline of control points that move as far; version 2 draws all points inwards, too")
    if given.flag("absolute_scale", False):
        given.note(f"pixels are written as shares of a side of {ASSUMED_SIDE}")
        scale = times(scale, 1.0 / ASSUMED_SIDE)
    rows, columns = given.pair("nb_rows", (4, 4)), given.pair("nb_cols", (4, 4))
    third = 1.0 if given.version < (2,) else 1.0 / 3.0
    return _splined(given, times(scale, third * 2.0 / 3.0), (sum(rows) + sum(columns)) / 4.0 - 1.0)


def _grid(given: Given) -> Sequence[Step]:
    if not given.flag("normalized", given.version >= (2,)):
        given.note("the picture's edges stay where they are")
    steps = within(given, "steps", (given.whole("num_steps", 5),) * 2, 2, 12)[0]
    limit = within(given, "limit", given.span("distort_limit", (-0.3, 0.3)), -0.5, 0.5)
    return [("grid_distortion", {"steps": int(steps), "limit": limit})]


def _lens(given: Given) -> Sequence[Step]:
    """By OpenCV's camera r² is at most 1/2, in widths and heights, and has k·(r² + r⁴); the other mode is ours."""
    limit = given.span("distort_limit", (-0.05, 0.05))
    if given.word("mode", "camera") == "camera":
        given.note("as strong in the corners, where theirs has a term of the fourth power")
        limit = times(limit, 0.75)
    shift = given.span("shift_limit", _NO)  # whole pixels
    if max(map(abs, shift)) <= 0.5:
        shift = _NO
    else:
        given.note(f"pixels are written as shares of a side of {ASSUMED_SIDE}")
    center = within(given, "center", times(shift, 1.0 / ASSUMED_SIDE), -0.5, 0.5)
    return [("optical_distortion", {"k": within(given, "k", limit, -0.6, 0.6), "center": center})]


_PULLED = "theirs pulls corners inwards by a normal distribution, ours evenly to all sides"

MOVES: dict[str, Row] = {
    **dict.fromkeys(("HorizontalFlip", "IAAFliplr"), row("horizontal_flip")),
    **dict.fromkeys(("VerticalFlip", "IAAFlipud"), row("vertical_flip")),
    "Transpose": row("transpose"),
    "RandomRotate90": row("rotate90", times=lambda given: [0, 1, 2, 3]),
    **dict.fromkeys(("D4", "SquareSymmetry"), row("symmetry", always=True, group=lambda given: "d4")),
    "Flip": Row(_flips),
    "Rotate": row(
        "rotate",
        moves=True,
        degrees=_degrees,
        canvas=lambda given: "inside" if given.flag("crop_border", False) else None,
    ),
    "SafeRotate": row(
        "rotate",
        "the canvas grows, theirs keeps its size and shrinks the picture",
        moves=True,
        degrees=_degrees,
        canvas=lambda given: "fit",
    ),
    "ShiftScaleRotate": Row(_shift_scale_rotate, moves=True),
    "Affine": Row(_affine, moves=True),
    "IAAAffine": Row(functools.partial(_affine, sign=1.0), moves=True),
    **dict.fromkeys(
        ("Perspective", "IAAPerspective"), row("perspective", _PULLED, moves=True, scale=_pull, quiet="keep_size")
    ),
    "ElasticTransform": Row(_elastic, moves=True),
    "GridDistortion": Row(_grid, "a spline rounds the cuts", moves=True),
    "OpticalDistortion": Row(_lens, moves=True),
    **dict.fromkeys(("PiecewiseAffine", "IAAPiecewiseAffine"), Row(_piecewise, moves=True)),
}
