"""What the tests of conversion share: the command, oracles that know nothing of augpipe, and the smallest sets."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import warnings
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import yaml
from command_line import call as command
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

FLAGS = ("pose", "truncated", "difficult", "occluded")


def call(*arguments: object):
    """(exit code, stdout, stderr) of ``augpipe convert``; never a traceback."""
    result = command(*["convert", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result.exit_code, result.stdout, result.stderr


def done(*arguments: object) -> str:
    code, out, err = call(*arguments)
    assert code == 0, err
    return out + err


def refused(*arguments: object) -> str:
    """The one complaint, of one or two lines, of a request that cannot work."""
    code, out, err = call(*arguments)
    assert (code, out) == (2, ""), out
    assert err.startswith("augpipe: ")
    assert len(err.splitlines()) <= 2
    return err


def failed(*arguments: object) -> str:
    code, out, err = call(*arguments)
    assert code == 1
    return out + err


# --- oracles ---------------------------------------------------------------------------------------------------------


def voc_boxes(root: Path) -> dict[str, list[tuple]]:
    """Stem → (name, x, y, w, h) in order: VOC's 1-based inclusive corners, read by xml.etree alone."""
    out = {}
    folder = root / "Annotations" if (root / "Annotations").is_dir() else root / "annotations"
    for path in folder.rglob("*.xml"):
        rows = []
        for element in ElementTree.parse(path).iter("object"):
            box = element.find("bndbox")
            x0, y0, x1, y1 = (float(box.findtext(side)) for side in ("xmin", "ymin", "xmax", "ymax"))
            rows.append((element.findtext("name"), x0 - 1, y0 - 1, x1 - x0 + 1, y1 - y0 + 1))
        out[path.relative_to(folder).with_suffix("").as_posix()] = rows
    return out


def coco_boxes(path: Path, digits: int | None = None) -> dict[str, list[tuple]]:
    """The same of a COCO JSON, or of those of all splits in a folder, by json alone."""
    if path.is_dir():
        return {name: rows for file in path.glob("instances_*.json") for name, rows in coco_boxes(file, digits).items()}
    document = json.loads(path.read_text())
    names = {c["id"]: c["name"] for c in document["categories"]}
    out: dict[int, list[tuple]] = {image["id"]: [] for image in document["images"]}
    for row in document["annotations"]:
        box = row["bbox"] if digits is None else [round(v, digits) for v in row["bbox"]]
        out[row["image_id"]].append((names[row["category_id"]], *box))
    return {os.path.splitext(image["file_name"])[0]: out[image["id"]] for image in document["images"]}


