"""Datasets in the only folder of what a user names, and pictures that have no labels."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import split_layouts
from builders import object_xml, opened, said, voc_xml, write_mask, write_picture, write_voc
from command_line import call


@pytest.mark.parametrize("folder", ["VOCdevkit/VOC2012", "my data (v2)", "a/b"], ids=["devkit", "unpacked", "two-deep"])
def test_a_dataset_in_the_only_folder_is_read_and_told(tmp_path, folder):
    split_layouts.coco_2017(tmp_path / folder)
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    source = opened(tmp_path)
    assert sorted(entry.split for entry in source.entries) == ["test", "train", "val"]
    assert source.remarks[0] == f"read from the only folder in it, {folder}"


def test_of_two_folders_none_is_entered(tmp_path):
    for name in ("a", "b"):
        split_layouts.coco_2017(tmp_path / name)
    assert "no dataset that is known" in said(tmp_path)


def test_a_link_to_itself_ends(tmp_path):
    os.symlink(tmp_path, tmp_path / "again")
    assert "no dataset that is known" in said(tmp_path)


def test_the_only_folder_keeps_its_split(tmp_path):
    """As an export that has nothing but train."""
    write_voc(tmp_path / "train", {"1": voc_xml(object_xml())}, "", "")
    assert [entry.split for entry in opened(tmp_path).entries] == ["train"]


# --- pictures without labels -----------------------------------------------------------------------------------------


def test_a_folder_of_pictures_is_inspected_previewed_and_augmented(tmp_path):
    for name in ("a.jpg", "deep/b 1.png"):
        write_picture(tmp_path / "photos" / name)
    (tmp_path / "photos" / "README.md").write_text("Mine.")
    report = call("inspect", tmp_path / "photos", "--json")
    assert (report.exit_code, json.loads(report.stdout)["pictures"]) == (0, 2), report.output
    assert call("preview", tmp_path / "photos", "-r", "gentle", "-o", tmp_path / "sheet.png").exit_code == 0
    made = call("augment", tmp_path / "photos", tmp_path / "out", "-r", "gentle", "--copies", 2, "-w", 0)
    assert (made.exit_code, "4 samples of 2 pictures" in made.output) == (0, True), made.output
    assert "read as pictures without labels" in made.output


def test_a_single_picture(tmp_path):
    write_picture(tmp_path / "a.jpg")
    write_picture(tmp_path / "b.jpg")
    made = call("augment", tmp_path / "a.jpg", tmp_path / "out", "-r", "gentle", "--copies", 3, "-w", 0)
    assert (made.exit_code, "3 samples of 1 picture" in made.output) == (0, True), made.output


def test_folders_of_splits_are_splits_and_no_classes(tmp_path):
    for split in ("train", "val"):
        write_picture(tmp_path / split / "a.jpg")
    source = opened(tmp_path)
    assert (source.format, [entry.split for entry in source.entries]) == ("pictures", ["train", "val"])
    assert [entry.split for entry in opened(tmp_path, split="valid").entries] == ["val"]


@pytest.mark.parametrize(
    "beside",
    ["labels.csv", "notes.txt", "a.mat", "masks/a.png", "a.png", "data.parquet"],
)
def test_pictures_beside_what_may_be_labels_are_not_taken_without_them(tmp_path, beside):
    write_picture(tmp_path / "set" / "a.jpg")
    write_picture(tmp_path / "set" / "b.jpg")
    if beside.endswith(".png"):
        write_mask(tmp_path / "set" / beside, np.ones((10, 20)))
    else:
        (tmp_path / "set" / beside).write_text("nothing known")
    said(tmp_path / "set")
    assert opened(tmp_path / "set", format="pictures").format == "pictures"
