"""Where the pictures of a YOLO dataset are, and in which splits: by a ``data.yaml``, or by folders and lists."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import SourceOptions, is_picture
from augpipe.formats.indexing import left_out, links_left_out, read_classes
from augpipe.formats.layout.name_matching import match_names
from augpipe.formats.layout.splits import chosen_split, in_order, known_split, shown_splits, split_called, split_in
from augpipe.formats.yolo.data_yaml import SPLITS, DataYaml
from augpipe.storage.byte_range import bytes_of
from augpipe.storage.fs import above, absolute_of, at_path, files_in, normal, place_of, walk_files
from augpipe.storage.tree import AnyPath, ArchivePath

NAME_FILES = ("classes.txt", "obj.names")
_ROBOFLOW_NAMES = "_darknet.labels"
_SHOWN = 3


@dataclass
class YoloPictures:
    """The pictures by split, as absolute paths in the order found (in an archive from its root), and more.

    ``chosen`` is the split that is read, ``None`` if all are. ``named`` says that ``--classes`` has named the classes.
    """

    root: AnyPath
    names: tuple[str, ...]
    pictures: dict[str, list[str]] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    data: DataYaml | None = None
    chosen: str | None = None
    named: bool = False


def by_yaml(data: DataYaml, options: SourceOptions) -> YoloPictures:
    """The pictures that a ``data.yaml`` names."""
    here = above(data.file)
    root = here if data.path is None else normal(here / data.path)
    found = YoloPictures(root, data.names, data=data)
    if not root.is_dir():
        found.remarks.append(
            f"path of {data.file.name} is not there ({one_line(data.path, 200)}): read from its folder"
        )
        found.root = root = here
    splits = {**data.splits, **_own_splits(data, found.root, here)}
    if options.split is not None:
        found.chosen = chosen_split(options.split, splits)
        if found.chosen is None:
            raise DatasetError(f"{data.file}: no split '{one_line(options.split)}'; there are {shown_splits(splits)}")
    links: set[str] = set()
    for split, places in splits.items():
        for place in places:
            at = _resolved(place, root, here)
            if at is None:
                if found.chosen == split:
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


def _own_splits(data: DataYaml, root: AnyPath, here: AnyPath) -> dict[str, tuple[str, ...]]:
    """The splits by names of one's own: what names folders, or lists, that are there below the dataset's folder."""

    def is_place(place: str) -> bool:
        at = normal(root / place)
        inside = at not in (root, here) and (root in at.parents or here in at.parents)
        return inside and (at.is_dir() or (at.suffix == ".txt" and at.is_file()))

    return {name: places for name, places in data.others.items() if all(map(is_place, places))}


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


def by_folders(src: AnyPath, options: SourceOptions) -> YoloPictures:
    """All pictures below a folder without a ``data.yaml``; splits are its folders, or lists of pictures beside them."""
    root = src if isinstance(src, ArchivePath) else Path(os.path.abspath(src))
    file = names_file(root)
    if file is None and options.classes is None:
        raise DatasetError(
            f"{src}: no class names; expected a data.yaml, classes.txt or obj.names in it, or --classes FILE"
        )
    names = tuple(read_classes(file if file is not None else options.classes or root))
    _require_same_names(root, file, names)
    found = YoloPictures(root, names, named=file is None)
    links: set[str] = set()
    found.pictures["all"] = everything = [
        *_pictures(root, root, links),
        *(p for folder in _linked(root) for p in _pictures(folder, root, links)),
    ]
    found.remarks += links_left_out(links - {str(folder) for folder in _linked(root)}, root)
    _part(found, everything)
    if options.split is not None:
        found.chosen = _chosen_of_folders(found, options.split, everything, links)
    return found


def _part(found: YoloPictures, everything: Sequence[str]) -> None:
    """Add the splits of a folder: lists of pictures beside its folders, as ``train.txt``, and folders of that name."""
    links: set[str] = set()
    base = absolute_of(found.root)
    there = {path.removeprefix(f"{base}/"): path for path in everything}
    for path in files_in(found.root, "*.txt"):
        if (split := known_split(path.stem)) is None:
            continue
        listed = {p: p.removeprefix(f"{base}/") for p in _pictures(path, found.root, links)}
        named = [there[name] for name in listed.values() if name in there]
        missing = [name for name in listed.values() if name not in there]
        matches = match_names(missing, there, set(listed.values()))
        found.pictures[split] = named + [there[match.name] for match in matches.values()]
        found.remarks += left_out(len(missing) - len(matches), f"picture of {path.name}", "that is not there")
    listed_ones = {path for split, paths in found.pictures.items() if split != "all" for path in paths}
    for path_of in everything:
        if path_of not in listed_ones and (split := split_in(path_of.removeprefix(f"{base}/"))):
            found.pictures.setdefault(split, []).append(path_of)


def _chosen_of_folders(found: YoloPictures, asked: str, everything: Sequence[str], links: set[str]) -> str:
    """The split that is asked for: one of those found, else a list or a folder of that name."""
    own = found.root / f"{asked}.txt"
    base = absolute_of(found.root)
    if (name := chosen_split(asked, (n for n in found.pictures if n != "all"))) is not None:
        return name
    if own.is_file() and own.parent == found.root:
        found.pictures[asked] = _pictures(own, found.root, links)
    else:
        parts = (f"{base}/{asked}/", f"{base}/images/{asked}/")
        found.pictures[asked] = [path for path in everything if path.startswith(parts)]
    if not found.pictures[asked]:
        raise DatasetError(f"{found.root}: no split '{one_line(asked)}'; expected a folder or a list of that name")
    return asked


def splits_of(found: YoloPictures) -> dict[str, str]:
    """Picture → its split; of several that name it the first in the order train, val, test.

    Splits of the same pictures are none: Ultralytics asks for train and val, also where a dataset is not parted.
    """
    stand_ins = stand_ins_of(found)
    own = [name for name in found.pictures if name != "all"]
    if len(own) > 1 and len({frozenset(found.pictures[name]) for name in own}) == 1 and all(map(known_split, own)):
        return {}
    out: dict[str, str] = {}
    for split in in_order(name for name in own if name not in stand_ins):
        for path in found.pictures[split]:
            out.setdefault(path, split_called(split))
    return out


def stand_ins_of(found: YoloPictures) -> set[str]:
    """The splits that name the pictures of another one only because Ultralytics asks for train and val: ``val`` those
    of ``train``, or either of them those of a split by a name of its own."""
    sets = {name: frozenset(paths) for name, paths in found.pictures.items() if name != "all"}
    named = {sets[name] for name in sets if known_split(name) is None}
    stand_ins = {name for name in ("train", "val") if sets.get(name) in named}
    return stand_ins | ({"val"} if "val" in sets and sets["val"] == sets.get("train") else set())


def _require_same_names(root: AnyPath, file: AnyPath | None, names: tuple[str, ...]) -> None:
    """Raises ``DatasetError`` if the splits list other classes: a number would mean two of them."""
    for other in (root / split / _ROBOFLOW_NAMES for split in SPLITS):
        if other != file and other.is_file() and tuple(read_classes(other)) != names:
            raise DatasetError(f"{other}: lists other classes than {file}; read the splits apart")


def _linked(root: AnyPath) -> list[AnyPath]:
    """Folders ``images`` that are links: they have a meaning of their own, so they are followed."""
    places = (root, *(root / split for split in SPLITS))
    return [p / "images" for p in places if (p / "images").is_symlink() and (p / "images").is_dir()]


def names_file(src: AnyPath) -> AnyPath | None:
    """A file of class names, one a line, beside the folders or, as labelImg puts it, among the labels."""
    listed = [src / name for name in NAME_FILES] + [src / "labels" / name for name in NAME_FILES]
    listed += [folder / _ROBOFLOW_NAMES for folder in (src, *(src / split for split in SPLITS))]
    return next((p for p in (*listed, *files_in(src, "*.names")) if p.is_file()), None)
