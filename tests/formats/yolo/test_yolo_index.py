"""Finding YOLO data: data.yaml in all its forms, hostile ones too, and folders without one."""

from __future__ import annotations

import os
import time

import pytest
from conversions import yolo_of
from real_sets import real

from augpipe.core.errors import DatasetError
from augpipe.formats.base import SourceOptions
from augpipe.formats.registry import open_dataset
from augpipe.formats.yolo.index import label_of

BOX = "0 .5 .5 .2 .2\n"


def keys(source, **options) -> list[str]:
    return [entry.key for entry in open_dataset(str(source), SourceOptions(**options)).entries]


def said(source, **options) -> str:
    with pytest.raises(DatasetError) as caught:
        open_dataset(str(source), SourceOptions(**options))
    assert len(str(caught.value).splitlines()) <= 2
    return str(caught.value)


def test_the_rule_for_label_files():
    assert label_of("/d/images/train/a.b.jpg") == "/d/labels/train/a.b.txt"
    assert label_of("/images/x/images/a.jpg") == "/images/x/labels/a.txt"
    assert label_of("/d/a.jpg") == "/d/a.txt"


SPLITS = {
    "folders": "train: images/train\nval: images/val\n",
    "with path": "path: .\ntrain: images/train\nval: images/val\n",
    "lists of folders": "train: [images/train]\nval:\n  - images/val\n",
    "list files": "train: train.txt\nval: val.txt\n",
    "another tool's": "train: ../images/train\nval: ../images/val\ntest:\n",
    "path that is not there": "path: ../datasets/x\ntrain: images/train\nval: images/val\n",
}


@pytest.mark.parametrize("kind", SPLITS)
def test_splits_as_folders_list_files_and_lists(kind, tmp_path):
    source = yolo_of(tmp_path / "set", f"{SPLITS[kind]}names: {{0: cat, 1: dog}}\n", train__a=BOX, val__b=BOX)
    (source / "train.txt").write_text("./images/train/a.jpg\n")
    (source / "val.txt").write_text("images/val/b.jpg\n\n")
    assert keys(source) == ["train/a.jpg", "val/b.jpg"]
    assert keys(source / "data.yaml", split="val") == ["val/b.jpg"]
    dataset = open_dataset(str(source), SourceOptions(split="val"))
    assert [c.name for c in dataset.categories] == ["cat", "dog"]
    assert len(dataset.reader.annotations(dataset.entries[0]).objects) == 1
    assert "no split 'x'; there are train, val" in said(source, split="x")


