"""Small datasets, drawn here: pictures whose content follows from their labels, in every format that is read."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask

NAMES = ("cat", "dog", "zebra")
COLORS = ((60, 60, 230), (60, 200, 60), (230, 120, 40))


def ground(width: int, height: int, seed: int) -> np.ndarray:
    """A smooth, busy background of its own for each seed."""
    rng = np.random.default_rng(seed)
    small = rng.integers(60, 190, (max(2, height // 12), max(2, width // 12), 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def boxes_of(width: int, height: int, seed: int, count: int) -> list[tuple[int, int, int, int, int]]:
    """(class, x0, y0, x1, y1) of some objects inside the picture."""
    rng = np.random.default_rng(1000 + seed)
    out = []
    for _ in range(count):
        w, h = int(rng.integers(8, width // 3)), int(rng.integers(8, height // 3))
        x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
        out.append((int(rng.integers(0, len(NAMES))), x, y, x + w, y + h))
    return out


def picture(width: int, height: int, seed: int, count: int = 3) -> np.ndarray:
    """A picture with its objects painted as ellipses that fill their boxes."""
    image = ground(width, height, seed)
    for label, x0, y0, x1, y1 in boxes_of(width, height, seed, count):
        centre, axes = ((x0 + x1) / 2 - 0.5, (y0 + y1) / 2 - 0.5), (x1 - x0, y1 - y0)
        cv2.ellipse(image, (centre, axes, 0), COLORS[label], -1)
    return image


def size_of(i: int) -> tuple[int, int]:
    """Odd sizes, landscape and portrait."""
    return [(97, 75), (64, 101), (120, 80), (75, 75)][i % 4]


def voc_xml(stem: str, width: int, height: int, boxes: list[tuple[int, int, int, int, int]]) -> str:
    objects = "".join(
        f"<object><name>{NAMES[label]}</name><pose>Left</pose><truncated>0</truncated><difficult>{i % 2}</difficult>"
        f"<bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for i, (label, x0, y0, x1, y1) in enumerate(boxes)
    )
    return (
        f"<annotation><folder>x</folder><filename>{stem}.jpg</filename><size><width>{width}</width>"
        f"<height>{height}</height><depth>3</depth></size><segmented>0</segmented>{objects}</annotation>"
    )


def make_voc(folder: Path, count: int = 9, objects: int = 3, lists: tuple[str, str] = ("first", "second")) -> Path:
    """A Pascal VOC root with two ImageSets, which are no splits unless they are called as such."""
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    stems = []
    for i in range(count):
        width, height = size_of(i)
        stem = f"img_{i:03d}"
        stems.append(stem)
        cv2.imwrite(str(folder / "JPEGImages" / f"{stem}.jpg"), picture(width, height, i, objects))
        xml = voc_xml(stem, width, height, boxes_of(width, height, i, objects))
        (folder / "Annotations" / f"{stem}.xml").write_text(xml, "utf-8")
    (folder / "ImageSets" / "Main" / f"{lists[0]}.txt").write_text("\n".join(stems[: count // 2]) + "\n")
    (folder / "ImageSets" / "Main" / f"{lists[1]}.txt").write_text("\n".join(stems[count // 2 :]) + "\n")
    return folder


def ellipse_points(x0: int, y0: int, x1: int, y1: int, count: int = 24) -> list[float]:
    """A polygon on the ellipse that fills a box, flat."""
    angles = np.arange(count) * 2 * np.pi / count
    xs = (x0 + x1) / 2 + np.cos(angles) * (x1 - x0) / 2
    ys = (y0 + y1) / 2 + np.sin(angles) * (y1 - y0) / 2
    return [round(float(v), 2) for v in np.stack([xs, ys], axis=1).reshape(-1)]


def make_coco(folder: Path, count: int = 8) -> Path:
    """A COCO folder: polygons, RLE, a crowd and keypoints; captions in a file of their own."""
    (folder / "annotations").mkdir(parents=True)
    (folder / "images").mkdir()
    images, rows, captions = [], [], []
    for i in range(count):
        width, height = size_of(i)
        name = f"{i:06d}.jpg"
        cv2.imwrite(str(folder / "images" / name), picture(width, height, i))
        images.append({"id": 100 + i, "file_name": name, "width": width, "height": height, "license": 3})
        captions.append({"id": 5000 + i, "image_id": 100 + i, "caption": f"picture number {i}"})
        for k, (label, x0, y0, x1, y1) in enumerate(boxes_of(width, height, i, 3)):
            row = {
                "id": 10 * i + k + 1,
                "image_id": 100 + i,
                "category_id": (1, 3, 8)[label],
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": (x1 - x0) * (y1 - y0),
                "iscrowd": 0,
                "segmentation": [ellipse_points(x0, y0, x1, y1)],
                "score_of_annotator": 0.5 + k,
            }
            if k == 1:
                mask = np.zeros((height, width), np.uint8)
                mask[y0:y1, x0:x1] = 1
                code = coco_mask.encode(np.asfortranarray(mask))
                row["segmentation"] = {"size": [height, width], "counts": code["counts"].decode()}
                row["iscrowd"] = int(i % 3 == 0)
            if label == 0:
                cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
                row["keypoints"] = [cx, y0, 2, x0, cy, 2, x1, cy, 1, 0, 0, 0]
                row["num_keypoints"] = 3
            rows.append(row)
    pairs = [["nose", "left_ear", "right_ear", "tail"], [[1, 2], [1, 3]]]
    categories = [
        {"id": 1, "name": "cat", "supercategory": "animal", "keypoints": pairs[0], "skeleton": pairs[1]},
        {"id": 3, "name": "dog", "supercategory": "animal"},
        {"id": 8, "name": "zebra"},
    ]
    instances = {"images": images, "annotations": rows, "categories": categories}
    (folder / "annotations" / "instances.json").write_text(json.dumps(instances))
    (folder / "annotations" / "captions.json").write_text(json.dumps({"images": images, "annotations": captions}))
    return folder


def make_masks(folder: Path, count: int = 4) -> Path:
    """images/ and masks/ with the classes 1 and 2 and a void strip."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for i in range(count):
        width, height = size_of(i)
        cv2.imwrite(str(folder / "images" / f"m{i}.jpg"), picture(width, height, i))
        mask = np.zeros((height, width), np.uint8)
        mask[height // 4 : height // 2] = 1
        mask[:, width // 2 :][height // 2 :] = 2
        mask[:2] = 255
        cv2.imwrite(str(folder / "masks" / f"m{i}.png"), mask)
    return folder


def make_classes(folder: Path, count: int = 3) -> Path:
    """A folder a class."""
    for label, name in enumerate(NAMES):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            width, height = size_of(i)
            cv2.imwrite(str(folder / name / f"{i}.jpg"), picture(width, height, 10 * label + i))
    return folder
