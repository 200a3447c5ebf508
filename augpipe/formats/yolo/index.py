"""Finding YOLO data: a ``data.yaml``, or ``images/`` beside ``labels/``, or pictures with their text files beside them.

``data.yaml`` may name any folder, also an absolute one, as Ultralytics lets it: datasets are kept apart from their
configuration. So what it names is read wherever it lies, pictures and label files only, and a remark says which
folders those are. The label file of a picture is found by Ultralytics' rule, :func:`label_of`.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from augpipe.core.annotations import Category
from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions, is_picture, plural
from augpipe.formats.indexing import digest_of, left_out, names_in
from augpipe.formats.kitti.read import is_row
from augpipe.formats.layout.name_matching import match_names
from augpipe.formats.layout.splits import split_called
from augpipe.formats.layout.text_folders import first_lines
from augpipe.formats.yolo.data_yaml import KINDS, SPLITS, DataYaml, Kind, read_data_yaml
from augpipe.formats.yolo.pictures import (
    NAME_FILES,
    YoloPictures,
    by_folders,
    by_yaml,
    names_file,
    splits_of,
    stand_ins_of,
)
from augpipe.formats.yolo.read import YoloReader, kind_of, lengths_of
from augpipe.labels.keypoints import flip_pairs_of
from augpipe.storage.byte_range import bytes_of
from augpipe.storage.fs import (
    absolute_of,
    at_path,
    children,
    first_bytes,
    names_of,
    place_of,
    relative_to,
    size_of,
    walk_files,
)
from augpipe.storage.tree import AnyPath

_SNIFFED_BYTES = 65_536


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
        data = first_bytes(file, _SNIFFED_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    except (OSError, ValueError):
        return False
    lines = re.split(rb"[{,}\r\n]\s*" if data.startswith(b"{") else rb"[\r\n]", data)  # as JSON, or a field a line
    keys = {line.partition(b":")[0].rstrip(b" \t'\"").lstrip(b"'\"") for line in lines}
    return bool(keys & {b"names", b"nc"}) and bool(keys & {split.encode() for split in SPLITS})


def _has_labels(src: AnyPath) -> bool:
    """``images/`` beside ``labels/`` with text files, at the top or in folders of splits; or names and text files."""
    places = [src, *(src / split for split in SPLITS)]
    if any((p / "images").is_dir() and _has_texts(p / "labels") for p in places):
        return True
    return names_file(src) is not None and any(
        name.endswith(".txt") and any((folder / name).with_suffix(e).exists() for e in (".jpg", ".png", ".jpeg"))
        for folder in (src, *(f for f in children(src) if f.is_dir()))
        for name in names_in(folder)
        if name not in NAME_FILES
    )


def _has_texts(folder: AnyPath) -> bool:
    """Whether a folder has text files whose rows are not KITTI's, which are kept in folders of the same names."""
    texts = folder.is_dir() and any(name.endswith(".txt") for name in walk_files(folder))
    return texts and not any(map(is_row, first_lines(folder)))


def label_of(picture: str) -> str:
    """Where Ultralytics looks for the labels of a picture: its last folder ``images`` is ``labels``, its ending .txt.

    >>> label_of("/data/images/train/a.jpg")
    '/data/labels/train/a.txt'
    """
    before, folder, after = picture.rpartition("/images/")
    return os.path.splitext(f"{before}/labels/{after}" if folder else picture)[0] + ".txt"


