"""The files of each format, written and read by json, xml.etree, PyYAML and split() alone, for trips there and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import yaml
from builders import encoded, photo
from PIL import Image
from pycocotools import mask as api
from trip_model import Box, Class, Shot, Thing, World, bounds, by_name, decoded

FLAGS = ("truncated", "difficult", "occluded")
SIDES = ("xmin", "ymin", "xmax", "ymax")
_PHOTOS: dict[tuple[str, tuple[int, int]], bytes] = {}


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def put_photo(path: Path, size_wh: tuple[int, int]) -> None:
    form = "PNG" if path.suffix == ".png" else "JPEG"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_PHOTOS.setdefault((form, size_wh), encoded(photo(size_wh), form)))


def photos_of(folder: Path) -> dict[str, tuple[Path, tuple[int, int]]]:
    """Path without its ending → the file and its size."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".txt"):
        with Image.open(path) as picture:
            found[path.relative_to(folder).as_posix().rpartition(".")[0]] = (path, picture.size)
    return found


# --- COCO ------------------------------------------------------------------------------------------------------------


def write_coco(world: World, folder: Path, draw: Callable[[int], int]) -> None:
    """``draw(n)`` chooses one of n ways to write a mask."""
    images, rows = [], []
    for shot in world.shots:
        put_photo(folder / "images" / shot.name, shot.size_wh)
        w, h = shot.size_wh
        images.append({**shot.fields, "id": shot.id, "file_name": shot.name, "width": w, "height": h})
        rows += [_coco_row(thing, shot, draw) for thing in shot.things]
        rows += [{"id": f"c{len(rows)}{k}", "image_id": shot.id, "caption": c} for k, c in enumerate(shot.captions)]
    categories = []
    for one in world.classes:
        categories.append({"id": one.id, "name": one.name})
        if one.supercategory is not None:
            categories[-1]["supercategory"] = one.supercategory
        if one.keypoints:
            categories[-1] |= {"keypoints": list(one.keypoints), "skeleton": list(one.skeleton)}
    document = {"images": images, "annotations": rows, "categories": categories}
    put(folder / "annotations" / "instances.json", json.dumps(document))


def _coco_row(thing: Thing, shot: Shot, draw: Callable[[int], int]) -> dict[str, Any]:
    x0, y0, x1, y1 = thing.box
    row = {**thing.fields, **thing.flags, "id": thing.id, "image_id": shot.id, "category_id": thing.class_id}
    row |= {"bbox": [x0, y0, x1 - x0, y1 - y0], "iscrowd": int(thing.crowd), "area": 1}
    if thing.rings:
        row["segmentation"] = [[v for point in ring for v in point] for ring in thing.rings]
    if thing.mask is not None:
        code = api.encode(np.asfortranarray(thing.mask, np.uint8))
        flat = thing.mask.T.reshape(-1)
        starts = np.flatnonzero(np.diff(flat)) + 1
        runs = np.diff([0, *starts, flat.size]).tolist()
        counts = [([0] if flat[0] else []) + runs, code["counts"].decode()][draw(2)]
        row["segmentation"] = {"size": code["size"], "counts": counts}
    if thing.keypoints is not None:
        row["keypoints"] = [v for point in thing.keypoints for v in point]
    if thing.corners is not None:
        row["obb"] = [v for point in thing.corners for v in point]
    if thing.pose is not None:
        row["pose"] = thing.pose
    if thing.parts:
        row["parts"] = [{"name": name, "box_xyxy": list(box)} for name, box in thing.parts]
    return row


