"""Datasets to measure with, made of photographs: Pascal VOC with boxes, COCO with polygons and masks, any size.

Noise would make JPEGs that nobody has, and flat pictures ones that cost nothing; so all are cut from photographs, those
of a folder or those that come with scikit-image. The labels are put at seeded places: what they are costs nothing, how
many there are does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

QUALITY = 92
NAMES = ("cell", "thing", "person")


def photographs(folder: Path | None, size_wh: tuple[int, int], count: int) -> Iterator[np.ndarray]:
    """``count`` pictures (H, W, 3) in blue, green, red: pieces of photographs at seeded places, brought to a size."""
    sources = _found(folder, count) if folder else _shipped()
    rng = np.random.default_rng(0)
    shape = size_wh[0] / size_wh[1]
    for i in range(count):
        picture = sources[i % len(sources)]
        h, w = picture.shape[:2]
        share = rng.uniform(0.6, 1.0)
        cut_h, cut_w = int(share * min(h, w / shape)), int(share * min(w, h * shape))
        y, x = rng.integers(0, h - cut_h + 1), rng.integers(0, w - cut_w + 1)
        shrinks = cut_w >= size_wh[0]
        piece = picture[y : y + cut_h, x : x + cut_w]
        yield cv2.resize(piece, size_wh, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _shipped() -> list[np.ndarray]:
    import skimage.data

    return [getattr(skimage.data, name)()[:, :, ::-1] for name in ("astronaut", "coffee", "chelsea", "rocket")]


def _found(folder: Path, count: int) -> list[np.ndarray]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    pictures = [cv2.imread(str(path)) for path in paths[:count]]
    if not pictures:
        raise SystemExit(f"{folder}: holds no JPEG")
    return pictures


def voc(folder: Path, photos: Path | None, size_wh: tuple[int, int], count: int, boxes: int = 8) -> Path:
    """A Pascal VOC root."""
    (folder / "Annotations").mkdir(parents=True)
    (folder / "JPEGImages").mkdir()
    (width, height), rng = size_wh, np.random.default_rng(1)
    for i, picture in enumerate(photographs(photos, size_wh, count)):
        stem = f"{i:05d}"
        _write(folder / "JPEGImages" / f"{stem}.jpg", picture)
        objects = "".join(
            f"<object><name>{NAMES[k % 3]}</name><bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin>"
            f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
            for k, (x0, y0, x1, y1) in enumerate(_boxes(rng, size_wh, boxes))
        )
        size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        text = f"<annotation><filename>{stem}.jpg</filename>{size}{objects}</annotation>"
        (folder / "Annotations" / f"{stem}.xml").write_text(text)
    return folder


def coco(folder: Path, photos: Path | None, size_wh: tuple[int, int], count: int, objects: int = 6) -> Path:
    """A COCO folder: half of the objects are polygons of 24 corners, half are masks."""
    (folder / "annotations").mkdir(parents=True)
    (folder / "images").mkdir()
    (width, height), rng = size_wh, np.random.default_rng(2)
    images, rows = [], []
    for i, picture in enumerate(photographs(photos, size_wh, count)):
        name = f"{i:05d}.jpg"
        _write(folder / "images" / name, picture)
        images.append({"id": i + 1, "file_name": name, "width": width, "height": height})
        for k, box in enumerate(_boxes(rng, size_wh, objects)):
            ring = _blob(rng, box)
            x0, y0 = ring.min(axis=0)
            x1, y1 = ring.max(axis=0)
            area = 0.5 * abs(np.dot(ring[:, 0], np.roll(ring[:, 1], 1)) - np.dot(ring[:, 1], np.roll(ring[:, 0], 1)))
            rows.append({
                "id": len(rows) + 1, "image_id": i + 1, "category_id": 1 + k % 3, "iscrowd": 0,
                "area": round(float(area), 2), "bbox": [round(float(v), 2) for v in (x0, y0, x1 - x0, y1 - y0)],
                "segmentation": [np.round(ring, 2).ravel().tolist()] if k % 2 == 0 else _mask(ring, size_wh),
            })  # fmt: skip
    categories = [{"id": k + 1, "name": name} for k, name in enumerate(NAMES)]
    document = {"images": images, "annotations": rows, "categories": categories}
    (folder / "annotations" / "instances.json").write_text(json.dumps(document))
    return folder


def _write(path: Path, picture: np.ndarray) -> None:
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    if not cv2.imwrite(str(path), picture, options):
        raise SystemExit(f"{path}: cannot be written")


def _boxes(rng: np.random.Generator, size_wh: tuple[int, int], count: int) -> Iterator[tuple[int, int, int, int]]:
    """Whole boxes (x0, y0, x1, y1) of 8 to 30 % of the sides."""
    width, height = size_wh
    for _ in range(count):
        w, h = int(rng.uniform(0.08, 0.3) * width), int(rng.uniform(0.08, 0.3) * height)
        x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
        yield x, y, x + w, y + h


def _blob(rng: np.random.Generator, box: tuple[int, int, int, int], corners: int = 24) -> np.ndarray:
    """A wavy ring (corners, 2) inside a box."""
    x0, y0, x1, y1 = box
    angles = np.arange(corners) * 2 * np.pi / corners
    radius = rng.uniform(0.7, 1.0, corners)
    xs = (x0 + x1) / 2 + radius * np.cos(angles) * (x1 - x0) / 2
    ys = (y0 + y1) / 2 + radius * np.sin(angles) * (y1 - y0) / 2
    return np.stack([xs, ys], axis=1)


def _mask(ring: np.ndarray, size_wh: tuple[int, int]) -> dict[str, object]:
    from pycocotools import mask

    code = mask.frPyObjects([ring.ravel().tolist()], size_wh[1], size_wh[0])[0]
    return {"size": [size_wh[1], size_wh[0]], "counts": code["counts"].decode()}
