"""Conversions that cannot be or can be only in part: one clear line, the right exit code, no half output."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import datasets
import numpy as np
import pytest
from conversions import (
    an_object,
    call,
    coco_boxes,
    coco_of,
    done,
    failed,
    image,
    refused,
    row,
    voc_boxes,
    voc_of,
    xml,
)
from PIL import Image

from augpipe.conversion import convert
from augpipe.conversion import run as run_module
from augpipe.core.errors import UsageError
from augpipe.core.progress import Progress
from augpipe.formats.base import SourceOptions

# --- names -----------------------------------------------------------------------------------------------------------


def test_odd_names_come_through(tmp_path):
    names = ["two words (3).jpg", "größe.jpg", "deep/er/x.jpg", "日本.png", "a%20b.jpg", "-r.jpg", "dots.v1.2.jpg"]
    source = coco_of(
        tmp_path / "a.json", images=[image(i, n) for i, n in enumerate(names)], rows=[row(1, 0, [1, 2, 3, 4])]
    )
    done("coco-to-voc", source, tmp_path / "voc")
    done("voc-to-coco", tmp_path / "voc", tmp_path / "back.json", "--split", "all")
    assert sorted(i["file_name"] for i in json.loads((tmp_path / "back.json").read_text())["images"]) == sorted(names)


def test_names_that_lead_out_stay_in(tmp_path):
    names = ["../../evil.jpg", "/etc/hosts.jpg", "C:\\x\\win.jpg"]
    source = coco_of(
        tmp_path / "a.json", images=[image(i, n) for i, n in enumerate(names)], rows=[row(1, 0, [1, 2, 3, 4])]
    )
    done("coco-to-voc", source, tmp_path / "deep" / "voc")
    assert sorted(voc_boxes(tmp_path / "deep" / "voc")) == ["evil", "hosts", "win"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "deep"]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["voc"]


@pytest.mark.parametrize("name", ["a\0b.jpg", "", "..", "/"])
def test_names_that_are_none_are_refused(name, tmp_path):
    source = coco_of(tmp_path / "a.json", images=[image(1, name)])
    assert "no image has an id and a file name" in refused("coco-to-voc", source, tmp_path / "voc")
    assert not (tmp_path / "voc").exists()


def test_names_that_no_list_can_hold_are_lost_and_counted(tmp_path):
    names = ["a\nb.jpg", " a.jpg", "b\u2028.jpg", "good.jpg"]
    source = coco_of(
        tmp_path / "a.json", images=[image(i, n) for i, n in enumerate(names)], rows=[row(1, 3, [1, 2, 3, 4])]
    )
    out = failed("coco-to-voc", source, tmp_path / "voc")
    assert "augpipe: 3 pictures could not be converted" in out
    assert sorted(voc_boxes(tmp_path / "voc")) == ["good"]


@pytest.mark.parametrize("names", [["a.jpg", "a.png"], ["frame.1", "frame.1.jpg"]])
def test_pictures_that_would_share_an_xml_are_refused(names, tmp_path):
    source = coco_of(
        tmp_path / "a.json", images=[image(i, n) for i, n in enumerate(names)], rows=[row(1, 0, [1, 2, 3, 4])]
    )
    assert "would share one XML; rename one" in refused("coco-to-voc", source, tmp_path / "voc")


def test_a_dot_in_a_name_without_ending_ends_no_stem(tmp_path):
    names = ["frame.1", "frame.2"]
    source = coco_of(
        tmp_path / "a.json", images=[image(i, n) for i, n in enumerate(names)], rows=[row(1, 0, [1, 2, 3, 4])]
    )
    done("coco-to-voc", source, tmp_path / "voc")
    assert sorted(voc_boxes(tmp_path / "voc")) == names


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow such names")
@pytest.mark.parametrize("at", ["Annotations", "JPEGImages"])
def test_names_that_are_not_utf8_are_refused(at, tmp_path):
    source = datasets.make_voc(tmp_path / "voc", 2)
    stem = os.fsdecode(b"caf\xe9")
    (source / "Annotations" / "img_000.xml").rename(
        source / "Annotations" / f"{stem if at == 'Annotations' else 'cafe'}.xml"
    )
    (source / "JPEGImages" / "img_000.jpg").rename(source / "JPEGImages" / f"{stem}.jpg")
    if at == "JPEGImages":
        text = (source / "Annotations" / "cafe.xml").read_bytes().replace(b"img_000.jpg", b"cafe.jpg")
        (source / "Annotations" / "cafe.xml").write_bytes(text)
        (source / "JPEGImages" / f"{stem}.jpg").rename(source / "JPEGImages" / "cafe.jpg")
        shutil.copy(source / "JPEGImages" / "cafe.jpg", source / "JPEGImages" / f"{stem}.jpg")
        done("voc-to-coco", source, tmp_path / "out.json")  # a picture without annotations is none of it
    else:
        assert "is not UTF-8; rename the file" in refused("voc-to-coco", source, tmp_path / "out.json")


def test_a_target_that_is_not_utf8_can_be_written_and_told(voc, tmp_path):
    target = os.fsencode(tmp_path) + b"/caf\xe9.json"
    code = subprocess.run(
        [Path(sys.executable).with_name("augpipe"), "convert", "voc-to-coco", voc, target],
        capture_output=True,
        check=False,
    )
    assert code.returncode == 0, code.stderr
    assert b"\\udce9" in code.stdout


def test_lone_surrogates_in_a_json_are_refused(tmp_path):
    source = coco_of(tmp_path / "a.json", images=[image(1, "a\ud800.jpg")])
    assert "not a COCO JSON" in refused("coco-to-voc", source, tmp_path / "voc")


# --- bad input -------------------------------------------------------------------------------------------------------


def test_a_source_that_is_not_there_or_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing.json").write_text('{"images": [], "annotations": [], "categories": []}')
    (tmp_path / "zero.json").write_text("")
    assert "no such file or folder" in refused("voc-to-coco", tmp_path / "missing", tmp_path / "out.json")
    assert "no Pascal VOC data" in refused("voc-to-coco", tmp_path / "empty", tmp_path / "out.json")
    assert "no COCO JSON" in refused("coco-to-voc", tmp_path / "empty", tmp_path / "out")
    assert "no annotated pictures" in refused("coco-to-voc", tmp_path / "nothing.json", tmp_path / "out")
    assert "the file is empty" in refused("coco-to-voc", tmp_path / "zero.json", tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "nothing.json", "zero.json"]


def test_the_way_out_of_a_conversion_that_there_is_not_works(tmp_path):
    """A masks folder has no table, and Pascal VOC has a place for it: what the message says is what is run."""
    for folder, value in (("images", np.zeros((30, 40, 3), np.uint8)), ("masks", np.eye(30, 40, dtype=np.uint8))):
        (tmp_path / "src" / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "src" / folder / "a.png"), value)
    (tmp_path / "src" / "classes.txt").write_text("void\nroad\n")
    said = refused("masks-to-yolo", tmp_path / "src", tmp_path / "out")
    assert "yolo has no place for what masks holds, voc has" in said
    assert "it goes by shards" in refused("masks-to-voc", tmp_path / "src", tmp_path / "out")
    first, second = re.findall(r"'augpipe convert (\S+) ", said)[:2]
    done(first, tmp_path / "src", tmp_path / "run")
    done(second, tmp_path / "run", tmp_path / "voc")
    (mask,) = (tmp_path / "voc" / "SegmentationClass").rglob("*.png")
    assert np.count_nonzero(np.array(Image.open(mask))) == 30
    assert "imagefolder-to-shards" in refused("imagefolder-to-voc", tmp_path / "src", tmp_path / "out")


def test_the_wrong_kind_is_named(voc, coco, tmp_path):
    assert "it can be read as coco" in refused("voc-to-coco", coco, tmp_path / "out.json")
    assert "it can be read as voc" in refused("coco-to-voc", voc, tmp_path / "out")
    assert "unknown conversion 'coco-to-yolo9'; known are" in refused("coco-to-yolo9", coco, tmp_path / "out")
    assert "give a folder as DST" in refused("coco-to-voc", coco, tmp_path / "out.json")


@pytest.mark.parametrize(
    "text", ['{"images": [', "[]", "not json", '{"images": 3}', '{"annotations": []}', "[" * 100_000]
)
def test_broken_json(text, tmp_path):
    (tmp_path / "a.json").write_text(text)
    assert "a.json" in refused("coco-to-voc", tmp_path / "a.json", tmp_path / "out")


def test_ids_that_are_given_twice_or_point_nowhere(tmp_path):
    twice = coco_of(tmp_path / "1.json", images=[image(1, "a.jpg"), image(1, "b.jpg")])
    assert "image id 1 is given twice" in refused("coco-to-voc", twice, tmp_path / "out")
    same = coco_of(tmp_path / "2.json", images=[image(1, "a.jpg"), image(2, "a.jpg")])
    assert "1 picture listed under several ids, taken once" in done("coco-to-voc", same, tmp_path / "same")
    category = coco_of(tmp_path / "3.json", categories=[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}])
    assert "category id 1 is given twice" in refused("coco-to-voc", category, tmp_path / "out")
    nowhere = coco_of(tmp_path / "4.json", rows=[row(1, 77, [1, 2, 3, 4])])
    assert "no annotation is for an image that it lists" in refused("coco-to-voc", nowhere, tmp_path / "out")
    some = coco_of(tmp_path / "5.json", rows=[row(1, 77, [1, 2, 3, 4]), row(2, 1, [1, 2, 3, 4])])
    out = done("coco-to-voc", some, tmp_path / "out")
    assert "5.json: 1 annotation of images that it does not list are left out" in out


def test_an_unknown_category_loses_its_picture_and_exit_1(tmp_path):
    rows = [row(1, 1, [1, 2, 3, 4], 5), row(2, 2, [1, 2, 3, 4])]
    source = coco_of(tmp_path / "a.json", images=[image(1, "a.jpg"), image(2, "b.jpg")], rows=rows)
    out = failed("coco-to-voc", source, tmp_path / "out")
    assert "1 picture, 1 object to" in out
    assert "augpipe: 1 picture could not be converted\n  a.jpg: " in out
    assert "category_id 5 is in no categories list" in out


BOMB = '<!DOCTYPE annotation [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + xml(an_object(name="&b;"))
FILE = '<!DOCTYPE annotation [<!ENTITY a SYSTEM "file:///etc/hostname">]>' + xml(an_object(name="&a;"))
BAD_XML = {
    "unclosed": "<annotation><object>",
    "empty": "",
    "root": "<html/>",
    "bomb": BOMB,
    "file": FILE,
    "undefined": xml(an_object(name="&nbsp;")),
    "deep": xml("<a>" * 5000 + "</a>" * 5000),
    "nameless": xml("<object><bndbox/></object>"),
    "binary": "\x01\x02",
    "latin": '<?xml version="1.0" encoding="no-such"?>' + xml(),
}


@pytest.mark.parametrize("kind", BAD_XML)
def test_an_xml_that_cannot_be_read_loses_its_picture_and_exit_1(kind, tmp_path):
    source = voc_of(tmp_path / "voc", bad=BAD_XML[kind], good=xml(an_object()))
    (source / "JPEGImages").mkdir()
    cv2.imwrite(str(source / "JPEGImages" / "bad.jpg"), np.zeros((30, 40), np.uint8))
    out = failed("voc-to-coco", source, tmp_path / "out.json")
    assert "1 picture, 1 object to" in out
    assert "augpipe: 1 picture could not be converted\n  bad.jpg: Annotations/bad.xml" in out
    assert [i["file_name"] for i in json.loads((tmp_path / "out.json").read_text())["images"]] == ["good.jpg"]


def test_a_dtd_elsewhere_is_not_fetched(tmp_path):
    (tmp_path / "x.dtd").write_text('<!ENTITY name "dog">')
    declared = f'<!DOCTYPE annotation SYSTEM "file://{tmp_path}/x.dtd">'
    source = voc_of(tmp_path / "voc", a=declared + xml(an_object()))
    done("voc-to-coco", source, tmp_path / "out.json")
    assert coco_boxes(tmp_path / "out.json") == {"a": [("cat", 1, 2, 10, 10)]}
    source = voc_of(tmp_path / "other", a=declared + xml(an_object(name="&name;")), b=xml())
    assert "1 picture could not be converted" in failed("voc-to-coco", source, tmp_path / "out2.json")


def test_where_nothing_can_be_converted_nothing_is_written(tmp_path):
    source = voc_of(tmp_path / "voc", a=xml(an_object(), size=""), b="<annotation>")
    for target in (tmp_path / "out.json", tmp_path / "new" / "out"):
        out = failed("voc-to-coco", source, target)
        assert "none of the pictures can be converted, so nothing was written" in out
        assert "a.jpg: neither the labels nor a picture tell its size" in out
    assert [p.name for p in tmp_path.iterdir()] == ["voc"]


def test_pictures_that_are_missing_or_unreadable_are_counted_and_their_labels_converted(voc, tmp_path):
    shutil.copytree(voc, tmp_path / "set")
    pictures = tmp_path / "set" / "JPEGImages"
    (pictures / "img_000.jpg").unlink()
    (pictures / "img_001.jpg").write_bytes(b"no picture")
    (pictures / "img_002.jpg").write_bytes(b"")
    out = done("voc-to-coco", tmp_path / "set", tmp_path / "out")
    assert "note: 3 pictures not found or not readable; the labels are converted all the same\n  img_000.jpg: " in out
    assert coco_boxes(tmp_path / "out" / "annotations") == voc_boxes(voc)
    assert (tmp_path / "out" / "images" / "img_001.jpg").read_bytes() == b"no picture"
    assert not (tmp_path / "out" / "images" / "img_000.jpg").exists()


def test_long_lists_are_cut_but_counted(tmp_path):
    source = coco_of(tmp_path / "a.json", images=[image(i, f"{i:02d}.jpg") for i in range(25)])
    out = done("coco-to-voc", source, tmp_path / "out")
    assert "note: 25 pictures not found" in out
    assert "  04.jpg: no picture of that name was found\n  and 20 more\n" in out


# --- the target ------------------------------------------------------------------------------------------------------


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_is_there_is_not_overwritten_silently(voc, coco, tmp_path):
    (tmp_path / "out.json").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    before = snapshot(tmp_path)
    assert "exists already; choose another DST, or --overwrite" in refused("voc-to-coco", voc, tmp_path / "out.json")
    assert "exists already" in refused("voc-to-coco", voc, tmp_path / "out")
    assert "exists already" in refused("coco-to-voc", coco, tmp_path / "out")
    assert "is a file; expected a folder" in refused("coco-to-voc", coco, tmp_path / "out" / "mine.txt")
    assert snapshot(tmp_path) == before


def test_overwrite_replaces_its_own_files_and_counts_the_others(voc, tmp_path):
    done("voc-to-coco", voc, tmp_path / "out")
    (tmp_path / "out" / "images" / "img_000.jpg").write_bytes(b"old")
    (tmp_path / "out" / "images" / "other.jpg").write_bytes(b"other")
    (tmp_path / "out" / "mine.txt").write_text("mine")
    out = done("voc-to-coco", voc, tmp_path / "out", "--overwrite")
    assert "note: 1 file of before in the target: not written again, and still there" in out
    found = snapshot(tmp_path / "out")
    assert found["images/img_000.jpg"] == (voc / "JPEGImages" / "img_000.jpg").read_bytes()
    assert (found["images/other.jpg"], found["mine.txt"]) == (b"other", b"mine")


def test_source_and_target_must_be_apart(voc, coco, tmp_path):
    shutil.copytree(voc, tmp_path / "voc")
    shutil.copytree(coco, tmp_path / "coco")
    before = snapshot(tmp_path)
    for source, target in (("voc", "voc"), ("voc", "voc/out"), ("voc", "voc/out.json"), ("voc/Annotations", "voc")):
        for more in ((), ("--overwrite",)):
            err = refused("voc-to-coco", tmp_path / source, tmp_path / target, *more)
            assert "lies in the source" in err or "holds the source" in err
    listed = tmp_path / "coco" / "annotations" / "instances.json"
    elsewhere = shutil.copy(listed, tmp_path / "elsewhere.json")
    os.rename(tmp_path / "coco" / "images", tmp_path / "coco" / "JPEGImages")
    images = ("--images", tmp_path / "coco" / "JPEGImages", "--overwrite")
    assert "holds pictures of the source" in refused("coco-to-voc", elsewhere, tmp_path / "coco", *images)
    os.rename(tmp_path / "coco" / "JPEGImages", tmp_path / "coco" / "images")
    Path(elsewhere).unlink()
    assert snapshot(tmp_path) == before


def test_a_link_in_the_target_does_not_reach_the_source(voc, tmp_path):
    shutil.copytree(voc, tmp_path / "voc")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "images").symlink_to(tmp_path / "voc" / "JPEGImages")
    assert "lies in the source" in refused("voc-to-coco", tmp_path / "voc", tmp_path / "out", "--overwrite")
    (tmp_path / "out" / "images").unlink()
    (tmp_path / "out" / "images").mkdir()
    (tmp_path / "out" / "images" / "img_000.jpg").symlink_to(tmp_path / "voc" / "JPEGImages" / "img_001.jpg")
    done("voc-to-coco", tmp_path / "voc", tmp_path / "out", "--overwrite")
    assert snapshot(tmp_path / "voc") == snapshot(voc)


def test_the_source_is_only_read(voc, coco, tmp_path):
    before = snapshot(voc), snapshot(coco)
    done("voc-to-coco", voc, tmp_path / "a")
    done("coco-to-voc", coco, tmp_path / "b")
    assert (snapshot(voc), snapshot(coco)) == before


@pytest.mark.parametrize("target", ["out.json", "out", "deep/er/out"])
def test_a_conversion_that_stops_leaves_nothing(voc, tmp_path, monkeypatch, target):
    for error, code in ((OSError(28, "No space left on device"), 1), (KeyboardInterrupt(), 130)):

        def stop(*arguments, error=error):
            raise error

        monkeypatch.setattr("augpipe.conversion.report.ConversionReport.count", stop)
        found, _, err = call("voc-to-coco", voc, tmp_path / target)
        assert found == code
        assert len(err.splitlines()) <= 2
        assert "No space left" in err or "stopped; nothing was written" in err
        assert list(tmp_path.iterdir()) == []


def test_a_conversion_that_stops_leaves_what_was_there(voc, tmp_path, monkeypatch):
    done("voc-to-coco", voc, tmp_path / "out")
    before = snapshot(tmp_path)

    def stop(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("augpipe.conversion.run.put_picture", stop)
    assert call("voc-to-coco", voc, tmp_path / "out", "--overwrite")[0] == 1
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("target", ["out.json", "out"])
def test_a_killed_conversion_leaves_no_dataset_and_can_be_done_again(voc, tmp_path, target):
    code = (
        "import sys, time\nfrom augpipe.conversion import run as part\nfrom augpipe.cli.main import app\n"
        "count = part.ConversionReport.count\n"
        "def slow(*a):\n    count(*a)\n    print('counted', flush=True)\n    time.sleep(60)\n"
        "part.ConversionReport.count = slow\napp(['convert', 'voc-to-coco', *sys.argv[1:]])"
    )
    process = subprocess.Popen([sys.executable, "-c", code, voc, tmp_path / target], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"counted\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not [
        p
        for p in tmp_path.rglob("*")
        if not any(part.startswith(".") for part in p.relative_to(tmp_path).parts) and p.is_file()
    ]
    done("voc-to-coco", voc, tmp_path / target)
    assert sorted(p.name for p in tmp_path.iterdir()) == [target]
    assert not list(tmp_path.rglob("*.part"))


def test_a_target_that_cannot_be_written(voc, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = call("voc-to-coco", voc, tmp_path / "file" / "out.json")
    assert code == 2
    assert "cannot be written to: its folder is a file, or a link that leads nowhere; choose another DST" in err


# --- two at once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out", "out.json"])
def test_two_conversions_into_one_place_are_refused(voc, coco, tmp_path, name):
    """They would share a hidden folder, and what one has written would be read with the labels of the other."""
    target, refused = tmp_path / name, []

    class Meanwhile(Progress):
        def update(self, count, rejected=0):
            if not refused:
                with pytest.raises(UsageError, match="another conversion is writing to it") as caught:
                    convert(str(voc), target, "coco", SourceOptions("voc"))
                refused.append(caught.value)

    convert(str(coco), target, "coco", SourceOptions("coco"), progress=Meanwhile())
    assert refused
    left = [path.name for path in tmp_path.rglob("*") if ".part" in path.name]
    assert left == []
    with pytest.raises(UsageError, match="exists already"):
        convert(str(voc), target, "coco", SourceOptions("voc"))


def test_a_target_that_was_filled_meanwhile_is_not_written_over(voc, tmp_path, monkeypatch):
    target = tmp_path / "out"
    opened = run_module.open_dataset

    def filling(*arguments):
        target.mkdir()
        (target / "mine.txt").write_text("mine")
        return opened(*arguments)

    monkeypatch.setattr(run_module, "open_dataset", filling)
    with pytest.raises(UsageError, match="exists already"):
        convert(str(voc), target, "coco", SourceOptions("voc"))
    assert [path.name for path in target.iterdir()] == ["mine.txt"]
