"""One object of KEY.json: its fields, and that box, area, segmentation, keypoints and obb agree with each other."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from pycocotools import mask as coco

from checker.context import Context
from checker.pictures import Pixels
from checker.values import (
    AMOUNT,
    FLAG,
    INT,
    LIST,
    NATURAL,
    OBJECT,
    POSITIVE,
    STRING,
    TEXT,
    Field,
    among,
    as_list,
    fields,
    is_int,
    is_number,
    is_numbers,
    optional,
    rounded,
    short,
)

ROUNDING = 0.002  # a corner of a box and one of a polygon, each rounded to 3 decimals
Box = tuple[float, float, float, float]
Ring = list[float]


def is_ring(value: Any) -> bool:
    """Tell whether this is [x, y, x, y, x, y, …]."""
    return is_numbers(value) and len(value) >= 6 and len(value) % 2 == 0


def is_segmentation(value: Any) -> bool:
    """Tell whether this has the shape of a list of rings or of a compressed RLE."""
    if isinstance(value, dict):
        size, counts = value.get("size"), value.get("counts")
        return isinstance(size, list) and len(size) == 2 and all(map(is_int, size)) and isinstance(counts, str)
    return isinstance(value, list) and bool(value) and all(map(is_ring, value))


def points(obb: Any) -> list[tuple[float, float]] | None:
    """Return the four corners, or None."""
    # Either: `[[x, y]*4]` is four pairs, or (as Python multiplies lists) one list of eight numbers.
    if isinstance(obb, list) and len(obb) == 1 and is_numbers(obb[0]) and len(obb[0]) == 8:
        return list(zip(obb[0][::2], obb[0][1::2], strict=True))
    if isinstance(obb, list) and len(obb) == 4 and all(is_numbers(p) and len(p) == 2 for p in obb):
        return [(p[0], p[1]) for p in obb]
    return None


FROM = ("mask", "polygon", "obb", "ellipse", "corners", "source")
OBJECT_FIELDS = {
    "index": NATURAL,
    "id": optional(Field(lambda v: is_number(v) or isinstance(v, str), "a number or a text")),
    "category": TEXT,
    "category_id": INT,
    "label": POSITIVE,
    "box_xyxy": Field(lambda v: is_numbers(v) and len(v) == 4, "[x0, y0, x1, y1]"),
    "box_from": among(*FROM),
    "area": AMOUNT,
    # Either: 0 where the format knows no crowds, or absent, since absent = not known.
    "iscrowd": optional(FLAG),
    "visible": Field(lambda v: is_number(v) and 0 <= v <= 1, "a number in 0..1"),
    "segmentation": optional(Field(is_segmentation, "a list of rings of 3 points or more, or a compressed RLE")),
    "keypoints": optional(Field(lambda v: is_numbers(v) and len(v) > 0 and len(v) % 3 == 0, "a flat list [x, y, v]*K")),
    "num_keypoints": optional(NATURAL),
    "obb": optional(Field(lambda v: points(v) is not None, "four corners")),
    "instance": optional(POSITIVE),
    "truncated": optional(FLAG),
    "difficult": optional(FLAG),
    "occluded": optional(FLAG),
    "pose": optional(STRING),
    "parts": optional(LIST),
    "attributes": optional(OBJECT),
}
UNKNOWN_CATEGORY = {name: optional(OBJECT_FIELDS[name]) for name in ("category", "category_id", "label")}


def check_object(
    thing: Any, size: tuple[int, int], context: Context, instances: Pixels | None, where: str
) -> Iterator[str]:
    """Report everything wrong with one object of a picture of this (width, height)."""
    # Either: in a data set without categories the three fields of the category are absent together, as not known.
    table = OBJECT_FIELDS if context.categories else {**OBJECT_FIELDS, **UNKNOWN_CATEGORY}
    problems = list(fields(thing, table, where))
    yield from problems
    if problems:
        return
    yield from check_category(thing, context, where)
    yield from check_box(thing["box_xyxy"], size, f"{where}.box_xyxy")
    segmentation = list(check_segmentation(thing, size, f"{where}.segmentation"))
    yield from segmentation
    yield from check_keypoints(thing, size, context, f"{where}.keypoints")
    yield from check_obb(thing, f"{where}.obb")
    if thing.get("instance") is not None and instances is None:
        yield f"{where}.instance: there is no instance.png"
    if not segmentation:
        mine = None if instances is None or thing.get("instance") is None else instances == thing["instance"]
        yield from check_area(thing, size, mine, f"{where}.area")
        yield from check_box_from(thing, size, mine, f"{where}.box_from")


def check_category(thing: Mapping[str, Any], context: Context, where: str) -> Iterator[str]:
    """Report a category that the manifest numbers or names in another way."""
    if not context.categories:
        return
    category = context.categories.get(thing["category_id"])
    if category is None:
        yield f"{where}.category_id: {thing['category_id']} is not in config.categories"
        return
    if thing["label"] != category.get("label"):
        yield f"{where}.label: {thing['label']} is not the manifest's {category.get('label')}"
    if thing["category"] != category.get("name"):
        yield f"{where}.category: {thing['category']!r} is not the manifest's {category.get('name')!r}"


def check_box(box: list[float], size: tuple[int, int], where: str) -> Iterator[str]:
    """Report a box that is empty, outside or not rounded."""
    x0, y0, x1, y1 = box
    if not (x1 > x0 and y1 > y0):
        yield f"{where}: {box} is empty"
    if not (x0 >= 0 and y0 >= 0 and x1 <= size[0] and y1 <= size[1]):
        yield f"{where}: {box} is not inside the picture of {size[0]} x {size[1]}"
    yield from rounded(box, where)


def check_segmentation(thing: Mapping[str, Any], size: tuple[int, int], where: str) -> Iterator[str]:
    """Report rings outside the picture, and an RLE that does not fill it exactly."""
    shape = thing.get("segmentation")
    if isinstance(shape, dict):
        height, width = shape["size"]
        if (width, height) != size:
            yield f"{where}: RLE size {shape['size']} is not [{size[1]}, {size[0]}]"
            return
        try:
            total = sum(run_lengths(shape["counts"]))
        except ValueError as error:
            yield f"{where}: RLE {error}"
            return
        if total != width * height:
            yield f"{where}: RLE runs over {total} pixels, not {width * height}"
        elif int(coco.area(shape)) != int(raster(shape, size).sum()):
            yield f"{where}: RLE is read in another way by pycocotools"
        return
    for ring in as_list(shape):
        yield from rounded(ring, where)
        # Only an obb may leave the picture, the page says.
        if min(ring) < 0 or max(ring[::2]) > size[0] or max(ring[1::2]) > size[1]:
            yield f"{where}: ring {short(ring)} leaves the picture of {size[0]} x {size[1]}"


def run_lengths(counts: str) -> list[int]:
    """Return the runs of a compressed RLE: five bits a character, the third and later less the run two before."""
    runs: list[int] = []
    value = bits = 0
    for character in counts:
        digit = ord(character) - 48
        if not 0 <= digit < 64:
            raise ValueError(f"character {character!r} is none of the 64")
        value |= (digit & 31) << bits
        bits += 5
        if not digit & 32:
            value -= (1 << bits) if digit & 16 else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = bits = 0
            if runs[-1] < 0:
                raise ValueError(f"run {len(runs)} is negative")
    if bits:
        raise ValueError("ends in the middle of a run")
    return runs


def raster(shape: Any, size: tuple[int, int]) -> Pixels:
    """Return the mask of a segmentation: of rings, what COCO's own tool makes of them."""
    # Its `decode` reads beyond runs that end early, and warns with NumPy 2: the runs are laid out here.
    rle = shape if isinstance(shape, dict) else coco.merge(coco.frPyObjects(shape, size[1], size[0]))
    runs = run_lengths(rle["counts"] if isinstance(rle["counts"], str) else rle["counts"].decode())
    return np.asarray(np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size).T)


