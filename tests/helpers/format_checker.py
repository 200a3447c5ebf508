"""Hold a finished folder against docs/format.md: what `augpipe verify` checks, and the form of it that it does not.

    python tests/helpers/format_checker.py DST

`verify` looks at hashes, sums, sizes and the truth of labels. Here are the bytes of tars, the fields and their types,
how pictures and masks are coded, and what two copies of a picture have in common, by tarfile, msgspec, Pillow and
pycocotools.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import sys
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain, pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from builders import decode
from msgspec import UNSET, Meta, Struct, UnsetType
from PIL import Image

from augpipe.verification import verify

MEMBERS = ("jpg", "png", "webp", "json", "semantic.png", "instance.png", "panoptic.png")  # in the order of a tar
SINGLE = {"run.json", "rejects.jsonl", "manifest.json"}
PATH = re.compile(r"/|[A-Za-z]:[\\/]|file:")

Count = Annotated[int, Meta(ge=0)]
Some = Annotated[int, Meta(ge=1)]
Flag = Literal[0, 1] | UnsetType
Json = dict[str, Any] | UnsetType
Reason = Literal["outside", "min_visibility", "min_area", "min_side", "erased", "degenerate", "merged"]


class _Strict(Struct, forbid_unknown_fields=True):
    """Fields that may be absent are :data:`UNSET`, so that none may be null."""


class _Object(_Strict, kw_only=True):
    index: Count
    id: int | UnsetType = UNSET
    category: str
    category_id: int
    label: Some
    box_xyxy: Annotated[list[float], Meta(min_length=4, max_length=4)]
    box_from: Literal["mask", "polygon", "obb", "ellipse", "corners", "source"]
    area: float
    iscrowd: Literal[0, 1]
    visible: Annotated[float, Meta(ge=0, le=1)]
    segmentation: list[Annotated[list[float], Meta(min_length=6)]] | dict[str, Any] | UnsetType = UNSET
    keypoints: list[float] | UnsetType = UNSET
    num_keypoints: Count | UnsetType = UNSET
    obb: Annotated[list[list[float]], Meta(min_length=4, max_length=4)] | UnsetType = UNSET
    instance: Some | UnsetType = UNSET
    truncated: Flag = UNSET
    difficult: Flag = UNSET
    occluded: Flag = UNSET
    ignored: Literal["min_visibility", "min_area", "min_side"] | UnsetType = UNSET
    pose: str | UnsetType = UNSET
    parts: list[dict[str, Any]] | UnsetType = UNSET
    attributes: Json = UNSET


class _Dropped(_Strict, kw_only=True):
    index: Count
    id: int | UnsetType = UNSET
    category: str
    reason: Reason
    value: float | UnsetType = UNSET


class _Source(_Strict, kw_only=True):
    key: str
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    width: Some
    height: Some
    orientation: Annotated[int, Meta(ge=1, le=8)]
    split: str | UnsetType = UNSET
    attributes: Json = UNSET


class _Drawn(_Strict, kw_only=True):
    name: str
    parameters: dict[str, Any]


class _Plan(_Strict, kw_only=True):
    version: int
    seed: int
    steps: list[dict[str, Any]]
    drawn: list[_Drawn]


class _Sample(_Strict, kw_only=True):
    schema: Literal["augpipe/1"]
    key: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]+$")]
    width: Some
    height: Some
    image_id: int | UnsetType = UNSET
    objects: list[_Object]
    dropped: list[_Dropped]
    tags: list[Any] | UnsetType = UNSET
    captions: list[Any] | UnsetType = UNSET
    segments_info: list[dict[str, Any]] | UnsetType = UNSET
    source: _Source
    copy: Annotated[int, Meta(ge=-1)]
    plan: _Plan


class _Reject(_Strict, kw_only=True):
    source: str
    file: str
    line: Some | UnsetType = UNSET
    copies: Annotated[list[int], Meta(min_length=1)]
    shard: str
    stage: Literal["read", "decode", "labels", "plan", "pixels", "encode", "write"]
    error: Annotated[str, Meta(pattern="^[a-z0-9]+(-[a-z0-9]+)*$")]
    message: str
    signature: Annotated[str, Meta(pattern="^([0-9a-f]{2}){0,16}$")] | UnsetType = UNSET
    transient: bool


class _Task(_Strict, kw_only=True):
    index: Count
    sources: list[str]
    copies: tuple[int, int]
    fingerprint: str


class _Seen(_Strict, kw_only=True):
    bytes: list[Annotated[int, Meta(ge=-1)]]
    mtime_ns: list[int | None]
    sha256: list[Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | None]
    labels: list[Annotated[str, Meta(pattern="^([0-9a-f]{2})*$")]]


class _Work(_Strict, kw_only=True):
    seconds: float
    attempts: Some
    fallbacks: Any
    sources: _Seen | UnsetType = UNSET
    versions: dict[str, str] | UnsetType = UNSET
    waited: dict[str, float] | UnsetType = UNSET


class _Record(_Strict, kw_only=True):
    schema: Literal["augpipe-shard/1"]
    name: str
    sha256: str | None
    bytes: Count
    samples: Count
    task: _Task
    objects: Count
    truncated: Count | UnsetType = UNSET
    dropped: dict[Reason, Count]
    notes: dict[str, Count] | UnsetType = UNSET
    label_kinds: dict[str, Count] | UnsetType = UNSET
    rejected: Count
    rejects: list[_Reject]
    config: Annotated[str, Meta(pattern="^[0-9a-f]{128}$")]
    run: _Work


def check_folder(folder: Path, *, sources: Mapping[str, bytes] | None = None) -> list[str]:
    """Everything that is wrong with a finished folder; ``sources`` are the bytes of its pictures by their key."""
    verdict = verify(folder, workers=0)
    problems = [str(fault) for fault in verdict.faults] + [
        f"{row.kind}: {row.worst}" for row in verdict.rows if not row.ok
    ]
    return problems + list(_form_of(Path(folder), sources))


def _form_of(folder: Path, sources: Mapping[str, bytes] | None) -> Iterator[str]:
    manifest, run = (json.loads((folder / name).read_bytes()) for name in ("manifest.json", "run.json"))
    config = manifest["config"]
    if (run["schema"], run["config"], run["digest"]) != ("augpipe-run/1", config, manifest["digest"]):
        yield "run.json: not the run of the manifest"
    split = config["split"] or ("|".join(name or "all" for name in config["splits"]) if "splits" in config else "all")
    for name in sorted({path.name for path in folder.iterdir()} - SINGLE):
        if not re.fullmatch(rf"({split})-\d{{6}}\.(tar|json)", name) or not (folder / name).is_file():
            yield f"{name}: does not belong in a finished folder"
    rows = [json.loads(line) for line in (folder / "rejects.jsonl").read_bytes().splitlines()]
    if (places := [(row["source"], row["copies"]) for row in rows]) != sorted(places):
        yield "rejects.jsonl: not sorted by (source, copies)"
    origins: dict[str, set[str]] = defaultdict(set)
    indices = []
    for path in sorted(path for path in folder.glob("*-??????.json")):
        yield from _typed(path.read_bytes(), _Record, path.name)
        indices.append(json.loads(path.read_bytes())["task"]["index"])
        if (tar := path.with_suffix(".tar")).exists():
            yield from _form_of_tar(tar, config, sources, origins)
    if sorted(indices) != list(range(len(indices))) or ("splits" not in config and indices != sorted(indices)):
        yield f"the tasks are {indices}"
    yield from (f"{source}: its copies differ in id or objects" for source, all_ in origins.items() if len(all_) > 1)


def _typed(data: bytes, form: type[Struct], where: str) -> Iterator[str]:
    try:
        msgspec.json.decode(data, type=form)
    except msgspec.ValidationError as error:
        yield f"{where}: {error}"


def _form_of_tar(
    path: Path, config: Mapping[str, Any], sources: Mapping[str, bytes] | None, origins: dict[str, set[str]]
) -> Iterator[str]:
    members, made = [], b""
    with tarfile.open(path) as tar:
        for info in tar:
            file = tar.extractfile(info)
            data = b"" if file is None else file.read()
            made += _plainest_header(info.name, len(data)) + data + bytes(-len(data) % tarfile.BLOCKSIZE)
            members.append((*info.name.split(".", 1), data))
    if made + bytes(2 * tarfile.BLOCKSIZE) != path.read_bytes():
        yield f"{path.name}: not the plainest ustar of its members"
    samples: dict[str, dict[str, bytes]] = {}
    for key, ending, data in members:
        samples.setdefault(key, {})[ending] = data
    order = [(key, MEMBERS.index(ending)) for key, ending, _ in members]
    if order != [(key, MEMBERS.index(e)) for key, files in samples.items() for e in sorted(files, key=MEMBERS.index)]:
        yield f"{path.name}: members of a sample do not stand together in their order"
    for key, files in samples.items():
        where = f"{path.name}: {key}"
        if mistakes := list(_typed(files["json"], _Sample, where)):
            yield from mistakes
            continue
        record = json.loads(files["json"])
        yield from (f"{where}: {problem}" for problem in _form_of_sample(record, files, config))
        if (
            sources is not None
            and record["source"]["sha256"] != hashlib.sha256(sources[record["source"]["key"]]).hexdigest()
        ):
            yield f"{where}: sha256 is not that of the source"
        ids = sorted(
            (row["index"], row.get("id", -1), row["category"]) for row in record["objects"] + record["dropped"]
        )
        origins[record["source"]["key"]].add(repr((record.get("image_id"), record["source"], ids)))


def _plainest_header(name: str, size: int) -> bytes:
    """A regular file of mode 644 without owner and time, the numbers of its device 0."""
    plain = tarfile.TarInfo(name)
    plain.size = size
    header = bytearray(plain.tobuf(tarfile.USTAR_FORMAT))
    header[329:345] = b"0000000\0" * 2
    header[148:156] = b" " * 8  # as which the checksum counts itself
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def _form_of_sample(record: dict[str, Any], files: Mapping[str, bytes], config: Mapping[str, Any]) -> Iterator[str]:
    kept, lost = ([row["index"] for row in record[name]] for name in ("objects", "dropped"))
    if kept != sorted(kept) or sorted(kept + lost) != list(range(len(kept) + len(lost))):
        yield f"indices {kept} of objects and {lost} of dropped are not those of a list"
    ours = {k: v for k, v in record.items() if k not in ("objects", "tags", "captions", "segments_info")}
    if any(PATH.match(text) for text in _texts({**ours, "source": {**ours["source"], "attributes": {}}})):
        yield "an absolute path"
    categories = {c["id"]: c for c in config["categories"]}
    size_wh = record["width"], record["height"]
    picture = next(name for name in ("jpg", "png", "webp") if name in files)
    if record["copy"] >= 0 or hashlib.sha256(files[picture]).hexdigest() != record["source"]["sha256"]:
        yield from _form_of_picture(files[picture], picture, config["picture"])
    else:
        yield from _form_of_original(files[picture], picture)
    rasters = {
        name: _raster(files[f"{name}.png"]) for name in ("semantic", "instance", "panoptic") if f"{name}.png" in files
    }
    for name, raster in rasters.items():
        if raster is None or raster.shape[1::-1] != size_wh:
            yield f"{name}.png: not a gray PNG, or RGB for panoptic, of {size_wh}"
            return
    known = {
        "semantic": {0, config["void"]["semantic"], *categories},
        "instance": {0, *(row.get("instance", 0) for row in record["objects"])},
        "panoptic": {0, *(segment["id"] for segment in record.get("segments_info", ()))},
    }
    for name, raster in rasters.items():
        void = {int(np.iinfo(raster.dtype).max)} if name == "instance" else set()
        if strange := set(np.unique(raster).tolist()) - known[name] - void:
            yield f"{name}.png: {sorted(strange)[:3]} stand for nothing"
    for row in record["objects"]:
        yield from (
            f"object {row['index']}: {problem}" for problem in _form_of_object(row, size_wh, categories, rasters)
        )
    instances = [row["instance"] for row in record["objects"] if "instance" in row]
    if len(instances) != len(set(instances)):
        yield "two objects of one instance"
    yield from _form_of_segments(record.get("segments_info", []), rasters.get("panoptic"))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _form_of_original(data: bytes, ending: str) -> Iterator[str]:
    """The source's file: an upright JPEG or PNG of 8 bits, gray or RGB, with what else is in it."""
    with Image.open(io.BytesIO(data)) as image:
        kind = (image.format, ending, image.mode, image.getexif().get(274, 1))
        files = (("JPEG", "jpg"), ("MPO", "jpg"), ("PNG", "png"))
        if kind not in {(*file, mode, 1) for file in files for mode in ("RGB", "L")}:
            yield f"{ending}: an original that is {kind}"


