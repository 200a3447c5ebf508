"""What an XML says against a slow and plain reading of the same bytes, on documents that are right, almost, or not."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree as SafeTree
import pytest
from builders import object_xml, voc_xml
from defusedxml import DefusedXmlException
from fuzzing import damaged, fuzzed
from hypothesis import given
from voc_files import FILES, VALID, rewritten

from augpipe.core.errors import Reject
from augpipe.formats.voc.xml_reader import Said, pack, read_xml, unpack

DEEPEST = 65  # the root, and 64 levels in it
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*|\s*[+-]?(nan|inf(inity)?)\s*", re.IGNORECASE)


# --- the slow reading ------------------------------------------------------------------------------------------------


def slowly(xml: bytes) -> dict[str, Any] | str:
    """The fields of what an XML says, or the code of its reject; one element after the other, by ElementTree's find."""
    if len(re.findall(rb"[<=]", xml)) > 500_000:
        return "too-large"
    try:
        root = SafeTree.fromstring(xml, forbid_dtd=False, forbid_entities=True, forbid_external=True)
    except DefusedXmlException:
        return "entity"
    except (ParseError, ValueError, LookupError):
        return "bad-xml"
    if root.tag != "annotation" or depth(root) > DEEPEST:
        return "bad-xml"
    objects = [child for child in root if child.tag == "object"]
    width, height = number(root.find("size/width")), number(root.find("size/height"))
    first = root.find("size")
    if first is not None:
        width, height = number(first.find("width")), number(first.find("height"))
    sized = width is not None and height is not None and 0 < width < 1e7 and 0 < height < 1e7
    plain = [plain_facts(element) for element in objects]
    return {
        "filename": unicodedata.normalize("NFC", re.split(r"[\\/]", text(root.find("filename")) or "")[-1]),
        "size_wh": (math.floor(width), math.floor(height)) if sized else None,
        "attributes": as_json([c for c in root if c.tag not in ("size", "object", "filename", "path")]),
        "names": [text(element.find("name")) for element in objects],
        "corners": [corners(element.find("bndbox")) for element in objects],
        "facts": plain,
        "parts": {
            i: [(text(part.find("name")) or "", corners(part.find("bndbox"))) for part in element.findall("part")]
            for i, element in enumerate(objects)
            if element.find("part") is not None
        },
        "verified": "verified" in root.attrib,
        "fields": {i: other for i, e in enumerate(objects) if (other := others(e, plain[i]))},
    }


def depth(element: Element) -> int:
    deepest, level = 0, [element]
    while level:
        deepest, level = deepest + 1, [child for one in level for child in one]
    return deepest


def text(element: Element | None) -> str | None:
    return (element.text or "").strip() or None if element is not None else None


def number(element: Element | None) -> float | None:
    said = text(element)
    return float(said) if said is not None and NUMBER.fullmatch(said) else None


def corners(element: Element | None) -> tuple[float, ...] | None:
    if element is None:
        return None
    found = tuple(number(element.find(side)) for side in ("xmin", "ymin", "xmax", "ymax"))
    return found if all(value is not None and math.isfinite(value) for value in found) else None


def flag(element: Element | None) -> int | None:
    value = number(element)
    if value is not None and math.isfinite(value):
        return 0 if value == 0 else 1
    return {"true": 1, "yes": 1, "false": 0, "no": 0}.get((text(element) or "").lower())


def plain_facts(element: Element) -> tuple[int | str | None, ...]:
    return (*(flag(element.find(name)) for name in ("truncated", "difficult", "occluded")), text(element.find("pose")))


def others(element: Element, facts: tuple[int | str | None, ...]) -> dict[str, Any]:
    known = {"name", "bndbox", "part"}
    known |= {n for n, v in zip(("truncated", "difficult", "occluded", "pose"), facts, strict=True) if v is not None}
    if all(child.tag in known for child in element):
        return {}
    return as_json([child for child in element if child.tag not in known])


