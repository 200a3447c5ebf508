"""A small correct folder made by hand, as a model that a test may change before it becomes files.

Five pictures, two copies and the original of each: two shards with tars, a third whose only picture is missing.
The first picture has an object of every kind and all three masks; what is summed or hashed is computed from the model.
"""

import hashlib
import io
import json
import tarfile
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco

WIDTH, HEIGHT = 40, 30
CAFE, PLAIN, THIRD, SHAKY, GONE = "a/caf\u00e9.v1 (2).jpg", "b/plain.png", "b/third.jpg", "b/shaky.jpg", "b/gone.jpg"
KEYS = {
    CAFE: "caf__v1__2_",  # the stem with one _ for é, dot, blank and bracket
    PLAIN: "plain",
    THIRD: "third",
    SHAKY: "shaky",
}
CATEGORIES: list[dict[str, Any]] = [
    {"id": 1, "keypoints": ["nose", "left_eye", "right_eye"], "label": 1, "name": "person"},
    {"id": 3, "label": 2, "name": "cat", "supercategory": "animal"},
    {"id": 7, "label": 3, "name": "car"},
]
Parts = dict[str, Any]  # EXT: bytes, or the document of KEY.json


@dataclass
class Shard:
    """A task and what came of it."""

    sources: list[str]
    samples: list[tuple[str, Parts]]
    rejects: list[dict[str, Any]]
    copies: tuple[int, int] = (0, 2)


@dataclass
class Model:
    """A run: its configuration and its shards."""

    config: dict[str, Any]
    shards: list[Shard]

    @property
    def first(self) -> Parts:
        """The members of the first sample, which has everything."""
        return self.shards[0].samples[0][1]


def image_bytes(values: Any, kind: str = "PNG", **options: Any) -> bytes:
    """Return a picture file."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(values)).save(file, kind, **options)
    return file.getvalue()


def photo(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Any:
    """Return a picture of noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def jpeg(seed: int, **options: Any) -> bytes:
    """Return a JPEG as the page wants it, unless told otherwise."""
    return image_bytes(photo(seed), "JPEG", **{"quality": 90, "subsampling": "4:2:0", **options})


@lru_cache
def sources() -> dict[str, bytes]:
    """Return the source pictures; the first is turned by its EXIF."""
    exif = Image.Exif()
    exif[0x0112] = 6
    cafe = image_bytes(photo(1, WIDTH, HEIGHT), "JPEG", exif=exif)
    return {CAFE: cafe, PLAIN: image_bytes(photo(2)), THIRD: jpeg(3), SHAKY: jpeg(4)}


