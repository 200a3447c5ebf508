"""docs/reading.md is true: its tests exist, its codes and notes are those of the code, its commands run.

The rules for pixels are proved here as a user meets them: a file goes into a run, and Pillow reads what came out.
"""

from __future__ import annotations

import ast
import io
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from annotated import EXAMPLES
from builders import coco, encoded, exif, image, photo, row, voc_xml, write_json, write_tar, write_voc
from command_line import call
from conversions import dota_of, yolo_of
from packing import packed, write_zip
from PIL import Image, ImageCms
from places import ROOT
from runs import recipe_of, records, run, samples

from augpipe.pixels.codec.image import PictureFormat
from augpipe.pixels.codec.stored_kind import NOTES

PAGE = (ROOT / "docs" / "reading.md").read_text("utf-8")
BOX = "0 .5 .5 .2 .2\n"
SOURCES = sorted(p for p in (ROOT / "augpipe").rglob("*.py") if p.parent.name != "replay")  # its rejects are no rows

# --- the page and the code -------------------------------------------------------------------------------------------


def test_every_test_that_is_named_exists():
    named = re.findall(r"`tests/([\w/]+)\.py::(\w+)`", PAGE)
    assert len(named) > 60
    for file, name in named:
        text = (ROOT / "tests" / f"{file}.py").read_text("utf-8")
        assert re.search(rf"^def {name}\(", text, re.MULTILINE), f"tests/{file}.py::{name}"


def test_every_rule_names_a_test():
    rules = PAGE.partition("## Odd pictures")[2].partition("## Reject codes")[0].splitlines()
    rules = [line for line in rules if line.startswith("|") and not line.startswith(("| found |", "|---"))]
    assert len(rules) > 60
    for line in rules:
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        assert len(cells) == 4, line
        assert re.fullmatch(r"`tests/[\w/]+\.py::\w+`", cells[3]), line


def table_of_codes() -> dict[str, set[str]]:
    """Code → stages, as the page lists them."""
    rows = PAGE.partition("## Reject codes")[2].splitlines()
    found = (re.match(r"\| `([a-z-]+)` \| ([a-z, ]+) \|", line) for line in rows)
    return {m[1]: set(m[2].split(", ")) for m in found if m}


def calls(name: str) -> Iterator[tuple[ast.Call, ast.AST]]:
    """Every call of a function in the package, with the function that it stands in."""
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        for around in ast.walk(tree):
            if isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for node in ast.walk(around):
                    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                        yield node, around


def texts(value: ast.expr, around: ast.AST) -> set[str]:
    """The texts that an expression may be: constants, also behind a condition or a variable of the function."""
    if isinstance(value, ast.Name):
        assigned = [
            node.value
            for node in ast.walk(around)
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == value.id for t in node.targets)
        ]
        return set().union(*(texts(v, around) for v in assigned)) if assigned else set()
    if isinstance(value, ast.IfExp):
        return texts(value.body, around) | texts(value.orelse, around)
    return {value.value} if isinstance(value, ast.Constant) else set()


def codes_in_the_code() -> dict[str, set[str]]:
    """Code → stages, of every reject that the package makes."""
    found: dict[str, set[str]] = {}
    for call_, around in calls("Reject"):
        for code in texts(call_.args[1], around):
            found.setdefault(code, set()).update(texts(call_.args[0], around))
    for call_, around in calls("bad_labels"):
        for code in texts(call_.args[0], around):
            found.setdefault(code, set()).add("labels")
    for name in ("fault", "or_reject"):
        for call_, around in calls(name):
            for code in ("fault", "io", "memory"):
                found.setdefault(code, set()).update(texts(call_.args[0], around))
    return found


def test_the_reject_codes_are_those_of_the_code():
    found = codes_in_the_code()
    assert found["truncated"] == {"read", "decode"}  # behind a variable and a condition, so the search works
    assert table_of_codes() == found


def test_codes_in_the_tables_are_rejects_of_the_list():
    named = {code for said in re.findall(r"\| reject ([^|]+) \|", PAGE) for code in re.findall(r"`([a-z-]+)`", said)}
    assert len(named) >= 10
    assert named <= table_of_codes().keys()


