"""Splits that the names of JSONs tell: as a word among others, or by names of one's own."""

from __future__ import annotations

import pytest
from builders import coco, image, opened, read_all, row, said, write_json, write_picture
from command_line import call


@pytest.mark.parametrize(
    ("train", "val", "folders"),
    [
        ("cats-v2_train_coco", "cats-v2_valid_coco", ("train", "valid")),
        ("train_annotations", "test_annotations", ("train", "test")),
        ("coco.train", "coco.validation", ("train", "validation")),
        ("Train-Images", "Val-Images", ("Train", "Val")),
    ],
)
def test_a_split_is_a_word_of_the_name(tmp_path, train, val, folders):
    """Pictures of both have one name, so that taking them for one set would lose half."""
    for number, (stem, folder) in enumerate(zip((train, val), folders, strict=True), start=1):
        write_picture(tmp_path / folder / "1.jpg", (20 * number, 10))
        write_json(tmp_path / "annotations" / f"{stem}.json", coco([image(1, "1.jpg")], [row(number, 1)]))
    source = opened(tmp_path)
    second = "test" if "test" in val else "val"
    ids = {
        e.split: [f.id for f in labels.objects.facts]
        for e, labels in zip(source.entries, read_all(source), strict=True)
    }
    assert ids == {"train": [1], second: [2]}
    assert len({entry.picture.path for entry in source.entries}) == 2


@pytest.mark.parametrize("names", [("instances_fold0", "instances_fold1"), ("fold0", "fold1")])
def test_folds_are_splits_by_names_of_their_own(tmp_path, names):
    for number, stem in enumerate(names):
        write_picture(tmp_path / "set" / "images" / f"{number}.jpg")
        write_json(
            tmp_path / "set" / "annotations" / f"{stem}.json", coco([image(1, f"{number}.jpg")], [row(number, 1)])
        )
    source = opened(tmp_path / "set")
    assert [entry.split for entry in source.entries] == ["fold0", "fold1"]
    assert "JSONs about different pictures, each read as a split of its own: fold0, fold1" in source.remarks
    assert [entry.key for entry in opened(tmp_path / "set", split="fold1").entries] == ["1.jpg"]
    made = call("augment", tmp_path / "set", tmp_path / "out", "-r", "gentle", "--augment-split", "fold0",
                "--pass-split", "fold1", "-w", 0)  # fmt: skip
    assert made.exit_code == 0, made.output


def test_jsons_that_share_some_pictures_are_refused(tmp_path):
    for stem, names in (("a", "12"), ("b", "23")):
        write_json(tmp_path / f"{stem}.json", coco([image(int(n), f"{n}.jpg") for n in names], []))
    assert "not about the same images" in said(tmp_path)
