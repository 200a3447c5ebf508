"""Hostile annotations: Pascal VOC's XML and COCO's JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from builders import CAT, coco, image, object_xml, row, voc_xml, write_json
from hostile import CASES, ERROR, GOOD, READ, Case, augment, case, command_of, laughs

# --- Pascal VOC ------------------------------------------------------------------------------------------------------

VOC = "Pascal VOC"


def voc(name: str, outcome: str, xml: str | bytes | Callable[[], str | bytes], says: str = "", *command: str) -> None:
    """An XML, beside a good one."""

    def build(folder: Path) -> list[str]:
        made = xml() if callable(xml) else xml
        for stem, content in (("a", voc_xml(object_xml())), ("b", made)):
            for place in ("Annotations", "JPEGImages"):
                (folder / "SRC" / place).mkdir(parents=True, exist_ok=True)
            data = content.encode() if isinstance(content, str) else content
            (folder / "SRC" / "Annotations" / f"{stem}.xml").write_bytes(data)
            (folder / "SRC" / "JPEGImages" / f"{stem}.jpg").write_bytes(GOOD)
        return command_of(folder, command)

    CASES.append(Case(VOC, name, outcome, build, says))


voc("a billion laughs", "reject entity", lambda: laughs(10, 10))
voc(
    "one entity of 100 kB named 30,000 times",
    "reject entity",
    lambda: f'<!DOCTYPE annotation [<!ENTITY a "{"x" * 100_000}">]>' + voc_xml(object_xml("&a;" * 30_000)),
)
voc(
    "an entity that is /etc/passwd",
    "reject entity",
    '<!DOCTYPE annotation [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + voc_xml(object_xml("&a;")),
)
voc(
    "a parameter entity from the net",
    "reject entity",
    '<!DOCTYPE annotation [<!ENTITY % a SYSTEM "http://127.0.0.1:9/x.dtd"> %a;]>' + voc_xml(object_xml()),
)
voc("a billion laughs in UTF-16", "reject entity", lambda: laughs(10, 10).encode("utf-16"))
voc(
    "a DTD from the net, which is not fetched",
    READ,
    '<!DOCTYPE annotation SYSTEM "http://127.0.0.1:9/x.dtd">' + voc_xml(object_xml()),
)
voc(
    "100,000 elements nested in one another",
    "reject bad-xml",
    lambda: voc_xml(object_xml(more="<d>" * 100_000 + "</d>" * 100_000)),
)
voc(
    "100,000 attributes",
    READ,
    lambda: voc_xml(object_xml()).replace("<object>", "<object " + " ".join(f'a{i}=""' for i in range(100_000)) + ">"),
)
voc("three million empty elements", "reject too-large", lambda: voc_xml(object_xml(more="<d/>" * 3_000_000)))
voc("a class name of a million letters", READ, lambda: voc_xml(object_xml("x" * 1_000_000)))
voc("an encoding that does not exist", "reject bad-xml", '<?xml version="1.0" encoding="x-\u202e"?><annotation/>')
voc("50,000 fields of one name", READ, lambda: voc_xml(object_xml(more="<d>1</d>" * 50_000)))
voc("<filename> ../../../etc/passwd", READ, voc_xml(object_xml(), filename="../../../etc/passwd"))
voc(
    "a class name with lines and a bell, in inspect",
    READ,
    voc_xml(object_xml("cat&#10;note: fine&#13;&#x85;x")),
    "",
    "inspect",
    "SRC",
)
voc(
    "the same in convert",
    READ,
    voc_xml(object_xml("cat&#10;note: fine&#13;&#x85;x")),
    "",
    "convert",
    "voc-to-coco",
    "SRC",
    "DST",
)


@case(VOC, "an XML of 100 GB, all of it a hole", "reject too-large")
def _(folder: Path) -> list[str]:
    for place in ("Annotations", "JPEGImages"):
        (folder / "SRC" / place).mkdir(parents=True)
    for stem in "ab":
        (folder / "SRC" / "JPEGImages" / f"{stem}.jpg").write_bytes(GOOD)
    (folder / "SRC" / "Annotations" / "a.xml").write_text(voc_xml(object_xml()))
    with open(folder / "SRC" / "Annotations" / "b.xml", "wb") as file:
        file.truncate(100 << 30)
    return augment(folder / "SRC")


# --- COCO ------------------------------------------------------------------------------------------------------------

COCO = "COCO"


def coco_case(
    name: str, outcome: str, document: Any, says: str = "", *command: str, files: Iterable[str] = ("a.jpg", "b.jpg")
) -> None:
    """A JSON; where it is a reject, the first of its two pictures is good."""

    def build(folder: Path) -> list[str]:
        made = document() if callable(document) else document
        (folder / "SRC").mkdir()
        write_json(folder / "SRC" / "x.json", made)
        for file in files:
            (folder / "SRC" / file).write_bytes(GOOD)
        return command_of(folder, command)

    CASES.append(Case(COCO, name, outcome, build, says))


def with_row(**more: Any) -> dict[str, Any]:
    return coco([image(1), image(2, "b.jpg")], [row(1), row(2, 2, **more)])


def with_rows(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """These objects are all in the second picture."""
    return coco([image(1), image(2, "b.jpg")], [row(-1), *rows])


def square(number: int) -> dict[str, Any]:
    """One of many small polygons, half of which cross the edge of the picture."""
    x, y = number % 20, number % 10
    return row(number, 2, bbox=[x, y, 4, 4], segmentation=[[x, y, x + 4, y, x + 4, y + 4, x, y + 4]])


def raw(value: bytes, **more: Any) -> bytes:
    """A document in which a field of the second picture's object is this text."""
    return json.dumps(with_row(x="@", **more)).encode().replace(b'"@"', value)


