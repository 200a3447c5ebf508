"""Splits: their names, and that every reader finds them where its format puts them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import coco as document
from builders import image, opened, row, write_json, write_picture
from command_line import call
from split_layouts import LAYOUTS, MEANT, class_folders, voc_by_lists, yolo_by_yaml

from augpipe.core.errors import DatasetError
from augpipe.formats.layout.picture_paths import PicturePaths
from augpipe.formats.layout.splits import chosen_split, in_order, in_split, known_split, split_called, split_in


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("train", "train"), ("Training", "train"), ("train2017", "train"), ("train_2017", "train"), ("val", "val"),
        ("valid", "val"), ("validation", "val"), ("val2012", "val"), ("test", "test"), ("testing", "test"),
        ("trainval", None), ("minival", None), ("test-dev2017", None), ("value", None), ("", None), ("2017", None),
        ("train1", None), ("train20170", None),
    ],
)  # fmt: skip
def test_what_a_name_means(name, meant):
    assert known_split(name) == meant
    assert split_called(name) == (meant or name)


def test_folders_tell_a_split():
    assert split_in("images/val/a.jpg") == "val"
    assert split_in("valid/images/a.jpg") == "val"
    assert split_in("val.jpg") == split_in("photos/val.jpg") == ""


def test_a_split_is_chosen_by_any_of_its_names_and_never_by_anothers():
    there = ["train2017", "val2017", "minival"]
    assert chosen_split("val", there) == chosen_split("validation", there) == "val2017"
    assert chosen_split("minival", there) == "minival"
    assert chosen_split("test", there) is None
    assert chosen_split("trainval", there) is None
    assert chosen_split("val", ["val2014", "val2017"]) is None  # which of them?


def test_the_order_of_splits_and_the_folder_of_one():
    assert in_order(["b", "test", "valid", "a", "train", ""]) == ["train", "valid", "test", "", "a", "b"]
    assert in_split("a.jpg", "val") == "val/a.jpg"
    assert in_split("val2017/a.jpg", "val") == "val/a.jpg"
    assert in_split("photos/a.jpg", "val") == "val/photos/a.jpg"
    assert in_split("val", "val") == "val/val"


# --- each format ----------------------------------------------------------------------------------------------------


def splits_by_name(source) -> dict[str, str]:
    return {Path(entry.key).stem.removesuffix("_2"): entry.split for entry in source.entries}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_reader_knows_the_split_of_each_picture(tmp_path, layout):
    layout(tmp_path)
    whole = opened(tmp_path)
    assert splits_by_name(whole) == MEANT
    assert list(whole.splits) == ["train", "val", "test"]
    assert all(entry.picture is not None for entry in whole.entries)


@pytest.mark.parametrize("alias", ["val", "valid", "validation"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_reader_takes_a_split_by_any_of_its_names(tmp_path, layout, alias):
    layout(tmp_path)
    assert splits_by_name(opened(tmp_path, split=alias)) == {"valid": "val"}
    with pytest.raises(DatasetError, match=r"no (split 'minival'|ImageSets/Main/minival\.txt)"):
        opened(tmp_path, split="minival")


def test_a_list_of_trainval_is_a_split_only_where_there_is_no_train(tmp_path):
    voc_by_lists(tmp_path)
    (tmp_path / "ImageSets" / "Main" / "train.txt").unlink()
    (tmp_path / "ImageSets" / "Main" / "val.txt").unlink()
    assert splits_by_name(opened(tmp_path)) == {"train": "trainval", "valid": "trainval", "test": "test"}


def test_a_picture_in_two_lists_belongs_to_the_first_and_is_told(tmp_path):
    voc_by_lists(tmp_path)
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("valid\ntrain\n")
    source = opened(tmp_path)
    assert splits_by_name(source) == MEANT
    assert source.remarks == ("1 picture in the lists of two splits, taken for the first: train, train and val",)


def test_a_picture_that_a_data_yaml_names_twice_belongs_to_the_first_and_is_told(tmp_path):
    yolo_by_yaml(tmp_path)
    (tmp_path / "data.yaml").write_text("train: train/images\nval: [train/images, valid/images]\nnames: [cat]\n")
    source = opened(tmp_path)
    assert splits_by_name(source) == {"train": "train", "valid": "val"}
    assert "1 picture named by more than one split, taken once, by the first of them: train/images/train.jpg" in (
        source.remarks
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_inspect_has_a_row_a_split(tmp_path, layout):
    layout(tmp_path)
    each = 2 if layout is class_folders else 1
    found = json.loads(call("inspect", tmp_path, "--json").stdout)["splits"]
    assert [(row["name"], row["pictures"]) for row in found] == [("train", each), ("val", each), ("test", each)]


def test_pictures_of_another_split_are_never_taken_for_those_of_a_json(tmp_path):
    for split, numbers in (("train", (1, 2)), ("val", (1, 3))):
        images = [image(n, f"{n}.jpg") for n in numbers]
        write_json(tmp_path / "annotations" / f"instances_{split}.json", document(images, [row(n, n) for n in numbers]))
    for n in (1, 2, 3):
        write_picture(tmp_path / "images" / "train" / f"{n}.jpg")
    found = {(e.split, Path(e.key).name): e.picture is not None for e in opened(tmp_path).entries}
    assert found == {
        ("train", "1.jpg"): True,
        ("train", "2.jpg"): True,
        ("val", "1.jpg"): False,
        ("val", "3.jpg"): False,
    }
    assert [e.picture for e in opened(tmp_path, split="val").entries] == [None, None]


def test_lists_part_a_folder_whatever_it_is_called(tmp_path):
    for name in "abc":
        write_picture(tmp_path / "images" / "train" / f"{name}.jpg")
        (tmp_path / "labels" / "train").mkdir(parents=True, exist_ok=True)
        (tmp_path / "labels" / "train" / f"{name}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "classes.txt").write_text("cat\n")
    (tmp_path / "train.txt").write_text("./images/train/a.jpg\n./images/train/b.jpg\n")
    (tmp_path / "val.txt").write_text("./images/train/c.jpg\n")
    assert splits_by_name(opened(tmp_path)) == {"a": "train", "b": "train", "c": "val"}
    assert list(splits_by_name(opened(tmp_path, split="train"))) == ["a", "b"]


def test_a_listed_picture_without_labels_is_one_of_the_dataset(tmp_path):
    voc_by_lists(tmp_path)
    write_picture(tmp_path / "JPEGImages" / "empty.jpg")
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("valid\nempty\nnowhere\n")
    source = opened(tmp_path)
    assert splits_by_name(source) == {**MEANT, "empty": "val"}
    assert source.remarks == ("1 picture that a list names without an XML: background, without objects",)


@pytest.mark.parametrize("said", ["/home/dev/proj/a.jpg", "D:\\test\\a.jpg", "a.jpg"])
def test_folders_above_a_dataset_name_no_split(tmp_path, said):
    for split in ("train", "val"):
        write_picture(tmp_path / split / "images" / "x" / "a.jpg")
    paths = PicturePaths(tmp_path)
    assert paths.find(said, "train/json") == "train/images/x/a.jpg"
    assert paths.find(said, "val/json") == "val/images/x/a.jpg"


def test_the_work_of_finding_pictures_grows_with_their_number(tmp_path, monkeypatch):
    ranked = []
    monkeypatch.setattr("augpipe.formats.layout.picture_paths._common", lambda *one: ranked.append(one) or 0)
    for n in range(40):
        write_picture(tmp_path / f"s{n}" / "img.png")
    paths = PicturePaths(tmp_path)
    assert [paths.find(f"/data/s{n}/img.png") for n in range(40)] == [f"s{n}/img.png" for n in range(40)]
    assert not ranked