def test_the_notes_are_those_of_the_code():
    """Notes are the texts that the readers and align put into a set alone or hand to a function for notes; and those
    of pixels."""
    found = set(NOTES)
    readers = (
        "voc/read",
        "coco/read",
        "coco/fields",
        "yolo/read",
        "dota/read",
        "labelme/read",
        "csv/read",
        "kitti/read",
        "cvat/read",
        "via/read",
        "visdrone/read",
        "wrappers/sizes",
    )
    for name in ("labels/normalize", *(f"formats/{reader}" for reader in readers)):
        for node in ast.walk(ast.parse((ROOT / "augpipe" / f"{name}.py").read_text("utf-8"))):
            inside: list[ast.expr] = []
            if isinstance(node, ast.Set):
                plain = [element for element in node.elts if not isinstance(element, ast.Starred)]
                inside = plain if len(plain) == 1 else []
            elif isinstance(node, ast.Call):
                function = ast.unparse(node.func)
                inside = node.args if function.endswith(("notes.add", "_noted")) else []
            values = [v.value for v in inside if isinstance(v, ast.Constant) and isinstance(v.value, str)]
            found.update(v for v in values if re.fullmatch(r"[a-z]+(-[a-z]+)*", v))
    named = set(re.findall(r"\| note `([a-z-]+)` \|", PAGE))
    found -= {"parts"}  # a field, not a note
    assert named == found


def test_every_option_that_is_named_exists():
    text = "".join(call(command, "--help").output for command in ("augment", "inspect"))
    for option in set(re.findall(r"`(--[a-z-]+)", PAGE)):
        assert option in text, option


# --- its commands ----------------------------------------------------------------------------------------------------


@pytest.fixture
def workplace(tmp_path, voc, coco, masks_folder, classes_folder, monkeypatch):
    """A folder with the sources that the page's commands name, as the current one."""
    data = tmp_path / "data"
    datasets.make_voc(data / "voc", lists=("train", "val"))
    for name, source in (("coco", coco), ("masks", masks_folder), ("classes", classes_folder)):
        shutil.copytree(source, data / name)
    shutil.copytree(voc, data / "both")
    yolo_of(data / "yolo", "train: images/train\nval: images/val\nnames: [cat]\n", train__a=BOX, val__b=BOX)
    dota_of(data / "dota", P0001="1 1 9 1 9 9 1 9 plane 0\n")
    for name, make in EXAMPLES.items():
        make(data / name)
    shutil.copy(coco / "annotations" / "instances.json", data / "both")
    for split in ("train", "val"):
        write_json(data / "splits" / f"instances_{split}.json", small_coco(f"{split}.jpg"))
    (data / "apart").mkdir()
    shutil.copy(coco / "annotations" / "instances.json", data / "apart" / "x.json")
    shutil.copytree(classes_folder / datasets.NAMES[0], data / "single" / "cat")
    packed(voc, data / "voc.tar", "VOCdevkit/VOC2012/")
    packed(coco, data / "coco.zip")
    packed(coco / "images", data / "zipped" / "pictures.zip", "train/")
    shutil.copy(coco / "annotations" / "instances.json", data / "zipped" / "x.json")
    write_zip(data / "annotations.zip", {"x.json": (coco / "annotations" / "instances.json").read_bytes()})
    jpeg = encoded(photo((20, 10)))
    for i in range(2):
        write_tar(data / "tars" / f"x-{i:03d}.tar", [(f"{i}.jpg", jpeg), (f"{i}.cls", b"1")])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def small_coco(file_name: str) -> dict[str, Any]:
    return coco([image(file_name=file_name)], [row()])


def commands() -> list[str]:
    """Commands in the text: between backticks, or lines of code."""
    return list(dict.fromkeys(re.findall(r"(?:`|^    )(augpipe [^`\n]+)", PAGE, re.MULTILINE)))


def test_every_form_has_a_command():
    shown = " ".join(commands())
    assert all(f"data/{name}" in shown for name in ("voc", "coco", "yolo", "dota", "tars", "masks", "classes"))


@pytest.mark.parametrize("line", commands())
def test_the_commands_run(line, workplace):
    before = {p: p.read_bytes() for p in workplace.rglob("*") if p.is_file()}
    result = call(*shlex.split(line)[1:])
    assert result.exit_code == 0, result.output
    if "splits" not in line:
        assert "missing-picture" not in result.output
    assert {p: p.read_bytes() for p in workplace.rglob("*") if p.is_file()} == before


