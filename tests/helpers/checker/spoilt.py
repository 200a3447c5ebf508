"""Every way in which the handmade folder is spoilt, with a word that the checker's message must have."""

import hashlib
import json
import tarfile
import unicodedata
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from checker import handmade as hand

GONE = object()
Files = dict[str, bytes]
POLYGON, CAT, CAR, MINE = (("objects", n) for n in range(4))
NFD = unicodedata.normalize("NFD", hand.CAFE)
TAR, RECORD, MANIFEST = "all-000000.tar", "all-000000.json", "manifest.json"


def put(document: Any, path: tuple[Any, ...], value: Any) -> None:
    """Change one place of a document, or take it away."""
    for step in path[:-1]:
        document = document[step]
    if value is GONE:
        del document[path[-1]]
    else:
        document[path[-1]] = value


def edit(files: Files, name: str, path: tuple[Any, ...], value: Any) -> None:
    """Change one place of a file that is a document."""
    document = json.loads(files[name])
    put(document, path, value)
    files[name] = hand.to_json(document)


def reseal(files: Files) -> None:
    """Let record and manifest say what the first tar is now, so that only its bytes are wrong."""
    sha256, size = hashlib.sha256(files[TAR]).hexdigest(), len(files[TAR])
    for name, path in [(RECORD, ()), (MANIFEST, ("shards", 0))]:
        edit(files, name, (*path, "sha256"), sha256)
        edit(files, name, (*path, "bytes"), size)


# Places of the first sample's KEY.json, what stands there instead, and a word of the message.
IN_THE_SAMPLE = [
    (("schema",), "augpipe/2", "schema"),
    (("width",), 41, "size"),
    (("height",), "30", "height"),
    (("key",), "plain-0000000000-c001", "name of the member"),
    (("image_id",), None, "null"),
    (("image_id",), "77", "image_id"),
    (("image_id",), 78, "differs between its copies"),
    (("copy",), 0, "KEY of"),
    (("copy",), 2, "config.copies"),
    (("host",), "node-7", "does not belong"),
    ((*POLYGON, "attributes"), {"colour": None}, "null"),
    ((*POLYGON, "attributes"), {"weight": float("nan")}, "NaN"),
    ((*POLYGON, "id"), 502, "differs between its copies"),
    ((*POLYGON, "category_id"), 4, "category_id"),
    ((*POLYGON, "category_id"), GONE, "category_id: missing"),
    ((*POLYGON, "category"), "dog", "category"),
    ((*POLYGON, "label"), 2, "label"),
    ((*POLYGON, "index"), 1, "source order"),
    ((*POLYGON, "box_xyxy"), [2, 2, 12], "box_xyxy"),
    ((*POLYGON, "box_xyxy"), [-1, 2, 12, 12.5], "inside the picture"),
    ((*POLYGON, "box_xyxy"), [2, 2, 2, 12.5], "empty"),
    ((*POLYGON, "box_xyxy"), [2.0004, 2, 12, 12.5], "3 decimals"),
    ((*POLYGON, "box_xyxy"), [2, 2, 12, 13], "box_from"),
    ((*POLYGON, "box_from"), "guess", "box_from"),
    ((*POLYGON, "area"), 120, "area"),
    ((*POLYGON, "visible"), 1.01, "visible"),
    ((*POLYGON, "iscrowd"), True, "iscrowd"),
    ((*POLYGON, "segmentation"), [[2, 2, 12, 2]], "segmentation"),
    ((*POLYGON, "segmentation"), [[2, 2, 41, 2, 12, 12.5]], "leaves the picture"),
    ((*POLYGON, "keypoints"), [3.5, 4, 2, 0, 0, 0], "category's 3"),
    ((*POLYGON, "keypoints"), [3.5, 4, 2, 1, 0, 0, 11.25, 10.125, 1], "v=0"),
    ((*POLYGON, "keypoints"), [3.5, 4, 2, 0, 0, 0, 11.25, 30.5, 1], "outside"),
    ((*POLYGON, "keypoints"), [3.5, 4, 3, 0, 0, 0, 11.25, 10.125, 1], "v = 3"),
    ((*POLYGON, "keypoints"), GONE, "num_keypoints is 2"),
    ((*POLYGON, "num_keypoints"), 3, "num_keypoints"),
    ((*CAT, "segmentation", "size"), [hand.WIDTH, hand.HEIGHT], "RLE size"),
    ((*CAT, "segmentation", "counts"), [600, 600], "segmentation"),
    ((*CAT, "segmentation", "counts"), "0", "runs over"),
    ((*CAT, "segmentation", "counts"), "~", "none of the 64"),
    ((*CAT, "segmentation", "counts"), "O", "negative"),
    ((*CAT, "segmentation", "counts"), "P", "middle of a run"),
    ((*CAT, "instance"), 2, "two objects"),
    ((*CAT, "area"), 100, "area"),
    ((*CAT, "box_xyxy"), [19, 5, 30, 15], "box_from"),
    ((*CAR, "obb"), [[10, 20], [10, 26], [16, 26], [16, 20]], "clockwise"),
    ((*CAR, "box_xyxy"), [10, 19, 16, 26], "obb"),
    ((*CAR, "obb"), GONE, "not written"),
    ((*CAR, "area"), 45, "area"),
    ((*MINE, "instance"), 3, "instance.png"),
    ((*MINE, "instance"), 255, "instance"),
    ((*MINE, "area"), 81, "area"),
    ((*MINE, "difficult"), 2, "difficult"),
    (("dropped", 0, "index"), 2, "in objects and in dropped"),
    (("dropped", 0, "index"), 5, "neither in objects nor in dropped"),
    (("dropped", 0, "reason"), "boring", "reason"),
    (("dropped", 0, "category"), GONE, "category"),
    (("dropped", 0, "category"), "dog", "category"),
    (("segments_info", 0, "id"), 1001, "stand for nothing"),
    (("segments_info", 0, "area"), 79, "area"),
    (("segments_info", 0, "bbox"), [28, 18, 13, 8], "bbox"),
    (("segments_info",), [{"id": 1000}, {"id": 1000}], "id twice"),
    (("source", "key"), "/data/a/b.jpg", "relative"),
    (("source", "key"), NFD, "NFC"),
    (("source", "key"), "b/unknown.jpg", "not among the sources"),
    (("source", "sha256"), "0" * 64, "sha256"),
    (("source", "orientation"), 9, "orientation"),
    (("source", "orientation"), 1, "orientation"),
    (("source", "width"), hand.HEIGHT, "upright"),
    (("plan", "drawn"), [{"name": "flip"}], "parameters"),
    (("plan", "steps"), GONE, "steps"),
    (("plan", "recipe"), "/home/someone/r.yaml", "absolute path"),
    (("plan", "device"), "cuda:0", "does not belong"),
]


