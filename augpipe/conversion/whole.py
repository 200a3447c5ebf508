"""Datasets in, a dataset out: several merged, one filtered, its classes renamed, or parted into splits."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from augpipe.conversion.filtering import Filter, filtered
from augpipe.conversion.merging import EqualNames, format_of, merged
from augpipe.conversion.report import ConversionReport
from augpipe.conversion.run import converted
from augpipe.core.errors import UsageError, one_line
from augpipe.core.paths import StrPath, real_path
from augpipe.formats.base import Dataset, Entry, SourceOptions
from augpipe.formats.class_choice import ClassChoice, chosen
from augpipe.formats.layout.parted import parted, plain_name
from augpipe.formats.layout.parting import Parting
from augpipe.formats.registry import open_dataset
from augpipe.storage.remote import is_url

_ANY = SourceOptions()
_UNSAFE = re.compile(r"[^\w.-]+")


def filter_dataset(
    source: StrPath, target: StrPath, wanted: Filter, to: str | None = None, options: SourceOptions = _ANY, **how: Any
) -> ConversionReport:
    """Write what is wanted of a dataset; ``how`` is as :func:`augpipe.conversion.run.converted` has it.

    Raises:
        UsageError: it cannot be read or written, or has no such class.
        RunError: nothing is left, or the target cannot be written.
    """
    wanted.check()
    return _written(source, target, lambda dataset: filtered(dataset, wanted), to, options, how)


def rename_classes(
    source: StrPath,
    target: StrPath,
    names: Mapping[str, str],
    to: str | None = None,
    options: SourceOptions = _ANY,
    **how: Any,
) -> ConversionReport:
    """Write a dataset with other names of classes, old → new; classes that get one name become one.

    Raises:
        UsageError: it cannot be read or written, or has no such class.
        RunError: the target cannot be written.
    """
    choice = ClassChoice(rename=dict(names))
    return _written(source, target, lambda dataset: chosen(dataset, choice), to, options, how)


def split_dataset(
    source: StrPath,
    target: StrPath,
    parting: Parting,
    to: str | None = None,
    options: SourceOptions = _ANY,
    *,
    again: bool = False,
    **how: Any,
) -> ConversionReport:
    """Write a dataset parted into splits; ``again`` parts pictures of all splits, else those of train and of none.

    Raises:
        UsageError: it cannot be read, parted or written.
        RunError: the target cannot be written.
    """
    parting.check()
    return _written(source, target, lambda dataset: _moved(dataset, parted(dataset, parting, again)), to, options, how)


def merge_datasets(
    sources: Sequence[StrPath],
    target: StrPath,
    to: str | None = None,
    options: SourceOptions = _ANY,
    *,
    equal: EqualNames = "prefix",
    **how: Any,
) -> ConversionReport:
    """Write several datasets as one, see :func:`augpipe.conversion.merging.merged`.

    Raises:
        UsageError: one cannot be read, two are the same, or the whole cannot be written.
        RunError: the target cannot be written.
    """
    places = [os.fspath(source) for source in sources]
    if len(places) < 2:
        raise UsageError("expected two or more SRC to merge, and DST")
    _require_different(places)

    def opened() -> Dataset:
        datasets = [open_dataset(place, options) for place in places]
        if to is None and format_of(datasets) is None:
            formats = sorted({dataset.format.partition(":")[0] for dataset in datasets})
            raise UsageError(f"the datasets are {' and '.join(formats)}; choose one format with --to")
        return merged(list(zip(_names(places), datasets, strict=True)), equal)

    return converted(places, opened, target, to, **how)


def _written(
    source: StrPath,
    target: StrPath,
    change: Callable[[Dataset], Dataset],
    to: str | None,
    options: SourceOptions,
    how: Mapping[str, Any],
) -> ConversionReport:
    place = os.fspath(source)
    return converted([place], lambda: change(open_dataset(place, options)), target, to, **how)


def _require_different(places: Sequence[str]) -> None:
    real = Counter(place if is_url(place) else str(real_path(place)) for place in places)
    twice = [place for place, n in real.items() if n > 1]
    if twice:
        raise UsageError(f"{one_line(twice[0])}: is named twice; name each dataset once")


def _names(places: Sequence[str]) -> list[str]:
    """A short name of each dataset, that of its file or folder without an ending."""
    names: list[str] = []
    for place in places:
        base = os.path.basename(os.path.normpath(place if is_url(place) else os.path.abspath(place)))
        name = _UNSAFE.sub("_", os.path.splitext(base)[0])[:60].strip("._") or "set"
        names.append(name if name not in names else next(n for i in range(2, 99) if (n := f"{name}-{i}") not in names))
    return names


def _moved(before: Dataset, after: Dataset) -> Dataset:
    """The dataset with pictures that lay in the folder of their split in that of their new one."""
    taken = {entry.key for entry in after.entries}
    entries: list[Entry] = []
    for old, new in zip(before.entries, after.entries, strict=True):
        plain = plain_name(old.key, old.split)
        if plain == old.key or old.split == new.split:
            entries.append(new)
            continue
        key = f"{new.split}/{plain}"
        key = key if key not in taken else f"{new.split}/{old.key}"
        taken.add(key)
        entries.append(new._replace(key=key))
    return replace(after, entries=sorted(entries, key=lambda entry: entry.key))
