"""Crowds and labels of another size, as a user chooses to have them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from builders import (
    coco,
    decode,
    image,
    object_xml,
    opened,
    read_all,
    rejected,
    row,
    voc_xml,
    write_json,
    write_picture,
    write_voc,
)
from command_line import call
from pycocotools import mask as coco_mask


def crowd_set(folder, *crowds: int):
    """COCO of one picture, with a class a and an object of it for each flag."""
    write_picture(folder / "images" / "a.jpg")
    rows = [row(i, bbox=[i, 1, 4, 5], iscrowd=flag) for i, flag in enumerate(crowds, start=1)]
    return write_json(folder / "x.json", coco([image()], rows))


def test_crowds_as_they_are_asked_for(tmp_path):
    path = crowd_set(tmp_path, 0, 1)
    for crowds, flags in (("keep", [0, 1]), ("instances", [0, 0]), ("drop", [0])):
        source = opened(path, crowds=crowds)
        assert read_all(source)[0].objects.iscrowd.tolist() == flags
        assert any("left out: 1 crowd, as in a.jpg" in remark for remark in source.remarks) == (crowds == "drop")


@pytest.mark.parametrize(("crowds", "told"), [((1, 1, 1), True), ((0, 1), False), ((0, 0), False)])
def test_a_class_that_is_all_crowd_is_told_with_the_option(tmp_path, crowds, told):
    remarks = opened(crowd_set(tmp_path, *crowds)).remarks
    assert any("3 of 3 (as in a.jpg); --crowds instances takes them" in remark for remark in remarks) == told


def test_nothing_of_all_objects_is_an_error_with_the_way_out(tmp_path):
    path = crowd_set(tmp_path, 1, 1)
    result = call("convert", "coco-to-yolo", path, tmp_path / "out", "-w", 0)
    assert result.exit_code == 1
    assert "none of 2 objects can be written, so nothing was written: crowds 2" in result.stderr
    assert "--crowds instances" in result.stderr
    assert not (tmp_path / "out").exists()
    result = call("convert", "coco-to-yolo", path, tmp_path / "out", "-w", 0, "--crowds", "instances")
    assert (result.exit_code, len((tmp_path / "out" / "labels" / "a.txt").read_text().splitlines())) == (0, 2)


def test_shards_of_crowds_alone_go_to_coco(tmp_path):
    path = crowd_set(tmp_path, 1, 1)
    write_picture(tmp_path / "a.jpg")
    assert call("augment", path, tmp_path / "shards", "-r", "gentle", "-w", 0).exit_code == 0
    result = call("convert", "shards-to-yolo", tmp_path / "shards", tmp_path / "out")
    assert result.exit_code == 1
    assert "coco has a place for crowds" in result.stderr
    assert "--crowds" not in result.stderr  # which is for COCO
    assert call("convert", "shards-to-coco", tmp_path / "shards", tmp_path / "out").exit_code == 0


def test_crowds_are_of_coco(tmp_path):
    root = write_voc(tmp_path, {"a": voc_xml(object_xml())})
    result = call("inspect", root, "--crowds", "drop", "-w", 0)
    assert result.exit_code == 2
    assert "--crowds is for COCO, this is voc" in result.stderr


def test_labels_of_half_the_size(tmp_path):
    write_picture(tmp_path / "images" / "a.jpg", (40, 30))
    bitmap = np.zeros((15, 20), np.uint8, order="F")
    bitmap[3:7, 2:6] = 1
    code = coco_mask.encode(bitmap)
    rows = [
        row(1, bbox=[2, 3, 4, 5], segmentation=[[2, 3, 6, 3, 6, 8]]),
        row(2, bbox=[2, 3, 4, 4], segmentation={"size": code["size"], "counts": code["counts"].decode()}),
    ]
    path = write_json(tmp_path / "x.json", coco([image(width=20, height=15)], rows))
    (kept,) = read_all(opened(path))
    assert kept.objects.boxes_xyxy.tolist()[0] == [2, 3, 6, 8]
    (scaled,) = read_all(opened(path, size_mismatch="scale"))
    assert scaled.objects.boxes_xyxy.tolist() == [[4, 6, 12, 16], [4, 6, 12, 14]]
    assert scaled.objects.segmentation[0].rings[0].tolist() == [[4, 6], [12, 6], [12, 16]]
    mask = scaled.objects.segmentation[1]
    painted = decode(mask)
    assert np.array_equal(painted, np.kron(bitmap, np.ones((2, 2), np.uint8)))
    assert (scaled.size_wh, scaled.notes) == ((40, 30), ("size-mismatch-scaled",))
    assert rejected(opened(path, size_mismatch="reject"), "a.jpg").code == "size-mismatch"


def test_labels_of_their_pictures_size_are_left_alone(tmp_path):
    path = crowd_set(tmp_path, 0)
    for choice in ("scale", "reject"):
        (labels,) = read_all(opened(path, size_mismatch=choice))
        assert (labels.objects.boxes_xyxy.tolist(), labels.notes) == ([[1, 1, 5, 6]], ())


def test_a_coordinate_below_1_is_proof_of_the_origin(tmp_path):
    root = write_voc(tmp_path, {"a": voc_xml(object_xml(box=(0, 0, 19, 9)), object_xml(box=(0, 2, 5, 5)))})
    (remark,) = opened(root).remarks
    assert remark == (
        "2 boxes with a coordinate below 1, as in a.xml: Pascal VOC counts from 1, so these files count from 0; "
        "read them with --voc-origin 0"
    )
    assert opened(root, voc_origin=0).remarks == ()


def test_a_run_goes_on_as_it_was_begun(tmp_path):
    write_picture(tmp_path / "images" / "a.jpg", (40, 20))
    path = write_json(tmp_path / "x.json", coco([image()], [row(1), row(2, bbox=[9, 1, 8, 6], iscrowd=1)]))
    out, chosen = tmp_path / "out", ("--crowds", "instances", "--size-mismatch", "scale")
    assert call("augment", path, out, "-r", "gentle", "-w", 0, *chosen).exit_code == 0
    reading = json.loads((out / "run.json").read_text())["config"]["reading"]
    assert (reading["crowds"], reading["size_mismatch"]) == ("instances", "scale")
    for tar in out.glob("*.tar"):
        tar.unlink()
    assert call("retry", out, "-w", 0).exit_code == 0
    assert call("verify", out, "--against", path, "-w", 0).exit_code == 0
