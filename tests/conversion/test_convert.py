"""Conversion between VOC and COCO, judged by a few-line VOC parser, plain json and pycocotools."""

from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from command_line import call
from conversions import (
    FLAGS,
    an_object,
    check_with_pycocotools,
    coco_boxes,
    coco_of,
    done,
    facts_of,
    image,
    row,
    voc_boxes,
    voc_of,
    xml,
)
from real_sets import is_real, real

from augpipe.conversion import convert
from augpipe.core.errors import UsageError
from augpipe.formats.base import SourceOptions

# --- VOC to COCO -----------------------------------------------------------------------------------------------------


def test_voc_to_coco_agrees_with_a_few_line_parser(voc, tmp_path):
    out = done("voc-to-coco", voc, tmp_path / "out.json")
    assert coco_boxes(tmp_path / "out.json") == voc_boxes(voc)
    assert out.splitlines()[0] == f"9 pictures, 27 objects to {tmp_path / 'out.json'}"
    assert f"the pictures stay in {voc / 'JPEGImages'}" in out
    check_with_pycocotools(tmp_path / "out.json", 27)


@pytest.mark.parametrize("path", ["raccoon", "bccd/BCCD"])
@pytest.mark.parametrize("ending", ["", ".json"])
def test_real_voc_sets_agree_with_a_few_line_parser(path, ending, tmp_path):
    source, target = real(path), tmp_path / f"out{ending}"
    done("voc-to-coco", source, target)
    written = target if ending else target / "annotations"
    assert coco_boxes(written) == voc_boxes(source)
    for file in [written] if ending else written.iterdir():
        check_with_pycocotools(file, sum(map(len, coco_boxes(file).values())))


