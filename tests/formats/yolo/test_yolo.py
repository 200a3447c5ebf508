"""Reading YOLO: rows of each kind, rows that are none, and which kind a dataset holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import encoded, exif, photo
from conversions import yolo_of

from augpipe.core.annotations import Annotations, Rings
from augpipe.core.errors import DatasetError, Reject
from augpipe.formats.base import SourceOptions
from augpipe.formats.registry import open_dataset
from augpipe.formats.yolo.read import kind_of

NAMES = "train: images\nnames: [cat, dog]\n"
POSE = f"{NAMES}kpt_shape: [2, 3]\n"


def labels(folder: Path, text: str, yaml_text: str = NAMES, **options) -> Annotations:
    """What is read of one label file; a dog's box in another picture keeps the kind from being found by this one."""
    dataset = open_dataset(str(yolo_of(folder / "set", yaml_text, a=text)), SourceOptions(**options))
    return dataset.reader.annotations(dataset.entries[0])


def boxes(annotations: Annotations) -> list:
    return annotations.objects.boxes_xyxy.round(9).tolist()


def test_a_box_by_its_centre_and_size(tmp_path):
    found = labels(tmp_path, "1 0.5 0.5 0.25 0.2\n\n0 0.1 0.2 0.1 0.2\n")
    assert boxes(found) == [[15, 12, 25, 18], [2, 3, 6, 9]]
    assert found.objects.category_id.tolist() == [2, 1]
    assert (found.size_wh, found.notes, found.dropped) == ((40, 30), (), ())


def test_a_polygon(tmp_path):
    found = labels(tmp_path, "0 0.1 0.1 0.5 0.1 0.5 0.5\n")
    assert boxes(found) == [[4, 3, 20, 15]]
    assert isinstance(found.objects.segmentation[0], Rings)
    assert found.objects.segmentation[0].rings[0].round(9).tolist() == [[4, 3], [20, 3], [20, 15]]


def test_rows_of_boxes_among_polygons_stay_boxes(tmp_path):
    source = yolo_of(tmp_path / "set", a="0 0.1 0.1 0.5 0.1 0.5 0.5\n1 0.5 0.5 0.25 0.2\n")
    dataset = open_dataset(str(source))
    found = dataset.reader.annotations(dataset.entries[0])
    assert boxes(found) == [[4, 3, 20, 15], [15, 12, 25, 18]]
    assert found.objects.segmentation[1] is None
    assert "1 row of four numbers among polygons" in dataset.remarks[0]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("0 .5 .5 .25 .2 .1 .1 2 .2 .3 1", [[4, 3, 2], [8, 9, 1]]),
        ("0 .5 .5 .25 .2 0 0 0 .2 .3 0.4", [[0, 0, 0], [8, 9, 1]]),
        ("0 .5 .5 .25 .2", None),
    ],
)
def test_keypoints(row, expected, tmp_path):
    found = labels(tmp_path, row, POSE)
    keypoints = found.objects.keypoints[0]
    assert boxes(found) == [[15, 12, 25, 18]]
    assert (None if keypoints is None else keypoints.round(9).tolist()) == expected
    assert found.notes == (("keypoint-visibility-mended",) if "0.4" in row else ())


def test_keypoints_without_v(tmp_path):
    found = labels(tmp_path, "0 .5 .5 .25 .2 0 0 .2 .3", f"{NAMES}kpt_shape: [2, 2]\n")
    assert found.objects.keypoints[0].round(9).tolist() == [[0, 0, 0], [8, 9, 2]]


def test_names_and_pairs_of_keypoints(tmp_path):
    text = f"{NAMES}kpt_shape: [3, 3]\nflip_idx: [0, 2, 1]\nkpt_names:\n  0: [nose, left_eye, right_eye]\n"
    dataset = open_dataset(str(yolo_of(tmp_path / "a", text, a="")))
    assert dataset.categories[1].keypoints == ("nose", "left_eye", "right_eye")
    assert dataset.categories[1].flip_pairs == ((1, 2),)
    dataset = open_dataset(str(yolo_of(tmp_path / "b", f"{NAMES}kpt_shape: [3, 3]\n", a="")))
    assert dataset.categories[0].keypoints == ("keypoint_0", "keypoint_1", "keypoint_2")
    assert any("no flip_idx: a mirror image swaps no keypoints" in remark for remark in dataset.remarks)
    dataset = open_dataset(str(yolo_of(tmp_path / "c", f"{NAMES}kpt_shape: [3, 3]\nflip_idx: [0, 2, 2]\n", a="")))
    assert any("flip_idx is not used" in remark for remark in dataset.remarks)


