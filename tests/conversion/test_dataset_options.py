"""The options that all commands of `augpipe dataset` share, tried on each of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import coco, contents, image, object_xml, row, voc_xml, write_json, write_picture, write_tar, write_voc
from command_line import call, lines
from conversions import coco_boxes, voc_boxes

WORDS = {
    "filter": ("--drop", "wolf"),
    "rename": ("--map", "lion=tiger"),
    "split": ("--val", "40%"),
    "merge": (),
}
NAMES = [f"{i}.jpg" for i in range(6)]


def places(command: str, source: Path) -> list[Path]:
    """What stands before DST: the source, and for a merge another dataset behind it."""
    if command != "merge":
        return [source]
    other = source.parent / "other"
    if not other.exists():
        write_voc(other, {"other": voc_xml(object_xml("lion"))})
    return [source, other]


def asked(command: str, source: Path, target: Path, *more: object):
    return call("dataset", command, *places(command, source), target, *WORDS[command], *more)


def done(command: str, source: Path, target: Path, *more: object) -> str:
    result = asked(command, source, target, *more)
    assert result.exit_code == 0, result.output
    return result.output


def voc(root: Path) -> Path:
    return write_voc(root, {name[:-4]: voc_xml(object_xml("lion"), object_xml("wolf", (2, 2, 9, 9))) for name in NAMES})


def own(command: str) -> set[str]:
    return {name[:-4] for name in NAMES} | ({"other"} if command == "merge" else set())


@pytest.mark.parametrize("command", WORDS)
def test_pictures_are_copied_or_linked_to(command, tmp_path):
    source = voc(tmp_path / "voc")
    done(command, source, tmp_path / "copies")
    done(command, source, tmp_path / "links", "--pictures", "link")
    for name in NAMES:
        there = tmp_path / "links" / "JPEGImages" / name
        assert there.is_symlink()
        assert there.resolve() == (source / "JPEGImages" / name).resolve()
        assert (tmp_path / "copies" / "JPEGImages" / name).read_bytes() == there.read_bytes()
    assert set(voc_boxes(tmp_path / "copies")) == own(command)


@pytest.mark.parametrize("command", WORDS)
def test_nothing_is_written_over_unless_asked(command, tmp_path):
    source = voc(tmp_path / "voc")
    before = contents(source)
    done(command, source, tmp_path / "out")
    first = contents(tmp_path / "out")
    again = asked(command, source, tmp_path / "out")
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    assert contents(tmp_path / "out") == first
    done(command, source, tmp_path / "out", "--overwrite")
    assert contents(tmp_path / "out") == first
    assert contents(source) == before


@pytest.mark.parametrize("command", WORDS)
def test_strict_writes_nothing_where_something_is_lost(command, tmp_path):
    source = voc(tmp_path / "voc")
    done(command, source, tmp_path / "sound", "--strict", "--to", "coco")
    (source / "Annotations" / "0.xml").write_text("<annotation>")
    result = asked(command, source, tmp_path / "out", "--strict", "--to", "coco")
    assert result.exit_code == 1
    assert "--strict wrote nothing" in result.stderr
    assert not (tmp_path / "out").exists()
    loose = asked(command, source, tmp_path / "loose", "--to", "coco")
    assert loose.exit_code == 1
    assert "1 picture could not be converted" in loose.stderr
    assert f"{len(own(command)):,} pictures, " in loose.stdout.splitlines()[0]


@pytest.mark.parametrize("command", WORDS)
def test_another_format_and_any_number_of_workers(command, tmp_path):
    source = voc(tmp_path / "voc")
    done(command, source, tmp_path / "none", "--to", "coco", "-w", 0)
    done(command, source, tmp_path / "two", "--to", "coco", "-w", 2)
    assert contents(tmp_path / "none") == contents(tmp_path / "two")
    assert set(coco_boxes(tmp_path / "none" / "annotations")) == own(command)


@pytest.mark.parametrize("command", WORDS)
def test_a_source_that_can_be_read_in_two_ways(command, tmp_path):
    xml, picture = voc_xml(object_xml("lion")).encode(), write_picture(tmp_path / "p.jpg").read_bytes()
    members = [(f"Annotations/{i}.xml", xml) for i in range(6)] + [(f"JPEGImages/{i}.jpg", picture) for i in range(6)]
    tar = write_tar(tmp_path / "both.tar", [*members, ("b.jpg", picture), ("b.xml", xml)])
    words = {**WORDS, "filter": ("--classes", "lion")}[command]
    for more, code in (((), 2), (("--from", "voc"), 0)):
        result = call("dataset", command, *places(command, tar), tmp_path / "out", *words, *more)
        assert result.exit_code == code, result.output
        assert code == 0 or "choose with --from" in result.stderr
    assert {f"{i}" for i in range(6)} <= set(voc_boxes(tmp_path / "out"))


@pytest.mark.parametrize("command", ["filter", "rename", "split"])
def test_pictures_elsewhere_and_only_the_first(command, tmp_path):
    images = [image(i, name) for i, name in enumerate(NAMES, start=1)]
    rows = [row(i, i, category_id=c) for i in range(1, 7) for c in (1,)]
    classes = [{"id": 1, "name": "lion"}, {"id": 2, "name": "wolf"}]
    source = write_json(tmp_path / "set" / "a.json", coco(images, rows, classes))
    for name in NAMES:
        write_picture(tmp_path / "elsewhere" / name)
    done(command, source, tmp_path / "out", "--images", tmp_path / "elsewhere", "--limit", 5)
    documents = [json.loads(p.read_text()) for p in (tmp_path / "out" / "annotations").glob("instances_*.json")]
    assert sorted(i["file_name"] for d in documents for i in d["images"]) == NAMES[:5]
    assert sorted(p.name for p in (tmp_path / "out" / "images").rglob("*.jpg")) == NAMES[:5]


@pytest.mark.parametrize("command", ["merge", "filter", "rename"])
def test_one_split_of_all(command, tmp_path):
    source = voc(tmp_path / "voc")
    for root in places(command, source):
        (root / "ImageSets" / "Main").mkdir(parents=True)
        stems = sorted(p.stem for p in (root / "Annotations").iterdir())
        (root / "ImageSets" / "Main" / "train.txt").write_text("\n".join(stems[:1]))
        (root / "ImageSets" / "Main" / "val.txt").write_text("\n".join(stems[1:] or stems))
    done(command, source, tmp_path / "out", "--split", "train")
    assert set(voc_boxes(tmp_path / "out")) == {"0"} | ({"other"} if command == "merge" else set())


@pytest.mark.parametrize("command", WORDS)
def test_places_that_cannot_be(command, tmp_path):
    source = voc(tmp_path / "voc")
    for target in (source / "out", source, tmp_path / "voc" / "JPEGImages"):
        result = asked(command, source, target)
        assert result.exit_code == 2
        assert len(lines(result.stderr)) <= 2
    (tmp_path / "file").touch()
    assert "is a file" in asked(command, source, tmp_path / "file").stderr
    assert "no such file" in asked(command, tmp_path / "nowhere", tmp_path / "out").stderr


@pytest.mark.parametrize("command", WORDS)
def test_a_set_of_names_has_no_ids_of_classes_to_lose(command, tmp_path):
    """Pascal VOC again, of VOC alone: so --strict has nothing to refuse."""
    source = voc(tmp_path / "voc")
    assert "class ids" not in done(command, source, tmp_path / "out")
    done(command, source, tmp_path / "strict", "--strict")
    json_source = write_json(tmp_path / "x.json", coco([image()], [row(1, bbox=[2, 1, 9, 7])]))
    write_picture(tmp_path / "a.jpg")
    result = call("dataset", "merge", source, json_source, tmp_path / "mixed", "--to", "voc")
    assert "class ids 3" in result.output
