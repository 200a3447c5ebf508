"""Finding Pascal VOC trees: roots with ImageSets, flat folders of XML, several years or splits at once.

The devkit's layout is one of many in use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from augpipe.formats.base import is_picture
from augpipe.storage.fs import above, children, names_of, start_of, walk_files
from augpipe.storage.tree import AnyPath

_ANNOTATION_FOLDERS = ("annotations", "annotation")
_PICTURE_FOLDERS = ("jpegimages", "images", "imgs", "img")
_CLASS_LISTS = ("labelmap.txt", "class_names.txt", "classes.txt", "obj.names")
_VOC_XML = re.compile(rb"<annotation[\s/>]")
_SNIFFED_FILES, _SNIFFED_BYTES = 50, 4096


@dataclass(frozen=True)
class VocRoot:
    """One devkit-like tree. ``name`` is its folder's below the source, "" where it is the only one; ``listed`` is the
    list of its classes, if it has one."""

    name: str
    xml: AnyPath
    pictures: AnyPath
    sets: AnyPath | None = None
    class_masks: AnyPath | None = None
    object_masks: AnyPath | None = None
    listed: AnyPath | None = None


def find_roots(src: AnyPath) -> list[VocRoot]:
    """The VOC trees at ``src``: itself, a flat folder of XML, or its years or splits; empty if there is none."""
    if not src.is_dir():
        return []
    own = _root(src, "")
    if own is not None:
        return [own]
    if _is_flat(src):
        return [_flat(src, "")]
    children = sorted(child for child in src.iterdir() if child.is_dir() and not child.name.startswith("."))
    roots = [root for child in children if (root := _root(child, child.name)) is not None]
    roots = roots or [_flat(child, child.name) for child in children if _is_flat(child)]
    return [replace(roots[0], name="")] if len(roots) == 1 else roots


def _folders(base: AnyPath) -> dict[str, AnyPath]:
    return {child.name.lower(): child for child in children(base) if child.is_dir()}


def _first(folders: Mapping[str, AnyPath], names: Iterable[str]) -> AnyPath | None:
    return next((folders[name] for name in names if name in folders), None)


def _root(base: AnyPath, name: str) -> VocRoot | None:
    folders = _folders(base)
    xml = _first(folders, _ANNOTATION_FOLDERS)
    if "segmentationclass" not in folders and (xml is None or not _holds_voc(xml, walk_files(xml))):
        return None
    xml = xml or base / "Annotations"
    return VocRoot(
        name,
        xml,
        _first(folders, _PICTURE_FOLDERS) or (xml if _holds_pictures(xml) else base),
        folders.get("imagesets"),
        folders.get("segmentationclass"),
        folders.get("segmentationobject"),
        _list_in(base, xml),
    )


def _is_flat(folder: AnyPath) -> bool:
    return _holds_voc(folder, names_of(folder))


def _flat(folder: AnyPath, name: str) -> VocRoot:
    if any(map(is_picture, names_of(folder))):
        return VocRoot(name, folder, folder, listed=_list_in(folder))
    siblings = _folders(above(folder))
    return VocRoot(name, folder, _first(siblings, _PICTURE_FOLDERS) or folder, listed=_list_in(folder, above(folder)))


def _list_in(*places: AnyPath) -> AnyPath | None:
    """The list of classes that lies in one of some folders."""
    files = (place / name for place in places for name in _CLASS_LISTS)
    return next((file for file in files if file.is_file()), None)


def _holds_voc(folder: AnyPath, files: Iterable[str]) -> bool:
    """Whether one of the first XML files is VOC's; other tools write XML too."""
    names = [name for name in files if name.lower().endswith(".xml") and not name.startswith(".")]
    return any(_VOC_XML.search(_start_of(folder / name)) for name in names[:_SNIFFED_FILES])


def _start_of(path: AnyPath) -> bytes:
    return start_of(path, _SNIFFED_BYTES).replace(b"\0", b"")  # UTF-16 looks like ASCII then


def _holds_pictures(folder: AnyPath) -> bool:
    return folder.is_dir() and any(map(is_picture, walk_files(folder)))