def area_mask(top: int, left: int, bottom: int, right: int) -> Any:
    """Return a mask that is 1 in a rectangle."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def compressed(mask: Any) -> dict[str, Any]:
    """Return a mask as compressed RLE."""
    rle = coco.encode(np.asfortranarray(mask))
    return {"counts": rle["counts"].decode(), "size": [HEIGHT, WIDTH]}


def thing(index: int, category: int, box: list[float], area: float, **more: Any) -> dict[str, Any]:
    """Return an object."""
    row = CATEGORIES[category]
    names = {"category": row["name"], "category_id": row["id"], "label": row["label"]}
    rest = {"box_from": "source", "visible": 1, "iscrowd": 0}
    return {"index": index, "box_xyxy": box, "area": area, **names, **rest, **more}


def objects() -> list[dict[str, Any]]:
    """Return an object of each kind: polygon with keypoints, RLE with a hole, obb, instance."""
    ring = area_mask(5, 20, 15, 30) - area_mask(8, 23, 10, 25)
    return [
        thing(0, 0, [2, 2, 12, 12.5], 105, box_from="polygon", segmentation=[[2, 2, 12, 2, 12, 12.5, 2, 12.5]])
        | {"id": 501, "keypoints": [3.5, 4, 2, 0, 0, 0, 11.25, 10.125, 1], "num_keypoints": 2, "visible": 0.75}
        | {"attributes": {"colour": "red", "nested": {"a": [1, 2.5]}}},
        thing(1, 1, [20, 5, 30, 15], 96, box_from="mask", segmentation=compressed(ring)),
        thing(2, 2, [10, 20, 16, 26], 36, box_from="obb", obb=[[10, 20], [16, 20], [16, 26], [10, 26]]),
        thing(4, 1, [28, 18, 38, 26], 80, box_from="mask", instance=2, truncated=0, difficult=1, pose="Left"),
    ]


def masks() -> Parts:
    """Return the three masks that go with the objects."""
    cat, other = area_mask(18, 28, 26, 38), area_mask(0, 0, 1, WIDTH)
    panoptic = np.stack([cat * (1000 % 256), cat * (1000 // 256), cat * 0], -1)
    return {
        "semantic.png": image_bytes(cat * 3 + other * 255),
        "instance.png": image_bytes(cat * 2 + other * 255),
        "panoptic.png": image_bytes(panoptic),
    }


def sample(source: str, copy: int, data: bytes) -> tuple[str, Parts]:
    """Return a sample without objects: KEY and members."""
    key = f"{KEYS[source]}-{hashlib.blake2b(source.encode()).hexdigest()[:10]}-{'orig' if copy < 0 else f'c{copy:03}'}"
    record = {
        "schema": "augpipe/1",
        "key": key,
        "width": WIDTH,
        "height": HEIGHT,
        "objects": [],
        "dropped": [],
        "source": {
            "key": source,
            "sha256": hashlib.sha256(data).hexdigest(),
            "width": WIDTH,
            "height": HEIGHT,
            "orientation": 6 if source == CAFE else 1,
        },
        "copy": copy,
        "plan": {"version": 1, "seed": 5, "steps": [], "drawn": [{"name": "flip", "parameters": {"p": 0.25}}]},
    }
    return key, {"jpg": jpeg(copy + 10), "json": record}


def reject(source: str, copies: list[int], shard: str, **more: Any) -> dict[str, Any]:
    """Return a row of rejects.jsonl."""
    row = {"source": source, "file": source, "copies": copies, "shard": shard, "message": "no such file"}
    return row | {"stage": "read", "error": "missing-picture", "transient": False} | more


def config() -> dict[str, Any]:
    """Return a configuration."""
    digest = hashlib.blake2b(b"").hexdigest()
    return {
        "recipe": {"name": "flip", "text": "version: 1\n", "canonical": "{}", "digest": digest},
        "seed": 5,
        "copies": 2,
        "originals": True,
        "sources_per_shard": 2,
        "source": {"format": "coco", "fingerprint": digest, "pictures": 5},
        "picture": {"format": "jpg", "quality": 90, "subsampling": "4:2:0"},
        "backend": {"device": "cpu", "codec": "cpu"},
        "categories": CATEGORIES,
        "void": {"semantic": 255},
        "versions": {"augpipe": "0.1.0", "numpy": "2.0.0", "opencv": "4.10.0", "jpeg": "8.0"},
        "machine": "x86_64",
    }


def model() -> Model:
    """Return the correct run, which may be changed."""
    return deepcopy(correct())


@lru_cache
def correct() -> Model:
    """Return the correct run, which is not to be changed."""
    pictures = sources()
    cafe = [sample(CAFE, copy, pictures[CAFE]) for copy in (1, -1, 0)]
    for _, members in cafe:
        dropped = {"index": 3, "category": "cat", "reason": "min_visibility", "value": 0.05}
        panoptic = {"id": 1000, "category_id": 3, "area": 80, "bbox": [28, 18, 10, 8], "iscrowd": 0}
        members["json"] |= {"image_id": 77, "objects": objects(), "dropped": [dropped], "segments_info": [panoptic]}
        members.update(masks())
    rest = [[sample(key, copy, pictures[key]) for copy in (0, -1, 1)] for key in (PLAIN, THIRD, SHAKY)]
    shaky = [(key, parts) for key, parts in rest[2] if parts["json"]["copy"] != 1]
    timeout = {"stage": "pixels", "error": "timeout", "transient": True, "message": "more than 60 s", "line": 3}
    return Model(
        config(),
        [
            Shard([PLAIN, CAFE], cafe + rest[0], []),
            Shard([THIRD, SHAKY], shaky + rest[1], [reject(SHAKY, [1], "all-000001", signature="ffd8", **timeout)]),
            Shard([GONE], [], [reject(GONE, [-1, 0, 1], "all-000002")]),
        ],
    )


def to_json(value: Any) -> bytes:
    """Return a document."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode()


