"""Finding CVAT's XML, its pictures and its classes.

The file is gone through once; what is kept of a picture is where its element lies.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Sequence

from augpipe.core.annotations import Category
from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions
from augpipe.formats.coco.read import key_of
from augpipe.formats.cvat.read import CvatReader
from augpipe.formats.cvat.scan import Scan, scan
from augpipe.formats.indexing import categories_by_name, digest_of, is_wrapper, left_out, of_split, split_of, subfolders
from augpipe.formats.layout.picture_paths import pictures_of
from augpipe.formats.layout.splits import split_called
from augpipe.labels.keypoints import flip_pairs_of
from augpipe.storage.byte_range import ByteRange, kept_open, read_ranges
from augpipe.storage.fs import files_in, relative_to, start_of
from augpipe.storage.temp_copy import spooled
from augpipe.storage.tree import AnyPath

_SNIFFED_BYTES = 1 << 16
_SNIFFED_FILES = 8
_HEAD = re.compile(rb"<annotations[\s>]")


def xml_files(src: AnyPath) -> dict[str, AnyPath]:
    """Relative path → CVAT XML, of a source that is one, or of a folder and the folders in it."""
    if src.is_file():
        return {src.name: src} if src.suffix.lower() == ".xml" and _looks_like_cvat(src) else {}
    if not src.is_dir():
        return {}
    found = {path.name: path for path in _in_folder(src)}
    for name, folder in subfolders(src).items() if not found else ():
        found |= {f"{name}/{path.name}": path for path in _in_folder(folder)}
    return found


def _in_folder(folder: AnyPath) -> list[AnyPath]:
    """The CVAT XML of a folder; none where its first ones are something else, as a hundred thousand of VOC."""
    files = files_in(folder, "*.xml")
    return [p for p in files if _looks_like_cvat(p)] if any(map(_looks_like_cvat, files[:_SNIFFED_FILES])) else []


def _looks_like_cvat(path: AnyPath) -> bool:
    return _HEAD.search(start_of(path, _SNIFFED_BYTES)) is not None


def detect(source: Source) -> bool:
    """Whether there is an XML with ``<annotations>``."""
    return not is_wrapper(source.where) and bool(xml_files(source.where))


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index the XML of a source; subsets of its pictures, or several files, are splits."""
    src, files = source.where, xml_files(source.where)
    if not files:
        raise DatasetError(f"{src}: no CVAT XML; expected an annotations.xml with <annotations>")
    root = src.parent if src.is_file() else src
    local = {file: spooled(path) for file, path in files.items()}
    scans = {file: scan(path, files[file]) for file, path in local.items()}
    if not any(found.images for found in scans.values()):
        video = any(found.tracks for found in scans.values())
        raise DatasetError(f"{src}: {_VIDEO if video else 'no <image> in the XML of CVAT; nothing is annotated'}")
    several = {file: (split_of(file) or posixpath.dirname(file) or file) if len(files) > 1 else "" for file in files}
    there = {image.subset or several[file] for file, found in scans.items() for image in found.images}
    chosen = set(of_split(src, {split: split for split in there}, options.split))
    pictures = pictures_of(root, options)
    entries: list[Entry] = []
    used = 0
    with kept_open():
        for file, found in scans.items():
            images = [image for image in found.images if (image.subset or several[file]) in chosen]
            shown = relative_to(files[file], root)
            for image in images:
                beside = posixpath.join(posixpath.dirname(file), image.subset)
                split = split_called(image.subset or several[file])
                path = pictures.find(image.name, beside) or pictures.find(image.name, posixpath.join("images", beside))
                digest = digest_of(*read_ranges(str(local[file]), [(image.start, image.size)]))
                at = ByteRange(str(local[file]), image.start, image.size, shown)
                used += path is not None
                if path is not None:
                    entries.append(Entry.at(path, pictures.root / path, at, shown, digest)._replace(split=split))
                else:
                    key = key_of(image.name).replace("\0", "?") or "?"
                    entries.append(Entry(key, None, at, one_line(key), digest, split=split))
    categories = _categories(list(scans.values()), options, src)
    reader = CvatReader({c.name: c.id for c in categories}, {c.name: c.keypoints for c in categories if c.keypoints})
    alone = 0 if options.split is not None or src.is_file() else len(pictures.paths) - used
    remarks = [*left_out(alone, "picture", "without an <image>"), *_left(list(scans.values()))]
    return Dataset.of("cvat", src, categories, entries, reader, options, remarks)


_VIDEO = "CVAT for video (<track>); in CVAT export the task as 'CVAT for images 1.1', COCO or YOLO, which are read"


def _categories(scans: Sequence[Scan], options: SourceOptions, src: AnyPath) -> tuple[Category, ...]:
    """The labels that the head lists, in its order, then others as they occur; skeletons with the names of points."""
    names = dict.fromkeys(name for found in scans for name in (*found.listed, *found.labels))
    points: dict[str, dict[str, None]] = {}
    for found in scans:
        for name, own in found.keypoints.items():
            points.setdefault(name, {}).update(own)
    out = []
    for category in categories_by_name(names):
        own_points = tuple(points.get(category.name, ()))
        pairs = flip_pairs_of(own_points)
        out.append(Category(category.id, category.label, category.name, keypoints=own_points, flip_pairs=pairs))
    return tuple(out)


def _left(scans: Sequence[Scan]) -> list[str]:
    left = sum((found.left for found in scans), Counter[str]())
    kinds = one_line(", ".join(f"{kind} {n:,}" for kind, n in sorted(left.items())), 100)
    example = next((found.example for found in scans if found.example), "")
    return left_out(left.total(), "shape", f"of types that enclose no area, or points alone ({kinds}), as {example}")
