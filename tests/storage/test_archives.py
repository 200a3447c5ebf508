"""Tars and zips that are read where they are: the same dataset as the folder that was packed, to the last byte."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import datasets
import numpy as np
import pytest
from builders import (
    keys,
    object_xml,
    opened,
    read_all,
    said,
    voc_xml,
    write_json,
    write_picture,
    write_tar,
    write_voc,
)
from command_line import call as command
from conversions import call, coco_boxes, done, refused, voc_boxes, yolo_of
from packing import FORMS, packed, write_zip
from PIL import Image
from runs import hashes, promised, run

from augpipe.formats.base import read_picture
from augpipe.formats.registry import recognised


def tree(form: str, folder: Path, voc: Path) -> Path:
    """A dataset of a format; what a devkit or an export of it looks like."""
    if form == "voc":
        shutil.copytree(voc, folder / "VOC2012")
    elif form == "years":
        shutil.copytree(voc, folder / "VOC2007")
        shutil.copytree(voc, folder / "VOC2012")
    elif form == "coco":
        datasets.make_coco(folder / "in")
        shutil.move(folder / "in", folder.with_name("moved"))
        shutil.rmtree(folder)
        shutil.move(folder.with_name("moved"), folder)
    elif form == "yolo":
        yolo_of(folder, a="0 0.5 0.5 0.5 0.5", b="1 0.25 0.5 0.25 0.5")
    elif form == "dota":
        write_picture(folder / "images" / "P1.png")
        (folder / "labelTxt").mkdir()
        (folder / "labelTxt" / "P1.txt").write_text("gsd:0.5\n1 1 9 1 9 8 1 8 plane 0\n")
    elif form == "masks":
        datasets.make_masks(folder)
    else:
        datasets.make_classes(folder)
    return folder


@pytest.mark.parametrize("form", ["voc", "years", "coco", "yolo", "dota", "masks", "imagefolder"])
@pytest.mark.parametrize("archive", FORMS)
def test_an_archive_is_the_dataset_of_its_folder(form, archive, voc, tmp_path):
    (tmp_path / "set").mkdir()
    folder = tree(form, tmp_path / "set", voc)
    path = packed(folder, tmp_path / f"x.{archive}")
    one, other = opened(folder), opened(path)
    assert recognised(str(path)) == recognised(str(folder))
    assert keys(one) == keys(other)
    assert one.fingerprint() == other.fingerprint()
    assert one.categories == other.categories
    assert [read_picture(e) for e in one.entries] == [read_picture(e) for e in other.entries]
    assert repr(read_all(one)) == repr(read_all(other))
    assert [f"x.{archive}!{e.file}" for e in one.entries] == [e.file for e in other.entries] or form == "coco"


@pytest.mark.parametrize("kind", ["voc", "coco"])
def test_shards_have_the_same_bytes_from_folder_tar_and_zip(kind, voc, coco, tmp_path):
    folder = {"voc": voc, "coco": coco}[kind]
    run(folder, tmp_path / "folder", copies=2)
    expected = promised(tmp_path / "folder")
    assert len(expected["tars"]) > 1
    for archive in FORMS:
        path = packed(folder, tmp_path / f"x.{archive}", "devkit/set/")
        run(path, tmp_path / archive, copies=2, workers=2)
        assert promised(tmp_path / archive) == expected
        result = command(*["verify", str(tmp_path / "folder"), "--against", str(path), "-w", "0"])
        assert result.exit_code == 0, result.output


def test_a_run_goes_on_and_is_retried_from_an_archive(voc, tmp_path):
    path = packed(voc, tmp_path / "voc.tar", "VOCdevkit/VOC2012/")
    run(path, tmp_path / "out")
    before = hashes(tmp_path / "out")
    for name in ("all-000001.json", "all-000001.tar", "manifest.json"):
        (tmp_path / "out" / name).unlink()
    result = command(*["retry", str(tmp_path / "out"), "-w", "0"])
    assert result.exit_code == 0, result.output
    assert hashes(tmp_path / "out") == before


# --- names and roots -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "./", "VOCdevkit/VOC2012/", "a/b/c/d/"])
@pytest.mark.parametrize("archive", FORMS)
def test_folders_around_the_dataset_change_nothing(prefix, archive, voc, tmp_path):
    path = packed(voc, tmp_path / f"x.{archive}", prefix)
    assert keys(opened(path)) == [f"img_{i:03d}.jpg" for i in range(9)]
    assert keys(opened(path, split="first")) == [f"img_{i:03d}.jpg" for i in range(4)]
    inner = prefix.removeprefix("./")
    assert opened(path).entries[0].file == f"x.{archive}!{inner}Annotations/img_000.xml"


def test_what_macs_and_windows_put_into_zips(tmp_path):
    write_voc(tmp_path / "set", {"é": voc_xml(object_xml())})
    files = {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in (tmp_path / "set").rglob("*") if p.is_file()}
    mac = write_zip(tmp_path / "mac.zip", {**files, "__MACOSX/set/._x.jpg": b"junk", ".DS_Store": b"junk"})
    assert keys(opened(mac)) == ["é.jpg"]
    windows = write_zip(tmp_path / "windows.zip", {name.replace("/", "\\"): data for name, data in files.items()})
    assert keys(opened(windows)) == ["é.jpg"]
    unflagged = tmp_path / "unflagged.zip"  # UTF-8 without the flag that says so, as Info-ZIP writes it
    data = mac.read_bytes()
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        parts = data.split(mark)
        data = mark.join(
            [parts[0], *(p[: at - 4] + bytes([p[at - 4], p[at - 3] & ~8]) + p[at - 2 :] for p in parts[1:])]
        )
    unflagged.write_bytes(data)
    with zipfile.ZipFile(unflagged) as archive:
        assert not any(info.flag_bits & 0x800 for info in archive.infolist())
    assert keys(opened(unflagged)) == ["é.jpg"]


# --- which reading ---------------------------------------------------------------------------------------------------


def test_a_tar_of_samples_is_shards_and_one_of_folders_is_what_they_are(voc, tmp_path):
    xml, jpg = voc_xml(object_xml()).encode(), write_picture(tmp_path / "p.jpg").read_bytes()
    flat = write_tar(tmp_path / "flat.tar", [("a.jpg", jpg), ("a.xml", xml)])
    assert recognised(str(flat)) == ["shards"]
    deeper = write_tar(tmp_path / "deeper.tar", [("cat.d/a.jpg", jpg), ("cat.d/a.xml", xml), ("b.jpg", jpg)])
    assert recognised(str(deeper)) == ["shards"]
    apart = write_tar(tmp_path / "apart.tar", [("s/Annotations/a.xml", xml), ("s/JPEGImages/a.jpg", jpg)])
    assert recognised(str(apart)) == ["voc"]
    # In a zip, which never is shards, the flat form is a folder of XML.
    assert recognised(str(write_zip(tmp_path / "flat.zip", [("a.jpg", jpg), ("a.xml", xml)]))) == ["voc"]


def test_a_tar_that_is_both_is_refused_and_from_decides(tmp_path):
    xml, jpg = voc_xml(object_xml()).encode(), write_picture(tmp_path / "p.jpg").read_bytes()
    members = [("Annotations/a.xml", xml), ("JPEGImages/a.jpg", jpg), ("b.jpg", jpg), ("b.xml", xml)]
    path = write_tar(tmp_path / "both.tar", members)
    assert said(path) == f"{path}: can be read as voc or as shards; choose with --from"
    assert keys(opened(path, format="voc")) == ["a.jpg"]
    assert keys(opened(path, format="shards")) == ["Annotations/a", "b"]  # an XML is labels, also without a picture
    assert "it can be read as voc or as shards" in said(path, format="yolo")


def test_what_is_in_no_archive_gets_advice(tmp_path):
    path = write_zip(tmp_path / "x.zip", {"readme.txt": b"x", "inner.tar.gz": b""})
    assert said(path).endswith("\nthere is an archive; unpack it first")
    assert said(write_zip(tmp_path / "y.zip", {})).endswith("\nthe folder is empty")


# --- COCO ------------------------------------------------------------------------------------------------------------


def coco_download(coco: Path, folder: Path) -> Path:
    """Files as COCO gives them out: a zip of annotations, a zip of pictures a split."""
    names = ("instances", "captions")
    documents = {f"annotations/{n}_train2017.json": (coco / "annotations" / f"{n}.json").read_bytes() for n in names}
    other = {"images": [{"id": 1, "file_name": "v.jpg"}], "annotations": [], "categories": []}
    documents["annotations/instances_val2017.json"] = json.dumps(other).encode()
    write_zip(folder / "annotations_trainval2017.zip", documents)
    packed(coco / "images", folder / "train2017.zip", "train2017/")
    return folder / "annotations_trainval2017.zip"


def test_coco_as_it_is_downloaded(coco, tmp_path):
    path = coco_download(coco, tmp_path)
    dataset = opened(path, split="train2017")
    assert dataset.fingerprint() == opened(coco).fingerprint()
    assert all(labels.captions and len(labels.objects) for labels in read_all(dataset))
    assert opened(path).splits == {"train": 8, "val": 1}
    for elsewhere in (coco / "images", packed(coco / "images", tmp_path / "p.tar", "deep/er/")):
        assert opened(path, split="train2017", images=elsewhere).fingerprint() == dataset.fingerprint()


@pytest.mark.parametrize("name", ["train2017.zip", "photos.zip", "photos.tar"])
def test_a_zip_of_pictures_beside_a_json(name, coco, tmp_path):
    shutil.copy(coco / "annotations" / "instances.json", tmp_path / "instances_train2017.json")
    packed(coco / "images", tmp_path / name, "some/folder/")
    (tmp_path / "broken.zip").write_bytes(b"nothing")
    dataset = opened(tmp_path / "instances_train2017.json")
    assert [len(read_picture(e)) for e in dataset.entries] == [e.size for e in dataset.entries]
    assert len(dataset.entries) == 8
    assert dataset.remarks == ()


def test_a_folder_of_pictures_goes_before_an_archive(coco, tmp_path):
    shutil.copytree(coco, tmp_path / "set")
    packed(coco / "images", tmp_path / "set" / "annotations" / "a.zip")
    assert all(e.picture.path.endswith(".jpg") for e in opened(tmp_path / "set").entries)


def test_files_in_a_zip_that_do_not_agree_are_refused_by_name(tmp_path):
    images = [{"id": 1, "file_name": "a.jpg"}]
    documents = {n: {"images": images, "annotations": [], "categories": [{"id": 1, "name": n}]} for n in ("cat", "dog")}
    path = write_zip(tmp_path / "x.zip", {f"{n}.json": json.dumps(d).encode() for n, d in documents.items()})
    assert said(path).startswith("x.zip!dog.json: category 1 is 'dog' here and 'cat' in cat.json; ")


@pytest.mark.parametrize("archive", FORMS)
def test_panoptic_pngs_in_an_archive(archive, tmp_path):
    segments = [{"id": 7, "category_id": 1, "bbox": [0, 0, 4, 4], "area": 16, "iscrowd": 0}]
    document = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 20, "height": 10} for i in (1, 2)],
        "annotations": [{"image_id": i, "file_name": f"{i}.png", "segments_info": segments} for i in (1, 2)],
        "categories": [{"id": 1, "name": "cat"}],
    }
    folder = tmp_path / "set"
    write_json(folder / "panoptic.json", document)
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:4, :4, 0] = 7
    (folder / "panoptic").mkdir()
    Image.fromarray(pixels).save(folder / "panoptic" / "1.png")
    for i in (1, 2):
        write_picture(folder / "images" / f"{i}.jpg")
    one, other = opened(folder), opened(packed(folder, tmp_path / f"x.{archive}"))
    assert one.fingerprint() == other.fingerprint()
    first, second = read_all(other)
    assert first.panoptic.sum() == 7 * 16
    assert second.panoptic is None
    assert second.notes == ("panoptic-missing",)


# --- what is said ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("archive", FORMS)
def test_rows_of_rejects_name_archive_and_member(archive, tmp_path):
    root = write_voc(tmp_path / "set", {"a": voc_xml(object_xml()), "b": "<annotation>", "c": voc_xml(object_xml())})
    (root / "JPEGImages" / "c.jpg").write_bytes(b"no picture")
    path = packed(root, tmp_path / f"x.{archive}", "VOC2012/")
    run(path, tmp_path / "out", max_rejects="100%")
    rows = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert [(r["source"], r["file"], r["error"]) for r in rows] == [
        ("b.jpg", f"x.{archive}!VOC2012/Annotations/b.xml", "bad-xml"),
        ("c.jpg", f"x.{archive}!VOC2012/JPEGImages/c.jpg", "unsupported"),
    ]
    assert rows[0]["line"] == 1


def test_inspect_finds_the_line_of_an_object_in_an_archive(tmp_path):
    text = voc_xml(object_xml(), "\n\n" + object_xml(box=("NaN", 1, 90, 8)))
    path = packed(write_voc(tmp_path / "set", {"a": text}), tmp_path / "x.zip")
    result = command(*["inspect", str(path), "--json"])
    odd = json.loads(result.stdout)["oddities"]
    found = [(e.get("file"), e["line"]) for o in odd.values() for e in o["examples"] if "line" in e]
    assert set(found) == {("x.zip!Annotations/a.xml", 3)}


def test_plan_preview_and_inspect_take_archives(voc, tmp_path):
    path = packed(voc, tmp_path / "voc.zip", "x/")
    for arguments in (
        ["plan", str(path), "-r", "detection", "--limit", "1"],
        ["preview", str(path), "-r", "detection", "-o", str(tmp_path / "sheet.png"), "--limit", "1"],
        ["inspect", str(path), "--split", "first"],
        ["inspect", "--diff", str(path), str(voc)],
    ):
        result = command(*arguments)
        assert result.exit_code == 0, result.output


# --- convert ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("archive", FORMS)
def test_convert_copies_pictures_out_of_archives_and_cannot_link_to_them(archive, voc, tmp_path):
    path = packed(voc, tmp_path / f"x.{archive}", "VOCdevkit/VOC2012/")
    done("voc-to-coco", path, tmp_path / "out")
    assert coco_boxes(tmp_path / "out" / "annotations") == voc_boxes(voc)
    for copy in (tmp_path / "out" / "images").iterdir():
        assert copy.read_bytes() == (voc / "JPEGImages" / copy.name).read_bytes()
    for way in ("link", "reference"):
        told = refused("voc-to-coco", path, tmp_path / way, "--pictures", way)
        assert "in an archive or on a server cannot be linked to or named; leave --pictures copy" in told
        assert not (tmp_path / way).exists()
    code, out, err = call("voc-to-coco", path, tmp_path / "out.json")
    assert code == 0
    assert "give a folder as DST to copy them" in out + err
