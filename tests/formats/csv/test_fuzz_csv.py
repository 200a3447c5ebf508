"""CSVs that are almost right, or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from builders import encoded, photo
from fuzzing import ODD_NUMBERS, ODD_TEXTS, damaged, fuzzed, only_our_errors, turn, use
from hypothesis import given
from hypothesis import strategies as st

FILES = (
    b"image_id,x,y,w,h,label\na.jpg,1,2,8,7,b\na.jpg,1,2,8,7,c\n",
    b"ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf,Source\na,b,0.1,0.5,0.2,0.6,1,x\n",
    b"a.jpg,1,2,8,7,b\na.jpg,,,,,\n",
    b'filename;width;height;class;xmin;ymin;xmax;ymax;note\r\na.jpg;20;10;b;1,5;2;8;7;"x\r\ny"\r\n',
    b'image,width,height,bbox,label\na,20,10,"[1, 2, 3, 4]",b\n',
)
words = st.sampled_from(tuple(map(str, (*ODD_NUMBERS, *ODD_TEXTS, "a.jpg", '"', "1", "2,3"))))
rows = st.lists(st.lists(words, max_size=8).map(",".join), max_size=5).map(
    lambda r: ("image,x,y,w,h,label\n" + "\n".join(r)).encode("utf-8", "replace")
)


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.jpg").write_bytes(encoded(photo((20, 10))))
        yield Path(folder)


@pytest.mark.parametrize("data", FILES)
def test_the_files_that_are_changed_are_read(place, data):
    (place / "x.csv").write_bytes(data)
    assert use(place) == ["read"]


@given(data=damaged(FILES) | rows)
@fuzzed(300)
def test_files_of_which_bytes_are_changed(place, data: bytes):
    (place / "x.csv").write_bytes(data)
    only_our_errors(lambda: use(place, format="csv"))


@given(data=damaged(FILES) | rows)
@fuzzed(30)
def test_conversions(place, data: bytes):
    (place / "x.csv").write_bytes(data)
    for after in ("coco", "voc", "dota", "yolo"):
        with tempfile.TemporaryDirectory() as folder:
            only_our_errors(lambda after=after, folder=folder: turn(place, Path(folder) / "sub" / after, "csv", after))