def tar_bytes(members: list[tuple[str, bytes]]) -> bytes:
    """Return a tar, cut to two blocks of end where Python's own would be filled up to ten kilobytes."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        end = tar.offset
    return file.getvalue()[: end + 1024]


def document(record: Any) -> dict[str, Any]:
    """Return KEY.json to be summed up; an empty one for what a test has spoilt."""
    try:
        found = json.loads(record.decode()) if isinstance(record, bytes) else record
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def rows(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a list of objects of a document, without what is none."""
    found = document.get(name)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def shard_files(number: int, shard: Shard, digest: str) -> dict[str, bytes]:
    """Return the tar, if there is one, and the record."""
    name = f"all-{number:06d}"
    documents = [document(parts.get("json")) for _, parts in shard.samples]
    members = [
        (f"{key}.{ext}", value if isinstance(value, bytes) else to_json(value))
        for key, parts in shard.samples
        for ext, value in parts.items()
    ]
    tar = tar_bytes(members) if members else b""
    record = {
        "schema": "augpipe-shard/1",
        "name": name,
        "sha256": hashlib.sha256(tar).hexdigest() if tar else None,
        "bytes": len(tar),
        "samples": len(documents),
        "task": {"index": number, "sources": shard.sources, "copies": shard.copies},
        "objects": sum(len(rows(document, "objects")) for document in documents),
        "dropped": Counter(str(row.get("reason")) for document in documents for row in rows(document, "dropped")),
        "rejected": sum(len(row["copies"]) for row in shard.rejects),
        "rejects": shard.rejects,
        "config": digest,
        "run": {"seconds": 0.5, "attempts": 1, "fallbacks": 0},
    }
    return ({f"{name}.tar": tar} if tar else {}) | {f"{name}.json": to_json(record)}


def files(run: Model) -> dict[str, bytes]:
    """Return the files of a run."""
    digest = hashlib.blake2b(to_json(run.config)).hexdigest()
    result: dict[str, bytes] = {}
    for number, shard in enumerate(run.shards):
        result |= shard_files(number, shard, digest)
    records = [json.loads(data) for name, data in result.items() if name.endswith(".json")]
    lost = [row for record in records for row in record["rejects"]]
    lost.sort(key=lambda row: (row["source"], row["copies"]))
    written, rejected = sum(r["samples"] for r in records), sum(r["rejected"] for r in records)
    manifest = {
        "schema": "augpipe/1",
        "config": run.config,
        "parts": [
            {"copies": copies, "shards": sum(shard.copies == copies for shard in run.shards)}
            for copies in sorted({shard.copies for shard in run.shards})
        ],
        "shards": [{name: r[name] for name in ("name", "samples", "bytes", "sha256")} for r in records],
        "totals": {
            "pictures": 5,
            "expected": 15,
            "written": written,
            "rejected": rejected,
            "objects": sum(r["objects"] for r in records),
            "dropped": sum((Counter(r["dropped"]) for r in records), Counter[str]()),
        },
        "finished": "2024-05-06T07:08:09Z",
        "seconds": 1.5,
        "source_path": "/data/coco",
        "command": "augpipe augment",
    }
    result["run.json"] = to_json({"schema": "augpipe-run/1", "config": run.config, "digest": digest})
    result["rejects.jsonl"] = b"".join(to_json(row) + b"\n" for row in lost)
    result["manifest.json"] = to_json(manifest)
    return result
