"""Reading ``data.yaml``, which names the folders, classes and keypoints of a YOLO dataset.

Only plain text is taken from it: no tags, no aliases (a "billion laughs" file is small on disk), no key twice, a
bounded size and depth. Every value stays the text that stands there, as YAML's own rules would make False of a class
``no`` and 10 of ``1_0``. What the folders mean, and where they may lie, is in :mod:`augpipe.formats.yolo.index`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import yaml

from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.limits import MOST_CLASSES, MOST_KEYPOINTS
from augpipe.storage.fs import first_bytes
from augpipe.storage.tree import AnyPath

Kind: TypeAlias = Literal["detect", "segment", "pose", "obb"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What rows hold, by Ultralytics' names of the tasks: boxes, polygons, boxes with keypoints, oriented boxes."""

SPLITS = ("train", "val", "valid", "validation", "test", "minival")
RESERVED = frozenset(
    {"path", "names", "nc", "kpt_shape", "kpt_names", "flip_idx", "task", "download", "channels", "yaml_file"}
)
"""Fields that mean something else than a split of one's own."""
_MOST_BYTES = 1_000_000
_MOST_EVENTS = 100_000
_DEEPEST = 20
_NOTHING = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True)
class DataYaml:
    """The fields of a ``data.yaml``.

    ``splits`` is name → folders or lists of pictures, and so is ``others`` by names that are none of
    :data:`SPLITS`: those are splits where such places are there, and else fields of somebody else. ``kpt_shape`` is
    (K, 2 or 3), ``flip_idx`` the keypoint that each one becomes in a mirror image.
    """

    file: AnyPath
    path: str | None
    splits: dict[str, tuple[str, ...]]
    names: tuple[str, ...]
    kpt_shape: tuple[int, int] | None = None
    kpt_names: tuple[str, ...] = ()
    flip_idx: tuple[int, ...] | None = None
    task: Kind | None = None
    others: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_data_yaml(file: AnyPath) -> DataYaml:
    """Read and check a ``data.yaml``; raises ``DatasetError``, naming the field, what was expected and what came."""
    fields = _loaded(file)
    kpt_shape = _kpt_shape(file, fields.get("kpt_shape"))
    splits = {name: _places(file, name, fields[name]) for name in SPLITS if not _is_nothing(fields.get(name))}
    if not splits:
        raise DatasetError(
            f"{file}: names no pictures; expected train or val: a folder, a list file, or a list of them"
        )
    known = {*SPLITS, *RESERVED}
    path, task = fields.get("path"), fields.get("task")
    return DataYaml(
        file,
        None if _is_nothing(path) else _place(file, "path", path),
        splits,
        _names(file, fields),
        kpt_shape,
        _kpt_names(fields.get("kpt_names"), kpt_shape),
        _numbers(fields.get("flip_idx")),
        next((kind for kind in KINDS if kind == task), None),
        {name: places for name, value in fields.items() if name not in known and (places := _maybe_places(value))},
    )