def test_folders_of_splits_that_hold_images_and_labels(tmp_path):
    source = yolo_of(tmp_path / "set" / "train", None, a=BOX)
    yolo_of(tmp_path / "set" / "valid", None, b=BOX)
    (tmp_path / "set" / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnc: 1\nnames: ['cat']\n")
    assert keys(source.parent) == ["train/images/a.jpg", "valid/images/b.jpg"]
    (tmp_path / "set" / "data.yaml").unlink()
    (tmp_path / "set" / "classes.txt").write_text("cat\n")
    assert keys(source.parent) == ["train/images/a.jpg", "valid/images/b.jpg"]
    assert keys(source.parent, split="valid") == ["valid/images/b.jpg"]


def test_places_elsewhere_are_read_and_told(tmp_path):
    yolo_of(tmp_path / "a", None, x=BOX)
    yolo_of(tmp_path / "b", None, y=BOX)
    (tmp_path / "cfg").mkdir()
    file = tmp_path / "cfg" / "my.yaml"
    file.write_text(f"train: {tmp_path}/a/images\nval: ../b/images\nnames: [cat]\n")
    dataset = open_dataset(str(file))
    assert [entry.key for entry in dataset.entries] == ["a/images/x.jpg", "b/images/y.jpg"]
    (remark,) = dataset.remarks
    assert remark.startswith("my.yaml names places outside its own folder, which are read: ")
    assert f"{tmp_path}/a/images" in remark
    file.write_text("train: /\nnames: [cat]\n")
    assert "names the whole disk" in said(file)
    file.write_text("train: ../../../../../../../../../..\nnames: [cat]\n")
    assert "names the whole disk" in said(file)


def test_a_picture_of_two_splits_is_taken_once(tmp_path):
    dataset = open_dataset(str(yolo_of(tmp_path / "set", "train: images\nval: images\nnames: [cat]\n", a=BOX)))
    assert len(dataset.entries) == 1
    assert dataset.remarks == (
        "1 picture named by more than one split, taken once, by the first of them: images/a.jpg",
    )


def test_pictures_without_label_file_and_label_files_without_picture(tmp_path):
    source = yolo_of(tmp_path / "set", a=BOX, b=BOX, c=BOX)
    (source / "labels" / "b.txt").unlink()
    (source / "images" / "c.jpg").unlink()
    dataset = open_dataset(str(source))
    assert [len(dataset.reader.annotations(e).objects) for e in dataset.entries] == [1, 0]
    assert dataset.remarks == (
        "1 picture without a label file: background, as Ultralytics takes them",
        "left out: 1 label file without a picture",
    )
    (source / "labels" / "a.txt").unlink()
    (source / "labels" / "c.txt").unlink()
    assert "no picture has a label file; expected" in said(source)


def test_a_split_that_is_not_there(tmp_path):
    source = yolo_of(tmp_path / "set", "train: images\ntest: gone\nnames: [cat]\n", a=BOX)
    assert open_dataset(str(source)).remarks == ("left out: test names gone, which is not there",)
    assert "test names gone, which is not there" in said(source, split="test")
    (source / "data.yaml").write_text("train: gone\nnames: [cat]\n")
    assert "nothing that it names is there" in said(source)


def test_folders_without_data_yaml_need_class_names(tmp_path):
    source = yolo_of(tmp_path / "set", None, a=BOX)
    assert "no class names; expected a data.yaml, classes.txt or obj.names in it, or --classes FILE" in said(source)
    (tmp_path / "names").write_text("cat\ndog\n")
    dataset = open_dataset(str(source), SourceOptions(classes=tmp_path / "names"))
    assert [c.name for c in dataset.categories] == ["cat", "dog"]
    (source / "labels" / "classes.txt").write_text("dog\ncat\n")
    dataset = open_dataset(str(source))
    assert [(c.id, c.label, c.name) for c in dataset.categories] == [(1, 1, "dog"), (2, 2, "cat")]
    assert dataset.remarks == ()


def test_classes_of_a_file_go_by_their_names(tmp_path):
    source = yolo_of(tmp_path / "set", a=BOX)
    (tmp_path / "names").write_text("dog\ncow\ncat\n")
    dataset = open_dataset(str(source), SourceOptions(classes=tmp_path / "names"))
    assert dataset.reader.annotations(dataset.entries[0]).objects.category_id.tolist() == [3]
    (tmp_path / "names").write_text("cow\n")
    assert "has none of the classes that are chosen; there are cat, dog" in said(source, classes=tmp_path / "names")


def test_two_classes_of_one_name_stay_two(tmp_path):
    source = yolo_of(tmp_path / "set", "train: images\nnames: [cat, cat]\n", a="1 .5 .5 .2 .2")
    dataset = open_dataset(str(source))
    assert dataset.reader.annotations(dataset.entries[0]).objects.category_id.tolist() == [2]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("names: [yes, 010, 1:30, null]", ["yes", "010", "1:30", "null"]),
        ("names:\n  1: b\n  0: a", ["a", "b"]),
        ("nc: 2", ["class_0", "class_1"]),
        ("nc: 2\nnames: ['a: b', \"größe\"]", ["a: b", "größe"]),
        ("names: {0: !!python/name:os.system x}", ["x"]),
    ],
)
def test_names_are_the_text_that_stands_there(text, names, tmp_path):
    source = yolo_of(tmp_path / "set", f"train: images\n{text}\n", a=BOX)
    assert [c.name for c in open_dataset(str(source)).categories] == names


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\ntrain: images\nnames: *b\n"
BAD_YAML = {
    "bomb": (BOMB, "aliases (*a) are not read"),
    "deep": ("train: images\nnames: " + "[" * 50_000, "more than 20 levels"),
    "many": ("train: images\nnames: [" + "x," * 400_000 + "]", "too many values"),
    "large": ("train: images\nnames: [" + "x" * 1_100_000 + "]", "more than 1000 kB"),
    "tabs": ("train: images\n\tnames: [x]", "not YAML"),
    "twice": ("train: images\nnames: [x]\nnames: [y]", "'names' is given twice"),
    "no fields": ("- names:\n- train:", "expected fields"),
    "no pictures": ("names: [x]\ntrain:\n", "names no pictures"),
    "no names": ("train: images\nnames:\n", "no class names"),
    "gap": ("train: images\nnames: {0: a, 2: b}", "expected every class index from 0 on, once"),
    "negative": ("train: images\nnames: {-1: a, 0: b}", "expected every class index"),
    "count": ("train: images\nnc: 3\nnames: [a]", "nc says 3 classes and names has 1"),
    "huge": ("train: images\nnc: 999999999999", "no class names"),
    "nested": ("train: images\nnames: [[a]]", "expected a list or a mapping of class names"),
    "place": ("train: {a: b}\nnames: [a]", "expected the path of a folder or list file"),
    "nul": ('train: "images\\0"\nnames: [a]', "expected the path of a folder or list file"),
    "shape": ("train: images\nnames: [a]\nkpt_shape: [17, 4]", "expected [keypoints, 2 or 3]"),
    "vast shape": ("train: images\nnames: [a]\nkpt_shape: [99999999, 3]", "expected [keypoints, 2 or 3]"),
    "two documents": ("train: images\nnames: [a]\n---\nb: c\n", "not YAML"),
}


