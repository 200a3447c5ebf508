"""YOLO and DOTA that are almost right, or not at all: data.yaml, rows, lists."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from builders import encoded, photo
from fuzzing import ODD_NUMBERS, ODD_TEXTS, damaged, fuzzed, only_our_errors, turn, use
from hypothesis import given
from hypothesis import strategies as st

YAML = (
    b"path: .\ntrain: images\nval: images\ntest:\nnc: 2\nnames: {0: cat, 1: dog}\n",
    b"train: list.txt\nnames: [cat, dog]\nkpt_shape: [2, 3]\nflip_idx: [1, 0]\nkpt_names: {0: [a, b]}\ntask: pose\n",
    b"train:\n- images\n- ../images\nnames:\n- cat\n- 'dog'\ntask: segment\n",
)
ROWS = (
    b"0 .5 .5 .2 .2\n1 0.1 0.2 0.1 0.2\n",
    b"0 .1 .1 .5 .1 .5 .5\n1 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2\n",
    b"0 .5 .5 .2 .2 .1 .1 2 .2 .2 1\n",
)
words = st.sampled_from(tuple(map(str, (*ODD_NUMBERS, *ODD_TEXTS, "0", "1", ".5", ".2", "0.25"))))
rows = st.lists(st.lists(words, max_size=12).map(" ".join), max_size=5).map(
    lambda r: "\n".join(r).encode("utf-8", "replace")
)


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        for name in ("images", "labels", "labelTxt"):
            (root / name).mkdir(parents=True)
        (root / "images" / "a.jpg").write_bytes(encoded(photo((20, 10))))
        (root / "list.txt").write_text("images/a.jpg\n")
        yield root


def put(place: Path, yaml: bytes, label: bytes) -> None:
    (place / "data.yaml").write_bytes(yaml)
    (place / "labels" / "a.txt").write_bytes(label)


@pytest.mark.parametrize("number", range(3))
def test_the_files_that_are_changed_are_read(place, number):
    put(place, YAML[number], ROWS[0 if number == 0 else 2 if number == 1 else 1])
    assert use(place, format="yolo") == ["read"]


@given(yaml=damaged(YAML), label=damaged(ROWS) | rows)
@fuzzed(250)
def test_files_of_which_bytes_are_changed(place, yaml: bytes, label: bytes):
    put(place, yaml, label)
    only_our_errors(lambda: use(place, format="yolo"))


@given(label=damaged(ROWS) | rows, number=st.integers(0, 2), kind=st.sampled_from(("", ":detect", ":segment", ":obb")))
@fuzzed(200)
def test_rows_under_each_kind(place, label: bytes, number: int, kind: str):
    put(place, YAML[number], label)
    only_our_errors(lambda: use(place, format=f"yolo{kind}"))


@given(label=damaged(ROWS) | rows, number=st.integers(0, 2))
@fuzzed(40)
def test_conversions(place, label: bytes, number: int):
    put(place, YAML[number], label)
    for after in ("coco", "voc", "dota", "yolo"):
        with tempfile.TemporaryDirectory() as folder:
            only_our_errors(lambda after=after, folder=folder: turn(place, Path(folder) / "sub" / after, "yolo", after))
            assert {p.name for p in Path(folder).iterdir()} <= {"sub"}


@given(lines=damaged((b"images/a.jpg\n./images/a.jpg\n", b"../x.png\n/etc/a.jpg\n")))
@fuzzed(40)
def test_lists(place, lines: bytes):
    put(place, YAML[1], ROWS[2])
    (place / "list.txt").write_bytes(lines)
    only_our_errors(lambda: use(place, format="yolo"))
    (place / "list.txt").write_bytes(b"images/a.jpg\n")


DOTA = (
    b"imagesource:x\ngsd:0.1\n1 1 9 1 9 9 1 9 plane 0\n2.0 2 8 2 8 8 2 8 large-vehicle 2\n",
    b"1 1 9 1 9 9 1 9 plane\n",
)


@given(label=damaged(DOTA) | rows)
@fuzzed(150)
def test_dota(place, label: bytes):
    (place / "labelTxt" / "a.txt").write_bytes(label)
    only_our_errors(lambda: use(place, format="dota"))
    with tempfile.TemporaryDirectory() as folder:
        only_our_errors(lambda: turn(place, Path(folder) / "out", "dota", "yolo"))
