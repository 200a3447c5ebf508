"""Finding Pascal VOC data: layouts, names of pictures, lists, classes."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from builders import keys, object_xml, opened, read_all, rejected, voc_xml, write_mask, write_picture
from builders import write_voc as tree

from augpipe.core.errors import DatasetError, Reject
from augpipe.formats.base import read_picture

XML = voc_xml(object_xml())


def names(source) -> list[str]:
    return [c.name for c in source.categories]


def pictures(source) -> list[str | None]:
    """The picture's file of each entry, below the source."""
    found = [entry.picture and os.path.relpath(entry.picture.path, source.root) for entry in source.entries]
    return [path and path.replace(os.sep, "/") for path in found]


# --- layouts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("xml_folder", "picture_folder"),
    [
        ("Annotations", "JPEGImages"),
        ("annotations", "images"),
        ("ANNOTATIONS", "JPEGImages"),
        ("Annotation", "Images"),
        ("Annotations", "img"),
        ("Annotations", "."),
        ("Annotations", "Annotations"),
        (".", "."),
        ("xml", "images"),
    ],
)
def test_layouts(tmp_path, xml_folder, picture_folder):
    source = opened(tree(tmp_path / "set", {"a": XML, "b c (3)": XML}, xml_folder, picture_folder), format="voc")
    assert keys(source) == ["a.jpg", "b c (3).jpg"]
    assert pictures(source) == [os.path.normpath(f"{picture_folder}/{key}") for key in keys(source)]
    assert [len(labels.objects) for labels in read_all(source)] == [1, 1]
    assert source.remarks == ()


@pytest.mark.parametrize("sibling", ["images", "JPEGImages", "imgs"])
def test_a_folder_of_xml_with_pictures_in_a_sibling(tmp_path, sibling, monkeypatch):
    root = tree(tmp_path / "set", {"a": XML}, "xml", sibling)
    assert pictures(opened(root / "xml")) == [f"../{sibling}/a.jpg"]
    monkeypatch.chdir(root / "xml")
    assert pictures(opened(".")) == [f"../{sibling}/a.jpg"]


def test_nested_folders(tmp_path):
    root = tree(tmp_path / "set", {"x/a": XML, "y/z/b": XML})
    assert keys(opened(root)) == ["x/a.jpg", "y/z/b.jpg"]
    flat = tree(tmp_path / "flat", {"x/a": XML}, pictures=None)
    write_picture(flat / "JPEGImages" / "a.jpg")
    assert keys(opened(flat)) == ["a.jpg"]


def test_several_years_are_read_together(tmp_path):
    for year in ("VOC2007", "VOC2012"):
        tree(tmp_path / "VOCdevkit" / year, {"000001": XML})
    source = opened(tmp_path / "VOCdevkit")
    assert keys(source) == ["VOC2007/JPEGImages/000001.jpg", "VOC2012/JPEGImages/000001.jpg"]
    assert [entry.file for entry in source.entries] == [
        "VOC2007/Annotations/000001.xml", "VOC2012/Annotations/000001.xml"
    ]  # fmt: skip


def test_one_year_alone_has_plain_keys(tmp_path):
    tree(tmp_path / "VOCdevkit" / "VOC2007", {"000001": XML})
    assert keys(opened(tmp_path / "VOCdevkit")) == ["000001.jpg"]


def test_split_folders_of_xml_beside_pictures(tmp_path):
    tree(tmp_path / "train", {"a": voc_xml(object_xml("zebra"))}, ".", ".")
    tree(tmp_path / "valid", {"a": voc_xml(object_xml("ant"))}, ".", ".")
    both = opened(tmp_path)
    assert keys(both) == ["train/a.jpg", "valid/a.jpg"]
    one = opened(tmp_path, split="valid")
    assert keys(one) == ["valid/a.jpg"]
    assert names(one) == names(both) == ["ant", "zebra"]
    with pytest.raises(DatasetError, match="there are train, valid"):
        opened(tmp_path, split="test")


def test_xml_of_other_tools_is_no_voc(tmp_path):
    (tmp_path / "annotations.xml").write_text("<annotations><version>1.1</version></annotations>")
    with pytest.raises(DatasetError, match="no Pascal VOC data"):
        opened(tmp_path, format="voc")


def test_utf16_xml_is_recognised(tmp_path):
    tree(tmp_path, {"a": XML})
    path = tmp_path / "Annotations" / "a.xml"
    path.write_text(f'<?xml version="1.0" encoding="UTF-16"?>{XML}', "utf-16")
    assert [len(labels.objects) for labels in read_all(opened(tmp_path))] == [1]


# --- which picture ---------------------------------------------------------------------------------------------------


def one(tmp_path: Path, stem: str, filename: str | None, files: list[str]) -> str | None:
    """The picture that an XML finds."""
    tree(tmp_path / "set", {stem: voc_xml(object_xml(), filename=filename)}, pictures=None)
    for file in files:
        write_picture(tmp_path / "set" / "JPEGImages" / file)
    return pictures(opened(tmp_path / "set", format="voc"))[0]


