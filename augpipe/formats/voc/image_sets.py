"""The lists of ImageSets, and which split of a dataset each picture is in."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import PurePosixPath

from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import is_picture, plural
from augpipe.formats.indexing import subfolders
from augpipe.formats.layout.splits import chosen_split, in_order, known_split, shown_splits, split_called, split_in
from augpipe.formats.voc.roots import VocRoot
from augpipe.storage.fs import files_in
from augpipe.storage.tree import AnyPath

_LISTS = ("Main", "Segmentation", "Layout", "Action", "")


def chosen_lists(
    src: AnyPath, roots: Sequence[VocRoot], asked: str | None
) -> tuple[str | None, list[list[str] | None]]:
    """(the split that is asked for, the lines of its list in each root); by its own name, else by one that means it.

    Raises ``DatasetError`` if there is neither a list, nor a root or a folder of annotations of that name.
    """
    if asked is None:
        return None, [None] * len(roots)
    for split in (asked, split_by_alias(roots, asked) or asked):
        lists = [list_lines(root, split) for root in roots]
        if any(lines is not None for lines in lists) or any(is_split_folder(root, split) for root in roots):
            return split, lists
    raise DatasetError(f"{src}: no ImageSets/Main/{asked}.txt; {splits_there(roots)}")


def list_lines(root: VocRoot, split: str) -> list[str] | None:
    """The lines of the list of that name, ``None`` if there is none; raises ``DatasetError`` for a path."""
    if not split or PurePosixPath(split).name != split:
        raise DatasetError(f"--split {one_line(split)}: expected a name such as trainval")
    for group in _LISTS if root.sets is not None else ():
        path = (root.sets or root.xml) / group / f"{split}.txt"
        if path.is_file():
            text = path.read_text("utf-8-sig", errors="replace")
            return [unicodedata.normalize("NFC", line.strip()) for line in text.splitlines() if line.strip()]
    return None


def _list_names(root: VocRoot) -> set[str]:
    """The names of a root's lists, but for those of single classes: aeroplane_train.txt lists what train.txt does."""
    groups = [root.sets / group for group in _LISTS] if root.sets is not None else []
    names = {path.stem for group in groups if group.is_dir() for path in files_in(group, "*.txt")}
    return {name for name in names if name.rpartition("_")[2] not in names - {name}}


def split_by_alias(roots: Sequence[VocRoot], split: str) -> str | None:
    """The list, root or folder of annotations that is meant by another name of a split."""
    folders = {name for root in roots for name in subfolders(root.xml)}
    return chosen_split(split, {*(n for root in roots for n in _list_names(root)), *(r.name for r in roots), *folders})


def splits_of(root: VocRoot, stems: Sequence[str], remarks: list[str]) -> tuple[Callable[[str], str], dict[str, None]]:
    """(what gives the split of a stem, listed names that nothing has).

    A split is told by the root's name or the folder of the XML, else by the lists.

    Lists of train, val and test part a dataset, and that of trainval where there is no train. A stem in several of them
    belongs to the first. Beside them, a list by another name is a split of its own if it shares no stem with others.
    """
    if (own := known_split(root.name)) is not None:
        return (lambda stem: own), {}
    names = _list_names(root)
    parts = [name for name in in_order(names) if known_split(name) is not None]
    if "train" not in map(known_split, parts) and "trainval" in names:
        parts.append("trainval")
    out: dict[str, str] = {}
    twice: dict[str, str] = {}
    nowhere: dict[str, None] = {}
    for name in parts:
        wanted, unknown = listed_stems(root, name, list_lines(root, name), list(stems))
        nowhere.update(dict.fromkeys(unknown))
        for stem in (*wanted, *unknown):
            if out.setdefault(stem, split_called(name)) != split_called(name):
                twice.setdefault(stem, f"{out[stem]} and {split_called(name)}")
    for name in sorted(names - set(parts)) if out else ():
        wanted, _ = listed_stems(root, name, list_lines(root, name), list(stems))
        if out.keys().isdisjoint(wanted):
            out.update(dict.fromkeys(wanted, name))
    if twice:
        stem, both = next(iter(twice.items()))
        count = plural(len(twice), "picture")
        remarks.append(f"{count} in the lists of two splits, taken for the first: {one_line(stem)}, {both}")
    return (lambda stem: out.get(stem) or split_in(stem)), nowhere


def is_split_folder(root: VocRoot, split: str) -> bool:
    """Whether a split is a root of its own, or a folder of annotations."""
    return root.name == split or (root.xml / split).is_dir()


def splits_there(roots: Sequence[VocRoot]) -> str:
    """Which splits there are, as the end of a message."""
    names = {n for root in roots for n in _list_names(root)} | {root.name for root in roots if root.name}
    return f"there are {shown_splits(names)}" if names else "there are no lists"


def listed_stems(
    root: VocRoot, split: str | None, lines: list[str] | None, stems: list[str]
) -> tuple[Collection[str], list[str]]:
    """(stems of the split, names in its list that nothing has)."""
    if split is None or (lines is None and root.name == split):
        return set(stems), []
    if lines is None:
        return {stem for stem in stems if stem.startswith(f"{split}/")}, []
    known: dict[str, list[str]] = {}
    for stem in stems:
        known.setdefault(os.path.basename(stem), []).append(stem)
    known |= {stem: [stem] for stem in stems}
    wanted, unknown = set[str](), dict[str, None]()
    for line in lines:
        if line in known:
            wanted.update(known[line])
            continue
        names = list(_names(line))
        match = next((known[name] for name in names if name in known), None)
        if match is None:
            unknown[names[-1]] = None
        wanted.update(match or ())
    return wanted, list(unknown)


def _names(line: str) -> Iterator[str]:
    """What a line of a list may mean, the plainest first: class lists have a 1, 0 or −1 behind, others an ending.

    >>> list(_names("img (3).jpg -1"))
    ['img (3).jpg -1', 'img (3).jpg', 'img (3)']
    """
    yield line
    while len(parts := line.rsplit(maxsplit=1)) == 2 and parts[1].lstrip("+-").isdecimal():
        line = parts[0]
        yield line
    if is_picture(line):
        line = os.path.splitext(line)[0]
        yield line
    if "/" in line:
        yield os.path.basename(line)
