"""Indexing Pascal VOC data: the picture, XML and masks of each entry, the split, the classes.

A picture is looked for by its XML's own stem, then by ``<filename>``, in the picture folder that belongs to the XML
folder, at last by names that fit these two; a picture whose stem is that of another XML is never taken from it.
"""

from __future__ import annotations

import itertools
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.core.parallel import batches_of, parallel_map
from augpipe.formats.base import (
    Dataset,
    Entry,
    Source,
    SourceOptions,
    is_picture,
    plural,
    source_key,
    told_apart,
)
from augpipe.formats.indexing import digest_of, left_out, links_left_out
from augpipe.formats.layout.name_matching import Match, match_names, rule_remarks
from augpipe.formats.layout.splits import split_called
from augpipe.formats.voc.classes import classes_of
from augpipe.formats.voc.image_sets import chosen_lists, listed_stems, splits_of
from augpipe.formats.voc.read import VocAt, VocReader
from augpipe.formats.voc.roots import VocRoot, find_roots
from augpipe.formats.voc.xml_reader import pack, read_xml
from augpipe.formats.webdataset.samples import has_samples
from augpipe.storage.byte_range import ByteRange, bytes_of
from augpipe.storage.fs import below, place_of, places_in, row_name, rows_below, sizes_in, walk_files
from augpipe.storage.tree import AnyPath

_FROM_0 = "Pascal VOC counts from 1, so these files count from 0; read them with --voc-origin 0"
HELD_BYTES = 1 << 26
"""What is held of XML that has been parsed: some hundred thousand pictures."""


@dataclass
class _Found:
    """What a walk over the roots has gathered."""

    entries: list[Entry] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    masks: list[ByteRange] = field(default_factory=list)
    links: set[str] = field(default_factory=set)
    below: list[str] = field(default_factory=list)
    unannotated: int = 0
    matches: dict[str, Match] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    room: int = HELD_BYTES

    def held(self, at: VocAt, said: bytes | None) -> VocAt:
        """A place with what its XML says, as long as there is room; what is not held is read once more."""
        if said is None or len(said) > self.room:
            return at
        self.room -= len(said)
        return VocAt(at.xml, at.class_mask, at.object_mask, said)


