"""COCO: the JSON of one picture, of one file and of several."""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter

import numpy as np
import pytest
from builders import (
    SHARED,
    decode,
    image,
    keys,
    needs,
    opened,
    panoptic_set,
    read_all,
    read_coco,
    rejected,
    row,
    write_json,
)
from builders import coco as document
from builders import write_picture as picture
from PIL import Image
from pycocotools.coco import COCO

from augpipe.core.annotations import Rings, Rle
from augpipe.formats.base import Entry
from augpipe.formats.coco.read import key_of, merged, unpack
from augpipe.storage.byte_range import ByteRange

POINTS = {"id": 2, "name": "person", "keypoints": ["nose", "left_eye", "right_eye"], "skeleton": [[1, 2], [1, 3]]}


# --- the picture -----------------------------------------------------------------------------------------------------


def test_a_box_is_x_y_width_height(tmp_path):
    objects = read_coco(tmp_path, document(rows=[row(bbox=[2, 1, 5, 4]), row(2, bbox=[0.5, 0, 19.5, 10])])).objects
    assert objects.boxes_xyxy.tolist() == [[2, 1, 7, 5], [0.5, 0, 20, 10]]
    assert objects.index.tolist() == [0, 1]
    assert [fact.id for fact in objects.facts] == [1, 2]


def test_what_the_picture_says(tmp_path):
    labels = read_coco(tmp_path, document([image(17, license=3, when={"day": 1})]))
    assert (labels.image_id, labels.size_wh) == (17, (20, 10))
    assert labels.attributes == {"license": 3, "when": {"day": 1}}


@pytest.mark.parametrize("number", ["abc", "17", ""])
def test_ids_that_are_texts_are_no_numbers(tmp_path, number):
    labels = read_coco(tmp_path, document([image(number)], [row(image_id=number)]))
    assert (labels.image_id, len(labels.objects)) == (None, 1)


@pytest.mark.parametrize(("in_image", "in_row"), [(7, "7"), ("7", 7), (7, 7.0), (7.0, 7)])
def test_ids_that_tools_write_differently_are_the_same(tmp_path, in_image, in_row):
    assert len(read_coco(tmp_path, document([image(in_image)], [row(image_id=in_row)])).objects) == 1


@pytest.mark.parametrize("size", [(0, 10), (-1, 10), (None, 10), ("20", 10), (True, 10), (1e9, 10), (0.5, 10)])
def test_a_size_that_is_none_is_not_known(tmp_path, size):
    assert read_coco(tmp_path, document([image(size=size)])).size_wh is None


def test_labels_without_geometry_are_tags(tmp_path):
    rows = [row(bbox=None), row(2, category_id=2, bbox=None, segmentation=[], keypoints=[]), row(3)]
    labels = read_coco(tmp_path, document(rows=rows, categories=[{"id": 1, "name": "cat"}, POINTS]))
    assert labels.tags == ("cat", "person")
    assert labels.objects.index.tolist() == [0]


def test_captions(tmp_path):
    rows = [{"id": 5, "image_id": 1, "caption": "two cats"}, {"id": 6, "image_id": 1, "caption": "and a dog"}]
    labels = read_coco(tmp_path, document(rows=rows))
    assert (labels.captions, labels.tags, len(labels.objects)) == (("two cats", "and a dog"), (), 0)


def test_an_object_with_a_caption_stays_an_object(tmp_path):
    labels = read_coco(tmp_path, document(rows=[row(caption="the left one")]))
    assert (len(labels.objects), labels.captions) == (1, ())
    assert labels.objects.facts[0].attributes == {"caption": "the left one"}


@pytest.mark.parametrize("number", [9, True, "1", None, 1.5, [1]])
def test_an_unknown_category_rejects_the_picture(tmp_path, number):
    path = write_json(tmp_path / "x.json", document(rows=[row(), {**row(2), "category_id": number}]))
    picture(tmp_path / "a.jpg")
    reject = rejected(opened(path))
    assert (reject.stage, reject.code, reject.file) == ("labels", "unknown-class", "x.json")
    assert "is in no categories list" in reject.message


def test_three_may_be_written_as_a_float(tmp_path):
    assert read_coco(tmp_path, document(rows=[row(category_id=1.0)])).objects.category_id.tolist() == [1]


def test_nesting_beyond_reason_rejects_the_picture(tmp_path):
    deep = "[" * 70 + "]" * 70
    text = json.dumps(document(rows=[row(extra="DEEP"), row(2, extra=[[[]]] * 40)])).replace('"DEEP"', deep)
    reject = rejected(opened(write_json(tmp_path / "x.json", text.encode())))
    assert (reject.code, reject.message) == ("bad-json", "a.jpg: JSON nested in more than 64 levels")
    assert len(read_coco(tmp_path, document(rows=[row(extra=[[[]]] * 40)])).objects) == 1