def test_the_sketches_are_what_the_page_says_of_them(workplace):
    """Each form is found by looking, and two that fit are an error that names both."""
    forms = {name: name for name in ("voc", "coco", "yolo", "dota", "masks")} | {
        "tars": "shards",
        "classes": "imagefolder",
    }
    for name, form in forms.items():
        assert json.loads(call("inspect", f"data/{name}", "--json").stdout)["format"] == form
    refused = call("inspect", "data/both")
    assert refused.exit_code == 2
    assert "can be read as voc or as coco; choose with --from" in refused.output


# --- the rules for pixels --------------------------------------------------------------------------------------------

STILL = recipe_of("version: 1\nsteps:\n- horizontal_flip: {p: 0}\n")
PNG = PictureFormat("png", subsampling="none")


def outcome(folder: Path, data: bytes, name: str = "a.jpg", **options: Any) -> Image.Image | tuple[str, str]:
    """What a run makes of one picture file: the picture that it writes, or (stage, code) of the reject."""
    (folder / "set" / "class").mkdir(parents=True)
    (folder / "set" / "class" / name).write_bytes(data)
    options = {"copies": 1, "picture": PNG, "format": "imagefolder", **options}
    run(folder / "set", folder / "out", STILL, **options)
    rows = [json.loads(line) for line in (folder / "out" / "rejects.jsonl").read_text().splitlines()]
    found = [files["png"] for files in samples(folder / "out").values()]
    assert len(rows) + len(found) == 1
    return (rows[0]["stage"], rows[0]["error"]) if rows else Image.open(io.BytesIO(found[0]))


def pixels(found: Image.Image | tuple[str, str]) -> np.ndarray:
    assert isinstance(found, Image.Image), found
    return np.asarray(found)


def near(one: np.ndarray, other: np.ndarray, most: int) -> bool:
    return one.shape == other.shape and int(np.abs(one.astype(int) - other.astype(int)).max()) <= most


PHOTO = photo((40, 24))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_picture_becomes_upright(tmp_path, orientation):
    turns = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
             5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
             8: Image.Transpose.ROTATE_90}  # fmt: skip
    found = outcome(tmp_path, encoded(PHOTO, "PNG", exif=exif(orientation)), "a.png")
    assert np.array_equal(pixels(found), np.asarray(Image.fromarray(PHOTO).transpose(turns[orientation])))
    assert not found.getexif()
    (record,) = records(tmp_path / "out").values()
    assert record["source"]["orientation"] == orientation
    assert (record["source"]["width"], record["source"]["height"]) == found.size


