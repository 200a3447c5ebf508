"""Several datasets as one, by json, ElementTree and pycocotools: classes, names and ids, splits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import coco, image, object_xml, row, voc_xml, write_json, write_picture, write_voc
from command_line import call, lines
from conversions import check_with_pycocotools, coco_boxes, loaded, mask_of, voc_boxes, yolo_boxes
from split_layouts import voc_by_lists, yolo_by_folders

CLASSES = ("cat", "dog", "cow")


def one(root: Path, names: tuple[str, ...], classes: tuple[str, ...], **more: object) -> Path:
    """A COCO folder: a picture a name, each with an object of each class; ids count from 1."""
    images = [image(i, name) for i, name in enumerate(names, start=1)]
    rows = [
        row(i * 10 + c, i, category_id=c, bbox=[c, i, 5, 4], area=20.0, iscrowd=0,
            segmentation=[[c, i, c + 5, i, c + 5, i + 4, c, i + 4]])
        for i in range(1, len(names) + 1) for c in range(1, len(classes) + 1)
    ]  # fmt: skip
    for name in names:
        write_picture(root / "images" / name)
    document = coco(images, rows, [{"id": i, "name": n} for i, n in enumerate(classes, start=1)], **more)
    write_json(root / "annotations" / "instances_train.json", document)
    return root


def merge(*arguments: object) -> str:
    done = call("dataset", "merge", *arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_classes_of_one_name_become_one_and_ids_are_told_apart(tmp_path):
    day, night = (
        one(tmp_path / "day", ("a.jpg", "b.jpg"), CLASSES[:2]),
        one(tmp_path / "night", ("c.jpg",), CLASSES[1:]),
    )
    said = merge(day, night, tmp_path / "all")
    path = tmp_path / "all" / "annotations" / "instances_train.json"
    check_with_pycocotools(path, 6)
    document = json.loads(path.read_text())
    assert {c["name"]: c["id"] for c in document["categories"]} == {"cat": 1, "dog": 2, "cow": 3}
    before = {**coco_boxes(day / "annotations" / "instances_train.json"),
              **coco_boxes(night / "annotations" / "instances_train.json")}  # fmt: skip
    assert coco_boxes(path) == before
    assert len({i["id"] for i in document["images"]}) == 3
    api = loaded(path)
    assert all(mask_of(api, r).sum() == 20 for r in api.anns.values())
    assert "3 pictures, 6 objects in" in said
    assert "3 pictures, 6 objects to" in said
    assert "night: of its classes 1 were there, 1 are added: cow" in said
    assert "ids came twice" in said or "id came twice" in said


def test_pictures_of_one_name_get_the_name_of_their_dataset(tmp_path):
    first, second = (
        one(tmp_path / "x" / "set", ("a.jpg", "b.jpg"), ("cat",)),
        one(tmp_path / "y" / "set", ("b.png",), ("cat",)),
    )
    said = merge(first, second, tmp_path / "all")
    path = tmp_path / "all" / "annotations" / "instances_train.json"
    assert {i["file_name"] for i in json.loads(path.read_text())["images"]} == {"a.jpg", "b.jpg", "set-2/b.png"}
    for name in ("a.jpg", "b.jpg"):
        assert (tmp_path / "all" / "images" / name).read_bytes() == (first / "images" / name).read_bytes()
    assert (tmp_path / "all" / "images" / "set-2" / "b.png").read_bytes() == (second / "images" / "b.png").read_bytes()
    assert "set-2: 1 picture called as one that was there" in said
    assert "'set-2/b.png'" in said
    refused = call("dataset", "merge", first, second, tmp_path / "none", "--equal-names", "refuse")
    assert refused.exit_code == 2
    assert "'b.png'" in refused.stderr
    assert len(lines(refused.stderr)) == 2
    assert not (tmp_path / "none").exists()


def test_the_same_file_in_both_is_told(tmp_path):
    said = merge(
        one(tmp_path / "one", ("a.jpg",), ("cat",)), one(tmp_path / "two", ("a.jpg",), ("cat",)), tmp_path / "all"
    )
    assert "1 of them are the same file byte for byte, as 'a.jpg'" in said


def test_splits_stay_and_formats_mix(tmp_path):
    voc_by_lists(tmp_path / "voc")
    yolo_by_folders(tmp_path / "yolo")
    refused = call("dataset", "merge", tmp_path / "voc", tmp_path / "yolo", tmp_path / "all")
    assert refused.exit_code == 2
    assert "voc and yolo; choose one format with --to" in refused.stderr
    said = merge(tmp_path / "voc", tmp_path / "yolo", tmp_path / "all", "--to", "coco")
    assert "together 6 pictures (train 2, val 2, test 2)" in said
    for split, own in (("train", "train"), ("val", "valid"), ("test", "test")):
        boxes = coco_boxes(tmp_path / "all" / "annotations" / f"instances_{split}.json")
        assert len(boxes) == 2
        assert {(name.rpartition("/")[2], rows[0][0]) for name, rows in boxes.items()} == {(own, "cat")}
    merge(tmp_path / "voc", tmp_path / "yolo", tmp_path / "yolos", "--to", "yolo")
    assert len(yolo_boxes(tmp_path / "yolos")) == 6


def test_voc_to_voc_by_element_tree(tmp_path):
    one_ = write_voc(tmp_path / "one", {"a": voc_xml(object_xml("cat", (2, 3, 9, 8)))})
    two = write_voc(tmp_path / "two", {"a": voc_xml(object_xml("dog", (1, 1, 4, 4)), object_xml("cat", (5, 5, 9, 9)))})
    merge(one_, two, tmp_path / "all")
    assert voc_boxes(tmp_path / "all") == {"a": voc_boxes(one_)["a"], "two/a": voc_boxes(two)["a"]}


def test_keypoints_of_a_class_follow_their_names(tmp_path):
    def posed(root: Path, points: list[str]) -> Path:
        category = {"id": 1, "name": "cat", "keypoints": points, "skeleton": []}
        keypoints = [v for i, _ in enumerate(points) for v in (i + 1, 2 * i + 1, 2)]
        rows = [row(1, 1, keypoints=keypoints, num_keypoints=len(points), area=20.0, iscrowd=0)]
        write_picture(root / "images" / f"{root.name}.jpg")
        write_json(
            root / "annotations" / "instances_train.json", coco([image(1, f"{root.name}.jpg")], rows, [category])
        )
        return root

    merge(posed(tmp_path / "p", ["nose", "tail"]), posed(tmp_path / "q", ["tail", "nose"]), tmp_path / "all")
    document = json.loads((tmp_path / "all" / "annotations" / "instances_train.json").read_text())
    names = {i["id"]: i["file_name"] for i in document["images"]}
    assert document["categories"][0]["keypoints"] == ["nose", "tail"]
    assert {names[r["image_id"]]: r["keypoints"] for r in document["annotations"]} == {
        "p.jpg": [1, 1, 2, 2, 3, 2],
        "q.jpg": [2, 3, 2, 1, 1, 2],
    }


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (("--equal-names", "guess"), "expected prefix or refuse"),
        (("--to", "tiff"), "cannot write tiff"),
        (("--pictures", "no"), "--pictures no"),
        (("--workers", "-1"), "--workers -1"),
    ],
)
def test_what_cannot_be_asked(tmp_path, extra, said):
    places = one(tmp_path / "one", ("a.jpg",), ("cat",)), one(tmp_path / "two", ("b.jpg",), ("cat",))
    done = call("dataset", "merge", *places, tmp_path / "all", *extra)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (tmp_path / "all").exists()


def test_too_few_the_same_or_in_the_way(tmp_path):
    first, second = one(tmp_path / "one", ("a.jpg",), ("cat",)), one(tmp_path / "two", ("b.jpg",), ("cat",))
    assert "two or more SRC" in call("dataset", "merge", first, tmp_path / "all").stderr
    assert "named twice" in call("dataset", "merge", first, f"{first}/", tmp_path / "all").stderr
    assert "lies in the source" in call("dataset", "merge", first, second, second / "all").stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    assert "exists already" in call("dataset", "merge", first, second, tmp_path / "full").stderr
    assert "no such file" in call("dataset", "merge", first, tmp_path / "three", tmp_path / "all").stderr
    assert not (tmp_path / "all").exists()
