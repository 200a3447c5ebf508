"""What the scripts of all peers share, so that they differ in their library alone: reading, workers, codec, shards.

It is what a good script of today does. torch's DataLoader keeps one process a core busy; a worker decodes, augments and
encodes, so that only bytes go back to the main process, several samples at a time; that writes them with webdataset's
ShardWriter. Pictures are decoded and encoded by OpenCV, at augpipe's quality and subsampling. A picture is decoded once
a copy, as a dataset of (picture, copy) does, or with ``--cached`` once for all its copies.

The recipe is augpipe's own file. A peer answers each of its operations with the closest that its library has.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from xml.etree import ElementTree

import cv2
import numpy as np
import yaml

CANNOT = 3
"""Exit code of a peer that has no such operation; why is the last line on stderr."""

JPEG = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
AT_A_TIME = 16  # samples that a worker hands over together
GROUPS = ("one_of",)


class Cannot(Exception):
    """The library has nothing like it."""


@dataclass(frozen=True)
class Operation:
    """A line of a recipe. Ranges are [low, high] already; ``children`` are those of a group."""

    name: str
    p: float = 1.0
    weight: float = 1.0
    parameters: dict[str, Any] = field(default_factory=dict)
    children: tuple[Operation, ...] = ()

    def span(self, name: str, unchanged: float = 0.0) -> tuple[float, float]:
        """A change about zero: s is [-s, s]; around 1 where ``unchanged`` is 1 and a number was given."""
        value = self.parameters.get(name, [unchanged, unchanged])
        if isinstance(value, list):
            return float(value[0]), float(value[1])
        return unchanged - float(value), unchanged + float(value)

    def shares(self) -> list[tuple[Operation, float]]:
        """The children of a group with the probability of each."""
        total = sum(child.weight for child in self.children)
        return [(child, self.p * child.weight / total) for child in self.children]


def recipe_of(path: Path) -> list[Operation]:
    """The steps of augpipe's recipe."""
    return [operation(step) for step in yaml.safe_load(path.read_text("utf-8"))["steps"]]


def operation(step: dict[str, Any]) -> Operation:
    """A step of the recipe, {name: parameters}."""
    name = next(iter(step))
    if name in GROUPS:
        return Operation(name, float(step.get("p", 1.0)), children=tuple(map(operation, step[name])))
    parameters = dict(step[name] or {})
    chance, weight = float(parameters.pop("p", 1.0)), float(parameters.pop("weight", 1.0))
    return Operation(name, chance, weight, parameters)


@dataclass(frozen=True)
class Labels:
    """Of one picture: boxes (N, 4) as x0, y0, x1, y1; category numbers (N,); masks (N, H, W) of 0 and 1, if any."""

    boxes_xyxy: np.ndarray
    categories: np.ndarray
    masks: np.ndarray | None = None

    def kept(self, which: Sequence[int] | np.ndarray) -> Labels:
        """Those objects alone."""
        masks = None if self.masks is None else self.masks[which]
        return replace(self, boxes_xyxy=self.boxes_xyxy[which], categories=self.categories[which], masks=masks)


@dataclass(frozen=True)
class Item:
    """A picture of the dataset; ``shapes`` are COCO's segmentations."""

    path: Path
    boxes_xyxy: list[list[float]]
    categories: list[int]
    shapes: list[Any] | None = None


class Augmenter(Protocol):
    """A recipe in a library. Pictures are (H, W, 3) in red, green, blue."""

    def seed(self, number: int) -> None:
        """Begin a row of random numbers; called in each worker."""

    def copies(self, picture: np.ndarray, labels: Labels, count: int) -> list[tuple[np.ndarray, Labels]]:
        """So many augmented copies."""
        ...


# --- reading ---------------------------------------------------------------------------------------------------------


def read_source(root: Path) -> tuple[list[Item], list[str]]:
    """The pictures of a Pascal VOC root or a COCO folder, and the names of the categories."""
    return _read_voc(root) if (root / "Annotations").is_dir() else _read_coco(root)


def _read_voc(root: Path) -> tuple[list[Item], list[str]]:
    names: list[str] = []
    items = []
    for path in sorted((root / "Annotations").glob("*.xml")):
        tree = ElementTree.parse(path).getroot()
        boxes, categories = [], []
        for thing in tree.iter("object"):
            name, box = thing.findtext("name", ""), thing.find("bndbox")
            assert box is not None
            if name not in names:
                names.append(name)
            x0, y0, x1, y1 = (float(box.findtext(side, "0")) for side in ("xmin", "ymin", "xmax", "ymax"))
            boxes.append([x0 - 1, y0 - 1, x1, y1])
            categories.append(names.index(name))
        items.append(Item(root / "JPEGImages" / f"{path.stem}.jpg", boxes, categories))
    return items, names


def _read_coco(root: Path) -> tuple[list[Item], list[str]]:
    document = json.loads((root / "annotations" / "instances.json").read_text("utf-8"))
    ids = [category["id"] for category in document["categories"]]
    items = {row["id"]: Item(root / "images" / row["file_name"], [], [], []) for row in document["images"]}
    for row in document["annotations"]:
        item, (x, y, w, h) = items[row["image_id"]], row["bbox"]
        item.boxes_xyxy.append([x, y, x + w, y + h])
        item.categories.append(ids.index(row["category_id"]))
        assert item.shapes is not None
        item.shapes.append(row["segmentation"])
    return list(items.values()), [category["name"] for category in document["categories"]]