@pytest.mark.parametrize("block", [exif(0), exif(9), exif(65535), b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0no EXIF"])
def test_an_orientation_that_is_none(tmp_path, block):
    found = outcome(tmp_path, encoded(PHOTO, "PNG", exif=block), "a.png")
    assert np.array_equal(pixels(found), PHOTO)
    assert next(iter(records(tmp_path / "out").values()))["source"]["orientation"] == 1


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF", "PPM"])
def test_the_content_tells_the_format(tmp_path, form):
    gray = np.full((6, 8), 90, np.uint8)
    assert (pixels(outcome(tmp_path, encoded(gray, form), "a.jpg")).reshape(48, -1) == 90).all()


def test_sixteen_bits_become_eight(tmp_path):
    values = np.array([[0, 128, 129, 257], [257 * 77, 257 * 77 + 128, 257 * 77 + 129, 65535]], np.uint16)
    found = outcome(tmp_path, encoded(values, "PNG"), "a.png")
    assert found.mode == "L"
    assert pixels(found).tolist() == [[0, 0, 1, 1], [77, 77, 78, 255]]


def test_alpha_is_dropped(tmp_path):
    alpha = np.zeros(PHOTO.shape[:2], np.uint8)
    found = outcome(tmp_path, encoded(np.dstack([PHOTO, alpha]), "PNG"), "a.png")
    assert found.mode == "RGB"
    assert np.array_equal(pixels(found), PHOTO)


def test_a_palette_becomes_colors(tmp_path):
    image_ = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    image_.putpalette([255, 0, 0, 10, 200, 30, 1, 2, 3])
    assert image_.mode == "P"
    found = pixels(outcome(tmp_path, encoded(image_, "PNG"), "a.png"))
    assert found.tolist() == [[[255, 0, 0], [10, 200, 30]], [[1, 2, 3], [10, 200, 30]]]


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_gray_stays_gray(tmp_path, mode):
    found = outcome(tmp_path, encoded(Image.fromarray(PHOTO).convert(mode), "PNG"), "a.png")
    assert found.mode == "L"
    assert np.array_equal(pixels(found), np.asarray(Image.fromarray(PHOTO).convert(mode).convert("L")))


def test_cmyk_becomes_rgb(tmp_path):
    """Pillow writes Adobe's inverted inks in JPEG, and plain ones in TIFF."""
    inks = Image.fromarray(PHOTO).convert("CMYK")
    assert b"Adobe" in encoded(inks, "JPEG")
    assert near(pixels(outcome(tmp_path / "a", encoded(inks, "JPEG", quality=98, subsampling=0))), PHOTO, 10)
    assert near(pixels(outcome(tmp_path / "b", encoded(inks, "TIFF"), "a.tif")), PHOTO, 1)


def test_a_color_profile_is_dropped(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    found = outcome(tmp_path, encoded(PHOTO, "PNG", icc_profile=profile), "a.png")
    assert np.array_equal(pixels(found), PHOTO)
    assert "icc_profile" not in found.info


@pytest.mark.parametrize(("form", "most"), [("GIF", 0), ("PNG", 0), ("WEBP", 0), ("TIFF", 0)])
def test_the_first_of_several_pictures_is_taken(tmp_path, form, most):
    first, second = (Image.new("RGB", (30, 20), color) for color in ((255, 0, 0), (0, 0, 255)))
    options = {"lossless": True} if form == "WEBP" else {}
    data = encoded(first, form, save_all=True, append_images=[second], **options)
    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert near(pixels(outcome(tmp_path, data)), np.asarray(first), most)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_a_picture_that_is_cut_short(tmp_path, form):
    data = encoded(photo((200, 160)), form)
    data = data[: len(data) // 2]
    assert outcome(tmp_path / "a", data) == ("decode", "truncated")
    kept = outcome(tmp_path / "b", data, truncated="keep")
    if form in ("JPEG", "PNG", "BMP"):
        assert pixels(kept).shape == (160, 200, 3)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty-file"),
        (b"just some words in a file", "unsupported"),
        (b"%PDF-1.7\n%...", "unsupported"),
        (b"\0\0\0\x20ftypheic\0\0\0\0mif1heic" + bytes(40), "unsupported"),
        (encoded(Image.new("F", (4, 4)), "TIFF"), "unsupported"),
        (encoded(Image.new("I", (4, 4)), "TIFF"), "unsupported"),
        (encoded(Image.new("1", (8001, 8000)), "PNG"), "too-large"),
    ],
    ids=["empty", "text", "PDF", "HEIC", "floats", "integers", "large"],
)
def test_pictures_that_are_rejected(tmp_path, data, code):
    assert outcome(tmp_path, data) == ("decode", code)


# --- rules for labels that have no other test ------------------------------------------------------------------------


def test_pictures_without_objects_are_kept(tmp_path):
    write_voc(tmp_path / "set", {"a": voc_xml()})
    run(tmp_path / "set", tmp_path / "out", STILL)
    (record,) = records(tmp_path / "out").values()
    assert (record["objects"], record["dropped"]) == ([], [])
    assert re.search(r"^  without-labels +1  picture ", call("inspect", str(tmp_path / "set")).output, re.MULTILINE)


def test_what_coco_says_of_an_object_and_what_is_measured(tmp_path):
    keypoints = {"id": 1, "name": "cat", "keypoints": ["nose", "tail"]}
    free = {"score": 0.5, "note": None, "more": {"a": None, "b": 1}}
    wrong = row(area=0, num_keypoints=99, keypoints=[3, 2, 2, 0, 0, 0], segmentation=[[2, 1, 7, 1, 7, 5, 2, 5]], **free)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.jpg").write_bytes(encoded(photo((20, 10))))
    write_json(tmp_path / "set" / "x.json", coco(rows=[wrong], categories=[keypoints]))
    run(tmp_path / "set", tmp_path / "out", STILL)
    (record,) = records(tmp_path / "out").values()
    (thing,) = record["objects"]
    assert (thing["area"], thing["num_keypoints"]) == (20, 1)
    assert thing["attributes"] == {"score": 0.5, "more": {"b": 1}}
