"""Finding YOLO data: a ``data.yaml``, or ``images/`` beside ``labels/``, or pictures with their text files beside them.

``data.yaml`` may name any folder, also an absolute one, as Ultralytics lets it: datasets are kept apart from their
configuration. So what it names is read wherever it lies, pictures and label files only, and a remark says which
folders those are. The label file of a picture is found by Ultralytics' rule, :func:`label_of`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from augpipe.core.annotations import Category
from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions, is_picture, plural
from augpipe.formats.indexing import digest_of, left_out, links_left_out, listed_classes, names_in, read_classes
from augpipe.formats.kitti.read import is_row
from augpipe.formats.text_folders import first_lines
from augpipe.formats.yolo.data_yaml import KINDS, SPLITS, DataYaml, Kind, read_data_yaml
from augpipe.formats.yolo.read import YoloReader, kind_of, lengths_of
from augpipe.labels.keypoints import flip_pairs_of
from augpipe.storage.byte_range import bytes_of
from augpipe.storage.fs import (
    above,
    absolute_of,
    at_path,
    children,
    files_in,
    first_bytes,
    names_of,
    normal,
    place_of,
    relative_to,
    size_of,
    walk_files,
)
from augpipe.storage.tree import AnyPath, ArchivePath

_NAME_FILES = ("classes.txt", "obj.names")
_ROBOFLOW_NAMES = "_darknet.labels"
_SNIFFED_BYTES = 65_536
_SHOWN = 3


# --- looking ---------------------------------------------------------------------------------------------------------


def detect(source: Source) -> bool:
    """Whether there is a ``data.yaml``, or label files beside pictures."""
    src = source.where
    return yaml_of(src) is not None or (src.is_dir() and _has_labels(src))


def yaml_of(src: AnyPath) -> AnyPath | None:
    """The ``data.yaml`` of a source: itself, the one of that name, or the only one of its folder that looks so."""
    if not src.is_dir():
        return src if src.suffix.lower() in (".yaml", ".yml") and _looks_like_data(src) else None
    for name in ("data.yaml", "data.yml"):
        if _looks_like_data(src / name):
            return src / name
    others = [p for p in children(src) if p.suffix.lower() in (".yaml", ".yml") and _looks_like_data(p)]
    return others[0] if len(others) == 1 else None


def _looks_like_data(file: AnyPath) -> bool:
    try:
        lines = first_bytes(file, _SNIFFED_BYTES).splitlines()
    except (OSError, ValueError):
        return False
    keys = {line.removeprefix(b"\xef\xbb\xbf").partition(b":")[0].rstrip(b" \t'\"").lstrip(b"'\"") for line in lines}
    return bool(keys & {b"names", b"nc"}) and bool(keys & {split.encode() for split in SPLITS})


def _has_labels(src: AnyPath) -> bool:
    """``images/`` beside ``labels/`` with text files, at the top or in folders of splits; or names and text files."""
    places = [src, *(src / split for split in SPLITS)]
    if any((p / "images").is_dir() and _has_texts(p / "labels") for p in places):
        return True
    return _names_file(src) is not None and any(
        name.endswith(".txt") and any((folder / name).with_suffix(e).exists() for e in (".jpg", ".png", ".jpeg"))
        for folder in (src, *(f for f in children(src) if f.is_dir()))
        for name in names_in(folder)
        if name not in _NAME_FILES
    )


def _has_texts(folder: AnyPath) -> bool:
    """Whether a folder has text files whose rows are not KITTI's, which are kept in folders of the same names."""
    texts = folder.is_dir() and any(name.endswith(".txt") for name in walk_files(folder))
    return texts and not any(map(is_row, first_lines(folder)))


def _names_file(src: AnyPath) -> AnyPath | None:
    """A file of class names, one a line, beside the folders or, as labelImg puts it, among the labels."""
    listed = [src / name for name in _NAME_FILES] + [src / "labels" / name for name in _NAME_FILES]
    listed += [folder / _ROBOFLOW_NAMES for folder in (src, *(src / split for split in SPLITS))]
    return next((p for p in (*listed, *files_in(src, "*.names")) if p.is_file()), None)


