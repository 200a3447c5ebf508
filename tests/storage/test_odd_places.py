"""Places that are none, or never end: every command says so in a line or two, and what lies beside them goes on."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tracemalloc
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from braceexpand import braceexpand
from builders import (
    coco,
    image,
    object_xml,
    opened,
    row,
    said,
    voc_xml,
    write_json,
    write_picture,
    write_tar,
    write_voc,
)
from command_line import call
from packing import write_zip
from pairing import some_pairs

from augpipe.core.errors import DatasetError
from augpipe.formats.webdataset import patterns
from augpipe.formats.webdataset.patterns import MOST_TARS, names_in

NFC, NFD = "caf\u00e9", "cafe\u0301"


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        here = os.getcwd()
        os.chdir(path.parent)  # the path of a socket has 107 bytes at most
        try:
            bound.bind(path.name)
        finally:
            os.chdir(here)


ODD: dict[str, Callable[[Path], None]] = {
    "a link that leads to itself": loop,
    "a pipe": os.mkfifo,
    "a socket": listening,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": Path.mkdir,
}


def commands(source: object, out: Path, conversion: str) -> dict[str, list[object]]:
    return {
        "augment": ["augment", source, out / "shards", "-r", "detection", "-w", 0, "--max-rejects", "100%"],
        "inspect": ["inspect", source],
        "plan": ["plan", source, "-r", "detection"],
        "preview": ["preview", source, "-r", "detection", "-o", out / "sheet.png"],
        "convert": ["convert", conversion, source, out / "converted"],
    }


def errors_of(source: object, out: Path, conversion: str = "coco-to-voc") -> dict[str, str]:
    """What each command says; all must refuse, in a line or two."""
    out.mkdir(exist_ok=True)
    told = {}
    for name, words in commands(source, out, conversion).items():
        done = call(*words)
        lines = [line for line in done.output.splitlines() if line and not line.startswith("device:")]
        assert done.exit_code == 2, (name, done.output)
        assert 1 <= len(lines) <= 2, (name, done.output)
        told[name] = " ".join(" ".join(lines).split())
    assert not list(out.iterdir())
    return told


# --- pictures that are none ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", list(ODD))
def test_a_picture_that_is_no_file_is_named_and_never_tried_again(what, tmp_path):
    source, out = tmp_path / "set", tmp_path / "out"
    write_voc(source, {"a": voc_xml(object_xml()), "b": voc_xml(object_xml())})
    (source / "JPEGImages" / "b.jpg").unlink()
    ODD[what](source / "JPEGImages" / "b.jpg")
    out.mkdir()
    for name, words in commands(source, out, "voc-to-coco").items():
        done = call(*words)
        assert done.exit_code == 0, (name, done.output)
        assert "b.jpg" in done.output or name in ("augment", "preview"), name
    rows = [json.loads(line) for line in (out / "shards" / "rejects.jsonl").read_text().splitlines()]
    if what == "a folder":  # it holds no pictures
        assert [(r["source"], r["error"]) for r in rows] == [("b.jpg", "missing-picture")]
    else:
        assert [(r["source"], r["error"], r["transient"]) for r in rows] == [("b.jpg", "missing-file", False)]
        assert rows[0]["message"] == f"b.jpg: is {what}, expected a file"


@pytest.mark.parametrize(("what", "ending"), some_pairs(list(ODD)[:4], ["", ".tar", ".zip", ".json"], 1))
def test_a_source_that_is_no_file_is_named(what, ending, tmp_path):
    source = tmp_path / f"x{ending}"
    ODD[what](source)
    for name, message in errors_of(source, tmp_path / "out").items():
        assert f"x{ending}: is {what}, expected a file or a folder" in message, name


def test_pictures_of_a_json_that_lie_in_a_link_to_itself(tmp_path):
    write_json(tmp_path / "x.json", coco())
    loop(tmp_path / "images")
    done = call("augment", tmp_path / "x.json", tmp_path / "out", "-r", "detection", "--images", tmp_path / "images")
    assert done.exit_code == 2
    assert "images: is a link that leads to itself, expected a file or a folder" in done.output


@pytest.mark.parametrize("name", ["augment", "convert"])
def test_a_destination_that_is_a_link_to_itself(name, tmp_path):
    write_picture(tmp_path / "set" / "a.jpg")
    write_json(tmp_path / "set" / "x.json", coco())
    loop(tmp_path / "out")
    words = {"augment": ["augment", tmp_path / "set", tmp_path / "out", "-r", "detection"],
             "convert": ["convert", "coco-to-voc", tmp_path / "set", tmp_path / "out"]}[name]  # fmt: skip
    done = call(*words)
    assert done.exit_code == 2, done.output
    assert "please report" not in done.output
    assert f"{tmp_path / 'out'}: " in done.output


# --- places that do not exist any more, or never can ------------------------------------------------------------------


@pytest.mark.parametrize(("command", "source"), [("augment", "."), ("inspect", "x.json"), ("convert", ".")])
def test_a_working_directory_that_has_been_deleted_is_no_source(command, source, tmp_path):
    """In a process of its own, as the directory is that of a process."""
    (tmp_path / "gone").mkdir()
    (tmp_path / "out").mkdir()
    words = [str(w) for w in commands(source, tmp_path / "out", "coco-to-voc")[command]]
    code = "import os, sys; os.rmdir(os.getcwd()); from augpipe.cli.main import main; sys.argv[0] = 'augpipe'; main()"
    line = [sys.executable, "-c", code, *words]
    done = subprocess.run(line, cwd=tmp_path / "gone", capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("device:")]
    assert done.returncode == 2, done.stderr
    assert "the working directory has been deleted" in done.stderr
    assert len(lines) <= 2
    assert "Traceback" not in done.stderr
    assert "what is finished is kept" not in done.stderr


@pytest.mark.parametrize(
    ("place", "command"),
    [("/proc/out", "augment"), ("/proc/self/fd/out", "convert"), ("/dev/fd/99/out", "augment")],
)
def test_where_no_folder_can_be_made_a_command_ends_at_once(command, place, tmp_path):
    write_picture(tmp_path / "set" / "a.jpg")
    write_json(tmp_path / "set" / "x.json", coco())
    words = {"augment": ["augment", tmp_path / "set", place, "-r", "detection", "-w", "0"],
             "convert": ["convert", "coco-to-voc", tmp_path / "set", place]}[command]  # fmt: skip
    line = [sys.executable, "-c", "from augpipe.cli.main import main; main()", *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2, done.stderr
    assert f"{place}: " in done.stderr
    assert "choose another DST" in done.stderr


# --- patterns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    [
        "x", "x-{000..009}.tar", "{9..0}", "{1..9..3}", "{9..1..-2}", "{1..5..0}", "{-3..3}", "{a..e}", "{e..a..2}",
        "{a,b}{0..4}", "{a,{0..9}{0..9},}", "{a}", "{{0..2}}", "a{b{0..1},c{0..1}{x,y}}d", r"\{0..9}", r"{a\,b,c}",
        "{}", "{,}", "x{0..9..}", "{0..a}", "{A..c}",
    ],
)  # fmt: skip
def test_names_are_counted_as_they_are_expanded(pattern):
    try:
        expected = len(list(braceexpand(pattern)))
    except ValueError:
        with pytest.raises(ValueError, match="unbalanced"):
            names_in(pattern)
    else:
        assert names_in(pattern) == expected


@pytest.mark.parametrize(
    "pattern",
    [
        "x-{000..999999999}.tar", "{0..9999}{0..9999}", "{a,{0..999}{0..999}{0..999}}", "{1..5..-1}{0..999999999}",
        "{0..99999999999999999999999999}", "{" * 20 + "a,b" + "}" * 20,
    ],
)  # fmt: skip
def test_a_pattern_of_too_many_names_is_never_expanded(pattern, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tracemalloc.start()
    try:
        message = said(pattern)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
    assert "expected at most 100,000" in message or "nested" in message
    assert len(message) < 500


def test_every_command_refuses_such_a_pattern(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, message in errors_of("x-{000..999999999}.tar", tmp_path / "out", "shards-to-coco").items():
        assert "names 1,000,000,000 files; expected at most 100,000" in message, name


def test_as_many_names_as_are_allowed_are_looked_for():
    message = said(f"nowhere-{{1..{MOST_TARS}}}.tar")
    assert "nowhere-1.tar: no such file (100000 of 100000 of the pattern missing)" in message
    assert patterns.MOST_TARS == 100_000


# --- names that no file has ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["n" * 300, "/".join(["d" * 100] * 30)])
@pytest.mark.parametrize("target", ["coco", "yolo"])
def test_a_member_whose_name_no_file_can_have_costs_that_picture(name, target, tmp_path):
    data = write_picture(tmp_path / "a.jpg").read_bytes()
    files = {f"JPEGImages/{stem}.jpg": data for stem in ("a", name)}
    files |= {f"Annotations/{stem}.xml": voc_xml(object_xml()).encode() for stem in ("a", name)}
    source = write_zip(tmp_path / "x.zip", files)
    assert len(opened(source).entries) == 2
    done = call("convert", f"voc-to-{target}", source, tmp_path / "out")
    assert done.exit_code == 1, done.output
    assert "1 picture could not be converted" in done.output
    assert "the name is longer than that of a file may be" in done.output
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 1


# --- names of two forms ----------------------------------------------------------------------------------------------


def make(form: str, root: Path) -> str:
    """A dataset of two pictures whose names are one in NFC; gives the conversion that reads it."""
    if form == "voc":
        write_voc(root, {NFC: voc_xml(object_xml()), NFD: voc_xml(object_xml())})
        return "voc-to-coco"
    if form == "voc: one XML":
        write_voc(root, {NFC: voc_xml(object_xml())})
        shutil.copy(root / "JPEGImages" / f"{NFC}.jpg", root / "JPEGImages" / f"{NFD}.jpg")
        return "voc-to-coco"
    if form == "coco":
        images = [image(i, f"{name}.jpg") for i, name in enumerate((NFC, NFD))]
        write_json(root / "x.json", coco(images, [row(1, 0), row(2, 1)]))
        for name in (NFC, NFD):
            write_picture(root / f"{name}.jpg")
        return "coco-to-voc"
    if form == "yolo":
        for name in (NFC, NFD):
            write_picture(root / "images" / f"{name}.jpg")
            (root / "labels").mkdir(exist_ok=True)
            (root / "labels" / f"{name}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
        (root / "classes.txt").write_text("cat\n")
        return "yolo-to-coco"
    data = (write_picture(root / "x.jpg")).read_bytes()
    members = [(f"{name}.{e}", d) for name in (NFC, NFD) for e, d in (("jpg", data), ("cls", b"0"))]
    write_tar(root / "x.tar", members)
    (root / "x.jpg").unlink()
    return "shards-to-coco"


@pytest.mark.parametrize("form", ["voc", "voc: one XML", "coco", "yolo", "tar"])
def test_two_forms_of_one_name_are_an_error_that_shows_them_apart(form, tmp_path):
    conversion = make(form, tmp_path / "set")
    assert unicodedata.normalize("NFC", NFD) == NFC
    for name, message in errors_of(tmp_path / "set", tmp_path / "out", conversion).items():
        assert r"caf\xe9" in message, (name, message)
        assert r"cafe\u0301" in message, (name, message)


def test_two_xml_of_one_stem_are_an_error(tmp_path):
    write_voc(tmp_path, {"a": voc_xml(object_xml())})
    shutil.copy(tmp_path / "Annotations" / "a.xml", tmp_path / "Annotations" / "a.XML")
    with pytest.raises(DatasetError, match=r"a\.XML' and '.*a\.xml' are both the labels of one picture"):
        opened(tmp_path)


def test_one_name_in_any_form_is_none(tmp_path):
    for number, (xml, picture) in enumerate(itertools.product((NFC, NFD), repeat=2)):
        root = tmp_path / str(number)
        write_voc(root, {xml: voc_xml(object_xml())}, pictures=None)
        write_picture(root / "JPEGImages" / f"{picture}.jpg")
        (entry,) = opened(root).entries
        assert entry.key == f"{NFC}.jpg"
        assert entry.picture is not None
