"""What is right is accepted, however the recipe shrinks, zooms, cuts and paints: no alarm is false."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import (
    SHARED,
    coco,
    image,
    needs,
    object_xml,
    photo,
    rle_json,
    row,
    voc_xml,
    write_json,
    write_picture,
    write_voc,
)
from runs import recipe_of, run
from shard_folder import sample as shard_sample
from shard_folder import thing, write_folder
from verifying import problems, verified

ZOOM = """
version: 1
labels: {box: %s}
steps:
  - horizontal_flip: {cut: true}
  - affine: {rotate: [-60, 60], scale: [2, 3], shear: [-40, 40], translate: 0.3}
"""
TINY = """
version: 1
labels: {min_side: 0, min_area: 0}
steps:
  - affine: {rotate: [-90, 90]}
  - resize: {size: [37, 23]}
"""
CORNER = """
version: 1
labels: {erased: cut, min_visibility: 0.05}
steps:
  - erase: {count: [1, 4], area: [0.02, 0.2]}
  - random_resized_crop: {size: [500, 300], scale: [0.01, 0.1]}
  - perspective: {scale: [0.1, 0.24]}
  - letterbox: {size: 200}
  - rotate: {degrees: 180}
"""
REAL = {
    "tiny": TINY,
    "corner": CORNER,
    "nest": """
version: 1
border: reflect
labels: {min_visibility: 0.5, erased: cut, truncated: drop}
steps:
  - one_of:
      - all_of:
          - vertical_flip
          - one_of:
              - rotate90
              - random_crop: {size: [200, 150]}
              - bbox_safe_crop: {size: [160, 160]}
      - perspective: {scale: [0.02, 0.2], cut: true}
      - pad: {multiple: 64, place: top_left}
  - rotate: {degrees: 30, cut: true}
  - erase: {count: [0, 2], area: [0.05, 0.4]}
  - affine: {scale: [0.2, 0.8], rotate: 180}
""",
}


@pytest.mark.parametrize("box", ["ellipse", "corners"])
def test_a_large_box_that_the_frame_cuts_on_all_sides(tmp_path, box):
    """Samples of it lie many pixels apart where it is zoomed, and no corner of it can be seen."""
    write_voc(tmp_path / "voc", {"a": voc_xml(object_xml("cat", (41, 5, 683, 917)), size=(768, 960))}, pictures=None)
    write_picture(tmp_path / "voc" / "JPEGImages" / "a.jpg", (768, 960))
    run(tmp_path / "voc", tmp_path / "out", recipe_of(ZOOM % box), copies=8, seed=11)
    verdict = verified(tmp_path / "out", tmp_path / "voc")
    assert problems(verdict) == []
    (row,) = [row for row in verdict.rows if row.kind == f"box {box}"]
    assert row.worst < 0.6


@pytest.mark.parametrize("off", [2.0, -2.0])
def test_a_large_box_that_is_loose_or_cuts_its_object_is_noticed(tmp_path, off):
    """Between samples that lie three pixels apart, two pixels are not lost."""
    from forge import forged

    write_voc(tmp_path / "voc", {"a": voc_xml(object_xml("cat", (141, 105, 583, 817)), size=(768, 960))}, pictures=None)
    write_picture(tmp_path / "voc" / "JPEGImages" / "a.jpg", (768, 960))
    turn = "version: 1\nsteps:\n- affine: {rotate: [5, 10], scale: 0.9}\n"
    run(tmp_path / "voc", tmp_path / "out", recipe_of(turn), seed=1)

    def change(samples):
        (row,) = next(iter(samples.values()))[0]["objects"]
        x0, y0, x1, y1 = row["box_xyxy"] = [*row["box_xyxy"][:3], row["box_xyxy"][3] + off]
        row["area"] = round((x1 - x0) * (y1 - y0), 3)

    found = problems(verified(forged(tmp_path / "out", tmp_path / "forged", change), tmp_path / "voc"))
    assert [line for line in found if line.startswith("box corners: 2.0")] != [], found


def test_the_ellipse_of_a_large_box_has_64_points(tmp_path):
    """Their box is up to 0.6 thousandths of its side too small on each side, which is more than a pixel here."""
    xml = voc_xml(object_xml("cat", (51, 51, 2350, 2350)), size=(2400, 2400))
    write_voc(tmp_path / "voc", {"a": xml}, pictures=None)
    write_picture(tmp_path / "voc" / "JPEGImages" / "a.jpg", (2400, 2400))
    recipe = "version: 1\nlabels: {box: ellipse}\nsteps: [{rotate: {degrees: [2.8, 2.9]}}]\n"
    run(tmp_path / "voc", tmp_path / "out", recipe_of(recipe), seed=1)
    assert problems(verified(tmp_path / "out", tmp_path / "voc")) == []


def test_one_small_box_that_bars_cut_is_not_shifted(tmp_path):
    """A sample of the source is more than a pixel of the result: where such a box ends is not known to a tenth."""
    write_voc(tmp_path / "voc", {"a": voc_xml(object_xml("cat", (2, 2, 5, 6)), size=(7, 8))}, pictures=None)
    write_picture(tmp_path / "voc" / "JPEGImages" / "a.jpg", (7, 8))
    recipe = """
