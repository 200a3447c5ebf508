"""``augpipe inspect``: every number against what plain json, ElementTree and Pillow say when one counts by hand."""

from __future__ import annotations

import json
import math
import shutil
import statistics
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from builders import SHARED, encoded, exif, needs, object_xml, photo, voc_xml, write_picture, write_voc
from command_line import call
from PIL import Image
from places import DOCS

from augpipe.core.errors import Reject
from augpipe.formats.base import Entry, SourceOptions
from augpipe.formats.image_header import start_and_header
from augpipe.pixels.codec.header import read_header
from augpipe.storage.byte_range import ByteRange
from augpipe.survey import survey
from augpipe.survey.issues import KNOWN
from augpipe.survey.tally import histogram, median_of, significant, spread_of


def inspected(*arguments: object) -> dict:
    result = call("inspect", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout, parse_constant=lambda word: pytest.fail(f"{word} in JSON"))


def close(found: float | None, expected: float) -> bool:
    """Equal to four digits, as medians are told."""
    return found is not None and math.isclose(found, expected, rel_tol=1e-3)


# --- counting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[3], [1, 2], [5, 1, 9], [0.123456, 7, 7, 8.5], list(range(100))])
def test_a_spread_is_that_of_the_values_written_out(values):
    spread = spread_of(Counter(map(significant, values)))
    assert (spread.min, spread.max) == (significant(min(values)), significant(max(values)))
    assert close(spread.median, statistics.median(values))


def test_nothing_has_no_spread_and_histograms_lose_nothing():
    assert spread_of({}) is None
    assert histogram([0.5, 1.0, 1.0, 3.9, 4.0, 99.0], (1.0, 2.0, 4.0)) == (3, 3)
    assert median_of([]) is None


# --- real datasets, counted by hand ----------------------------------------------------------------------------------


@needs("raccoon")
def test_a_voc_set_as_elementtree_and_pillow_count_it():
    found = inspected(SHARED / "raccoon")
    boxes, names, truncated, per_picture = [], Counter(), 0, []
    for path in sorted((SHARED / "raccoon" / "annotations").glob("*.xml")):
        objects = ET.parse(path).getroot().findall("object")
        per_picture.append(len(objects))
        for element in objects:
            x0, y0, x1, y1 = (int(float(element.findtext(f"bndbox/{k}"))) for k in ("xmin", "ymin", "xmax", "ymax"))
            boxes.append((x1 - x0 + 1, y1 - y0 + 1))
            names[element.findtext("name")] += 1
            truncated += element.findtext("truncated") == "1"
    sizes, gray = [], 0
    for path in sorted((SHARED / "raccoon" / "images").iterdir()):
        with Image.open(path) as image:
            sizes.append(image.size)
            gray += image.mode == "L"
    assert (found["pictures"], found["objects"]) == (len(per_picture), len(boxes))
    assert {c["name"]: c["objects"] for c in found["classes"]} == dict(names)
    assert close(found["boxes"]["size_px"], statistics.median(math.sqrt(w * h) for w, h in boxes))
    assert close(found["boxes"]["aspect"], statistics.median(w / h for w, h in boxes))
    assert close(found["boxes"]["truncated"], truncated / len(boxes))
    areas = Counter("small" if w * h < 1024 else "medium" if w * h < 9216 else "large" for w, h in boxes)
    assert {k: found["boxes"][k] for k in ("small", "medium", "large")} == {
        k: areas[k] for k in ("small", "medium", "large")
    }
    assert found["objects_per_picture"] == {
        "min": min(per_picture), "median": statistics.median(per_picture), "max": max(per_picture)
    }  # fmt: skip
    pictures = found["picture_sizes"]
    assert pictures["width"]["median"] == statistics.median(w for w, _ in sizes)
    assert pictures["height"] == {
        "min": min(h for _, h in sizes),
        "median": statistics.median(h for _, h in sizes),
        "max": max(h for _, h in sizes),
    }
    assert (pictures["gray"], pictures["landscape"]) == (gray, sum(w > h for w, h in sizes))
    same = Counter(path.read_bytes() for path in (SHARED / "raccoon" / "images").iterdir())
    assert found["oddities"]["duplicate-picture"]["count"] == sum(n - 1 for n in same.values())
    assert sum(found["histograms"]["box_counts"]) == sum(found["histograms"]["aspect_counts"]) == len(boxes)
    assert sum(map(sum, found["histograms"]["centres"])) == len(boxes)


