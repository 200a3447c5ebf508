"""Places that a data.yaml or its lists call otherwise than the disk does: another machine, another tool."""

from __future__ import annotations

import pytest
from builders import opened, read_all, write_picture


def _parted(root, *folders):
    """A picture a folder, with a row of its own class; ``images`` in the path becomes ``labels``."""
    for number, folder in enumerate(folders):
        write_picture(root / folder / f"{number} x.jpg")
        labels = root / folder.replace("images", "labels")
        labels.mkdir(parents=True)
        (labels / f"{number} x.txt").write_text(f"{number} 0.5 0.5 0.5 0.5\n")


def _read(source):
    """(split, class) of each picture."""
    classes = [labels.objects.category_id.tolist() for labels in read_all(source)]
    return sorted((entry.split, *ids) for entry, ids in zip(source.entries, classes, strict=True))


@pytest.mark.parametrize(
    ("folders", "yaml", "told"),
    [
        (
            ("train/images", "valid/images"),
            "train: /content/cats-1/train/images\nval: /content/cats-1/valid/images\n",
            "train names /content/cats-1/train/images, which is not there: read from train/images",
        ),
        (
            ("images/train", "images/val"),
            "path: C:\\Users\\joe\\cats\ntrain: images\\train\nval: images\\val\n",
            "train names images\\train, which is not there: read from images/train",
        ),
        (
            ("train/images", "val/images"),
            "train: D:\\cats\\train\nval: D:\\cats\\val\n",
            "train names D:\\cats\\train, which is not there: read from train",
        ),
        (
            ("images/train", "images/val"),
            "path: ../datasets/cats\ntrain: images/train\nval: images/val\n",
            "path of data.yaml is not there (../datasets/cats): read from its folder",
        ),
    ],
    ids=["of-a-notebook", "backslashes", "windows", "relative"],
)
def test_a_moved_data_yaml_finds_its_folders(tmp_path, folders, yaml, told):
    _parted(tmp_path, *folders)
    (tmp_path / "data.yaml").write_text(f"{yaml}names: [cat, dog]\n")
    source = opened(tmp_path)
    assert _read(source) == [("train", 1), ("val", 2)]
    assert told in source.remarks


def test_a_last_name_that_says_no_split_is_not_taken_for_one(tmp_path):
    """Both would be the one folder that is there, and val would be train."""
    _parted(tmp_path, "images")
    (tmp_path / "data.yaml").write_text("train: /a/train/images\nval: /a/val/images\nnames: [cat]\n")
    with pytest.raises(Exception, match="nothing that it names is there"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "line", ["data/images/{}", "C:\\sets\\images\\{}", "/home/joe/cats/images/{}"], ids=["cvat", "windows", "unix"]
)
def test_lists_of_pictures_with_other_folders_in_front(tmp_path, line):
    _parted(tmp_path, "images/train", "images/val")
    for split, name in (("train", "0 x.jpg"), ("val", "1 x.jpg")):
        folder = "\\" if "\\" in line else "/"
        (tmp_path / f"{split}.txt").write_text(line.format(f"{split}{folder}{name}\n"))
    (tmp_path / "data.yaml").write_text("path: ./\ntrain: train.txt\nval: val.txt\nnames: {0: cat, 1: dog}\n")
    source = opened(tmp_path)
    assert _read(source) == [("train", 1), ("val", 2)]
    assert any("2 pictures found by another name (more folders)" in remark for remark in source.remarks)
