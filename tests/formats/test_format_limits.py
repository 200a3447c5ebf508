"""Lists of classes, and of what they have, that would keep a command busy or fill the memory before it begins."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from builders import CAT, coco, opened, said, write_json, write_picture

from augpipe.core.annotations import Category
from augpipe.core.errors import DatasetError
from augpipe.formats.base import Dataset, SourceOptions
from augpipe.formats.limits import MOST_ATTRIBUTES, MOST_CLASSES, MOST_KEYPOINTS


def coco_with(folder: Path, categories: list) -> Path:
    write_picture(folder / "images" / "a.jpg")
    write_json(folder / "annotations" / "instances.json", coco(categories=categories))
    return folder


@pytest.mark.parametrize("what", ["keypoints", "skeleton"])
def test_a_category_has_a_bounded_number_of_keypoints(tmp_path, what):
    names = ["n"] * MOST_KEYPOINTS if what == "keypoints" else [[1, 2]] * MOST_KEYPOINTS
    assert len(opened(coco_with(tmp_path / "most", [CAT | {what: names}])).categories) == 1
    line = said(coco_with(tmp_path / "more", [CAT | {what: [*names, names[0]]}]))
    assert line.endswith(f"instances.json: 10,001 {what} of a category; expected at most 10,000")


def test_a_file_has_a_bounded_number_of_categories(tmp_path):
    rows = [{"id": i, "name": str(i)} for i in range(MOST_CLASSES + 1)]
    assert said(coco_with(tmp_path, rows)).endswith("100,001 categories; expected at most 100,000")


def test_a_dataset_has_a_bounded_number_of_classes():
    classes = [Category(i, i, str(i)) for i in range(MOST_CLASSES + 1)]
    with pytest.raises(DatasetError, match="100,001 classes; expected at most 100,000"):
        Dataset.of("voc", Path("x"), classes, [], None, SourceOptions())


def test_regions_have_a_bounded_number_of_attributes(tmp_path):
    shape = {"name": "rect", "x": 1, "y": 1, "width": 5, "height": 5}
    write_picture(tmp_path / "a.jpg")
    for count in (MOST_ATTRIBUTES, MOST_ATTRIBUTES + 1):
        values = {"class": "c"} | {f"k{i}": "v" for i in range(1, count)}
        region = {"shape_attributes": shape, "region_attributes": values}
        (tmp_path / "via.json").write_text(json.dumps({"a": {"filename": "a.jpg", "size": 1, "regions": [region]}}))
        if count == MOST_ATTRIBUTES:
            assert [c.name for c in opened(tmp_path).categories] == ["c"]
    assert said(tmp_path).endswith("a.jpg: 10,001 attributes of regions; expected at most 10,000")


def cvat(folder: Path, attributes: str, points: str = "1,1;5,1;5,5") -> Path:
    write_picture(folder / "images" / "a.jpg")
    label = "<meta><task><labels><label><name>c</name></label></labels></task></meta>"
    shape = f'<polygon label="c" points="{points}"></polygon>'
    image = f'<image id="0" name="a.jpg" width="20" height="10" {attributes}>{shape}</image>'
    (folder / "annotations.xml").write_text(f"<annotations><version>1.1</version>{label}{image}</annotations>")
    return folder


def test_a_tag_with_millions_of_attributes_is_refused_before_it_is_in_memory(tmp_path):
    place = cvat(tmp_path / "many", " ".join(f'a{i:07}="1"' for i in range(1_500_000)))
    tracemalloc.start()
    line = said(place)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert line.endswith(" attributes of one tag; expected at most 10,000")
    assert peak < 100 << 20  # all of them take several times that
    assert len(opened(cvat(tmp_path / "long", "", ";".join(["1,1;5,1;5,5"] * 250_000))).entries) == 1  # 3 MB of points