def test_eight_numbers_are_oriented_boxes_if_all_rows_have_them(tmp_path):
    row = "0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n"
    dataset = open_dataset(str(yolo_of(tmp_path / "a", a=row)))
    found = dataset.reader.annotations(dataset.entries[0])
    assert found.objects.obb[0].round(9).tolist() == [[4, 3], [20, 3], [20, 15], [4, 15]]
    assert found.objects.segmentation[0] is None
    assert "as polygons of four corners with --from yolo:segment" in dataset.remarks[0]
    for source, options in (
        (yolo_of(tmp_path / "b", a=row), SourceOptions("yolo:segment")),
        (yolo_of(tmp_path / "c", f"{NAMES}task: segment\n", a=row), SourceOptions()),
        (yolo_of(tmp_path / "d", a=row, b="0 .1 .1 .5 .1 .5 .5"), SourceOptions()),
    ):
        dataset = open_dataset(str(source), options)
        found = dataset.reader.annotations(dataset.entries[0])
        assert (found.objects.obb[0], dataset.remarks) == (None, ())
        assert isinstance(found.objects.segmentation[0], Rings)


def test_a_kind_is_found_or_said():
    assert kind_of({4: 9}, None) == "detect"
    assert kind_of({}, None) == "detect"
    assert kind_of({4: 9, 10: 1}, None) == "segment"
    assert kind_of({8: 9}, None) == "obb"
    assert kind_of({4: 1, 8: 9}, None) == "segment"
    assert kind_of({5: 3}, None) == "detect"
    assert kind_of({8: 9}, (2, 2)) == "pose"


def test_a_kind_that_is_none(tmp_path):
    source = str(yolo_of(tmp_path / "set", a="0 .5 .5 .1 .1"))
    for name, said in (("yolo:box", "known are detect, segment, pose, obb"), ("yolo:pose", "no kpt_shape")):
        with pytest.raises(DatasetError, match=said):
            open_dataset(source, SourceOptions(name))
    with pytest.raises(DatasetError, match="unknown format 'voc:x'"):
        open_dataset(source, SourceOptions("voc:x"))


@pytest.mark.parametrize(
    ("row", "note"),
    [
        ("0 0.5 0.5 0.25", "row-of-other-length"),
        ("0 0.5 0.5 0.25 0.2 0.9", "row-of-other-length"),
        ("0", "row-of-other-length"),
        ("0 .1 .1 .5 .1", None),
        ("0 nan 0.5 0.25 0.2", "row-not-numbers"),
        ("0 inf 0.5 0.25 0.2", "row-not-numbers"),
        ("0 x 0.5 0.25 0.2", "row-not-numbers"),
        ("0 0_1 0.5 0.25 0.2", "row-not-numbers"),
        ("0 320 240 50 60", "row-not-fractions"),
        ("0 -1.5 0.5 0.2 0.2", "row-not-fractions"),
        ("0 0.5 0.5 0 0.2", None),
        ("0 0.5 0.5 -0.1 0.2", None),
    ],
)
def test_a_row_that_is_no_object_is_dropped_and_noted(row, note, tmp_path):
    found = labels(tmp_path, f"{row}\n1 0.5 0.5 0.25 0.2\n")
    if row == "0 .1 .1 .5 .1":
        assert len(found.objects) == 2
        return
    assert boxes(found) == [[15, 12, 25, 18]]
    assert found.objects.index.tolist() == [1]
    assert [(d.index, d.category_id, d.reason) for d in found.dropped] == [(0, 1, "degenerate")]
    assert found.notes == (() if note is None else (note,))


@pytest.mark.parametrize("token", ["2", "-1", "0.5", "nan", "cat", "1e30", "\x00"])
def test_a_class_that_is_in_no_list_rejects_the_picture(token, tmp_path):
    with pytest.raises(Reject) as caught:
        labels(tmp_path, f"0 .5 .5 .2 .2\n{token} 0.5 0.5 0.25 0.2\n")
    assert (caught.value.code, caught.value.line) == ("unknown-class", 2)
    assert "labels/a.txt:2: class" in caught.value.message
    assert "none of 0 to 1" in caught.value.message


def test_whole_numbers_as_tools_write_them(tmp_path):
    assert labels(tmp_path, "1.0 5e-1 0.5 0.25 0.2\r\n").objects.category_id.tolist() == [2]


