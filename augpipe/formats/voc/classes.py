"""The classes of Pascal VOC data: those of a list that lies beside it, the devkit's twenty, or the names that occur.

Masks hold positions in a list of classes, so where there is one its order is the class map.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from augpipe.core.annotations import Category
from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.formats.indexing import categories_by_name, categories_in, names_in, read_classes, without_background
from augpipe.formats.voc.read import TWENTY
from augpipe.formats.voc.roots import VocRoot
from augpipe.storage.byte_range import ByteRange, bytes_of
from augpipe.storage.fs import place_of
from augpipe.storage.tree import AnyPath

_DEVKIT = re.compile(r"VOC(devkit|trainval|test|_?20[01]\d)", re.IGNORECASE)
_LABELMAP = "labelmap.txt"
_UNSURE = (
    "values of the masks are taken as the devkit's twenty classes (1 aeroplane, 2 bicycle, …); a class_names.txt, a "
    "labelmap.txt or --classes says otherwise"
)


class VocClasses(NamedTuple):
    """``colors`` are those of masks saved as RGB; ``named`` says that ``--classes`` has named the values of masks."""

    categories: tuple[Category, ...]
    colors: Mapping[int, int] | None = None
    remarks: Sequence[str] = ()
    named: bool = False


def classes_of(
    src: AnyPath, roots: Sequence[VocRoot], names: Collection[str], masks: Iterable[ByteRange], asked: Path | None
) -> VocClasses:
    """The classes of a source.

    Args:
        src: the source.
        roots: its trees.
        names: the classes of its objects.
        masks: its masks of classes.
        asked: the file that ``--classes`` names, which names the values of masks where nothing else does.

    Raises:
        DatasetError: a name of ``names`` that ``asked`` has to list, and does not.
    """
    found, remarks = _listed(roots, names)
    if found is not None:
        return found
    has_masks = any(root.class_masks for root in roots)
    devkit = set(names) <= set(TWENTY) and ((has_masks and bool(names)) or any(map(_is_devkit, roots)))
    if has_masks and asked is not None and not (devkit and set(without_background(read_classes(asked))) <= set(TWENTY)):
        return VocClasses(categories_in(asked, names, src), named=True)
    if devkit:
        said = [_UNSURE] if has_masks and not names else []
        return VocClasses(categories_by_name(TWENTY), None, [*remarks, *said])
    if has_masks and not names:
        values = sorted(set().union(*map(_values, masks)) - {0, 255})
        rows = (Category(id=v, label=k, name=f"class_{v}") for k, v in enumerate(values, start=1))
        return VocClasses(tuple(rows), None, remarks)
    if has_masks:
        order = one_line(", ".join(f"{i} {name}" for i, name in enumerate(sorted(names), start=1)), 100)
        remarks.append(f"values of the masks are taken as {order}; a labelmap.txt or --classes says otherwise")
    return VocClasses(categories_by_name(sorted(names)), None, remarks)


def _listed(roots: Sequence[VocRoot], names: Collection[str]) -> tuple[VocClasses | None, list[str]]:
    """(the classes of a list beside the data, ``None`` if it cannot be one; remarks)."""
    file = next((root.listed for root in roots if root.listed), None)
    if file is None:
        return None, []
    colors: dict[int, int] | None = None
    try:
        if file.name == _LABELMAP:
            from augpipe.formats.voc.masks import read_labelmap

            listed, colors = read_labelmap(bytes_of(place_of(file)))
            rows = _by_position(listed, names)
        else:
            listed = without_background(read_classes(file), names)
            rows = categories_by_name(listed)
    except DatasetError as error:
        return None, [f"{file.name} is not used: {one_line(error, 200)}"]
    strange = sorted(set(names) - set(listed)) or sorted(n for n in set(listed) if listed.count(n) > 1)
    if strange:
        return None, [f"{file.name} is not used: '{one_line(strange[0])}' is not listed there exactly once"]
    return VocClasses(rows, colors), []


def _is_devkit(root: VocRoot) -> bool:
    """Whether a tree is the devkit's, by its name or by lists of its classes; anybody may have cats and dogs."""
    if _DEVKIT.search(str(root.xml)) is not None:
        return True
    lists = names_in(root.sets / "Main") if root.sets is not None else []
    return any(name.rpartition("_")[0] in TWENTY for name in lists)


def _by_position(listed: list[str], names: Collection[str]) -> tuple[Category, ...]:
    """Classes under their positions; what is no class, as the first line often is, only if objects have it."""
    rows = [(i, n) for i, n in enumerate(listed) if n in names or (i > 0 and n not in ("background", "ignored"))]
    return tuple(Category(id=i, label=k, name=n) for k, (i, n) in enumerate(rows, start=1))


def _values(place: ByteRange) -> set[int]:
    """The values of a mask; a broken one is rejected when it is read."""
    from augpipe.formats.voc.masks import mask_at

    try:
        return {int(value) for value in np.unique(mask_at(place, None))}
    except Reject:
        return set()
