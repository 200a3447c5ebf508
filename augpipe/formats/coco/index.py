"""Finding COCO data: the JSONs of a folder, those of a split, the pictures that they name, and their categories."""

from __future__ import annotations

import mmap
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import accumulate, takewhile
from typing import NamedTuple

from augpipe.core.annotations import Category
from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions, plural, source_key
from augpipe.formats.coco.image_paths import FoundPictures, find_pictures, picture_root
from augpipe.formats.coco.json_file import CocoFile, categories_in, index_file
from augpipe.formats.coco.json_text import MARK, encoding_of, held
from augpipe.formats.coco.read import CocoReader, pack
from augpipe.formats.indexing import digest_of, labelled_by_id
from augpipe.formats.layout.name_matching import rule_remarks
from augpipe.formats.layout.splits import chosen_split, in_order, known_split, shown_splits, split_called, split_in
from augpipe.formats.webdataset.samples import has_samples, is_of_sample
from augpipe.formats.wrappers.crowds import remarks_on, with_crowds
from augpipe.storage.byte_range import bytes_of
from augpipe.storage.fs import below, children, files_in, place_of, row_name, size_of, start_of
from augpipe.storage.temp_copy import end_of
from augpipe.storage.tree import AnyPath, ArchivePath

_CROWD = re.compile(rb'"iscrowd"\s*:\s*(true|\d)')
_KIND = re.compile(r"(?:instances|person_keypoints|keypoints|captions|panoptic|stuff)_(.+)")
_NO_SPLITS = ("all", "default")
_SNIFFED = 1 << 16
_RUN_BYTES = 1 << 20


def looks_like_coco(path: AnyPath) -> bool:
    """Whether a JSON file has a list of COCO's near its top or its end."""
    head = start_of(path, _SNIFFED)
    if not head and size_of(path) > 0:
        return True  # damaged in its archive, which is reported when it is read
    if encoding := encoding_of(head):
        head = head.decode(encoding, "replace").encode()
    if head.removeprefix(MARK).lstrip()[:1] != b"{":
        return False
    return _names_lists(head) or (len(head) == _SNIFFED and _names_lists(head + end_of(path, _SNIFFED)))


def _names_lists(text: bytes) -> bool:
    return b'"images"' in text or (b'"annotations"' in text and b'"image_id"' in text)


def json_files(src: AnyPath) -> dict[str, list[AnyPath]]:
    """Split → the COCO JSONs of it: those of a folder, or those whose names end in it, as ``instances_val2017``.

    ``""`` holds files that stand together and name no split.
    """
    if src.is_file():
        return {_split_of(src.stem): [src]} if src.suffix == ".json" else {}
    if not src.is_dir():
        return {}
    folders = [src, src / "annotations"]
    together = [f for folder in folders if folder.is_dir() for f in files_in(folder, "*.json") if looks_like_coco(f)]
    if together:
        named: dict[str, list[AnyPath]] = {}
        for file in together:
            named.setdefault(_split_of(file.stem), []).append(file)
        if not any(map(known_split, named)):
            return {"": together}
        for file in named.pop("", ()):
            named.setdefault(_own_split(file.stem), []).append(file)
        return named
    out = {}
    for child in children(src):
        jsons = [f for f in files_in(child, "*.json") if looks_like_coco(f)] if child.is_dir() else []
        if jsons:
            out[child.name] = jsons
    return out


def _split_of(stem: str) -> str:
    """The split that a file's name is or ends in, as in ``instances_val2017``; "" if it names none."""
    end = stem.rpartition("_")[2]
    own = end if end.startswith(("test-", "minival")) else ""
    return next((name for name in (stem, end) if known_split(name)), own)


def _own_split(stem: str) -> str:
    """The split by a name of one's own that follows a kind of COCO's labels, as in ``instances_night``."""
    match = _KIND.fullmatch(stem)
    return "" if match is None or match[1].lower() in _NO_SPLITS else match[1]