def _form_of_picture(data: bytes, ending: str, asked: Mapping[str, Any]) -> Iterator[str]:
    forms = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
    endings = ("jpg", "png") if asked["format"] == "auto" else (asked["format"],)
    with Image.open(io.BytesIO(data)) as image:
        if ending not in endings or image.format != forms[ending]:
            yield f"{ending}: a {image.format}, not {asked['format']}"
        elif image.mode not in ("RGB", "L") or {"exif", "icc_profile", "progressive"} & set(image.info):
            yield f"{ending}: {image.mode}, with {sorted(image.info)}"
        elif image.format == "JPEG":
            if any(list(table) not in _tables(asked["quality"]) for table in image.quantization.values()):
                yield f"jpg: not of quality {asked['quality']}"
            sampling = [layer[1:3] for layer in image.layer]
            if len(sampling) == 3 and (sampling == [(2, 2), (1, 1), (1, 1)]) != (asked["subsampling"] == "4:2:0"):
                yield f"jpg: subsampling is not {asked['subsampling']}"


@lru_cache
def _tables(quality: int) -> list[list[int]]:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        return [list(table) for table in image.quantization.values()]


def _raster(data: bytes) -> np.ndarray | None:
    """Values (H, W) of a mask: gray of 8 bits, of 16 if one needs them, or the ids of a panoptic RGB."""
    with Image.open(io.BytesIO(data)) as image:
        values, mode = np.asarray(image), (image.format, image.mode)
    if mode == ("PNG", "RGB"):
        return values.astype(np.uint32) @ np.array([1, 256, 65536], np.uint32)
    if mode == ("PNG", "L"):
        return values
    return values.astype(np.uint16) if mode[0] == "PNG" and mode[1].startswith("I") and values.max() > 255 else None


