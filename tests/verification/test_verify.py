"""`augpipe verify` accepts what augment writes, in every format, and any selection of it."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from builders import photo
from runs import recipe_of, run
from shard_folder import sample as shard_sample
from shard_folder import thing, write_folder
from verifying import CUTTING, STRONG, problems, verified

from augpipe.verification import Verdict, open_source, verify
from augpipe.verification.run import Chosen, reading_of

OWN_RULES = """
version: 1
labels:
  erased: cut
  min_visibility: 0.3
  classes: {dog: {truncated: drop}, zebra: {box: ellipse, min_side: 12}}
steps:
  - affine: {rotate: [-30, 30], translate: 0.2, p: 0.7}
  - erase: {count: [1, 3], area: [0.05, 0.25]}
"""
LAYERS = """
version: 1
labels: {min_visibility: 0.2, box: ellipse}
steps:
  - horizontal_flip: {p: 0.5}
  - rotate: {degrees: [-20, 20]}
  - gaussian_blur: {sigma: 0.6}
  - letterbox: {size: 90}
  - random_crop: {size: [60, 50], p: 0.5}
  - erase: {count: [1, 2], area: [0.05, 0.2]}
  - rotate90: {times: [0, 1, 2, 3]}
  - gaussian_noise: {std: 5}
  - affine: {rotate: [-10, 10]}
"""


def kinds(verdict: Verdict) -> set[str]:
    return {row.kind for row in verdict.rows}


@pytest.mark.parametrize("text", [STRONG, LAYERS, OWN_RULES, "detection", "keypoints"])
def test_a_coco_run_is_accepted(coco, tmp_path, text):
    recipe = text if "\n" not in text else recipe_of(text)
    run(coco, tmp_path / "out", recipe, seed=2, originals=True)
    verdict = verified(tmp_path / "out", coco)
    assert problems(verdict) == []
    assert verdict.checked == verdict.samples == 8 * 2
    assert {"box polygon", "box mask", "polygon", "mask", "keypoints", "visible", "picture", "box source"} <= kinds(
        verdict
    )


@pytest.mark.parametrize(
    ("text", "kind"), [(STRONG, "box corners"), (LAYERS, "box ellipse"), (OWN_RULES, "box ellipse")]
)
def test_a_voc_run_is_accepted(voc, tmp_path, text, kind):
    run(voc, tmp_path / "out", recipe_of(text), seed=2, picture=png())
    verdict = verified(tmp_path / "out", voc)
    assert problems(verdict) == []
    assert kind in kinds(verdict)
    assert max(row.worst for row in verdict.rows if row.kind == "picture") < 0.05  # no JPEG in between


def png():
    from augpipe.pixels.codec.image import PictureFormat

    return PictureFormat("png", 90, "none")


def test_masks_and_classes_are_accepted(masks_folder, classes_folder, tmp_path):
    for source, recipe in (
        (masks_folder, STRONG),
        (masks_folder, LAYERS),
        (masks_folder, CUTTING),
        (classes_folder, LAYERS),
    ):
        out = tmp_path / f"{source.parent.name}{len(recipe)}"
        run(source, out, recipe_of(recipe), copies=2, seed=3)
        verdict = verified(out, source)
        assert problems(verdict) == []
        assert verdict.checked == verdict.samples


@pytest.mark.parametrize("text", [STRONG, LAYERS, CUTTING])
def test_parts_and_rasters_are_accepted(layered, tmp_path, text):
    run(layered, tmp_path / "out", recipe_of(text), copies=2, seed=1)
    verdict = verified(tmp_path / "out", layered)
    assert problems(verdict) == []
    assert {"semantic", "instance", "parts"} <= kinds(verdict)


@pytest.mark.parametrize("text", [STRONG, LAYERS])
def test_oriented_boxes_are_accepted(tmp_path, text):
    rows = []
    for i in range(4):
        angle, (w, h) = 0.4 + 0.6 * i, (34, 14)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        corners = np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2 @ turn + (50, 40)
        low, high = corners.min(axis=0), corners.max(axis=0)
        box = [*np.maximum(low, 0).tolist(), *np.minimum(high, (100, 80)).tolist()]
        rows.append(shard_sample(i, photo((100, 80), i), objects=[thing(1, box, obb=corners.tolist())]))
    source = write_folder(tmp_path / "src", rows)
    run(source, tmp_path / "out", recipe_of(text), copies=2, seed=1)
    verdict = verified(tmp_path / "out", source)
    assert problems(verdict) == []
    assert {"obb", "box obb"} <= kinds(verdict)


def test_processes_and_a_selection_come_to_the_same(coco, tmp_path):
    run(coco, tmp_path / "out", recipe_of(STRONG), copies=2)
    dataset = open_source(str(coco), tmp_path / "out")
    one, two = (verify(tmp_path / "out", dataset, workers=n) for n in (0, 2))
    assert one == two
    some = verify(tmp_path / "out", dataset, workers=0, most=5)
    assert (some.ok, some.checked, some.samples) == (True, 5, 16)


@pytest.mark.parametrize(
    ("most", "total"), [(1, 1), (1, 10), (3, 10), (7, 10), (10, 10), (99, 10), (999, 1000), (5, 0)]
)
def test_a_selection_has_as_many_as_asked_for_evenly_spread(most, total):
    chosen = [number for number in range(total) if number in Chosen(most, total)]
    assert len(chosen) == min(most, total)
    gaps = {b - a for a, b in pairwise([*chosen, total])}
    assert not gaps or max(gaps) - min(gaps) <= 1
    assert not chosen or chosen[0] == 0


def test_pictures_are_read_up_to_the_size_that_the_run_allowed(coco, tmp_path):
    run(coco, tmp_path / "out", "gentle", limit=1, max_pixels=90_000_000)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert reading_of(open_source(str(coco), tmp_path / "out"), manifest, None).max_pixels == 90_000_000