@needs("coco_permissive_kpt")
def test_a_coco_set_as_its_json_has_it():
    folder = SHARED / "coco_permissive_kpt"
    found = inspected(folder)
    document = json.loads((folder / "annotations" / "instances.json").read_text())
    names = {c["id"]: c["name"] for c in document["categories"]}
    rows = document["annotations"]
    by_class = Counter(names[r["category_id"]] for r in rows)
    pictures = {(names[r["category_id"]], r["image_id"]) for r in rows}
    for row in found["classes"]:
        assert row["objects"] == by_class[row["name"]]
        assert row["pictures"] == sum(name == row["name"] for name, _ in pictures)
    assert found["kinds"]["crowds"] == sum(r["iscrowd"] for r in rows)
    assert found["kinds"]["polygons"] == sum(isinstance(r["segmentation"], list) for r in rows)
    # COCO's stored areas are those of its own rasters; at the limits they may fall to the other side.
    areas = Counter("small" if r["area"] < 32**2 else "medium" if r["area"] < 96**2 else "large" for r in rows)
    assert all(abs(found["boxes"][k] - areas[k]) <= 3 for k in areas)
    unused = {c["name"] for c in document["categories"]} - set(by_class)
    assert found["oddities"]["class-unused"]["count"] == len(unused)
    assert {e["name"] for e in found["oddities"]["class-unused"]["examples"]} <= unused


# --- headers ---------------------------------------------------------------------------------------------------------


def outcome(read) -> object:
    try:
        return read()
    except Reject as reject:
        return reject.code


def entry_of(path: Path) -> Entry:
    return Entry(path.name, ByteRange(str(path)), None, path.name, size=path.stat().st_size)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": exif(6)}, {"subsampling": 0, "quality": 99}])
def test_the_head_of_a_file_tells_what_all_of_it_does(tmp_path, options):
    import numpy as np

    noise = np.random.default_rng(1).integers(0, 256, (400, 600, 3), np.uint8)
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(noise, "JPEG", **options))
    data, header = start_and_header(entry_of(path))
    assert header == read_header(path.read_bytes())
    assert path.stat().st_size > 1 << 16
    assert len(data) == (path.stat().st_size if "progressive" in options else 1 << 16)


@needs("odd_images")
def test_the_heads_of_odd_files_tell_what_all_of_them_do():
    files = [p for p in sorted((SHARED / "odd_images").rglob("*")) if p.is_file() and p.suffix not in (".tsv", ".md")]
    assert len(files) > 300
    for path in files:
        whole = outcome(lambda path=path: replace(read_header(path.read_bytes()), format=""))
        head = outcome(lambda path=path: replace(start_and_header(entry_of(path))[1], format=""))
        assert head == whole, path


# --- what is odd -----------------------------------------------------------------------------------------------------


def codes(found: dict) -> dict[str, int]:
    return {code: oddity["count"] for code, oddity in found["oddities"].items()}