@pytest.mark.parametrize(
    ("stem", "filename", "files", "expected"),
    [
        ("a", None, ["a.jpg"], "a.jpg"),
        ("a", "b.jpg", ["a.jpg", "b.jpg"], "a.jpg"),
        ("a", "b.jpg", ["b.jpg"], "b.jpg"),
        ("a", "b", ["b.png"], "b.png"),
        ("a", "b.jpg", ["b.png"], "b.png"),
        ("a", "C:\\pics\\b.jpg", ["b.jpg"], "b.jpg"),
        ("a", "/home/me/b.jpg", ["b.jpg"], "b.jpg"),
        ("a", "my photo (3).jpg", ["my photo (3).jpg"], "my photo (3).jpg"),
        ("a", "a.JPG", ["a.jpg", "a.jpeg", "a.JPG"], "a.JPG"),
        ("a", "a.jpeg", ["a.jpg", "a.jpeg", "a.JPG"], "a.jpeg"),
        ("a", None, ["a.jpg", "a.jpeg"], "a.jpeg"),
        ("a.b", "a.b", ["a.b.jpg"], "a.b.jpg"),
        ("a", "b.jpg", ["c.jpg"], None),
        ("a", "b.txt", ["c.jpg"], None),
    ],
)
def test_which_picture_an_xml_is_about(tmp_path, stem, filename, files, expected):
    assert one(tmp_path, stem, filename, files) == (expected and f"JPEGImages/{expected}")


def test_a_picture_with_an_xml_of_its_own_is_not_taken(tmp_path):
    """A copied XML keeps the <filename> of the one it was copied from."""
    tree(tmp_path, {"a": voc_xml(object_xml(), filename="a.jpg")})
    tree(tmp_path, {"b": voc_xml(object_xml("dog"), filename="a.jpg")}, pictures=None)
    assert dict(zip(keys(opened(tmp_path)), pictures(opened(tmp_path)), strict=True)) == {
        "a.jpg": "JPEGImages/a.jpg",
        "b.jpg": None,
    }


def test_names_that_a_system_has_decomposed(tmp_path):
    tree(tmp_path, {unicodedata.normalize("NFC", "café"): XML}, pictures=None)
    write_picture(tmp_path / "JPEGImages" / f"{unicodedata.normalize('NFD', 'café')}.jpg")
    source = opened(tmp_path)
    assert keys(source) == [unicodedata.normalize("NFC", "café.jpg")]
    assert source.entries[0].picture is not None


def test_an_xml_without_a_picture_stays_an_entry(tmp_path):
    tree(tmp_path, {"a": voc_xml(object_xml(), filename="other.png")}, pictures=None)
    (entry,) = opened(tmp_path).entries
    assert (entry.key, entry.picture) == ("a.png", None)
    with pytest.raises(Reject, match=r"no picture a.png was found") as caught:
        read_picture(entry)
    assert (caught.value.stage, caught.value.code) == ("read", "missing-picture")


def test_pictures_without_xml_are_left_out_and_told(tmp_path):
    tree(tmp_path, {"a": XML})
    assert opened(tmp_path).remarks == ()
    write_picture(tmp_path / "JPEGImages" / "b.jpg")
    assert opened(tmp_path).remarks == ("left out: 1 picture without annotations",)
    write_picture(tmp_path / "JPEGImages" / "sub" / "c.png")
    source = opened(tmp_path)
    assert keys(source) == ["a.jpg"]
    assert source.remarks == ("left out: 2 pictures without annotations",)


def test_masks_are_no_pictures(tmp_path):
    tree(tmp_path, {"a": XML}, pictures=".")
    write_mask(tmp_path / "SegmentationClass" / "a.png", np.zeros((10, 20)))
    assert opened(tmp_path).remarks == ()


def test_two_annotations_of_one_picture_are_an_error(tmp_path):
    tree(tmp_path, {"a": voc_xml(filename="p.jpg"), "b": voc_xml(filename="p.jpg")}, pictures=None)
    write_picture(tmp_path / "JPEGImages" / "p.jpg")
    with pytest.raises(
        DatasetError, match=r"two pictures are called 'p.jpg' \(Annotations/a.xml and Annotations/b.xml"
    ):
        opened(tmp_path)


def test_files_that_cannot_be_read_are_rejects(tmp_path):
    tree(tmp_path, {"a": XML, "b": XML, "c": XML})
    (tmp_path / "Annotations" / "b.xml").unlink()
    (tmp_path / "Annotations" / "b.xml").symlink_to("nowhere")
    (tmp_path / "Annotations" / "c.xml").unlink()
    os.mkfifo(tmp_path / "Annotations" / "c.xml")
    source = opened(tmp_path)
    assert keys(source) == ["a.jpg", "b.jpg", "c.jpg"]
    assert [rejected(source, key).code for key in ("b.jpg", "c.jpg")] == ["missing-file"] * 2


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    tree(tmp_path, {"a": XML})
    os.rename(bytes(tmp_path / "JPEGImages" / "a.jpg"), bytes(tmp_path / "JPEGImages") + b"/caf\xe9.jpg")
    os.rename(bytes(tmp_path / "Annotations" / "a.xml"), bytes(tmp_path / "Annotations") + b"/caf\xe9.xml")
    with pytest.raises(DatasetError, match="is not UTF-8; rename the file"):
        opened(tmp_path)