def test_a_file_that_changed_since_it_was_indexed(tmp_path):
    path = write_json(tmp_path / "x.json", document(rows=[row()]))
    source = opened(path)
    path.write_bytes(path.read_bytes().replace(b"{", b"["))
    assert rejected(source).code == "changed"
    path.write_bytes(b"{}")
    assert rejected(source).code == "truncated"
    path.unlink()
    assert rejected(source).code == "missing-file"


# --- several files about the same pictures ---------------------------------------------------------------------------


def test_rows_of_two_files_with_one_id_are_one_object():
    instances = [row(1, segmentation=[[1, 1, 5, 1, 5, 5]], iscrowd=0), row(2)]
    keypoints = [row(2, keypoints=[1, 2, 2], num_keypoints=1), row(3)]
    out = merged([instances, keypoints])
    assert [r["id"] for r in out] == [1, 2, 3]
    assert out[0] == instances[0]
    assert out[1] == {**row(2), "keypoints": [1, 2, 2], "num_keypoints": 1}


def test_rows_of_one_file_are_never_one_object():
    """Real files give an id twice, and number the objects of each picture anew."""
    rows = [row(0, bbox=[1, 1, 2, 2]), row(0, bbox=[1, 1, 2, 2], extra=1)]
    assert merged([rows]) == rows
    assert merged([[], rows]) == rows


def test_rows_that_disagree_are_two_objects():
    one, other = row(1, bbox=[1, 1, 2, 2]), row(1, bbox=[5, 5, 2, 2])
    assert merged([[one], [other]]) == [one, other]
    assert merged([[one], [row(1, category_id=2)]]) == [one, row(1, category_id=2)]
    assert merged([[row(None)], [row(None)]]) == [row(None), row(None)]
    assert merged([[row("1")], [row(1)]]) == [row("1"), row(1)]


def test_a_copy_of_a_file_adds_nothing():
    rows = [row(1), row(2)]
    assert merged([rows, [dict(r) for r in rows]]) == rows


@pytest.mark.parametrize("identity", [[1], {"a": 1}, True, 1.5])
def test_ids_that_are_none_do_not_join_rows(identity):
    assert len(merged([[{**row(), "id": identity}], [{**row(), "id": identity}]])) == 2


def test_instances_keypoints_and_captions_of_a_folder(tmp_path):
    images = [image(1, "a.jpg"), image(2, "b.jpg")]
    people = [row(10, 1, category_id=2), row(11, 2, category_id=2), row(12, 2)]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "person"}]
    extra = {"keypoints": [1, 1, 2, 2, 2, 1, 0, 0, 0], "num_keypoints": 2}
    write_json(tmp_path / "annotations" / "instances.json", document(images, people, categories))
    write_json(
        tmp_path / "annotations" / "keypoints.json",
        document(images[::-1], [{**r, **extra} for r in people[:2]], [POINTS]),
    )
    captions = [{"id": 1, "image_id": 2, "caption": "second"}, {"id": 2, "image_id": 1, "caption": "first"}]
    write_json(tmp_path / "annotations" / "captions.json", {"images": images[::-1], "annotations": captions})
    source = opened(tmp_path)
    first, second = read_all(source)
    assert keys(source) == ["a.jpg", "b.jpg"]
    assert (first.captions, second.captions) == (("first",), ("second",))
    assert [f.id for f in first.objects.facts] == [10]
    assert [f.id for f in second.objects.facts] == [11, 12]
    assert [k is not None for k in second.objects.keypoints] == [True, False]
    assert {c.name: c.keypoints for c in source.categories} == {"cat": (), "person": tuple(POINTS["keypoints"])}
    assert source.categories[1].flip_pairs == ((1, 2),)


# --- panoptic --------------------------------------------------------------------------------------------------------


def test_a_panoptic_json_with_its_folder_of_png(tmp_path):
    ids, segments = panoptic_set(tmp_path)
    source = opened(tmp_path)
    (labels,) = read_all(source)
    assert labels.panoptic.dtype == np.uint32
    assert np.array_equal(labels.panoptic, ids)
    assert list(labels.segments_info) == segments[:2]
    assert labels.notes == ("segment-left-out",)
    before = source.fingerprint()
    png = tmp_path / "annotations" / "panoptic_train" / "a.png"
    Image.fromarray(np.zeros((10, 20, 3), np.uint8)).save(png)
    assert opened(tmp_path).fingerprint() != before
    png.write_bytes(b"no picture")
    reject = rejected(opened(tmp_path))
    assert (reject.code, reject.message.partition(":")[0]) == ("bad-mask", "a.png")