def detect(source: Source) -> bool:
    """Whether there are COCO JSONs: not the records of a run, and not those of samples in a tar."""
    where = source.where
    if where.is_dir() and b'"augpipe-run/' in start_of(where / "run.json", _RUN_BYTES):
        return False
    if where.is_file():
        return where.suffix == ".json" and looks_like_coco(where)
    files = [file for files in json_files(where).values() for file in files]
    if files and source.is_tar and has_samples(where):
        return not all(map(is_of_sample, files))
    return bool(files)


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index the JSONs of a source, or of its split. Those of one split must be about the same images."""
    src, groups = source.where, json_files(source.where)
    if not groups:
        raise DatasetError(f"{src}: no COCO JSON; expected a .json with 'images', or a folder of them")
    chosen = groups if options.split is None else _chosen(src, groups, options.split)
    indexed = {path: index_file(path) for path in sorted({path for paths in chosen.values() for path in paths})}
    every = sorted({path for paths in groups.values() for path in paths})
    listed = {path: indexed[path].categories if path in indexed else categories_in(path) for path in every}
    categories = _categories(listed)
    files = [indexed[path] for paths in chosen.values() for path in paths]
    texts = tuple(str(f.text) for f in files)
    reader = CocoReader(texts, {c.id: c for c in categories}, any(f.panoptic for f in files))
    entries, remarks = _entries(src, {split: [indexed[p] for p in paths] for split, paths in chosen.items()}, options)
    remarks = [*(r for file in files for r in file.remarks), *remarks]
    dataset = Dataset.of("coco", src, categories, entries, reader, options, remarks)
    if options.crowds == "keep" and any(_is_of_crowds(f) for f in files):
        return replace(dataset, remarks=(*dataset.remarks, *remarks_on(dataset)))
    return with_crowds(dataset, options.crowds)


def _is_of_crowds(file: CocoFile) -> bool:
    """Whether most of the objects that say so are crowds, by a look at the text: of few files all labels are read."""
    with held(file.text) as text:
        found = Counter(match[1] in b"1true" for match in _CROWD.finditer(text))
    return found[True] > found[False]


def _chosen(src: AnyPath, groups: Mapping[str, list[AnyPath]], asked: str) -> dict[str, list[AnyPath]]:
    """Split → the files to read. A split is a folder's name, a JSON's name, or the end of one."""
    if (split := chosen_split(asked, groups)) is not None and split:
        return {split: groups[split]}
    files = [f for paths in groups.values() for f in paths]
    ending = [f for f in files if f.stem == asked or f.stem.endswith(f"_{asked}")]
    if not ending:
        there = {*filter(None, groups), *(f.stem for f in files)}
        raise DatasetError(f"{src}: no split '{one_line(asked)}'; there are {shown_splits(there)}")
    return {_split_of(ending[0].stem) or asked: ending}


def _require_same_images(src: AnyPath, files: Sequence[CocoFile]) -> None:
    if any(file.keys != files[0].keys for file in files[1:]):
        listed = ", ".join(f"{f.path.name} ({plural(len(f.keys), 'image')})" for f in files)
        raise DatasetError(f"{src}: these files are not about the same images: {listed}; name one, or use --split")


# --- the whole -------------------------------------------------------------------------------------------------------


def _categories(files: Mapping[AnyPath, Iterable[Category]]) -> tuple[Category, ...]:
    """The categories of all files together; a richer entry of an id (with keypoints) wins."""
    found: dict[int, Category] = {}
    named: dict[int, AnyPath] = {}
    for path, own in files.items():
        seen: set[int] = set()
        for category in own:
            if category.id in seen:
                raise DatasetError(f"{path}: category id {category.id} is given twice")
            seen.add(category.id)
            before = found.get(category.id)
            if before is not None and before.name != category.name:
                raise DatasetError(
                    f"{path}: category {category.id} is '{one_line(category.name)}' here and "
                    f"'{one_line(before.name)}' in {named[category.id].name}; "
                    "files of one dataset have one list, read them apart"
                )
            if before is None or (category.keypoints and not before.keypoints):
                found[category.id] = category
                named[category.id] = path
    return labelled_by_id(found.values())


def _entries(
    src: AnyPath, groups: Mapping[str, Sequence[CocoFile]], options: SourceOptions
) -> tuple[list[Entry], list[str]]:
    """(an entry a picture, remarks) of the files of each split; a picture of several belongs to the first."""
    out: dict[str, Entry] = {}
    remarks: list[str] = []
    firsts = dict(zip(groups, accumulate(map(len, groups.values()), initial=0), strict=False))
    twice: list[str] = []
    found: dict[str, tuple[AnyPath, FoundPictures]] = {}
    for split in in_order(groups):
        _require_same_images(src, groups[split])
        keys = list(groups[split][0].keys.values())
        root = picture_root(groups[split][0].path, keys, replace(options, split=split or None))
        found[split] = root, find_pictures(root, keys, split)
    prefixes = _prefixes(src, {split: root if pictures.at else None for split, (root, pictures) in found.items()})
    for split, (_, pictures) in found.items():
        files, prefix = groups[split], prefixes[split]
        remarks += rule_remarks(pictures.matches)
        entries, told = _of_split(src, files, pictures, firsts[split])
        remarks += told
        for entry in entries:
            own = split_called(split) or split_in(entry.key)
            named = entry._replace(key=f"{prefix}{entry.key}", split=own)
            if out.setdefault(named.key, named) is not named:
                twice.append(f"{named.key}, {out[named.key].split} and {named.split}")
    if twice:
        count = plural(len(twice), "picture")
        remarks.append(f"{count} listed by two splits, taken for the first: {one_line(twice[0], 100)}")
    return list(out.values()), remarks


def _prefixes(src: AnyPath, roots: Mapping[str, AnyPath | None]) -> dict[str, str]:
    """What precedes the keys of each split, so that 1.jpg of train is not that of val.

    That is the folder of its pictures, from where those of all splits begin; its name, where none was found.
    """
    if len(roots) == 1:
        return dict.fromkeys(roots, "")
    base = src if src.is_dir() else src.parent
    inside = {s: below(root, base) for s, root in roots.items() if root is not None and base in (root, *root.parents)}
    paths = {split: [part for part in path.split("/") if part not in ("", ".")] for split, path in inside.items()}
    common = len(list(takewhile(lambda parts: len(set(parts)) == 1, zip(*paths.values(), strict=False))))
    return {s: "".join(f"{part}/" for part in paths[s][common:]) if s in paths else f"{s}/" for s in roots}


def _of_split(
    src: AnyPath, files: Sequence[CocoFile], pictures: FoundPictures, first: int
) -> tuple[list[Entry], list[str]]:
    """(an entry a picture, remarks) of files, of which ``first`` is the reader's number of the first one.

    Images that name the same picture are one.
    """
    out: list[Entry] = []
    keys = files[0].keys
    named = Counter(pictures.key_of(key) for key in keys.values())
    twice: dict[str, list[_Image]] = {}
    with ExitStack() as stack:
        texts = [stack.enter_context(held(file.text)) for file in files]
        entry_of = _entry_maker(src, files, texts, pictures, first)
        ranges = zip(*(f.ranges(keys) for f in files), strict=True)
        for (identity, key), at, rows in zip(keys.items(), files[0].images.tolist(), ranges, strict=True):
            image = _Image(identity, at, [(k, *place) for k, some in enumerate(rows) for place in some.tolist()])
            if named[source := pictures.key_of(key)] == 1:
                out.append(entry_of(key, [image]))
            else:
                twice.setdefault(source, []).append(image)
        out += [entry_of(keys[images[0].identity], images) for images in twice.values()]
    remarks = []
    if twice:
        name, images = next(iter(twice.items()))
        ids = one_line(" and ".join(image.identity for image in images), 60)
        remarks.append(f"{plural(len(twice), 'picture')} listed under several ids, taken once: {name}, ids {ids}")
    if not any(entry.picture for entry in out):
        remarks.append(f"none of the pictures of {files[0].path.name} was found; say where they are with --images DIR")
    return out, remarks


class _Image(NamedTuple):
    """An image of a JSON: (start, size) of its object, (file, start, size) of its annotations."""

    identity: str
    at: list[int]
    rows: list[tuple[int, int, int]]


def _entry_maker(
    src: AnyPath, files: Sequence[CocoFile], texts: Sequence[mmap.mmap], pictures: FoundPictures, first: int
) -> Callable[[str, Sequence[_Image]], Entry]:
    """What makes the entry of a key, of the images that are this picture; what the first says of it holds."""
    shown = row_name(files[0].path, src if src.is_dir() else src.parent)
    archived = isinstance(files[0].path, ArchivePath)

    def entry(key: str, images: Sequence[_Image]) -> Entry:
        start, size = images[0].at
        places = sorted((place for image in images for place in image.rows), key=lambda place: place[0])
        pngs = [place_of(png) for file in files for i in images for png in file.panoptic.get(i.identity, ())]
        packed = pack([(first, start, size), *((first + k, s, n) for k, s, n in places)])
        digest = digest_of(
            texts[0][start : start + size], *[texts[k][s : s + n] for k, s, n in places], *map(bytes_of, pngs)
        )
        labels = (packed, pngs[0]) if pngs and archived else packed
        if (picture := pictures.at.get(key)) is None:
            return Entry(key, None, labels, one_line(key), digest)
        name, place, picture_bytes = picture
        return Entry(source_key(name), place, labels, shown, digest, picture_bytes)

    return entry
