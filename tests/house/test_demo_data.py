from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("skimage")

import demo_data
from demo_annotations import PHOTOS

VOID = 255


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_data.build(tmp_path_factory.mktemp("voc"))


def annotations(root: Path) -> dict[str, ET.Element]:
    return {path.stem: ET.parse(path).getroot() for path in sorted((root / "Annotations").iterdir())}


def box_of(node: ET.Element) -> tuple[int, ...]:
    return tuple(int(node.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax"))


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def label_names(root: Path) -> list[str]:
    return [line.split(":")[0] for line in lines(root / "labelmap.txt")]


def test_every_photo_has_a_picture_and_an_annotation_of_its_size(root: Path) -> None:
    assert len(annotations(root)) == len(PHOTOS) == len(list((root / "JPEGImages").iterdir()))
    for key, annotation in annotations(root).items():
        with Image.open(root / "JPEGImages" / f"{key}.jpg") as picture:
            stated = [int(annotation.findtext(f"size/{side}", "")) for side in ("width", "height", "depth")]
            assert picture.format == "JPEG"
            assert stated == [*picture.size, len(picture.getbands())]


def test_boxes_lie_inside_the_pictures_and_parts_inside_their_objects(root: Path) -> None:
    for annotation in annotations(root).values():
        width, height = int(annotation.findtext("size/width", "")), int(annotation.findtext("size/height", ""))
        for thing in annotation.iter("object"):
            left, top, right, bottom = box_of(thing)
            assert 1 <= left < right <= width
            assert 1 <= top < bottom <= height
            for part in thing.iter("part"):
                inner = box_of(part)
                assert left <= inner[0] < inner[2] <= right
                assert top <= inner[1] < inner[3] <= bottom


def test_an_object_at_the_border_of_its_picture_is_truncated_and_no_other(root: Path) -> None:
    for annotation in annotations(root).values():
        width, height = int(annotation.findtext("size/width", "")), int(annotation.findtext("size/height", ""))
        for thing in annotation.iter("object"):
            left, top, right, bottom = box_of(thing)
            touches = left == 1 or top == 1 or right == width or bottom == height
            assert int(thing.findtext("truncated", "")) == touches


def test_boxes_are_written_one_based(root: Path) -> None:
    coins = [box_of(thing) for thing in annotations(root)["coins"].iter("object")]
    assert len(coins) == 24
    assert coins[0] == (23, 36, 67, 74)


def test_labelmap_is_background_then_the_names_in_order(root: Path) -> None:
    used = {thing.findtext("name", "") for root_ in annotations(root).values() for thing in root_.iter("object")}
    assert label_names(root) == ["background", *sorted(used)]
    assert lines(root / "labelmap.txt")[0] == "background:0,0,0::"
    assert lines(root / "labelmap.txt")[1].split(":")[1] == "128,0,0"
    assert [line.split(":")[2] for line in lines(root / "labelmap.txt") if line.startswith("person:")] == ["head"]


def test_lists_name_every_photo_once(root: Path) -> None:
    main = root / "ImageSets" / "Main"
    assert sorted(lines(main / "train.txt") + lines(main / "val.txt")) == lines(main / "trainval.txt")
    assert lines(main / "trainval.txt") == sorted(annotations(root))
    masked = lines(root / "ImageSets" / "Segmentation" / "trainval.txt")
    assert masked == [key for key, annotation in annotations(root).items() if annotation.findtext("segmented") == "1"]
    for folder in ("SegmentationClass", "SegmentationObject"):
        assert sorted(path.stem for path in (root / folder).iterdir()) == masked


def test_masks_agree_with_objects_boxes_and_labelmap(root: Path) -> None:
    names = label_names(root)
    for key in lines(root / "ImageSets" / "Segmentation" / "trainval.txt"):
        annotation = annotations(root)[key]
        rasters = []
        for folder in ("SegmentationClass", "SegmentationObject"):
            with Image.open(root / folder / f"{key}.png") as picture:
                palette = picture.getpalette()
                assert picture.mode == "P"
                assert palette is not None
                assert palette[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
                assert palette[-3:] == [224, 224, 192]
                rasters.append(np.asarray(picture))
        classes, instances = rasters
        size = (int(annotation.findtext("size/height", "")), int(annotation.findtext("size/width", "")))
        assert classes.shape == instances.shape == size
        things = annotation.findall("object")
        assert set(np.unique(instances).tolist()) == {0, VOID, *range(1, len(things) + 1)}
        assert np.array_equal(classes == 0, instances == 0)
        assert np.array_equal(classes == VOID, instances == VOID)
        for number, thing in enumerate(things, start=1):
            rows, columns = np.nonzero(instances == number)
            assert set(classes[rows, columns].tolist()) == {names.index(thing.findtext("name", ""))}
            seen = (columns.min() + 1, rows.min() + 1, columns.max() + 1, rows.max() + 1)
            assert np.abs(np.subtract(seen, box_of(thing))).max() <= 4, (key, thing.findtext("name"), seen)


def test_two_builds_are_the_same_bytes(root: Path, tmp_path: Path) -> None:
    def contents(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert contents(demo_data.build(tmp_path / "again")) == contents(root)


def test_every_photo_is_credited(root: Path) -> None:
    text = (root / "ATTRIBUTION.txt").read_text(encoding="utf-8")
    for photo in PHOTOS:
        assert photo.credit in text
        assert photo.rights in text
