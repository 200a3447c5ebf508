"""Reading pictures that have no labels: one, a folder of them, or a folder a split.

Pictures are taken for unlabelled only where nothing lies beside them that could be labels: a dataset that is not
recognised is to be named, not read without its objects.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath

from augpipe.core.annotations import Annotations
from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions, is_picture
from augpipe.formats.indexing import digest_of, left_out, links_left_out, subfolders
from augpipe.formats.layout.splits import chosen_split, known_split, shown_splits, split_in
from augpipe.formats.signatures import signature_of
from augpipe.storage.fs import names_of, walk_files
from augpipe.storage.tree import AnyPath

_MOST_LOOKED_AT = 10_000
_PICTURES = re.compile(r"images?|imgs?|photos?|pictures?", re.IGNORECASE)
_NO_LABELS = re.compile(r"(readme|licen[cs]e|attribution|thumbs\.db|desktop\.ini).*|.*\.(md|pdf|html?)", re.IGNORECASE)
_OF_LABELS = re.compile(r"masks?|labels?|annot\w*|ann_?dir|ground_?truth|gt|segmentation\w*|jpegimages", re.IGNORECASE)
_MASK = re.compile(r".*[-_](mask|label|seg|gt|labelids)", re.IGNORECASE)


@dataclass(frozen=True)
class NoLabelReader:
    """Reads entries without labels."""

    def annotations(self, entry: Entry) -> Annotations:
        return Annotations()


def detect(source: Source) -> bool:
    """Whether there are pictures, in the source or in folders of splits, and nothing that could be labels."""
    src = source.where
    if not src.is_dir():
        return is_picture(src.name) and src.is_file()
    folders = subfolders(src)
    named = all(known_split(name) or _PICTURES.fullmatch(name) for name in folders)
    if not any(map(is_picture, names_of(src))) and not (folders and named):
        return False
    files = [PurePosixPath(name) for name in itertools.islice(walk_files(src), _MOST_LOOKED_AT)]
    pictures = [file for file in files if is_picture(file.name)]
    stems = Counter(str(file.with_suffix("")) for file in pictures)
    return (
        bool(pictures)
        and all(is_picture(file.name) or _NO_LABELS.fullmatch(file.name) for file in files)
        and not any(_OF_LABELS.fullmatch(part) for file in files for part in file.parts[:-1])
        and not any(_MASK.fullmatch(file.stem) for file in pictures)
        and max(stems.values()) == 1
        and signature_of(src) is None
    )


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index a picture, or all pictures below a folder; folders called as splits are splits."""
    src = source.where
    links: set[str] = set()
    names = list(walk_files(src, links)) if src.is_dir() else [src.name]
    root: AnyPath = src if src.is_dir() else src.parent
    pictures = [name for name in names if is_picture(name)]
    if not pictures:
        raise DatasetError(f"{src}: no pictures; expected a picture, or a folder of them")
    chosen = None
    if options.split is not None:
        there = {split_in(name) for name in pictures} - {""}
        if (chosen := chosen_split(options.split, there)) is None:
            raise DatasetError(f"{src}: no split '{one_line(options.split)}'; there are {shown_splits(there)}")
    entries = [
        Entry.listed(name, root / name, "", name, digest_of(b""), split_in(name))
        for name in pictures
        if chosen is None or split_in(name) == chosen
    ]
    remarks = ["read as pictures without labels"]
    remarks += left_out(len(names) - len(pictures), "file", "without the ending of a picture")
    remarks += links_left_out(links, src)
    return Dataset.of("pictures", src, (), entries, NoLabelReader(), options, remarks)