def scribble(points: int, size: float) -> list[float]:
    return np.random.default_rng(0).uniform(0, size, 2 * points).round(2).tolist()


def whole_rle(side: int) -> dict[str, Any]:
    return {"size": [side, side], "counts": [side, side * side - side]}


coco_case("a value nested in a million lists", ERROR, lambda: raw(b"[" * 1_000_000 + b"]" * 1_000_000), "nested")
coco_case("a value nested in 900 lists", "reject bad-json", lambda: raw(b"[" * 900 + b"]" * 900))
coco_case("a number of a million digits", "reject bad-json", lambda: raw(b"9" * 1_000_000))
coco_case(
    "a number of a million digits as an id",
    ERROR,
    lambda: json.dumps(with_row()).encode().replace(b'"image_id": 2', b'"image_id": ' + b"9" * 1_000_000),
)
coco_case(
    "20 million zeros for annotations",
    ERROR,
    lambda: json.dumps(coco()).encode().replace(b'"annotations": []', b'"annotations": [' + b"0," * 20_000_000 + b"0]"),
)
coco_case("an object of three million empty ones", "reject too-large", lambda: raw(b"[" + b"{}," * 3_000_000 + b"0]"))
coco_case("NaN for a box", READ, lambda: raw(b"0", bbox=[float("nan")] * 4))
coco_case("lone surrogates for a name", ERROR, lambda: coco([image(1, "\ud800.jpg")]))
coco_case(
    "file_name ../../../../../../etc/passwd",
    "reject missing-picture",
    coco([image(1), image(2, "../../../../../../etc/passwd")], [row(1)]),
)
coco_case("file_name /etc/passwd", "reject missing-picture", coco([image(1), image(2, "/etc/passwd")], [row(1)]))
coco_case(
    "file_name of 100,000 letters",
    "reject missing-picture",
    lambda: coco([image(1), image(2, "x" * 100_000)], [row(1)]),
)
coco_case("file_name with a zero byte", ERROR, coco([image(1, "a\0.jpg")]), "no image has an id and a file name")
coco_case(
    "file_name with lines and colours",
    "reject missing-picture",
    coco([image(1), image(2, "x\nnote: fine\x1b[31m.jpg")], [row(1)]),
    "",
    "inspect",
    "SRC",
)
coco_case(
    "class names with lines and colours, in inspect",
    READ,
    coco(None, [row()], [{**CAT, "name": "cat\nnote: fine\x1b[2J\x9b31m\u202e"}]),
    "",
    "inspect",
    "SRC",
)
coco_case(
    "the same in augment, with objects dropped",
    READ,
    coco(None, [row(bbox=None)], [{**CAT, "name": "cat\nnote: fine\x1b[2J\x9b31m\u202e"}]),
)
coco_case(
    "the same in plan",
    READ,
    coco(None, [row()], [{**CAT, "name": "cat\n\x1b[2J\x9b31m\u202e"}]),
    "",
    "plan",
    "SRC",
    "--recipe",
    "detection",
)
coco_case(
    "the same in convert",
    READ,
    coco(None, [row()], [{**CAT, "name": "cat\n\x1b[2J\x9b31m\u202e"}]),
    "",
    "convert",
    "coco-to-voc",
    "SRC",
    "DST",
)
coco_case(
    "the same in an error",
    ERROR,
    coco(None, [row()], [{**CAT, "name": "a\n\x1b[2J"}, {**CAT, "name": "b\n"}]),
    "category id 1 is given twice",
)
coco_case(
    "a mask of a million by a million pixels, as the picture claims, and no box",
    "reject size-mismatch",
    coco(
        [image(1), image(2, "b.jpg", size=(10**6, 10**6))],
        [row(1), row(2, 2, bbox=None, segmentation=whole_rle(10**6))],
    ),
)
coco_case(
    "a mask whose size overflows", READ, with_row(segmentation={"size": [2**62, 4], "counts": [2**64]}), "mask-left-out"
)
coco_case(
    "a polygon of 5,000 points at random", READ, lambda: with_row(segmentation=[scribble(5000, 10.0)]), "ring-left-out"
)
coco_case(
    "3,000 triangles that cross one another",
    READ,
    lambda: with_row(
        segmentation=[
            scribble(3, 10.0 + i / 1000) if i == 0 else np.random.default_rng(i).uniform(0, 10, 6).round(2).tolist()
            for i in range(3000)
        ]
    ),
    "ring-left-out",
)
coco_case("a polygon that goes to and fro across the frame 100,000 times", READ,
          lambda: with_row(segmentation=[[v for i in range(100_000) for v in (20 * (i % 2), i / 10_000)] + [0, 10]]),
          "ring-left-out")  # fmt: skip