def label_of(picture: str) -> str:
    """Where Ultralytics looks for the labels of a picture: its last folder ``images`` is ``labels``, its ending .txt.

    >>> label_of("/data/images/train/a.jpg")
    '/data/labels/train/a.txt'
    """
    before, folder, after = picture.rpartition("/images/")
    return os.path.splitext(f"{before}/labels/{after}" if folder else picture)[0] + ".txt"


# --- opening ---------------------------------------------------------------------------------------------------------


@dataclass
class _Found:
    """The pictures by split, as absolute paths in the order found (in an archive from its root), and more."""

    root: AnyPath
    names: tuple[str, ...]
    pictures: dict[str, list[str]] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    data: DataYaml | None = None


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index a ``data.yaml``, or a folder; ``options.format`` may name the kind of rows, as in ``yolo:segment``."""
    src, asked = source.where, (options.format or "").partition(":")[2]
    file = yaml_of(src) or (src if src.is_file() else None)
    found = _by_yaml(read_data_yaml(file), options) if file is not None else _by_folders(src, options)
    everything = list(dict.fromkeys(path for paths in found.pictures.values() for path in paths))
    repeated = sum(map(len, found.pictures.values())) - len(everything)
    if options.split is None and repeated:
        found.remarks.append(f"{plural(repeated, 'picture')} named by more than one split, taken once")
    base = _base(everything, found.root)
    chosen = everything if options.split is None else list(dict.fromkeys(found.pictures[options.split]))
    lengths: Counter[int] = Counter()
    without = 0
    entries, wanted, labels = [], set(chosen), set[str]()
    for path in everything:  # of all splits, so that they agree on the kind
        label = _label(path, found.root)
        labels.add(label or "")
        data = b"" if label is None else bytes_of(place_of(at_path(found.root, label)))
        lengths.update(lengths_of(data))
        if path in wanted:
            without += label is None
            entries.append(_entry(path, base, label, data, found.root))
    _require_labels(labels, everything, found.root)
    if without:
        found.remarks.append(
            f"{plural(without, 'picture')} without a label file: background, as Ultralytics takes them"
        )
    alone = _labels_without_picture(everything, labels, found.root)
    found.remarks += left_out(alone, "label file", "without a picture")
    kpt_shape = None if found.data is None else found.data.kpt_shape
    kind = _kind(asked, found, lengths, kpt_shape)
    ids, categories = _categories(found, options, kind)
    reader = YoloReader(kind, ids, kpt_shape if kind == "pose" else None, options.exif)
    name = options.format or "yolo"
    return Dataset.of(name, found.root, categories, entries, reader, options, found.remarks)


def _kind(asked: str, found: _Found, lengths: Counter[int], kpt_shape: tuple[int, int] | None) -> Kind:
    stated = next((kind for kind in KINDS if kind == asked), found.data.task if found.data else None)
    if stated == "pose" and kpt_shape is None:
        raise DatasetError(f"{found.root}: no kpt_shape, so rows cannot be parted; add it to data.yaml")
    kind = stated or kind_of(lengths, kpt_shape)
    if stated is None and kind == "obb":
        found.remarks.append(
            "every row has eight numbers: read as oriented boxes; as polygons of four corners with --from yolo:segment"
        )
    if kind == "segment" and lengths[4]:
        rows = plural(lengths[4], "row")
        found.remarks.append(
            f"{rows} of four numbers among polygons: read as boxes, where Ultralytics makes points of them"
        )
    return kind


def _label(picture: str, root: AnyPath) -> str | None:
    """The label file of a picture, by the rule, else beside it; ``None`` if there is none."""
    beside = os.path.splitext(picture)[0] + ".txt"
    return next((p for p in (label_of(picture), beside) if size_of(at_path(root, p)) >= 0), None)


def _require_labels(labels: set[str], pictures: Sequence[str], root: AnyPath) -> None:
    if not pictures:
        raise DatasetError(f"{root}: no pictures found where the dataset should have them")
    if labels <= {""}:
        expected = f"{label_of(pictures[0])} for {pictures[0]}"
        raise DatasetError(f"{root}: no picture has a label file; expected {one_line(expected, 400)}")


def _labels_without_picture(pictures: Iterable[str], labels: set[str], root: AnyPath) -> int:
    folders = {os.path.dirname(label_of(picture)) for picture in pictures}
    apart = folders - {os.path.dirname(picture) for picture in pictures}  # beside pictures other texts may lie
    folders_there = [(f, at) for f in apart if (at := at_path(root, f)).is_dir()]
    there = (f"{f}/{n}" for f, at in folders_there for n in names_of(at) if n.endswith(".txt"))
    return sum(path not in labels and os.path.basename(path) not in _NAME_FILES for path in there)


def _base(pictures: Sequence[str], root: AnyPath) -> str:
    """The folder that keys start from: ``images`` of the root, the root, or what all pictures have in common."""
    base = absolute_of(root)
    for folder in (f"{base}/images", base):
        if all(picture.startswith(f"{folder}/") for picture in pictures):
            return folder
    return os.path.commonpath([os.path.dirname(picture) for picture in pictures])


def _entry(path: str, base: str, label: str | None, data: bytes, root: AnyPath) -> Entry:
    at = None if label is None else place_of(at_path(root, label))
    entry = Entry.at(os.path.relpath(path, base or "/"), at_path(root, path), at, "", digest_of(data))
    shown = label or path if entry.picture else path
    return entry._replace(file=relative_to(at_path(root, shown), root))


# --- where the pictures are ------------------------------------------------------------------------------------------


def _by_yaml(data: DataYaml, options: SourceOptions) -> _Found:
    """The pictures that a ``data.yaml`` names."""
    here = above(data.file)
    root = here if data.path is None else normal(here / data.path)
    found = _Found(root, data.names, data=data)
    if not root.is_dir():
        found.remarks.append(
            f"path of {data.file.name} is not there ({one_line(data.path, 200)}): read from its folder"
        )
        found.root = root = here
    if options.split is not None and options.split not in data.splits:
        raise DatasetError(f"{data.file}: no split '{one_line(options.split)}'; there are {', '.join(data.splits)}")
    links: set[str] = set()
    for split, places in data.splits.items():
        for place in places:
            at = _resolved(place, root, here)
            if at is None:
                if options.split == split:
                    raise DatasetError(f"{data.file}: {split} names {one_line(place, 200)}, which is not there")
                found.remarks.append(f"left out: {split} names {one_line(place, 200)}, which is not there")
                continue
            found.pictures.setdefault(split, []).extend(_pictures(at, root, links))
            if here != at and here not in at.parents:
                found.outside.append(str(at))
    if not found.pictures:
        raise DatasetError(f"{data.file}: nothing that it names is there; see its path, train and val")
    found.remarks += links_left_out(links, root)
    if found.outside:
        shown = ", ".join(found.outside[:_SHOWN]) + (" …" if len(found.outside) > _SHOWN else "")
        found.remarks.append(f"{data.file.name} names places outside its own folder, which are read: {shown}")
    return found


def _resolved(place: str, root: AnyPath, here: AnyPath) -> AnyPath | None:
    """A place of a ``data.yaml``: below its path; without ``../`` as exports of one tool have it; beside the file."""
    for candidate in (root / place, root / place.removeprefix("../"), here / place):
        path = normal(candidate)
        if isinstance(path, Path) and path == Path(path.anchor):
            raise DatasetError(f"{one_line(place, 60)}: data.yaml names the whole disk; expected a folder of pictures")
        if path.exists():
            return path
    return None


def _pictures(at: AnyPath, root: AnyPath, links: set[str]) -> list[str]:
    """Absolute paths of the pictures in a folder, or in a list of them."""
    if at.is_dir():
        base = absolute_of(at)
        return [f"{base}/{name}" for name in walk_files(at, links) if is_picture(name)]
    lines = [line.strip() for line in bytes_of(place_of(at)).decode("utf-8-sig", "replace").splitlines()]
    return [_listed(line, at.parent, root) for line in lines if line and is_picture(line) and "\0" not in line]


def _listed(line: str, folder: AnyPath, root: AnyPath) -> str:
    """A line of a list: ``./`` starts at the list's own folder, as for Ultralytics; others at the root, if there."""
    starts = (folder,) if line.startswith("./") else (root, folder)
    paths = [os.path.normpath(os.path.join(absolute_of(start) or "/", line)) for start in starts]
    return next((path for path in paths if at_path(root, path).exists()), paths[0])


