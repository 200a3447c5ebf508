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
from augpipe.formats.voc.read import TWENTY

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


# --- splits ----------------------------------------------------------------------------------------------------------

STEMS = ("000001", "000002", "a 1", "img (3)", "x/n")


@pytest.fixture
def listed(tmp_path):
    """Keys that a list of this text chooses from ``STEMS``."""
    root = tree(tmp_path / "set", dict.fromkeys(STEMS, XML))

    def choose(text: str, group: str = "Main", encoding: str = "utf-8") -> list[str]:
        path = root / "ImageSets" / group / "some.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(encoding))
        return [key.removesuffix(".jpg") for key in keys(opened(root, split="some"))]

    return choose


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("000001\n000002\n", ["000001", "000002"]),
        ("000001\r\n000002\r\n", ["000001", "000002"]),
        ("000002\n000002\n\n 000002 ", ["000002"]),
        ("000001 -1\n000002  1\n", ["000001", "000002"]),
        ("000001\t0\n", ["000001"]),
        ("a 1\n", ["a 1"]),
        ("a 1 -1\n", ["a 1"]),
        ("img (3)\n", ["img (3)"]),
        ("img (3) 1\n", ["img (3)"]),
        ("img (3).jpg\n", ["img (3)"]),
        ("JPEGImages/000001.jpg\n", ["000001"]),
        ("x/n\n", ["x/n"]),
        ("n\n", ["x/n"]),
        ("000001  1 -1\n", ["000001"]),
        ("000002 7\n", ["000002"]),
    ],
)
def test_lists_as_they_are_written(listed, text, expected):
    assert listed(text) == expected


def test_lists_with_a_byte_order_mark(listed):
    assert listed("000001\n", encoding="utf-8-sig") == ["000001"]


@pytest.mark.parametrize("group", ["Main", "Segmentation", "Layout", "Action", "."])
def test_lists_of_any_kind(listed, group):
    assert listed("000001\n", group) == ["000001"]


def test_what_a_list_names_and_nothing_has_stays_an_entry(tmp_path):
    root = tree(tmp_path, {"a": XML})
    write_picture(root / "JPEGImages" / "b.jpg")
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "val.txt").write_text("b 1\nc -1\n")
    source = opened(root, split="val")
    assert list(zip(keys(source), pictures(source), strict=True)) == [("b.jpg", "JPEGImages/b.jpg"), ("c.jpg", None)]
    assert source.remarks == ("1 picture that a list names without an XML: background, without objects",)
    assert rejected(source, "c.jpg").code == "missing-file"


def test_a_split_may_be_a_folder_of_annotations(tmp_path):
    root = tree(tmp_path, {"train/a": XML, "val/b": XML})
    assert keys(opened(root, split="val")) == ["val/b.jpg"]


def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.xml")
    os.mkfifo(tmp_path / "b.json")
    with pytest.raises(DatasetError, match="no dataset that is known"):
        opened(tmp_path)


def test_a_split_that_is_not_there(tmp_path):
    root = tree(tmp_path, {"a": XML})
    with pytest.raises(DatasetError, match=r"no ImageSets/Main/val.txt; there are no lists"):
        opened(root, split="val")
    (root / "ImageSets" / "Main").mkdir(parents=True)
    for name in ("train", "aeroplane_train", "car_train", "night_drive"):  # lists of one class say nothing new
        (root / "ImageSets" / "Main" / f"{name}.txt").write_text("a\n")
    with pytest.raises(DatasetError, match=r"no ImageSets/Main/val.txt; there are train, night_drive$"):
        opened(root, split="val")
    for bad in ("../train", "/etc/passwd", "a/b", ""):
        with pytest.raises(DatasetError, match="expected a name such as trainval"):
            opened(root, split=bad)


def test_a_split_of_several_years(tmp_path):
    for year, chosen in (("VOC2007", "a"), ("VOC2012", "b")):
        root = tree(tmp_path / year, {"a": XML, "b": XML})
        (root / "ImageSets" / "Main").mkdir(parents=True)
        (root / "ImageSets" / "Main" / "val.txt").write_text(chosen)
    assert keys(opened(tmp_path, split="val")) == ["VOC2007/JPEGImages/a.jpg", "VOC2012/JPEGImages/b.jpg"]


# --- classes ---------------------------------------------------------------------------------------------------------


def test_classes_are_the_twenty_in_the_devkits_order(tmp_path):
    root = tree(tmp_path, {"a": voc_xml(object_xml("tvmonitor"), object_xml("aeroplane"))})
    assert names(opened(root)) == ["aeroplane", "tvmonitor"]  # somebody's own set
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "aeroplane_train.txt").write_text("a 1\n")  # a list of the devkit's
    source = opened(root)
    assert names(source) == list(TWENTY)
    devkit = tree(tmp_path / "VOCdevkit" / "VOC2012", {"a": voc_xml(object_xml("tvmonitor"))})
    assert names(opened(devkit)) == list(TWENTY)
    assert [(c.id, c.label) for c in source.categories] == [(i, i) for i in range(1, 21)]
    assert read_all(source)[0].objects.category_id.tolist() == [20, 1]