version: 1
labels: {box: ellipse}
steps:
  - affine: {translate: 0.5}
  - letterbox: {size: 60}
  - rotate: {degrees: 40}
"""
    for seed in range(12):
        run(tmp_path / "voc", tmp_path / str(seed), recipe_of(recipe), seed=seed)
        assert problems(verified(tmp_path / str(seed), tmp_path / "voc")) == []


def thin_things(folder: Path) -> Path:
    """Polygons that are a sliver once they are small, and masks of single pixels far apart."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(6):
        lines = [[x, y, x + 60.0, y + 2.5, x + 60.0, y + 3.0] for x, y in rng.uniform(10, 200, (8, 2)).round(2)]
        dust = (rng.random((280, 320)) < 0.01).astype(np.uint8)
        dust[40:90, 50:120] = 1
        columns = np.flatnonzero(dust.any(axis=0))
        box = [int(columns[0]), int(np.flatnonzero(dust.any(axis=1))[0]), int(columns[-1]) + 1, 280]
        things = [thing(1, (x, y, x + 60.0, y + 3.0), segmentation=[ring]) for ring in lines for x, y in [ring[:2]]]
        dusty = thing(2, box, segmentation=rle_json(dust), iscrowd=1)
        objects = [row | {"index": n} for n, row in enumerate([*things, dusty])]
        rows.append(shard_sample(i, photo((320, 280), i), objects=objects))
    return write_folder(folder, rows)


@pytest.mark.parametrize("text", [TINY, CORNER])
def test_what_is_thinner_than_a_sample(tmp_path, text):
    source = thin_things(tmp_path / "src")
    run(source, tmp_path / "out", recipe_of(text), copies=3, seed=2)
    assert problems(verified(tmp_path / "out", source)) == []


def test_a_small_polygon_that_is_enlarged_forty_times(tmp_path):
    """Half of one of its samples is five pixels then."""
    rings = [[3.61, 1.36, 23.99, 1.36, 27.21, 2.43, 16.84, 4.22, 3.26, 5.29, 3.26, 2.07]]
    box = [3.26, 1.36, 23.95, 3.93]
    source = write_json(
        tmp_path / "set" / "x.json", coco([image(size=(30, 6))], [row(1, bbox=box, segmentation=rings)])
    )
    write_picture(tmp_path / "set" / "a.jpg", (30, 6))
    recipe = "version: 1\nsteps:\n  - resize: {size: [1200, 240]}\n"
    out = tmp_path / "out"
    run(source, out, recipe_of(recipe))
    assert problems(verified(out, source)) == []


def test_oriented_boxes_that_are_no_rectangles(tmp_path):
    """As people draw them: four corners, no right angles. What keeps angles leaves them so."""
    corners = [[30.0, 20.0], [70.5, 28.0], [66.0, 50.0], [24.0, 44.0]]
    rows = [shard_sample(0, photo((100, 80)), objects=[thing(1, (24, 20, 70.5, 50), obb=corners)])]
    source = write_folder(tmp_path / "src", rows)
    turns = "version: 1\nsteps: [%s, {rotate90: {p: 0.5}}, {affine: {rotate: 20, scale: [0.7, 1.2]%s}}]\n"
    for number, (flip, more) in enumerate((("horizontal_flip", ""), ("vertical_flip", ", shear: 15"))):
        out = tmp_path / str(number)
        run(source, out, recipe_of(turns % (flip, more)), copies=4, seed=1, originals=True)
        assert problems(verified(out, source)) == []


@pytest.mark.parametrize("recipe", sorted(REAL))
@pytest.mark.parametrize(
    "name", ["raccoon", "bccd/BCCD", "coco_permissive_kpt", "teacher_occlusion/valid", "panopticapi"]
)
@needs("panopticapi")
def test_real_pictures(tmp_path, name, recipe):
    base = SHARED / name
    images = {}
    if name == "panopticapi":
        base, images = base / "sample_data/panoptic_examples.json", {"images": base / "sample_data/input_images"}
    run(base, tmp_path / "out", recipe_of(REAL[recipe]), limit=2, seed=5, originals=True, max_rejects="100%", **images)
    from augpipe.verification import open_source, verify

    verdict = verify(tmp_path / "out", open_source(str(base), tmp_path / "out", **images), workers=0)
    assert problems(verdict) == []
    assert verdict.checked == verdict.samples > 0
