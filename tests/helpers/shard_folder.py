"""Finished folders of shards, built as docs/format.md has them from nothing but tarfile, json and OpenCV."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

CATEGORIES = [{"id": 3, "label": 1, "name": "cat"}, {"id": 8, "label": 2, "name": "dog"}]
ALL_KINDS = {"boxes": 5, "segmentation": 2, "keypoints": 1, "semantic": 0, "instance": 1, "tags": 0, "captions": 0}
Members = dict[str, bytes]


def sample(
    number: int, pixels_bgr: np.ndarray | None = None, *, form: str = "png", **record: Any
) -> tuple[str, Members]:
    """Key and members of a sample; ``record`` adds to its JSON, and ``semantic`` and ``instance`` are rasters."""
    key = f"p{number:03d}-{hashlib.blake2b(str(number).encode()).hexdigest()[:10]}-c000"
    if pixels_bgr is None:
        pixels_bgr = np.full((11, 17, 3), number % 256, np.uint8)
    height, width = pixels_bgr.shape[:2]
    rasters = {f"{name}.png": png(record.pop(name)) for name in ("semantic", "instance") if name in record}
    source = {"key": f"p{number:03d}.jpg", "sha256": "0" * 64, "width": width, "height": height, "orientation": 1}
    document = {"schema": "augpipe/1", "key": key, "width": width, "height": height, "source": source, "copy": 0}
    document |= {"objects": [], "dropped": [], "plan": {"version": 1}, "unknown": [1]} | record
    return key, {form: png(pixels_bgr, form), "json": to_json(document), **rasters}


def thing(label: int, box_xyxy: Sequence[float], **more: Any) -> dict[str, Any]:
    """An object of a record."""
    x0, y0, x1, y1 = box_xyxy
    category = CATEGORIES[label - 1]
    return {
        "index": 0,
        "category": category["name"],
        "category_id": category["id"],
        "label": label,
        "box_xyxy": list(box_xyxy),
        "area": (x1 - x0) * (y1 - y0),
        "iscrowd": 0,
        **more,
    }


def write_folder(
    root: Path,
    samples: Sequence[tuple[str, Members]],
    *,
    shards: Sequence[int] | None = None,
    categories: Sequence[Mapping[str, Any]] = CATEGORIES,
    kinds: Mapping[str, int] | None = None,
    schema: str = "augpipe/1",
    void: int = 255,
) -> Path:
    """A finished folder; ``shards`` are the numbers of samples in each (0: a record without a tar)."""
    root.mkdir(parents=True)
    rest = list(samples)
    records = []
    for number, count in enumerate(shards or [len(samples)]):
        taken, rest = rest[:count], rest[count:]
        data = tar_of(taken) if taken else b""
        name = f"all-{number:06d}"
        if data:
            (root / f"{name}.tar").write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest() if data else None
        records.append({"name": name, "samples": count, "bytes": len(data), "sha256": sha256})
        (root / f"{name}.json").write_bytes(to_json({"schema": "augpipe-shard/1", **records[-1]}))
    assert not rest
    config = {"categories": list(categories), "void": {"semantic": void}, "seed": 0}
    totals = {"written": len(samples)} | ({} if kinds is None else {"label_kinds": kinds})
    (root / "run.json").write_bytes(to_json({"schema": "augpipe-run/1", "config": config}))
    (root / "rejects.jsonl").write_bytes(b"")
    manifest = {"schema": schema, "config": config, "shards": records, "totals": totals}
    (root / "manifest.json").write_bytes(to_json(manifest))
    return root


def numbered_folder(root: Path, shards: Sequence[int], first: int = 0) -> Path:
    """Samples whose image_id counts from ``first`` in the order written."""
    n = sum(shards)
    return write_folder(root, [sample(i, image_id=i) for i in range(first, first + n)], shards=shards)


def detection_folder(root: Path, kinds: Mapping[str, int] | None) -> Path:
    """A picture with two objects, one without any, a gray one; polygons, RLE, instance raster and keypoints."""
    bitmap = np.zeros((11, 17), np.uint8, order="F")
    bitmap[2:5, 3:9] = 1
    code = coco_mask.encode(bitmap)
    rle = {"size": [11, 17], "counts": code["counts"].decode()}
    instance = np.zeros((11, 17), np.uint8)
    instance[8:10, 1:3] = 7
    polygon = [[2.0, 3.0, 6.0, 3.0, 6.0, 8.0, 2.0, 8.0]]
    points = [1.0, 2.0, 2, 0, 0, 0]
    categories = [CATEGORIES[0], {**CATEGORIES[1], "keypoints": ["nose", "left_ear", "right_ear"]}]
    first = [
        thing(2, (3, 2, 9, 5), segmentation=rle, keypoints=points, iscrowd=1, area=18),
        thing(1, (1.5, 8, 3.25, 10), instance=7),
        thing(1, (2, 3, 6, 8), segmentation=polygon, area=20),
        {name: value for name, value in thing(1, (0, 0, 2, 1)).items() if name != "area"},
    ]
    return write_folder(
        root,
        [
            sample(0, objects=first, instance=instance, image_id=2**40),
            sample(1),
            sample(2, np.zeros((6, 9), np.uint8), objects=[thing(2, (1, 1, 2, 2))]),
        ],
        categories=categories,
        kinds=kinds,
    )


def tar_of(samples: Sequence[tuple[str, Members]]) -> bytes:
    """A ustar file that ends with two zero blocks."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for key, members in samples:
            for extension, data in members.items():
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        end = tar.offset + 1024
    return buffer.getvalue()[:end]


def png(pixels: np.ndarray, form: str = "png") -> bytes:
    """An encoded picture or raster."""
    done, data = cv2.imencode(f".{form}", pixels)
    assert done
    return data.tobytes()


def to_json(document: Any) -> bytes:
    """A document as the format writes it."""
    return json.dumps(document, sort_keys=True, allow_nan=False).encode()


def ids(samples: Iterable[tuple[Any, dict[str, Any]]]) -> list[int]:
    """The image_id of each of a loader's samples."""
    return [int(target["image_id"]) for _, target in samples]
