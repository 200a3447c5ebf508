"""A part of a dataset and other names of classes, by json and ElementTree: what went in came out or is counted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from builders import coco, image, object_xml, row, voc_xml, write_json, write_mask, write_picture, write_voc
from command_line import call, lines
from conversions import coco_boxes, loaded, voc_boxes, yolo_rows
from split_layouts import yolo_by_folders


def done(*arguments: object) -> str:
    result = call("dataset", *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def three(root: Path) -> Path:
    """VOC: a.jpg with lion, wolf and a small lion, b.jpg with a wolf, c.jpg with nothing."""
    objects = object_xml("lion", (1, 1, 18, 9)), object_xml("wolf", (2, 2, 19, 9)), object_xml("lion", (3, 3, 5, 6))
    xmls = {"a": voc_xml(*objects), "b": voc_xml(object_xml("wolf", (1, 2, 15, 8))), "c": voc_xml()}
    return write_voc(root, xmls)


def test_classes_that_stay_and_that_go(tmp_path):
    source = three(tmp_path / "voc")
    before = voc_boxes(source)
    lions = {"a": [r for r in before["a"] if r[0] == "lion"], "b": [], "c": []}
    said = done("filter", source, tmp_path / "one", "--classes", "lion")
    assert voc_boxes(tmp_path / "one") == lions
    assert "3 pictures, 4 objects in" in said
    assert "3 pictures, 2 objects to" in said
    assert "objects of classes that are left out 2 (as in a.jpg, object 2)" in said
    done("filter", source, tmp_path / "two", "--drop", "wolf")
    assert voc_boxes(tmp_path / "two") == lions
    done("filter", source, tmp_path / "three", "--classes", "wolf, lion", "--to", "yolo")
    assert [r[0] for r in yolo_rows(tmp_path / "three")["a.jpg"]] == [1, 0, 1]


def test_classes_and_names_of_a_file(tmp_path):
    source = three(tmp_path / "voc")
    (tmp_path / "names.txt").write_text("lion\n")
    said = done("filter", source, tmp_path / "one", "--classes", tmp_path / "names.txt", "--keep-empty", "0%")
    assert {name: [r[0] for r in rows] for name, rows in voc_boxes(tmp_path / "one").items()} == {"a": ["lion", "lion"]}
    assert "objects: 2 of 'wolf' (as in a.jpg)" in said
    (tmp_path / "map.txt").write_text("lion=cat\nwolf = dog\n")
    done("rename", source, tmp_path / "two", "--map", tmp_path / "map.txt")
    assert [r[0] for r in voc_boxes(tmp_path / "two")["a"]] == ["cat", "dog", "cat"]


def test_sizes_of_objects(tmp_path):
    source = three(tmp_path / "voc")
    said = done("filter", source, tmp_path / "large", "--min-side", "4")
    assert voc_boxes(tmp_path / "large") == {
        n: [r for r in rows if min(r[3:]) >= 4] for n, rows in voc_boxes(source).items()
    }
    assert "objects smaller than asked for 1 (as in a.jpg, object 3)" in said
    said = done("filter", source, tmp_path / "small", "--max-side", "17")
    assert voc_boxes(tmp_path / "small") == {
        n: [r for r in rows if max(r[3:]) <= 17] for n, rows in voc_boxes(source).items()
    }
    assert "objects larger than asked for 2" in said


def test_pictures_without_objects_and_of_other_sizes(tmp_path):
    source = three(tmp_path / "voc")
    said = done("filter", source, tmp_path / "some", "--keep-empty", "0%", "--classes", "lion")
    assert set(voc_boxes(tmp_path / "some")) == {"a"}
    assert sorted(p.name for p in (tmp_path / "some" / "JPEGImages").iterdir()) == ["a.jpg"]
    assert "1 picture, 2 objects to" in said
    assert "pictures without objects 2 (as in b.jpg)" in said
    assert "objects of pictures that are left out 1 (as in b.jpg)" in said
    (source / "Annotations" / "b.xml").write_text(voc_xml(object_xml("wolf", (1, 2, 15, 8)), size=(200, 40)))
    write_picture(source / "JPEGImages" / "b.jpg", (200, 40))
    said = done("filter", source, tmp_path / "high", "--min-picture", "11")
    assert set(voc_boxes(tmp_path / "high")) == {"b"}
    assert "pictures smaller than asked for 2 (as in a.jpg)" in said
    done("filter", source, tmp_path / "low", "--max-picture", "199")
    assert set(voc_boxes(tmp_path / "low")) == {"a", "c"}


def test_a_share_of_the_empty_ones_by_the_hash_of_their_names(tmp_path):
    names = [f"{i:03d}.jpg" for i in range(60)]
    for name in names:
        write_picture(tmp_path / "set" / "images" / name)
    rows = [row(1, 60)]
    write_json(tmp_path / "set" / "annotations" / "instances_train.json",
               coco([image(i, name) for i, name in enumerate(names, start=1)], rows))  # fmt: skip
    done("filter", tmp_path / "set", tmp_path / "out", "--keep-empty", "30%")

    def unit(name: str) -> float:
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big") // 2**11) / 2**53

    expected = {name for name in names[:-1] if unit(name) < 0.3} | {names[-1]}
    assert 8 < len(expected) < 32
    document = json.loads((tmp_path / "out" / "annotations" / "instances_train.json").read_text())
    assert {i["file_name"] for i in document["images"]} == expected


def test_masks_lose_the_objects_that_go(tmp_path):
    root = write_voc(
        tmp_path / "voc", {"a": voc_xml(object_xml("lion", (1, 1, 4, 4)), object_xml("lion", (11, 1, 18, 8)))}
    )
    instances = np.zeros((10, 20), np.uint8)
    instances[0:4, 0:4], instances[0:8, 10:18] = 1, 2
    write_mask(root / "SegmentationObject" / "a.png", instances, "P")
    write_mask(root / "SegmentationClass" / "a.png", (instances > 0).astype(np.uint8) * 8, "P")
    done("filter", root, tmp_path / "out", "--min-side", "5")
    from PIL import Image

    kept = np.asarray(Image.open(tmp_path / "out" / "SegmentationObject" / "a.png"))
    assert (kept > 0).tolist() == (instances == 2).tolist()
    assert len(voc_boxes(tmp_path / "out")["a"]) == 1


def test_ids_of_coco_stay(tmp_path):
    write_picture(tmp_path / "set" / "images" / "a.jpg")
    categories = [{"id": 7, "name": "lion"}, {"id": 90, "name": "wolf"}]
    rows = [row(500, 33, category_id=7), row(501, 33, category_id=90)]
    write_json(tmp_path / "set" / "annotations" / "instances_train.json", coco([image(33)], rows, categories))
    done("filter", tmp_path / "set", tmp_path / "out", "--classes", "wolf")
    api = loaded(tmp_path / "out" / "annotations" / "instances_train.json")
    assert (list(api.imgs), list(api.anns), list(api.cats)) == ([33], [501], [90])


def test_other_names_and_classes_that_become_one(tmp_path):
    source = three(tmp_path / "voc")
    said = done("rename", source, tmp_path / "out", "--map", "lion=pet", "--map", "wolf=pet")
    assert voc_boxes(tmp_path / "out") == {n: [("pet", *r[1:]) for r in rows] for n, rows in voc_boxes(source).items()}
    assert "3 pictures, 4 objects in" in said
    done("rename", source, tmp_path / "coco", "--map", "lion=tiger", "--to", "coco")
    boxes = coco_boxes(tmp_path / "coco" / "annotations")
    assert [r[0] for r in boxes["a"]] == ["tiger", "wolf", "tiger"]
    document = json.loads(next((tmp_path / "coco" / "annotations").glob("*.json")).read_text())
    assert [c["name"] for c in document["categories"]] == ["tiger", "wolf"]


def test_splits_stay_and_one_is_chosen(tmp_path):
    yolo_by_folders(tmp_path / "yolo")
    done("rename", tmp_path / "yolo", tmp_path / "out", "--map", "cat=tiger")
    assert set(yolo_rows(tmp_path / "out")) == {"train/train.jpg", "val/valid.jpg", "test/test.jpg"}
    done("filter", tmp_path / "yolo", tmp_path / "val", "--split", "val")
    assert [name.rpartition("/")[2] for name in yolo_rows(tmp_path / "val")] == ["valid.jpg"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("filter", "--classes", "loin"), "no class 'loin'; did you mean 'lion'"),
        (("filter", "--classes", "lion", "--drop", "wolf"), "give one of them"),
        (("filter", "--drop", "lion,wolf"), "nothing would be left"),
        (("filter", "--drop", "bird"), "no class 'bird' to drop"),
        (("filter", "--classes", "lion,,wolf"), "names with commas"),
        (("filter", "--min-side", "9", "--max-side", "3"), "leave nothing"),
        (("filter", "--min-side", "nan"), "leave nothing"),
        (("filter", "--keep-empty", "some"), "--keep-empty some: expected a share"),
        (("rename", "--map", "lion"), "expected OLD=NEW"),
        (("rename", "--map", "lion=a", "--map", "lion=b"), "becomes 'a' and 'b'"),
        (("rename", "--map", "loin=a"), "did you mean 'lion'"),
        (("filter", "--from", "kitti"), "KITTI"),
    ],
)
def test_what_cannot_be(tmp_path, words, said):
    source = three(tmp_path / "voc")
    result = call("dataset", words[0], source, tmp_path / "out", *words[1:])
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert len(lines(result.stderr)) <= 2
    assert not (tmp_path / "out").exists()


def test_nothing_is_left(tmp_path):
    result = call("dataset", "filter", three(tmp_path / "voc"), tmp_path / "out", "--min-picture", "999")
    assert result.exit_code == 1
    assert (
        "no picture is left, so nothing was written: pictures smaller than asked for 3 (as in a.jpg)" in result.stderr
    )
    assert not (tmp_path / "out").exists()


def test_a_format_that_is_only_read_needs_another(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.csv").write_text("image_id,x,y,w,h,label\na.jpg,4,3,8,6,tree\n")
    write_picture(tmp_path / "set" / "images" / "a.jpg")
    result = call("dataset", "rename", tmp_path / "set", tmp_path / "out", "--map", "tree=oak")
    assert result.exit_code == 2
    assert "csv is read and not written; choose --to voc or coco" in result.stderr
    done("rename", tmp_path / "set", tmp_path / "out", "--map", "tree=oak", "--to", "voc")
    assert voc_boxes(tmp_path / "out") == {"images/a": [("oak", 4.0, 3.0, 8.0, 6.0)]}


def test_where_no_object_is_left_the_reason_is_the_filter(tmp_path):
    source = write_json(tmp_path / "x.json", coco([image(captions=["a"])], [row(1, bbox=[2, 1, 9, 7])]))
    write_picture(tmp_path / "a.jpg")
    result = call("dataset", "filter", source, tmp_path / "out", "--min-side", "99")
    assert result.exit_code == 1
    assert "so nothing was written: objects smaller than asked for 1 (as in a.jpg, object 1)" in result.stderr