def read_coco(folder: Path) -> World:
    (path,) = (folder / "annotations").glob("*.json")
    document = json.loads(path.read_text("utf-8"))
    names = {c["id"]: c["name"] for c in document["categories"]}
    things: dict[Any, list[Thing]] = {image["id"]: [] for image in document["images"]}
    assert len(things) == len(document["images"])
    assert len({row["id"] for row in document["annotations"]}) == len(document["annotations"])
    for row in document["annotations"]:
        things[row["image_id"]].append(_coco_thing(row, names))
    shots = []
    for image in document["images"]:
        own = {k: v for k, v in image.items() if k not in ("id", "file_name", "width", "height")}
        with Image.open(folder / "images" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
        shots.append(Shot(image["file_name"], picture.size, tuple(things[image["id"]]), own, (), image["id"]))
    classes = [
        Class(
            c["id"],
            c["name"],
            c.get("supercategory"),
            tuple(c.get("keypoints", ())),
            tuple(map(tuple, c.get("skeleton", ()))),
        )
        for c in document["categories"]
    ]
    return World(tuple(classes), tuple(shots))


def _coco_thing(row: dict[str, Any], names: dict[int, str]) -> Thing:
    known = {"id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation", "keypoints", "num_keypoints",
             "obb", "parts", "pose", *FLAGS}  # fmt: skip
    x, y, w, h = row["bbox"]
    segmentation = row.get("segmentation")
    return Thing(
        names[row["category_id"]],
        (x, y, x + w, y + h),
        rings=tuple(_pairs(ring) for ring in segmentation) if isinstance(segmentation, list) else (),
        mask=decoded(segmentation) if isinstance(segmentation, dict) else None,
        crowd=bool(row["iscrowd"]),
        keypoints=tuple(zip(*(row["keypoints"][k::3] for k in range(3)), strict=True)) if "keypoints" in row else None,
        corners=_pairs(row["obb"]) if "obb" in row else None,
        flags={k: row[k] for k in FLAGS if k in row},
        pose=row.get("pose"),
        parts=tuple((p["name"], tuple(p["box_xyxy"])) for p in row.get("parts", ())),
        fields={k: v for k, v in row.items() if k not in known},
        id=row["id"],
    )


def _pairs(flat: list[float]) -> tuple[tuple[float, float], ...]:
    return tuple(zip(flat[0::2], flat[1::2], strict=True))


# --- Pascal VOC ------------------------------------------------------------------------------------------------------


def write_voc(world: World, folder: Path, draw: Callable[[int], int]) -> None:
    for shot in world.shots:
        put_photo(folder / "JPEGImages" / shot.name, shot.size_wh)
        root = Element("annotation")
        SubElement(root, "filename").text = shot.name.rpartition("/")[2]
        size = SubElement(root, "size")
        for name, value in zip(("width", "height", "depth"), (*shot.size_wh, 3), strict=True):
            SubElement(size, name).text = str(value)
        _elements(root, shot.fields)
        for thing in shot.things:
            element = SubElement(root, "object")
            SubElement(element, "name").text = thing.name
            _elements(element, {k: str(v) for k, v in thing.flags.items()})
            if thing.pose is not None:
                SubElement(element, "pose").text = thing.pose
            _bndbox(element, thing.box)
            for name, box in thing.parts:
                part = SubElement(element, "part")
                SubElement(part, "name").text = name
                _bndbox(part, box)
            _elements(element, thing.fields)
        put(folder / "Annotations" / f"{shot.stem}.xml", ElementTree.tostring(root, "unicode"))


def _elements(parent: Element, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            child = SubElement(parent, name)
            if isinstance(one, dict):
                _elements(child, one)
            else:
                child.text = one


def _bndbox(parent: Element, box: Box) -> None:
    element = SubElement(parent, "bndbox")
    for name, value in zip(SIDES, (box[0] + 1, box[1] + 1, box[2], box[3]), strict=True):
        SubElement(element, name).text = repr(value)


def read_voc(folder: Path) -> World:
    pictures, shots = photos_of(folder / "JPEGImages"), []
    listed = (folder / "ImageSets" / "Main" / "all.txt").read_text("utf-8").splitlines()
    files = sorted((folder / "Annotations").rglob("*.xml"))
    assert sorted(listed) == sorted(p.relative_to(folder / "Annotations").with_suffix("").as_posix() for p in files)
    for path in files:
        stem = path.relative_to(folder / "Annotations").as_posix().removesuffix(".xml")
        picture, size = pictures[stem]
        root = ElementTree.fromstring(path.read_bytes())
        assert tuple(int(root.findtext(f"size/{n}")) for n in ("width", "height")) == size
        mask = folder / "SegmentationObject" / f"{stem}.png"
        values = np.array(Image.open(mask)) if mask.exists() else np.zeros(size[::-1], np.uint8)
        things = tuple(_voc_thing(e, values == i) for i, e in enumerate(root.findall("object"), start=1))
        own = [e for e in root if e.tag not in ("filename", "size", "object")]
        name = picture.relative_to(folder / "JPEGImages").as_posix()
        shots.append(Shot(name, size, things, _fields(own)))
    out = World((), tuple(shots))
    return World(by_name(sorted(out.used())), out.shots)


def _voc_thing(element: Element, mask: np.ndarray) -> Thing:
    known = ("name", "bndbox", "part", "pose", *FLAGS)
    return Thing(
        element.findtext("name"),
        _voc_box(element),
        mask=mask if mask.any() else None,
        flags={k: int(element.findtext(k)) for k in FLAGS if element.find(k) is not None},
        pose=element.findtext("pose"),
        parts=tuple((p.findtext("name"), _voc_box(p)) for p in element.findall("part")),
        fields=_fields([e for e in element if e.tag not in known]),
    )


def _voc_box(element: Element) -> Box:
    x0, y0, x1, y1 = (float(element.findtext(f"bndbox/{side}")) for side in SIDES)
    return x0 - 1, y0 - 1, x1, y1


def _fields(elements: list[Element]) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for element in elements:
        value = _fields(list(element)) if len(element) else (element.text or "").strip()
        if value:
            found.setdefault(element.tag, []).append(value)
    return {tag: values if len(values) > 1 else values[0] for tag, values in found.items()}


# --- YOLO ------------------------------------------------------------------------------------------------------------


def write_yolo(kind: str) -> Callable[[World, Path, Callable[[int], int]], None]:
    def write(world: World, folder: Path, draw: Callable[[int], int]) -> None:
        numbers = {one.name: i for i, one in enumerate(world.classes)}
        for shot in world.shots:
            put_photo(folder / "images" / shot.name, shot.size_wh)
            lines = [[numbers[t.name], *_numbers(t, kind, shot.size_wh)] for t in shot.things]
            if lines or shot is world.shots[0] or draw(2):  # a picture without objects has an empty file, or none
                put(
                    label_of(folder / "images" / shot.stem),
                    "".join(" ".join(map(_number, row)) + "\n" for row in lines),
                )
        data = {
            "train": "images",
            "val": "images",
            "names": dict(enumerate(c.name for c in world.classes)),
            "task": kind,
        }
        if kind == "pose":
            names = world.classes[0].keypoints
            data |= {"kpt_shape": [len(names), 3], "flip_idx": list(range(len(names)))}
            data["kpt_names"] = {i: list(names) for i in range(len(world.classes))}
        put(folder / "data.yaml", yaml.safe_dump(data, allow_unicode=True))

    return write


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.15f}"


def label_of(picture: Path) -> Path:
    """Where Ultralytics looks for the labels of a picture: the last ``/images/`` of its path becomes ``/labels/``."""
    return Path("/labels/".join(str(picture).rsplit("/images/", 1)) + ".txt")


def _numbers(thing: Thing, kind: str, size_wh: tuple[int, int]) -> list[float]:
    w, h = size_wh
    if kind in ("segment", "obb"):
        points = thing.rings[0] if kind == "segment" else thing.corners
        return [v for x, y in points for v in (x / w, y / h)]
    x0, y0, x1, y1 = thing.box
    row = [(x0 + x1) / 2 / w, (y0 + y1) / 2 / h, (x1 - x0) / w, (y1 - y0) / h]
    return row + [n for x, y, v in thing.keypoints or () for n in (x / w, y / h, v)]


def read_yolo(kind: str) -> Callable[[Path], World]:
    def read(folder: Path) -> World:
        data = yaml.safe_load((folder / "data.yaml").read_text("utf-8"))
        names = [data["names"][i] for i in range(data["nc"])]
        assert data["task"] == kind
        shots = []
        for stem, (path, size) in photos_of(folder / "images").items():
            lines = label_of(folder / "images" / stem).read_text("utf-8").splitlines()
            rows = [[float(v) for v in line.split()] for line in lines]
            things = tuple(_yolo_thing(names[int(n)], row, kind, size) for n, *row in rows)
            shots.append(Shot(path.relative_to(folder / "images").as_posix(), size, things))
        points = tuple(data["kpt_names"][0]) if data.get("kpt_names") else ()
        return World(tuple(Class(i, name, None, points) for i, name in enumerate(names, start=1)), tuple(shots))

    return read


def _yolo_thing(name: str, row: list[float], kind: str, size_wh: tuple[int, int]) -> Thing:
    w, h = size_wh
    if kind in ("segment", "obb"):
        points = tuple((x * w, y * h) for x, y in _pairs(row))
        more = {"rings": (points,)} if kind == "segment" else {"corners": points}
        return Thing(name, bounds(points), **more)
    cx, cy, bw, bh = (n * side for n, side in zip(row[:4], (w, h, w, h), strict=True))
    rest = row[4:]
    points = tuple((x * w, y * h, v) for x, y, v in zip(*(rest[k::3] for k in range(3)), strict=True))
    box = (cx - bw / 2, cy - bh / 2, cx + bw / 2, cy + bh / 2)
    return Thing(name, box, keypoints=points if kind == "pose" else None)


# --- DOTA ------------------------------------------------------------------------------------------------------------


def write_dota(world: World, folder: Path, draw: Callable[[int], int]) -> None:
    for shot in world.shots:
        put_photo(folder / "images" / shot.name, shot.size_wh)
        lines = [f"{name}:{value}" for name, value in shot.fields.items()]
        for t in shot.things:
            degree = t.fields.get("difficulty", t.flags.get("difficult"))
            words = [
                *(repr(v) for point in t.corners for v in point),
                t.name,
                *([] if degree is None else [str(degree)]),
            ]
            lines.append(" ".join(words))
        put(folder / "labelTxt" / f"{shot.stem}.txt", "".join(f"{line}\n" for line in lines))


def read_dota(folder: Path) -> World:
    shots = []
    for stem, (path, size) in photos_of(folder / "images").items():
        heads, things = {}, []
        for line in (folder / "labelTxt" / f"{stem}.txt").read_text("utf-8").splitlines():
            head, colon, value = line.partition(":")
            words = line.split()
            if colon and head in ("imagesource", "gsd"):
                heads[head] = value
                continue
            points, degree = _pairs([float(v) for v in words[:8]]), int(words[9])
            fields = {"difficulty": degree} if degree > 1 else {}
            flags = {"difficult": min(degree, 1)}
            things.append(Thing(words[8], bounds(points), corners=points, flags=flags, fields=fields))
        shots.append(Shot(path.relative_to(folder / "images").as_posix(), size, tuple(things), heads))
    out = World((), tuple(shots))
    return World(by_name(sorted(out.used())), out.shots)


KINDS = ("detect", "segment", "pose", "obb")
WRITE: dict[str, Callable[[World, Path, Callable[[int], int]], None]] = {
    "coco": write_coco,
    "voc": write_voc,
    "dota": write_dota,
    **{f"yolo:{kind}": write_yolo(kind) for kind in KINDS},
}
READ: dict[str, Callable[[Path], World]] = {
    "coco": read_coco,
    "voc": read_voc,
    "dota": read_dota,
    **{f"yolo:{kind}": read_yolo(kind) for kind in KINDS},
}
