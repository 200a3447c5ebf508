"""The rasters of a sample: the picture as it is coded, and masks whose every value means something."""

import io
import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from checker.context import Context
from checker.values import (
    AMOUNT,
    FLAG,
    INT,
    POSITIVE,
    Field,
    as_dict,
    as_list,
    fields,
    is_int,
    is_numbers,
    optional,
    rounded,
    short,
)

GRAY, RGB, PALETTE = 0, 2, 3
COLORS = {0: "gray", 2: "RGB", 3: "palette", 4: "gray with alpha", 6: "RGB with alpha"}
SAMPLINGS = {"4:2:0": (2, 2), "4:2:2": (2, 1), "4:4:4": (1, 1), "4:4:0": (1, 2), "4:1:1": (4, 1)}
SEGMENT = {
    "id": POSITIVE,
    "category_id": optional(INT),
    "area": optional(AMOUNT),
    "iscrowd": optional(FLAG),
    "bbox": optional(Field(lambda v: is_numbers(v) and len(v) == 4, "[x, y, width, height]")),
}
Pixels = np.ndarray[Any, Any]


def decode(data: bytes, where: str) -> tuple[Image.Image | None, list[str]]:
    """Return the picture, decoded to its last row, or None and why not."""
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except Exception as error:  # a decoder may raise anything; a checker reports and goes on
        return None, [f"{where}: cannot be decoded: {type(error).__name__}: {error}"]
    return image, []


def check_size(image: Image.Image, record: Mapping[str, Any], where: str) -> Iterator[str]:
    """Report a raster that has not the size in the record."""
    if image.size != (record.get("width"), record.get("height")):
        yield f"{where}: size {image.size} is not the record's {record.get('width')} x {record.get('height')}"


def check_picture(ext: str, data: bytes, record: Mapping[str, Any], context: Context, where: str) -> Iterator[str]:
    """Hold the photograph of a sample against the row `jpg` / `png` of the page."""
    wanted = str(context.picture.get("format", ext)).lower().replace("jpeg", "jpg")
    if wanted != ext:
        yield f"{where}: EXT {ext} where config.picture.format is {wanted}"
    image, problems = decode(data, where)
    yield from problems
    if image is None:
        return
    if image.format != {"jpg": "JPEG", "png": "PNG"}[ext]:
        yield f"{where}: holds {image.format}, not {ext}"
        return
    yield from check_size(image, record, where)
    if "exif" in image.info or "Raw profile type exif" in image.info:
        yield f"{where}: has EXIF"
    if "icc_profile" in image.info:
        yield f"{where}: has an ICC profile"
    yield from check_jpeg(image, data, context, where) if ext == "jpg" else check_png(data, (GRAY, RGB), (8,), where)


def check_jpeg(image: Image.Image, data: bytes, context: Context, where: str) -> Iterator[str]:
    """Report a JPEG with another mode, quality, subsampling or process than the manifest's."""
    marker, precision, components = frame_header(data)
    if precision != 8 or image.mode not in ("L", "RGB"):
        yield f"{where}: {precision}-bit {image.mode}, not 8-bit RGB or gray"
        return
    if marker != 0xC0 and not context.picture.get("progressive"):
        yield f"{where}: JPEG process SOF{marker - 0xC0} is not baseline"
    quality = context.picture.get("quality")
    quality = quality if is_int(quality) and 1 <= quality <= 100 else 90
    expected = standard_tables(quality)
    found: dict[int, list[int]] = getattr(image, "quantization", {})
    if any(list(table) not in expected for table in found.values()):
        yield f"{where}: quantisation tables are not those of quality {quality}"
    text = str(context.picture.get("subsampling") or "4:2:0")
    name = text if ":" in text else ":".join(text)
    if len(components) == 3 and name in SAMPLINGS and components != [SAMPLINGS[name], (1, 1), (1, 1)]:
        yield f"{where}: subsampling {components} is not {name}"


@lru_cache
def standard_tables(quality: int) -> list[list[int]]:
    """Return the two tables that libjpeg's quality stands for, in the order in which Pillow gives tables."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        return [list(table) for table in getattr(image, "quantization", {}).values()]


def frame_header(data: bytes) -> tuple[int, int, list[tuple[int, int]]]:
    """Return (marker, bits, [(horizontal, vertical) sampling]) from the first frame header of a JPEG."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        length = struct.unpack(">H", data[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            rows = data[at + 10 : at + 2 + length]
            return marker, data[at + 4], [(rows[i + 1] >> 4, rows[i + 1] & 15) for i in range(0, len(rows) - 2, 3)]
        at += 2 + length
    return 0, 0, []


