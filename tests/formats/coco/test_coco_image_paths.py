"""Where the pictures of a JSON are; the layouts themselves are tried in test_coco_index.py."""

from __future__ import annotations

import unicodedata

import pytest
from builders import write_picture

from augpipe.formats.base import SourceOptions
from augpipe.formats.coco.image_paths import finder, picture_root


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_picture_under_either_form_of_its_name(tmp_path, form):
    name = unicodedata.normalize(form, "café.jpg")
    write_picture(tmp_path / name)
    place, size = finder(tmp_path)(unicodedata.normalize("NFC", "café.jpg"))
    assert (place.path, size) == (str(tmp_path / name), (tmp_path / name).stat().st_size)


def test_only_files_are_pictures(tmp_path):
    (tmp_path / "a.jpg").mkdir()
    assert finder(tmp_path)("a.jpg") is None
    assert finder(tmp_path)("b.jpg") is None
    assert finder(tmp_path)("x" * 300) is None


def test_without_any_picture_the_jsons_own_folder_is_the_root(tmp_path):
    assert picture_root(tmp_path / "x.json", ["a.jpg"], SourceOptions()) == tmp_path
    assert picture_root(tmp_path / "x.json", [], SourceOptions()) == tmp_path


def test_a_sample_of_the_pictures_decides(tmp_path):
    names = [f"{i:04d}.jpg" for i in range(500)]
    for name in names[::10]:
        write_picture(tmp_path / "images" / name)
    assert picture_root(tmp_path / "annotations" / "x.json", names, SourceOptions()) == tmp_path / "images"
