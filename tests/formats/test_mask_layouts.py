"""Ways in which people keep masks beside pictures."""

from __future__ import annotations

import numpy as np
import pytest
from builders import opened, read_all, write_mask, write_picture
from command_line import call

MASK = np.zeros((10, 20), np.uint8)
MASK[2:5, 3:9] = 1


@pytest.mark.parametrize(
    ("picture", "mask", "split"),
    [
        ("default/a.png", "defaultannot/a.png", ""),
        ("train_images/a.jpg", "train_masks/a.png", "train"),
        ("val_images/a.jpg", "val_labels/a.png", "val"),
        ("Images/a.jpg", "Images_gt/a.png", ""),
        ("train/a.jpg", "train_annotations/a.png", "train"),
    ],
)
def test_folders_that_are_called_like_each_other(tmp_path, picture, mask, split):
    """With folders such as these, all would be classes of pictures else, masks among them."""
    write_picture(tmp_path / picture)
    write_mask(tmp_path / mask, MASK)
    source = opened(tmp_path)
    assert (source.format, [entry.split for entry in source.entries]) == ("masks", [split])
    assert np.array_equal(read_all(source)[0].semantic, MASK)


def test_masks_among_their_pictures(tmp_path):
    """As Roboflow exports them, with a table of classes."""
    for split in ("train", "valid"):
        write_picture(tmp_path / split / f"{split}_jpg.rf.0a.jpg")
        write_mask(tmp_path / split / f"{split}_jpg.rf.0a_mask.png", MASK)
        (tmp_path / split / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, crack\n")
    source = opened(tmp_path)
    assert [(entry.key, entry.split) for entry in source.entries] == [
        ("train/train_jpg.rf.0a.jpg", "train"),
        ("valid/valid_jpg.rf.0a.jpg", "val"),
    ]
    assert [(c.id, c.name) for c in source.categories] == [(1, "crack")]
    assert all(np.array_equal(labels.semantic, MASK) for labels in read_all(source))


def test_masks_among_their_pictures_without_splits(tmp_path):
    write_picture(tmp_path / "set" / "a.jpg")
    write_mask(tmp_path / "set" / "a_mask.png", MASK)
    made = call("augment", tmp_path / "set", tmp_path / "out", "-r", "gentle", "--copies", 2, "-w", 0)
    assert (made.exit_code, "2 samples of 1 picture" in made.output) == (0, True), made.output
    write_picture(tmp_path / "set" / "nothing_said_of_it.jpg")
    seen = call("inspect", tmp_path / "set")
    assert "unlisted-picture  1  file " in seen.output, "the masks beside them are listed"


def test_classes_of_people_with_and_without_a_mask_stay_classes(tmp_path):
    for name in ("with_mask/1.jpg", "without_mask/1.jpg"):
        write_picture(tmp_path / name)
    source = opened(tmp_path)
    assert (source.format, [c.name for c in source.categories]) == ("imagefolder", ["with_mask", "without_mask"])
