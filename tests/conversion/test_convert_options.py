"""Options of ``convert`` that say how the target is written: ids, pictures, --strict; and where a loss is."""

from __future__ import annotations

import json
import os

from builders import write_picture
from conversions import an_object, coco_of, done, failed, image, refused, row, voc_of, xml

from augpipe.formats.registry import open_dataset


def ids_of(path) -> tuple[list, list]:
    document = json.loads(path.read_text())
    assert {r["image_id"] for r in document["annotations"]} <= {i["id"] for i in document["images"]}
    return [i["id"] for i in document["images"]], [r["id"] for r in document["annotations"]]


def test_ids_are_counted_where_that_is_asked_for(voc, tmp_path):
    done("voc-to-coco", voc, tmp_path / "out.json", "--ids", "sequential")
    assert ids_of(tmp_path / "out.json") == (list(range(1, 10)), list(range(1, 28)))
    assert "expected keep or sequential" in refused("voc-to-coco", voc, tmp_path / "x.json", "--ids", "new")
    assert "says what ids COCO gets" in refused("voc-to-yolo", voc, tmp_path / "x", "--ids", "sequential")


def test_pictures_as_links(voc, tmp_path):
    done("voc-to-yolo", voc, tmp_path / "out", "--pictures", "link")
    paths = sorted((tmp_path / "out" / "images").rglob("*.jpg"))
    assert len(paths) == 9
    for path in paths:
        assert path.is_symlink()
        assert path.resolve() == (voc / "JPEGImages" / path.name).resolve()
    before = (voc / "JPEGImages" / "img_000.jpg").read_bytes()
    done("voc-to-yolo", voc, tmp_path / "out", "--overwrite")  # a copy takes the place of the link, not of its picture
    assert not any(path.is_symlink() for path in paths)
    assert (voc / "JPEGImages" / "img_000.jpg").read_bytes() == before
    done("yolo-to-coco", tmp_path / "out", tmp_path / "again.json")


def test_pictures_by_name_only(voc, tmp_path):
    out = done("voc-to-coco", voc, tmp_path / "out", "--pictures", "reference")
    assert os.listdir(tmp_path / "out") == ["annotations"]
    assert f"the pictures stay in {voc / 'JPEGImages'}" in out
    assert "has its pictures in it" in refused("voc-to-yolo", voc, tmp_path / "x", "--pictures", "reference")
    assert "expected copy or link or reference" in refused("voc-to-yolo", voc, tmp_path / "x", "--pictures", "move")


def test_strict_writes_nothing_if_anything_is_lost_or_odd(tmp_path):
    plain = voc_of(tmp_path / "plain", a=xml(an_object()))
    source = coco_of(tmp_path / "a.json", rows=[row(1, 1, [1, 2, 10, 8], segmentation=[[1, 1, 9, 1, 9, 9]])])
    out = failed("coco-to-voc", source, tmp_path / "out", "--strict")
    assert "something is lost or odd, so --strict wrote nothing" in out
    assert "polygons, written as pixels 1 (as in a.jpg, object 1)" in out
    assert "a.jpg: no picture of that name was found" in out
    assert len(out.splitlines()) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "plain"]
    assert "no picture of that name" in failed("voc-to-coco", plain, tmp_path / "out.json", "--strict")


def test_strict_lets_through_what_is_whole(voc, tmp_path):
    done("voc-to-coco", voc, tmp_path / "out", "--strict")
    assert (tmp_path / "out" / "annotations").is_dir()


def test_a_loss_names_a_file_and_an_object(tmp_path):
    rows = [row(1, 1, [1, 2, 10, 8]), row(2, 2, [1, 2, 10, 8]), row(3, 2, [1, 2, 10, 8], keypoints=[1, 1, 2])]
    images = [image(1, "a.jpg"), image(2, "b.jpg")]
    out = done("coco-to-voc", coco_of(tmp_path / "a.json", images=images, rows=rows), tmp_path / "out")
    assert "\n  keypoints 1, as in b.jpg, object 2\n" in out
    assert "\n  object ids 3, as in a.jpg, object 1\n" in out
    assert "\n  image ids 2, as in a.jpg\n" in out


def test_pictures_inside_tars_cannot_be_linked(voc, tmp_path):
    from command_line import call

    assert call("augment", voc, tmp_path / "run", "-r", "gentle", "-w", 0).exit_code == 0
    assert "cannot be linked" in refused("shards-to-yolo", tmp_path / "run", tmp_path / "out", "--pictures", "link")


def test_classes_of_one_name_are_one_where_a_name_is_the_class(tmp_path):
    """A root category that is called like a class, as Roboflow writes it."""
    categories = [{"id": 0, "name": "facade"}, {"id": 1, "name": "car"}, {"id": 2, "name": "facade"}]
    ring = [2, 1, 7, 1, 7, 5, 2, 5]
    rows = [row(1, 1, [2, 1, 5, 4], 1, segmentation=[ring]), row(2, 1, [9, 1, 5, 4], 2)]
    source = coco_of(tmp_path / "a.json", rows=rows, categories=categories)
    write_picture(tmp_path / "a.jpg", (40, 30))
    for target in ("voc", "dota"):
        done(f"coco-to-{target}", source, tmp_path / target)
        read = open_dataset(str(tmp_path / target))
        names = {c.id: c.name for c in read.categories}
        assert sorted(names.values()) == ["car", "facade"]
        (labels,) = (labels for _, labels in read.labels())
        assert sorted(names[n] for n in labels.objects.category_id.tolist()) == ["car", "facade"]
    (labels,) = (labels for _, labels in open_dataset(str(tmp_path / "voc")).labels())
    voc = {c.name: c.id for c in open_dataset(str(tmp_path / "voc")).categories}
    assert labels.semantic[2, 4] == voc["car"]