def test_odd_boxes_name_their_file_and_line(tmp_path):
    odd = [
        object_xml("cat", (1, 1, 20, 10)),
        object_xml("cat", (1, 1, 20, 10)),
        object_xml("dog", (5, 5, 30, 9)),
        object_xml("dog", (9, 9, 3, 3)),
        object_xml("dog", (40, 40, 50, 50)),
        object_xml("dog", ("NaN", 1, 2, 3)),
        object_xml("dog", (4, 4, 4, 8)),
    ]
    write_voc(tmp_path / "set", {"a": voc_xml(*odd).replace("<object>", "\n<object>")})
    found = inspected(tmp_path / "set", "--from", "voc")
    expected = {
        "duplicate-object": 1, "box-past-edge": 1, "corners-swapped": 1, "dropped-outside": 1,
        "dropped-degenerate": 1, "box-tiny": 1, "clipped": 1,
    }  # fmt: skip
    assert {code: n for code, n in codes(found).items() if code in expected} == expected
    text = (tmp_path / "set" / "Annotations" / "a.xml").read_text()
    for code, index in (("duplicate-object", 1), ("box-past-edge", 2), ("dropped-outside", 4), ("box-tiny", 6)):
        (example,) = found["oddities"][code]["examples"]
        before = text.split("<object>")[: index + 1]
        assert (example["file"], example["object"]) == ("Annotations/a.xml", index)
        assert example["line"] == "<object>".join(before).count("\n") + 1


def test_every_code_of_reading_has_its_words():
    import re

    page = (DOCS / "reading.md").read_text("utf-8")
    notes = set(re.findall(r"note `([a-z-]+)`", page))
    rejects = set(re.findall(r"^\| `([a-z-]+)` \| [a-z, ]*(?:read|decode|labels)", page, re.MULTILINE))
    assert len(notes) > 15
    assert (notes | rejects) - set(KNOWN) <= {"bad-name", "memory", "unreadable", "strict"}


def test_odd_rows_of_yolo_name_their_line(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / "set" / name).mkdir(parents=True)
    (tmp_path / "set" / "data.yaml").write_text("train: images\nval: images\nnames: [cat, Cat]\n")
    write_picture(tmp_path / "set" / "images" / "a.jpg")
    rows = ["0 0.5 0.5 0.2 0.2", "", "1 0.9 0.5 0.4 0.2", "0 0.5 0.5 0.2 0.2", "0 0.5 nan 0.2 0.2"]
    (tmp_path / "set" / "labels" / "a.txt").write_text("\n".join(rows))
    found = inspected(tmp_path / "set")
    assert codes(found) == {
        "box-past-edge": 1, "clipped": 1, "class-names-alike": 1, "duplicate-object": 1, "dropped-degenerate": 1,
        "row-not-numbers": 1,
    }  # fmt: skip
    lines = {code: found["oddities"][code]["examples"][0].get("line") for code in codes(found)}
    assert (lines["box-past-edge"], lines["duplicate-object"], lines["dropped-degenerate"]) == (3, 4, 5)


def test_pictures_that_are_missing_damaged_alike_or_unlisted(tmp_path):
    one = object_xml("cat", (1, 1, 5, 5))
    write_voc(tmp_path / "set", {name: voc_xml(one) for name in "abcdef"})
    pictures = tmp_path / "set" / "JPEGImages"
    for i, path in enumerate(sorted(pictures.iterdir())):
        path.write_bytes(encoded(photo((20, 10), i)))
    (pictures / "b.jpg").unlink()
    (pictures / "c.jpg").write_bytes(b"")
    (pictures / "d.jpg").write_bytes((pictures / "a.jpg").read_bytes())
    (pictures / "e.jpg").write_bytes(encoded(photo((20, 10), 9)))
    (pictures / "f.jpg").write_bytes(encoded(photo((10, 20), 6), exif=exif(6)))
    write_picture(pictures / "stray.png")
    found = inspected(tmp_path / "set")
    assert {k: n for k, n in codes(found).items() if k != "class-unused"} == {
        "missing-picture": 1, "empty-file": 1, "duplicate-picture": 1, "unlisted-picture": 1, "exif-upright": 1,
    }  # fmt: skip
    assert found["oddities"]["unlisted-picture"]["examples"] == [{"file": "JPEGImages/stray.png"}]
    assert found["oddities"]["duplicate-picture"]["examples"] == [{"file": "d.jpg", "message": "the same as a.jpg"}]
    assert (found["pictures"], found["picture_sizes"]["readable"], found["objects"]) == (6, 4, 6)


