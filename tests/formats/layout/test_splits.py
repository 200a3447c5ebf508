"""Splits: their names, and that every reader finds them where its format puts them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import opened
from command_line import call
from split_layouts import LAYOUTS, MEANT, class_folders, voc_by_lists, yolo_by_yaml

from augpipe.core.errors import DatasetError
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
