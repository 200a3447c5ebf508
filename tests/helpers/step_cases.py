"""The steps that every backend is tested with: each move, border, colour and region, on odd sizes."""

from __future__ import annotations

from augpipe.core import color
from augpipe.core import geometry as g
from augpipe.core.plan import Matrix3x4
from augpipe.pixels.steps.warp import Warp

SIZES = [(37, 23), (1, 9), (9, 1), (17, 64), (65, 31), (2, 2)]
BORDERS = ["constant", "replicate", "reflect", "wrap"]
FILL = (10, 200, 60)

EXACT = {
    "nothing": lambda w, h: (g.IDENTITY, (w, h)),
    "flip x": lambda w, h: (g.mirror_x(w), (w, h)),
    "flip y": lambda w, h: (g.mirror_y(h), (w, h)),
    "quarter": lambda w, h: (g.quarter_turns(1, (w, h)), (h, w)),
    "half": lambda w, h: (g.quarter_turns(2, (w, h)), (w, h)),
    "three quarters": lambda w, h: (g.quarter_turns(3, (w, h)), (h, w)),
    "transpose": lambda w, h: (g.upright(5, (w, h)), (h, w)),
    "transverse": lambda w, h: (g.upright(7, (w, h)), (h, w)),
    "crop": lambda w, h: (g.translation(-5.0, -3.0), (w, h)),
    "crop of rows": lambda w, h: (g.translation(0.0, -1.0), (w, max(1, h - 2))),
    "pad beyond twice the picture": lambda w, h: (g.translation(7.0, 50.0), (3 * w + 20, 3 * h + 120)),
    "picture left behind": lambda w, h: (g.translation(-300.0, 20.0), (w + 5, h + 9)),
    "picture not reached": lambda w, h: (g.translation(90.0, -1.0), (w, h)),
    "turn, crop and pad": lambda w, h: (g.then(g.quarter_turns(1, (w, h)), g.translation(-3.0, 4.0)), (h + 2, w + 3)),
}


def _centred(w, h, linear):
    return g.about((w / 2, h / 2), linear)


def _perspective(w, h, *corners):
    return g.then(g.scaling(1 / w, 1 / h), g.square_to_quad([(x * w, y * h) for x, y in corners]))


# name: (w, h) → (map, canvas, reduce)
WARPS = {
    "rotation": lambda w, h: (_centred(w, h, g.rotation(17.3)), (w, h), (1, 1)),
    "eighth turn": lambda w, h: (_centred(w, h, g.rotation(-45.0)), (w + 5, h + 2), (1, 1)),
    "shear": lambda w, h: (g.shearing(12.0, 5.0), (w + 10, h + 3), (1, 1)),
    "half a pixel": lambda w, h: (g.translation(0.5, -1.5), (w + 2, h), (1, 1)),
    "upscale": lambda w, h: (g.scaling(2.7, 1.9), (round(w * 2.7), round(h * 1.9)), (1, 1)),
    "upscale on ties": lambda w, h: (g.scaling(32.0, 1.0), (w * 32, h), (1, 1)),
    "downscale 2": lambda w, h: (g.scaling(0.5, 0.5), ((w + 1) // 2, (h + 1) // 2), (2, 2)),
    "downscale 3, 2": lambda w, h: (_centred(w, h, g.then(g.rotation(5.0), g.scaling(0.34, 0.55))), (w, h), (3, 2)),
    "downscale 5": lambda w, h: (g.scaling(0.2, 0.19), (w // 5 + 2, h // 5 + 2), (5, 5)),
    "downscale as it is": lambda w, h: (g.scaling(0.4, 0.7), (w, h), (1, 1)),
    "perspective": lambda w, h: (_perspective(w, h, (0.1, 0), (1, 0.2), (0.9, 1), (-0.1, 0.8)), (w, h), (1, 1)),
    "perspective, shrunk": lambda w, h: (
        _perspective(w, h, (0.1, 0), (0.4, 0.1), (0.5, 0.6), (0, 0.5)),
        (w, h),
        (2, 2),
    ),
}


def warps(size_wh, border):
    """Every map of WARPS as a step."""
    for make in WARPS.values():
        matrix, canvas_wh, reduce = make(*size_wh)
        yield Warp(matrix=g.rounded(matrix), size_wh=canvas_wh, border=border, fill=FILL, reduce=reduce)


def random_matrix(rng):
    rows = color.merge(
        color.saturation_hue(rng.uniform(0.0, 2.0), rng.uniform(-0.5, 0.5)), color.contrast(rng.uniform(0.2, 3.0))
    )
    return Matrix3x4(tuple(float(v) for v in color.on_grid(rows)))


REGIONS = {
    "upright": ((1.0, 2.0), (8.0, 2.0), (8.0, 6.0), (1.0, 6.0)),
    "upright, off the grid": ((0.4, 0.6), (5.3, 0.6), (5.3, 3.7), (0.4, 3.7)),
    "upright, mirrored": ((8.0, 2.0), (1.0, 2.0), (1.0, 6.0), (8.0, 6.0)),
    "beyond the canvas": ((-5.0, -5.0), (900.0, -5.0), (900.0, 900.0), (-5.0, 900.0)),
    "beside the canvas": ((-9.0, 0.0), (-2.0, 0.0), (-2.0, 9.0), (-9.0, 9.0)),
    "clockwise": ((1.0, 1.0), (30.0, 9.0), (12.0, 20.0)),
    "anticlockwise": ((1.0, 1.0), (12.0, 20.0), (30.0, 9.0)),
    "turned": ((-5.0, 2.0), (3.0, -9.0), (40.0, 3.0), (9.0, 50.0)),
    "empty": (),
}
