"""Real datasets that lie beside the repository, or small drawn copies of their form where they do not."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conversions import dota_of
from datasets import make_coco, make_voc
from places import SHARED

ASSETS = "datumaro_tests/tests/assets"


def real(path: str, *, itself: bool = False) -> Path:
    """A set, or a file of one, by its path below ``../shared/data``; what counts in it wants the set ``itself``."""
    if (SHARED / path).exists():
        return SHARED / path
    name = next((name for name in DRAWN if path == name or path.startswith(f"{name}/")), None)
    if name is None or itself:
        pytest.skip(f"needs ../shared/data/{path}")
    return _drawn(name) / path


def is_real(path: Path) -> bool:
    """Whether a set is itself and no drawn copy."""
    return SHARED in path.parents


@functools.cache
def _drawn(name: str) -> Path:
    root = Path(tempfile.mkdtemp(prefix="drawn-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    DRAWN[name](root / name)
    return root


def _teacher(folder: Path) -> None:
    """Pictures beside their JSON."""
    made = make_coco(folder, 6)
    for picture in (made / "images").iterdir():
        picture.rename(made / picture.name)
    (made / "annotations" / "instances.json").rename(made / "_annotations.coco.json")
    shutil.rmtree(made / "annotations")
    (made / "images").rmdir()


def _people(folder: Path) -> None:
    """The same pictures in two JSONs, one of the classes with keypoints alone."""
    made = make_coco(folder, 12) / "annotations"
    document = json.loads((made / "instances.json").read_text())
    posed = {category["id"] for category in document["categories"] if "keypoints" in category}
    document["categories"] = [c for c in document["categories"] if c["id"] in posed]
    document["annotations"] = [row for row in document["annotations"] if row["category_id"] in posed]
    (made / "person_keypoints.json").write_text(json.dumps(document))


def _train(folder: Path, kind: str) -> None:
    """One split, in a folder of its own."""
    made = make_coco(folder, 5)
    (made / "images").rename(made / "train")
    (made / "images").mkdir()
    (made / "train").rename(made / "images" / "train")
    (made / "annotations" / "instances.json").rename(made / "annotations" / f"{kind}_train.json")
    (made / "annotations" / "captions.json").unlink()


def _dota(folder: Path) -> None:
    head = "imagesource:GoogleEarth\ngsd:0.146\n"
    rows = "4.0 3.0 14.0 5.0 13.0 10.0 3.0 8.0 plane 0\n20 4 30 4 30 12 20 12 small-vehicle 1\n"
    dota_of(folder, a=head + rows, b=rows)


DRAWN: dict[str, Callable[[Path], object]] = {
    "raccoon": lambda folder: make_voc(folder, 8, objects=1),
    "bccd/BCCD": lambda folder: make_voc(folder, 5, objects=9),
    "teacher_occlusion/valid": _teacher,
    "coco_permissive_kpt": _people,
    f"{ASSETS}/coco_dataset/coco_instances": lambda folder: _train(folder, "instances"),
    f"{ASSETS}/coco_dataset/coco_person_keypoints": lambda folder: _train(folder, "person_keypoints"),
    "mmrotate/tests/data": _dota,
}
