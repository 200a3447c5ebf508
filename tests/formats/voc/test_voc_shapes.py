"""Polygons and oriented boxes in Pascal VOC's XML, as Roboflow, LabelMe and roLabelImg write them."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from builders import box_xml, opened, read_all, voc_xml, write_picture

from augpipe.core.annotations import Rings

TRIANGLE = "<polygon><x1>3</x1><y1>2</y1><x2>12</x2><y2>2</y2><x3>8</x3><y3>9</y3></polygon>"
POINTS = "<polygon>" + "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in [(3, 2), (12, 2), (8, 9)]) + "</polygon>"
CENTERS = [[2.5, 1.5], [11.5, 1.5], [7.5, 8.5]]
BOX = box_xml(3, 2, 12, 9)


def labels_of(tmp_path, content: str, **options):
    write_picture(tmp_path / "JPEGImages" / "a.jpg", (20, 10))
    (tmp_path / "Annotations").mkdir()
    xml = voc_xml(f"<object><name>cat</name>{content}</object>", "<object><name>cat</name>" + BOX + "</object>")
    (tmp_path / "Annotations" / "a.xml").write_text(xml)
    (labels,) = read_all(opened(tmp_path, **options))
    return labels


@pytest.mark.parametrize("polygon", [TRIANGLE, POINTS])
def test_a_polygon_beside_a_box(tmp_path, polygon):
    labels = labels_of(tmp_path, BOX + polygon)
    assert labels.objects.boxes_xyxy[0].tolist() == [2, 1, 12, 9]
    first, second = labels.objects.segmentation
    assert isinstance(first, Rings)
    assert [ring.tolist() for ring in first.rings] == [CENTERS]
    assert second is None
    assert labels.objects.facts[0].attributes == {}
    assert labels.notes == ()


def test_files_that_count_from_zero(tmp_path):
    labels = labels_of(tmp_path, BOX + TRIANGLE, voc_origin=0)
    assert (np.array(CENTERS) + 1).tolist() == labels.objects.segmentation[0].rings[0].tolist()


def test_a_polygon_alone_has_the_box_around_it(tmp_path):
    labels = labels_of(tmp_path, TRIANGLE)
    assert labels.objects.boxes_xyxy[0].tolist() == [2.5, 1.5, 11.5, 8.5]
    assert len(labels.objects) == 2
    assert labels.notes == ("box-remade",)


def test_an_object_of_two_polygons(tmp_path):
    labels = labels_of(tmp_path, BOX + TRIANGLE + TRIANGLE.replace("9", "7"))
    assert [len(ring) for ring in labels.objects.segmentation[0].rings] == [3, 3]


@pytest.mark.parametrize(
    "polygon",
    [
        "<polygon><x1>3</x1><y1>2</y1><x2>12</x2><y2>2</y2></polygon>",
        TRIANGLE.replace("<y2>2</y2>", ""),
        TRIANGLE.replace("12", "nan"),
        TRIANGLE.replace("12", "1e30"),
        TRIANGLE.replace("12", "1_2"),
        TRIANGLE.replace("12", "<b>1</b>"),
        "<polygon><pt><x>1</x><y>1</y></pt></polygon>",
        "<polygon>round</polygon>",
    ],
)
def test_a_polygon_that_is_none_stays_a_field_and_is_noted(tmp_path, polygon):
    labels = labels_of(tmp_path, BOX + polygon)
    assert len(labels.objects) == 2
    assert labels.objects.segmentation[0] is None
    assert "polygon" in labels.objects.facts[0].attributes
    assert labels.notes == ("ring-left-out",)


def test_a_polygon_that_is_none_is_no_object_without_a_box(tmp_path):
    labels = labels_of(tmp_path, TRIANGLE.replace("12", "nan"))
    assert len(labels.objects) == 1
    assert [(d.index, d.reason) for d in labels.dropped] == [(0, "degenerate")]


@pytest.mark.parametrize("degrees", [0, 30, 90, 200])
def test_an_oriented_box_is_that_of_opencv(tmp_path, degrees):
    angle = math.radians(degrees)
    content = f"<type>robndbox</type><robndbox><cx>10</cx><cy>5</cy><w>6</w><h>2</h><angle>{angle}</angle></robndbox>"
    labels = labels_of(tmp_path, content)
    expected = cv2.boxPoints(((9.5, 4.5), (6, 2), degrees))
    obb = labels.objects.obb[0]
    assert min(np.abs(np.roll(expected, turn, 0) - obb).max() for turn in range(4)) < 1e-3
    (x0, y0), (x1, y1), (x2, y2) = obb[:3]
    assert (x1 - x0) * (y2 - y1) - (y1 - y0) * (x2 - x1) > 0  # clockwise where y points down
    assert math.degrees(math.atan2(y1 - y0, x1 - x0)) % 360 == pytest.approx(degrees)
    assert labels.objects.boxes_xyxy[0] == pytest.approx([*obb.min(0), *obb.max(0)])
    assert labels.objects.facts[0].attributes == {}


@pytest.mark.parametrize("odd", ["<w>0</w>", "<w>x</w>", ""])
def test_an_oriented_box_without_a_size_is_noted(tmp_path, odd):
    content = f"<robndbox><cx>10</cx><cy>5</cy>{odd}<h>2</h><angle>0</angle></robndbox>{BOX}"
    labels = labels_of(tmp_path, content)
    assert labels.objects.obb[0] is None
    assert labels.notes == ("obb-left-out",)
    assert "robndbox" in labels.objects.facts[0].attributes