# The same for the files of the folder; nothing else is made to agree.
IN_THE_FILES = [
    (RECORD, ("schema",), "augpipe-shard/2", "schema"),
    (RECORD, ("name",), "all-000001", "name"),
    (RECORD, ("sha256",), "0" * 64, "sha256"),
    (RECORD, ("bytes",), 1, "bytes"),
    (RECORD, ("samples",), 5, "samples"),
    (RECORD, ("objects",), 11, "objects"),
    (RECORD, ("dropped",), {}, "dropped"),
    (RECORD, ("config",), "ab" * 64, "digest of part 1"),
    (RECORD, ("task", "copies"), [0, 1], "not asked for"),
    (RECORD, ("task", "copies"), [0, 3], "task.copies"),
    (RECORD, ("task", "copies"), [-1, 1], "not asked for"),
    ("all-000001.json", ("rejects",), [], "neither written nor rejected"),
    (RECORD, ("task", "index"), 7, "index"),
    (RECORD, ("task", "sources"), [hand.CAFE, hand.CAFE], "twice"),
    (RECORD, ("task", "sources"), [hand.CAFE], "task"),
    (RECORD, ("run", "attempts"), 0, "attempts"),
    ("all-000001.json", ("rejected",), 2, "rejected"),
    ("all-000001.json", ("rejects", 0, "message"), "another", "rejects.jsonl: this row"),
    ("all-000001.json", ("rejects", 0, "message"), "two\nlines", "control characters"),
    ("all-000001.json", ("rejects", 0, "copies"), [0], "more than once"),
    ("all-000002.json", ("rejects", 0, "copies"), [1, 0, -1], "in order"),
    ("all-000001.json", ("rejects", 0, "stage"), "luck", "stage"),
    ("all-000001.json", ("rejects", 0, "transient"), 1, "transient"),
    ("all-000001.json", ("rejects", 0, "transient"), False, "transient"),
    ("all-000001.json", ("rejects", 0, "file"), "/data/b/shaky.jpg", "below SRC"),
    ("all-000001.json", ("rejects", 0, "signature"), "xyz", "signature"),
    ("all-000001.json", ("rejects", 0, "shard"), "all-000000", "shard"),
    ("all-000002.json", ("sha256",), "0" * 64, "null is for none"),
    ("run.json", ("schema",), "augpipe/1", "schema"),
    ("run.json", ("digest",), GONE, "digest"),
    ("run.json", ("config", "originals"), 1, "is not the manifest's config"),
    ("run.json", ("config", "seed"), 6, "is not the manifest's config"),
    ("run.json", ("config", "machine"), GONE, "machine"),
    ("run.json", ("config", "categories", 1, "label"), 3, "label"),
    ("run.json", ("config", "categories", 0, "id"), 9, "rising"),
    ("run.json", ("config", "backend", "codec"), "magic", "codec"),
    (MANIFEST, ("schema",), "augpipe-run/1", "schema"),
    (MANIFEST, ("digest",), "ab" * 64, "run.json"),
    (MANIFEST, ("config", "void"), GONE, "void"),
    (MANIFEST, ("config", "originals"), False, "originals does not ask"),
    (MANIFEST, ("config", "sources_per_shard"), 1, "sources_per_shard"),
    (MANIFEST, ("shards",), [], "shards"),
    (MANIFEST, ("shards", 0, "sha256"), "0" * 64, "sha256"),
    (MANIFEST, ("parts",), [{"copies": [0, 1], "shards": 3}], "do not cover"),
    (MANIFEST, ("parts", 0, "shards"), 2, "shards"),
    (MANIFEST, ("totals", "pictures"), 6, "pictures"),
    (MANIFEST, ("totals", "expected"), 14, "expected"),
    (MANIFEST, ("totals", "written"), 15, "written"),
    (MANIFEST, ("totals", "rejected"), 2, "rejected"),
    (MANIFEST, ("totals", "dropped"), {"outside": 3}, "dropped"),
    (MANIFEST, ("finished",), GONE, "finished"),
]


