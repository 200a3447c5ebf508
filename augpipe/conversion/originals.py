"""What originals are called in a dataset: as the files of their sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from augpipe.formats.base import Dataset, Entry, is_picture
from augpipe.formats.format import Target
from augpipe.formats.layout.splits import in_split, split_called
from augpipe.formats.writer import stem_of
from augpipe.recipe.planner import ORIGINAL
from augpipe.run.folder.samples import sample_key

_LONGEST_PART, _LONGEST_NAME = 200, 1000  # bytes; splits and endings of labels come to it
_SAME = ({".jpg", ".jpeg", ".jpe", ".jfif"}, {".tif", ".tiff"})
_LAYOUT = frozenset({"images", "jpegimages"})
"""Folders that say of a format where its pictures are."""


def under_own_names(dataset: Dataset, sources: Iterable[str], target: Target) -> Dataset:
    """A set of shards with its originals called as their sources, by their keys; copies keep their KEY.

    Folders of the source's own layout are left out. The whole key stands where another picture would be called alike
    but for its ending, and the sample's KEY where that would not do either: it leads elsewhere, or is hidden or longer
    than formats and file systems take.
    """
    source_of = {sample_key(source, ORIGINAL): source for source in sources}
    wanted = [_wanted(entry, source_of.get(entry.key)) for entry in dataset.entries]

    def place(name: str, split: str) -> str:
        """What must be a picture's own: the name of a label file ignores the ending."""
        return stem_of(in_split(name, split) if split and target.by_split else name).casefold()

    claims = Counter(
        stem
        for entry, names in zip(dataset.entries, wanted, strict=True)
        for stem in {place(name, entry.split) for name in (entry.key, *names)}
    )
    entries = (
        entry._replace(key=next((name for name in names if claims[place(name, entry.split)] == 1), entry.key))
        for entry, names in zip(dataset.entries, wanted, strict=True)
    )
    return replace(dataset, entries=sorted(entries, key=lambda entry: entry.key))


def _wanted(entry: Entry, source: str | None) -> list[str]:
    """The names that an original may have, the best first, with the ending that its picture has now."""
    if source is None:
        return []
    stem, ending = stem_of(source), entry.ending.lower()
    before = source[len(stem) :].lower()
    same = before == ending or any({before, ending} <= group for group in _SAME)
    name = source if same else f"{stem}{entry.ending}"
    *folders, last = name.split("/")
    own = [f for f in folders if f.lower() not in _LAYOUT and not (entry.split and split_called(f) == entry.split)]
    return [found for found in dict.fromkeys(("/".join((*own, last)), name)) if _would_do(found)]


def _would_do(name: str) -> bool:
    parts = name.split("/")
    sound = name.isprintable() and is_picture(name) and all(p == p.strip() and p[:1] not in ("", ".") for p in parts)
    return sound and len(name.encode()) <= _LONGEST_NAME and all(len(p.encode()) <= _LONGEST_PART for p in parts)
