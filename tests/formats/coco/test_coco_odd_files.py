"""COCO as tools write it: pictures under other names, rows twice, objects in place of lists, NaN, no categories."""

from __future__ import annotations

import json

import pytest
from builders import coco as document
from builders import image, keys, opened, read_all, row, write_json
from builders import write_picture as picture
from command_line import call
from hostile import STILL


def boxes(source) -> list[list[list[float]]]:
    return [a.objects.boxes_xyxy.tolist() for a in read_all(source)]


# --- pictures under other names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file_name", "at", "key", "rule"),
    [
        ("a.JPG", "images/a.jpg", "a.jpg", "letter case"),
        ("images/my%20photo.jpg", "images/my photo.jpg", "my photo.jpg", "more folders, percent-encoding"),
        ("images/my photo.jpg", "images/my%20photo.jpg", "my%20photo.jpg", "more folders, percent-encoding"),
        ("https://example.com/data/upload/1/3d7a1e2b-a.jpg", "images/3d7a1e2b-a.jpg", "3d7a1e2b-a.jpg",
         "more folders"),
        ("..\\..\\label-studio\\media\\upload\\4\\cb0618f6-B_1.png", "images/cb0618f6-B_1.png", "cb0618f6-B_1.png",
         "more folders"),
        ("3d7a1e2b-a.jpg", "images/a.jpg", "a.jpg", "upload prefix"),
        ("data/images/train/a.jpg", "images/train/a.jpg", "train/a.jpg", "more folders"),
        ("a.jpg", "images/train/deep/a.jpg", "train/deep/a.jpg", "more folders"),
        ("a.png", "images/a.jpg", "a.jpg", "another ending"),
    ],
)  # fmt: skip
def test_a_picture_under_another_name_is_found_and_told(tmp_path, file_name, at, key, rule):
    picture(tmp_path / at)
    source = opened(write_json(tmp_path / "x.json", document([image(1, file_name)], [row()])))
    assert [entry.picture.path for entry in source.entries] == [str(tmp_path / at)]
    assert keys(source) == [key]
    assert len(source.remarks) == 1
    assert source.remarks[0].startswith(f"1 picture found by another name ({rule}): ")