def detect(source: Source) -> bool:
    """Whether there are VOC trees; pictures beside their XML in a tar are samples, whose labels are the same."""
    roots = find_roots(source.where)
    if source.is_tar and has_samples(source.where):
        return any(root.xml != root.pictures for root in roots)
    return bool(roots)


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index the XML files and masks of a source."""
    src, roots = source.where, find_roots(source.where)
    if not roots:
        raise DatasetError(f"{src}: no Pascal VOC data; expected Annotations/*.xml, or a folder of XML files")
    found = _Found()
    split, lists = chosen_lists(src, roots, options.split)
    for root, lines in zip(roots, lists, strict=True):
        _gather(root, src, split, lines, found)
    categories, colors, told, named = classes_of(src, roots, found.names, found.masks, options.classes)
    remarks = [*left_out(found.unannotated, "picture", "without annotations"), *told]
    if found.below and options.voc_origin == 1:
        boxes = "1 box" if len(found.below) == 1 else f"{len(found.below):,} boxes"
        remarks.append(f"{boxes} with a coordinate below 1, as in {one_line(found.below[0], 100)}: {_FROM_0}")
    remarks += [*found.remarks, *rule_remarks(found.matches), *links_left_out(found.links, src)]
    reader = VocReader({c.name: c.id for c in categories}, options.voc_origin, colors)
    return Dataset.of("voc", src, categories, found.entries, reader, options, remarks, named=named)


def _gather(root: VocRoot, src: AnyPath, split: str | None, lines: list[str] | None, found: _Found) -> None:
    """Everything of one root; the split chooses entries, but classes come from all of them."""
    xmls = _by_stem(root.xml, (".xml",), found.links)
    class_masks, object_masks = _masks(root.class_masks), _masks(root.object_masks)
    found.masks += class_masks.values()
    stems = [*xmls, *(stem for stem in class_masks if stem not in xmls)]
    place, entry_of = places_in(root.xml), _entries_of(root, src)
    ats = [VocAt(place(xmls[s]) if s in xmls else None, class_masks.get(s), object_masks.get(s)) for s in stems]
    seen = parallel_map(_glances, batches_of(ats), len(ats))
    pictures, used = _pictures(root, found.links), set[str]()
    wanted, unknown = listed_stems(root, split, lines, stems)
    split_of: Callable[[str], str] = lambda _: split_called(split or "")  # noqa: E731
    if split is None:
        split_of, listed = splits_of(root, stems, found.remarks)
        # A picture that a list names is one of the dataset, also without labels.
        unknown = [stem for stem in listed if _picture_for(stem, "", pictures, xmls) is not None]
    rest = iter(zip(stems, ats, strict=True))
    missing: list[tuple[str, str, VocAt, bytes]] = []
    for names, glances, low in seen:
        found.names |= names
        found.below += low
        for (filename, digest, said), (stem, at) in zip(glances, rest, strict=False):
            picture = _picture_for(stem, filename, pictures, xmls)
            if picture:
                used.add(picture)
            if stem in wanted and picture is not None:
                entry = entry_of(picture, "", found.held(at, said), digest)
                found.entries.append(entry._replace(split=split_of(stem)))
            elif picture is None:  # also of other splits, so that a picture belongs to one
                missing.append((stem, filename, found.held(at, said) if stem in wanted else at, digest))
    background = 0
    for stem in unknown:
        picture = _picture_for(stem, "", pictures, xmls)
        at = VocAt(place(f"{stem}.xml")) if picture is None else VocAt(None)
        found.entries.append(entry_of(picture, f"{stem}.jpg", at, digest_of(b""))._replace(split=split_of(stem)))
        background += picture is not None
        used.update([picture] if picture else [])
    if background:
        what = plural(background, "picture")
        found.remarks.append(f"{what} that a list names without an XML: background, without objects")
    matches = _matches([(stem, filename) for stem, filename, *_ in missing], pictures, used)
    used.update(match.name for match in matches.values())
    for stem, filename, at, digest in missing:
        if stem in wanted:
            match = matches.get(stem)
            found.matches.update({} if match is None else {_file_of(stem, filename): match})
            name = None if match is None else match.name
            entry = entry_of(name, _file_of(stem, filename), at, digest)
            found.entries.append(entry._replace(split=split_of(stem)))
    if split is None:
        found.unannotated += sum(map(len, pictures.values())) - len(used)


def _entries_of(root: VocRoot, src: AnyPath) -> Callable[[str | None, str, VocAt, bytes], Entry]:
    """What makes the entry of a picture, ``None`` where there is none and the third is only expected."""
    place, size, shown_of = places_in(root.pictures), sizes_in(root.pictures), rows_below(src)

    def entry(picture: str | None, expected: str, at: VocAt, digest: bytes) -> Entry:
        name = picture or expected
        key = below(root.pictures / name, src) if root.name else name
        if picture is None:
            return Entry(source_key(key), None, at, expected, digest)
        shown = row_name(root.pictures / name, src) if at.xml is None else at.xml.name or shown_of(at.xml.path)
        return Entry(source_key(key), place(name), at, shown, digest, size(name))

    return entry


def _glances(ats: Sequence[VocAt]) -> tuple[set[str], list[tuple[str, bytes, bytes | None]], list[str]]:
    """(class names; of each picture ``<filename>``, the digest of its labels, and its XML packed; for each box with a
    corner below 1, its file).

    A broken XML gives nothing here and is rejected when it is read.
    """
    names: set[str] = set()
    out: list[tuple[str, bytes, bytes | None]] = []
    low: list[str] = []
    for at in ats:
        data = b"" if at.xml is None else bytes_of(at.xml)
        masks = [bytes_of(place) for place in (at.class_mask, at.object_mask) if place is not None]
        digest = digest_of(data, *masks)
        try:
            said = read_xml(data, "")
        except Reject:
            out.append(("", digest, None))
            continue
        names.update(name for name in said.names if name)
        out.append((said.filename, digest, pack(said)))
        if at.xml is not None:
            count = sum(corners is not None and min(corners) < 1 for corners in said.corners)
            low += [at.xml.name or os.path.basename(at.xml.path)] * count
    return names, out, low


# --- files -----------------------------------------------------------------------------------------------------------


def _by_stem(folder: AnyPath | None, endings: tuple[str, ...], links: set[str] | None = None) -> dict[str, str]:
    """Stem → relative path of the files with such endings; stems are in NFC, as some systems decompose names."""
    files = walk_files(folder, links) if folder is not None and folder.is_dir() else []
    out: dict[str, str] = {}
    for file in (f for f in files if f.lower().endswith(endings)):
        stem = _nfc_stem(file)
        if stem in out:
            one, other = told_apart(out[stem], file)
            message = f"{folder}: '{one}' and '{other}' are both the labels of one picture; rename or remove one"
            raise DatasetError(message)
        out[stem] = file
    return out


def _nfc_stem(file: str) -> str:
    return unicodedata.normalize("NFC", os.path.splitext(file)[0])


def _masks(folder: AnyPath | None) -> dict[str, ByteRange]:
    return {} if folder is None else {s: place_of(folder / f) for s, f in _by_stem(folder, (".png",)).items()}


def _pictures(root: VocRoot, links: set[str]) -> dict[str, list[str]]:
    """Stem → pictures. Where they lie in the root itself, what its other folders hold are none of them."""
    others = {p.name for p in (root.class_masks, root.object_masks) if p is not None and p.parent == root.pictures}
    out: dict[str, list[str]] = {}
    for relative in walk_files(root.pictures, links) if root.pictures.is_dir() else []:
        if is_picture(relative) and relative.partition("/")[0] not in others:
            out.setdefault(_nfc_stem(relative), []).append(relative)
    for there in (there for there in out.values() if len(there) > 1):
        for one, other in itertools.combinations(there, 2):
            if source_key(one) == source_key(other):
                names = "' and '".join(told_apart(one, other))
                raise DatasetError(
                    f"{root.pictures}: '{names}' are one name; keys must be unique, rename or remove one"
                )
    return out


def _picture_for(stem: str, filename: str, pictures: Mapping[str, list[str]], xmls: Collection[str]) -> str | None:
    """The picture of an XML: by its stem, of several by ``<filename>``; else by ``<filename>`` alone."""
    own = pictures.get(stem, ())
    if len(own) == 1:
        return own[0]
    named = f"{os.path.dirname(stem)}/{filename}".lstrip("/") if filename else ""
    for candidate in _stems(stem, named):
        if candidate != stem and candidate in xmls:
            continue  # it has an XML of its own
        there = pictures.get(candidate)
        if there:
            exact = [c for c in there if unicodedata.normalize("NFC", c) == named]
            return (exact or there)[0]
    return None


def _file_of(stem: str, filename: str) -> str:
    """What the picture of an XML is called, as far as it says."""
    return stem + (os.path.splitext(filename)[1] if is_picture(filename) else ".jpg")


def _matches(
    missing: Sequence[tuple[str, str]], pictures: Mapping[str, list[str]], used: Collection[str]
) -> dict[str, Match]:
    """Stem → the picture whose name fits it, else ``<filename>``, of the (stem, filename) that have none of theirs."""
    if not missing:
        return {}
    there = [name for names in pictures.values() for name in names]
    by_stem = match_names([_file_of(*one) for one in missing], there, used)
    out = {stem: by_stem[name] for stem, filename in missing if (name := _file_of(stem, filename)) in by_stem}
    named = {
        stem: f"{os.path.dirname(stem)}/{filename}".replace("\\", "/").lstrip("/")
        for stem, filename in missing
        if filename and stem not in out
    }
    by_name = match_names(named.values(), there, {*used, *(match.name for match in out.values())})
    claimed = Counter(named.values())  # the same <filename> in several XML files says nothing
    return out | {stem: by_name[name] for stem, name in named.items() if name in by_name and claimed[name] == 1}


def _stems(stem: str, named: str) -> Iterator[str]:
    yield stem
    yield os.path.basename(stem)
    for name in (named, os.path.basename(named)):
        if name:
            yield os.path.splitext(name)[0] if is_picture(name) else name
