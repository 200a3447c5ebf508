"""Labels that cannot be read, or would take a process out of all proportion, cost their picture and no other."""

from __future__ import annotations

import json

import pytest
from builders import coco, image, opened, row, write_json, write_picture
from command_line import call
from runs import records

from augpipe.core.annotations import Annotations
from augpipe.core.errors import Reject
from augpipe.formats import limits
from augpipe.formats.base import read_labels as labels_of
from augpipe.formats.coco.read import CocoReader
from augpipe.formats.limits import MOST_MARKS, MOST_OBJECTS


def write(folder, *rows, more=()):
    """Two pictures: a good one, and b.jpg with these rows."""
    for name in ("a.jpg", "b.jpg"):
        write_picture(folder / name)
    write_json(folder / "x.json", coco([image(1), image(2, "b.jpg")], [row(1), *rows]))
    for name, document in more:
        write_json(folder / name, document)
    return folder


def reject_of(source) -> Reject:
    dataset = opened(source)
    assert labels_of(dataset.reader, dataset.entries[0])
    with pytest.raises(Reject) as caught:
        labels_of(dataset.reader, dataset.entries[1])
    return caught.value


@pytest.mark.parametrize("points", [3, 1000])
def test_a_polygon_of_equal_points_has_no_area_however_many_they_are(tmp_path, points):
    (picture,) = (e for e in opened(write(tmp_path, row(2, 2, segmentation=[[5, 5] * points]))).entries if "b" in e.key)
    labels = labels_of(opened(tmp_path).reader, picture)
    assert len(labels.objects) == 1
    assert labels.notes == ()


def broken(monkeypatch, error: BaseException) -> None:
    """Reading the labels of b.jpg comes to an error that nobody has foreseen."""
    read = CocoReader.annotations

    def annotations(self, entry) -> Annotations:
        if entry.key == "b.jpg":
            raise error
        return read(self, entry)

    monkeypatch.setattr(CocoReader, "annotations", annotations)


@pytest.mark.parametrize(
    ("error", "code"),
    [(ZeroDivisionError("division by zero"), "fault"), (RecursionError("deep"), "fault"), (MemoryError(), "memory")],
)
def test_whatever_reading_labels_comes_to_is_a_reject_of_that_picture(tmp_path, monkeypatch, error, code):
    broken(monkeypatch, error)
    reject = reject_of(write(tmp_path, row(2, 2)))
    assert (reject.stage, reject.code, reject.file) == ("labels", code, "x.json")
    assert reject.transient == (code == "memory")


@pytest.mark.parametrize("recipe", ["detection", "keypoints"])
def test_it_ends_no_command(tmp_path, monkeypatch, recipe):
    broken(monkeypatch, ZeroDivisionError("division by zero"))
    source = write(tmp_path / "set", row(2, 2, keypoints=[1, 1, 2]))
    out = tmp_path / "out"
    made = call("augment", source, out, "--recipe", recipe, "--workers", 0, "--max-rejects", "50%")
    assert made.exit_code == 0, made.output
    assert {record["source"]["key"] for record in records(out).values()} == {"a.jpg"}
    (lost,) = map(json.loads, (out / "rejects.jsonl").read_text().splitlines())
    assert (lost["source"], lost["stage"], lost["error"], lost["file"]) == ("b.jpg", "labels", "fault", "x.json")
    assert "ZeroDivisionError" in lost["message"]

    planned = call("plan", source, "--recipe", recipe)
    assert planned.exit_code in (0, 1), planned.output
    assert "a.jpg" in planned.output
    assert "ZeroDivisionError" in planned.output
    shown = call("preview", source, "--recipe", recipe, "-o", tmp_path / "sheet.png")
    assert shown.exit_code == 0, shown.output
    assert (tmp_path / "sheet.png").exists()


def test_the_limits_are_those_of_a_picture_and_not_of_a_row(tmp_path):
    half = {"more": [[]] * (MOST_MARKS // 2)}
    reject = reject_of(write(tmp_path / "marks", row(2, 2, **half), row(3, 2, **half)))
    assert (reject.stage, reject.code, reject.file) == ("labels", "too-large", "x.json")
    assert "more than 500,000 values in the labels of one picture" in reject.message
    half = {"more": "x" * (limits.LARGEST_LABELS // 2)}
    reject = reject_of(write(tmp_path / "bytes", row(2, 2, **half), row(3, 2, **half)))
    assert (reject.stage, reject.code) == ("labels", "too-large")
    assert "MiB of labels for one picture" in reject.message


def test_nor_are_they_those_of_one_of_several_files(tmp_path):
    half = {"more": [[]] * (MOST_MARKS // 2)}
    images = [image(1), image(2, "b.jpg")]
    other = coco(images, [row(1), row(2, 2, **half)])
    reject = reject_of(write(tmp_path, row(2, 2, **half), more=[("y.json", other)]))
    assert (reject.stage, reject.code) == ("labels", "too-large")


def test_a_picture_has_so_many_objects_and_no_more_are_read(tmp_path, monkeypatch):
    """None of the rows is decoded: what they would take is known from their number."""
    decoded = []
    monkeypatch.setattr("augpipe.formats.coco.read.object_of", lambda *_: decoded.append(1))
    write(tmp_path, *(row(2 + i, 2) for i in range(MOST_OBJECTS + 1)))
    dataset = opened(tmp_path)
    with pytest.raises(Reject, match="100,001 objects in one picture; expected at most 100,000") as caught:
        labels_of(dataset.reader, dataset.entries[1])
    assert (caught.value.stage, caught.value.code, caught.value.file) == ("labels", "too-large", "x.json")
    assert decoded == []


def test_the_limit_on_objects_is_one_for_all_formats(monkeypatch, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    write_picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n" * 5)
    (tmp_path / "classes.txt").write_text("cat\n")
    dataset = opened(tmp_path)
    assert len(labels_of(dataset.reader, dataset.entries[0]).objects) == 5
    monkeypatch.setattr(limits, "MOST_OBJECTS", 4)
    with pytest.raises(Reject, match="5 objects in one picture") as caught:
        labels_of(dataset.reader, dataset.entries[0])
    assert caught.value.code == "too-large"
