"""Splits by names of one's own come back from every format that is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from conversions import yolo_of

from augpipe.conversion.run import convert
from augpipe.formats.base import SourceOptions
from augpipe.formats.registry import open_dataset

ROW = "0 0.5 0.5 0.5 0.5\n"
TARGETS = ("yolo", "coco", "voc", "dota")


def a_set(folder: Path, *splits: str, head: str = "") -> Path:
    text = head + "".join(f"{split}: images/{split}\n" for split in splits) + "names: [cat]\n"
    return yolo_of(folder, text, **{f"{split}__{split}": ROW for split in splits})


def splits_of(folder: Path) -> dict[str, str]:
    """Stem of a picture → its split."""
    return {Path(entry.key).stem: entry.split for entry in open_dataset(str(folder), SourceOptions()).entries}


def test_a_field_that_names_a_folder_of_pictures_is_a_split(tmp_path):
    source = a_set(tmp_path / "in", "train", "val", "night", head="author: me\nlicense: MIT\nurls: [a, b]\n")
    assert splits_of(source) == {"train": "train", "val": "val", "night": "night"}
    assert [e.split for e in open_dataset(str(source), SourceOptions(split="night")).entries] == ["night"]


def test_a_field_that_names_lists_is_a_split_and_one_that_leads_out_is_none(tmp_path):
    source = a_set(tmp_path / "in", "train", "val", head="night: [a.txt, b.txt]\noutside: ../other\nself: .\n")
    yolo_of(tmp_path / "other", None, x=ROW)
    yolo_of(source, None, more__n1=ROW, more__n2=ROW)
    for name in "ab":
        (source / f"{name}.txt").write_text(f"./images/more/n{1 + (name == 'b')}.jpg\n")
    assert splits_of(source) == {"train": "train", "val": "val", "n1": "night", "n2": "night"}


@pytest.mark.parametrize("to", TARGETS)
def test_splits_by_names_of_ones_own_come_back(tmp_path, to):
    source = a_set(tmp_path / "in", "train", "night", head="val: images/train\n")
    assert splits_of(source) == {"train": "train", "night": "night"}
    convert(source, tmp_path / "way", to)
    assert splits_of(tmp_path / "way") == {"train": "train", "night": "night"}


def test_the_only_split_by_a_name_of_its_own_comes_back_from_yolo(tmp_path):
    source = a_set(tmp_path / "in", "night", head="train: images/night\nval: images/night\n")
    assert splits_of(source) == {"night": "night"}
    convert(source, tmp_path / "way", "yolo")
    assert splits_of(tmp_path / "way") == {"night": "night"}


def test_a_list_that_shares_pictures_with_train_is_no_split(tmp_path):
    convert(a_set(tmp_path / "in", "train", "night"), tmp_path / "voc", "voc")
    lists = tmp_path / "voc" / "ImageSets" / "Main"
    (lists / "debug.txt").write_text((lists / "train.txt").read_text() + (lists / "night.txt").read_text())
    assert splits_of(tmp_path / "voc") == {"train": "train", "night": "night"}


def test_a_split_called_as_another_field_gets_another_name(tmp_path):
    convert(a_set(tmp_path / "in", "train", "night"), tmp_path / "voc", "voc")
    lists = tmp_path / "voc" / "ImageSets" / "Main"
    (lists / "night.txt").rename(lists / "names.txt")
    convert(tmp_path / "voc", tmp_path / "out", "yolo")
    data = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())
    assert data["names"] == {0: "cat"}
    assert data["names_split"] == "images/names"
    assert list((tmp_path / "out" / "images" / "names").rglob("night.jpg"))