def test_names_that_are_there_keep_their_pictures(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        picture(tmp_path / name)
    source = opened(
        write_json(tmp_path / "x.json", document([image(1, "a.jpg"), image(2, "B.jpg"), image(3, "A.jpg")]))
    )
    assert [(e.key, e.picture and e.picture.path) for e in source.entries] == [
        ("A.jpg", None), ("a.jpg", str(tmp_path / "a.jpg")), ("b.jpg", str(tmp_path / "b.jpg")),
    ]  # fmt: skip


def test_the_folder_around_a_dataset_is_not_searched(tmp_path):
    picture(tmp_path / "another" / "a.jpg")
    source = opened(write_json(tmp_path / "mine" / "x.json", document([image(1, "A.jpg")])))
    assert source.entries[0].picture is None
    assert source.remarks[-1].startswith("none of the pictures of x.json was found")


def test_a_folder_of_annotations_lies_in_its_dataset(tmp_path):
    picture(tmp_path / "JPEGImages" / "a.jpg")
    source = opened(write_json(tmp_path / "annotations" / "x.json", document([image(1, "a.jpg")])))
    assert keys(source) == ["JPEGImages/a.jpg"]


def test_a_picture_under_another_name_is_augmented(tmp_path):
    picture(tmp_path / "src" / "images" / "a.jpg", (20, 10))
    write_json(tmp_path / "src" / "x.json", document([image(1, "A.JPG")], [row()]))
    (tmp_path / "still.yaml").write_text(STILL)
    done = call("augment", tmp_path / "src", tmp_path / "out", "--recipe", tmp_path / "still.yaml", "--workers", 0)
    assert done.exit_code == 0, done.output
    assert "1 picture found by another name (letter case): A.JPG is a.jpg" in done.output
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["totals"]["written"] == 1


# --- one picture, several times --------------------------------------------------------------------------------------


def test_an_image_listed_twice_is_one(tmp_path):
    picture(tmp_path / "b.jpg")
    images = [image(1, "a.jpg"), image(2, "b.jpg"), image(2, "b.jpg"), image("2", "b.jpg")]
    source = opened(write_json(tmp_path / "x.json", document(images, [row(1, 1), row(2, 2)])))
    assert keys(source) == ["a.jpg", "b.jpg"]
    assert [a.image_id for a in read_all(source)] == [1, 2]
    assert [len(a.objects) for a in read_all(source)] == [1, 1]
    assert source.remarks == ("x.json: 2 images listed twice, taken once: id 2",)


def test_a_picture_under_two_ids_is_one_with_the_objects_of_both(tmp_path):
    picture(tmp_path / "a.jpg")
    images = [image(1, "a.jpg"), image(7, "./a.jpg"), image(9, "b.jpg")]
    rows = [row(1, 7, bbox=[1, 1, 2, 2]), row(2, 1, bbox=[3, 3, 4, 4]), row(3, 9)]
    source = opened(write_json(tmp_path / "x.json", document(images, rows)))
    assert keys(source) == ["a.jpg", "b.jpg"]
    assert boxes(source)[0] == [[3, 3, 7, 7], [1, 1, 3, 3]]
    assert source.remarks == ("1 picture listed under several ids, taken once: a.jpg, ids 1 and 7",)


def test_a_row_listed_twice_is_one_object_and_counted(tmp_path):
    picture(tmp_path / "a.jpg")
    rows = [row(1), row(2), row(1), row(2, bbox=[1, 1, 2, 2])]
    (labels,) = read_all(opened(write_json(tmp_path / "x.json", document(rows=rows))))
    assert [fact.id for fact in labels.objects.facts] == [1, 2, 2]  # ids repeat in real files; the same row does not
    assert [(d.index, d.reason, d.id) for d in labels.dropped] == [(2, "merged", 1)]


# --- what is no list, no number, no text -----------------------------------------------------------------------------


def test_annotations_by_id(tmp_path):
    picture(tmp_path / "a.jpg")
    whole = document(rows=[row(1), row(2, bbox=[1, 1, 2, 2])])
    expected = boxes(opened(write_json(tmp_path / "x.json", whole)))
    by_id = {**whole, "annotations": {str(r["id"]): r for r in whole["annotations"]}}
    assert boxes(opened(write_json(tmp_path / "x.json", by_id))) == expected


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_number_that_is_none_costs_what_it_is_of(tmp_path, odd, indent):
    picture(tmp_path / "a.jpg")
    rows = [
        row(1, area=odd),
        row(2, bbox=[1, odd, 2, 2]),
        row(3, caption="of NaN, and Infinity", score=odd),
        row(4, odd),
    ]
    text = json.dumps(document(rows=rows), indent=indent).encode()
    source = opened(write_json(tmp_path / "x.json", text))
    (labels,) = read_all(source)
    assert [fact.id for fact in labels.objects.facts] == [1, 3]
    assert labels.objects.facts[1].attributes == {"caption": "of NaN, and Infinity", "score": None}
    assert [(d.id, d.reason) for d in labels.dropped] == [(2, "degenerate")]
    assert source.remarks == ("x.json: 1 annotation of images that it does not list are left out",)


@pytest.mark.parametrize("image_id", [None, True, 1.5, [1], {"a": 1}, "x"])
def test_a_row_of_no_image_is_left_out(tmp_path, image_id):
    picture(tmp_path / "a.jpg")
    source = opened(write_json(tmp_path / "x.json", document(rows=[row(1), row(2, image_id)])))
    assert [len(a.objects) for a in read_all(source)] == [1]
    assert source.remarks == ("x.json: 1 annotation of images that it does not list are left out",)


@pytest.mark.parametrize("odd", [{"id": 5}, {"file_name": "c.jpg"}, {"id": True, "file_name": "c.jpg"},
                                 {"id": 5, "file_name": 6}, {"id": 5, "file_name": ""}])  # fmt: skip
def test_an_image_without_an_id_or_a_name_is_left_out_alone(tmp_path, odd):
    picture(tmp_path / "b.jpg", (20, 10))
    source = opened(write_json(tmp_path / "x.json", document([odd, image(2, "b.jpg")], [row(1, 2)])))
    assert keys(source) == ["b.jpg"]
    assert [(a.image_id, len(a.objects)) for a in read_all(source)] == [(2, 1)]
    assert source.remarks[0].startswith("left out: 1 image of x.json without an id or a file name: id ")


def test_lvis_names_its_pictures_by_coco_url(tmp_path):
    """LVIS has no ``file_name``: pictures lie as COCO's archives unpack, train2017/ beside val2017/."""
    for split, number in (("train2017", 391895), ("val2017", 397133)):
        picture(tmp_path / split / f"{number:012}.jpg")
    url = "http://images.cocodataset.org/{}/{:012}.jpg"
    images = [{"id": n, "coco_url": url.format(s, n), "width": 20, "height": 10, "neg_category_ids": [4]}
              for s, n in (("train2017", 391895), ("val2017", 397133))]  # fmt: skip
    rows = [row(1, 391895), row(2, 397133)]
    source = opened(write_json(tmp_path / "lvis_v1_train.json", document(images, rows)))
    assert keys(source) == ["train2017/000000391895.jpg", "val2017/000000397133.jpg"]
    assert all(entry.picture is not None for entry in source.entries)
    assert [len(labels.objects) for labels in read_all(source)] == [1, 1]
    assert read_all(source)[0].attributes["neg_category_ids"] == [4]


def test_text_ids(tmp_path):
    picture(tmp_path / "a.jpg")
    rows = [row("ann-1", "img-1"), row("ann-2", "img-1")]
    (labels,) = read_all(opened(write_json(tmp_path / "x.json", document([image("img-1")], rows))))
    assert [fact.id for fact in labels.objects.facts] == ["ann-1", "ann-2"]


def test_classes_without_a_list_are_called_by_their_ids(tmp_path):
    picture(tmp_path / "a.jpg")
    whole = document(rows=[row(1, category_id=7), row(2, category_id=3.0), row(3, category_id=7)])
    del whole["categories"]
    source = opened(write_json(tmp_path / "x.json", whole))
    assert [(c.id, c.label, c.name) for c in source.categories] == [(3, 1, "3"), (7, 2, "7")]
    assert [r for a in read_all(source) for r in a.objects.category_id.tolist()] == [7, 3, 7]
    assert source.remarks == ("x.json has no categories: its classes are called by their ids, 3, 7",)


def test_a_polygon_without_the_list_around_it(tmp_path):
    picture(tmp_path / "a.jpg")
    flat = [1, 1, 9, 1, 9, 8, 1, 8]
    (labels,) = read_all(opened(write_json(tmp_path / "x.json", document(rows=[row(segmentation=flat)]))))
    assert labels.objects.segmentation[0].rings[0].ravel().tolist() == flat