@pytest.mark.parametrize("kind", BAD_YAML)
def test_a_data_yaml_that_is_none_is_an_error_that_says_why(kind, tmp_path):
    text, expected = BAD_YAML[kind]
    source = yolo_of(tmp_path / "set", text, a=BOX)
    begin = time.process_time()
    message = said(source / "data.yaml", format="yolo")
    assert expected in message
    assert "data.yaml" in message
    assert time.process_time() - begin < 30


def test_a_data_yaml_that_is_no_text(tmp_path):
    source = yolo_of(tmp_path / "set", a=BOX)
    (source / "data.yaml").write_bytes(b"train: images\nnames: [\xff]\n")
    assert "not UTF-8 text (byte 22)" in said(source)
    (source / "data.yaml").unlink()
    os.mkfifo(source / "data.yaml")
    assert "no class names" in said(source)


def test_a_list_may_name_anything_and_only_pictures_are_read(tmp_path):
    source = yolo_of(tmp_path / "set", "train: list.txt\nnames: [cat]\n", a=BOX)
    (source / "list.txt").write_text("./images/a.jpg\n/etc/passwd\n../../x.txt\n\0.jpg\n")
    assert keys(source) == ["a.jpg"]


@pytest.mark.parametrize(
    ("name", "keys_"), [("labels", ["train/1.jpg", "val/1.jpg"]), ("strict", ["obj_train_data/1.jpg"])]
)
def test_real_sets_of_another_tool(name, keys_, tmp_path):
    source = real(f"datumaro_tests/tests/assets/yolo_dataset/{name}")
    dataset = open_dataset(str(source))
    assert [entry.key for entry in dataset.entries] == keys_
    for entry in dataset.entries:  # README of the set: 15×10 pixels, 6 decimals
        found = dataset.reader.annotations(entry)
        assert found.objects.boxes_xyxy.round(3).tolist() == [[0, 2, 4, 4], [3, 3, 5, 6]]
        assert [dataset.categories[i - 1].name for i in found.objects.category_id] == ["label_2", "label_4"]