def as_json(elements: list[Element]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for element in elements:
        value = as_json(list(element)) if len(element) else (element.text or "").strip()
        if value:
            out.setdefault(element.tag, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in out.items()}


def quickly(xml: bytes) -> dict[str, Any] | str:
    try:
        said = read_xml(xml, "a.xml")
    except Reject as reject:
        return reject.code
    fields = {name: getattr(said, name) for name in Said.__struct_fields__}
    assert {name: getattr(unpack(pack(said)), name) for name in fields} == fields, "it comes back as it was packed"
    return fields


# --- any document ----------------------------------------------------------------------------------------------------


@given(document=rewritten())
@fuzzed(400)
def test_a_document_of_which_a_little_is_changed_says_the_same(document: str):
    xml = document.encode("utf-8", "replace")
    assert quickly(xml) == slowly(xml)


@given(data=damaged(FILES))
@fuzzed(400)
def test_a_file_of_which_bytes_are_changed_says_the_same(data: bytes):
    assert quickly(data) == slowly(data)


OTHERS = {
    "a namespace": VALID.replace("<annotation>", '<annotation xmlns:q="http://q" q:k="v">').replace("pose", "q:pose"),
    "a default namespace": VALID.replace("<annotation>", '<annotation xmlns="http://q">'),
    "CDATA": VALID.replace("<xmin>", "<xmin><![CDATA[").replace("</xmin>", "]]></xmin>"),
    "CDATA that looks like an element": VALID.replace(">cat<", "><![CDATA[<b>]]><"),
    "comments in text": VALID.replace(">cat<", ">c<!-- <name>dog</name> -->a<!---->t<"),
    "a comment before a number": VALID.replace("<xmin>", "<xmin><!--1-->"),
    "instructions in text": VALID.replace(">cat<", ">c<?pi <name>?>a<?x?>t<"),
    "objects in objects": voc_xml(object_xml(more=object_xml("dog") + "<name>late</name>")),
    "objects elsewhere": voc_xml(object_xml(), more=f"<list>{object_xml('dog')}</list>"),
    "tags again": VALID.replace("<name>", "<name>first</name><name>").replace("<xmin>", "<xmin>7</xmin><xmin>"),
    "white space": VALID.replace(">", "> \n\t").replace("</", "\r\n</").replace("<xmin>", "<xmin\n>"),
    "text and elements": VALID.replace("<bndbox>", "9<bndbox>9<a/>9").replace("<name>", "<name><b>x</b>"),
    "attributes": VALID.replace("<object>", '<object name="x" id = "1">').replace("<xmin>", "<xmin v='&lt;'>"),
    "empty elements": VALID.replace("<name>cat</name>", "<name/>").replace("<pose>Left</pose>", "<pose/><name />"),
    "characters by number": VALID.replace(">cat<", ">&#99;&#x61;t<").replace("Left", "&amp;&gt;&quot;&apos;"),
    "a doctype alone": "<!DOCTYPE annotation>" + VALID,
    "entities": '<!DOCTYPE annotation [<!ENTITY a "b">]>' + VALID,
    "an entity that nobody knows": VALID.replace(">cat<", ">&nbsp;<"),
    "an end in text": VALID.replace(">cat<", ">a]]>b<"),
    "two roots": VALID + VALID,
    "text behind": VALID + "x",
    "not closed": VALID.removesuffix("</annotation>"),
    "another root": VALID.replace("annotation", "annotations"),
    "other digits": VALID.replace("<xmin>", "<xmin>٣</xmin><xmin>").replace("<ymin>", "<ymin>1_0</ymin><ymin>"),
}  # fmt: skip
CODINGS = {"utf-8": "", "utf-8-sig": "", "utf-16": "", "utf-16-be": "utf-16", "iso-8859-1": "iso-8859-1", "cp1252": "x"}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("name", OTHERS)
def test_odd_documents_say_the_same_in_every_coding(name, coding):
    declared = f'<?xml version="1.0" encoding="{CODINGS[coding]}"?>' if CODINGS[coding] else ""
    xml = (declared + OTHERS[name].replace("Left", "Lèft")).encode(coding, "xmlcharrefreplace")
    assert quickly(xml) == slowly(xml)


def test_the_slow_reading_is_right_where_it_is_known():
    """Two readings that agree may be wrong together."""
    assert slowly(OTHERS["comments in text"].encode())["names"] == ["cat", "dog"]
    assert slowly(OTHERS["objects in objects"].encode())["names"] == ["cat"]
    assert slowly(OTHERS["tags again"].encode())["corners"][0][0] == 7.0
    assert slowly(OTHERS["entities"].encode()) == "entity"
    assert slowly(OTHERS["two roots"].encode()) == "bad-xml"
    found = slowly(VALID.encode())
    assert found["names"] == ["cat", "dog"]
    assert found["facts"] == [(1, 1, None, "Left"), (None, None, None, None)]
    assert found["parts"] == {0: [("head", (2.0, 2.0, 4.0, 4.0))]}
    assert found["fields"] == {0: {"free": {"a": ["1", "2"]}}}


@pytest.mark.parametrize("levels", [65, 66, 67, 3000])
def test_the_deepest_nesting_is_the_same(levels):
    xml = ("<annotation>" + "<d>" * (levels - 1) + "</d>" * (levels - 1) + "</annotation>").encode()
    assert quickly(xml) == slowly(xml)
    assert (quickly(xml) == "bad-xml") == (levels > DEEPEST)
