"""Conversions that cannot be or can be only in part: one clear line, the right exit code, no half output."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import datasets
import numpy as np
import pytest
from conversions import (
    an_object,
    coco_boxes,
    coco_of,
    done,
    failed,
    image,
    refused,
    row,
    voc_boxes,
    voc_of,
    xml,
)
from PIL import Image

# --- names -----------------------------------------------------------------------------------------------------------


def test_odd_names_come_through(tmp_path):
    names = ["two words (3).jpg", "größe.jpg", "deep/er/x.jpg", "日本.png", "a%20b.jpg", "-r.jpg", "dots.v1.2.jpg"]
    source = coco_of(
        tmp_path / "a.json", images=[image(i, n) for i, n in enumerate(names)], rows=[row(1, 0, [1, 2, 3, 4])]
    )
    done("coco-to-voc", source, tmp_path / "voc")
    done("voc-to-coco", tmp_path / "voc", tmp_path / "back.json", "--split", "all")
    assert sorted(i["file_name"] for i in json.loads((tmp_path / "back.json").read_text())["images"]) == sorted(names)


def test_names_that_lead_out_stay_in(tmp_path):
    names = ["../../evil.jpg", "/etc/hosts.jpg", "C:\\x\\win.jpg"]
    source = coco_of(
        tmp_path / "a.json", images=[image(i, n) for i, n in enumerate(names)], rows=[row(1, 0, [1, 2, 3, 4])]
    )
    done("coco-to-voc", source, tmp_path / "deep" / "voc")
    assert sorted(voc_boxes(tmp_path / "deep" / "voc")) == ["evil", "hosts", "win"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "deep"]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["voc"]


@pytest.mark.parametrize("name", ["a\0b.jpg", "", "..", "/"])
def test_names_that_are_none_are_refused(name, tmp_path):
    source = coco_of(tmp_path / "a.json", images=[image(1, name)])
    assert "no image has an id and a file name" in refused("coco-to-voc", source, tmp_path / "voc")
    assert not (tmp_path / "voc").exists()


def test_names_that_no_list_can_hold_are_lost_and_counted(tmp_path):
    names = ["a\nb.jpg", " a.jpg", "b\u2028.jpg", "good.jpg"]
    source = coco_of(
        tmp_path / "a.json", images=[image(i, n) for i, n in enumerate(names)], rows=[row(1, 3, [1, 2, 3, 4])]
    )
    out = failed("coco-to-voc", source, tmp_path / "voc")
    assert "augpipe: 3 pictures could not be converted" in out
    assert sorted(voc_boxes(tmp_path / "voc")) == ["good"]


@pytest.mark.parametrize("names", [["a.jpg", "a.png"], ["frame.1", "frame.1.jpg"]])
def test_pictures_that_would_share_an_xml_are_refused(names, tmp_path):
    source = coco_of(
        tmp_path / "a.json", images=[image(i, n) for i, n in enumerate(names)], rows=[row(1, 0, [1, 2, 3, 4])]
    )
    assert "would share one XML; rename one" in refused("coco-to-voc", source, tmp_path / "voc")


def test_a_dot_in_a_name_without_ending_ends_no_stem(tmp_path):
    names = ["frame.1", "frame.2"]
    source = coco_of(
        tmp_path / "a.json", images=[image(i, n) for i, n in enumerate(names)], rows=[row(1, 0, [1, 2, 3, 4])]
    )
    done("coco-to-voc", source, tmp_path / "voc")
    assert sorted(voc_boxes(tmp_path / "voc")) == names


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow such names")
@pytest.mark.parametrize("at", ["Annotations", "JPEGImages"])
def test_names_that_are_not_utf8_are_refused(at, tmp_path):
    source = datasets.make_voc(tmp_path / "voc", 2)
    stem = os.fsdecode(b"caf\xe9")
    (source / "Annotations" / "img_000.xml").rename(
        source / "Annotations" / f"{stem if at == 'Annotations' else 'cafe'}.xml"
    )
    (source / "JPEGImages" / "img_000.jpg").rename(source / "JPEGImages" / f"{stem}.jpg")
    if at == "JPEGImages":
        text = (source / "Annotations" / "cafe.xml").read_bytes().replace(b"img_000.jpg", b"cafe.jpg")
        (source / "Annotations" / "cafe.xml").write_bytes(text)
        (source / "JPEGImages" / f"{stem}.jpg").rename(source / "JPEGImages" / "cafe.jpg")
        shutil.copy(source / "JPEGImages" / "cafe.jpg", source / "JPEGImages" / f"{stem}.jpg")
        done("voc-to-coco", source, tmp_path / "out.json")  # a picture without annotations is none of it
    else:
        assert "is not UTF-8; rename the file" in refused("voc-to-coco", source, tmp_path / "out.json")


def test_a_target_that_is_not_utf8_can_be_written_and_told(voc, tmp_path):
    target = os.fsencode(tmp_path) + b"/caf\xe9.json"
    code = subprocess.run(
        [Path(sys.executable).with_name("augpipe"), "convert", "voc-to-coco", voc, target],
        capture_output=True,
        check=False,
    )
    assert code.returncode == 0, code.stderr
    assert b"\\udce9" in code.stdout


def test_lone_surrogates_in_a_json_are_refused(tmp_path):
    source = coco_of(tmp_path / "a.json", images=[image(1, "a\ud800.jpg")])
    assert "not a COCO JSON" in refused("coco-to-voc", source, tmp_path / "voc")


# --- bad input -------------------------------------------------------------------------------------------------------


def test_a_source_that_is_not_there_or_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing.json").write_text('{"images": [], "annotations": [], "categories": []}')
    (tmp_path / "zero.json").write_text("")
    assert "no such file or folder" in refused("voc-to-coco", tmp_path / "missing", tmp_path / "out.json")
    assert "no Pascal VOC data" in refused("voc-to-coco", tmp_path / "empty", tmp_path / "out.json")
    assert "no COCO JSON" in refused("coco-to-voc", tmp_path / "empty", tmp_path / "out")
    assert "no annotated pictures" in refused("coco-to-voc", tmp_path / "nothing.json", tmp_path / "out")
    assert "the file is empty" in refused("coco-to-voc", tmp_path / "zero.json", tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "nothing.json", "zero.json"]


def test_the_way_out_of_a_conversion_that_there_is_not_works(tmp_path):
    """YOLO has no place for masks: what the message says is what is run."""
    for folder, value in (("images", np.zeros((30, 40, 3), np.uint8)), ("masks", np.eye(30, 40, dtype=np.uint8))):
        (tmp_path / "src" / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "src" / folder / "a.png"), value)
    (tmp_path / "src" / "classes.txt").write_text("void\nroad\n")
    said = failed("masks-to-yolo", tmp_path / "src", tmp_path / "out")
    assert "yolo has no place for what masks holds, so nothing was written" in said
    option = re.search(r"--instances \w+", said)[0]
    done("masks-to-yolo", tmp_path / "src", tmp_path / "yolo", *option.split())
    assert (tmp_path / "yolo" / "labels" / "a.txt").read_text().startswith("0 ")
    done("masks-to-voc", tmp_path / "src", tmp_path / "voc")
    (mask,) = (tmp_path / "voc" / "SegmentationClass").rglob("*.png")
    assert np.count_nonzero(np.array(Image.open(mask))) == 30
    assert "imagefolder-to-shards" in refused("imagefolder-to-voc", tmp_path / "src", tmp_path / "out")


def test_the_wrong_kind_is_named(voc, coco, tmp_path):
    assert "it can be read as coco" in refused("voc-to-coco", coco, tmp_path / "out.json")
    assert "it can be read as voc" in refused("coco-to-voc", voc, tmp_path / "out")
    assert "unknown conversion 'coco-to-yolo9'; known are" in refused("coco-to-yolo9", coco, tmp_path / "out")
    assert "give a folder as DST" in refused("coco-to-voc", coco, tmp_path / "out.json")


@pytest.mark.parametrize(
    "text", ['{"images": [', "[]", "not json", '{"images": 3}', '{"annotations": []}', "[" * 100_000]
)
def test_broken_json(text, tmp_path):
    (tmp_path / "a.json").write_text(text)
    assert "a.json" in refused("coco-to-voc", tmp_path / "a.json", tmp_path / "out")


def test_ids_that_are_given_twice_or_point_nowhere(tmp_path):
    twice = coco_of(tmp_path / "1.json", images=[image(1, "a.jpg"), image(1, "b.jpg")])
    assert "image id 1 is given twice" in refused("coco-to-voc", twice, tmp_path / "out")
    same = coco_of(tmp_path / "2.json", images=[image(1, "a.jpg"), image(2, "a.jpg")])
    assert "1 picture listed under several ids, taken once" in done("coco-to-voc", same, tmp_path / "same")
    category = coco_of(tmp_path / "3.json", categories=[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}])
    assert "category id 1 is given twice" in refused("coco-to-voc", category, tmp_path / "out")
    nowhere = coco_of(tmp_path / "4.json", rows=[row(1, 77, [1, 2, 3, 4])])
    assert "no annotation is for an image that it lists" in refused("coco-to-voc", nowhere, tmp_path / "out")
    some = coco_of(tmp_path / "5.json", rows=[row(1, 77, [1, 2, 3, 4]), row(2, 1, [1, 2, 3, 4])])
    out = done("coco-to-voc", some, tmp_path / "out")
    assert "5.json: 1 annotation of images that it does not list are left out" in out


def test_an_unknown_category_loses_its_picture_and_exit_1(tmp_path):
    rows = [row(1, 1, [1, 2, 3, 4], 5), row(2, 2, [1, 2, 3, 4])]
    source = coco_of(tmp_path / "a.json", images=[image(1, "a.jpg"), image(2, "b.jpg")], rows=rows)
    out = failed("coco-to-voc", source, tmp_path / "out")
    assert "1 picture, 1 object to" in out
    assert "augpipe: 1 picture could not be converted\n  a.jpg: " in out
    assert "category_id 5 is in no categories list" in out


BOMB = '<!DOCTYPE annotation [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + xml(an_object(name="&b;"))
FILE = '<!DOCTYPE annotation [<!ENTITY a SYSTEM "file:///etc/hostname">]>' + xml(an_object(name="&a;"))
BAD_XML = {
    "unclosed": "<annotation><object>",
    "empty": "",
    "root": "<html/>",
    "bomb": BOMB,
    "file": FILE,
    "undefined": xml(an_object(name="&nbsp;")),
    "deep": xml("<a>" * 5000 + "</a>" * 5000),
    "nameless": xml("<object><bndbox/></object>"),
    "binary": "\x01\x02",
    "latin": '<?xml version="1.0" encoding="no-such"?>' + xml(),
}


@pytest.mark.parametrize("kind", BAD_XML)
def test_an_xml_that_cannot_be_read_loses_its_picture_and_exit_1(kind, tmp_path):
    source = voc_of(tmp_path / "voc", bad=BAD_XML[kind], good=xml(an_object()))
    (source / "JPEGImages").mkdir()
    cv2.imwrite(str(source / "JPEGImages" / "bad.jpg"), np.zeros((30, 40), np.uint8))
    out = failed("voc-to-coco", source, tmp_path / "out.json")
    assert "1 picture, 1 object to" in out
    assert "augpipe: 1 picture could not be converted\n  bad.jpg: Annotations/bad.xml" in out
    assert [i["file_name"] for i in json.loads((tmp_path / "out.json").read_text())["images"]] == ["good.jpg"]


def test_a_dtd_elsewhere_is_not_fetched(tmp_path):
    (tmp_path / "x.dtd").write_text('<!ENTITY name "dog">')
    declared = f'<!DOCTYPE annotation SYSTEM "file://{tmp_path}/x.dtd">'
    source = voc_of(tmp_path / "voc", a=declared + xml(an_object()))
    done("voc-to-coco", source, tmp_path / "out.json")
    assert coco_boxes(tmp_path / "out.json") == {"a": [("cat", 1, 2, 10, 10)]}
    source = voc_of(tmp_path / "other", a=declared + xml(an_object(name="&name;")), b=xml())
    assert "1 picture could not be converted" in failed("voc-to-coco", source, tmp_path / "out2.json")


def test_where_nothing_can_be_converted_nothing_is_written(tmp_path):
    source = voc_of(tmp_path / "voc", a=xml(an_object(), size=""), b="<annotation>")
    for target in (tmp_path / "out.json", tmp_path / "new" / "out"):
        out = failed("voc-to-coco", source, target)
        assert "none of the pictures can be converted, so nothing was written" in out
        assert "a.jpg: neither the labels nor a picture tell its size" in out
    assert [p.name for p in tmp_path.iterdir()] == ["voc"]


def test_pictures_that_are_missing_or_unreadable_are_counted_and_their_labels_converted(voc, tmp_path):
    shutil.copytree(voc, tmp_path / "set")
    pictures = tmp_path / "set" / "JPEGImages"
    (pictures / "img_000.jpg").unlink()
    (pictures / "img_001.jpg").write_bytes(b"no picture")
    (pictures / "img_002.jpg").write_bytes(b"")
    out = done("voc-to-coco", tmp_path / "set", tmp_path / "out")
    assert "note: 3 pictures not found or not readable; the labels are converted all the same\n  img_000.jpg: " in out
    assert coco_boxes(tmp_path / "out" / "annotations") == voc_boxes(voc)
    assert (tmp_path / "out" / "images" / "img_001.jpg").read_bytes() == b"no picture"
    assert not (tmp_path / "out" / "images" / "img_000.jpg").exists()


def test_long_lists_are_cut_but_counted(tmp_path):
    source = coco_of(tmp_path / "a.json", images=[image(i, f"{i:02d}.jpg") for i in range(25)])
    out = done("coco-to-voc", source, tmp_path / "out")
    assert "note: 25 pictures not found" in out
    assert "  04.jpg: no picture of that name was found\n  and 20 more\n" in out