def test_a_folder_takes_the_pictures_byte_for_byte(voc, tmp_path):
    done("voc-to-coco", voc, tmp_path / "out")
    jsons = sorted((tmp_path / "out" / "annotations").iterdir())
    names = {i["file_name"] for path in jsons for i in json.loads(path.read_text())["images"]}
    assert names == {p.name for p in (voc / "JPEGImages").iterdir()}
    for name in names:
        assert (tmp_path / "out" / "images" / name).read_bytes() == (voc / "JPEGImages" / name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["annotations", "images"]


def test_ids_are_new_stable_and_fit_a_float(voc, tmp_path):
    """An image's id comes from its name, an object's from name and position: nothing moves when a picture is added."""
    shutil.copytree(voc, tmp_path / "set")
    done("voc-to-coco", voc, tmp_path / "all.json")
    (tmp_path / "set" / "Annotations" / "img_000.xml").unlink()
    (tmp_path / "set" / "JPEGImages" / "img_000.jpg").unlink()  # a list names it, so alone it would be background
    done("voc-to-coco", tmp_path / "set", tmp_path / "less.json")
    every, less = (json.loads((tmp_path / n).read_text()) for n in ("all.json", "less.json"))
    for kind in ("images", "annotations"):
        ids = [r["id"] for r in every[kind]]
        assert len(set(ids)) == len(ids)
        assert all(0 < i < 2**53 for i in ids)
        assert {r["id"] for r in less[kind]} < set(ids)


def test_classes_become_1_to_k_by_name_or_as_a_file_lists_them(voc, tmp_path):
    (tmp_path / "classes.txt").write_text("zebra\ncat\ndog\n")
    done("voc-to-coco", voc, tmp_path / "a.json")
    done("voc-to-coco", voc, tmp_path / "b.json", "--classes", tmp_path / "classes.txt")
    found = [
        [(c["id"], c["name"]) for c in json.loads((tmp_path / n).read_text())["categories"]]
        for n in ("a.json", "b.json")
    ]
    assert found == [[(1, "cat"), (2, "dog"), (3, "zebra")], [(1, "zebra"), (2, "cat"), (3, "dog")]]


def test_the_twenty_classes_of_voc_keep_the_devkits_order(tmp_path):
    source = voc_of(tmp_path / "VOC2012", a=xml(an_object(name="person")))
    done("voc-to-coco", source, tmp_path / "out.json")
    document = json.loads((tmp_path / "out.json").read_text())
    assert len(document["categories"]) == 20
    assert document["annotations"][0]["category_id"] == 15


def test_voc_origin_0_reads_boxes_from_0(tmp_path):
    source = voc_of(tmp_path / "voc", a=xml(an_object(0, 0, 9, 9)))
    done("voc-to-coco", source, tmp_path / "one.json")
    done("voc-to-coco", source, tmp_path / "nil.json", "--voc-origin", 0)
    boxes = [json.loads((tmp_path / n).read_text())["annotations"][0]["bbox"] for n in ("one.json", "nil.json")]
    assert boxes == [[-1, -1, 10, 10], [0, 0, 10, 10]]


def test_boxes_out_of_the_picture_and_of_one_pixel_are_kept(tmp_path):
    source = voc_of(
        tmp_path / "voc", a=xml(an_object(-5, 20, 60, 90), an_object(7, 7, 7, 7), an_object(2.5, 3, 9.25, 9))
    )
    done("voc-to-coco", source, tmp_path / "out.json")
    rows = json.loads((tmp_path / "out.json").read_text())["annotations"]
    assert [r["bbox"] for r in rows] == [[-6, 19, 66, 71], [6, 6, 1, 1], [1.5, 2, 7.75, 7]]
    assert [r["area"] for r in rows] == [66 * 71, 1, 54.25]


def test_what_is_no_box_is_dropped_and_counted(tmp_path):
    bad = [an_object("NaN"), an_object(x1=""), an_object(x1="inf"), "<object><name>cat</name></object>"]
    source = voc_of(tmp_path / "voc", a=xml(*bad, an_object(1e20, 1, 2e20, 5), an_object(9, 9, 2, 2), an_object()))
    out = done("voc-to-coco", source, tmp_path / "out.json")
    assert [r["bbox"] for r in json.loads((tmp_path / "out.json").read_text())["annotations"]] == [
        [1, 1, 8, 8],
        [1, 2, 10, 10],
    ]
    assert "1 picture, 2 objects to" in out
    assert "dropped 4 objects without a box that makes sense" in out
    assert "coco has no place for: objects too far from the picture 1" in out
    assert "found while reading, in pictures: corners-swapped 1" in out


def test_flags_pose_parts_and_free_fields_are_in_the_json(tmp_path):
    part = "<part><name>head</name><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>6</xmax><ymax>7</ymax></bndbox></part>"
    more = f"<pose>Left</pose><truncated>1</truncated><difficult>0</difficult><colour>red</colour>{part}"
    source = voc_of(tmp_path / "voc", a=xml(an_object(more=more)))
    done("voc-to-coco", source, tmp_path / "out.json")
    found = json.loads((tmp_path / "out.json").read_text())["annotations"][0]
    expected = {"pose": "Left", "truncated": 1, "difficult": 0, "colour": "red"}
    assert {name: found[name] for name in expected} == expected
    assert "occluded" not in found  # not known is not 0
    assert found["parts"] == [{"name": "head", "box_xyxy": [2, 3, 6, 7]}]


def test_fields_that_coco_uses_itself_are_counted(tmp_path):
    source = voc_of(tmp_path / "voc", a=xml(an_object(more="<area>12</area>"), "<id>7</id>"))
    out = done("voc-to-coco", source, tmp_path / "out.json")
    assert "coco has no place for: fields with names that COCO uses 2" in out


def test_masks_of_instances_become_run_lengths_and_semantic_masks_are_told(tmp_path):
    source = real("datumaro_tests/tests/assets/voc_dataset/voc_dataset1")
    out = done("voc-to-coco", source, tmp_path / "out.json")
    assert "coco has no place for: semantic masks 1" in out
    rows = json.loads((tmp_path / "out.json").read_text())["annotations"]
    assert [set(r["segmentation"]) for r in rows if "segmentation" in r] == [{"size", "counts"}]
    check_with_pycocotools(tmp_path / "out.json", 2)


# --- round trips -----------------------------------------------------------------------------------------------------


def round_trip(source: Path, folder: Path) -> tuple[Path, str]:
    done("voc-to-coco", source, folder / "coco")
    return folder / "back", done("coco-to-voc", folder / "coco", folder / "back")


def test_voc_to_coco_to_voc_keeps_boxes_flags_and_pictures(voc, tmp_path):
    back, out = round_trip(voc, tmp_path)
    assert voc_boxes(back) == voc_boxes(voc)
    assert facts_of(back) == facts_of(voc)
    for path in (voc / "JPEGImages").iterdir():
        assert (back / "JPEGImages" / path.name).read_bytes() == path.read_bytes()
    for split in ("train", "val"):
        lists = [root / "ImageSets" / "Main" / f"{split}.txt" for root in (voc, back)]
        assert sorted(lists[1].read_text().split()) == sorted(lists[0].read_text().split())
    assert "voc has no place for: object ids 27, image ids 9, class ids 3\n" in out


@pytest.mark.parametrize("path", ["raccoon", "bccd/BCCD"])
def test_real_sets_come_back_exactly(path, tmp_path):
    source = real(path)
    back, _ = round_trip(source, tmp_path)
    assert voc_boxes(back) == voc_boxes(source)
    assert facts_of(back) == facts_of(source)


def test_every_field_of_an_object_comes_back(tmp_path):
    part = "<part><name>head</name><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>6.5</xmax><ymax>7</ymax></bndbox></part>"
    rng = random.Random(4)
    objects = []
    for _ in range(60):
        flags = "".join(f"<{n}>{rng.randint(0, 1)}</{n}>" for n in FLAGS[1:] if rng.random() < 0.7)
        pose = rng.choice(["", "<pose>Left</pose>", "<pose>Unspecified</pose>"])
        x, y = rng.randint(-3, 30), round(rng.uniform(0, 20), rng.randint(0, 6))
        end = (x + rng.randint(0, 15), round(y + 1 + rng.uniform(0, 9), rng.randint(0, 6)))
        objects.append(an_object(x, y, *end, rng.choice(["cat", "größe 1", "a&b"]).replace("&", "&amp;"),
                                 flags + pose + part * rng.randint(0, 2)))  # fmt: skip
    source = voc_of(tmp_path / "voc", a=xml(*objects, "<folder>f</folder>", "<source><database>d</database></source>"))
    back, _ = round_trip(source, tmp_path)
    assert {s: [(n, *(round(v, 9) for v in b)) for n, *b in rows] for s, rows in voc_boxes(back).items()} == {
        s: [(n, *(round(v, 9) for v in b)) for n, *b in rows] for s, rows in voc_boxes(source).items()
    }
    assert facts_of(back) == facts_of(source)
    root = ElementTree.parse(back / "Annotations" / "a.xml")
    assert (root.findtext("folder"), root.findtext("source/database")) == ("f", "d")


@pytest.mark.parametrize(
    ("path", "json_name"),
    [("coco_permissive_kpt", "annotations/instances.json"), ("teacher_occlusion/valid", "_annotations.coco.json")],
)
def test_real_coco_sets_come_back_but_for_what_is_told(path, json_name, tmp_path):
    source = real(path)
    out = done("coco-to-voc", source, tmp_path / "voc")
    done("voc-to-coco", tmp_path / "voc", tmp_path / "back.json")
    assert coco_boxes(tmp_path / "back.json", 6) == coco_boxes(source / json_name, 6)
    check_with_pycocotools(tmp_path / "back.json", len(json.loads((source / json_name).read_text())["annotations"]))
    document = json.loads((source / json_name).read_text())
    polygons = sum(isinstance(row.get("segmentation"), list) for row in document["annotations"])
    assert f"polygons, written as pixels {polygons:,}" in out
    assert f"object ids {len(document['annotations']):,}" in out
    assert f"class ids {len(document['categories'])}" in out
    if path.startswith("coco") and is_real(source):
        assert "captions 415" in out
        assert "keypoints 165" in out
        assert "crowd flags 9" in out


# --- COCO to VOC -----------------------------------------------------------------------------------------------------


def test_coco_to_voc_agrees_with_a_few_line_parser(coco, tmp_path):
    out = done("coco-to-voc", coco, tmp_path / "voc")
    assert voc_boxes(tmp_path / "voc") == coco_boxes(coco / "annotations" / "instances.json")
    document = json.loads((coco / "annotations" / "instances.json").read_text())
    crowds = sum(r["iscrowd"] for r in document["annotations"])
    points = sum("keypoints" in r for r in document["annotations"])
    line = next(line for line in out.splitlines() if line.startswith("voc has no place for: "))
    told = line.removeprefix("voc has no place for: ")
    polygons = sum(isinstance(r.get("segmentation"), list) for r in document["annotations"])
    for loss in (
        "object ids 24", f"polygons, written as pixels {polygons}", "captions 8", "image ids 8", "class ids 3",
        f"keypoints {points}", f"crowd flags {crowds}", "supercategories 2", "keypoint names and skeletons 1",
    ):  # fmt: skip
        assert loss in told
    root = ElementTree.parse(tmp_path / "voc" / "Annotations" / "000000.xml")
    assert root.findtext("license") == "3"
    assert root.findtext("object/score_of_annotator") == "0.5"
    assert [root.findtext(f"size/{n}") for n in ("width", "height", "depth")] == ["97", "75", "3"]


def test_fractions_stay_and_are_told(tmp_path):
    rows = [row(1, 1, [1.25, 2, 10.5, 8]), row(2, 1, [0.1, 0.2, 0.7 + 0.4, 3]), row(3, 1, [1, 2, 3, 4])]
    source = coco_of(tmp_path / "a.json", rows=rows)
    out = done("coco-to-voc", source, tmp_path / "voc")
    assert "note: 2 objects with fractions in the box: they are kept" in out
    boxes = [[o.findtext(f"bndbox/{c}") for c in ("xmin", "ymin", "xmax", "ymax")]
             for o in ElementTree.parse(tmp_path / "voc/Annotations/a.xml").iter("object")]  # fmt: skip
    assert boxes == [["2.25", "3", "11.75", "10"], ["1.1", "1.2", "1.2", "3.2"], ["2", "3", "4", "6"]]
    done("voc-to-coco", tmp_path / "voc", tmp_path / "back.json")
    assert coco_boxes(tmp_path / "back.json", 9) == coco_boxes(source, 9)


def test_boxes_thinner_than_a_pixel_are_left_out_and_counted(tmp_path):
    """xmin = x + 1 would be beyond xmax = x + w, so every reader would see another box, or none."""
    rows = [row(1, 1, [10, 2, 0.5, 8]), row(2, 1, [10, 2, 5, 0.99]), row(3, 1, [10, 2, 1, 1])]
    out = done("coco-to-voc", coco_of(tmp_path / "a.json", rows=rows), tmp_path / "voc")
    assert voc_boxes(tmp_path / "voc") == {"a": [("cat", 10, 2, 1, 1)]}
    assert "1 picture, 1 object to" in out
    assert "objects thinner than a pixel 2" in out


def test_degenerate_boxes_are_dropped_and_counted(tmp_path):
    boxes = [[1, 2, 0, 5], [1, 2, -3, 5], [1, 2, 3], ["1", 2, 3, 4], None, [1e300, 0, 1e300, 1], [50, 50, 10, 10]]
    rows = [row(i, 1, box, caption="") for i, box in enumerate(boxes) if box] + [row(99, 1, [1, 1, 2, 2])]
    out = done("coco-to-voc", coco_of(tmp_path / "a.json", rows=rows), tmp_path / "voc")
    assert voc_boxes(tmp_path / "voc") == {"a": [("cat", 50, 50, 10, 10), ("cat", 1, 1, 2, 2)]}
    assert "dropped 4 objects" in out
    assert "objects too far from the picture 1" in out


def test_a_box_of_nan_drops_its_object_and_says_so(tmp_path):
    (tmp_path / "a.json").write_text(
        json.dumps({"images": [image(1, "a.jpg")], "annotations": [row(1, 1, [float("nan")] * 4)]})
    )
    result = call("convert", "coco-to-voc", tmp_path / "a.json", tmp_path / "voc")
    assert (result.exit_code, "none of 1 object can be written" in result.stderr) == (1, True)
    rows = [row(1, 1, [float("nan")] * 4), row(2, 1, [1, 1, 5, 5])]
    (tmp_path / "a.json").write_text(json.dumps({"images": [image(1, "a.jpg")], "annotations": rows}))
    out = done("coco-to-voc", tmp_path / "a.json", tmp_path / "voc")
    assert "dropped 1 object without a box that makes sense" in out


def test_category_ids_with_gaps_and_unused_ones(tmp_path):
    categories = [
        {"id": 0, "name": "nil"},
        {"id": 90, "name": "dog"},
        {"id": 7, "name": "cat"},
        {"id": 8, "name": "cat"},
    ]
    rows = [row(1, 1, [1, 1, 5, 5], 90), row(2, 1, [2, 2, 5, 5], 7), row(3, 1, [3, 3, 5, 5], 8)]
    source = coco_of(tmp_path / "a.json", rows=rows, categories=categories)
    out = done("coco-to-voc", source, tmp_path / "voc")
    assert [name for name, *_ in voc_boxes(tmp_path / "voc")["a"]] == ["dog", "cat", "cat"]
    for loss in ("class ids 4", "classes without objects 1", "classes with the name of another 1"):
        assert loss in out


def test_class_names_that_xml_or_voc_cannot_hold(tmp_path):
    categories = [{"id": 1, "name": " "}, {"id": 2, "name": " cat\x01"}]
    rows = [row(1, 1, [1, 1, 5, 5], 1), row(2, 1, [2, 2, 5, 5], 2)]
    out = done("coco-to-voc", coco_of(tmp_path / "a.json", rows=rows, categories=categories), tmp_path / "voc")
    assert [r[0].strip() for r in voc_boxes(tmp_path / "voc")["a"]] == ["cat\ufffd"]
    assert "objects whose class has no name 1" in out
    assert "class names with spaces around or control characters 2" in out


def test_masks_of_another_size_are_noted(tmp_path):
    mask = {"size": [3, 3], "counts": "09"}
    rows = [row(1, 1, [1, 2, 10, 8], segmentation=mask), row(2, 1, [1, 2, 10, 8], segmentation=[[1, 2]])]
    out = done("coco-to-voc", coco_of(tmp_path / "a.json", rows=rows), tmp_path / "voc")
    assert "found while reading, in pictures: mask-left-out 1, ring-left-out 1" in out


def test_panoptic_segments_are_told(tmp_path):
    source = real("panopticapi/sample_data/panoptic_examples.json")
    out = done("coco-to-voc", source, tmp_path / "voc", "--images", real("panopticapi/sample_data/input_images"))
    assert "2 pictures, 0 objects to" in out
    assert "panoptic masks 2" in out


def test_gray_pictures_have_depth_1_and_a_size_comes_from_the_picture(tmp_path):
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.zeros((20, 10), np.uint8))
    source = coco_of(tmp_path / "a.json", images=[{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "gone.png"}])
    out = done("coco-to-voc", source, tmp_path / "voc")
    roots = [ElementTree.parse(tmp_path / f"voc/Annotations/{s}.xml") for s in ("a", "gone")]
    sizes = [[root.findtext(f"size/{n}") for n in ("width", "height", "depth")] for root in roots]
    assert sizes == [["10", "20", "1"], ["0", "0", "3"]]
    assert "note: 1 picture of unknown size: the XML says 0 by 0" in out