coco_case(
    "a polygon ten million pixels wide", READ, with_row(segmentation=[[-9e6, -9e6, 9e6, -9e6, 9e6, 9e6, -9e6, 9e6]])
)
coco_case("a polygon as far as numbers go", READ, with_row(segmentation=[[0, 0, 1e308, 0, 0, -1e308]]), "ring-left-out")
coco_case(
    "a box as far as numbers go",
    "reject size-mismatch",
    with_row(bbox=[-1e308, -1e308, 1.5e308, 1.5e308]) | {"images": [image(1), image(2, "b.jpg", size=(4, 4))]},
)
for command in ((), ("plan", "SRC", "--recipe", "detection"), ("inspect", "SRC")):
    coco_case(
        f"a polygon of 1,000 equal points{f', in {command[0]}' if command else ''}",
        READ,
        lambda: with_row(segmentation=[[5, 5] * 1000]),
        "",
        *command,
    )
coco_case("200,000 objects in one picture", "reject too-large", lambda: with_rows([row(i, 2) for i in range(200_000)]))
coco_case("4,000 polygons in one picture", READ, lambda: with_rows([square(i) for i in range(4_000)]))
coco_case(
    "40 objects of a megabyte each in one picture",
    "reject too-large",
    lambda: with_rows([row(i, 2, more="x" * (1 << 20)) for i in range(40)]),
)
coco_case(
    "ten objects of 100,000 values each in one picture",
    "reject too-large",
    lambda: with_rows([row(i, 2, more=[[]] * 100_000) for i in range(10)]),
)
coco_case("a JSON in UTF-16", ERROR, json.dumps(coco()).encode("utf-16"), "is UTF-16, and JSON is UTF-8")
coco_case("100,000 keypoints", READ, lambda: with_row(keypoints=[1, 1, 2] * 100_000))


@case(COCO, "a picture that is a link out of the folder, which is followed", READ)
def _(folder: Path) -> list[str]:
    (folder / "SRC").mkdir()
    (folder / "elsewhere.jpg").write_bytes(GOOD)
    (folder / "SRC" / "a.jpg").symlink_to("../elsewhere.jpg")
    write_json(folder / "SRC" / "x.json", coco(None, [row()]))
    return augment(folder / "SRC")
