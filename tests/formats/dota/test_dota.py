"""DOTA both ways: rows, odd rows, folders, and oriented boxes that go through COCO and YOLO and come back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import call
from conversions import coco_of, done, dota_of, image, refused, row, yolo_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from real_sets import real

from augpipe.core.annotations import Annotations
from augpipe.core.errors import DatasetError, Reject
from augpipe.formats.base import SourceOptions
from augpipe.formats.indexing import digest_of
from augpipe.formats.registry import open_dataset

HEAD = "imagesource:GoogleEarth\ngsd:0.146343590398\n"
ROW = "4.0 3.0 14.0 5.0 13.0 10.0 3.0 8.0 plane 0\n"


def labels(folder: Path, text: str) -> Annotations:
    dataset = open_dataset(str(dota_of(folder / "set", a=text, b=ROW)))
    return dataset.reader.annotations(dataset.entries[0])


def texts(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in (folder / "labelTxt").rglob("*.txt")}


def test_a_row_and_the_lines_before_it(tmp_path):
    found = labels(tmp_path, HEAD + ROW)
    assert found.objects.obb[0].tolist() == [[4, 3], [14, 5], [13, 10], [3, 8]]
    assert found.objects.boxes_xyxy.tolist() == [[3, 3, 14, 10]]
    assert found.objects.facts[0].difficult == 0
    assert found.attributes == {"imagesource": "GoogleEarth", "gsd": "0.146343590398"}
    assert (found.notes, found.dropped) == ((), ())


@pytest.mark.parametrize(
    ("text", "note", "dropped"),
    [
        ("1 2 3 plane 0\n", "row-of-other-length", 0),
        ("0 0 1 0 1 1 0 1 plane x\n", "row-of-other-length", 0),
        ("0 0 1 0 1 1 0 1 large vehicle 0\n", "row-of-other-length", 0),
        ("0 0 nan 0 1 1 0 1 plane 0\n", "row-not-numbers", 1),
        ("0 0 1e9 0 1 1 0 1 plane 0\n", "row-not-numbers", 1),
        ("0 0 1 1 2 2 3 3 plane 0\n", None, 0),
        ("0 0 0 1 0 2 0 3 plane 0\n", None, 1),
    ],
)
def test_a_row_that_is_no_object(text, note, dropped, tmp_path):
    found = labels(tmp_path, text + ROW)
    assert found.objects.index.tolist()[-1] == 1
    assert found.notes == (() if note is None else (note,))
    assert [d.reason for d in found.dropped] == ["degenerate"] * dropped


def test_difficulty(tmp_path):
    found = labels(
        tmp_path, f"{ROW.replace(' 0', ' 1')}{ROW.replace('plane 0', 'plane 2')}{ROW.replace('plane 0', 'plane')}"
    )
    assert [f.difficult for f in found.objects.facts] == [1, 1, None]
    assert found.objects.facts[1].attributes == {"difficulty": 2}


def test_an_empty_file_and_a_class_that_is_not_listed(tmp_path):
    source = dota_of(tmp_path / "set", a="", b=ROW)
    dataset = open_dataset(str(source))
    assert len(dataset.reader.annotations(dataset.entries[0]).objects) == 0
    other = ROW.replace("plane", "ship")
    (source / "labelTxt" / "b.txt").write_text(other)
    for digest, code in ((dataset.entries[1].digest, "changed"), (digest_of(other.encode()), "unknown-class")):
        with pytest.raises(Reject) as caught:
            dataset.reader.annotations(dataset.entries[1]._replace(digest=digest))
        assert caught.value.code == code


def test_splits_and_what_belongs_to_nothing(tmp_path):
    dota_of(tmp_path / "set" / "train", a=ROW)
    dota_of(tmp_path / "set" / "val", b=ROW)
    (tmp_path / "set" / "val" / "images" / "b.png").rename(tmp_path / "set" / "val" / "images" / "c.png")
    dataset = open_dataset(str(tmp_path / "set"))
    assert [e.key for e in dataset.entries] == ["train/images/a.png", "val/images/b.png"]
    assert dataset.entries[1].picture is None
    assert dataset.remarks == ("left out: 1 picture without a label file",)
    assert [e.key for e in open_dataset(str(tmp_path / "set"), SourceOptions(split="train")).entries] == [
        "train/images/a.png"
    ]
    with pytest.raises(DatasetError, match="no split 'x'"):
        open_dataset(str(tmp_path / "set"), SourceOptions(split="x"))
    (tmp_path / "other").mkdir()
    with pytest.raises(DatasetError, match="no DOTA data"):
        open_dataset(str(tmp_path), SourceOptions("dota"))


# --- conversion ------------------------------------------------------------------------------------------------------


def test_through_coco_and_back_to_the_same_text(tmp_path):
    source = dota_of(tmp_path / "set", a=HEAD + ROW + ROW.replace("plane 0", "ship 1"), b="", c=ROW.replace(" 0", " 2"))
    done("dota-to-coco", source, tmp_path / "coco")
    out = done("coco-to-dota", tmp_path / "coco", tmp_path / "back")
    assert texts(tmp_path / "back") == texts(source)
    assert "dota has no place for: image ids 3, object ids 3\n" in out


def test_real_tiles_come_back_to_the_same_text(tmp_path):
    source = real("mmrotate/tests/data", itself=True)
    code = call("convert", "dota-to-coco", source, tmp_path / "coco")
    assert code.exit_code == 1  # one of the two tiles has no picture
    assert "P0004__1__0___1024.png: neither the labels nor a picture tell its size" in code.stderr
    done("coco-to-dota", tmp_path / "coco", tmp_path / "back")
    name = "P0004__1__0___0.txt"
    assert (tmp_path / "back" / "labelTxt" / name).read_text() == (source / "labelTxt" / name).read_text()


numbers = st.floats(-50, 90, allow_nan=False).map(lambda v: round(v, 6) + 0.0)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(st.tuples(*[numbers] * 8, st.sampled_from(["plane", "large-vehicle"]), st.integers(0, 2)), max_size=5)
)
def test_any_corners_come_back_from_coco(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trip")
    thick = [r for r in rows if max(r[0:8:2]) > min(r[0:8:2]) and max(r[1:8:2]) > min(r[1:8:2])]
    text = "".join(" ".join(map(str, r)) + "\n" for r in thick)
    source = dota_of(folder / "set", a=text)
    done("dota-to-coco", source, folder / "coco")
    done("coco-to-dota", folder / "coco", folder / "back")
    assert texts(folder / "back") == texts(source)


def test_oriented_boxes_of_yolo_and_dota_are_the_same(tmp_path):
    source = dota_of(tmp_path / "set", a=ROW, b="")
    out = done("dota-to-yolo", source, tmp_path / "yolo")
    assert "rows hold obb" in out
    assert yolo_rows(tmp_path / "yolo")["a.png"] == [
        [0, *(pytest.approx(v) for v in (4 / 40, 3 / 30, 14 / 40, 5 / 30, 13 / 40, 10 / 30, 3 / 40, 8 / 30))]
    ]
    done("yolo-to-dota", tmp_path / "yolo", tmp_path / "back")
    words = (tmp_path / "back" / "labelTxt" / "a.txt").read_text().split()
    assert [float(w) for w in words[:8]] == pytest.approx([4, 3, 14, 5, 13, 10, 3, 8], abs=1e-9)
    assert words[8:] == ["plane", "0"]


def test_boxes_without_direction_and_names_of_several_words(tmp_path):
    categories = [{"id": 1, "name": "large vehicle"}]
    source = coco_of(
        tmp_path / "a.json", rows=[row(1, 1, [1, 2, 10, 8]), row(2, 1, [1, 2, 5, 5])], categories=categories
    )
    out = done("coco-to-dota", source, tmp_path / "dota")
    assert (tmp_path / "dota" / "labelTxt" / "a.txt").read_text().splitlines()[0] == (
        "1.0 2.0 11.0 2.0 11.0 10.0 1.0 10.0 large-vehicle 0"
    )
    assert "boxes that are not oriented, written as oriented ones 2" in out
    assert "class names with spaces, written with hyphens 1" in out
    categories += [{"id": 2, "name": "large-vehicle"}]
    source = coco_of(tmp_path / "b.json", categories=categories, images=[image(1, "a.jpg")])
    assert "would both be 'large-vehicle' in DOTA; rename one" in refused("coco-to-dota", source, tmp_path / "x")


def test_dota_is_a_source_like_any_other(tmp_path):
    source = dota_of(tmp_path / "set", a=HEAD + ROW, b=ROW, c="")
    assert json.loads(call("inspect", source, "--json").stdout)["kinds"]["obb"] == 2
    assert call("augment", source, tmp_path / "run", "-r", "detection", "--copies", 3, "-w", 0).exit_code == 0
    result = call("verify", tmp_path / "run", "--against", source)
    assert result.exit_code == 0, result.output
    done("shards-to-dota", tmp_path / "run", tmp_path / "back")
    assert len(texts(tmp_path / "back")) == 9
