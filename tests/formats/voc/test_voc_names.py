"""Pictures of VOC that are called otherwise than their XML says, and pictures without one."""

from __future__ import annotations

import pytest
from builders import object_xml, opened, read_all, voc_xml, write_picture


def write(root, xml_name: str, picture: str | None, filename: str | None = None) -> None:
    (root / "Annotations").mkdir(exist_ok=True, parents=True)
    (root / "Annotations" / xml_name).write_text(voc_xml(object_xml(), filename=filename))
    if picture is not None:
        write_picture(root / "JPEGImages" / picture, (20, 10))


@pytest.mark.parametrize(
    ("xml_name", "filename", "picture", "rule"),
    [
        ("A.xml", None, "a.JPG", "letter case"),
        ("my%20photo.xml", None, "my photo.jpg", "percent-encoding"),
        ("3d7a1e2b-a.xml", None, "a.jpg", "upload prefix"),
        ("0001.xml", "A.jpg", "a.jpg", "letter case"),
        ("0001.xml", "C:\\photos\\3d7a1e2b-a.jpg", "a.jpg", "upload prefix"),
    ],
)
def test_a_picture_under_another_name_is_found_and_told(tmp_path, xml_name, filename, picture, rule):
    write(tmp_path, xml_name, picture, filename)
    source = opened(tmp_path)
    assert [(e.key, e.picture.path) for e in source.entries] == [(picture, str(tmp_path / "JPEGImages" / picture))]
    assert len(source.remarks) == 1
    assert source.remarks[0].startswith(f"1 picture found by another name ({rule}): ")


def test_a_picture_that_two_xml_files_fit_belongs_to_neither(tmp_path):
    write(tmp_path, "1.xml", "photo.jpg", "Photo.jpg")
    write(tmp_path, "2.xml", None, "Photo.jpg")
    assert [(e.key, e.picture) for e in opened(tmp_path).entries] == [("1.jpg", None), ("2.jpg", None)]


def test_a_picture_of_another_split_is_not_taken(tmp_path):
    write(tmp_path, "a.xml", "a.jpg")
    write(tmp_path, "A.xml", None)
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("A\n")
    assert [(e.key, e.picture) for e in opened(tmp_path, split="train").entries] == [("A.jpg", None)]


def test_a_listed_picture_without_an_xml_is_background(tmp_path):
    write(tmp_path, "a.xml", "a.jpg")
    write_picture(tmp_path / "JPEGImages" / "b.jpg", (20, 10))
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a\nb\n")
    source = opened(tmp_path, split="train")
    assert [(e.key, len(labels.objects)) for e, labels in zip(source.entries, read_all(source), strict=True)] == [
        ("a.jpg", 1), ("b.jpg", 0),
    ]  # fmt: skip
    assert source.remarks == ("1 picture that a list names without an XML: background, without objects",)