def test_other_classes_are_sorted_and_come_from_the_whole_set(tmp_path):
    root = tree(tmp_path, {"a": voc_xml(object_xml("zebra"), object_xml("cat")), "b": voc_xml(object_xml("ant"))})
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "one.txt").write_text("a\n")
    for options in ({}, {"split": "one"}, {"limit": 1}):
        source = opened(root, **options)
        assert [(c.id, c.name) for c in source.categories] == [(1, "ant"), (2, "cat"), (3, "zebra")]


def test_a_classes_file_fixes_the_ids(tmp_path):
    root = tree(tmp_path / "set", {"a": voc_xml(object_xml("zebra"), object_xml("cat"))})
    listing = tmp_path / "classes.txt"
    listing.write_bytes(b"\xef\xbb\xbfzebra\r\n\r\nowl\r\n cat \r\n")
    source = opened(root, classes=listing)
    assert [(c.id, c.name) for c in source.categories] == [(1, "zebra"), (2, "owl"), (3, "cat")]
    assert read_all(source)[0].objects.category_id.tolist() == [1, 3]
    listing.write_text("owl\nzebra\n")
    source = opened(root, classes=listing)
    assert [(c.id, c.name) for c in source.categories] == [(1, "owl"), (2, "zebra")]
    assert read_all(source)[0].objects.category_id.tolist() == [2]
    assert any("1 of 'cat' (as in a.jpg)" in remark for remark in source.remarks)
    listing.write_text("catt\nzebra\n")
    with pytest.raises(DatasetError, match=r"lists 'catt', which is no class of .*; did you mean 'cat'\?"):
        opened(root, classes=listing)


def test_broken_xml_names_no_class(tmp_path):
    root = tree(tmp_path, {"a": XML, "b": "<annotation><object><name>ghost</name>"})
    source = opened(root)
    assert "ghost" not in names(source)
    assert rejected(source, "b.jpg").code == "bad-xml"


def test_a_labelmap_is_the_class_map(tmp_path):
    root = tree(tmp_path, {"a": voc_xml(object_xml("owl"))})
    (root / "labelmap.txt").write_text("background:0,0,0::\nzebra:1,1,1::\nowl:2,2,2::\nignored:255,255,255::\n")
    source = opened(root)
    assert [(c.id, c.label, c.name) for c in source.categories] == [(1, 1, "zebra"), (2, 2, "owl")]
    (root / "labelmap.txt").write_text("background:0,0,0::\nzebra:1,1,1::\n")
    source = opened(root)
    assert names(source) == ["owl"]
    assert source.remarks == ("labelmap.txt is not used: 'owl' is not listed there exactly once",)


def test_masks_of_other_classes_are_told_how_they_are_taken(tmp_path):
    root = tree(tmp_path, {"a": voc_xml(object_xml("owl"), object_xml("ant"))})
    write_mask(root / "SegmentationClass" / "a.png", np.zeros((10, 20)))
    (remark,) = opened(root).remarks
    assert remark == "values of the masks are taken as 1 ant, 2 owl; a labelmap.txt or --classes says otherwise"


# --- the fingerprint -------------------------------------------------------------------------------------------------


def test_the_fingerprint_covers_annotations_masks_and_pictures(tmp_path):
    root = tree(tmp_path, {"a": XML, "b": XML})
    mask = write_mask(root / "SegmentationObject" / "a.png", np.zeros((10, 20)))
    seen = [opened(root).fingerprint()]
    assert opened(root).fingerprint() == seen[0]
    write_mask(mask, np.ones((10, 20)))
    seen.append(opened(root).fingerprint())
    (root / "Annotations" / "b.xml").write_text(voc_xml(object_xml("dog")))
    seen.append(opened(root).fingerprint())
    write_picture(root / "JPEGImages" / "b.jpg", (40, 30))
    seen.append(opened(root).fingerprint())
    assert len(set(seen)) == 4


def test_masks_have_the_classes_of_a_list_beside_them(tmp_path):
    """As labelme's tools write it: its first line is the value 0."""
    root = tmp_path
    write_picture(root / "JPEGImages" / "a.jpg", (4, 2))
    write_mask(root / "SegmentationClass" / "a.png", np.array([[0, 1, 2, 2], [0, 0, 1, 255]]), "P")
    (root / "class_names.txt").write_text("_background_\ncrack\nrust\n")
    source = opened(root)
    assert [(c.id, c.label, c.name) for c in source.categories] == [(1, 1, "crack"), (2, 2, "rust")]
    (root / "class_names.txt").write_text("crack\ncrack\n")
    source = opened(root)
    assert [(c.id, c.name) for c in source.categories] == [(1, "class_1"), (2, "class_2")]
    assert any("class_names.txt is not used" in remark for remark in source.remarks)
    (root / "class_names.txt").unlink()
    (tmp_path / "own.txt").write_text("background\ncrack\nrust\n")
    assert names(opened(root, classes=tmp_path / "own.txt")) == ["crack", "rust"]
