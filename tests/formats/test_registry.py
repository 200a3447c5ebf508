"""What a file or folder is taken for, and what is said where it is nothing, two things, or not what was asked for."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest
from annotated import EXAMPLES
from command_line import call
from conversions import yolo_of
from packing import packed
from places import SHARED

from augpipe.core.errors import DatasetError
from augpipe.formats.base import SourceOptions, read_picture
from augpipe.formats.registry import FORMATS, open_dataset, recognised

XML = "<annotation><object><name>cat</name></object></annotation>"
JSON = json.dumps({"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []})
ASSETS = SHARED / "datumaro_tests" / "tests" / "assets"


def make(folder: Path, **files: str) -> Path:
    """Files by path; ``__`` is a slash, ``_dot_`` a dot."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def said(source: Path, options: SourceOptions | None = None) -> str:
    with pytest.raises(DatasetError) as caught:
        open_dataset(str(source), options)
    message = str(caught.value)
    assert len(message.splitlines()) <= 2
    return message


def test_each_kind_is_recognised_as_itself(voc, coco, masks_folder, classes_folder, tmp_path):
    (tmp_path / "tars").mkdir()
    with tarfile.open(tmp_path / "tars" / "x-000000.tar", "w") as tar:
        tar.add(voc / "JPEGImages" / "img_000.jpg", "img_000.jpg")
        tar.add(voc / "Annotations" / "img_000.xml", "img_000.xml")
    tars = tmp_path / "tars"
    yolo = yolo_of(tmp_path / "yolo", a="0 0.5 0.5 0.5 0.5")
    bare = yolo_of(tmp_path / "bare", None, a="0 0.5 0.5 0.5 0.5")
    (bare / "classes.txt").write_text("cat")
    dota = make(tmp_path / "dota", labelTxt__1_dot_txt="0 0 1 0 1 1 0 1 plane 0", images__1_dot_png="")
    made = {name: make_it(tmp_path / name) for name, make_it in EXAMPLES.items()}
    sources = {
        "voc": [voc, voc / "Annotations", voc.parent],
        "coco": [coco, coco / "annotations", coco / "annotations" / "instances.json"],
        "yolo": [yolo, yolo / "data.yaml", bare],
        "dota": [dota],
        **{name: [folder] for name, folder in made.items()},
        "shards": [tars, tars / "x-000000.tar", tars / "x-{000000..000000}.tar"],
        "masks": [masks_folder],
        "imagefolder": [classes_folder],
        "pictures": [voc / "JPEGImages", voc / "JPEGImages" / "img_000.jpg"],
    }
    assert list(sources) == list(FORMATS)
    for name, paths in sources.items():
        for path in paths:
            assert recognised(str(path)) == [name], path
            assert open_dataset(str(path)).format == name


def test_a_table_beside_a_dataset_does_not_hide_it(voc, classes_folder, tmp_path):
    table = "filename,xmin,ymin,xmax,ymax,class\na.jpg,1,2,3,4,cat\n"
    for name, source in (("voc", voc), ("csv", classes_folder)):
        shutil.copytree(source, tmp_path / name)
        make(tmp_path / name, data__labels_dot_csv=table)
        assert recognised(str(tmp_path / name)) == [name]


def test_a_run_of_augpipe_is_shards_and_not_coco(voc, tmp_path):
    from runs import records

    out = tmp_path / "out"
    result = call(*["augment", str(voc), str(out), "-r", "gentle", "-w", "0"])
    assert result.exit_code == 0
    assert recognised(str(out)) == ["shards"]
    assert len(open_dataset(str(out)).entries) == len(records(out))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a__Annotations__1_dot_xml": XML, "a__JPEGImages__1_dot_jpg": ""}, ["voc"]),
        ({"annotations__1_dot_xml": XML, "images__1_dot_jpg": ""}, ["voc"]),
        ({"1_dot_xml": XML, "1_dot_jpg": ""}, ["voc"]),
        ({"train__1_dot_xml": XML, "val__2_dot_xml": XML}, ["voc"]),
        ({"Annotations__1_dot_xml": "<doc/>", "JPEGImages__1_dot_jpg": ""}, []),
        ({"annotations__1_dot_json": JSON, "images__a_dot_jpg": ""}, ["coco"]),
        ({"train__x_dot_json": JSON, "train__a_dot_jpg": ""}, ["coco"]),
        ({"notes_dot_json": '{"a": 1}', "settings_dot_json": "[]"}, []),
        ({"cat__1_dot_jpg": "", "dog__2_dot_jpg": ""}, ["imagefolder"]),
        ({"1_dot_jpg": ""}, ["pictures"]),
        ({"data_dot_yaml": "names: [a]\ntrain: images", "images__1_dot_jpg": ""}, ["yolo"]),
        ({"coco8_dot_yaml": "nc: 1\nval: images", "images__1_dot_jpg": ""}, ["yolo"]),
        ({"recipe_dot_yaml": "version: 1\nsteps: []", "1_dot_jpg": ""}, []),
        ({"images__1_dot_jpg": "", "labels__1_dot_txt": ""}, ["yolo"]),
        ({"train__images__1_dot_jpg": "", "train__labels__1_dot_txt": ""}, ["yolo"]),
        ({"obj_dot_names": "a", "obj_train_data__1_dot_jpg": "", "obj_train_data__1_dot_txt": ""}, ["yolo"]),
        ({"classes_dot_txt": "a", "1_dot_jpg": "", "1_dot_txt": ""}, ["yolo"]),
        ({"train__labelTxt__1_dot_txt": "", "train__images__1_dot_png": ""}, ["dota"]),
        ({"annfiles__1_dot_txt": "", "images__1_dot_png": ""}, ["dota"]),
        ({"classes_dot_txt": "a", "1_dot_jpg": "", "readme_dot_txt": ""}, []),
    ],
)
def test_what_a_folder_is_taken_for(files, expected, tmp_path):
    found = recognised(str(make(tmp_path / "set", **files)))
    assert found == expected