def _by_folders(src: AnyPath, options: SourceOptions) -> _Found:
    """All pictures below a folder without a ``data.yaml``; splits are its folders, or lists of pictures beside them."""
    root = src if isinstance(src, ArchivePath) else Path(os.path.abspath(src))
    file = _names_file(root)
    if file is None and options.classes is None:
        raise DatasetError(
            f"{src}: no class names; expected a data.yaml, classes.txt or obj.names in it, or --classes FILE"
        )
    names = tuple(read_classes(file if file is not None else options.classes or root))
    _require_same_names(root, file, names)
    found = _Found(root, names)
    links: set[str] = set()
    found.pictures["all"] = everything = [
        *_pictures(root, root, links),
        *(p for folder in _linked(root) for p in _pictures(folder, root, links)),
    ]
    found.remarks += links_left_out(links - {str(folder) for folder in _linked(root)}, root)
    if options.split is not None:
        wanted = options.split
        listed = root / f"{wanted}.txt"
        if listed.is_file() and listed.parent == root:
            found.pictures[wanted] = _pictures(listed, root, links)
        else:
            base = absolute_of(root)
            parts = (f"{base}/{wanted}/", f"{base}/images/{wanted}/")
            found.pictures[wanted] = [path for path in everything if path.startswith(parts)]
        if not found.pictures[wanted]:
            raise DatasetError(f"{src}: no split '{one_line(wanted)}'; expected a folder or a list of that name")
    return found


