"""What the texts of options mean, and which are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from augpipe.core.errors import UsageError
from augpipe.windows.spec import ObjectWindows, Tiles, from_json, object_windows_of, tiles_of, to_json


@pytest.mark.parametrize(
    ("size", "overlap", "expected"),
    [
        ("1024", "0.2", Tiles((1024, 1024), (205, 205))),
        ("1024", ".25", Tiles((1024, 1024), (256, 256))),
        ("1280x720", "10%", Tiles((1280, 720), (128, 72))),
        ("1280,720", "0", Tiles((1280, 720), (0, 0))),
        ("1280×720", "200px", Tiles((1280, 720), (200, 200))),
        ("640", "200", Tiles((640, 640), (200, 200))),
        ("640", "1", Tiles((640, 640), (1, 1))),
        ("640", "1px", Tiles((640, 640), (1, 1))),
    ],
)
def test_sizes_and_overlaps(size: str, overlap: str, expected: Tiles) -> None:
    assert tiles_of(size, overlap) == expected


@pytest.mark.parametrize(
    ("text", "share"), [("10%", 0.1), ("0.1", 0.1), ("0", 0.0), ("100%", 1.0), ("1", 1.0), ("12.5%", 0.125)]
)
def test_shares_of_empty_tiles(text: str, share: float) -> None:
    assert tiles_of("64", "0", text).keep_empty == share


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (("", "0.2"), "--size : expected pixels such as 1024"),
        (("big", "0.2"), "--size big: expected pixels such as 1024"),
        (("10x", "0.2"), "--size 10x: expected"),
        (("-4", "0.2"), "--size -4: expected"),
        (("7", "0.2"), "--size 7: expected 8 to 32766"),
        (("40000", "0.2"), "--size 40000: expected 8 to 32766"),
        (("64", "100%"), "--overlap: 64 of 64 pixels"),
        (("64", "64"), "--overlap: 64 of 64 pixels"),
        (("1280x720", "800px"), "--overlap: 800 of 720 pixels"),
        (("64", "1.5"), "--overlap: 96 of 64 pixels"),
        (("64", "-0.2"), "--overlap -0.2: expected 0.2, 20% or 200px"),
        (("64", "1.5px"), "--overlap 1.5px: expected"),
        (("64", "nan"), "--overlap nan: expected"),
        (("64", "0.2", "10"), "--keep-empty 10: expected a share of 0% to 100%"),
        (("64", "0.2", "4px"), "--keep-empty 4px: expected a share"),
        (("64", "0.2", "101%"), "--keep-empty 101%: expected a share"),
    ],
)
def test_impossible_tiles_are_refused(values: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageError, match="^" + told.replace("(", r"\(").replace(".", r"\.")):
        tiles_of(*values)


@pytest.mark.parametrize(
    ("margin", "expected"),
    [
        ("0.1", ObjectWindows(0.1)),
        ("10%", ObjectWindows(0.1)),
        ("0", ObjectWindows(0.0)),
        ("1", ObjectWindows(1.0)),
        ("2.5", ObjectWindows(2.5)),
        ("16px", ObjectWindows(16.0, "pixels")),
    ],
)
def test_margins(margin: str, expected: ObjectWindows) -> None:
    assert object_windows_of(margin) == expected


@pytest.mark.parametrize("margin", ["", "x", "-1", "11", "1.5px", "1e3", "9" * 30])
def test_impossible_margins_are_refused(margin: str) -> None:
    with pytest.raises(UsageError, match=r"^--margin"):
        object_windows_of(margin)
    with pytest.raises(UsageError, match=r"^--min-side"):
        object_windows_of("0.1", min_side=-1.0)


@pytest.mark.parametrize(
    "spec", [Tiles((640, 480), (64, 48), 0.1, pad=True), ObjectWindows(0.1, square=True), ObjectWindows(16.0, "pixels")]
)
def test_windows_come_back_from_the_configuration(spec: Any) -> None:
    assert from_json(json.loads(json.dumps(to_json(spec)))) == spec


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"kind": "tiles"},
        {"kind": "strips", "size": [64, 64], "overlap": [0, 0]},
        {"kind": "tiles", "size": [64, 64], "overlap": [64, 0]},
        {"kind": "tiles", "size": [64, 64], "overlap": [0, 0], "keep_empty": 2},
        {"kind": "objects", "margin": -1},
        {"kind": "objects", "unit": "feet"},
    ],
)
def test_what_is_no_window_is_told(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^no windows: "):
        from_json(value)
