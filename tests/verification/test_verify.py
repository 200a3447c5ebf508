"""`augpipe verify` accepts what augment writes, and notices every kind of damage to it."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import decode, photo, rle_json
from forge import forged
from runs import recipe_of, run
from shard_folder import sample as shard_sample
from shard_folder import thing, write_folder
from verifying import CUTTING, STRONG, first, half_a_pixel, is_mask, is_polygon, one_keypoint, problems, verified

from augpipe.core.errors import DatasetError
from augpipe.verification import Verdict, open_source, verify
from augpipe.verification.run import Chosen
from augpipe.verification.worst_samples import chosen_of, sheet_of_worst

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


# --- what is right is accepted ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [STRONG, LAYERS, OWN_RULES, "detection", "keypoints"])
def test_a_coco_run_is_accepted(coco, tmp_path, text):
    recipe = text if "\n" not in text else recipe_of(text)
    run(coco, tmp_path / "out", recipe, copies=3, seed=2, originals=True)
    verdict = verified(tmp_path / "out", coco)
    assert problems(verdict) == []
    assert verdict.checked == verdict.samples == 8 * 4
    assert {"box polygon", "box mask", "polygon", "mask", "keypoints", "visible", "picture", "box source"} <= kinds(
        verdict
    )


@pytest.mark.parametrize(
    ("text", "kind"), [(STRONG, "box corners"), (LAYERS, "box ellipse"), (OWN_RULES, "box ellipse")]
)
def test_a_voc_run_is_accepted(voc, tmp_path, text, kind):
    run(voc, tmp_path / "out", recipe_of(text), copies=3, seed=2, picture=png())
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
    run(layered, tmp_path / "out", recipe_of(text), copies=4, seed=1)
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
    run(source, tmp_path / "out", recipe_of(text), copies=3, seed=1)
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


# --- what is wrong is noticed ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(coco, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("verify") / "out"
    recipe = "version: 1\nsteps:\n- horizontal_flip: {p: 0.5}\n- affine: {rotate: [-25, 25], scale: [0.6, 0.8]}\n"
    run(coco, out, recipe_of(recipe), copies=3, seed=2)
    assert problems(verified(out, coco)) == []
    return out


def one_box(samples):
    _, row = first(samples, is_polygon)
    row["box_xyxy"][2] -= 2.0


def one_mask(samples):
    _, row = first(samples, lambda r: is_mask(r) and r["area"] > 200)
    mask = np.roll(decode({"size": row["segmentation"]["size"], "counts": row["segmentation"]["counts"]}), 2, axis=1)
    row["segmentation"] = rle_json(mask)
    row["box_xyxy"] = [row["box_xyxy"][0] + 2, row["box_xyxy"][1], row["box_xyxy"][2] + 2, row["box_xyxy"][3]]


def one_polygon(samples):
    _, row = first(samples, lambda r: is_polygon(r) and r["area"] > 200)
    ring = np.array(row["segmentation"][0]).reshape(-1, 2)
    inner = ring.mean(axis=0) + (ring - ring.mean(axis=0)) * 0.8
    far = np.argmax(np.abs(ring - ring.mean(axis=0)), axis=0)
    inner[far] = ring[far]
    row["segmentation"][0] = inner.ravel().tolist()


def unswapped_keypoints(samples):
    for record, _ in samples.values():
        mirrored = any(drawn["name"] == "horizontal_flip" for drawn in record["plan"]["drawn"])
        for row in record["objects"]:
            if "keypoints" in row and mirrored:
                points = [row["keypoints"][i : i + 3] for i in range(0, 12, 3)]
                points[1], points[2] = points[2], points[1]
                row["keypoints"] = [v for point in points for v in point]


def pictures_of_copies_swapped(samples):
    keys = sorted(samples)
    one, two = samples[keys[0]][1], samples[keys[1]][1]
    one["jpg"], two["jpg"] = two["jpg"], one["jpg"]


def labels_of_copies_swapped(samples):
    keys = sorted(samples)
    one, two = samples[keys[0]][0], samples[keys[1]][0]
    one["objects"], two["objects"] = two["objects"], one["objects"]


def an_object_gone(samples):
    record, row = first(samples, is_polygon)
    record["objects"].remove(row)


def an_object_dropped_for_nothing(samples):
    record, row = first(samples, is_polygon)
    record["objects"].remove(row)
    category = {name: row[name] for name in ("category",)}
    record["dropped"].append({"index": row["index"], **category, "reason": "min_visibility", "value": 0.05})


def another_category(samples):
    _, row = first(samples, lambda r: r["category"] == "cat")
    row |= {"category": "dog", "category_id": 3, "label": 2}


def a_crowd_forgotten(samples):
    _, row = first(samples, lambda r: r["iscrowd"] == 1)
    row["iscrowd"] = 0


def loose_boxes(samples):
    """The box of the turned corners, as most tools write it."""
    for record, _ in samples.values():
        for row in record["objects"]:
            if is_polygon(row):
                x0, y0, x1, y1 = row["box_xyxy"]
                row["box_xyxy"] = [max(0, x0 - 2), max(0, y0 - 2), x1, y1]


def visible_shares(samples):
    _, row = first(samples, is_polygon)
    row["visible"] = 0.5


def stale_area(samples):
    _, row = first(samples, lambda r: is_polygon(r) and r["area"] > 200)
    row["area"] *= 1.3


def captions_gone(samples):
    next(iter(samples.values()))[0].pop("captions")


def box_from(samples):
    _, row = first(samples, is_polygon)
    row["box_from"] = "corners"


def another_plan(samples):
    record, _ = next(iter(samples.values()))
    warp = next(step for step in record["plan"]["steps"] if step["kind"] == "warp")
    warp["matrix"][2] += 3.0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (one_box, "is not that of its segmentation"),
        (one_mask, "box mask: "),
        (one_polygon, "polygon: "),
        (one_keypoint, "keypoints: 1.000"),
        (unswapped_keypoints, "keypoints: "),
        (half_a_pixel, "shift: 0.500"),
        (pictures_of_copies_swapped, "picture: "),
        (labels_of_copies_swapped, "box polygon: "),
        (an_object_gone, "vanished without a word"),
        (an_object_dropped_for_nothing, "was dropped as min_visibility, but 1.000 of it can be seen"),
        (another_category, "category_id is 3, in the source 1"),
        (a_crowd_forgotten, "iscrowd is 0, in the source 1"),
        (loose_boxes, "box polygon: 2"),
        (visible_shares, "visible: 0.5"),
        (stale_area, "area: 0.3"),
        (captions_gone, "its captions are not those of the source"),
        (box_from, "box_from is corners, its best geometry is polygon"),
        (another_plan, "picture: "),
    ],
)
def test_a_wrong_label_is_noticed(coco, finished, tmp_path, change, expected):
    folder = forged(finished, tmp_path / "forged", change)
    assert problems(verified(folder)) == []  # the books fit: only the source can tell
    found = problems(verified(folder, coco))
    assert [line for line in found if expected in line] != [], found


def half_a_pixel_of_one_box(samples):
    for number, (record, _) in enumerate(samples.values()):
        record["objects"] = record["objects"] if number else [
            {**row, "box_xyxy": [v + 0.5 for v in row["box_xyxy"]]} for row in record["objects"]
        ]  # fmt: skip


def test_boxes_alone_shifted_by_half_a_pixel_are_noticed(voc, tmp_path):
    recipe = "version: 1\nsteps:\n- affine: {rotate: [-25, 25], scale: [0.6, 0.8]}\n"
    run(voc, tmp_path / "out", recipe_of(recipe), seed=2)
    folder = forged(tmp_path / "out", tmp_path / "forged", half_a_pixel)
    (row,) = [row for row in verified(folder, voc).rows if not row.ok]
    assert (row.kind, row.worst) == ("shift", pytest.approx(0.5, abs=0.01))


def test_a_wrong_raster_is_noticed(layered, tmp_path):
    run(layered, tmp_path / "out", recipe_of(STRONG), copies=2, seed=1)

    def moved(name):
        def change(samples):
            members = next(iter(samples.values()))[1]
            values = cv2.imdecode(np.frombuffer(members[name], np.uint8), cv2.IMREAD_UNCHANGED)
            members[name] = cv2.imencode(".png", np.roll(values, 1, axis=1))[1].tobytes()

        return change

    def blended(samples):
        members = next(iter(samples.values()))[1]
        values = cv2.imdecode(np.frombuffer(members["semantic.png"], np.uint8), cv2.IMREAD_UNCHANGED)
        members["semantic.png"] = cv2.imencode(".png", cv2.blur(values, (3, 3)))[1].tobytes()

    for name, change, expected in (
        ("a", moved("semantic.png"), "semantic: "),
        ("b", moved("instance.png"), "instance: "),
        ("c", blended, "has a value that the source has not"),
        ("d", lambda samples: next(iter(samples.values()))[1].pop("instance.png"), "its instance.png is missing"),
    ):
        found = problems(verified(forged(tmp_path / "out", tmp_path / name, change), layered))
        assert [line for line in found if expected in line] != [], found


# --- files and books -------------------------------------------------------------------------------------------------


def edited(folder: Path, target: Path, name: str, change) -> Path:
    shutil.copytree(folder, target)
    document = json.loads((target / name).read_text())
    change(document)
    (target / name).write_text(json.dumps(document))
    return target


def flip_a_byte(folder: Path) -> None:
    path = folder / "all-000001.tar"
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (flip_a_byte, "all-000001.tar: its sha256 is not the one in the manifest"),
        (lambda f: (f / "all-000001.tar").write_bytes((f / "all-000001.tar").read_bytes()[:5000]), "all-000001.tar"),
        (lambda f: (f / "all-000001.tar").unlink(), "all-000001.tar: cannot be read"),
        (lambda f: (f / "all-000001.json").unlink(), "all-000001.json: cannot be read"),
        (lambda f: (f / "rejects.jsonl").unlink(), "rejects.jsonl: cannot be read"),
        (lambda f: (f / "rejects.jsonl").write_text('{"source": "x"}\n'), "rejects.jsonl: is not what the records say"),
        (lambda f: shutil.copy(f / "all-000001.tar", f / "all-000077.tar"), "the manifest does not know this shard"),
    ],
)
def test_a_damaged_folder_is_noticed_without_its_source(finished, tmp_path, damage, expected):
    shutil.copytree(finished, tmp_path / "out")
    damage(tmp_path / "out")
    found = problems(verified(tmp_path / "out"))
    assert [line for line in found if expected in line] != [], found


@pytest.mark.parametrize("name", ["written", "rejected", "objects", "expected"])
def test_books_that_do_not_balance_are_noticed(finished, tmp_path, name):
    def change(manifest):
        manifest["totals"][name] += 1

    found = problems(verified(edited(finished, tmp_path / "out", "manifest.json", change)))
    assert [line for line in found if f"totals.{name}" in line] != []


def test_pictures_that_are_none_are_noticed(finished, tmp_path):
    def change(samples):
        next(iter(samples.values()))[1]["jpg"] = b"\xff\xd8\xff nothing"

    assert ["cannot be read" in line for line in problems(verified(forged(finished, tmp_path / "out", change)))] == [
        True
    ]


def test_another_source_is_noticed(finished, coco, tmp_path):
    shutil.copytree(coco, tmp_path / "coco")
    path = tmp_path / "coco" / "annotations" / "instances.json"
    document = json.loads(path.read_text())
    document["annotations"][0]["bbox"][0] += 1
    document["annotations"][0]["segmentation"][0][0] += 5
    path.write_text(json.dumps(document))
    found = problems(verified(finished, tmp_path / "coco"))
    assert "is not what the folder was made of, or has changed since" in found[-1] or any(
        "has changed since" in line for line in found
    )
    assert any(line.startswith("box polygon") for line in found)


def test_a_source_picture_that_has_changed_is_noticed(finished, coco, tmp_path):
    """One byte in a comment changes neither the pixels nor the size of the file, which the fingerprint goes by."""
    shutil.copytree(coco, tmp_path / "coco")
    picture = next(iter(sorted((tmp_path / "coco" / "images").iterdir())))
    data = bytearray(picture.read_bytes())
    data[data.index(b"JFIF") + 7] ^= 1
    picture.write_bytes(data)
    found = problems(verified(finished, tmp_path / "coco"))
    assert found
    assert all("its source picture has changed since" in line for line in found)


def test_what_is_no_finished_folder_is_refused(tmp_path, coco):
    with pytest.raises(DatasetError, match=r"expected a folder that `augpipe augment` has finished, but"):
        verify(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(DatasetError, match="is not finished, it has no manifest"):
        verify(tmp_path)
    for text in ("[]", "{", '{"schema": "augpipe/2"}', '{"schema": "augpipe/1", "totals": 3}', "[" * 100_000):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(DatasetError, match=r"manifest\.json"):
            verify(tmp_path)


def test_the_sheet_begins_with_what_is_off(coco, finished, tmp_path):
    folder = forged(finished, tmp_path / "forged", lambda samples: (an_object_gone(samples), one_keypoint(samples)))
    dataset = open_source(str(coco), folder)
    words = list(chosen_of(verify(folder, dataset, workers=0), 6).values())
    assert words[0].startswith("keypoints, object ")
    assert words[0].endswith("20.0 times the limit")
    assert words[1].endswith("vanished without a word")
    assert words[2].endswith("% of the limit")


def test_the_sheet_shows_the_worst(coco, finished, tmp_path):
    folder = forged(finished, tmp_path / "forged", one_keypoint)
    dataset = open_source(str(coco), folder)
    verdict = verify(folder, dataset, workers=0)
    assert verdict.worst[0][1] == "keypoints"
    picture = sheet_of_worst(folder, dataset, verdict, most=2)
    assert picture.shape[0] > 300
    assert picture.shape[1] > 900
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000
