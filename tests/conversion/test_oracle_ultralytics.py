"""Ultralytics' own reader accepts every YOLO dataset we write, and reads from it what the source says.

What the source says is computed here, by json, xml.etree and pycocotools alone. Ultralytics runs in a process of its
own, once for all sets, without a network and with its settings in a folder of the test.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking_ultralytics import by_ultralytics
from builders import write_picture
from command_line import call
from conversions import coco_of, done, loaded, mask_of, row, voc_boxes
from oracles import oracle_is_there
from PIL import Image
from real_sets import real

pytestmark = [pytest.mark.slow, oracle_is_there("ultralytics")]

PEOPLE, TEACHER = "coco_permissive_kpt", "teacher_occlusion/valid"
JSONS = {PEOPLE: "annotations/instances.json", TEACHER: "_annotations.coco.json"}
SETS = {
    "raccoon": ("voc", "raccoon", "detect"),
    "bccd": ("voc", "bccd/BCCD", "detect"),
    "people": ("coco", PEOPLE, "detect"),
    "people by outline": ("coco", PEOPLE, "segment"),
    "people by keypoints": ("coco", f"{PEOPLE}/annotations/person_keypoints.json", "pose"),
    "people by corners": ("coco", PEOPLE, "obb"),
    "teacher": ("coco", TEACHER, "segment"),
}
WITHOUT_DATA = ("voc", "coco", "copies", "dota")


@pytest.fixture(scope="module")
def reads(voc, coco, tmp_path_factory) -> dict[str, dict[str, Any]]:
    """Name of a set → what Ultralytics read of it."""
    folder = tmp_path_factory.mktemp("yolo")
    sources = {name: (format, real_or_none(path), kind) for name, (format, path, kind) in SETS.items()}
    run = call("augment", coco, folder / "run", "-r", "segmentation", "--copies", 2, "-w", 0)
    assert run.exit_code == 0, run.output
    sources |= {"voc": ("voc", voc, "detect"), "coco": ("coco", coco, "segment")}
    sources |= {"copies": ("shards", folder / "run", "segment"), "dota": ("dota", dota_of(folder / "aerial"), "obb")}
    targets = {}
    for name, (format, source, kind) in sources.items():
        if source is not None:
            targets[name] = folder / name
            done(f"{format}-to-yolo", source, targets[name], "--kind", kind)
    found = by_ultralytics([target / "data.yaml" for target in targets.values()])
    return dict(zip(targets, found, strict=True))


def real_or_none(path: str) -> Path | None:
    try:
        return real(path)
    except pytest.skip.Exception:
        return None


def dota_of(folder: Path) -> Path:
    """Three pictures of rectangles at any angle, some of which leave their picture a little."""
    rng = np.random.default_rng(5)
    (folder / "labelTxt").mkdir(parents=True)
    for stem, size in (("P1", (97, 64)), ("P2", (60, 130)), ("P3", (200, 200))):
        write_picture(folder / "images" / f"{stem}.png", size)
        lines = ["imagesource:drawn", "gsd:0.5"]
        for k in range(12):
            centre, angle = rng.uniform(0.2, 0.8, 2) * size, np.radians(rng.uniform(0, 360))
            half = rng.uniform(2, min(size) / 4, 2)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half @ turn.T + centre
            lines.append(
                f"{' '.join(f'{v:.2f}' for v in corners.reshape(-1))} {('ship', 'small-vehicle')[k % 2]} {k % 2}"
            )
        (folder / "labelTxt" / f"{stem}.txt").write_text("\n".join(lines) + "\n")
    return folder


def read_whole(reads: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """What Ultralytics says of all splits; of one that is named twice, as it asks for train and val, once."""
    if name not in reads:
        pytest.skip("the real data is not there")
    splits = list({tuple(sorted(found["pictures"])): found for found in reads[name]["splits"].values()}.values())
    counts = {key: sum(found[key] for found in splits) for key in ("corrupt", "missing", "found", "total")}
    messages = [message for found in splits for message in found["messages"]]
    return {
        **counts,
        "messages": messages,
        "pictures": {p: v for found in splits for p, v in found["pictures"].items()},
    }


def read_of(reads: dict[str, dict[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    """Stem of a picture → its labels, as Ultralytics has them."""
    return {os.path.splitext(Path(p).name)[0]: found for p, found in read_whole(reads, name)["pictures"].items()}


# --- every set -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SETS, *WITHOUT_DATA])
def test_it_accepts_every_picture_and_row(name, reads):
    """None is corrupt or missing, and all it has to say is that it removed rows which are there twice."""
    found = read_whole(reads, name)
    rows = sum(len(labels["classes"]) for labels in found["pictures"].values())
    assert (found["corrupt"], found["missing"]) == (0, 0)
    assert found["found"] == found["total"] == len(found["pictures"])
    assert all(message.endswith("duplicate labels removed") for message in found["messages"]), found["messages"]
    removed = sum(int(message.split()[-4]) for message in found["messages"])
    assert rows + removed == rows_written(reads, name)
    assert reads[name]["splits"].keys() >= {"train", "val"}
    for split in reads[name]["splits"].values():
        assert split["first"]["img"] == [3, 64, 64]  # its picture was read and letterboxed
        assert set(split["first"]) == BATCH[reads[name]["task"]]


BATCH = {
    "detect": {"img", "cls", "bboxes", "batch_idx"},
    "segment": {"img", "cls", "bboxes", "batch_idx", "masks", "sem_masks"},
    "pose": {"img", "cls", "bboxes", "batch_idx", "keypoints"},
    "obb": {"img", "cls", "bboxes", "batch_idx"},
}
"""What a picture of each task gives to a trainer."""


def rows_written(reads: dict[str, dict[str, Any]], name: str) -> int:
    return sum(
        len(
            (Path(reads[name]["root"]) / picture.replace("images/", "labels/", 1))
            .with_suffix(".txt")
            .read_text()
            .splitlines()
        )
        for picture in read_whole(reads, name)["pictures"]
    )


# --- boxes -----------------------------------------------------------------------------------------------------------


def fractions(boxes_xywh: list[tuple[float, ...]], size_hw: list[int]) -> np.ndarray:
    """Centre, width and height as fractions; cut to the picture if a fraction is not within 0..1."""
    h, w = size_hw
    out = []
    for x, y, bw, bh in boxes_xywh:
        row = [(x + bw / 2) / w, (y + bh / 2) / h, bw / w, bh / h]
        if not all(0 <= v <= 1 for v in row):
            x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + bw, w), min(y + bh, h)
            row = [(x0 + x1) / 2 / w, (y0 + y1) / 2 / h, (x1 - x0) / w, (y1 - y0) / h]
        out.append(row)
    return np.array(out).reshape(-1, 4)


def require_same_rows(classes: list[int], values: np.ndarray, labels: dict[str, Any], found: np.ndarray) -> None:
    """In the order of the source; Ultralytics sorts the rows where it removes one that is there twice."""
    ours = np.concatenate([np.reshape(classes, (-1, 1)), values], axis=1)
    theirs = np.concatenate([np.reshape(labels["classes"], (-1, 1)), found], axis=1)
    if len(ours) != len(theirs):
        ours, theirs = (np.unique(rows.round(6), axis=0) for rows in (ours, theirs))
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max(initial=0) < 2e-6  # it holds floats of 32 bits


@pytest.mark.parametrize("name", ["raccoon", "bccd", "voc"])
def test_boxes_of_voc(name, reads, voc):
    found = read_of(reads, name)
    boxes = voc_boxes(voc if name == "voc" else real(SETS[name][1]))
    names = sorted({n for rows in boxes.values() for n, *_ in rows})
    assert reads[name]["names"] == names
    assert found.keys() == boxes.keys()
    for stem, rows in boxes.items():
        labels = found[stem]
        values = fractions([tuple(box) for _, *box in rows], labels["size_hw"])
        require_same_rows([names.index(n) for n, *_ in rows], values, labels, np.reshape(labels["boxes_xywh"], (-1, 4)))


def rows_of(path: Path) -> tuple[list[str], dict[str, list[dict[str, Any]]]]:
    """(class names by id, stem → annotations that are no crowd, with the number of their class) of a COCO JSON."""
    document = json.loads(path.read_text())
    categories = sorted(document["categories"], key=lambda c: c["id"])
    number = {c["id"]: i for i, c in enumerate(categories)}
    out = {i["id"]: [] for i in document["images"]}
    for one in document["annotations"]:
        if not one["iscrowd"]:
            out[one["image_id"]].append({**one, "number": number[one["category_id"]]})
    stems = {i["id"]: os.path.splitext(i["file_name"])[0] for i in document["images"]}
    return [c["name"] for c in categories], {stems[i]: rows for i, rows in out.items()}


def test_boxes_of_coco_without_crowds(reads):
    found = read_of(reads, "people")
    names, rows = rows_of(real(f"{PEOPLE}/{JSONS[PEOPLE]}"))
    assert reads["people"]["names"] == names
    assert found.keys() == rows.keys()
    for stem, of_picture in rows.items():
        labels = found[stem]
        values = fractions([tuple(r["bbox"]) for r in of_picture], labels["size_hw"])
        require_same_rows([r["number"] for r in of_picture], values, labels, np.reshape(labels["boxes_xywh"], (-1, 4)))


# --- other kinds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "path"), [("people by outline", PEOPLE), ("teacher", TEACHER)])
def test_outlines_cover_what_the_masks_cover(name, path, reads):
    """One ring is the same to the point; several, and masks, cover what pycocotools paints of them."""
    found = read_of(reads, name)
    file = real(f"{path}/{JSONS[path]}")
    annotations, (_, rows) = loaded(file), rows_of(file)
    overlaps, same = [], 0
    for stem, of_picture in rows.items():
        labels = found[stem]
        h, w = labels["size_hw"]
        assert labels["classes"] == [r["number"] for r in of_picture]
        for r, segment in zip(of_picture, labels["segments"], strict=True):
            rings = r.get("segmentation")
            points = np.array(segment) * (w, h)
            if isinstance(rings, list) and len(rings) == 1 and len(rings[0]) == points.size:
                assert np.abs(points.reshape(-1) - rings[0]).max() < 1e-3
                same += 1
            elif rings:
                painted = mask_of(annotations, {**r, "segmentation": [points.reshape(-1).tolist()]})
                mask = mask_of(annotations, r)
                overlaps.append((painted & mask).sum() / max(1, (painted | mask).sum()))
    assert same > 20 or name == "teacher"
    assert np.mean(overlaps) > 0.99
    assert np.quantile(overlaps, 0.05) > 0.95


def test_keypoints(reads):
    found = read_of(reads, "people by keypoints")
    _, rows = rows_of(real(SETS["people by keypoints"][1], itself=True))
    labelled = 0
    for stem, of_picture in rows.items():
        labels = found[stem]
        h, w = labels["size_hw"]
        values = np.array([r["keypoints"] for r in of_picture], float).reshape(-1, 17, 3) / (w, h, 1)
        values[values[..., 2] == 0] = 0
        labelled += int((values[..., 2] > 0).sum())
        theirs = np.reshape(labels["keypoints"], (-1, 51))
        require_same_rows([r["number"] for r in of_picture], values.reshape(-1, 51), labels, theirs)
    assert labelled > 600


def test_oriented_boxes(reads):
    found = read_of(reads, "dota")
    source = Path(reads["dota"]["root"]).with_name("aerial")
    assert sorted(found) == ["P1", "P2", "P3"]
    for stem, labels in found.items():
        words = [line.split() for line in (source / "labelTxt" / f"{stem}.txt").read_text().splitlines()[2:]]
        size = labels["size_hw"][::-1]
        expected = [np.array(row[:8], float).reshape(4, 2) / size for row in words]
        assert [reads["dota"]["names"][int(n)] for n in labels["classes"]] == [row[8] for row in words]
        assert np.abs(np.array(labels["segments"]) - expected).max() < 1e-6


def test_boxes_as_oriented_ones_are_their_corners(reads):
    found = read_of(reads, "people by corners")
    _, rows = rows_of(real(f"{PEOPLE}/{JSONS[PEOPLE]}"))
    for stem, of_picture in rows.items():
        labels = found[stem]
        corners = np.reshape(labels["segments"], (-1, 4, 2))
        assert len(corners) == len(labels["boxes_xywh"])
        values = fractions([tuple(r["bbox"]) for r in of_picture], labels["size_hw"])
        around = np.concatenate(
            [(corners.min(axis=1) + corners.max(axis=1)) / 2, corners.max(axis=1) - corners.min(axis=1)], axis=1
        )
        require_same_rows([r["number"] for r in of_picture], values, labels, around)


# --- pictures that it does not read ----------------------------------------------------------------------------------


def test_pictures_that_it_leaves_out_are_told(tmp_path):
    """The report counts as many as are missing; labels of all of them are written."""
    names = {f"{ending}.{ending}": 0 for ending in ("jpg", "png", "bmp", "tiff", "webp")}
    sizes = {"small.png": (9, 40), "low.jpg": (40, 9), "ten.png": (10, 10)}
    forms = {"gif.gif": "GIF", "ppm.ppm": "PPM", "jpe.jpe": "JPEG", "jfif.jfif": "JPEG", "hidden.png": "GIF"}
    images = []
    for number, name in enumerate([*names, *sizes, *forms], start=1):
        picture = Image.new("RGB", sizes.get(name, (40, 30)), (90, 40, 20))
        form = forms.get(name) or {"jpg": "JPEG"}.get(name.lower()[-3:], name.rpartition(".")[2].upper())
        picture.save(tmp_path / name, form)
        width, height = picture.size
        images.append({"id": number, "file_name": name, "width": width, "height": height})
    rows = [row(i["id"], i["id"], [1, 1, 5, 5]) for i in images]
    out = done("coco-to-yolo", coco_of(tmp_path / "a.json", images, rows), tmp_path / "set")
    (found,) = by_ultralytics([tmp_path / "set" / "data.yaml"])
    read = {Path(name).name for name in found["splits"]["train"]["pictures"]}
    assert read == {*names, "ten.png"}
    assert f"pictures of a kind or size that Ultralytics leaves out {len(images) - len(read)}" in out
    assert len(list((tmp_path / "set" / "labels").iterdir())) == len(images)


# --- the oracle itself -----------------------------------------------------------------------------------------------


def test_it_would_tell(voc, tmp_path):
    """A row with a centre outside costs Ultralytics the picture, and a class too many its dataset."""
    done("voc-to-yolo", voc, tmp_path / "set", "--kind", "detect")
    label = next(p for p in sorted((tmp_path / "set" / "labels" / "train").iterdir()) if p.read_text())
    label.write_text(label.read_text() + "0 1.2 0.5 0.1 0.1\n")
    (found,) = by_ultralytics([tmp_path / "set" / "data.yaml"])
    assert found["splits"]["train"]["corrupt"] == 1
    assert "out of bounds" in found["splits"]["train"]["messages"][0]
