"""Build a small Pascal VOC dataset out of real photographs, with nothing to download.

The pictures come from scikit-image's installed package, the labels from ``demo_annotations``: ten photographs with
boxes, flags and person layout, five of them with masks. The same versions of the libraries write the same bytes.

    python examples/demo_data.py FOLDER
"""

from __future__ import annotations

import argparse
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from demo_annotations import PHOTOS, Box, Photo, Thing
from numpy.typing import NDArray
from PIL import Image

CLASSES = tuple(sorted({thing.name for photo in PHOTOS for thing in photo.things}))  # the class index counts from 1
PARTS = {
    name: sorted({part for p in PHOTOS for t in p.things if t.name == name for part, _ in t.parts}) for name in CLASSES
}
VOID = 255
JPEG_QUALITY = 95


def build(folder: Path) -> Path:
    """Write the dataset into ``folder``, the root of a VOC tree, and return it."""
    for name in ("Annotations", "JPEGImages", "SegmentationClass", "SegmentationObject"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    pictures = photo_folder()
    for photo in PHOTOS:
        key = key_of(photo)
        size, depth = write_picture(pictures / photo.file, folder / "JPEGImages" / f"{key}.jpg")
        (folder / "Annotations" / f"{key}.xml").write_bytes(annotation_xml(photo, size, depth))
        if has_masks(photo):
            classes, instances = masks(photo.things, size)
            write_indexed(classes, folder / "SegmentationClass" / f"{key}.png")
            write_indexed(instances, folder / "SegmentationObject" / f"{key}.png")
    write_lists(folder / "ImageSets" / "Main", PHOTOS)
    write_lists(folder / "ImageSets" / "Segmentation", [photo for photo in PHOTOS if has_masks(photo)])
    (folder / "labelmap.txt").write_text(labelmap(), encoding="utf-8")
    (folder / "ATTRIBUTION.txt").write_text(attribution(), encoding="utf-8")
    return folder


def photo_folder() -> Path:
    """Where the installed scikit-image keeps its photographs."""
    package = find_spec("skimage")
    if package is None or package.origin is None:
        raise SystemExit("the demo's photographs are in scikit-image: pip install scikit-image")
    return Path(package.origin).parent / "data"


def key_of(photo: Photo) -> str:
    return Path(photo.file).stem


def has_masks(photo: Photo) -> bool:
    return any(thing.outline for thing in photo.things)


def write_picture(source: Path, target: Path) -> tuple[tuple[int, int], int]:
    """Put a photograph into the dataset and return its (width, height) and channels; a JPEG is copied as it is."""
    with Image.open(source) as picture:
        if picture.format == "JPEG":
            shutil.copyfile(source, target)
        else:
            picture.save(target, quality=JPEG_QUALITY)
        return picture.size, len(picture.getbands())


def annotation_xml(photo: Photo, size: tuple[int, int], depth: int) -> bytes:
    """The XML file of one photograph."""
    root = ET.Element("annotation")
    add_texts(root, folder="VOC", filename=f"{key_of(photo)}.jpg")
    add_texts(ET.SubElement(root, "source"), database="scikit-image", annotation="augpipe demo", image=photo.credit)
    add_texts(ET.SubElement(root, "size"), width=size[0], height=size[1], depth=depth)
    add_texts(root, segmented=int(has_masks(photo)))
    for thing in photo.things:
        node = ET.SubElement(root, "object")
        add_texts(node, name=thing.name, pose=thing.pose)
        add_texts(node, truncated=thing.truncated, occluded=thing.occluded, difficult=thing.difficult)
        add_box(node, thing.box)
        for name, box in thing.parts:
            part = ET.SubElement(node, "part")
            add_texts(part, name=name)
            add_box(part, box)
    ET.indent(root, "\t")
    return bytes(ET.tostring(root, encoding="utf-8")) + b"\n"


def add_texts(parent: ET.Element, **texts: object) -> None:
    for tag, text in texts.items():
        ET.SubElement(parent, tag).text = str(text)


def add_box(parent: ET.Element, box: Box) -> None:
    """Write a box as VOC counts it: the first pixel is 1 and the last one belongs to the box."""
    left, top, right, bottom = (side + 1 for side in box)
    add_texts(ET.SubElement(parent, "bndbox"), xmin=left, ymin=top, xmax=right, ymax=bottom)


def masks(things: Sequence[Thing], size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The class and the instance raster of a picture; each object hides what stands before it in the list.

    A band of three void pixels runs along every outline, one inside and two outside, as VOC leaves doubtful pixels out.
    """
    instances = np.zeros((size[1], size[0]), np.uint8)
    for number, thing in enumerate(things, start=1):
        shape = np.zeros_like(instances)
        for ring in rings(thing.outline):
            cv2.fillPoly(shape, [ring], 1)
        instances[cv2.dilate(shape, np.ones((5, 5), np.uint8)) > 0] = VOID
        instances[cv2.erode(shape, np.ones((3, 3), np.uint8)) > 0] = number
    class_of = np.zeros(256, np.uint8)
    class_of[1 : len(things) + 1] = [CLASSES.index(thing.name) + 1 for thing in things]
    class_of[VOID] = VOID
    return class_of[instances], instances


def rings(outline: str) -> list[NDArray[np.int32]]:
    """The polygons of ``"x,y x,y …; x,y …"`` as arrays (n, 2)."""
    return [
        np.array([[int(number) for number in corner.split(",")] for corner in ring.split()], np.int32)
        for ring in outline.split(";")
    ]


def write_indexed(raster: NDArray[np.uint8], target: Path) -> None:
    """Save a raster of indexes as a PNG with VOC's palette."""
    picture = Image.fromarray(raster)
    picture.putpalette([channel for index in range(256) for channel in voc_color(index)])
    picture.save(target)


def voc_color(index: int) -> tuple[int, int, int]:
    """VOC's colour of an index: its bits 0, 1, 2, 3, … go to red, green, blue, red, … from the highest bit down."""
    red, green, blue = (sum((index >> 3 * k + channel & 1) << 7 - k for k in range(3)) for channel in range(3))
    return red, green, blue


def labelmap() -> str:
    """One line ``name:r,g,b:parts:actions`` a class, in the order of the class indexes."""
    lines = []
    for index, name in enumerate(("background", *CLASSES)):
        red, green, blue = voc_color(index)
        lines.append(f"{name}:{red},{green},{blue}:{','.join(PARTS.get(name, ()))}:\n")
    return "".join(lines)


def write_lists(folder: Path, photos: Iterable[Photo]) -> None:
    """Write the keys of each split, one a line."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = {"train": ("train",), "val": ("val",), "trainval": ("train", "val")}
    chosen = sorted(photos, key=key_of)
    for name, members in splits.items():
        lines = [f"{key_of(photo)}\n" for photo in chosen if photo.split in members]
        (folder / f"{name}.txt").write_text("".join(lines), encoding="utf-8")


def attribution() -> str:
    """Whom the photographs are from, and on what terms."""
    head = "The photographs are sample images of scikit-image, which states their origin as follows.\n"
    entries = [f"\n{key_of(p)}.jpg: {p.title}\n  by: {p.credit}\n  rights: {p.rights}\n" for p in PHOTOS]
    return head + "".join(entries) + "\nThe annotations belong to augpipe and share its licence, Apache-2.0.\n"


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description="Build a small Pascal VOC dataset from scikit-image's photographs.")
    parser.add_argument("folder", type=Path, help="the root of the VOC tree; made if it is not there")
    root = build(parser.parse_args().folder)
    count = sum(len(photo.things) for photo in PHOTOS)
    print(f"{root}: {len(PHOTOS)} photographs, {count} objects, {len(CLASSES)} classes")


if __name__ == "__main__":
    main()
