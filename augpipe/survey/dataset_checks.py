"""What is odd about a dataset as a whole: duplicate pictures, picture files without labels, its list of classes.

Duplicates are found by size, then by a digest of their first bytes, which were read in any case, then by all of them:
only what is very likely a copy is read once more.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from augpipe.core.annotations import Category
from augpipe.core.errors import Reject
from augpipe.formats.base import Dataset, Entry, is_picture, read_picture
from augpipe.formats.layout.purposes import shown_split
from augpipe.labels.keypoints import looks_sided
from augpipe.storage.byte_range import ByteRange, is_file
from augpipe.storage.fs import relative_to
from augpipe.survey.issues import Example, Oddity, with_one
from augpipe.survey.tally import ClassCounts, HeadDigest


def duplicates_among(entries: Sequence[Entry], heads: Iterable[HeadDigest]) -> dict[str, Oddity]:
    """``duplicate-picture`` for each picture that has the bytes of an earlier one; ``in-two-splits`` if splits differ.

    Args:
        entries: of the dataset.
        heads: digests of pictures whose size another picture has, in their order.
    """
    alike: dict[tuple[int, bytes], list[int]] = {}
    for number, head in heads:
        alike.setdefault((entries[number].size, head), []).append(number)
    pairs = [pair for numbers in alike.values() if len(numbers) > 1 for pair in _same(entries, numbers)]
    found: dict[str, Oddity] = {}
    for number, first in sorted(pairs):
        example = Example(entries[number].key, message=f"the same as {entries[first].key}")
        with_one(found, "duplicate-picture", example)
        one, other = entries[first].split, entries[number].split
        if one != other:
            said = f"{shown_split(other)}, the same as {entries[first].key}, {shown_split(one)}"
            with_one(found, "in-two-splits", Example(entries[number].key, message=said))
    return found


def _same(entries: Sequence[Entry], numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(picture, the first that has its bytes) of those that have some."""
    first: dict[bytes, int] = {}
    for number in numbers:
        with suppress(Reject):  # changed since its header was read
            digest = hashlib.blake2b(read_picture(entries[number]), digest_size=16).digest()
            if (earlier := first.setdefault(digest, number)) != number:
                yield number, earlier


def unlisted(dataset: Dataset) -> dict[str, Oddity]:
    """``unlisted-picture`` for each picture file that lies in a folder of listed ones and is none of them.

    Empty with a split or a limit, which leave pictures out on purpose. Tars say it in a remark.
    """
    options = dataset.options
    if options.split is not None or options.limit is not None:
        return {}
    folders = {os.path.split(e.picture.path)[0] for e in dataset.entries if e.picture and is_file(e.picture)}
    listed = {
        unicodedata.normalize("NFC", place.path)
        for entry in dataset.entries
        for place in (entry.picture, entry.annotation)  # a mask is a picture file, too, and may lie beside its picture
        if isinstance(place, ByteRange) and is_file(place)
    }
    found: dict[str, Oddity] = {}
    for folder in sorted(folders):
        for name in _pictures_in(folder):
            path = os.path.join(folder, name)
            if unicodedata.normalize("NFC", path) not in listed:
                with_one(found, "unlisted-picture", Example(relative_to(path, dataset.root)))
    return found


def _pictures_in(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as there:
            return sorted(e.name for e in there if is_picture(e.name) and not e.name.startswith(".") and e.is_file())
    except OSError:
        return []


# --- classes ----------------------------------------------------------------------------------------------------------


def odd_classes(categories: Sequence[Category], counts: Mapping[int, ClassCounts]) -> dict[str, Oddity]:
    """Oddities of the class list, with the names as examples; ``counts`` are by category id."""
    found: dict[str, Oddity] = {}
    for category in categories:
        of_class = counts.get(category.id, ClassCounts())
        if not (of_class.objects or of_class.tags or of_class.pixels):
            with_one(found, "class-unused", Example(name=category.name))
    for name, other in alike(c.name for c in categories):
        with_one(found, "class-names-alike", Example(name=name, message=f"beside '{other}'"))
    for category in categories:
        paired = {i for pair in category.flip_pairs for i in pair}
        for i, name in enumerate(category.keypoints):
            if i not in paired and looks_sided(name):
                with_one(found, "keypoint-unpaired", Example(name=category.name, message=name))
    return found


def alike(names: Iterable[str]) -> list[tuple[str, str]]:
    """(a name, an earlier one that is the same but for case, spaces and separators).

    >>> alike(["Car", "bus", "car ", "traffic light", "traffic_light"])
    [('car ', 'Car'), ('traffic_light', 'traffic light')]
    """
    first: dict[str, str] = {}
    out = []
    for name in names:
        plain = "".join(c for c in name.casefold() if c.isalnum()) or name
        earlier = first.setdefault(plain, name)
        if earlier is not name:
            out.append((name, earlier))
    return out