def picture(data: bytes) -> Callable[[hand.Model], None]:
    """Return the change of the first sample's picture."""
    return lambda run: run.first.update(jpg=data)


def exif(**options: Any) -> bytes:
    """Return a JPEG that a camera could have made."""
    return hand.jpeg(1, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0", **options)


def mask(name: str, values: Any) -> Callable[[hand.Model], None]:
    """Return the change of one mask of the first sample."""
    data = values if isinstance(values, bytes) else hand.image_bytes(values)
    return lambda run: run.first.update({f"{name}.png": data})


def saved(image: Image.Image, kind: str) -> bytes:
    """Return the file of a picture of an unusual mode."""
    file = BytesIO()
    image.save(file, kind)
    return file.getvalue()


def order(run: hand.Model) -> None:
    """Put the record before the picture."""
    run.shards[0].samples[0] = (run.shards[0].samples[0][0], dict(sorted(run.first.items(), reverse=True)))


def rename(run: hand.Model, key: str) -> None:
    """Give the first sample another KEY, in its record too."""
    run.first["json"]["key"] = key
    run.shards[0].samples[0] = (key, run.first)


def unsorted(run: hand.Model) -> None:
    """Write the first record with its keys the other way round."""
    record = run.first["json"]
    run.first["json"] = json.dumps(dict(sorted(record.items(), reverse=True))).encode()


def twice(run: hand.Model) -> None:
    """Let a sample stand in the next shard too."""
    run.shards[1].samples.append(run.shards[0].samples[0])


def stand_apart(run: hand.Model) -> None:
    """Move a mask of the first sample behind the second."""
    run.shards[0].samples.insert(2, (run.shards[0].samples[0][0], {"panoptic.png": run.first.pop("panoptic.png")}))


OF_THE_MODEL = {
    "exif": (picture(exif()), "EXIF"),
    "icc": (picture(hand.jpeg(1, icc_profile=b"x" * 200)), "ICC"),
    "quality": (picture(hand.jpeg(1, quality=89)), "quality 90"),
    "4:4:4": (picture(hand.jpeg(1, subsampling="4:4:4")), "4:2:0"),
    "progressive": (picture(hand.jpeg(1, progressive=True)), "baseline"),
    "cmyk": (picture(saved(Image.new("CMYK", (40, 30)), "JPEG")), "RGB or gray"),
    "png-as-jpg": (picture(hand.image_bytes(hand.photo(1))), "PNG"),
    "half-a-picture": (picture(hand.jpeg(1)[:600]), "decoded"),
    "other-size": (picture(hand.image_bytes(hand.photo(1, 31), "JPEG", quality=90)), "size"),
    "palette": (mask("semantic", saved(Image.new("P", (40, 30)), "PNG")), "palette"),
    "rgb-mask": (mask("semantic", hand.photo(1)), "RGB"),
    "gray-panoptic": (mask("panoptic", hand.area_mask(0, 0, 2, 2)), "gray"),
    "stranger": (mask("semantic", hand.area_mask(0, 0, 2, 2) * 2), "stand for nothing"),
    "idle-16-bit": (mask("semantic", hand.area_mask(0, 0, 2, 2).astype(np.uint16)), "16 bits"),
    "dropped-instance": (mask("instance", hand.area_mask(0, 0, 2, 2) * 9), "stand for nothing"),
    "low-void": (mask("instance", hand.area_mask(0, 0, 2, 2).astype(np.uint16) * 255), "stand for nothing"),
    "jpeg-mask": (mask("instance", hand.jpeg(1)), "not PNG"),
    "mask-size": (mask("instance", hand.area_mask(0, 0, 2, 2)[1:]), "size"),
    "order": (order, "order of members"),
    "long-name": (lambda run: rename(run, "x" * 60 + "/" + "y" * 60), "100 bytes"),
    "lost-twice": (lambda run: run.first["json"]["dropped"].append(run.first["json"]["dropped"][0]), "has one twice"),
    "apart": (stand_apart, "stand together"),
    "key-dash": (lambda run: rename(run, "caf\u00e9-0123456789-c001"), "other characters"),
    "key-hash": (lambda run: rename(run, "caf__v1__2_-0123456789-c001"), "KEY of"),
    "unsorted": (unsorted, "not sorted"),
    "bom": (lambda run: run.first.update(json=b"\xef\xbb\xbf" + hand.to_json(run.first["json"])), "UTF-8"),
    "twice": (twice, "more than once"),
    "no-json": (lambda run: run.first.pop("json"), "members of kind json"),
    "empty-json": (lambda run: run.first.update(json=b"{}"), "schema: missing"),
    "two-documents": (lambda run: run.first.update(json=b"{}\n{}"), "one JSON document"),
    "no-picture": (lambda run: run.first.pop("jpg"), "members of kind picture"),
    "two-pictures": (lambda run: run.first.update(png=run.first["jpg"]), "members of kind picture"),
    "other-member": (lambda run: run.first.update(txt=b"cat"), "unknown EXT"),
    "lost-object": (lambda run: run.first["json"]["objects"].pop(), "differs between its copies"),
    "format": (lambda run: run.config["picture"].update(format="png"), "config.picture.format"),
    "tasks": (lambda run: run.shards[2].sources.append(hand.CAFE), "do not cover"),
}


def header(start: int, text: bytes, *, checksum: bool = True) -> Callable[[Files], None]:
    """Return the change of bytes in the first header of the first tar."""

    def change(files: Files) -> None:
        block = bytearray(files[TAR][:512])
        block[start : start + len(text)] = text
        if checksum:
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
        files[TAR] = bytes(block) + files[TAR][512:]
        reseal(files)

    return change


def tar(edited: Callable[[bytes], bytes], *, sealed: bool = True) -> Callable[[Files], None]:
    """Return the change of the bytes of the first tar."""

    def change(files: Files) -> None:
        files[TAR] = edited(files[TAR])
        if sealed:
            reseal(files)

    return change


def bytes_of(name: str, edited: Callable[[bytes], bytes]) -> Callable[[Files], None]:
    """Return the change of the bytes of a file."""
    return lambda files: files.update({name: edited(files[name])})


def renumber(files: Files) -> None:
    """Let the last shard have the number after the next."""
    files["all-000003.json"] = files.pop("all-000002.json")


def gnu(data: bytes) -> bytes:
    """Return the tar as GNU tar would have begun it."""
    block = bytearray(data[:512])
    block[257:265] = b"ustar  \0"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + data[512:]


def first_member(data: bytes) -> int:
    """Return how many bytes of a tar its first member takes."""
    return 512 + -(-int(data[124:135], 8) // 512) * 512


OF_THE_FILES = {
    "flipped": (tar(lambda d: d[:700] + bytes([d[700] ^ 1]) + d[701:], sealed=False), "sha256"),
    "mode": (header(100, b"0000600\0"), "mode"),
    "uid": (header(108, b"0001750\0"), "uid"),
    "gid": (header(116, b"0001750\0"), "gid"),
    "mtime": (header(136, b"14605470000\0"), "mtime"),
    "uname": (header(265, b"root"), "uname"),
    "gname": (header(297, b"root"), "gname"),
    "link": (header(156, b"2"), "regular file"),
    "pax": (header(156, b"x"), "regular file"),
    "gnu": (tar(gnu), "ustar"),
    "size": (header(124, b"0000000000x\0"), "cannot be read on"),
    "device": (header(329, b"0000001\0"), "devmajor"),
    "after-the-name": (header(99, b"x"), "followed"),
    "not-zeros": (tar(lambda d: d[:-1025] + b"x" + d[-1024:]), "filled up with zeros"),
    "member-twice": (tar(lambda d: d[: first_member(d)] + d), "there twice"),
    "prefix": (header(345, b"folder"), "prefix"),
    "slash": (header(0, b"a/"), "other characters"),
    "checksum": (header(329, b"0000000\0", checksum=False), "checksum"),
    "padded": (tar(lambda d: d + bytes(-len(d) % tarfile.RECORDSIZE)), "no more padding"),
    "one-block": (tar(lambda d: d[:-512]), "two zero blocks"),
    "cut": (tar(lambda d: d[:2000]), "announced"),
    "empty-tar": (tar(lambda _: bytes(1024)), "without members"),
    "no-record": (lambda files: files.pop("all-000001.json"), "a tar without a commit record"),
    "no-tar": (lambda files: files.pop("all-000001.tar"), "missing, its record has"),
    "tar-of-nothing": (lambda files: files.update({"all-000002.tar": bytes(1024)}), "no samples"),
    "gap": (renumber, "gap"),
    "split": (lambda files: edit(files, MANIFEST, ("config", "split"), "train"), "SPLIT"),
    "extra": (lambda files: files.update({"notes.txt": b""}), "does not belong in a finished folder"),
    "temporary": (lambda files: files.update({".augpipe/lock": b""}), ".augpipe"),
    "no-manifest": (lambda files: files.pop(MANIFEST), "unfinished"),
    "no-run": (lambda files: files.pop("run.json"), "run.json: missing"),
    "no-rejects": (lambda files: files.pop("rejects.jsonl"), "rejects.jsonl: missing"),
    "rejects-order": (bytes_of("rejects.jsonl", lambda d: b"\n".join(d.splitlines()[::-1])), "not sorted by"),
    "rejects-short": (bytes_of("rejects.jsonl", lambda d: d.splitlines()[0]), "is missing"),
    "rejects-twice": (bytes_of("rejects.jsonl", lambda d: d.splitlines()[0] + b"\n" + d), "not merged"),
    "rejects-blank": (bytes_of("rejects.jsonl", lambda d: d + b"\n"), "one JSON document"),
    "latin-1": (bytes_of("run.json", lambda d: d.replace(b"flip", b"fl\xefp")), "UTF-8"),
    "unsorted-run": (bytes_of("run.json", lambda d: b'{"z": 1, ' + d[1:]), "not sorted"),
}
