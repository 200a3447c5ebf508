"""Pascal VOC: the lists of splits, classes and their order, and the fingerprint of a source."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from builders import keys, object_xml, opened, read_all, rejected, voc_xml, write_mask, write_picture
from builders import write_voc as tree

from augpipe.core.errors import DatasetError
from augpipe.formats.voc.read import TWENTY

XML = voc_xml(object_xml())


def names(source) -> list[str]:
    return [c.name for c in source.categories]


def pictures(source) -> list[str | None]:
    """The picture's file of each entry, below the source."""
    found = [entry.picture and os.path.relpath(entry.picture.path, source.root) for entry in source.entries]
    return [path and path.replace(os.sep, "/") for path in found]


# --- which picture ---------------------------------------------------------------------------------------------------


def one(tmp_path: Path, stem: str, filename: str | None, files: list[str]) -> str | None:
    """The picture that an XML finds."""
    tree(tmp_path / "set", {stem: voc_xml(object_xml(), filename=filename)}, pictures=None)
    for file in files:
        write_picture(tmp_path / "set" / "JPEGImages" / file)
    return pictures(opened(tmp_path / "set", format="voc"))[0]


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
