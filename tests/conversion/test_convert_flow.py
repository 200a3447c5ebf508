"""What a conversion says came in and went out, held against counts of plain json and of the files written."""

from __future__ import annotations

import json

from conversions import an_object, coco_of, done, image, row, voc_of, xml


def flow(said: str) -> dict[str, tuple[int, int]]:
    """Kind of label → (in, out), of the line that tells it."""
    (line,) = [line for line in said.splitlines() if line.startswith("in → out: ")]
    parts = [part.rsplit(" ", 3) for part in line.removeprefix("in → out: ").split(", ")]
    return {kind: (int(came.replace(",", "")), int(went.replace(",", ""))) for kind, came, _, went in parts}


def a_set(path):
    ring = [1, 1, 9, 1, 9, 9]
    rows = [
        row(1, 1, [1, 1, 8, 8], segmentation=[ring]),
        row(2, 1, [1, 1, 8, 8], segmentation=[ring]),
        row(3, 1, [0, 0, 40, 20], iscrowd=1, segmentation={"size": [30, 40], "counts": [600, 300, 300]}),
        row(4, 2, [1, 1, 8, 8], keypoints=[3, 3, 2], num_keypoints=1),
        row(5, 2, [5, 5, -1, 0]),
    ]
    return coco_of(path, [image(1, "a.jpg"), image(2, "b.jpg")], rows)


def test_what_came_in_and_went_out_is_told_by_kind(tmp_path):
    source = a_set(tmp_path / "set.json")
    rows = json.loads(source.read_text())["annotations"]
    said = done("coco-to-yolo", source, tmp_path / "out", "--kind", "detect")
    told = flow(said)
    written = [line for path in (tmp_path / "out").rglob("*.txt") for line in path.read_text().splitlines()]
    assert told["pictures"] == (2, 2)
    assert told["objects"] == (len(rows), len(written)) == (5, 3)
    assert told["segmentations"] == (sum("segmentation" in r for r in rows), 0)
    assert told["crowd flags"] == (1, 0)
    assert told["keypoints"] == (1, 0)
    for what in ("crowds 1", "segmentations 2", "keypoints 1", "dropped 1 object"):
        assert what in said  # what differs has a name


def test_what_a_format_holds_goes_out_as_it_came(tmp_path):
    source = coco_of(tmp_path / "set.json", rows=[row(7, 1, [1, 1, 8, 8], segmentation=[[1, 1, 9, 1, 9, 9]])])
    told = flow(done("coco-to-yolo", source, tmp_path / "out"))
    assert told["objects"] == told["segmentations"] == (1, 1)
    assert told["object ids"] == (1, 0)


# --- what of a COCO JSON and of an XML is not kept -------------------------------------------------------------------


def with_text(path, **more):
    document = {**json.loads(coco_of(path).read_text()), **more}
    path.write_text(json.dumps(document))
    return path


def test_fields_of_the_file_and_of_categories_are_named(tmp_path):
    source = with_text(
        tmp_path / "set.json",
        info={"year": 2017, "url": "x"},
        licenses=[{"id": 1, "name": "CC BY"}, {"id": 2, "name": "CC0"}],
        videos=[{"id": 1}],
        categories=[{"id": 1, "name": "cat", "color": "red"}, {"id": 2, "name": "dog", "color": "blue"}],
    )
    said = done("coco-to-yolo", source, tmp_path / "out")
    (line,) = [line for line in said.splitlines() if "not kept" in line]
    for what in (
        "info (as year: 2017)",
        "licenses 2 (as CC BY)",
        "videos 1",
        "field color of categories 2 (as in cat)",
    ):
        assert what in line
    assert "not kept" not in done("coco-to-yolo", coco_of(tmp_path / "plain.json"), tmp_path / "plain")


def test_names_that_are_given_twice_are_told(tmp_path):
    source = coco_of(tmp_path / "set.json")
    text = source.read_text()
    first = text.index('"annotations"')
    source.write_text(text[:first] + '"annotations": [], ' + text[first:])
    said = done("coco-to-yolo", source, tmp_path / "out")
    assert "set.json: given twice in one object, so that the last one counts: annotations" in said
    source.write_text(text.replace('"bbox": ', '"bbox": [0, 0, 3, 3], "bbox": ', 1))
    said = done("coco-to-yolo", source, tmp_path / "other")
    assert "name-twice 1" in said
    assert "name-twice" not in done("coco-to-yolo", coco_of(tmp_path / "plain.json"), tmp_path / "plain")


def test_verified_of_pascal_voc_is_counted(tmp_path):
    source = voc_of(tmp_path / "voc", a=xml(an_object()).replace("<annotation>", '<annotation verified="yes">'))
    assert "verified-left-out 1" in done("voc-to-coco", source, tmp_path / "out.json")