def _require_same_names(root: AnyPath, file: AnyPath | None, names: tuple[str, ...]) -> None:
    """Raises ``DatasetError`` if the splits list other classes: a number would mean two of them."""
    for other in (root / split / _ROBOFLOW_NAMES for split in SPLITS):
        if other != file and other.is_file() and tuple(read_classes(other)) != names:
            raise DatasetError(f"{other}: lists other classes than {file}; read the splits apart")


def _linked(root: AnyPath) -> list[AnyPath]:
    """Folders ``images`` that are links: they have a meaning of their own, so they are followed."""
    places = (root, *(root / split for split in SPLITS))
    return [p / "images" for p in places if (p / "images").is_symlink() and (p / "images").is_dir()]


# --- classes ---------------------------------------------------------------------------------------------------------


def _categories(found: _Found, options: SourceOptions, kind: Kind) -> tuple[tuple[int, ...], list[Category]]:
    """(category id of each class index, categories). Ids are the index plus one, or the line of ``--classes``."""
    names, ids = found.names, tuple(range(1, len(found.names) + 1))
    listed = list(names)
    if options.classes is not None:
        listed = listed_classes(options.classes, names, found.root)
        ids = tuple(listed.index(name) + 1 for name in names)
    plain = Category(0, 0, "")
    if kind == "pose" and found.data is not None:
        plain = _with_keypoints(plain, found.data, found.remarks)
    return ids, [replace(plain, id=i, label=i, name=name) for i, name in enumerate(listed, start=1)]


def _with_keypoints(category: Category, data: DataYaml, remarks: list[str]) -> Category:
    """The keypoints that every class has, and the pairs that a mirror image swaps."""
    count = data.kpt_shape[0] if data.kpt_shape else 0
    names = data.kpt_names or tuple(f"keypoint_{i}" for i in range(count))
    flip = data.flip_idx
    pairs = flip_pairs_of(data.kpt_names)
    if flip is not None and sorted(flip) == list(range(count)) and all(flip[flip[i]] == i for i in range(count)):
        pairs = tuple((i, k) for i, k in enumerate(flip) if i < k)
    elif flip is not None:
        remarks.append("flip_idx is not used: it is no list of pairs over all keypoints")
    elif not pairs and count > 1:
        remarks.append(
            "no flip_idx: a mirror image swaps no keypoints; add it to data.yaml, or flip_pairs to the recipe"
        )
    return replace(category, keypoints=names, flip_pairs=pairs)