def shoelace(xs: list[float], ys: list[float]) -> float:
    """Return the area within a ring; positive when it runs clockwise on the screen."""
    x, y = np.asarray(xs, float), np.asarray(ys, float)
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def columns(corners: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Return the x and the y of points."""
    return [x for x, _ in corners], [y for _, y in corners]


def cut(corners: list[tuple[float, float]], size: tuple[int, int]) -> list[tuple[float, float]]:
    """Return a convex shape without what lies beyond the picture, cut at one side after the other."""
    for axis, sign, limit in [(0, 1, 0), (1, 1, 0), (0, -1, -size[0]), (1, -1, -size[1])]:
        kept: list[tuple[float, float]] = []
        for here, there in zip(corners, corners[1:] + corners[:1], strict=True):
            near, far = sign * here[axis] - limit, sign * there[axis] - limit
            if near >= 0:
                kept.append(here)
            if near * far < 0:
                share = near / (near - far)
                kept.append((here[0] + share * (there[0] - here[0]), here[1] + share * (there[1] - here[1])))
        corners = kept
    return corners


def areas(thing: Mapping[str, Any], size: tuple[int, int], mine: Pixels | None) -> list[tuple[float, float]]:
    """Return the ranges in which the area may lie, by the best geometry that is written."""
    shape = thing.get("segmentation")
    # Either: "the mask" is the RLE, or the object's pixels in instance.png.
    masks = [int(mine.sum())] if mine is not None else []
    masks += [int(raster(shape, size).sum())] if isinstance(shape, dict) else []
    ranges = [(n - 0.5, n + 0.5) for n in masks]
    if isinstance(shape, list):
        # Either: the polygon's area in the plane, or the pixels it covers, or for rings that overlap one between.
        exact = sum(abs(shoelace(ring[::2], ring[1::2])) for ring in shape)
        covered = int(raster(shape, size).sum())
        slack = 0.5 + 0.01 * exact
        ranges.append((min(exact, covered) - slack, max(exact, covered) + slack))
    if not ranges:
        x0, y0, x1, y1 = thing["box_xyxy"]
        sizes = [(x1 - x0) * (y1 - y0)]
        corners = points(thing.get("obb"))
        if corners:
            # Either: "the box" of an object that has an obb is the upright one, or the obb, whole or cut at the frame.
            sizes += [abs(shoelace(*columns(corners))), abs(shoelace(*columns(cut(corners, size))))]
        ranges += [(0.99 * n - 0.5, 1.01 * n + 0.5) for n in sizes]
    return ranges


def check_area(thing: Mapping[str, Any], size: tuple[int, int], mine: Pixels | None, where: str) -> Iterator[str]:
    """Report an area that is not the one of the mask, else of the polygon, else of the box."""
    ranges = areas(thing, size, mine)
    if not any(low <= thing["area"] <= high for low, high in ranges):
        text = " or ".join(f"{low:.1f}..{high:.1f}" for low, high in ranges)
        yield f"{where}: {thing['area']} does not agree with the geometry, which gives {text}"


def bounds(pixels: Pixels) -> Box | None:
    """Return the tight half-open box of a mask."""
    ys, xs = np.nonzero(pixels)
    return (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1) if len(xs) else None


def check_box_from(thing: Mapping[str, Any], size: tuple[int, int], mine: Pixels | None, where: str) -> Iterator[str]:
    """Report a box that is not the tight one of the geometry it is said to come from."""
    shape, box = thing.get("segmentation"), thing["box_xyxy"]
    found: list[Box | None] = []
    if thing["box_from"] in ("mask", "polygon") and shape is None and mine is None:
        yield f"{where}: {thing['box_from']}, which is not written"
    elif thing["box_from"] == "mask":
        # Either: "mask" is the RLE or the instance map; a mask that was written as rings cannot be compared.
        found = [bounds(mine)] if mine is not None else []
        found += [bounds(raster(shape, size))] if isinstance(shape, dict) else []
    elif thing["box_from"] == "polygon" and isinstance(shape, list):
        xs, ys = [x for ring in shape for x in ring[::2]], [y for ring in shape for y in ring[1::2]]
        found = [(min(xs), min(ys), max(xs), max(ys))]
    elif thing["box_from"] == "obb":
        yield from check_box_in_obb(thing, where)
    if found and not any(b is not None and np.allclose(b, box, rtol=0, atol=ROUNDING) for b in found):
        yield f"{where}: box {box} is not the {thing['box_from']}'s {found}"


def check_box_in_obb(thing: Mapping[str, Any], where: str) -> Iterator[str]:
    """Report a box that reaches beyond the obb it comes from."""
    corners = points(thing.get("obb"))
    if corners is None:
        yield f"{where}: obb, which is not written"
        return
    low, high = np.min(corners, 0) - ROUNDING, np.max(corners, 0) + ROUNDING
    x0, y0, x1, y1 = thing["box_xyxy"]
    if x0 < low[0] or y0 < low[1] or x1 > high[0] or y1 > high[1]:
        yield f"{where}: box {thing['box_xyxy']} reaches beyond the obb"


def check_keypoints(thing: Mapping[str, Any], size: tuple[int, int], context: Context, where: str) -> Iterator[str]:
    """Report keypoints of another number than the category's, out of the picture, or hidden with a place."""
    flat = thing.get("keypoints")
    if flat is None:
        if thing.get("num_keypoints"):
            yield f"{where}: missing, but num_keypoints is {thing['num_keypoints']}"
        return
    names = context.categories.get(thing.get("category_id", -1), {}).get("keypoints")
    if isinstance(names, list) and len(flat) != 3 * len(names):
        yield f"{where}: {len(flat)} numbers, not 3 for each of the category's {len(names)}"
    if thing.get("num_keypoints") != sum(v > 0 for v in flat[2::3]):
        yield f"{where}: num_keypoints {thing.get('num_keypoints')} is not how many have v > 0"
    for x, y, v in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        if not is_int(v) or v not in (0, 1, 2):
            yield f"{where}: v = {v} is not 0, 1 or 2"
        elif v == 0 and (x, y) != (0, 0):
            yield f"{where}: v=0 with x, y = {x}, {y}, not 0, 0"
        elif not (0 <= x <= size[0] and 0 <= y <= size[1]):
            yield f"{where}: {x}, {y} with v > 0 is outside the picture"
    yield from rounded(flat, where)


def check_obb(thing: Mapping[str, Any], where: str) -> Iterator[str]:
    """Report an oriented box that does not run clockwise on the screen."""
    corners = points(thing.get("obb"))
    if corners is None:
        return
    xs, ys = columns(corners)
    if shoelace(xs, ys) <= 0:
        yield f"{where}: {corners} is not clockwise on the screen"
    yield from rounded([*xs, *ys], where)
