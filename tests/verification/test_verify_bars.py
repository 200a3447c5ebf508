"""`augpipe verify` on bars that later steps leave alone, windows of a drawn shape, and resizes in one direction."""

from __future__ import annotations

import io

import numpy as np
import pytest
from forge import forged
from PIL import Image
from runs import recipe_of, run
from verifying import problems, verified

from augpipe.pixels.codec.image import PictureFormat

NEW = """
version: 1
labels: {min_visibility: 0.1}
steps:
  - bbox_safe_crop: {ratio: [0.8, 1.25], p: 0.5}
  - resize: {longest: 90, only: shrink}
  - letterbox: {size: 96, fill: [10, 200, 60], fill_after: true}
  - color_jitter
  - horizontal_flip: {p: 0.5}
  - gaussian_noise: {std: 6}
  - random_crop: {scale: [0.6, 1], ratio: [0.75, 1.5], p: 0.5}
  - gaussian_blur
  - rotate: {degrees: 10, p: 0.5}
  - erase: {count: [1, 2], p: 0.5}
  - jpeg: {quality: [50, 90]}
"""


@pytest.fixture(scope="module")
def finished(coco, tmp_path_factory):
    out = tmp_path_factory.mktemp("verify") / "out"
    run(coco, out, recipe_of(NEW), copies=2, seed=2, limit=4, picture=PictureFormat("png", 90, "none"))
    return out


def test_what_uses_the_new_parameters_is_accepted(coco, finished):
    verdict = verified(finished, coco)
    assert problems(verdict) == []
    assert verdict.checked == verdict.samples == 8


def test_the_plan_says_the_bars_and_their_pixels_are_the_fill(finished, tmp_path):
    seen = 0

    def look(samples):
        nonlocal seen
        for record, members in samples.values():
            bars = record["plan"]["steps"][-1]
            if bars["kind"] != "bars":
                continue  # a crop without any
            assert bars["fill"] == [10, 200, 60]
            corners = np.array(bars["region"])
            if len(np.unique(corners[:, 0])) != 2:
                continue  # turned
            (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
            picture = np.array(Image.open(io.BytesIO(members["png"])))
            y, x = np.indices(picture.shape[:2]) + 0.5
            outside = (x < x0) | (x > x1) | (y < y0) | (y > y1)
            assert (picture[outside] == (10, 200, 60)).all()
            seen += bool(outside.any())

    forged(finished, tmp_path / "same", look)
    assert seen > 1


def bars_painted_black(samples):
    """In the pictures alone, as if nothing had painted them again."""
    for _, members in samples.values():
        picture = np.array(Image.open(io.BytesIO(members["png"])))
        picture[(picture == (10, 200, 60)).all(axis=-1)] = 0
        out = io.BytesIO()
        Image.fromarray(picture).save(out, "png")
        members["png"] = out.getvalue()


def last_bars_left_out(samples):
    """In the plans, with pictures that go by them no more."""
    for record, _ in samples.values():
        if record["plan"]["steps"][-1]["kind"] == "bars":
            record["plan"]["steps"].pop()


def bars_of_another_color(samples):
    for record, _ in samples.values():
        if record["plan"]["steps"][-1]["kind"] == "bars":
            record["plan"]["steps"][-1]["fill"] = [10, 200, 61]


def another_window(samples):
    for record, _ in samples.values():
        for step in record["plan"]["steps"]:
            if step["kind"] == "warp":
                step["matrix"][2] -= 1.0
                break


@pytest.mark.parametrize(
    ("sabotage", "expected"),
    [
        (bars_painted_black, "picture"),
        (last_bars_left_out, "its plan is not the one that recipe and seed lead to"),
        (bars_of_another_color, "its plan is not the one that recipe and seed lead to"),
        (another_window, "its plan is not the one that recipe and seed lead to"),
    ],
)
def test_sabotage_is_noticed(coco, finished, tmp_path, sabotage, expected):
    verdict = verified(forged(finished, tmp_path / "forged", sabotage), coco)
    assert not verdict.ok
    assert any(expected in problem for problem in problems(verdict))


def test_any_number_of_workers_makes_the_same_bytes(coco, finished, tmp_path):
    out = tmp_path / "two"
    run(coco, out, recipe_of(NEW), copies=2, seed=2, limit=4, picture=PictureFormat("png", 90, "none"), workers=2)
    shards = sorted(finished.glob("*.tar"))
    assert shards
    assert [p.read_bytes() for p in shards] == [(out / p.name).read_bytes() for p in shards]