# --- the library -----------------------------------------------------------------------------------------------------


def test_convert_takes_other_sources_and_refuses_other_targets(masks_folder, tmp_path):
    report = convert(str(masks_folder), tmp_path / "out.json", "coco", SourceOptions())
    assert (report.pictures, report.objects, dict(report.losses)) == (4, 0, {"semantic masks": 4})
    with pytest.raises(UsageError, match="cannot write yolo9; known are voc, coco"):
        convert(str(masks_folder), tmp_path / "out", "yolo9", SourceOptions())


def test_ten_thousand_objects_take_seconds(tmp_path):
    rows = [row(i, i % 100, [i % 30, i % 20, 3 + i % 5, 4]) for i in range(10_000)]
    source = coco_of(tmp_path / "a.json", images=[image(i, f"{i}.jpg") for i in range(100)], rows=rows)
    begin = time.process_time()
    done("coco-to-voc", source, tmp_path / "voc")
    done("voc-to-coco", tmp_path / "voc", tmp_path / "back.json")
    assert time.process_time() - begin < 20
    assert coco_boxes(tmp_path / "back.json") == coco_boxes(source)


def test_shards_become_coco_and_ids_of_copies_are_changed(coco, tmp_path):

    run = ["augment", str(coco), str(tmp_path / "run"), "-r", "gentle", "--copies", "2", "-w", "0"]
    assert call(*run).exit_code == 0
    report = convert(str(tmp_path / "run"), tmp_path / "out", "coco", SourceOptions())
    path = tmp_path / "out" / "annotations" / "instances_all.json"
    assert report.pictures == 16
    check_with_pycocotools(path, report.objects)
    assert sorted(p.name for p in (tmp_path / "out" / "images").iterdir()) == sorted(
        i["file_name"] for i in json.loads(path.read_text())["images"]
    )
    assert "ids of pictures and objects are new ones: copies share those of their source" in report.remarks


def test_a_size_that_is_not_the_pictures_is_noted_and_kept(voc, tmp_path):
    shutil.copytree(voc, tmp_path / "set")
    path = tmp_path / "set" / "Annotations" / "img_000.xml"
    path.write_text(path.read_text().replace("<width>97</width>", "<width>98</width>"))
    assert "found while reading, in pictures: size-mismatch 1" in done(
        "voc-to-coco", tmp_path / "set", tmp_path / "o.json"
    )
    images = {i["file_name"]: i for i in json.loads((tmp_path / "o.json").read_text())["images"]}
    assert images["img_000.jpg"]["width"] == 98
    assert coco_boxes(tmp_path / "o.json") == voc_boxes(voc)