def test_a_panoptic_json_without_its_png_is_noted(tmp_path):
    panoptic_set(tmp_path, png=False)
    (labels,) = read_all(opened(tmp_path))
    assert labels.panoptic is None
    assert labels.notes == ("panoptic-missing", "segment-left-out")


@needs("panopticapi")
def test_real_panoptic_pictures():
    base = SHARED / "panopticapi" / "sample_data"
    source = opened(base / "panoptic_examples.json", images=base / "input_images")
    seen = 0
    for labels, entry in zip(read_all(source), source.entries, strict=True):
        png = base / "panoptic_examples" / entry.key.replace(".jpg", ".png")
        rgb = np.asarray(Image.open(png).convert("RGB")).astype(int)
        assert np.array_equal(labels.panoptic, rgb[:, :, 0] + 256 * rgb[:, :, 1] + 65536 * rgb[:, :, 2])
        areas = Counter(labels.panoptic.reshape(-1).tolist())
        assert {s["id"]: s["area"] for s in labels.segments_info} == {i: areas[i] for i in areas if i}
        seen += len(labels.segments_info)
    assert seen == 50


# --- against pycocotools ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["coco_permissive_kpt/annotations/instances.json",
                                  "coco_permissive_kpt/annotations/person_keypoints.json",
                                  "teacher_occlusion/valid/_annotations.coco.json"])  # fmt: skip
@needs("coco_permissive_kpt")
def test_real_files_are_read_as_pycocotools_reads_them(name):
    with contextlib.redirect_stdout(io.StringIO()):
        oracle = COCO(SHARED / name)
    source = opened(SHARED / name)
    assert [c.id for c in source.categories] == sorted(oracle.cats)
    by_name = {image["file_name"]: image["id"] for image in oracle.imgs.values()}
    assert sorted(by_name) == keys(source)
    compared = 0
    for entry, labels in zip(source.entries, read_all(source), strict=True):
        rows = oracle.imgToAnns[by_name[entry.key]]
        objects = labels.objects
        assert [f.id for f in objects.facts] == [r["id"] for r in rows]
        assert objects.category_id.tolist() == [r["category_id"] for r in rows]
        assert objects.iscrowd.tolist() == [r["iscrowd"] for r in rows]
        w, h = labels.size_wh
        for i, r in enumerate(rows):
            x, y, bw, bh = r["bbox"]
            assert objects.boxes_xyxy[i].tolist() == pytest.approx([x, y, x + bw, y + bh], abs=1e-9)
            segmentation = objects.segmentation[i]
            if isinstance(segmentation, Rle):
                assert np.array_equal(decode(segmentation), decode(oracle.annToRLE(r)))
                compared += 1
            elif isinstance(segmentation, Rings):
                assert [ring.reshape(-1).tolist() for ring in segmentation.rings] == r["segmentation"]
            if r.get("keypoints"):
                assert objects.keypoints[i].reshape(-1).tolist() == r["keypoints"]
        assert (h, w) == (oracle.imgs[by_name[entry.key]]["height"], oracle.imgs[by_name[entry.key]]["width"])
    coded = [r for r in oracle.anns.values() if isinstance(r.get("segmentation"), dict)]
    assert compared == len(coded) > 0


# --- small things ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file_name", "key"),
    [
        ("a.jpg", "a.jpg"),
        ("train/a.jpg", "train/a.jpg"),
        ("./train//a.jpg", "train/a.jpg"),
        ("train\\a.jpg", "train/a.jpg"),
        ("../images/a.jpg", "images/a.jpg"),
        ("x/../../a.jpg", "a.jpg"),
        ("..\\..\\a.jpg", "a.jpg"),
        ("/home/me/set/a.jpg", "a.jpg"),
        ("C:\\set\\a.jpg", "a.jpg"),
        ("\\\\server\\set\\a.jpg", "a.jpg"),
        ("cafe\u0301.jpg", "caf\u00e9.jpg"),
        ("a b (3).jpg", "a b (3).jpg"),
        ("..", ""),
        ("/", ""),
        ("", ""),
    ],
)
def test_a_file_name_never_leads_out_of_the_root(file_name, key):
    assert key_of(file_name) == key


def test_entries_hold_byte_ranges_of_the_file(tmp_path):
    rows = [row(i, 1 + i % 2, note=f"row {i} \u00e9") for i in range(20)]
    path = write_json(tmp_path / "x.json", document([image(1, "a.jpg"), image(2, "b.jpg", note="\u4e2d")], rows))
    data = path.read_bytes()
    for number, entry in enumerate(opened(path).entries, start=1):
        assert isinstance(entry, Entry)
        first, *others = [json.loads(data[start : start + size]) for _, start, size in unpack(entry.annotation)]
        assert first["id"] == number
        assert others == [r for r in rows if r["image_id"] == number]
    assert ByteRange("x").size == -1
