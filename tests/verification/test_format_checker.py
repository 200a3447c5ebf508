"""What the tests hold folders against: it accepts what augment writes, and names what `augpipe verify` lets pass."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from builders import encoded, exif, panoptic_set
from forge import Samples, forged, resign
from format_checker import check_folder
from PIL import Image
from places import HELPERS
from runs import recipe_of, run

from augpipe.verification import verify

MOVES = "[horizontal_flip, affine: {scale: 0.9}, rotate: {degrees: [-20, 20]}]"
RECIPE = f"version: 1\nlabels: {{min_side: 14}}\nsteps: {MOVES}\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Polygons, RLE, keypoints, a crowd and dropped objects; originals, too."""
    root = tmp_path_factory.mktemp("checked")
    run(datasets.make_coco(root / "coco", 4), root / "out", recipe_of(RECIPE), copies=2, originals=True)
    return root / "out"


@pytest.fixture(scope="module")
def masks(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("masks")
    run(datasets.make_masks(root / "set", 2), root / "out", recipe_of(RECIPE))
    return root / "out"


@pytest.fixture(scope="module")
def panoptic(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("panoptic")
    panoptic_set(root / "set")
    run(root / "set", root / "out", recipe_of("version: 1\nsteps: [horizontal_flip]\n"))
    return root / "out"


def test_what_augment_writes_is_accepted(finished, masks, panoptic):
    for folder in (finished, masks, panoptic):
        assert check_folder(folder) == []


def first(samples: Samples, name: str, copy: int = 0) -> dict[str, Any]:
    """The first object of a copy that has a field."""
    rows = [row for record, _ in samples.values() if record["copy"] == copy for row in record["objects"]]
    return next(row for row in rows if name in row and not row["iscrowd"])


def record(samples: Samples) -> dict[str, Any]:
    return next(record for record, _ in samples.values() if record["copy"] == 0 and record["dropped"])


def picture(samples: Samples, **options: Any) -> None:
    """One picture, written in another way."""
    _, files = next(iter(samples.values()))
    image = Image.open(io.BytesIO(files["jpg"]))
    files["jpg"] = encoded(image, **{"quality": 90, "subsampling": "4:2:0", **options})


IN_A_SAMPLE: dict[str, tuple[Callable[[Samples], Any], str]] = {
    "a field that is none": (lambda s: record(s).update(host="node-7"), "unknown field `host`"),
    "a device": (lambda s: record(s)["plan"].update(device="cuda:0"), "unknown field `device`"),
    "a null": (lambda s: record(s).update(image_id=None), "got `null`"),
    "an id that is text": (lambda s: record(s).update(image_id="77"), "got `str`"),
    "a path of this machine": (lambda s: record(s)["plan"]["steps"][0].update(x="/home/a"), "an absolute path"),
    "another id than its copies": (lambda s: record(s).update(image_id=7), "its copies differ"),
    "another object than its copies": (lambda s: first(s, "id").update(id=5000), "its copies differ"),
    "an object that is gone": (lambda s: record(s)["objects"].pop(0), "are not those of a list"),
    "an object twice": (lambda s: record(s)["objects"].append(record(s)["objects"][-1]), "are not those of a list"),
    "a reason that is none": (lambda s: record(s)["dropped"][0].update(reason="boring"), "Invalid enum value"),
    "four decimals": (lambda s: first(s, "box_xyxy")["box_xyxy"].__setitem__(0, 2.0004), "3 decimals"),
    "a category of another id": (lambda s: first(s, "label").update(category="okapi"), "category okapi"),
    "a label of another class": (lambda s: first(s, "label").update(label=9), "label 9"),
    "a mask of another area": (
        lambda s: next(
            r for x, _ in s.values() for r in x["objects"] if isinstance(r.get("segmentation"), dict)
        ).update(area=3),
        "area 3",
    ),
    "a box that is not the polygon's": (
        lambda s: next(r for x, _ in s.values() for r in x["objects"] if r["box_from"] == "polygon").update(
            box_xyxy=[0, 0, 1, 1]
        ),
        "is not that of its polygon",
    ),
    "a count of keypoints": (
        lambda s: next(r for x, _ in s.values() for r in x["objects"] if "keypoints" in r).update(num_keypoints=77),
        "num_keypoints is 77",
    ),
    "EXIF": (lambda s: picture(s, exif=exif(1)), "'exif'"),
    "another quality": (lambda s: picture(s, quality=60), "not of quality 90"),
    "another subsampling": (lambda s: picture(s, subsampling="4:4:4"), "subsampling"),
    "a progressive JPEG": (lambda s: picture(s, progressive=True), "'progressive'"),
}


@pytest.mark.parametrize(("change", "said"), IN_A_SAMPLE.values(), ids=IN_A_SAMPLE)
def test_a_sample_of_another_form_is_named(finished, tmp_path, change, said):
    folder = forged(finished, tmp_path / "forged", change)
    assert [problem for problem in check_folder(folder) if said in problem]


def raster(name: str, values: Callable[[np.ndarray], np.ndarray]) -> Callable[[Samples], None]:
    def changed(samples: Samples) -> None:
        _, files = next(iter(samples.values()))
        found = np.asarray(Image.open(io.BytesIO(files[f"{name}.png"])))
        files[f"{name}.png"] = encoded(values(found.copy()), "PNG")

    return changed


def test_masks_of_another_form_are_named(masks, panoptic, tmp_path):
    wide = raster("semantic", lambda found: found.astype(np.uint16))
    strange = raster("semantic", lambda found: np.where(found == 1, 77, found).astype(np.uint8))
    for number, (change, said) in enumerate([(wide, "not a gray PNG"), (strange, "[77] stand for nothing")]):
        folder = forged(masks, tmp_path / str(number), change)
        assert [problem for problem in check_folder(folder) if said in problem]
    for name in ("area", "bbox"):

        def changed(samples: Samples, name: str = name) -> None:
            (segment, *_), _ = next(iter(samples.values()))[0]["segments_info"], 0
            segment[name] = 1 if name == "area" else [0, 0, 1, 1]

        folder = forged(panoptic, tmp_path / name, changed)
        assert [problem for problem in check_folder(folder) if f"{name} " in problem]


def rewritten(folder: Path, **fields: Any) -> None:
    """The first tar with headers of other values, and books that fit."""
    path = next(folder.glob("*.tar"))
    with tarfile.open(path) as tar:
        members = [(info, tar.extractfile(info).read()) for info in tar]
    with tarfile.open(path, "w", format=fields.pop("format", tarfile.USTAR_FORMAT)) as tar:
        for info, data in members:
            for name, value in fields.items():
                setattr(info, name, value)
            tar.addfile(info, io.BytesIO(data))
    resign(folder)


OTHER_TARS = [{"mode": 0o755}, {"uid": 1}, {"mtime": 5}, {"uname": "me"}, {"format": tarfile.GNU_FORMAT}, {}]


@pytest.mark.parametrize("fields", OTHER_TARS, ids=str)
def test_a_tar_that_is_not_the_plainest_is_named(finished, tmp_path, fields):
    """The last only has more padding."""
    folder = forged(finished, tmp_path / "forged", lambda samples: None)
    rewritten(folder, **fields)
    assert verify(folder, workers=0).ok
    assert [problem for problem in check_folder(folder) if "not the plainest ustar" in problem]


def test_files_that_do_not_belong_or_fit_are_named(finished, tmp_path):
    folder = forged(finished, tmp_path / "forged", lambda samples: None)
    (folder / "notes.txt").write_text("x")
    (folder / ".augpipe").mkdir()
    run_json = json.loads((folder / "run.json").read_bytes())
    run_json["config"]["copies"] = 3
    (folder / "run.json").write_text(json.dumps(run_json))
    path = next(folder.glob("all-*.json"))
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"schema": "augpipe-shard/2"}))
    problems = "\n".join(check_folder(folder))
    for said in ("notes.txt: does not belong", ".augpipe: does not belong", "run.json: not the run", "augpipe-shard/2"):
        assert said in problems


def test_it_is_a_program(finished, tmp_path):
    folder = forged(finished, tmp_path / "forged", lambda samples: None)
    for place, code in ((finished, 0), (folder, 1)):
        command = [sys.executable, HELPERS / "format_checker.py", place]
        assert subprocess.run(command, capture_output=True, check=False).returncode == code
