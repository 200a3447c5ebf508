"""COCO panoptic as it is written: PNGs and JSON read by OpenCV and json alone, compared with the real sample."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import call
from conversions import done
from real_sets import real

from augpipe.conversion import convert
from augpipe.core.errors import RunError
from augpipe.formats.base import SourceOptions
from augpipe.formats.registry import open_dataset

SAMPLE = "panopticapi/sample_data"


def ids_of(path: Path) -> np.ndarray:
    """R + 256·G + 65536·B, as panopticapi's rgb2id has it."""
    b, g, r = np.moveaxis(cv2.imread(str(path)).astype(np.int64), 2, 0)
    return r + 256 * g + 65536 * b


def segments(document: dict) -> dict[str, list]:
    return {a["file_name"]: a["segments_info"] for a in document["annotations"]}


def test_the_real_sample_comes_back_exactly(tmp_path):
    source = real(SAMPLE)
    options = SourceOptions(images=source / "input_images")
    report = convert(str(source / "panoptic_examples.json"), tmp_path / "out", "coco", options)
    assert dict(report.losses) == {}
    folder = tmp_path / "out" / "annotations"
    before, after = (
        json.loads(p.read_text()) for p in (source / "panoptic_examples.json", folder / "panoptic_all.json")
    )
    assert segments(after) == segments(before)
    assert [i["image_id"] for i in after["annotations"]] == [i["image_id"] for i in before["annotations"]]
    assert {i["id"]: i for i in after["images"]} == {
        i["id"]: i for i in before["images"] if i["id"] in segments_ids(before)
    }
    assert after["categories"] == [{k: v for k, v in c.items() if k != "color"} for c in before["categories"]]
    for name in segments(before):
        there = ids_of(folder / "panoptic_all" / name)
        assert (there == ids_of(source / "panoptic_examples" / name)).all()
        known = {s["id"]: s["area"] for s in segments(after)[name]}
        assert {int(v): int(n) for v, n in zip(*np.unique(there, return_counts=True), strict=True) if v} == known
    again = open_dataset(str(tmp_path / "out"))
    found = again.reader.annotations(again.entries[0])
    assert len(found.segments_info) == len(segments(before)[f"{Path(again.entries[0].key).stem}.png"])
    assert found.panoptic is not None


def segments_ids(document: dict) -> set[int]:
    return {a["image_id"] for a in document["annotations"]}


def test_augmented_panoptic_labels_go_back_to_coco(tmp_path):
    source = real(SAMPLE)
    result = call(
        "augment", source / "panoptic_examples.json", tmp_path / "run", "-r", "gentle", "-w", 0, "--originals",
        "--copies", 1, "--images", source / "input_images",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    out = done("shards-to-coco", tmp_path / "run", tmp_path / "coco")
    assert "panoptic masks" not in out.partition("has no place for")[2]
    document = json.loads((tmp_path / "coco" / "annotations" / "panoptic_all.json").read_text())
    assert len(document["annotations"]) == 4
    before = segments(json.loads((source / "panoptic_examples.json").read_text()))
    originals = 0
    for row in document["annotations"]:
        raster = ids_of(tmp_path / "coco" / "annotations" / "panoptic_all" / row["file_name"])
        areas = {int(v): int(n) for v, n in zip(*np.unique(raster, return_counts=True), strict=True) if v}
        assert {s["id"]: s["area"] for s in row["segments_info"]} == areas
        if row["file_name"].endswith("orig.png"):
            originals += 1
            name = f"{row['file_name'].split('-')[0]}.png"
            assert row["segments_info"] == before[name]
            assert (raster == ids_of(source / "panoptic_examples" / name)).all()
    assert originals == 2


def test_a_json_alone_has_no_place_for_them(tmp_path):
    source = real(SAMPLE)
    options = SourceOptions(images=source / "input_images")
    with pytest.raises(RunError, match="no label can be written, so nothing was written: panoptic masks 2, which"):
        convert(str(source / "panoptic_examples.json"), tmp_path / "out.json", "coco", options)
    assert not (tmp_path / "out.json").exists()


def test_nothing_is_written_where_there_is_nothing_panoptic(voc, tmp_path):
    done("voc-to-coco", voc, tmp_path / "out")
    names = sorted(p.name for p in (tmp_path / "out" / "annotations").iterdir())
    assert names == ["instances_train.json", "instances_val.json"]


def test_two_pictures_of_one_stem_have_pngs_of_their_own(tmp_path):
    from augpipe.core.annotations import Annotations
    from augpipe.formats.coco.write_panoptic import PanopticWriter, segments_of

    writer = PanopticWriter(tmp_path / "p.json", [])
    for i, name in enumerate(("a.jpg", "a.png")):
        segments = segments_of(Annotations(panoptic=np.full((2, 2), i + 1, np.uint32)))
        writer.add(b"{}", b"%d" % i, name, segments)
    writer.close()
    assert [ids_of(tmp_path / "p" / n).max() for n in ("a.png", "a.png.png")] == [1, 2]
    with pytest.raises(ValueError, match="closed"):
        writer.close()
