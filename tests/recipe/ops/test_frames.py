"""Moves to other canvases: what NumPy, Pillow and plain arithmetic make of a picture."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from contents import noise_picture, rendered
from recipe_tools import drawn, plan_of, recipe_of

from augpipe.core.errors import RecipeError

PICTURE = noise_picture((64, 48), 3, 4)
SYMMETRIES = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90,
}


def made(step, copy=0, picture=PICTURE):
    plan = plan_of([step], picture.shape[1::-1], copy)
    return rendered(picture, plan.steps), *drawn(plan).values()


def test_transpose_is_numpys():
    out, _ = made("transpose")
    assert (out == PICTURE.transpose(1, 0, 2)).all()


@pytest.mark.parametrize(("group", "members"), [("d4", range(1, 9)), ("d2", range(1, 5)), ("turns", (1, 6, 3, 8))])
def test_symmetries_are_numpys_and_all_as_likely(group, members):
    found = Counter()
    for copy in range(40 * len(members)):
        (numbers,) = drawn(plan_of([{"symmetry": {"group": group}}], (64, 48), copy)).values()
        found[numbers["orientation"]] += 1
        if found[numbers["orientation"]] == 1:
            out, _ = made({"symmetry": {"group": group}}, copy)
            assert (out == SYMMETRIES[numbers["orientation"]](PICTURE)).all()
    assert set(found) == set(members)
    assert min(found.values()) > 20


def test_a_centre_crop_is_the_middle():
    out, numbers = made({"center_crop": {"size": [20, 11]}})
    assert (out == PICTURE[18:29, 22:42]).all()
    assert numbers["box_xyxy"] == [22, 18, 42, 29]
    larger, _ = made({"center_crop": {"size": [70, 48]}})
    assert (larger[:, 3:67] == PICTURE).all()
    assert not larger[:, :3].any()


def test_a_given_crop_is_in_pixels_or_in_shares():
    out, _ = made({"crop": {"box_xyxy": [5, 6, 25, 16]}})
    assert (out == PICTURE[6:16, 5:25]).all()
    out, _ = made({"crop": {"box_xyxy": [0.25, 0.5, 0.75, 1.0]}})
    assert (out == PICTURE[24:48, 16:48]).all()
    for wrong in ([5, 6, 5, 16], [0.5, 0.5, 9.5, 1.0], [1, 2, 3]):
        with pytest.raises(RecipeError, match="crop"):
            recipe_of([{"crop": {"box_xyxy": wrong}}])


def test_a_random_scale_keeps_the_shape():
    for copy in range(10):
        out, numbers = made({"random_scale": {"scale": [0.5, 2]}}, copy)
        scale = numbers["scale"]
        assert out.shape[:2] == (round(48 * scale), round(64 * scale))
        assert 0.5 <= scale <= 2


def test_scale_jitter_cuts_what_is_larger_and_pads_what_is_smaller():
    out, numbers = made({"scale_jitter": {"size": [32, 32], "scale": 1.0, "fill": [9, 8, 7]}})
    assert numbers["fitted"] == [32, 24]
    assert (out[24:] == (9, 8, 7)).all()
    assert (out[:24] != (9, 8, 7)).any(axis=2).all()
    out, numbers = made({"scale_jitter": {"size": [32, 32], "scale": 1.0, "place": "centre"}})
    assert numbers["offset"] == [0, 4]
    places = set()
    for copy in range(30):
        out, numbers = made({"scale_jitter": {"size": [32, 24], "scale": 2.0}}, copy)
        (x, y) = numbers["offset"]
        assert numbers["fitted"] == [64, 48]
        assert (out == PICTURE[-y : 24 - y, -x : 32 - x]).all()
        places.add((x, y))
    assert len(places) > 20


def test_zooming_out_puts_the_picture_on_a_larger_canvas():
    for copy in range(10):
        out, numbers = made({"zoom_out": {"scale": [1, 3], "fill": 50}}, copy)
        (w, h), (x, y) = numbers["size"], numbers["offset"]
        expected = np.full((h, w, 3), 50)
        expected[y : y + 48, x : x + 64] = PICTURE
        assert (out == expected).all()


@pytest.mark.parametrize("degrees", [0, 17, 45, 90, 133, -60, 180])
def test_a_turned_canvas_fits_or_lies_inside(degrees):
    white = np.full((48, 64, 3), 255, np.uint8)
    turn = {"degrees": [degrees, degrees]}
    fit, _ = made({"rotate": {**turn, "canvas": "fit"}}, picture=white)
    sin, cos = abs(np.sin(np.radians(degrees))), abs(np.cos(np.radians(degrees)))
    assert fit.shape[:2] == (np.ceil(64 * sin + 48 * cos - 1e-6), np.ceil(64 * cos + 48 * sin - 1e-6))
    assert (fit > 127).all(axis=2).sum() == pytest.approx(64 * 48, rel=0.02)
    inside, _ = made({"rotate": {**turn, "canvas": "inside"}}, picture=white)
    assert (inside == 255).all()
    larger = (
        {"rotate": {**turn, "canvas": "inside"}},
        {"center_crop": {"size": [inside.shape[1] + 4, inside.shape[0] + 4]}},
    )
    around = rendered(white, plan_of([larger[0], larger[1]], (64, 48)).steps)
    assert degrees in (0, 90, 180) or (around != 255).any()
    kept, _ = made({"rotate": {**turn, "canvas": "keep"}}, picture=white)
    assert kept.shape == white.shape


def test_a_stretch_keeps_the_area():
    step = {"affine": {"stretch": [0.44, 0.44]}}
    (numbers,) = drawn(plan_of([step], (64, 48))).values()
    assert numbers["stretch"] == pytest.approx(0.44)
    a, b, _, c, d, *_ = plan_of([step], (64, 48)).steps[0].matrix
    assert (a / d, a * d, b, c) == pytest.approx((1.44, 1.0, 0.0, 0.0), abs=1e-5)


@pytest.mark.parametrize(
    ("size_wh", "parameters", "expected"),
    [
        ((640, 480), {"shortest": 800, "longest": 1333}, (1067, 800)),
        ((1000, 400), {"shortest": 800, "longest": 1333}, (1333, 533)),
        ((400, 1000), {"shortest": [800], "longest": 1333}, (533, 1333)),
    ],
)
def test_a_shortest_side_with_a_cap_is_detectron2s(size_wh, parameters, expected):
    """By its ``ResizeShortestEdge``."""
    assert plan_of([{"resize": parameters}], size_wh).steps[0].size_wh == expected


def test_a_shortest_side_is_chosen_from_a_list():
    step = {"resize": {"shortest": [20, 30, 40]}}
    found = Counter(plan_of([step], (64, 48), copy).steps[0].size_wh[1] for copy in range(200))
    assert set(found) == {20, 30, 40}
    assert min(found.values()) > 40
    assert recipe_of([{"resize": {"shortest": 20}}]).canonical.count('"shortest":20') == 1