def _loaded(file: AnyPath) -> dict[str, Any]:
    try:
        data = first_bytes(file, _MOST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{file}: not UTF-8 text (byte {error.start}); save the file as UTF-8") from error
    except OSError as error:
        raise DatasetError(f"{file}: cannot be read: {error.strerror or 'it is no file'}") from error
    if len(data) > _MOST_BYTES:
        raise DatasetError(f"{file}: more than {_MOST_BYTES // 1000} kB; that is no data.yaml")
    try:
        _require_plain(file, text)
        fields = yaml.load(text, _TextLoader)  # builds texts, lists and mappings, nothing else
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise DatasetError(f"{file}{line}: not YAML: {one_line(error.problem or error.context)}") from error
    except yaml.YAMLError as error:
        raise DatasetError(f"{file}: not YAML: {one_line(error)}") from error
    if not isinstance(fields, dict):
        raise DatasetError(f"{file}: expected fields such as train, val and names")
    return fields


def _require_plain(file: AnyPath, text: str) -> None:
    """Refuse aliases, deep nesting and endless lists while nothing is built yet."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, yaml.SafeLoader)):
        line = f"{file}:{event.start_mark.line + 1}" if event.start_mark else str(file)
        if isinstance(event, yaml.AliasEvent):
            raise DatasetError(f"{line}: aliases (*{one_line(event.anchor, 40)}) are not read; write the values out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST or count > _MOST_EVENTS:
            raise DatasetError(f"{line}: more than {_DEEPEST} levels, or too many values; that is no data.yaml")


class _TextLoader(yaml.BaseLoader):
    """Scalars as text; a key that comes twice is an error, where YAML would take the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "expected a plain name before ':'", key.start_mark)
            if key.value in seen:
                said = f"'{one_line(key.value, 40)}' is given twice"
                raise yaml.constructor.ConstructorError(None, None, said, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _is_nothing(value: Any) -> bool:
    return value is None or value == [] or (isinstance(value, str) and value.strip() in _NOTHING)


def _place(file: AnyPath, name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise DatasetError(f"{file}: {name} is {one_line(repr(value), 60)}; expected the path of a folder or list file")
    return value.strip()


def _places(file: AnyPath, name: str, value: Any) -> tuple[str, ...]:
    return tuple(_place(file, name, one) for one in (value if isinstance(value, list) else [value]))


def _maybe_places(value: Any) -> tuple[str, ...]:
    """What may be places of pictures; nothing where a value is anything else."""
    values = value if isinstance(value, list) else [value]
    texts = [v.strip() for v in values if isinstance(v, str) and v.strip() and v.isprintable()]
    return tuple(texts) if len(texts) == len(values) else ()


def _names(file: AnyPath, fields: dict[str, Any]) -> tuple[str, ...]:
    """The class names by index; names may be missing where ``nc`` counts them, as for Ultralytics."""
    names, count = fields.get("names"), _whole(fields.get("nc"))
    if _is_nothing(names):
        if count is None or not 0 < count <= MOST_CLASSES:
            raise DatasetError(f"{file}: no class names; expected names, a list or a mapping from 0 on")
        return tuple(f"class_{i}" for i in range(count))
    if isinstance(names, dict):
        numbers = [_whole(key) for key in names]
        if sorted(n if n is not None else -1 for n in numbers) != list(range(len(names))):
            shown = one_line(", ".join(map(str, names)), 60)
            raise DatasetError(f"{file}: names has the keys {shown}; expected every class index from 0 on, once")
        names = [name for _, name in sorted(zip(numbers, names.values(), strict=True), key=lambda row: row[0] or 0)]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) > MOST_CLASSES:
        raise DatasetError(f"{file}: names is {one_line(repr(names), 60)}; expected a list or a mapping of class names")
    if count is not None and count != len(names):
        raise DatasetError(f"{file}: nc says {count} classes and names has {len(names)}; mend the one that is wrong")
    return tuple(names)


def _kpt_shape(file: AnyPath, value: Any) -> tuple[int, int] | None:
    if _is_nothing(value):
        return None
    numbers = _numbers(value)
    if numbers is None or len(numbers) != 2 or not 0 < numbers[0] <= MOST_KEYPOINTS or numbers[1] not in (2, 3):
        raise DatasetError(f"{file}: kpt_shape is {one_line(repr(value), 60)}; expected [keypoints, 2 or 3]")
    return numbers[0], numbers[1]


def _kpt_names(value: Any, kpt_shape: tuple[int, int] | None) -> tuple[str, ...]:
    """The names of the keypoints: a list a class, of which the first that fits counts, as all have the same shape."""
    lists: Iterable[Any] = value.values() if isinstance(value, dict) else [value]
    for names in lists:
        if kpt_shape and isinstance(names, list) and len(names) == kpt_shape[0] and all(map(_is_text, names)):
            return tuple(names)
    return ()


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _numbers(value: Any) -> tuple[int, ...] | None:
    numbers = [_whole(v) for v in value] if isinstance(value, list) else [None]
    return None if None in numbers else tuple(n for n in numbers if n is not None)


def _whole(value: Any) -> int | None:
    try:
        number = float(value) if isinstance(value, str) and "_" not in value else math.nan
    except ValueError:
        return None
    return int(number) if number.is_integer() else None
