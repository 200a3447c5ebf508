"""Small sets of the formats that are only read, and what each must do: be recognised, be converted, be used.

The numbers of the expected boxes are written by hand in each test; pycocotools reads what a conversion has written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from builders import contents, write_picture
from command_line import call
from conversions import loaded

from augpipe.formats.catalogue import targets
from augpipe.formats.registry import recognised

SIZE = (320, 240)


def files_of(folder: Path, files: dict[str, str | bytes], pictures: Iterable[str] = ()) -> Path:
    """A folder of texts and bytes by path, and of pictures of 320 by 240."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for name in pictures:
        write_picture(folder / name, SIZE)
    return folder


def make_labelme(folder: Path) -> Path:
    shapes = [
        {"label": "tree", "points": [[40.0, 30.0], [120.0, 90.0]], "shape_type": "rectangle", "group_id": None},
        {"label": "house", "points": [[150, 100], [260, 100], [200, 200]], "shape_type": "polygon", "group_id": None},
    ]
    sizes = {"imageData": None, "imageHeight": 240, "imageWidth": 320}
    document = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": "a.jpg", **sizes}
    return files_of(folder, {"a.json": json.dumps(document)}, ["a.jpg"])


def make_csv(folder: Path) -> Path:
    return files_of(folder, {"train.csv": "image_id,x,y,w,h,label\na.jpg,40,30,80,60,tree\n"}, ["images/a.jpg"])


def make_kitti(folder: Path) -> Path:
    text = (
        "Car 0.00 0 -1.57 40.00 30.00 120.00 90.00 1.5 1.6 3.9 1.0 1.5 8.0 -1.4\n"
        "DontCare -1 -1 -10 150.00 100.00 260.00 200.00 -1 -1 -1 -1000 -1000 -1000 -10\n"
    )
    return files_of(folder, {"training/label_2/000000.txt": text}, ["training/image_2/000000.png"])


def make_visdrone(folder: Path) -> Path:
    return files_of(folder, {"annotations/a.txt": "40,30,80,60,1,4,0,0\n150,100,110,100,0,0,0,0\n"}, ["images/a.jpg"])


def make_cvat(folder: Path) -> Path:
    text = (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta/>\n'
        '  <image id="0" name="a.jpg" width="320" height="240">\n'
        '    <box label="tree" occluded="0" source="manual" xtl="40" ytl="30" xbr="120" ybr="90" z_order="0">\n'
        "    </box>\n"
        '    <polygon label="house" occluded="1" points="150.0,100.0;260.0,100.0;200.0,200.0" z_order="1"/>\n'
        "  </image>\n</annotations>\n"
    )
    return files_of(folder, {"annotations.xml": text}, ["images/a.jpg"])


def make_via(folder: Path) -> Path:
    rect = {"name": "rect", "x": 40, "y": 30, "width": 80, "height": 60}
    polygon = {"name": "polygon", "all_points_x": [150, 260, 200], "all_points_y": [100, 100, 200]}
    regions = [
        {"shape_attributes": shape, "region_attributes": {"name": name}}
        for shape, name in ((rect, "tree"), (polygon, "house"))
    ]
    document = {"a.jpg9767": {"filename": "a.jpg", "size": 9767, "regions": regions, "file_attributes": {}}}
    return files_of(folder, {"via_region_data.json": json.dumps(document)}, ["a.jpg"])


EXAMPLES: dict[str, Callable[[Path], Path]] = {
    "labelme": make_labelme,
    "csv": make_csv,
    "kitti": make_kitti,
    "cvat": make_cvat,
    "via": make_via,
    "visdrone": make_visdrone,
}
"""The smallest set of each format: a picture with a tree at 40, 30 to 120, 90 and, where masks are held, a house."""


def coco_rows(source: Path, out: Path, *options: object) -> dict[str, list[tuple[Any, ...]]]:
    """File name → (class, [x, y, w, h], iscrowd) of a source that is converted to COCO and read by pycocotools."""
    name = recognised(str(source))[0]
    result = call("convert", f"{name}-to-coco", source, out, "-w", 0, *options)
    assert result.exit_code == 0, result.output
    api = loaded(next(out.rglob("*.json")))
    found: dict[str, list[tuple[Any, ...]]] = {image["file_name"]: [] for image in api.imgs.values()}
    for row in api.anns.values():
        names = (api.cats[row["category_id"]]["name"], row["bbox"], row["iscrowd"])
        found[api.imgs[row["image_id"]]["file_name"]].append(names)
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def check_commands(source: Path, name: str, folder: Path, *options: object) -> None:
    """inspect, preview, augment and verify take it, each target is written of it, and nothing of it is touched."""
    before = contents(source)
    assert recognised(str(source)) == [name]
    report = json.loads(call("inspect", source, "--json", "-w", 0, *options).stdout)
    assert report["format"].partition(":")[0] == name
    for target in targets().keys() - {name, "masks"}:  # boxes have no pixels
        result = call("convert", f"{name}-to-{target}", source, folder / target, "-w", 0, *options)
        assert result.exit_code == 0, result.output
        assert recognised(str(folder / target)) == [target]
    for command in (
        ("preview", source, "-o", folder / "sheet.png", "--recipe", "gentle"),
        ("augment", source, folder / "shards", "--recipe", "gentle", "-w", 0),
        ("verify", folder / "shards", "--against", source, "-w", 1),
    ):
        result = call(*command, *options)
        assert result.exit_code == 0, (command, result.output)
    assert contents(source) == before


def approx(*numbers: float) -> Any:
    return pytest.approx(list(numbers), abs=1e-3)