def _form_of_object(
    row: dict[str, Any], size_wh: tuple[int, int], categories: Mapping[int, Any], rasters: Mapping[str, Any]
) -> Iterator[str]:
    category = categories.get(row["category_id"], {})
    if (category.get("name"), category.get("label")) != (row["category"], row["label"]):
        yield f"category {row['category']}, label {row['label']} are not those of {row['category_id']}"
    segmentation, obb, box = row.get("segmentation"), row.get("obb"), np.array(row["box_xyxy"])
    rings = [np.reshape(ring, (-1, 2)) for ring in segmentation] if isinstance(segmentation, list) else []
    numbers = np.array([*box, *chain(*segmentation if rings else []), *chain(*obb or []), *row.get("keypoints", ()),
                        row["area"], row["visible"]])  # fmt: skip
    if not np.array_equal(numbers, np.round(numbers, 3)):
        yield "more than 3 decimals"
    if any((ring < 0).any() or (ring > size_wh).any() for ring in rings):
        yield "a ring leaves the picture"
    if obb is not None and _signed_area(obb) < 0:
        yield "obb is not clockwise"
    if "ignored" in row and row["iscrowd"] != 1:
        yield "ignored, but no crowd"
    if row.get("num_keypoints") != (sum(v > 0 for v in row["keypoints"][2::3]) if "keypoints" in row else None):
        yield f"num_keypoints is {row.get('num_keypoints')}"
    masks = [decode(segmentation)] if isinstance(segmentation, dict) else []
    if "instance" in row:
        masks.append(rasters["instance"] == row["instance"])
    if masks and row["area"] not in [int(mask.sum()) for mask in masks]:
        yield f"area {row['area']} is not the mask's"
    if not masks and obb is None and not rings and row["box_from"] == "source" and row["iscrowd"] == 0:
        return  # its area is what the source says
    points = np.concatenate(rings) if rings else np.empty((0, 2))
    around = {
        "mask": [_bounds(mask) for mask in masks],
        "polygon": [[*points.min(0), *points.max(0)]] if rings else [],
    }
    found = around.get(row["box_from"])
    if found is not None and not any(np.allclose(bounds, box, rtol=0, atol=0.0011) for bounds in found):
        yield f"box {box} is not that of its {row['box_from']}"
    if row["box_from"] == "obb" and (obb is None or (box < [*np.min(obb, 0), 0, 0] - np.float64(0.0011)).any()):
        yield "box is not that of its obb"


def _signed_area(corners: list[list[float]]) -> float:
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise([*corners, corners[0]]))


def _bounds(mask: np.ndarray) -> np.ndarray:
    ys, xs = np.nonzero(mask)
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


def _form_of_segments(segments: list[dict[str, Any]], ids: np.ndarray | None) -> Iterator[str]:
    if len({segment["id"] for segment in segments}) != len(segments):
        yield "segments_info has an id twice"
    for segment in segments if ids is not None else ():
        mask = ids == segment["id"]
        if segment.get("area") not in (None, int(mask.sum())):
            yield f"segment {segment['id']}: area {segment['area']} is not its {mask.sum()} pixels"
        if segment.get("bbox") is not None and mask.any():
            x0, y0, x1, y1 = _bounds(mask)
            if segment["bbox"] != [x0, y0, x1 - x0, y1 - y0]:
                yield f"segment {segment['id']}: bbox {segment['bbox']} is not that of its pixels"


def main() -> None:
    """Print what is wrong with the folder, and exit with 1 if anything is."""
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/helpers/format_checker.py DST")
    problems = check_folder(Path(sys.argv[1]))
    print("\n".join(problems))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
