"""The tables of formats agree with each other, and everything that names formats is made from them."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
from command_line import call
from places import DOCS

from augpipe.core.annotations import Annotations, Category, ObjectAttributes, ObjectPart, ObjectRow, Rings, objects_of
from augpipe.formats import catalogue
from augpipe.formats.base import Dataset, Entry, SourceOptions
from augpipe.formats.catalogue import FORMATS, pairs, register, targets
from augpipe.formats.format import LABELS, NO, Format, Target
from augpipe.formats.writer import Picture, Stage, WriteOptions
from augpipe.formats.yolo.data_yaml import KINDS
from augpipe.labels.rle import rle_of

PAGE = DOCS / "convert.md"


@pytest.mark.parametrize("name", list(FORMATS))
def test_the_modules_that_a_format_names_have_what_is_called(name):
    reader = import_module(FORMATS[name].reader)
    assert callable(reader.detect)
    assert callable(reader.open_source)
    if name in targets():
        assert callable(import_module(targets()[name].writer).open_writer)
        assert targets()[name].pictures in targets()[name].folders


def test_the_kinds_of_yolo_are_those_that_it_reads():
    assert FORMATS["yolo"].kinds == KINDS


def test_a_name_is_given_once_and_only_labels_that_are_known_are_held():
    with pytest.raises(ValueError, match="'voc' already"):
        register(FORMATS["voc"])
    target = Target("w", ("images",), "images", holds={"boxes": "yes", "boxen": "yes"})
    with pytest.raises(ValueError, match="holds boxen"):
        register(Format("new", "new", "r", target=target))
    assert "new" not in FORMATS


def test_a_pair_is_a_source_and_another_target():
    for pair in pairs():
        before, _, after = pair.partition("-to-")
        assert before != after
        assert (FORMATS[before].source and after in targets()) or after == "shards"
    assert len(pairs()) == len(set(pairs()))


def test_help_and_errors_name_the_pairs(tmp_path):
    text = " ".join(call("convert", "--help").output.replace("│", " ").split())
    assert all(pair in text for pair in pairs())
    result = call("convert", "voc-to-nothing", tmp_path, tmp_path / "x")
    sources = ", ".join(f.name for f in FORMATS.values() if f.source)
    assert f"known are A-to-B, A of {sources}, B another of {', '.join(targets())}" in " ".join(result.stderr.split())


@pytest.mark.parametrize("option", ["--help", "convert --help"])
def test_help_needs_nothing_heavy(option):
    code = (
        "import sys\nfrom augpipe.cli.main import app\n"
        f"try:\n    app({option.split()})\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('numpy', 'cv2', 'torch', 'yaml') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


# --- the tables of docs/convert.md ------------------------------------------------------------------------------------


def test_the_tables_of_the_page_are_those_of_the_code():
    """To make them anew: python -m augpipe.formats.catalogue docs/convert.md"""
    text = PAGE.read_text("utf-8")
    assert catalogue.updated(text) == text
    for made in catalogue.BLOCKS.values():
        assert made() in text
    for pair in pairs():
        assert f"`{pair}`" in catalogue.pairs_markdown()


SQUARE = np.array([[4.0, 4], [12, 4], [12, 12], [4, 12]])
OF = {
    "boxes": {},
    "polygons": {"segmentation": Rings((SQUARE,))},
    "masks": {"segmentation": rle_of(np.ones((8, 8), np.uint8), (4, 4), (40, 30))},
    "crowds": {"iscrowd": 1},
    "keypoints": {"keypoints": np.array([[5.0, 5, 2]])},
    "oriented boxes": {"obb": SQUARE},
    "flags and pose": {"facts": ObjectAttributes(difficult=1)},
    "parts": {"parts": (ObjectPart("head", (4, 4, 8, 8)),)},
    "ids": {"facts": ObjectAttributes(id=7)},
    "fields of its own": {"facts": ObjectAttributes(attributes={"colour": "red"})},
    "semantic masks": {},
    "panoptic masks": {},
    "captions and tags": {},
}


@pytest.mark.parametrize("label", [label for label in LABELS if label in OF])
@pytest.mark.parametrize("target", list(targets()))
def test_what_a_format_has_no_place_for_is_a_loss_and_the_rest_is_none(target, label, tmp_path):
    category = Category(1, 1, "cat", keypoints=("nose",) if label == "keypoints" else ())
    rows = [ObjectRow(0, 1, (4, 4, 12, 12), **OF[label])]
    more = {
        "semantic masks": {"semantic": np.zeros((30, 40), np.uint8)},
        "panoptic masks": {"panoptic": np.zeros((30, 40), np.uint32), "segments_info": ({"id": 1, "category_id": 1},)},
        "captions and tags": {"captions": ("a cat",)},
    }.get(label, {})
    annotations = Annotations(objects=objects_of(rows), size_wh=(40, 30), **more)
    dataset = Dataset(
        "voc", tmp_path, (category,), (Entry("a.jpg", None, None, "a"),), Fixed(annotations), SourceOptions()
    )
    (tmp_path / "stage").mkdir()
    writer = targets()[target].open(dataset, Stage(tmp_path / "stage", tmp_path), WriteOptions())
    made = writer.encoder.make(Picture("a.jpg", annotations, None, (40, 30)))
    writer.take(writer.encoder.pack([made.rest]))
    writer.close()
    lost = {loss.what for loss in made.losses} - {"boxes that are not oriented, written as oriented ones"}
    held = targets()[target].holds.get(label, NO)
    assert bool(lost) == (held in (NO, "`imagesource`, `gsd`", "by their outline", "as pixels")), (held, lost)


class Fixed:
    def __init__(self, annotations):
        self._annotations = annotations

    def annotations(self, entry):
        return self._annotations