def test_two_readings_are_an_error_that_names_both(tmp_path):
    both = make(tmp_path / "set", Annotations__1_dot_xml=XML, annotations__1_dot_json=JSON)
    assert said(both).endswith("can be read as voc or as coco; choose with --from")
    assert open_dataset(str(both), SourceOptions("voc")).format == "voc"
    assert open_dataset(str(both), SourceOptions("coco")).format == "coco"


def test_a_format_that_is_asked_for_and_is_not_there(voc, coco, tmp_path):
    assert said(coco, SourceOptions("voc")).endswith("\nit can be read as coco")
    assert said(voc, SourceOptions("coco")).endswith("\nit can be read as voc")
    empty = make(tmp_path / "empty", readme_dot_txt="")
    assert "can be read as" not in said(empty, SourceOptions("coco"))
    assert said(voc, SourceOptions("coc")).startswith("unknown format 'coc'; known are voc, coco, yolo, dota, labelme")
    assert "it can be read as" not in said(voc, SourceOptions("voc", split="nope"))


@pytest.mark.parametrize(
    ("files", "advice"),
    [
        ({}, "the folder is empty"),
        ({"data_dot_zip": ""}, "there is an archive; name it as SRC, or unpack it first"),
        ({"data_dot_tar_dot_gz": ""}, "there is an archive; unpack it first"),
        ({"data_dot_yaml": "", "train__labels__1_dot_txt": ""}, "it looks like YOLO; expected a data.yaml with train"),
        ({"labels__1_dot_txt": "", "1_dot_jpg": ""}, "it looks like YOLO"),
        ({"1_dot_jpg": "", "1_dot_txt": "0 .5 .5 .1 .1"}, "look like YOLO; name its classes: --from yolo --classes"),
        ({"1_dot_xml": "<doc/>"}, "the XML files are not Pascal VOC"),
        ({"1_dot_jpg": "", "1_dot_npy": ""}, "there are pictures, but no labels that are known"),
    ],
)
def test_what_is_not_known_gets_advice(files, advice, tmp_path):
    (tmp_path / "set").mkdir()
    message = said(make(tmp_path / "set", **files))
    assert "no dataset that is known; expected Pascal VOC (Annotations/), COCO (.json)" in message
    assert advice in message.splitlines()[1]


def test_what_is_not_there(tmp_path):
    assert said(tmp_path / "missing").endswith("missing: no such file or folder")
    assert said(tmp_path / "missing.json", SourceOptions("coco")).endswith("no such file or folder")


def test_files_that_are_none(tmp_path):
    for name in ("a.txt", "a.xml"):
        (tmp_path / name).write_text("")
        assert "no dataset that is known" in said(tmp_path / name)


def test_a_json_that_is_asked_for_by_name_is_coco_or_says_why_not(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert recognised(str(tmp_path / "a.json")) == ["coco"]
    assert "not a COCO JSON" in said(tmp_path / "a.json")


def test_a_broken_set_beside_a_good_one_does_not_hide_it(voc, tmp_path):
    shutil.copytree(voc, tmp_path / "voc")
    (tmp_path / "voc" / "Annotations" / "000.xml").write_text("<broken")
    (tmp_path / "voc" / "package.json").write_text('{"name": "x"}')
    assert recognised(str(tmp_path / "voc")) == ["voc"]


@pytest.mark.skipif(not ASSETS.exists(), reason="the real data is not there")
def test_real_sets_are_what_their_folders_say():
    for folder in (ASSETS / "voc_dataset").iterdir():
        assert recognised(str(folder)) == ["voc"], folder
    for folder in (ASSETS / "coco_dataset").iterdir():
        assert recognised(str(folder)) == ["coco"], folder


@pytest.mark.parametrize("name", EXAMPLES)
def test_out_of_an_archive_it_is_the_same_whatever_folder_is_around_it(name, tmp_path):
    source = EXAMPLES[name](tmp_path / "set")
    plain = open_dataset(str(source))
    for ending in (".zip", ".tar"):
        for around in ("", "top/", "top/deeper/"):
            packed(source, tmp_path / f"x{ending}", around)
            archive = str(tmp_path / f"x{ending}")
            assert recognised(archive) == [name]
            found = open_dataset(archive)
            assert [entry.key for entry in found.entries] == [entry.key for entry in plain.entries]
            assert found.fingerprint() == plain.fingerprint()
            for one, other in zip(found.entries, plain.entries, strict=True):
                assert read_picture(one) == read_picture(other)
                labels, expected = found.reader.annotations(one), plain.reader.annotations(other)
                assert labels.objects.boxes_xyxy.tolist() == expected.objects.boxes_xyxy.tolist()
