"""What `augment --to` refuses before any work, and what `verify` finds in its folders."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from builders import coco, contents, image, row, voc_xml, write_json, write_mask, write_picture, write_voc
from command_line import call
from dataset_folders import HERE, HIDDEN, PLAIN, dataset, made, refused

from augpipe.conversion import dataset_folder
from augpipe.conversion.augmented import augment_to
from augpipe.core.errors import RunError
from augpipe.run.augment import RunOptions

# --- verified --------------------------------------------------------------------------------------------------------


def verified(folder: Path, *more: object) -> tuple[int, str]:
    result = call("verify", folder, "--workers", 0, *more)
    return result.exit_code, result.stdout + result.stderr


def test_verify_finds_each_file_that_is_not_as_it_was(yolo, tmp_path):
    code, said = verified(yolo)
    assert (code, "8 pictures in 17 files" in said, "nothing is off" in said) == (0, True, True)
    assert json.loads(verified(yolo, "--json")[1])["files"] == 17
    folder = Path(shutil.copytree(yolo, tmp_path / "set"))
    picture, other = sorted((folder / "images").iterdir())[:2]
    data = bytearray(picture.read_bytes())
    data[-3] ^= 1
    picture.write_bytes(data)
    other.unlink()
    with open(folder / "data.yaml", "a") as file:
        file.write("# more\n")
    (folder / "labels" / "more.txt").write_text("0 .5 .5 .1 .1\n")
    (folder / "labels" / "train.cache").write_text("")
    code, said = verified(folder)
    assert code == 1
    off = sorted(line.removeprefix("OFF  ") for line in said.splitlines() if line.startswith("OFF"))
    assert [line.partition(": ")[0] for line in off] == [
        "data.yaml", f"images/{picture.name}", f"images/{other.name}", "labels/more.txt",
    ]  # fmt: skip
    assert "4 off" in said


def test_verify_holds_the_list_against_the_run(yolo, tmp_path):
    folder = Path(shutil.copytree(yolo, tmp_path / "set"))
    record = folder / HIDDEN / "shards" / "all-000001.json"
    record.write_text(record.read_text().replace('"samples":', '"samples":1'))
    assert verified(folder)[0] == 1
    listed = folder / HIDDEN / "dataset.json"
    listed.write_text(listed.read_text().replace('"samples": 2', '"samples": 3', 1))
    assert "was made of other shards" in verified(folder)[1]
    listed.write_text(listed.read_text().replace('"placed": true', '"placed": false'))
    assert (verified(folder)[0], "is not finished" in verified(folder)[1]) == (2, True)


def test_a_list_that_leads_out_of_the_folder_is_none(yolo, tmp_path):
    """Nothing outside is read, and nothing removed."""
    folder = Path(shutil.copytree(yolo, tmp_path / "set"))
    (tmp_path / "mine").write_text("x")
    rows = folder / HIDDEN / "files.jsonl"
    rows.write_text(rows.read_text().replace('"data.yaml"', '"../mine"'))
    digest = hashlib.sha256(rows.read_bytes()).hexdigest()
    listed = folder / HIDDEN / "dataset.json"
    listed.write_text(json.dumps({**json.loads(listed.read_text()), "files": digest}))
    code, said = verified(folder)
    assert (code, "'../mine' is no name below the folder" in said) == (2, True)
    assert (tmp_path / "mine").read_text() == "x"


def test_labels_of_a_dataset_folder_are_not_compared(unsplit, yolo):
    code, said = verified(yolo, "--against", unsplit)
    assert (code, "has no plans to compare with a source" in said) == (2, True)


# --- what cannot be --------------------------------------------------------------------------------------------------


def test_another_request_for_the_same_folder_is_refused(unsplit, yolo, tmp_path):
    assert "holds a dataset of --to yolo, which is not --to coco" in refused(unsplit, yolo, "coco")
    assert "--to yolo --kind obb" in refused(unsplit, yolo, "yolo", "--kind", "obb")
    assert f"{yolo}: holds a run of another configuration" in refused(unsplit, yolo, "yolo", "--seed", 8)
    shards = call("augment", unsplit, yolo, *PLAIN)
    assert shards.exit_code == 2
    assert "is not empty and holds no run" in shards.stderr


def test_a_folder_of_something_else_is_refused(unsplit, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("x")
    assert "is not empty and holds no dataset" in refused(unsplit, tmp_path / "mine", "yolo")
    assert "is a file" in refused(unsplit, tmp_path / "mine" / "a.txt", "yolo")
    call("augment", unsplit, tmp_path / "shards", *PLAIN)
    assert "holds the shards of a run" in refused(unsplit, tmp_path / "shards", "yolo")
    assert "lies in the source" in refused(unsplit, unsplit / "out", "yolo")
    assert not (unsplit / "out").exists()


def test_what_the_format_cannot_hold_is_refused_before_any_work(classes_folder, masks_folder, tmp_path):
    out = tmp_path / "set"
    for to in ("yolo", "coco", "voc", "dota"):
        assert f"{to} has no place for what imagefolder holds" in refused(
            classes_folder, out, to, "--recipe", "classification"
        )
    assert "yolo has no place for what masks holds" in refused(masks_folder, out, "yolo", "--recipe", "segmentation")
    made(masks_folder, out, "voc", "--recipe", "segmentation")
    assert len(list((out / "SegmentationClass").iterdir())) == 2 * len(list((masks_folder / "masks").iterdir()))
    out = tmp_path / "other"
    write_picture(tmp_path / "images" / "a.jpg")
    two = [{"id": 1, "name": "a b"}, {"id": 2, "name": "a-b"}]
    write_json(tmp_path / "a.json", coco([image(1, "a.jpg")], [row(1, 1)], categories=two))
    images = ("--images", tmp_path / "images")
    assert "would both be 'a-b'" in refused(tmp_path / "a.json", out, "dota", *images)
    assert "has no keypoints to write" in refused(tmp_path / "a.json", out, "yolo", "--kind", "pose", *images)
    assert not out.exists()


def test_options_of_other_formats_are_refused(unsplit, tmp_path):
    assert "--kind says what YOLO's rows hold" in refused(unsplit, tmp_path / "a", "coco", "--kind", "obb")
    assert "--ids says what ids COCO gets" in refused(unsplit, tmp_path / "a", "yolo", "--ids", "sequential")
    assert "--to cvat: expected" in refused(unsplit, tmp_path / "a", "cvat")
    for command in ("retry", "finish"):
        assert "holds no run of augpipe" in call(command, tmp_path / "a").stderr
    assert not (tmp_path / "a").exists()


def test_options_of_the_format_are_given_on(tmp_path):
    write_picture(tmp_path / "images" / "a.jpg")
    source = write_json(
        tmp_path / "a.json", coco([image(17, "a.jpg")], [row(23, 17, segmentation=[[2, 1, 7, 1, 7, 5]])])
    )
    images = ("--images", tmp_path / "images", "--copies", 0, "--originals")
    made(source, tmp_path / "boxes", "yolo", "--kind", "detect", *images)
    (label,) = (tmp_path / "boxes" / "labels").iterdir()
    assert len(label.read_text().split()) == 5
    made(source, tmp_path / "counted", "coco", "--ids", "sequential", *images)
    document = json.loads((tmp_path / "counted" / "annotations" / "instances_all.json").read_bytes())
    assert ([i["id"] for i in document["images"]], [a["id"] for a in document["annotations"]]) == ([1], [1])


def test_a_disk_without_room_is_refused_before_the_dataset_is_written(unsplit, yolo, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(dataset_folder.HiddenStore, "free_bytes", lambda store: 1000)
        said = made(unsplit, tmp_path / "set", "yolo", code=1)
    assert "there is room for 0.0 MB; its shards stay" in said
    assert dataset(tmp_path / "set") == {}
    made(unsplit, tmp_path / "set", "yolo")
    assert dataset(tmp_path / "set") == dataset(yolo)


def test_a_disk_that_fails_loses_nothing(unsplit, yolo, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(dataset_folder, "_rows_of", full)
        with pytest.raises(RunError, match="cannot be written: No space left on device; its shards stay"):
            augment_to(unsplit, tmp_path / "set", "detection", "yolo", RunOptions(copies=2, seed=7), execution=HERE)
    assert dataset(tmp_path / "set") == {}
    made(unsplit, tmp_path / "set", "yolo")
    assert dataset(tmp_path / "set") == dataset(yolo)


# --- nothing to write ------------------------------------------------------------------------------------------------


def test_a_run_without_samples_says_why_and_goes_on_when_there_are_some(unsplit, tmp_path):
    source = Path(shutil.copytree(unsplit, tmp_path / "voc"))
    good = {path: path.read_bytes() for path in (source / "JPEGImages").iterdir()}
    for path in good:
        path.write_bytes(b"no picture")
    for _ in range(2):
        said = made(source, tmp_path / "set", "yolo", code=1)
        assert "augpipe: nothing was written: all pictures were rejected; see " in said
        assert not dataset(tmp_path / "set")
    for path, data in good.items():
        path.write_bytes(data)
    assert call("retry", tmp_path / "set", "--all", "-w", 0).exit_code == 0
    assert len([name for name in dataset(tmp_path / "set") if name.startswith("images/")]) == 2 * len(good)


def test_crops_of_a_set_without_objects_say_that_there_are_none(tmp_path):
    source = write_json(tmp_path / "x.json", coco([image()], []))
    write_picture(tmp_path / "a.jpg")
    result = call("crops", source, tmp_path / "set", "--to", "yolo", "-w", 0)
    assert (result.exit_code, "nothing was written: no picture has an object" in result.output) == (1, True)


def test_crops_of_objects_that_are_all_too_small_say_so(unsplit, tmp_path):
    result = call("crops", unsplit, tmp_path / "set", "--min-side", 9999, "-w", 0)
    assert result.exit_code == 1
    assert re.search(r"nothing was written: all \d+ objects are smaller than --min-side asks for", result.output)


def test_a_set_of_crowds_alone_is_no_set_of_background(tmp_path):
    source = write_json(tmp_path / "x.json", coco([image()], [row(1, bbox=[2, 1, 9, 7], iscrowd=1)]))
    write_picture(tmp_path / "a.jpg")
    said = made(source, tmp_path / "set", "yolo", code=1)
    assert "none of 2 objects can be written, so nothing was written: crowds 2; its shards stay" in said
    assert "choose it with --overwrite" in said
    assert not dataset(tmp_path / "set")
    made(source, tmp_path / "set", "yolo", "--crowds", "instances", "--overwrite")
    labels = [data for name, data in dataset(tmp_path / "set").items() if name.startswith("labels/")]
    assert [len(data.splitlines()) for data in labels] == [1, 1]
    made(source, tmp_path / "set", "coco", "--overwrite")


def test_a_set_of_masks_alone_is_no_set_of_background(tmp_path):
    """Pascal VOC has a place for masks, so only its labels tell that there is nothing else."""
    source = write_voc(tmp_path / "voc", {"a": voc_xml()})
    write_mask(source / "SegmentationClass" / "a.png", np.ones((10, 20), np.uint8))
    (source / "class_names.txt").write_text("background\ncrack\n")
    said = made(source, tmp_path / "set", "yolo", code=1)
    assert "no label can be written, so nothing was written: semantic masks 2, which shards hold" in said
    (pair, shards) = re.search(r"'augpipe convert (shards-to-\w+) (\S+) OTHER' makes a dataset of them", said).groups()
    assert "--overwrite with another --to deletes them" in said
    result = call("convert", pair, shards, tmp_path / "other", "-w", 0)
    assert (result.exit_code, "semantic masks 2 → 2" in result.stdout) == (0, True)
    result = call("convert", "shards-to-coco", shards, tmp_path / "coco", "-w", 0, "--instances", "components")
    assert (result.exit_code, "2 pictures, 2 objects" in result.stdout) == (0, True)
    assert not dataset(tmp_path / "set")
    made(source, tmp_path / "set", "voc", "--overwrite")


@pytest.mark.parametrize("to", ["shards", "yolo"])
def test_no_dataset_is_written_over_a_run(to, unsplit, tmp_path):
    made(unsplit, tmp_path / "set", to)
    before = contents(tmp_path / "set")
    result = call("dataset", "split", unsplit, tmp_path / "set", "--val", "50%", "--overwrite")
    assert (result.exit_code, "holds a run of augpipe" in result.stderr) == (2, True)
    assert contents(tmp_path / "set") == before
