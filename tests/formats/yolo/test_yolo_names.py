"""Label files of YOLO that are called otherwise than their picture."""

from __future__ import annotations

import json

import pytest
from builders import opened, read_all, write_picture


@pytest.mark.parametrize(
    ("picture", "label"),
    [
        ("images/a.png", "labels/a.png.txt"),
        ("images/train/a.JPG", "labels/train/A.txt"),
        ("images/my photo.jpg", "labels/my%20photo.txt"),
        ("images/a.jpg", "labels/3d7a1e2b-a.txt"),
    ],
)
def test_a_label_file_under_another_name_is_found_and_told(tmp_path, picture, label):
    write_picture(tmp_path / picture)
    write_picture(tmp_path / "images" / "ok.jpg")
    for name in (label, "labels/ok.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "classes.txt").write_text("cat\n")
    source = opened(tmp_path)
    assert [len(labels.objects) for labels in read_all(source)] == [1, 1]
    assert source.remarks == (
        f"1 label file found by another name, which Ultralytics does not look for: {label} is that of {picture}",
    )


def test_a_label_file_of_another_splits_picture_is_not_taken(tmp_path):
    write_picture(tmp_path / "images" / "train" / "a.jpg")
    write_picture(tmp_path / "images" / "val" / "b.jpg")
    for name in ("train/c", "val/A", "val/b"):
        (tmp_path / "labels" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "labels" / f"{name}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "classes.txt").write_text("cat\n")
    source = opened(tmp_path)
    assert [len(labels.objects) for labels in read_all(source)] == [0, 1]
    assert "left out: 2 label files without a picture" in source.remarks


def test_a_data_yaml_may_be_written_as_json(tmp_path):
    """JSON is YAML; scripts write it so, in one line or with an indent."""
    for indent in (None, 2):
        root = tmp_path / f"set{indent}"
        write_picture(root / "images" / "a.jpg")
        (root / "labels").mkdir()
        (root / "labels" / "a.txt").write_text("1 0.5 0.5 0.5 0.5\n")
        (root / "data.yaml").write_text(json.dumps({"train": "images", "names": ["cat", "dog"]}, indent=indent))
        source = opened(root)
        assert [category.name for category in source.categories] == ["cat", "dog"]
        assert read_all(source)[0].objects.category_id.tolist() == [2]
