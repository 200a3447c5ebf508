"""What the indexes of formats have in common: folders, classes, and remarks on what is left out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from augpipe.core.annotations import Category
from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.formats.base import Entry, plural
from augpipe.formats.layout.splits import chosen_split, in_order, is_split, shown_splits
from augpipe.storage.fs import children, names_of, relative_to
from augpipe.storage.tree import AnyPath, ArchivePath, only_folder

_BACKGROUND = ("_background_", "__background__", "background")


def left_out(count: int, noun: str, why: str) -> list[str]:
    """The remark ``left out: 2 pictures WHY``; none if there was nothing to leave out."""
    return [f"left out: {plural(count, noun)} {why}"] if count else []


def subfolders(folder: AnyPath) -> dict[str, AnyPath]:
    """Name → path of the visible folders in a folder, sorted."""
    if not folder.is_dir():
        return {}
    return {c.name: c for c in children(folder) if c.is_dir() and not c.name.startswith(".")}


def names_in(folder: AnyPath) -> list[str]:
    """Names in a folder, sorted; none of one that may not be read, as ``lost+found`` of a disk: it is no dataset."""
    try:
        return names_of(folder)
    except OSError:
        return []


def links_left_out(links: Collection[str], root: AnyPath) -> list[str]:
    """A remark about links to folders that :func:`walk_files` has not followed, if there are any."""
    if not links:
        return []
    first = one_line(relative_to(min(links), root), 80)
    more = f" and {len(links) - 1} more" if len(links) > 1 else ""
    return [f"left out: {first}{more}, a link to a folder, which is not followed; put the folder itself there"]


def digest_of(*parts: bytes) -> bytes:
    """A short digest of some bytes, for the fingerprint."""
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).digest()


def require_as_indexed(entry: Entry, *parts: bytes) -> None:
    """Raise a ``changed`` ``Reject`` if labels are not those of which :func:`digest_of` has made the entry's digest."""
    if digest_of(*parts) != entry.digest:
        message = f"{entry.file}: its labels were changed while the run was at work"
        raise Reject("labels", "changed", message, file=entry.file, transient=True)


def categories_by_name(names: Iterable[str]) -> tuple[Category, ...]:
    """Categories 1..K, for a format without ids, as the names come."""
    return tuple(Category(id=i, label=i, name=name) for i, name in enumerate(names, start=1))


def categories_in(path: AnyPath, names: Iterable[str] = (), root: object = "") -> tuple[Category, ...]:
    """The categories 1..K of a file that names numbers: what its first line calls background has 0.

    Raises ``DatasetError`` if it lists not all of the ``names`` that ``root`` uses.
    """
    listed = without_background(read_classes(path), used := set(names))
    unknown = sorted(used - set(listed))
    if unknown:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        raise DatasetError(f"{path}: does not list the class '{one_line(unknown[0])}' that {root} uses{more}")
    return categories_by_name(listed)


def without_background(listed: list[str], used: Collection[str] = ()) -> list[str]:
    """A list of classes without what its first lines call no class, as labelme's do, unless that is ``used``."""
    for none in ("__ignore__", *_BACKGROUND):
        if listed[:1] == [none] and none not in used:
            listed = listed[1:]
    return listed


def read_classes(path: AnyPath) -> list[str]:
    """Class names, one a line; raises ``DatasetError`` for a file that cannot be read or lists a name twice."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else one_line(error)
        raise DatasetError(f"{path}: cannot read the class names: {why}") from error
    names = [line for line in lines if line]
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise DatasetError(f"{path}: lists '{one_line(twice)}' twice")
    if not names:
        raise DatasetError(f"{path}: lists no class; expected one name a line")
    return names


def labelled_by_id(categories: Iterable[Category]) -> tuple[Category, ...]:
    """Categories in id order with labels 1..K."""
    ordered = sorted(categories, key=lambda c: c.id)
    return tuple(replace(c, label=label) for label, c in enumerate(ordered, start=1))


# --- splits ----------------------------------------------------------------------------------------------------------


def split_of(path: str) -> str:
    """The split that a file is of: the first of its folders that is called like one, "" if none is."""
    return next((part for part in path.split("/")[:-1] if is_split(part)), "")


def is_wrapper(where: AnyPath) -> bool:
    """Whether all of an archive is in one folder that is called like no split: then the dataset is in there."""
    inner = only_folder(where) if isinstance(where, ArchivePath) and where.is_dir() else None
    return inner is not None and not is_split(re.split(r"[-_. ]", inner.name)[-1])


def of_split(src: object, splits: Mapping[str, str], split: str | None) -> list[str]:
    """The files of a split, of file → its split; all of them where none is chosen.

    Raises ``DatasetError`` where there are several whose names are none of splits, and none is chosen; and for a split
    that is not there.
    """
    there = in_order(filter(None, splits.values()))
    if split is None:
        if len(there) > 1 and not all(map(is_split, there)):
            raise DatasetError(f"{src}: several splits, {shown_splits(there)}; choose one with --split")
        return list(splits)
    name = chosen_split(split, there)
    chosen = [file for file, own in splits.items() if (name and own == name) or (split and f"/{split}/" in f"/{file}")]
    if not chosen:
        raise DatasetError(f"{src}: no split '{one_line(split)}'; there are {shown_splits(there)}")
    return chosen