def labels_of(item: Item, size_wh: tuple[int, int]) -> Labels:
    """The labels as arrays; every shape as a mask, which is what all of the libraries can move."""
    boxes = np.array(item.boxes_xyxy, np.float32).reshape(-1, 4)
    masks = None if item.shapes is None else _masks(item.shapes, size_wh)
    return Labels(boxes, np.array(item.categories, np.int64), masks)


def _masks(shapes: list[Any], size_wh: tuple[int, int]) -> np.ndarray:
    from pycocotools import mask

    out = np.zeros((len(shapes), size_wh[1], size_wh[0]), np.uint8)
    for i, shape in enumerate(shapes):
        code = shape if isinstance(shape, dict) else mask.merge(mask.frPyObjects(shape, size_wh[1], size_wh[0]))
        out[i] = mask.decode(code)
    return out


# --- a sample --------------------------------------------------------------------------------------------------------


def decoded(path: Path) -> np.ndarray:
    """Red, green, blue, without a turn through blue, green, red."""
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return picture


def sample(item: Item, copy: int, picture: np.ndarray, labels: Labels, names: list[str]) -> dict[str, Any]:
    """A sample of the shard: the picture and its labels as bytes."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), JPEG)
    assert done
    objects: list[dict[str, Any]] = [
        {"category": names[category], "box_xyxy": box}
        for box, category in zip(
            np.round(labels.boxes_xyxy.astype(np.float64), 3).tolist(), labels.categories.tolist(), strict=True
        )
    ]
    if labels.masks is not None and objects:
        from pycocotools import mask

        stack = np.asfortranarray(labels.masks.transpose(1, 2, 0))
        for thing, code in zip(objects, mask.encode(stack), strict=True):
            thing["segmentation"] = {"size": code["size"], "counts": code["counts"].decode()}
    record = {
        "width": picture.shape[1], "height": picture.shape[0], "objects": objects, "source": item.path.name,
    }  # fmt: skip
    return {
        "__key__": f"{item.path.stem}-c{copy:03d}",
        "jpg": data.tobytes(),
        "json": json.dumps(record).encode(),
    }


class Samples:
    """A dataset for torch's DataLoader: an index is a copy of a picture, or a picture with all its copies."""

    def __init__(self, source: Path, augmenter: Augmenter, copies: int, cached: bool) -> None:
        self._items, self._names = read_source(source)
        self._augmenter, self._copies, self._cached = augmenter, copies, cached

    def __len__(self) -> int:
        return len(self._items) * (1 if self._cached else self._copies)

    def __getitem__(self, index: int) -> list[dict[str, Any]]:
        place, first = (index, 0) if self._cached else divmod(index, self._copies)
        item = self._items[place]
        picture = decoded(item.path)
        labels = labels_of(item, (picture.shape[1], picture.shape[0]))
        made = self._augmenter.copies(picture, labels, self._copies if self._cached else 1)
        return [sample(item, first + i, *result, self._names) for i, result in enumerate(made)]


def together(batch: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The samples of several indexes."""
    return [one for many in batch for one in many]


# --- the program -----------------------------------------------------------------------------------------------------


def arguments(description: str | None) -> argparse.Namespace:
    """What every peer is called with."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a Pascal VOC root or a COCO folder")
    parser.add_argument("out", type=Path, help="folder for the shards")
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cached", action="store_true", help="decode once for all copies")
    return parser.parse_args()


def loaded(options: argparse.Namespace, augmenter: Augmenter, cached: bool) -> Iterator[dict[str, Any]]:
    """The samples, made by the DataLoader's workers."""
    import torch
    from torch.utils.data import DataLoader

    def begin(worker: int) -> None:
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        augmenter.seed(7 + worker)

    samples: Any = Samples(options.source, augmenter, options.copies, cached)
    size = max(1, AT_A_TIME // options.copies) if cached else AT_A_TIME
    loader: Any = DataLoader(
        samples, batch_size=size, num_workers=options.workers, collate_fn=together, worker_init_fn=begin
    )
    for batch in loader:
        yield from batch


def write(samples: Iterator[dict[str, Any]], out: Path) -> dict[str, int]:
    """Into shards of a thousand."""
    import webdataset

    out.mkdir(parents=True)
    count = size = 0
    with webdataset.ShardWriter(str(out / "all-%06d.tar"), maxcount=1000, verbose=0) as writer:
        for one in samples:
            writer.write(one)
            count, size = count + 1, size + len(one["jpg"])
    return {"samples": count, "bytes": size}


def main(description: str | None, build: Callable[[list[Operation]], Augmenter], batched: bool = False) -> None:
    """Run a peer: all copies of the recipe into shards, and what was made as JSON on stdout.

    Args:
        description: of the program.
        build: the recipe in the peer's library.
        batched: the library works on all copies of a picture together, and so decodes it once.
    """
    options = arguments(description)
    augmenter = built(build, options.recipe)
    made = write(loaded(options, augmenter, options.cached or batched), options.out)
    print(json.dumps(made))


def built(build: Callable[[list[Operation]], Any], recipe: Path) -> Any:
    """The recipe in the peer's library; ends the program where there is no such thing."""
    try:
        return build(recipe_of(recipe))
    except Cannot as error:
        print(error, file=sys.stderr)
        sys.exit(CANNOT)
