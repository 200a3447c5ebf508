"""Every real set to every format and back: what differs is in a report, and every COCO JSON is one to pycocotools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conversions import average_precision, check_with_pycocotools
from pycocotools import mask as api
from real_sets import real

from augpipe.conversion import ConversionReport, convert
from augpipe.core import parallel
from augpipe.core.annotations import Annotations
from augpipe.core.errors import RunError
from augpipe.formats.base import SourceOptions
from augpipe.formats.catalogue import targets
from augpipe.formats.registry import open_dataset
from augpipe.labels.rle import rasterise

ASSETS = "datumaro_tests/tests/assets"
SETS = {
    "raccoon": ("voc", "raccoon", None),
    "bccd": ("voc", "bccd/BCCD", None),
    "voc with masks": ("voc", f"{ASSETS}/voc_dataset/voc_dataset1", None),
    "teacher": ("coco", "teacher_occlusion/valid", None),
    "people": ("coco", "coco_permissive_kpt", None),
    "instances": ("coco", f"{ASSETS}/coco_dataset/coco_instances", "train"),
    "keypoints": ("coco", f"{ASSETS}/coco_dataset/coco_person_keypoints", "train"),
    "stuff": ("coco", f"{ASSETS}/coco_dataset/coco_stuff", "train"),
    "panoptic": ("coco", f"{ASSETS}/coco_dataset/coco_panoptic", "train"),
    "captions": ("coco", f"{ASSETS}/coco_dataset/coco_captions", "train"),
    "dota": ("dota", "mmrotate/tests/data", None),
}
WORDS = {
    "objects": ("objects", "crowds", "without a box"),
    "class": ("class names", "spaces"),
    "box": ("boxes", "cut to the picture"),
    "crowd": ("crowd",),
    "segmentation": ("segmentation", "polygon", "mask", "cut to the picture"),
    "keypoints": ("keypoint",),
    "obb": ("oriented",),
    "flags": ("flags", "difficult"),
    "pose": ("pose",),
    "parts": ("parts",),
    "fields": ("fields",),
    "captions": ("captions",),
    "tags": ("tags",),
    "semantic": ("semantic masks",),
    "panoptic": ("panoptic masks",),
    "pictures": ("could not be converted",),
}
"""What may differ, and words of a report that would say so."""
OF_OBJECTS = {"class", "box", "crowd", "segmentation", "keypoints", "obb", "flags", "pose", "parts", "fields"}


def options_of(format: str, split: str | None = None) -> SourceOptions:
    return SourceOptions(format=format, split=split)


def pixels(segmentation: Any, size_wh: tuple[int, int] | None) -> Any:
    """A segmentation by what it covers, which an outline of pixels keeps."""
    return None if segmentation is None or size_wh is None else np.packbits(rasterise(segmentation, size_wh)).tobytes()


def facets(labels: Annotations, names: dict[int, str]) -> dict[str, list[Any]]:
    """Of one picture everything that labels may hold, facet by facet."""
    objects = labels.objects
    return {
        "objects": [len(objects)],
        "class": [names[c] for c in objects.category_id.tolist()],
        "box": [round(v, 3) + 0.0 for v in objects.boxes_xyxy.reshape(-1).tolist()],
        "crowd": objects.iscrowd.tolist(),
        "segmentation": [pixels(s, labels.size_wh) for s in objects.segmentation],
        "keypoints": [None if k is None else np.round(k, 3).tolist() for k in objects.keypoints],
        "obb": [None if o is None else np.round(o, 3).tolist() for o in objects.obb],
        "flags": [(f.truncated, f.difficult or 0, f.occluded) for f in objects.facts],  # DOTA's is never unknown
        "pose": [f.pose for f in objects.facts],
        "parts": list(objects.parts),
        "fields": [dict(f.attributes) for f in objects.facts],
        "captions": list(labels.captions),
        "tags": list(labels.tags),
        "semantic": [labels.semantic is None],
        "panoptic": [labels.panoptic is None],
    }


def contents(source: Path, options: SourceOptions) -> dict[str, dict[str, list[Any]]]:
    dataset = open_dataset(str(source), options)
    names = {c.id: c.name for c in dataset.categories}
    found = {}
    for entry in dataset.entries:
        try:
            found[os.path.splitext(entry.key)[0]] = facets(dataset.reader.annotations(entry), names)
        except Exception:  # a picture that cannot be read is in a report, or its absence is a difference
            continue
    return found


def said(*reports: ConversionReport) -> str:
    lines = [line for report in reports for line in (*report.losses, *report.notes, *report.remarks)]
    lines += ["objects without a box"] * any(report.dropped for report in reports)
    lines += ["could not be converted"] * any(report.lost for report in reports)
    return "; ".join(lines)


@pytest.mark.slow
@pytest.mark.parametrize("by", list(targets()))
@pytest.mark.parametrize("name", list(SETS))
def test_what_differs_after_there_and_back_is_in_a_report(name, by, tmp_path):
    format, path, split = SETS[name]
    if by == format:
        pytest.skip("there is nothing to convert")
    source, options = real(path), options_of(format, split)
    if name == "stuff" and by in ("yolo", "dota"):  # its only object is a crowd, which these formats cannot hold
        with pytest.raises(RunError, match="none of 1 object can be written"):
            convert(str(source), tmp_path / "there", by, options)
        return
    there = convert(str(source), tmp_path / "there", by, options)
    back = convert(str(tmp_path / "there"), tmp_path / "back", format, options_of(by))
    before, after = contents(source, options), contents(tmp_path / "back", options_of(format))
    after = {stem if stem in before else stem.partition("/")[2]: found for stem, found in after.items()}  # of its split
    different = {"pictures"} if not before.keys() >= after.keys() else set()
    for stem, found in before.items():
        if stem not in after:
            different.add("pictures")
            continue
        different |= {facet for facet, values in found.items() if values != after[stem][facet]}
    words = said(there, back)
    if "objects" in different:  # then all columns are shorter
        different -= OF_OBJECTS
    unexplained = {f for f in different if not any(word in words for word in WORDS[f])}
    assert not unexplained, f"{sorted(unexplained)} differ, and all that is told is: {words}"


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SETS))
def test_every_coco_json_evaluates_against_itself_to_1(name, tmp_path):
    format, path, split = SETS[name]
    if name == "captions":
        pytest.skip("captions alone are no objects")
    by = "voc" if format == "coco" else "coco"
    convert(str(real(path)), tmp_path / "there", by, options_of(format, split))
    if by != "coco":
        convert(str(tmp_path / "there"), tmp_path / "coco", "coco", options_of(by))
    file = tmp_path / ("there" if by == "coco" else "coco") / "annotations" / "instances_all.json"
    if not file.exists():
        file = next(file.parent.glob("instances_*.json"))
    rows = json.loads(file.read_text())["annotations"]
    check_with_pycocotools(file, len(rows))
    kinds = ("bbox", "segm") if rows and all("segmentation" in r for r in rows) else ("bbox",)
    if rows:
        assert average_precision(file, kinds) == [pytest.approx(1.0)] * len(kinds)
    for row in rows:
        if isinstance(row.get("segmentation"), dict):
            assert api.area(row["segmentation"]) == row["area"]


@pytest.mark.parametrize("pair", [f"{a}-{b}" for a in ("voc", "coco") for b in targets() if a != b])
def test_any_number_of_processes_writes_the_same(pair, voc, coco, tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "WORTH_PROCESSES", 1)
    monkeypatch.setattr(parallel, "_BATCH", 2)
    before, _, after = pair.partition("-")
    source = {"voc": voc, "coco": coco}[before]
    reports = [convert(str(source), tmp_path / str(n) / "out", after, options_of(before), workers=n) for n in (0, 1, 3)]
    assert reports[0] == reports[1] == reports[2]
    places = [tmp_path / str(n) for n in (0, 1, 3)]
    files = [
        {p.relative_to(place).as_posix(): p.read_bytes() for p in place.rglob("*") if p.is_file()} for place in places
    ]
    assert files[0] == files[1] == files[2]
    assert len(files[0]) > 8


def said_by(program: str, folder: Path, *arguments: object) -> str:
    """What a program of one thread says, which forks."""
    (folder / "program.py").write_text(program)
    command = [sys.executable, folder / "program.py", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


INTERRUPTED = """
import multiprocessing, sys, time
from pathlib import Path
from augpipe.core import parallel
from augpipe.core.errors import RunError
from augpipe.conversion import convert
from augpipe.conversion import run as part
from augpipe.core.progress import Progress
from augpipe.formats.base import SourceOptions

def slowly(*arguments, put=part.put_picture):
    time.sleep(0.1)
    put(*arguments)

class Interrupted(Progress):
    def update(self, count, rejected=0):
        raise KeyboardInterrupt

if __name__ == "__main__":
    parallel.WORTH_PROCESSES, parallel._BATCH = 1, 2
    part.put_picture = slowly  # which forks have, too
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        convert(str(source), target, "coco", SourceOptions(format="voc"), progress=Interrupted(), workers=3)
    except KeyboardInterrupt:
        print("left at once:", target.exists())
    for process in multiprocessing.active_children():
        process.join()
    print("left:", target.exists())
"""


def test_nothing_is_left_of_a_conversion_that_is_interrupted_while_pictures_are_copied(voc, tmp_path):
    assert said_by(INTERRUPTED, tmp_path, voc, tmp_path / "out").splitlines() == ["left at once: False", "left: False"]
