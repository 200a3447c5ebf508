"""A small COCO set of lossless pictures to be cut into tiles and crops, and short ways to read what came of it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from builders import coco, encoded, image, photo, row, write_json
from command_line import call
from PIL import Image
from runs import records

TILES = ("--size", 100, "--overlap", 20)
SIZES = {"a.png": (250, 180), "b.png": (60, 40), "c.png": (110, 100)}
BOXES = {  # x, y, width, height, as COCO has them
    "a.png": [(10, 10, 20, 20), (85, 70, 40, 20), (0, 0, 250, 180), (200, 150, 50, 30)],
    "b.png": [(5, 5, 30, 20)],
    "c.png": [],
}
CLASSES = [{"id": 3, "name": "ship"}, {"id": 9, "name": "plane"}]


def write_pictures(folder: Path) -> None:
    for seed, (name, size) in enumerate(SIZES.items()):
        (folder / name).write_bytes(encoded(photo(size, seed), "PNG"))


def made(folder: Path, boxes: dict[str, list[tuple[float, ...]]] = BOXES, **more: Any) -> Path:
    """A COCO set of lossless pictures; even objects are ships with a polygon, odd ones planes."""
    folder.mkdir()
    write_pictures(folder)
    rows = []
    for number, name in enumerate(SIZES, start=1):
        for x, y, w, h in boxes[name]:
            plane = len(rows) % 2 == 1
            ring = None if plane else [[x, y, x + w, y, x + w, y + h, x, y + h]]
            kind = {"category_id": 9 if plane else 3, "segmentation": ring, "color": "red"}
            rows.append(row(len(rows) + 1, number, bbox=[x, y, w, h], **kind))
    images = [image(i, name, size) for i, (name, size) in enumerate(SIZES.items(), start=1)]
    write_json(folder / "instances.json", coco(images, rows, CLASSES, **more))
    return folder


def succeeds(*arguments: object) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, (arguments, result.output)
    return result.stdout


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_bytes())


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def by_number(folder: Path, source: str) -> dict[int, dict[str, Any]]:
    return {r["copy"]: r for r in records(folder).values() if r["source"]["key"] == source}