def loaded(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def check_with_pycocotools(path: Path, objects: int) -> None:
    api = loaded(path)
    assert len(api.anns) == objects
    assert sorted(len(api.imgToAnns[i]) for i in api.imgs) == sorted(
        Counter(row["image_id"] for row in api.anns.values()).get(i, 0) for i in api.imgs
    )
    for row in api.anns.values():
        assert row["image_id"] in api.imgs
        assert row["category_id"] in api.cats
        assert row["iscrowd"] in (0, 1)
        if "segmentation" in row:
            assert mask_of(api, row).any()


def mask_of(api: COCO, row: dict) -> np.ndarray:
    with warnings.catch_warnings():  # of pycocotools, which is older than NumPy 2
        warnings.simplefilter("ignore", DeprecationWarning)
        return api.annToMask(row)


def facts_of(root: Path) -> dict[str, list[tuple]]:
    """Flags, pose and parts of every object, as text."""
    folder = root / "Annotations" if (root / "Annotations").is_dir() else root / "annotations"

    def facts(element: ElementTree.Element) -> tuple:
        flags = tuple((element.findtext(name) or "").strip() for name in FLAGS)
        corners = ("xmin", "ymin", "xmax", "ymax")
        boxes = [
            (p.findtext("name"), *(float(p.findtext(f"bndbox/{c}")) for c in corners)) for p in element.iter("part")
        ]
        return (*flags, boxes)

    return {
        path.relative_to(folder).with_suffix("").as_posix(): [facts(e) for e in ElementTree.parse(path).iter("object")]
        for path in folder.rglob("*.xml")
    }


def yolo_rows(root: Path) -> dict[str, list[list[float]]]:
    """Picture's path below images/ → numbers of each row, by Ultralytics' documented rule: the label file of
    .../images/x.jpg is .../labels/x.txt, and one that is not there means a picture without objects."""
    out = {}
    for picture in sorted(p for p in (root / "images").rglob("*") if p.is_file()):
        label = Path("/labels/".join(str(picture).rsplit("/images/", 1))).with_suffix(".txt")
        lines = label.read_text().splitlines() if label.exists() else []
        out[picture.relative_to(root / "images").as_posix()] = [[float(v) for v in line.split()] for line in lines]
    return out


def yolo_boxes(root: Path, digits: int = 3) -> dict[str, list[tuple]]:
    """Stem → (name, x, y, w, h) in pixels, of rows of boxes, or around the points of other rows."""
    names = yaml.safe_load((root / "data.yaml").read_text("utf-8"))["names"]
    out = {}
    for name, rows in yolo_rows(root).items():
        h, w = cv2.imread(str(root / "images" / name)).shape[:2]
        boxes = []
        for index, *numbers in rows:
            if len(numbers) == 4:
                cx, cy, bw, bh = numbers
                box = ((cx - bw / 2) * w, (cy - bh / 2) * h, bw * w, bh * h)
            else:
                xs, ys = [x * w for x in numbers[0::2]], [y * h for y in numbers[1::2]]
                box = (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
            boxes.append((names[int(index)], *(round(v, digits) + 0.0 for v in box)))
        out[os.path.splitext(name)[0]] = boxes
    return out


def average_precision(path: Path, kinds: tuple[str, ...] = ("bbox",)) -> list[float]:
    """What pycocotools makes of a JSON that is evaluated against itself."""
    api = loaded(path)
    out = []
    for kind in kinds:
        rows = [{**row, "score": 1.0} for row in api.anns.values() if not row["iscrowd"]]
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = COCOeval(api, api.loadRes(copy.deepcopy(rows)), kind)
            run.params.maxDets = [10_000] * 3
            run.evaluate()
            run.accumulate()
        precision = run.eval["precision"]
        out.append(float(precision[precision > -1].mean()))
    return out


# --- small sets ------------------------------------------------------------------------------------------------------


def voc_of(folder: Path, **xmls: str) -> Path:
    """A VOC root of XML texts by stem, without pictures."""
    (folder / "Annotations").mkdir(parents=True)
    for stem, text in xmls.items():
        (folder / "Annotations" / f"{stem}.xml").write_text(text, "utf-8")
    return folder


def xml(*objects: str, size: str = "<size><width>40</width><height>30</height></size>") -> str:
    return f"<annotation><filename>x.jpg</filename>{size}{''.join(objects)}</annotation>"


def an_object(
    x0: object = 2, y0: object = 3, x1: object = 11, y1: object = 12, name: str = "cat", more: str = ""
) -> str:
    box = f"<bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox>"
    return f"<object><name>{name}</name>{more}{box}</object>"


def coco_of(path: Path, images: list | None = None, rows: list | None = None, categories: list | None = None) -> Path:
    document = {
        "images": [image(1, "a.jpg")] if images is None else images,
        "annotations": [row(1, 1, [1, 2, 10, 8])] if rows is None else rows,
        "categories": [{"id": 1, "name": "cat"}] if categories is None else categories,
    }
    path.write_text(json.dumps(document))
    return path


def image(identity: object, file_name: str, **more: object) -> dict:
    return {"id": identity, "file_name": file_name, "width": 40, "height": 30, **more}


def row(identity: object, image_id: object, bbox: object, category_id: int = 1, **more: object) -> dict:
    return {"id": identity, "image_id": image_id, "category_id": category_id, "bbox": bbox, "iscrowd": 0, **more}


def yolo_of(folder: Path, yaml_text: str | None = "train: images\nnames: [cat, dog]\n", **labels: str) -> Path:
    """A YOLO folder: label texts by stem, each with a picture of 40×30; without ``yaml_text`` there is none."""
    for stem, text in labels.items():
        picture = folder / "images" / f"{stem.replace('__', '/')}.jpg"
        picture.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(picture), np.zeros((30, 40, 3), np.uint8))
        label = folder / "labels" / f"{stem.replace('__', '/')}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(text)
    if yaml_text is not None:
        (folder / "data.yaml").write_text(yaml_text, "utf-8")
    return folder


def dota_of(folder: Path, **labels: str) -> Path:
    for stem, text in labels.items():
        for name in ("images", "labelTxt"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "images" / f"{stem}.png"), np.zeros((30, 40, 3), np.uint8))
        (folder / "labelTxt" / f"{stem}.txt").write_text(text)
    return folder