def test_a_coco_json_can_be_looked_at_without_its_pictures(tmp_path):
    document = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 50} for i in range(3)],
        "annotations": [
            {"id": 7, "image_id": 0, "category_id": 1, "bbox": [90, 10, 20, 10]},
            {"id": 8, "image_id": 0, "category_id": 2, "bbox": [10, 10, 0, 0]},
        ],
        "categories": [
            {"id": 1, "name": "Car", "keypoints": ["left_light", "roof"]},
            {"id": 2, "name": "car "},
        ],
    }
    (tmp_path / "x.json").write_text(json.dumps(document))
    found = inspected(tmp_path / "x.json")
    assert codes(found) == {
        "box-past-edge": 1, "dropped-degenerate": 1, "class-unused": 1, "class-names-alike": 1, "keypoint-unpaired": 1,
        "without-labels": 3 - 1, "clipped": 1, "missing-picture": 3,
    }  # fmt: skip
    assert found["oddities"]["box-past-edge"]["examples"][0]["id"] == 7
    assert found["oddities"]["dropped-degenerate"]["examples"][0]["id"] == 8
    assert found["picture_sizes"]["width"] == {"min": 100, "median": 100, "max": 100}
    assert found["picture_sizes"]["readable"] == 0
    assert (found["objects"], found["boxes"]["share"]) == (1, 0.02)


def test_class_folders_and_masks_have_no_boxes(classes_folder, masks_folder):
    found = inspected(classes_folder)
    assert {c["name"]: c["tags"] for c in found["classes"]} == {"cat": 3, "dog": 3, "zebra": 3}
    assert (found["boxes"]["size_px"], found["kinds"]) == (None, {"tags": 9})
    found = inspected(masks_folder)
    pixels = Counter()
    for path in (masks_folder / "masks").iterdir():
        pixels.update(Image.open(path).tobytes())
    assert {c["id"]: c["pixels"] for c in found["classes"]} == {1: pixels[1], 2: pixels[2]}
    assert [c["pictures"] for c in found["classes"]] == [4, 4]


def test_what_is_printed_cannot_steer_the_terminal(tmp_path):
    write_voc(tmp_path / "set", {"a": voc_xml(object_xml("c&#x9b;31mat&#10;x", (1, 1, 1, 9)))})
    (tmp_path / "set" / "JPEGImages" / "b\x1b[2J.jpg").write_bytes(b"x")
    for arguments in (["inspect", tmp_path / "set"], ["inspect", "--diff", tmp_path / "set", tmp_path / "set"]):
        result = call(*arguments)
        assert result.exit_code == 0
        assert all(c.isprintable() or c == "\n" for c in result.output)


# --- the same for any number of processes ----------------------------------------------------------------------------


@pytest.mark.slow
def test_the_result_is_the_same_whatever_the_number_of_workers(voc, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(voc, folder)
    xmls = sorted((folder / "Annotations").iterdir())
    for i in range(600):
        xml = xmls[i % len(xmls)]
        (folder / "Annotations" / f"more{i}.xml").write_text(xml.read_text())
        if i % 7:
            shutil.copy(folder / "JPEGImages" / f"{xml.stem}.jpg", folder / "JPEGImages" / f"more{i}.jpg")
    alone, two = (survey(str(folder), SourceOptions(), workers).as_json() for workers in (0, 2))
    assert json.dumps(alone) == json.dumps(two)
    assert alone["oddities"]["duplicate-picture"]["count"] > 500
    assert alone["oddities"]["missing-picture"]["count"] == sum(i % 7 == 0 for i in range(600))


def test_pictures_are_not_decoded(coco, monkeypatch):
    from augpipe.core.opencv import cv2

    def refuse(*arguments):
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", refuse)
    monkeypatch.setattr(Image.Image, "load", refuse)
    assert codes(inspected(coco)).get("fault") is None