def check_png(data: bytes, colors: tuple[int, ...], depths: tuple[int, ...], where: str) -> Iterator[str]:
    """Report a PNG of another colour type or depth, read from its own header and not from a decoder's mode."""
    depth, color = data[24], data[25]
    if color not in colors:
        yield f"{where}: a {COLORS.get(color, color)} PNG, not {' or '.join(COLORS[c] for c in colors)}"
    if depth not in depths:
        yield f"{where}: {depth} bits, not {' or '.join(map(str, depths))}"


def read_mask(data: bytes, color: int, record: Mapping[str, Any], where: str) -> tuple[Pixels | None, list[str]]:
    """Return the values of a mask if it is a PNG of the right kind, and what is wrong with it."""
    image, problems = decode(data, where)
    if image is None:
        return None, problems
    if image.format != "PNG":
        return None, [f"{where}: holds {image.format}, not PNG"]
    problems = list(check_png(data, (color,), (8, 16) if color == GRAY else (8,), where))
    if problems:
        return None, problems
    return np.asarray(image), list(check_size(image, record, where))


def strangers(values: Pixels, allowed: set[int], where: str) -> Iterator[str]:
    """Report values that nothing stands for."""
    unknown = sorted(set(np.unique(values).tolist()) - allowed)
    if unknown:
        yield f"{where}: values {short(unknown)} stand for nothing in the record or the manifest"


def check_semantic(data: bytes, record: Mapping[str, Any], context: Context, where: str) -> Iterator[str]:
    """Hold a map of category ids against the manifest's categories and void."""
    values, problems = read_mask(data, GRAY, record, where)
    yield from problems
    if values is None:
        return
    # Either: 16 bits because this map holds a value > 255, or because the categories can ask for one.
    if values.dtype != np.uint8 and max([int(values.max()), context.void, *context.categories]) <= 255:
        yield f"{where}: 16 bits without a value > 255"
    # Either: without any category the values cannot be known, and all are accepted.
    if context.categories:
        yield from strangers(values, {0, context.void, *context.categories}, where)


def check_instance(data: bytes, record: Mapping[str, Any], where: str) -> tuple[Pixels | None, list[str]]:
    """Return the map of instances, and what in it is neither none, nor void, nor an object's `instance`."""
    values, problems = read_mask(data, GRAY, record, where)
    if values is None:
        return None, problems
    void = 255 if values.dtype == np.uint8 else 65535
    used = [o["instance"] for o in map(as_dict, as_list(record.get("objects"))) if is_int(o.get("instance"))]
    problems += strangers(values, {0, void, *used}, where)
    problems += [f"{where}: objects[].instance {n} is not in 1..{void - 1}" for n in used if not 0 < n < void]
    if len(used) != len(set(used)):
        problems.append(f"{where}: two objects have one instance")
    return values, problems


def check_panoptic(data: bytes, record: Mapping[str, Any], where: str) -> Iterator[str]:
    """Hold the segment ids of a panoptic map against segments_info."""
    segments = record.get("segments_info", [])
    if not isinstance(segments, list):
        yield f"{where}: segments_info is not a list"
        return
    problems = [p for n, s in enumerate(segments) for p in fields(s, SEGMENT, f"{where}: segments_info[{n}]")]
    yield from problems
    values, more = read_mask(data, RGB, record, where)
    yield from more
    if values is None or problems:
        return
    ids = values.astype(np.uint32) @ np.array([1, 256, 65536], np.uint32)
    names = [segment["id"] for segment in segments]
    if len(names) != len(set(names)):
        yield f"{where}: segments_info has an id twice"
    yield from strangers(ids, {0, *names}, where)
    for segment in segments:
        yield from check_segment(segment, ids, f"{where}: segments_info {segment['id']}")


def check_segment(segment: Mapping[str, Any], ids: Pixels, where: str) -> Iterator[str]:
    """Report the geometry of a segment that did not move with the map."""
    pixels = int((ids == segment["id"]).sum())
    if segment.get("area") is not None and abs(segment["area"] - pixels) > 0.5:
        yield f"{where}: area {segment['area']} is not its {pixels} pixels"
    if segment.get("bbox") is not None:
        x, y, width, height = segment["bbox"]
        yield from rounded(segment["bbox"], f"{where}.bbox")
        if not (0 <= x <= x + width <= ids.shape[1] + 0.001 and 0 <= y <= y + height <= ids.shape[0] + 0.001):
            yield f"{where}: bbox {segment['bbox']} leaves the picture"
