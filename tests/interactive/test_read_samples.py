"""`augpipe.read` gives the pictures and labels of a dataset, `augpipe.preview` the sheet of the command."""

from __future__ import annotations

import pickle
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from builders import coco, image, row, write_json
from command_line import call
from PIL import Image

import augpipe
from augpipe.core.errors import DatasetError, Reject, UsageError


@pytest.mark.parametrize("kind", [str, Path])
def test_pictures_and_boxes_are_those_of_the_files(voc, kind):
    found = augpipe.read(kind(voc))
    assert len(found) == 9
    assert {name for sample in found for name in sample.labels} <= set(found.classes)
    for sample in found:
        stem = Path(sample.key).stem
        root = ET.parse(next(Path(voc).rglob(f"Annotations/{stem}.xml"))).getroot()
        boxes = [[int(box.findtext(side)) for side in ("xmin", "ymin", "xmax", "ymax")] for box in root.iter("bndbox")]
        assert (sample.boxes_xyxy + np.array([1, 1, 0, 0])).tolist() == boxes
        assert sample.labels == [o.findtext("name") for o in root.iter("object")]
        decoded = np.asarray(Image.open(next(Path(voc).rglob(f"JPEGImages/{stem}.jpg"))))
        assert np.abs(sample.image.astype(int) - decoded).max() <= 3
    assert found[-1].key == sorted(sample.key for sample in found)[-1]
    assert [s.key for s in found[2:4]] == [found[2].key, found[3].key]
    assert len(augpipe.read(voc, "first")) < 9
    assert len(pickle.loads(pickle.dumps(found))) == 9
    with pytest.raises(IndexError):
        found[9]


def test_shapes_of_every_kind_are_there(tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    square = {"segmentation": [[2, 1, 7, 1, 7, 5, 2, 5]]}
    coded = {"segmentation": {"size": [10, 20], "counts": [21, 4, 6, 4, 165]}, "iscrowd": 1}
    source = write_json(
        tmp_path / "x.json", coco([image(1, "a.png")], [row(1, 1, **square), row(2, 1, **coded), row(3, 1)])
    )
    (sample,) = augpipe.read(source)
    assert sample.polygons is None
    assert [int(plane.sum()) for plane in sample.masks] == [20, 8, 20]
    assert np.argwhere(sample.masks[1]).min(axis=0).tolist() == [1, 2]
    assert sample.iscrowd.tolist() == [False, True, False]
    assert sample.keypoints is None
    assert set(sample.arguments()) == {"image", "key", "boxes", "labels", "masks"}
    out = augpipe.Pipeline({"version": 1, "steps": ["horizontal_flip"]})(**sample.arguments())
    assert np.array_equal(out.masks, sample.masks[:, :, ::-1])


def test_what_cannot_be_read_is_told(tmp_path):
    with pytest.raises(DatasetError):
        augpipe.read(tmp_path / "nothing")
    (tmp_path / "a.png").write_bytes(b"no picture")
    source = write_json(tmp_path / "x.json", coco([image(1, "a.png")], [row(1, 1)]))
    with pytest.raises(Reject):
        augpipe.read(source)[0]
    with pytest.raises(UsageError, match="give one of them"):
        augpipe.read(source, "train", options=augpipe.SourceOptions(split="val"))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("instances", "component", "instances: expected 'keep' or 'components', got 'component'"),
        ("crowds", "x", "crowds: expected 'keep' or 'instances' or 'drop', got 'x'"),
        ("voc_origin", 2, "voc_origin: expected 1 or 0, got 2"),
        ("limit", -1, "limit: expected a whole number from 0 on, got -1"),
        ("limit", "3", "limit: expected a whole number from 0 on, got '3'"),
        ("classes", ["cat"], "keep=('cat', 'dog') has names of classes themselves"),
        ("keep", "cat", "keep=('cat', 'dog') has names of classes themselves"),
    ],
    ids=["instances", "crowds", "origin", "limit-below-0", "limit-of-text", "classes", "keep"],
)
def test_options_that_make_no_sense_are_refused(name, value, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        augpipe.SourceOptions(**{name: value})


def test_a_file_of_classes_may_be_text(voc, tmp_path):
    (tmp_path / "names.txt").write_text("dog\n")
    found = augpipe.read(voc, options=augpipe.SourceOptions(classes=str(tmp_path / "names.txt")))
    assert found.classes == ["dog"]


def test_the_sheet_is_that_of_the_command(voc, tmp_path):
    drawn = augpipe.preview(voc, "detection", tmp_path / "one.png", limit=2, copies=1, tile_px=64)
    call("preview", voc, "-r", "detection", "-o", tmp_path / "two.png", "--limit", 2, "-n", 1, "--tile", 64)
    one, two = (np.asarray(Image.open(tmp_path / name)) for name in ("one.png", "two.png"))
    assert np.array_equal(one, two)
    assert np.array_equal(one, drawn)
    with pytest.raises(UsageError, match="expected 0 to 20 copies"):
        augpipe.preview(voc, "detection", limit=0)


def test_the_commands_have_functions_at_the_top(voc, tmp_path):
    from augpipe.conversion import convert
    from augpipe.survey import survey
    from augpipe.verification import verify

    assert (augpipe.convert, augpipe.inspect, augpipe.verify) == (convert, survey, verify)
    assert augpipe.inspect(voc).pictures.count == 9
    assert augpipe.convert(Path(voc), tmp_path / "coco", "coco").pictures == 9
