"""What one Pascal VOC XML says, as plain columns in which classes still have names.

The ids of classes are known only when all files of a dataset have been read, and parsing is most of what reading one
costs. So a file is parsed once: what it says is packed into some hundred bytes, which go with its entry.

Entities take a DTD, which begins with ``<!D`` in every encoding that expat reads but UTF-16, where zeros stand between.
Where the bytes hold neither, the parser in C is as safe as defusedxml, which checks in Python and takes six times as
long. All else goes to defusedxml.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from itertools import chain
from math import isfinite
from typing import Any, TypeAlias
from xml.etree import ElementTree as PlainTree
from xml.etree.ElementTree import Element, ParseError

import msgspec

from augpipe.core.errors import Reject, one_line
from augpipe.formats.limits import DEEPEST, bad_labels, require_small

Corners: TypeAlias = tuple[float, float, float, float]
"""xmin, ymin, xmax, ymax as they are written: finite, in any order."""
PlainFacts: TypeAlias = tuple[int | None, int | None, int | None, str | None]
"""truncated, difficult, occluded, pose; ``None`` where an object does not say."""

_FACTS = ("truncated", "difficult", "occluded", "pose")
_UNDERSTOOD = frozenset({"name", "bndbox", "part"})
_BITS: dict[str | None, int] = {"0": 0, "1": 1}
_WORDS = {"true": 1, "yes": 1, "false": 0, "no": 0}
# `path` is where the annotator's disk had the picture; it names a machine and means nothing anywhere else.
_PICTURE_FIELDS = frozenset({"size", "object", "filename", "path"})


class Said(msgspec.Struct, array_like=True, gc=False):
    """What an XML says of its picture and, in columns of one length, of its objects.

    ``filename`` is without folders, in NFC, "" if absent; ``attributes`` are the picture's other fields. ``parts`` and
    ``fields``, the parts and other fields of objects, are by index of the object. ``verified`` is whether the root has
    such an attribute, which is not kept.
    """

    filename: str
    size_wh: tuple[int, int] | None
    attributes: dict[str, Any]
    names: list[str | None]
    corners: list[Corners | None]
    facts: list[PlainFacts]
    parts: dict[int, list[tuple[str, Corners | None]]]
    fields: dict[int, dict[str, Any]]
    verified: bool = False


pack = msgspec.msgpack.Encoder().encode
"""A :class:`Said` as bytes."""
unpack = msgspec.msgpack.Decoder(Said).decode
"""What :data:`pack` has packed."""


def read_xml(xml: bytes, file: str) -> Said:
    """The content of an XML text; raises ``Reject``: ``bad-xml`` with the line, ``entity`` or ``too-large``."""
    root = parse_xml(xml, file)
    said = Said(
        _filename(root), _size(root), _as_json(root, _PICTURE_FIELDS), [], [], [], {}, {}, "verified" in root.attrib
    )
    names, corners = said.names, said.corners
    for index, element in enumerate(root.findall("object")):
        children = {child.tag: child for child in element[::-1]}  # of several the first, as ``find`` gives it
        names.append(_text(children.get("name")))
        corners.append(_corners(children.get("bndbox")))
        _add_facts(said, index, element, children)
        if "part" in children:
            parts = element.findall("part")
            said.parts[index] = [(_text(part.find("name")) or "", _corners(part.find("bndbox"))) for part in parts]
    return said


def parse_xml(xml: bytes, file: str) -> Element:
    """The root of a VOC text; raises ``Reject`` as :func:`root_of`."""
    return root_of(xml, file, "annotation")


def root_of(xml: bytes, file: str, tag: str) -> Element:
    """The root of an XML text, parsed without entities, DTDs or external references; raises ``Reject``."""
    require_small([xml], b"<=", file)
    root = _plainly_parsed(xml)
    if root is None:
        root = _warily_parsed(xml, file)
    if root.tag != tag:
        message = f"{file}: expected <{tag}>, got <{one_line(root.tag, 40)}>"
        raise Reject("labels", "bad-xml", message, file=file, line=1)
    if xml.count(b"<") > 2 * DEEPEST and _is_deep(root):  # each level is opened and, but for the last, closed
        raise bad_labels("bad-xml", file, f"elements nested in more than {DEEPEST} levels")
    return root


def _plainly_parsed(xml: bytes) -> Element | None:
    """The root, ``None`` if something could declare an entity, or if it is no XML."""
    if b"<!D" in xml or b"\0" in xml:
        return None
    try:
        return PlainTree.fromstring(xml)
    except (ParseError, ValueError, LookupError, RecursionError):
        return None


def _warily_parsed(xml: bytes, file: str) -> Element:
    import defusedxml
    import defusedxml.ElementTree as SafeTree

    try:
        root: Element = SafeTree.fromstring(xml, forbid_dtd=False, forbid_entities=True, forbid_external=True)
    except ParseError as error:
        line = error.position[0]
        raise Reject("labels", "bad-xml", f"{file}:{line}: {one_line(error)}", file=file, line=line) from error
    except defusedxml.DefusedXmlException as error:
        raise bad_labels("entity", file, "XML with entities is not read; a VOC file needs none") from error
    except (ValueError, LookupError, RecursionError) as error:
        raise bad_labels("bad-xml", file, f"{one_line(error)}; save it as UTF-8") from error
    return root


def _is_deep(root: Element) -> bool:
    level = list(root)
    for _ in range(DEEPEST):
        if not level:
            return False
        level = list(chain.from_iterable(level))
    return bool(level)


def _text(element: Element | None) -> str | None:
    """The stripped text, ``None`` if there is none or it is empty."""
    if element is None or (text := element.text) is None:
        return None
    return text.strip() or None


def _number(element: Element | None) -> float | None:
    text = _text(element)
    try:
        return None if text is None or "_" in text else float(text)  # Python's own 1_000 is no number of a file
    except ValueError:
        return None


def _corners(element: Element | None) -> Corners | None:
    """The numbers of a ``bndbox``, ``None`` if it has not four finite ones."""
    if element is None:
        return None
    sides: dict[str, Any] = {child.tag: child.text for child in element[::-1]}
    try:
        a, b, c, d = sides["xmin"], sides["ymin"], sides["xmax"], sides["ymax"]
        x0, y0, x1, y1 = float(a), float(b), float(c), float(d)
    except (KeyError, TypeError, ValueError):
        return None
    if not (isfinite(x0) and isfinite(y0) and isfinite(x1) and isfinite(y1)) or "_" in a + b + c + d:
        return None
    return x0, y0, x1, y1


def _flag(element: Element | None) -> int | None:
    if element is None:
        return None
    if (bit := _BITS.get(element.text)) is not None:
        return bit
    text, value = _text(element), _number(element)
    if value is None or not isfinite(value):
        return _WORDS.get((text or "").lower())
    return int(value != 0)


def _filename(root: Element) -> str:
    text = _text(root.find("filename")) or ""
    return unicodedata.normalize("NFC", text.replace("\\", "/").rpartition("/")[2])


def _size(root: Element) -> tuple[int, int] | None:
    size = root.find("size")
    if size is None:
        return None
    width, height = _number(size.find("width")), _number(size.find("height"))
    if width is None or height is None or not (0 < width < 1e7 and 0 < height < 1e7):
        return None  # missing, or the zeros that some tools write
    return int(width), int(height)


def _add_facts(said: Said, index: int, element: Element, children: Mapping[str, Element]) -> None:
    find = children.get
    truncated, difficult, occluded = _flag(find("truncated")), _flag(find("difficult")), _flag(find("occluded"))
    pose = _text(find("pose"))
    said.facts.append((truncated, difficult, occluded, pose))
    known = (truncated is not None) + (difficult is not None) + (occluded is not None) + (pose is not None)
    known += ("name" in children) + ("bndbox" in children) + ("part" in children)
    if len(children) == known:
        return
    stated = zip(_FACTS, (truncated, difficult, occluded, pose), strict=True)
    understood = _UNDERSTOOD.union(name for name, value in stated if value is not None)
    if others := _as_json(element, understood):
        said.fields[index] = others


def _as_json(children: Iterable[Element], but: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Elements as JSON values: text, mappings, and lists where a name comes again."""
    found: dict[str, list[Any]] = {}
    for child in children:
        if child.tag in but:
            continue
        value: Any = _as_json(child) if len(child) else (child.text or "").strip()
        if value not in ("", {}):
            found.setdefault(str(child.tag), []).append(value)
    return {tag: values if len(values) > 1 else values[0] for tag, values in found.items()}
