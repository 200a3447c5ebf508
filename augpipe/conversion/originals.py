"""What originals are called in a dataset: as the files of their sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from augpipe.formats.base import Dataset, Entry, is_picture
from augpipe.formats.layout.splits import in_split
from augpipe.formats.writer import stem_of
from augpipe.recipe.planner import ORIGINAL
from augpipe.run.folder.samples import sample_key

_LONGEST_PART, _LONGEST_NAME = 200, 1000  # bytes; splits and endings of labels come to it
_SAME = ({".jpg", ".jpeg", ".jpe", ".jfif"}, {".tif", ".tiff"})


def under_own_names(dataset: Dataset, sources: Iterable[str]) -> Dataset:
    """A set of shards with its originals called as their sources, by their keys; copies keep their KEY.

    An original keeps its KEY, too, where the name of its source would not do: another picture has it but for its
    ending, or it leads elsewhere, or is hidden or longer than formats and file systems take.
    """
    source_of = {sample_key(source, ORIGINAL): source for source in sources}
    wanted = [_wanted(entry, source_of.get(entry.key)) for entry in dataset.entries]
    kept = Counter(stem for entry in dataset.entries for stem in _stems(entry.key, entry.split))
    asked = Counter(
        stem for entry, name in zip(dataset.entries, wanted, strict=True) if name for stem in _stems(name, entry.split)
    )

    def named(entry: Entry, name: str | None) -> Entry:
        free = name is not None and all(asked[s] == 1 and not kept[s] for s in _stems(name, entry.split))
        return entry._replace(key=name) if free and name is not None else entry

    entries = (named(entry, name) for entry, name in zip(dataset.entries, wanted, strict=True))
    return replace(dataset, entries=sorted(entries, key=lambda entry: entry.key))


def _stems(name: str, split: str) -> set[str]:
    """What must be its own, with folders for splits and without; the name of a label file ignores the ending."""
    places = {name, in_split(name, split) if split else name}
    return {stem_of(place).casefold() for place in places}


def _wanted(entry: Entry, source: str | None) -> str | None:
    """The name of the source with the ending that the picture has now; ``None`` for one that would not do."""
    if source is None:
        return None
    stem, ending = stem_of(source), entry.ending.lower()
    before = source[len(stem) :].lower()
    same = before == ending or any({before, ending} <= group for group in _SAME)
    name = source if same else f"{stem}{entry.ending}"
    parts = name.split("/")
    sound = name.isprintable() and is_picture(name) and all(p == p.strip() and p[:1] not in ("", ".") for p in parts)
    short = len(name.encode()) <= _LONGEST_NAME and all(len(part.encode()) <= _LONGEST_PART for part in parts)
    return name if sound and short else None
