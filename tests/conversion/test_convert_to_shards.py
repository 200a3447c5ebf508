"""Any dataset as shards, not augmented: each picture once, its own bytes, and labels that come back as they were."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest
from annotated import EXAMPLES
from conversions import call, coco_boxes, done, dota_of, refused, yolo_of
from format_checker import check_folder

from augpipe.formats.catalogue import FORMATS


@pytest.fixture(scope="module")
def examples(voc, coco, masks_folder, classes_folder, tmp_path_factory) -> dict[str, Path]:
    """A small set of every format."""
    root = tmp_path_factory.mktemp("examples")
    made = {name: make(root / name) for name, make in EXAMPLES.items()}
    yolo_of(root / "yolo", train__a="0 .5 .5 .2 .2\n", train__b="1 .5 .5 .2 .2\n")
    dota_of(root / "dota", P0001="1 1 9 1 9 9 1 9 plane 0\n")
    shutil.copytree(voc / "JPEGImages", root / "pictures")
    return {**made, "pictures": root / "pictures", "voc": voc, "coco": coco, "masks": masks_folder,
            "imagefolder": classes_folder, "yolo": root / "yolo", "dota": root / "dota"}  # fmt: skip


def pictures_in(folder: Path) -> list[bytes]:
    """The pictures of all tars, by tarfile alone."""
    found = []
    for path in folder.glob("*.tar"):
        with tarfile.open(path) as tar:
            names = [name for name in tar.getnames() if not name.endswith((".json", "c.png", "e.png"))]
            found += [tar.extractfile(name).read() for name in names]
    return sorted(found)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "shards"])
def test_every_format_becomes_shards(examples, name, tmp_path):
    source = examples[name]
    said = done(f"{name}-to-shards", source, tmp_path / "shards", "--workers", 0)
    check_folder(tmp_path / "shards")
    written = pictures_in(tmp_path / "shards")
    of_source = sorted(p.read_bytes() for p in source.rglob("*") if p.suffix.lower() in (".jpg", ".png"))
    assert written
    assert set(written) <= set(of_source)
    assert f"{len(written)} sample" in said
    assert done(f"{name}-to-shards", source, tmp_path / "shards", "--workers", 0).count("nothing to do") == 1
    if FORMATS[name].source and name not in ("coco", "masks"):
        done(f"{name}-to-coco", source, tmp_path / "right")
        done("shards-to-coco", tmp_path / "shards", tmp_path / "again")
        found, right = (coco_boxes(tmp_path / f / "annotations") for f in ("again", "right"))
        assert sorted(map(str, found.values())) == sorted(map(str, right.values()))


def test_workers_change_no_byte_and_options_are_given_on(voc, tmp_path):
    for workers in (0, 2):
        done("voc-to-shards", voc, tmp_path / f"{workers}", "--workers", workers, "--split", "val", "--limit", 3)
    tars = [{p.name: p.read_bytes() for p in (tmp_path / name).glob("*.tar")} for name in "02"]
    assert tars[0] == tars[1]
    assert len(pictures_in(tmp_path / "0")) == 3
    assert "another configuration" in refused("voc-to-shards", voc, tmp_path / "0", "--workers", 0)
    done("voc-to-shards", voc, tmp_path / "0", "--workers", 0, "--overwrite")
    assert len(pictures_in(tmp_path / "0")) == 9


def test_a_picture_that_cannot_be_read_ends_it_with_1_and_its_name(voc, tmp_path):
    source = Path(shutil.copytree(voc, tmp_path / "voc"))
    (source / "JPEGImages" / "img_002.jpg").write_bytes(b"none")
    code, _, err = call("voc-to-shards", source, tmp_path / "shards", "--workers", 0)
    assert (code, "1 of 9 pictures were rejected; at most 0 were allowed" in err) == (1, True)
    assert "img_002.jpg" in (tmp_path / "shards" / "rejects.jsonl").read_text()
    assert len(pictures_in(tmp_path / "shards")) == 8


def test_what_shards_do_not_have_is_refused(voc, tmp_path):
    assert "leave --pictures copy" in refused("voc-to-shards", voc, tmp_path / "a", "--pictures", "link")
    assert "voc-to-shards writes none" in refused("voc-to-shards", voc, tmp_path / "a", "--ids", "sequential")
    assert "voc-to-shards has none" in refused("voc-to-shards", voc, tmp_path / "a", "--kind", "obb")
    assert "known are A-to-B" in refused("shards-to-shards", voc, tmp_path / "a")
    assert not (tmp_path / "a").exists()
