"""The configuration: everything that decides the bytes of a run, as one JSON document with a digest.

Two runs of one configuration write the same tars. Anything else (workers, cores, time, memory, paths) must not affect a
tar.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from typing import Any, Literal

from augpipe.core.errors import UsageError, one_line
from augpipe.formats.base import Dataset, SourceOptions, fingerprint_of
from augpipe.formats.coco.json_fields import category_json
from augpipe.formats.layout.purposes import augmented_splits
from augpipe.pixels.codec.header import MAX_PIXELS
from augpipe.pixels.codec.image import FORMATS, SUBSAMPLINGS, PictureFormat
from augpipe.pixels.codec.pixel_reading import PixelReading
from augpipe.pixels.cuda.select import Device
from augpipe.recipe.nodes import Recipe
from augpipe.windows.spec import WindowSpec
from augpipe.windows.spec import check as check_windows
from augpipe.windows.spec import to_json as windows_json

_WINDOWS = 32  # of a picture, more or less
RUN_SCHEMA = "augpipe-run/1"
SOURCE_CHANGED = "source: pictures or labels have changed"


@dataclass(frozen=True)
class RunOptions:
    """The options of a run.

    Attributes:
        copies: augmented samples a picture.
        originals: also write each picture unchanged.
        seed: of all random numbers.
        source: how the source is read.
        picture: how pictures are written.
        reading: how their pixels are read; levels that are not given are found in the whole source.
        sources_per_shard: pictures a task; ``None`` chooses by the size of the dataset.
        max_pixels: larger pictures are rejected before they are decoded.
        truncated: ``reject`` damaged JPEGs, or ``keep`` what is left of them.
        strict: reject a picture if a label had to be dropped, mended or guessed.
        device: what moves the pixels, and which codec reads and writes them.
        window: what pictures are cut into instead of being copied by a recipe; then there is one of each.
        augment_splits: the splits that are augmented, by any of their names; train if not given. Others pass through.
        pass_splits: splits that pass through.
        splits_apart: whether the splits of the source are told apart; runs of earlier versions go on without.
    """

    copies: int = 1
    originals: bool = False
    seed: int = 0
    source: SourceOptions = field(default_factory=SourceOptions)
    picture: PictureFormat = field(default_factory=lambda: PictureFormat("auto"))
    reading: PixelReading = field(default_factory=PixelReading)
    sources_per_shard: int | None = None
    max_pixels: int = MAX_PIXELS
    truncated: Literal["reject", "keep"] = "reject"
    strict: bool = False
    device: Device = field(default_factory=Device)
    window: WindowSpec | None = None
    augment_splits: tuple[str, ...] = ()
    pass_splits: tuple[str, ...] = ()
    splits_apart: bool = True

    def check(self) -> None:
        """Raise :class:`UsageError` for values that make no sense."""
        for name, value, least in (("copies", self.copies, 0), ("limit", self.source.limit, 1)):
            if value is not None and value < least:
                raise UsageError(f"--{name} {value}: expected {least} or more")
        if self.window is not None:
            check_windows(self.window)
            if self.copies != 1 or self.originals or self.device.kind != "cpu":
                raise UsageError("windows are cut out once, on the CPU: expected no copies, originals or other device")
        if self.copies == 0 and not self.originals:
            raise UsageError("--copies 0 without --originals would write nothing")
        if self.sources_per_shard is not None and self.sources_per_shard < 1:
            raise UsageError(f"--sources-per-shard {self.sources_per_shard}: expected 1 or more")
        if self.max_pixels < 1:
            raise UsageError(f"--max-pixels {self.max_pixels}: expected 1 or more")
        if not 1 <= self.picture.quality <= 100:
            raise UsageError(f"--quality {self.picture.quality}: expected 1 to 100")
        if self.picture.format not in FORMATS or self.picture.subsampling not in SUBSAMPLINGS:
            asked = f"--picture {one_line(self.picture.format)}, subsampling {one_line(self.picture.subsampling)}"
            raise UsageError(f"{asked}: expected {', '.join(FORMATS)}, and {', '.join(SUBSAMPLINGS)}")
        self.reading.check()
        if self.source.split is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,60}", self.source.split):
            raise UsageError(f"--split {self.source.split!r}: expected letters, digits, '_' or '-'")
        if self.source.split is not None and (self.augment_splits or self.pass_splits):
            option = "--augment-split" if self.augment_splits else "--pass-split"
            raise UsageError(f"--split takes one split and augments it, {option} chooses among several; choose one")

    def augmented(self, splits: Mapping[str, int]) -> list[str]:
        """Those of the splits of a source that are augmented.

        Raises:
            UsageError: as :func:`augpipe.formats.layout.purposes.augmented_splits`.
        """
        # Windows are cut out of the pictures of all splits.
        if self.source.split is not None or self.window is not None or not self.splits_apart:
            return list(splits)
        return augmented_splits(splits, self.augment_splits, self.pass_splits, copies=self.copies)


def sources_per_shard(options: RunOptions, pictures: int) -> int:
    """Pictures a task: about a thousand samples, but at least 16 tasks a dataset; independent of the machine."""
    if options.sources_per_shard is not None:
        return options.sources_per_shard
    samples = _WINDOWS if options.window is not None else max(1, options.copies)
    return max(1, min(1000 // samples, -(-pictures // 16)))


def config_of(dataset: Dataset, recipe: Recipe, options: RunOptions) -> dict[str, Any]:
    """The configuration as JSON-ready values; fields as in docs/format.md."""
    config: dict[str, Any] = {
        "recipe": {"name": recipe.name, "text": recipe.text, "canonical": recipe.canonical, "digest": recipe.digest},
        "seed": options.seed,
        "copies": options.copies,
        "originals": options.originals,
        "split": options.source.split,
        "limit": options.source.limit,
        "sources_per_shard": sources_per_shard(options, len(dataset.entries)),
        "source": {"format": dataset.format, "fingerprint": dataset.fingerprint(), "pictures": len(dataset.entries)},
        "reading": {
            "exif": options.source.exif,
            "voc_origin": options.source.voc_origin,
            "max_pixels": options.max_pixels,
            "truncated": options.truncated,
            "strict": options.strict,
            **_chosen(options.source),
        },
        "picture": {**asdict(options.picture), **options.reading.to_json()},
        "backend": {"device": options.device.kind, "codec": options.device.codec},
        "categories": [category_json(c) for c in dataset.categories],
        "void": {"semantic": options.source.void},
        **({} if options.source.keep is None else {"keep": list(options.source.keep)}),
        **({"map": dict(options.source.rename)} if options.source.rename else {}),
        "versions": {**versions(), **options.device.versions},
        "machine": platform.machine(),
        **({} if options.window is None else {"window": windows_json(options.window)}),
    }
    augmented = options.augmented(dataset.splits)
    if options.source.split is None and options.splits_apart and set(dataset.splits) != {""}:
        config["splits"] = {name: _split_json(dataset, name) for name in dataset.splits}
        if augmented != list(dataset.splits):
            config["augmented"] = augmented
    if (parting := options.source.parting) is not None:
        config["parting"] = {name: value for name, value in asdict(parting).items() if value}
    return config


def _split_json(dataset: Dataset, name: str) -> dict[str, Any]:
    """What decides the shards of a split: which pictures are in it, in their order."""
    entries = [entry for entry in dataset.entries if entry.split == name]
    return {"pictures": len(entries), "fingerprint": fingerprint_of(entries)}


def _chosen(source: SourceOptions) -> dict[str, str]:
    """How labels are read, as far as that was chosen: without, a configuration is the one of before."""
    chosen = {"crowds": source.crowds, "size_mismatch": source.size_mismatch}
    return {name: value for name, value in chosen.items() if value != "keep"}


def versions() -> dict[str, str]:
    """Versions of the libraries that may change a byte on any device; a device adds its own."""
    import numpy as np
    import shapely

    from augpipe import __version__
    from augpipe.core.opencv import cv2

    jpeg = re.search(r"JPEG:\s+.*?\(ver ([^)]+)\)", cv2.getBuildInformation())
    return {
        "augpipe": __version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "jpeg": jpeg.group(1) if jpeg else "unknown",
        # Pillow reads what OpenCV cannot; polygons and masks go through the next three; zlib packs the label masks.
        "pillow": _version("pillow"),
        "shapely": _version("shapely"),
        "geos": shapely.geos_version_string,
        "pycocotools": _version("pycocotools"),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # bundled, or built under another name
        return "unknown"


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys, compact, UTF-8, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(config: Mapping[str, Any]) -> str:
    """BLAKE2b of a configuration."""
    return hashlib.blake2b(canonical_json(config)).hexdigest()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two configurations, as lines ``path: before → now``; the steps of the recipe come last."""
    a, b = before.get("recipe"), now.get("recipe")
    if not isinstance(a, Mapping) or not isinstance(b, Mapping):
        return _differing(before, now)
    return _differing({**before, "recipe": 0}, {**now, "recipe": 0}) + ([] if a == b else _differing_recipes(a, b))


