"""A CVAT XML from end to end, in bounded memory: where each picture's element lies, and what labels there are."""

from __future__ import annotations

import mmap
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.cvat.read import SHAPES, is_point
from augpipe.formats.limits import DEEPEST, LARGEST_LABELS, MOST_ATTRIBUTES, require_list
from augpipe.storage.fs import size_of

_CHUNK = 1 << 20
_TAG = re.compile(rb"""(?:[^"'>]|"[^"]*"|'[^']*')*>""")
_ENCODINGS = ("utf-8", "us-ascii", "ascii", "utf8")


@dataclass
class ImageAt:
    """An ``<image>``: what it is called, its subset, and its bytes."""

    name: str
    subset: str
    start: int
    size: int = 0


@dataclass
class Scan:
    """What an XML holds. ``listed`` are the labels of its head, ``labels`` those of objects and tags, ``keypoints``
    those of the points of skeletons by the label of these, ``left`` what encloses no area, by element."""

    images: list[ImageAt] = field(default_factory=list)
    listed: dict[str, None] = field(default_factory=dict)
    labels: dict[str, None] = field(default_factory=dict)
    keypoints: dict[str, dict[str, None]] = field(default_factory=dict)
    left: Counter[str] = field(default_factory=Counter)
    example: str = ""
    tracks: int = 0


def scan(path: Path, shown: object) -> Scan:
    """Go through a file. Raises ``DatasetError`` if it is not well-formed, not UTF-8, has entities, or is too deep."""
    if size_of(path) <= 0:
        raise DatasetError(f"{shown}: the file is empty; expected CVAT's annotations.xml")
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        walk = _Walk(mapped, shown)
        try:
            while chunk := file.read(_CHUNK):
                walk.parser.Parse(chunk, False)
                walk.require_short(file.tell())
            walk.parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise DatasetError(f"{shown}:{error.lineno}: not XML: {one_line(error)}") from error
        except (ValueError, LookupError) as error:
            raise DatasetError(f"{shown}: {one_line(error)}; save it as UTF-8") from error
        return walk.found


class _Walk:
    def __init__(self, mapped: mmap.mmap, shown: object) -> None:
        self.found = Scan()
        self._mapped, self._shown = mapped, shown
        self._path: list[str] = []
        self._text: list[str] = []
        self._label: dict[str, str] = {}
        self._skeleton = ""
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.XmlDeclHandler = self._declared
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def require_short(self, end: int) -> None:
        """Refuse a tag that goes on at byte ``end``, before it takes memory for more attributes than any has."""
        start = self.parser.CurrentByteIndex
        if 0 <= start < end - _CHUNK:
            require_list(end - start, LARGEST_LABELS, "bytes of one tag", self._shown)
            require_list(self._mapped[start:end].count(b"="), MOST_ATTRIBUTES, "attributes of one tag", self._shown)

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            raise DatasetError(f"{self._shown}: is in {one_line(encoding, 40)}; save it as UTF-8, as CVAT does")

    def _doctype(self, name: str, *rest: object) -> None:
        raise DatasetError(f"{self._shown}: XML with a DTD or entities is not read; CVAT writes none")

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        path = self._path
        path.append(tag)
        depth = len(path)
        if depth > DEEPEST:
            raise DatasetError(f"{self._shown}: elements nested in more than {DEEPEST} levels")
        if depth == 1 and tag != "annotations":
            raise DatasetError(f"{self._shown}: expected <annotations>, got <{one_line(tag, 40)}>")
        if depth == 2 and tag == "image":
            at = self.parser.CurrentByteIndex
            end = self._end_of_tag(at)
            size = end - at if self._mapped[end - 2 : end] == b"/>" else 0
            self.found.images.append(ImageAt(attributes.get("name", ""), attributes.get("subset", ""), at, size))
        elif depth == 2 and tag == "track":
            self.found.tracks += 1
        elif depth == 2 and tag == "meta":
            self.parser.CharacterDataHandler = self._text.append
        elif depth == 3 and path[1] == "image":
            self._object(tag, attributes)
        elif depth == 4 and path[2] == "skeleton" and tag == "points":
            self.found.keypoints.setdefault(self._skeleton, {})[attributes.get("label", "").strip()] = None
        self._text.clear()

    def _object(self, tag: str, attributes: Mapping[str, str]) -> None:
        label = attributes.get("label", "").strip()
        if tag == "tag" or (tag in SHAPES and not is_point(tag, attributes)):
            self.found.labels.update({label: None} if label else {})  # reading says where one is missing
        else:
            self.found.left[tag] += 1
            name = one_line(self.found.images[-1].name, 80)
            self.found.example = self.found.example or f"'{one_line(label, 40)}' in {name}"
        self._skeleton = label if tag == "skeleton" else ""

    def _end(self, tag: str) -> None:
        path = self._path
        if path[1:2] == ["meta"]:
            self._end_in_meta(tag)
        elif len(path) == 2 and tag == "image":
            image = self.found.images[-1]
            image.size = image.size or self._end_of_tag(self.parser.CurrentByteIndex) - image.start
        path.pop()

    def _end_of_tag(self, at: int) -> int:
        """The byte behind a tag, which may have ``>`` in its attributes."""
        tag = _TAG.match(self._mapped, at)
        return tag.end() if tag else len(self._mapped)

    def _end_in_meta(self, tag: str) -> None:
        """Labels are meta/TASK/labels/label with name, and the label of a point its parent."""
        if self._path[-2:-1] == ["label"] and tag in ("name", "parent"):
            self._label[tag] = "".join(self._text).strip()
        elif tag == "label" and self._label.get("name"):
            name, parent = self._label["name"], self._label.get("parent")
            if parent:
                self.found.keypoints.setdefault(parent, {})[name] = None
            else:
                self.found.listed[name] = None
        if tag == "label":
            self._label = {}
        elif len(self._path) == 2:
            self.parser.CharacterDataHandler = None
        self._text.clear()
