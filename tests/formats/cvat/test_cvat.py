"""CVAT for images: every kind of element, labels of the head, subsets, pictures, and XML that is none."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import SIZE, approx, check_commands, coco_rows, files_of, make_cvat
from builders import decode, keys, opened, read_all, rejected, said

from augpipe.formats.registry import recognised

BOX = '<box label="tree" source="manual" occluded="1" xtl="40.00" ytl="30.00" xbr="120.00" ybr="90.00" z_order="0"/>'
HEAD = '<?xml version="1.0" encoding="utf-8"?>'


def image(*elements: str, name: str = "a.jpg", more: str = "") -> str:
    return f'  <image id="0" name="{name}" {more} width="320" height="240">\n{"".join(elements)}\n  </image>\n'


def document(*images: str, meta: str = "") -> str:
    return f"{HEAD}\n<annotations>\n<version>1.1</version>\n<meta>{meta}</meta>\n{''.join(images)}</annotations>\n"


def one(folder: Path, *elements: str, meta: str = "") -> Any:
    files = {"annotations.xml": document(image(*elements), meta=meta)}
    dataset = opened(files_of(folder / "set", files, ["images/a.jpg"]))
    return dataset, dataset.reader.annotations(dataset.entries[0])


def test_every_command_takes_it(tmp_path):
    source = make_cvat(tmp_path / "set")
    check_commands(source, "cvat", tmp_path)
    expected = [("house", [150, 100, 110, 100], 0), ("tree", [40, 30, 80, 60], 0)]
    assert coco_rows(source, tmp_path / "again") == {"images/a.jpg": expected}
    assert recognised(str(source / "annotations.xml")) == ["cvat"]


def test_boxes_and_what_is_said_of_them(tmp_path):
    turned = '<box label="ship" occluded="0" xtl="100" ytl="100" xbr="140" ybr="120" rotation="90.0" z_order="2">'
    turned += '<attribute name="kind">tug</attribute><attribute name="truncated">true</attribute></box>'
    dataset, found = one(tmp_path, BOX, turned)
    assert found.objects.boxes_xyxy[0].tolist() == [40, 30, 120, 90]
    assert found.objects.boxes_xyxy[1].tolist() == approx(110, 90, 130, 130)
    assert found.objects.obb[0] is None
    # a quarter turn clockwise about (120, 110): the top left corner is at the top right
    assert found.objects.obb[1].ravel().tolist() == approx(130, 90, 130, 130, 110, 130, 110, 90)
    first, second = found.objects.facts
    assert (first.occluded, first.attributes) == (1, {"source": "manual"})
    assert (second.occluded, second.truncated) == (0, 1)
    assert second.attributes == {"z_order": "2", "kind": "tug"}
    assert (found.size_wh, [c.name for c in dataset.categories]) == (SIZE, ["tree", "ship"])


def test_polygons_and_ellipses(tmp_path):
    polygon = '<polygon label="a" points="150.0,100.0;260.0,100.0;200.0,200.0"/>'
    ellipse = '<ellipse label="a" cx="100" cy="100" rx="40" ry="20" rotation="90"/>'
    _, found = one(tmp_path, polygon, ellipse)
    assert found.objects.boxes_xyxy.tolist() == [[150, 100, 260, 200], approx(80, 60, 120, 140)]
    assert found.objects.segmentation[0].rings[0].tolist() == [[150, 100], [260, 100], [200, 200]]
    x, y = found.objects.segmentation[1].rings[0].T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    assert area == pytest.approx(math.pi * 40 * 20, rel=0.003)


def test_a_mask_is_run_lengths_by_rows_in_its_frame(tmp_path):
    frame = 'left="10" top="20" width="4" height="3"'
    _, found = one(tmp_path, f'<mask label="a" source="manual" rle="1, 2, 2, 3, 4" {frame} z_order="0"/>')
    expected = np.zeros((240, 320), np.uint8)
    expected[20, 11:13] = 1  # .##.
    expected[21, 11:14] = 1  # .###
    assert np.array_equal(decode(found.objects.segmentation[0]), expected)
    assert found.objects.boxes_xyxy.tolist() == [[11, 20, 14, 22]]


@pytest.mark.parametrize("rle", ["", "1, 2", "1, x", "-1, 13", "9999999999", "3, 9, 1"])
def test_a_mask_that_is_none_leaves_its_frame(rle, tmp_path):
    _, found = one(tmp_path, f'<mask label="a" rle="{rle}" left="10" top="20" width="4" height="3"/>')
    assert found.objects.boxes_xyxy.tolist() == [[10, 20, 14, 23]]
    assert found.notes == ("mask-left-out",)


def test_a_mask_that_leads_out_or_is_a_bomb(tmp_path):
    masks = (
        '<mask label="a" rle="0, 12" left="318" top="20" width="4" height="3"/>',
        '<mask label="a" rle="0, 999999999" left="0" top="0" width="9999999" height="9999999"/>',
    )
    _, found = one(tmp_path, *masks)
    assert found.notes == ("mask-left-out",)
    assert [s is None for s in found.objects.segmentation] == [True, True]


def test_skeletons(tmp_path):
    meta = """<task><labels>
      <label><name>car</name><type>any</type><attributes></attributes></label>
      <label><name>person</name><type>skeleton</type><svg>&lt;line/&gt;</svg></label>
      <label><name>nose</name><type>points</type><parent>person</parent></label>
      <label><name>left_eye</name><type>points</type><parent>person</parent></label>
      <label><name>right_eye</name><type>points</type><parent>person</parent></label>
    </labels></task>"""
    skeleton = """<skeleton label="person" source="manual" z_order="0">
      <attribute name="pose">sitting</attribute>
      <points label="right_eye" outside="0" occluded="1" points="30.5,10.0"/>
      <points label="nose" outside="0" occluded="0" points="20.0,25.0"/>
      <points label="left_eye" outside="1" occluded="0" points="99.0,99.0"/>
      <points label="tail" outside="0" occluded="0" points="1,1"/>
    </skeleton>"""
    dataset, found = one(tmp_path, skeleton, meta=meta)
    assert [c.name for c in dataset.categories] == ["car", "person"]
    person = dataset.categories[1]
    assert person.keypoints == ("nose", "left_eye", "right_eye", "tail")
    assert person.flip_pairs == ((1, 2),)
    assert found.objects.keypoints[0].tolist() == [[20, 25, 2], [0, 0, 0], [30.5, 10, 1], [1, 1, 2]]
    assert found.objects.boxes_xyxy.tolist() == [[1, 1, 30.5, 25]]
    assert found.objects.facts[0].attributes == {"source": "manual", "pose": "sitting"}


def test_points_tags_and_what_encloses_no_area(tmp_path):
    elements = (
        '<points label="a" points="1.0,2.0;5.0,9.0"/>',
        '<points label="lone" points="1.0,2.0"/>',
        '<polyline label="road" points="1.0,2.0;5.0,9.0"/>',
        '<cuboid label="box" xtl1="1"/>',
        '<tag label="night" source="manual"><attribute name="x">1</attribute></tag>',
    )
    dataset, found = one(tmp_path, *elements)
    assert found.objects.keypoints[0].tolist() == [[1, 2, 2], [5, 9, 2]]
    assert found.tags == ("night",)
    assert [c.name for c in dataset.categories] == ["a", "night"]
    assert found.notes == ("shape-left-out",)
    (remark,) = dataset.remarks
    assert remark.startswith("left out: 3 shapes of types that enclose no area, or points alone (cuboid 1, points 1, ")
    assert remark.endswith("polyline 1), as 'lone' in a.jpg")


@pytest.mark.parametrize(
    "element",
    [
        BOX.replace("120.00", "40.00"),
        BOX.replace("120.00", "nan"),
        BOX.replace("120.00", "1e99"),
        BOX.replace('xbr="120.00"', ""),
        '<polygon label="tree" points="1,2;3,4"/>',
        '<polygon label="tree" points="1,2;3,4;x,1"/>',
        '<polygon label="tree"/>',
        '<ellipse label="tree" cx="1" cy="1" rx="0" ry="5"/>',
        '<skeleton label="tree"/>',
        '<mask label="tree" rle="12" left="10" top="20" width="4" height="3"/>',
    ],
)
def test_an_element_that_is_no_object_is_dropped(element, tmp_path):
    _, found = one(tmp_path, element, BOX)
    assert [d.reason for d in found.dropped] == ["degenerate"]
    assert len(found.objects) == 1


def test_subsets_are_splits_and_pictures_lie_in_their_folders(tmp_path):
    text = document(
        image(BOX, more='subset="Train" task_id="1"'),
        image(BOX.replace("tree", "bush"), more='subset="Val" task_id="2"'),
        image(BOX, name="deep/b.jpg", more='subset="Val"'),
        image(name="gone.jpg", more='subset="Val"'),
    )
    source = files_of(
        tmp_path / "set", {"annotations.xml": text}, ["images/Train/a.jpg", "images/Val/a.jpg", "images/Val/deep/b.jpg"]
    )
    assert list(opened(source).splits) == ["train", "val"]
    dataset = opened(source, split="Val")
    assert keys(dataset) == ["gone.jpg", "images/Val/a.jpg", "images/Val/deep/b.jpg"]
    assert [entry.picture is None for entry in dataset.entries] == [True, False, False]
    assert [c.name for c in dataset.categories] == ["tree", "bush"]


def test_several_tasks_and_pictures_elsewhere(tmp_path):
    files = {f"{s}/annotations.xml": document(image(BOX)) for s in ("one", "two")}
    source = files_of(tmp_path / "set", files, ["one/images/a.jpg", "two/a.jpg", "two/b.jpg"])
    assert said(source).endswith("several splits, one, two; choose one with --split")
    assert keys(opened(source, split="two")) == ["two/a.jpg"]
    assert opened(source / "two").remarks == ("left out: 1 picture without an <image>",)
    apart = files_of(tmp_path / "apart", {}, ["a.jpg"])
    assert keys(opened(source / "one" / "annotations.xml", images=apart)) == ["a.jpg"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{HEAD}<annotations><image", "not XML"),
        (f"{HEAD}<annotations></annotations>", "no <image> in the XML of CVAT"),
        (document(image(BOX)).replace("utf-8", "latin-1"), "save it as UTF-8"),
        (document(image(BOX)).replace("<ann", '<!DOCTYPE a [<!ENTITY x "y">]><ann', 1), "with a DTD or entities"),
        (
            document('<track id="0" label="tree"><box frame="0"/></track>'),
            "in CVAT export the task as 'CVAT for images",
        ),
        (document("<a>" * 100 + "</a>" * 100), "nested in more than"),
        ("<x><annotations></annotations></x>", "expected <annotations>, got <x>"),
    ],
)
def test_a_file_that_is_none_is_an_error(text, says, tmp_path):
    assert says in said(files_of(tmp_path / "set", {"annotations.xml": text}, ["a.jpg"]), format="cvat")


def test_an_image_of_any_form_is_found_by_its_bytes(tmp_path):
    text = document(
        '<image name="a > b.jpg" id="1" width="320" height="240"/>',
        f'<image id="2"\n name=\'c.jpg\' width="320" height="240">{BOX}<!-- </image> --></image >',
        image(BOX.replace("tree", "höhe"), name="d.jpg"),
    )
    source = files_of(tmp_path / "set", {"a.xml": b"\xef\xbb\xbf" + text.encode()}, ["a > b.jpg", "c.jpg", "d.jpg"])
    dataset = opened(source)
    assert [len(found.objects) for found in read_all(dataset)] == [0, 1, 1]
    assert [c.name for c in dataset.categories] == ["tree", "höhe"]


def test_an_object_without_a_label_and_files_that_change_reject_their_pictures(tmp_path):
    source = files_of(tmp_path / "set", {"a.xml": document(image(BOX.replace('label="tree"', "")))}, ["a.jpg"])
    assert rejected(opened(source)).code == "unknown-class"
    (source / "a.xml").write_text(document(image(BOX)))
    dataset = opened(source)
    (source / "a.xml").write_text(document(image(BOX)).replace("<image", "<imago"))
    assert rejected(dataset).code == "bad-xml"
