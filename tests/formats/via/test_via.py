"""VIA: shapes, classes, projects and exports of both versions, CSVs, splits, and what is left out."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from annotated import approx, check_commands, coco_rows, files_of, make_via
from builders import keys, opened, read_all, rejected, said

from augpipe.formats.registry import recognised

RECT = {"name": "rect", "x": 40, "y": 30, "width": 80, "height": 60}


def region(shape: Any, attributes: Any = None) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": {"name": "tree"} if attributes is None else attributes}


def picture(*regions: Any, name: str = "a.jpg", **fields: Any) -> dict[str, Any]:
    return {"filename": name, "size": 9, "regions": list(regions), "file_attributes": fields}


def one(folder: Path, *regions: Any, **fields: Any) -> Any:
    document = {"a.jpg9": picture(*regions, **fields)}
    dataset = opened(files_of(folder / "set", {"via_region_data.json": json.dumps(document)}, ["a.jpg"]))
    return dataset, dataset.reader.annotations(dataset.entries[0])


def test_every_command_takes_it(tmp_path):
    source = make_via(tmp_path / "set")
    check_commands(source, "via", tmp_path)
    expected = [("house", [150, 100, 110, 100], 0), ("tree", [40, 30, 80, 60], 0)]
    assert coco_rows(source, tmp_path / "again") == {"a.jpg": expected}
    assert recognised(str(source / "via_region_data.json")) == ["via"]


def test_shapes_and_attributes(tmp_path):
    shapes = (
        region(RECT, {"name": "tree", "age": "old", "empty": ""}),
        region({"name": "polygon", "all_points_x": [150, 260, 200], "all_points_y": [100, 100, 200]}),
        region({"name": "circle", "cx": 100, "cy": 100, "r": 5}),
        region({"name": "ellipse", "cx": 100, "cy": 100, "rx": 40, "ry": 20, "theta": math.pi / 2}),
    )
    dataset, found = one(tmp_path, *shapes, caption="x", none="")
    assert found.objects.boxes_xyxy.tolist() == [
        [40, 30, 120, 90],
        [150, 100, 260, 200],
        approx(95, 95, 105, 105),
        approx(80, 60, 120, 140),
    ]
    assert [s is None for s in found.objects.segmentation] == [True, False, False, False]
    assert found.objects.facts[0].attributes == {"age": "old"}
    assert found.attributes == {"caption": "x"}
    assert dataset.remarks == ("the class is the region attribute 'name'; kept in attributes: age",)


@pytest.mark.parametrize(
    ("attributes", "names"),
    [
        ([{"kind": "a"}, {"kind": "b"}], ["a", "b"]),
        ([{"Class": "a", "x": "1"}, {"Class": "b"}], ["a", "b"]),
        ([{"type": {"a": True, "b": False}}, {"type": {"a": True, "b": True}}], ["a", "a + b"]),
        ([{"id": 7}, {"id": 8}], ["7", "8"]),
        ([{}, {}], ["object"]),
        ([{"name": "a"}, {"name": ""}], ["a", "object"]),
        (["x", None], ["object"]),
    ],
)
def test_which_attribute_is_the_class(attributes, names, tmp_path):
    dataset, found = one(tmp_path, *({"shape_attributes": RECT, "region_attributes": a} for a in attributes))
    assert [c.name for c in dataset.categories] == names
    assert len(found.objects) == 2
    assert any("'object'" in remark for remark in dataset.remarks) == ("object" in names)


def test_several_attributes_none_of_which_is_called_a_class_are_an_error(tmp_path):
    document = {"a": picture(region(RECT, {"x": "1", "y": "2"}))}
    source = files_of(tmp_path / "set", {"v.json": json.dumps(document)}, ["a.jpg"])
    assert said(source).endswith("which region attribute is the class? There are x, y; call it 'class' in VIA")


def test_projects_and_the_first_version(tmp_path):
    data = {"a.jpg9": picture(region(RECT))}
    project = {"_via_settings": {"ui": {}}, "_via_img_metadata": data, "_via_attributes": {"region": {}}}
    first = {"a.jpg9": {"fileref": "", "base64_img_data": "", **picture(), "regions": {"0": region(RECT)}}}
    for name, document in (("project", project), ("first", first)):
        text = b"\xef\xbb\xbf" + json.dumps(document, indent=1).encode()
        source = files_of(tmp_path / name, {"x.json": text}, ["images/a.jpg"])
        assert recognised(str(source)) == ["via"]
        (found,) = read_all(opened(source))
        assert found.objects.boxes_xyxy.tolist() == [[40, 30, 120, 90]]
        assert keys(opened(source)) == ["images/a.jpg"]


def test_a_csv(tmp_path):
    head = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
    shape, other = json.dumps(RECT).replace('"', '""'), json.dumps({"name": "tree"}).replace('"', '""')
    rows = "".join(f'a.jpg,9,"{{}}",2,{k},"{shape}","{other}"\n' for k in range(2))
    rows += 'b.jpg,9,"{}",0,0,"{}","{}"\n'
    source = files_of(tmp_path / "set", {"via.csv": head + rows}, ["a.jpg", "b.jpg"])
    assert recognised(str(source)) == ["via"]
    first, second = read_all(opened(source))
    assert first.objects.boxes_xyxy.tolist() == [[40, 30, 120, 90]] * 2
    assert len(second.objects) == 0
    (source / "via.csv").write_text(head + "a.jpg,9,{,1,0,{},{}\n")
    assert "row 2: not a VIA CSV" in said(source)
    (source / "via.csv").write_text(head + "a.jpg,9\n")
    assert "row 2: expected seven fields, got 2" in said(source)


def test_points_and_lines_are_left_out_and_told(tmp_path):
    line = {"name": "polyline", "all_points_x": [], "all_points_y": []}
    shapes = [{"name": "point", "cx": 1, "cy": 2}, line, {}, "x"]
    dataset, found = one(tmp_path, region(RECT), *map(region, shapes))
    assert len(found.objects) == 1
    assert found.notes == ("shape-left-out",)
    assert dataset.remarks == ("left out: 4 regions that enclose no area (none 2, point 1, polyline 1), as in a.jpg",)


@pytest.mark.parametrize(
    "shape",
    [
        RECT | {"width": 0},
        RECT | {"x": "x"},
        RECT | {"x": 1e9},
        RECT | {"x": None},
        {"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1, 2]},
        {"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]},
        {"name": "polygon", "all_points_x": "abc", "all_points_y": [1, 2, 3]},
        {"name": "circle", "cx": 1, "cy": 2, "r": -1},
        {"name": "ellipse", "cx": 1, "cy": 2, "rx": 1},
    ],
)
def test_a_shape_that_is_none_is_dropped(shape, tmp_path):
    _, found = one(tmp_path, region(shape), region(RECT))
    assert [d.reason for d in found.dropped] == ["degenerate"]
    assert len(found.objects) == 1


def test_splits_as_in_the_balloon_set_and_missing_pictures(tmp_path):
    files = {f"{s}/via_region_data.json": json.dumps({"a": picture(region(RECT, {}))}) for s in ("train", "val")}
    source = files_of(tmp_path / "set", files, ["train/a.jpg", "val/b.jpg"])
    assert list(opened(source).splits) == ["train", "val"]
    assert keys(opened(source, split="train")) == ["train/a.jpg"]
    assert opened(source / "val").entries[0].picture is None
    assert "left out: 1 picture that the file does not list" in opened(source / "val").remarks
    apart = files_of(tmp_path / "apart", {}, ["a.jpg"])
    assert keys(opened(source / "val", images=apart)) == ["a.jpg"]


@pytest.mark.parametrize(
    "text", ['{"a": {"region_attributes": 1},', '["region_attributes"]', '{"region_attributes": 1}']
)
def test_a_file_that_is_none_is_an_error(text, tmp_path):
    assert "VIA JSON" in said(files_of(tmp_path / "set", {"v.json": text}, ["a.jpg"]))
    assert "no VIA file" in said(files_of(tmp_path / "no", {"v.json": "{}"}, ["a.jpg"]), format="via")


def test_a_file_that_was_changed_rejects_its_pictures(tmp_path):
    dataset, _ = one(tmp_path, region(RECT))
    file = tmp_path / "set" / "via_region_data.json"
    file.write_text(file.read_text().replace("tree", "bush"))
    assert rejected(dataset).code == "unknown-class"
    file.write_text(file.read_text().replace("[", "("))
    assert rejected(dataset).code == "bad-json"