def _differing(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    out: list[str] = []
    for name in sorted({*before, *now}):
        a, b = before.get(name), now.get(name)
        if a == b:
            continue
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            out.extend(c for c in _differing(a, b, f"{prefix}{name}.") if c != SOURCE_CHANGED or c not in out)
        elif name == "fingerprint":
            out += [] if SOURCE_CHANGED in out else [SOURCE_CHANGED]
        else:
            out.append(f"{prefix}{name}: {_change(a, b)}")
    return out


def _differing_recipes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two recipes; steps have the names that ``--set`` takes."""
    out = [f"recipe: {_change(before.get('name'), now.get('name'))}"] if before.get("name") != now.get("name") else []
    try:
        (head, steps), (now_head, now_steps) = _parts(before), _parts(now)
    except (AttributeError, KeyError, TypeError, ValueError):  # written by another version of augpipe
        return out or ["recipe: has changed"]
    out += _differing(head, now_head, "recipe ")
    for path in dict.fromkeys([*steps, *now_steps]):
        name = f"recipe steps.{path.replace('/', '.')}"
        if path not in now_steps or path not in steps:
            out.append(f"{name}: {'removed' if path in steps else 'added'}")
        elif steps[path].get("operation") != now_steps[path].get("operation"):
            out.append(f"{name}: {_change(steps[path].get('operation'), now_steps[path].get('operation'))}")
        else:
            out += _differing(steps[path], now_steps[path], f"{name}.")
    if [path for path in steps if path in now_steps] != [path for path in now_steps if path in steps]:
        out.append("recipe steps: in another order")
    return out or ["recipe text: has changed, its steps have not"]


def _parts(recipe: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """A canonical recipe as what holds for all steps, and path → parameters of each step."""
    head = json.loads(recipe["canonical"])
    return head, dict(_flat(head.pop("steps")))


def _flat(steps: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, parameters) of every step; a group precedes its steps."""
    for step in steps:
        yield step["path"], {name: value for name, value in step.items() if name != "steps"}
        yield from _flat(step.get("steps", ()))


_SHOWN = 40


def _change(before: Any, now: Any) -> str:
    """``before → now``; of long values the part around the first difference."""
    a, b = _text(before), _text(now)
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    start = max(0, same - _SHOWN // 4) if max(len(a), len(b)) > _SHOWN else 0
    end = start + _SHOWN
    a, b = (f"{'…' if start else ''}{text[start:end]}{'…' if len(text) > end else ''}" for text in (a, b))
    return f"{a} → {b}"


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) and value.isprintable() else json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    """The value with whole floats as integers: 15, not 15.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _plain(v) for name, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list) else value


# --- execution: everything that must not change a byte of the shards --------------------------------------------------


@dataclass(frozen=True)
class Slice:
    """Pieces ``[first, end)`` of a run that is cut into ``pieces`` equal ones, for one of several machines."""

    first: int
    end: int
    pieces: int

    def of(self, tasks: int) -> range:
        """Numbers of the tasks of these pieces."""
        return range(self.first * tasks // self.pieces, self.end * tasks // self.pieces)


def parse_slice(text: str) -> Slice:
    """The slice of a text such as ``0..1/4``, the first quarter; raises :class:`UsageError` if it is none.

    >>> parse_slice("0..2/4").of(16)
    range(0, 8)
    """
    match = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})/(\d{1,9})", text)
    if match:
        found = Slice(*map(int, match.groups()))
        if found.first < found.end <= found.pieces:
            return found
    raise UsageError(
        f"--tasks {one_line(text, 40)}: expected FIRST..END/PIECES with 0 <= FIRST < END <= PIECES; "
        "0..1/4 is the first quarter, 3..4/4 the last"
    )


@dataclass(frozen=True)
class Execution:
    """How a run is carried out.

    Attributes:
        workers: processes; ``None`` is one a core, 0 works in this process.
        overwrite: delete the run in the folder first.
        check: hash the shards that are there, and make changed ones again.
        accept_version: go on with a run that other versions of augpipe or its libraries began.
        extend: add copies to the run in the folder.
        tasks: only these.
        patience: seconds that a worker may take for a picture; ``None`` is a minute and two seconds a copy, or ten
            minutes for one that is cut into windows.
    """

    workers: int | None = None
    overwrite: bool = False
    check: bool = False
    accept_version: bool = False
    extend: bool = False
    tasks: Slice | None = None
    patience: float | None = None

    def require_possible(self) -> None:
        """Raise :class:`UsageError` for values that make no sense, alone or together."""
        if self.workers is not None and self.workers < 0:
            raise UsageError(f"--workers {self.workers}: expected 0 (in this process) or more")
        if self.patience is not None and not 1.0 <= self.patience < math.inf:
            raise UsageError(f"--time-limit {self.patience:g}: expected 1 or more seconds")
        for other, name in ((self.extend, "--extend"), (self.tasks, "--tasks"), (self.check, "--check")):
            if self.overwrite and other:
                raise UsageError(f"--overwrite deletes the run in DST, {name} goes on with it; choose one")


_PATIENCE_WITH_WINDOWS = 600.0


def patient(execution: Execution, options: RunOptions) -> Execution:
    """The execution with the patience that the largest pictures need, whose windows are not counted before."""
    if options.window is None or execution.patience is not None:
        return execution
    return replace(execution, patience=_PATIENCE_WITH_WINDOWS)
