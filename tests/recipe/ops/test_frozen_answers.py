"""What each operation draws for one picture: another answer would make another dataset of an old recipe."""

from __future__ import annotations

import pytest
from recipe_tools import drawn, frame_of, recipe_of

from augpipe.recipe.ops import OPERATIONS
from augpipe.recipe.planner import draw

FROZEN = [
    ("horizontal_flip", 1, {}),
    ("vertical_flip", 0, {}),
    ("rotate90", 0, {"times": 0}),
    ("rotate", 0, {"degrees": 9.892968}),
    ("affine", 0, {
        "rotate": 0.840352, "scale": 0.864428, "shear": -4.725218, "shear_y": 0.0, "translate": [0.048042, 0.085423],
    }),
    ("perspective", 0, {"corners": [
        [-4.08442, -1.187009], [644.020678, 9.836447], [642.76846, 483.199222], [-2.69017, 472.333469],
    ]}),
    ("resize", 0, {"size": [640, 480]}),
    ("pad", 0, {"offset": [0, 80], "size": [640, 640]}),
    ("letterbox", 0, {"offset": [0, 80], "fitted": [640, 480]}),
    ("random_crop", 0, {"box_xyxy": [72, -27, 584, 485]}),
    ("random_resized_crop", 0, {"box_xyxy": [33, 0, 469, 480]}),
    ("bbox_safe_crop", 0, {"box_xyxy": [41, 101, 342, 315]}),
    ("brightness_contrast", 0, {"brightness": 1.055398, "contrast": 1.12034}),
    ("color_jitter", 0, {"brightness": 1.119573, "contrast": 0.941246, "saturation": 1.087663, "hue": -0.03969}),
    ("gamma", 0, {"amount": 0.959826}),
    ("to_gray", 4, {}),
    ("gaussian_blur", 0, {"sigma": 1.060209}),
    ("gaussian_noise", 0, {"std": 6.827747}),
    ("erase", 0, {"boxes_xyxy": [[450, 239, 631, 387], [3, 380, 149, 458]]}),
    ("jpeg", 0, {"quality": 47}),
    ("hsv", 0, {"hue": -0.008054, "saturation": 1.153297, "value": 0.781736}),
    ("photometric_distort", 0, {"contrast": 0.692753, "saturation": 0.989479, "contrast_first": False}),
    ("rgb_shift", 0, {"red": -9.032367, "green": 15.489529, "blue": -1.323247}),
    ("color_temperature", 0, {"kelvin": 10627.611017}),
    ("channel_shuffle", 36, {"order": [2, 1, 0]}),
    ("channel_dropout", 0, {"channels": ["blue"]}),
    ("sepia", 0, {"amount": 0.781454}),
    ("invert", 13, {}),
    ("posterize", 0, {"bits": 3}),
    ("solarize", 0, {"threshold": 193.104116}),
    ("tone_curve", 0, {"shadows": -0.007621, "lights": -0.135318}),
    ("box_blur", 0, {"size": 5}),
    ("median_blur", 0, {"size": 5}),
    ("motion_blur", 0, {"length": 3.190778, "angle": 284.89768, "lean": 0.0}),
    ("defocus", 0, {"radius": 3.364118}),
    ("sharpen", 0, {"amount": 1.281411}),
    ("emboss", 0, {"amount": 0.316006}),
    ("downscale", 0, {"factor": 2}),
    ("transpose", 0, {}),
    ("symmetry", 0, {"orientation": 1}),
    ("random_scale", 0, {"scale": 1.274101, "size": [815, 612]}),
    ("center_crop", 0, {"box_xyxy": [64, -16, 576, 496]}),
    ("crop", 0, {"box_xyxy": [64, 48, 576, 432]}),
    ("scale_jitter", 0, {"scale": 1.442851, "fitted": [923, 693], "offset": [-10, -29]}),
    ("zoom_out", 1, {"size": [1710, 1282], "offset": [778, 390]}),
    ("shot_noise", 0, {"strength": 0.12731}),
    ("iso_noise", 0, {"strength": 0.344803}),
    ("speckle_noise", 0, {"std": 0.139711}),
    ("salt_and_pepper", 0, {"amount": 0.024894}),
    ("pixel_dropout", 0, {"amount": 0.028212}),
    ("iou_crop", 0, {"least": 0.9, "box_xyxy": [0, 0, 640, 480]}),
    ("object_crop", 0, {"box_xyxy": [0, 45, 437, 393], "object": 0}),
    ("grid_dropout", 0, {"unit": 81, "side": 41, "origin": [-74, 0]}),
    ("object_cutout", 0, {"boxes_xyxy": [[120, 175, 187, 239]]}),
    ("equalize", 9, {}),
    ("autocontrast", 0, {}),
    ("clahe", 0, {"clip": 1.901849}),
    ("fog", 0, {"strength": 0.289041}),
    ("rain", 0, {"amount": 0.500714, "length": 0.058534, "angle": 13.836732, "width": 1.955152, "dim": 0.9}),
    ("snow", 0, {"amount": 1.262165, "whiten": 0.033521}),
    ("shadow", 0, {"strength": 0.474021, "count": 2}),
    ("sun_flare", 0, {"strength": 0.428519, "place": [425.084534, 139.522835], "radius": 174.422434, "circles": 5}),
    ("vignette", 0, {"strength": 0.21197}),
    ("illumination", 0, {"strength": 0.112288, "shape": "plasma"}),
    ("shear", 0, {"x": 0.035367, "y": -0.177459}),
    ("translate", 0, {"x": 0.005296, "y": -0.084106}),
    ("sharpness", 0, {"change": -0.71592}),
    ("cutout", 0, {"box_xyxy": [533, 84, 597, 148]}),
    ("elastic", 0, {"strength": 0.029585}),
    ("grid_distortion", 0, {
        "columns": [0.0, 0.185217, 0.420332, 0.621214, 0.807253, 1.0],
        "rows": [0.0, 0.164192, 0.322334, 0.520571, 0.741528, 1.0],
    }),
    ("optical_distortion", 0, {"k": -0.175648, "center": [0.027807, -0.044024]}),
]  # fmt: skip


def test_every_operation_has_a_frozen_answer():
    assert sorted(name for name, _, _ in FROZEN) == sorted(OPERATIONS)


@pytest.mark.parametrize(("name", "copy", "parameters"), FROZEN, ids=[name for name, _, _ in FROZEN])
def test_frozen_answers(name, copy, parameters):
    recipe = recipe_of(f"- {OPERATIONS[name].example}")
    plan = draw(recipe, frame_of(boxes=[(100, 120, 300, 260)]), 5, copy)
    assert drawn(plan) == {name: parameters}
