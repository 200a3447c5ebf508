"""Conversions keep splits: each picture comes out in the split that it was in, where the target puts that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from builders import coco as document
from builders import image, row, write_json, write_picture
from command_line import call
from pycocotools.coco import COCO
from split_layouts import LAYOUTS, MEANT, class_folders, coco_2017, yolo_by_yaml

from augpipe.conversion.run import convert
from augpipe.core.errors import DatasetError

WITH_BOXES = [layout for layout in LAYOUTS if layout is not class_folders]


def split_of_yolo(out: Path) -> dict[str, str]:
    data = yaml.safe_load((out / "data.yaml").read_text())
    assert len(set(map(str, (data["train"], data["val"], data["test"])))) == 3
    places = {split: sorted((out / data[split]).rglob("*.jpg")) for split in ("train", "val", "test")}
    for pictures in places.values():
        for picture in pictures:
            head, _, tail = picture.as_posix().rpartition("/images/")
            assert Path(f"{head}/labels/{tail}").with_suffix(".txt").read_text()
    return {picture.stem: split for split, pictures in places.items() for picture in pictures}


def split_of_coco(out: Path) -> dict[str, str]:
    found = {}
    for path in sorted((out / "annotations").glob("*.json")):
        index = COCO(str(path))
        for picture in index.loadImgs(index.getImgIds()):
            assert len(index.getAnnIds(picture["id"])) == 1
            assert (out / "images" / picture["file_name"]).is_file()
            found[Path(picture["file_name"]).stem] = path.stem.removeprefix("instances_")
    return found


def split_of_voc(out: Path) -> dict[str, str]:
    found = {}
    for path in sorted((out / "ImageSets" / "Main").glob("*.txt")):
        for line in path.read_text().split():
            assert (out / "Annotations" / f"{line}.xml").is_file()
            assert (out / "JPEGImages" / f"{line}.jpg").is_file()
            found[Path(line).name] = path.stem
    return found


def split_of_dota(out: Path) -> dict[str, str]:
    found = {}
    for path in sorted((out / "labelTxt").rglob("*.txt")):
        below = path.relative_to(out / "labelTxt")
        assert (out / "images" / below).with_suffix(".jpg").is_file()
        found[path.stem] = below.parts[0]
    return found


SPLIT_OF = {"yolo": split_of_yolo, "coco": split_of_coco, "voc": split_of_voc, "dota": split_of_dota}


@pytest.mark.parametrize("to", SPLIT_OF)
@pytest.mark.parametrize("layout", WITH_BOXES)
def test_a_whole_dataset_keeps_its_splits(tmp_path, layout, to):
    layout(tmp_path / "in")
    report = convert(tmp_path / "in", tmp_path / "out", to)
    assert (report.pictures, report.objects, report.lost) == (3, 3, [])
    assert SPLIT_OF[to](tmp_path / "out") == MEANT


@pytest.mark.parametrize("to", SPLIT_OF)
@pytest.mark.parametrize("through", SPLIT_OF)
def test_splits_come_back_through_another_format(tmp_path, through, to):
    yolo_by_yaml(tmp_path / "in")
    convert(tmp_path / "in", tmp_path / "way", through)
    convert(tmp_path / "way", tmp_path / "out", to)
    assert SPLIT_OF[to](tmp_path / "out") == MEANT


def test_one_split_after_the_other_into_one_folder(tmp_path):
    coco_2017(tmp_path / "in")
    for split in ("test2017", "val2017", "train2017"):
        done = call("convert", "coco-to-yolo", tmp_path / "in", tmp_path / "out", "--split", split, "--overwrite")
        assert done.exit_code == 0, done.output
    assert split_of_yolo(tmp_path / "out") == MEANT


@pytest.mark.parametrize(("name", "split"), [("instances_val2017", "val"), ("train", "train")])
def test_a_json_alone_has_the_split_of_its_name(tmp_path, name, split):
    coco_2017(tmp_path / "in")
    (tmp_path / "in" / "annotations" / "instances_val2017.json").rename(tmp_path / "in" / f"{name}.json")
    convert(tmp_path / "in" / f"{name}.json", tmp_path / "out", "yolo")
    assert yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())[split] == f"images/{split}"


def test_a_json_as_target_has_all_splits_and_says_so(tmp_path):
    coco_2017(tmp_path / "in")
    done = call("convert", "coco-to-yolo", tmp_path / "in", tmp_path / "way")
    assert done.exit_code == 0, done.output
    done = call("convert", "yolo-to-coco", tmp_path / "way", tmp_path / "out.json")
    assert len(json.loads((tmp_path / "out.json").read_text())["images"]) == 3
    assert "out.json has all splits together (train 1, val 1, test 1); a folder as DST keeps them apart" in done.output


def test_pictures_of_no_split_are_no_training_pictures_where_others_have_one(tmp_path):
    yolo_by_yaml(tmp_path / "in")
    (tmp_path / "in" / "data.yaml").unlink()
    (tmp_path / "in" / "classes.txt").write_text("cat\n")
    (tmp_path / "in" / "test").rename(tmp_path / "in" / "more")
    report = convert(tmp_path / "in", tmp_path / "out", "yolo")
    data = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())
    assert (data["train"], data["val"]) == ("images/train", "images/val")
    assert sorted(p.name for p in (tmp_path / "out" / "images" / "train").rglob("*.jpg")) == ["train.jpg"]
    assert list((tmp_path / "out" / "images" / "unsplit").rglob("test.jpg"))
    assert "pictures of no split lie in images/unsplit, which data.yaml does not name" in report.remarks


@pytest.mark.parametrize("to", ["yolo", "dota"])
def test_two_pictures_that_would_be_one_file_of_a_split_are_an_error(tmp_path, to):
    document_of = document([image(1, "a.jpg"), image(2, "train/a.jpg")], [row(1, 1), row(2, 2)])
    write_json(tmp_path / "in" / "instances_train.json", document_of)
    for name in ("a.jpg", "train/a.jpg"):
        write_picture(tmp_path / "in" / name)
    with pytest.raises(DatasetError, match=r"'a\.jpg' and 'train/a\.jpg' would share one label file"):
        convert(tmp_path / "in", tmp_path / "out", to)
    assert not (tmp_path / "out").exists()
