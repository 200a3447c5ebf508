"""One bad object never takes its picture with it, unless ``--strict`` asks for that."""

from __future__ import annotations

import json

import pytest
from builders import CAT, coco, object_xml, photo, rle_json, row, voc_xml, write_json, write_picture, write_voc
from command_line import call
from format_checker import check_folder
from recipe_tools import recipe_of
from runs import records, run

from augpipe.core.annotations import Annotations
from augpipe.run.source_guard import require_sound

POSE = {**CAT, "keypoints": ["a", "b"]}
MASK = rle_json(photo((20, 10))[:, :, 0] > 127)
OTHER = rle_json(photo((20, 11))[:, :, 0] > 127)

# What is wrong with the first of two objects → (what is left of it, what is said of the picture).
BAD = {
    "negative size": ({"bbox": [2, 1, -5, 4]}, None, "object 0 dropped: degenerate"),
    "no size": ({"bbox": [2, 1, 0, 4]}, None, "object 0 dropped: degenerate"),
    "no number": ({"bbox": [2, 1, "x", 4]}, None, "object 0 dropped: degenerate"),
    "too far": ({"bbox": [2, 1, 1e300, 4]}, "box_xyxy", "clipped"),
    "outside": ({"bbox": [30, 1, 5, 4]}, None, "object 0 dropped: outside"),
    "partly outside": ({"bbox": [16, 1, 9, 4]}, "box_xyxy", "clipped"),
    "polygon of two points": ({"segmentation": [[2, 1, 7, 5]]}, "box_xyxy", "ring-left-out"),
    "polygon of no numbers": ({"segmentation": [[2, 1, 7, 5, None, 3]]}, "box_xyxy", "ring-left-out"),
    "broken RLE": ({"segmentation": {"size": [10, 20], "counts": [5, 9]}}, "box_xyxy", "mask-left-out"),
    "RLE of another size": ({"segmentation": OTHER}, "box_xyxy", "mask-left-out"),
    "another count of keypoints": ({"keypoints": [1, 1, 2]}, "box_xyxy", "keypoints-left-out"),
    "a keypoint of no number": ({"keypoints": [1, "x", 2, 3, 3, 2]}, "box_xyxy", "keypoints-left-out"),
    "a keypoint outside": ({"keypoints": [1, 1, 2, 33, 3, 2]}, "keypoints", "keypoints-clipped"),
    "a visibility of 3": ({"keypoints": [1, 1, 2, 3, 3, 3]}, "keypoints", "keypoint-visibility-mended"),
    "no box but a mask": ({"bbox": None, "segmentation": MASK}, "segmentation", "box-remade"),
}  # fmt: skip
GRAY = "- to_gray"


def source_of(folder, **bad):
    write_picture(folder / "a.jpg")
    document = coco(rows=[row(1, **bad), row(2, bbox=[3, 3, 6, 6])], categories=[POSE])
    return write_json(folder / "x.json", document)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_object_costs_itself_and_with_strict_its_picture(tmp_path, name):
    bad, left, told = BAD[name]
    source = source_of(tmp_path / "in", **bad)
    assert run(source, tmp_path / "out", recipe_of(GRAY)).written == 1
    (record,) = records(tmp_path / "out").values()
    assert [o["index"] for o in record["objects"]] == ([0, 1] if left else [1])
    assert [d["index"] for d in record["dropped"]] == ([] if left else [0])
    assert left is None or left in record["objects"][0]
    strict = run(source, tmp_path / "strict", recipe_of(GRAY), strict=True)
    assert (strict.written, strict.rejected) == (0, 1)
    (reject,) = map(json.loads, (tmp_path / "strict" / "rejects.jsonl").read_text().splitlines())
    assert (reject["stage"], reject["error"], reject["message"]) == ("labels", "strict", told)
    assert check_folder(tmp_path / "strict") == []


@pytest.mark.parametrize("box", [("NaN", 1, 9, 8), (1, 1, "inf", 8), ("", 1, 9, 8)], ids=str)
def test_a_box_that_is_none_in_voc(tmp_path, box):
    write_voc(tmp_path / "in", {"a": voc_xml(object_xml(box=box), object_xml())})
    assert run(tmp_path / "in", tmp_path / "out", recipe_of(GRAY)).dropped == {"degenerate": 1}
    assert run(tmp_path / "in", tmp_path / "strict", recipe_of(GRAY), strict=True).rejects == {"strict": 1}


def test_sound_labels_pass(tmp_path):
    source = source_of(tmp_path / "in", keypoints=[1, 1, 2, 3, 3, 1], segmentation=[[2, 1, 7, 1, 7, 5]])
    run(source, tmp_path / "plain", recipe_of(GRAY))
    run(source, tmp_path / "strict", recipe_of(GRAY), strict=True)
    assert records(tmp_path / "plain") == records(tmp_path / "strict")
    config = json.loads((tmp_path / "strict" / "run.json").read_text())["config"]
    assert config["reading"]["strict"] is True
    for note in ("exif-upright", "exif-turned"):
        require_sound(Annotations(notes=(note,)))


def test_the_command(tmp_path):
    source = source_of(tmp_path / "in", bbox=[2, 1, -5, 4])
    options = ["-r", "gentle", "-w", "0", "--strict", "--max-rejects", "0"]
    result = call(*["augment", str(source), str(tmp_path / "out"), *options])
    assert result.exit_code == 1
    assert "rejected 1 sample of 1 picture: strict 1" in result.stdout
    assert "rejects.jsonl" in result.stderr