# --- opening ---------------------------------------------------------------------------------------------------------


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index a ``data.yaml``, or a folder; ``options.format`` may name the kind of rows, as in ``yolo:segment``."""
    src, asked = source.where, (options.format or "").partition(":")[2]
    file = yaml_of(src) or (src if src.is_file() else None)
    found = by_yaml(read_data_yaml(file), options) if file is not None else by_folders(src, options)
    everything = list(dict.fromkeys(path for paths in found.pictures.values() for path in paths))
    aside = {"all", *(stand_ins_of(found) if found.pictures.keys() - {"all", "train", "val"} else ())}
    named = Counter(path for split, paths in found.pictures.items() if split not in aside for path in set(paths))
    repeated = [path for path, times in named.items() if times > 1]
    if found.chosen is None and repeated:
        first = one_line(relative_to(at_path(found.root, repeated[0]), found.root), 80)
        count = plural(len(repeated), "picture")
        found.remarks.append(f"{count} named by more than one split, taken once, by the first of them: {first}")
    base = _base(everything, found.root)
    split_of = splits_of(found)
    chosen = everything if found.chosen is None else list(dict.fromkeys(found.pictures[found.chosen]))
    lengths: Counter[int] = Counter()
    without = 0
    entries, wanted = [], set(chosen)
    label_at = _labels(everything, found)
    for path in everything:  # of all splits, so that they agree on the kind
        label = label_at.get(path)
        data = b"" if label is None else bytes_of(place_of(at_path(found.root, label)))
        lengths.update(lengths_of(data))
        if path in wanted:
            without += label is None
            split = split_of.get(path, "") if found.chosen is None else split_called(found.chosen)
            entries.append(_entry(path, base, label, data, found.root)._replace(split=split))
    _require_labels(label_at.values(), everything, found.root)
    if without:
        found.remarks.append(
            f"{plural(without, 'picture')} without a label file: background, as Ultralytics takes them"
        )
    alone = _labels_without_picture(everything, label_at.values(), found.root)
    found.remarks += left_out(len(alone), "label file", "without a picture")
    kpt_shape = None if found.data is None else found.data.kpt_shape
    kind = _kind(asked, found, lengths, kpt_shape)
    ids, categories = _categories(found, kind)
    reader = YoloReader(kind, ids, kpt_shape if kind == "pose" else None, options.exif)
    name = options.format or "yolo"
    own = found.named
    return Dataset.of(name, found.root, categories, entries, reader, options, found.remarks, named=own)


def _kind(asked: str, found: YoloPictures, lengths: Counter[int], kpt_shape: tuple[int, int] | None) -> Kind:
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


def _labels(pictures: Sequence[str], found: YoloPictures) -> dict[str, str]:
    """Picture → its label file: where Ultralytics looks, beside it or, as told in a remark, under a name that fits."""
    out = {picture: label for picture in pictures if (label := _label(picture, found.root)) is not None}
    bare = [picture for picture in pictures if picture not in out]
    alone = _labels_without_picture(pictures, out.values(), found.root) if bare else []
    named = {_picture_of(label): label for label in alone}
    matches = match_names(named, bare)
    if matches:
        name, match = next(iter(matches.items()))
        label, picture = (relative_to(at_path(found.root, path), found.root) for path in (named[name], match.name))
        found.remarks.append(
            f"{plural(len(matches), 'label file')} found by another name, which Ultralytics does not look for: "
            f"{one_line(label, 80)} is that of {one_line(picture, 80)}"
        )
    return out | {match.name: named[name] for name, match in matches.items()}


def _picture_of(label: str) -> str:
    """What the picture of a label file is called; some tools keep its ending, as in ``a.png.txt``."""
    before, folder, after = os.path.splitext(label)[0].rpartition("/labels/")
    name = f"{before}/images/{after}" if folder else after
    return name if is_picture(name) else f"{name}.jpg"


def _label(picture: str, root: AnyPath) -> str | None:
    """The label file of a picture, by the rule, else beside it; ``None`` if there is none."""
    beside = os.path.splitext(picture)[0] + ".txt"
    return next((p for p in (label_of(picture), beside) if size_of(at_path(root, p)) >= 0), None)


def _require_labels(labels: Collection[str], pictures: Sequence[str], root: AnyPath) -> None:
    if not pictures:
        raise DatasetError(f"{root}: no pictures found where the dataset should have them")
    if not labels:
        expected = f"{label_of(pictures[0])} for {pictures[0]}"
        raise DatasetError(f"{root}: no picture has a label file; expected {one_line(expected, 400)}")


def _labels_without_picture(pictures: Iterable[str], labels: Collection[str], root: AnyPath) -> list[str]:
    taken = set(labels)
    folders = {os.path.dirname(label_of(picture)) for picture in pictures}
    apart = folders - {os.path.dirname(picture) for picture in pictures}  # beside pictures other texts may lie
    folders_there = [(f, at) for f in apart if (at := at_path(root, f)).is_dir()]
    there = (f"{f}/{n}" for f, at in folders_there for n in names_of(at) if n.endswith(".txt"))
    return [path for path in there if path not in taken and os.path.basename(path) not in NAME_FILES]


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


# --- classes ---------------------------------------------------------------------------------------------------------


def _categories(found: YoloPictures, kind: Kind) -> tuple[tuple[int, ...], list[Category]]:
    """(category id of each class index, which is the index plus one; categories)."""
    names, ids = found.names, tuple(range(1, len(found.names) + 1))
    plain = Category(0, 0, "")
    if kind == "pose" and found.data is not None:
        plain = _with_keypoints(plain, found.data, found.remarks)
    return ids, [replace(plain, id=i, label=i, name=name) for i, name in enumerate(names, start=1)]


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