def test_what_rounding_puts_out_of_the_picture_is_at_its_edge(tmp_path):
    found = labels(tmp_path, "0 0.133333 0.3 0.266667 0.2\n0 0.866667 0.3 0.266667 0.2\n0 0.05 0.5 0.2 0.2\n")
    assert [row[0] for row in boxes(found)] == [0, pytest.approx(29.33334), -2]
    assert boxes(found)[1][2] == 40


def test_a_row_that_comes_twice_is_two_objects(tmp_path):
    assert len(labels(tmp_path, "0 .5 .5 .2 .2\n0 .5 .5 .2 .2\n").objects) == 2


def test_an_empty_file_is_a_picture_without_objects(tmp_path):
    found = labels(tmp_path, "\n \n")
    assert len(found.objects) == 0
    assert not found.dropped


def test_bytes_that_are_no_text(tmp_path):
    source = yolo_of(tmp_path / "set", a="")
    (source / "labels" / "a.txt").write_bytes(b"\xff\xfe\x00\x01 0.5\n")
    dataset = open_dataset(str(source))
    with pytest.raises(Reject, match="none of 0 to 1"):
        dataset.reader.annotations(dataset.entries[0])


def test_fractions_are_those_of_the_upright_picture(tmp_path):
    """A picture of 40×30 that is shown as 30×40: x is a fraction of 30, as Ultralytics takes it."""
    source = yolo_of(tmp_path / "set", a="0 0.5 0.5 0.2 0.1")
    (source / "images" / "a.jpg").write_bytes(encoded(photo((40, 30)), exif=exif(6)))
    found = {}
    for way in ("upright", "stored"):
        dataset = open_dataset(str(source), SourceOptions(exif=way))
        annotations = dataset.reader.annotations(dataset.entries[0])
        found[way] = (annotations.size_wh, boxes(annotations))
    assert found == {
        "upright": ((30, 40), [[12, 18, 18, 22]]),
        "stored": ((40, 30), [[16, 13.5, 24, 16.5]]),
    }


def test_a_picture_that_is_none_or_gone_is_a_reject(tmp_path):
    source = yolo_of(tmp_path / "set", "train: list.txt\nnames: [cat]\n", a="0 .5 .5 .2 .2", b="0 .5 .5 .2 .2")
    (source / "list.txt").write_text("images/a.jpg\nimages/b.jpg\nimages/c.jpg\n")
    (source / "images" / "a.jpg").write_bytes(b"none")
    dataset = open_dataset(str(source))
    assert [entry.key for entry in dataset.entries] == ["a.jpg", "b.jpg", "c.jpg"]
    codes = {}
    for entry in dataset.entries:
        try:
            codes[entry.key] = len(dataset.reader.annotations(entry).objects)
        except Reject as reject:
            codes[entry.key] = reject.code
    assert codes == {"a.jpg": "unsupported", "b.jpg": 1, "c.jpg": "missing-picture"}


def test_random_rows_never_bring_down_the_reader(tmp_path):
    rng = np.random.default_rng(0)
    words = ["0", "1", "2", "nan", "inf", "1e309", "-0", "0.5", "1", "", "\t", "x", "0.25", "1e-320", "９", "0x1"]
    texts = {f"p{i}": " ".join(rng.choice(words, rng.integers(0, 12))) for i in range(60)}
    dataset = open_dataset(str(yolo_of(tmp_path / "set", **texts)))
    codes = set()
    for entry in dataset.entries:
        try:
            dataset.reader.annotations(entry)
        except Reject as reject:
            codes.add(reject.code)
    assert codes == {"unknown-class"}


def test_labels_of_one_picture_are_bounded(tmp_path):
    """As for the other formats: more values than any picture has are a reject, and no picture's but its own."""
    source = yolo_of(tmp_path / "set", a="0 .5 .5 .2 .2\n" * 200_000, b="0 .5 .5 .2 .2\n")
    dataset = open_dataset(str(source))
    with pytest.raises(Reject) as caught:
        dataset.reader.annotations(dataset.entries[0])
    assert caught.value.code == "too-large"
    assert len(dataset.reader.annotations(dataset.entries[1]).objects) == 1


def test_a_polygon_that_crosses_itself_thousands_of_times_is_dropped(tmp_path):
    points = " ".join(f"{v:.6f}" for v in np.random.default_rng(0).random(4000))
    found = labels(tmp_path, f"0 {points}\n1 .5 .5 .2 .2\n")
    assert found.notes == ("ring-left-out",)
    assert len(found.objects) == 1
