"""Ranges of objects in a JSON, compared with where the text was put together."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augpipe.formats.coco.json_ranges import ranges_of

spaces = st.text(" \n\t\r", max_size=3)
objects = st.sampled_from(("{}", '{"a": 1}', '{ "b" : [ {"c": "},{"} , {} ] }', '{"d": ", {"}', '{"größe": "x"}'))


def split(text: bytes) -> tuple[list[msgspec.Raw], np.ndarray]:
    base = np.frombuffer(text, np.uint8)
    return msgspec.json.decode(base, type=list[msgspec.Raw]), base


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(objects, spaces, spaces)), st.booleans(), spaces)
def test_every_object_is_found_whatever_stands_between(rows, alike, before):
    text, expected = f"{before}[".encode(), []
    for i, (value, left, right) in enumerate(rows):
        left, right = (rows[0][1], rows[0][2]) if alike else (left, right)  # noqa: PLW2901
        text += (f"{left},{right}" if i else left).encode()
        expected.append((len(text), len(value.encode())))
        text += value.encode()
    assert ranges_of(*split(text + b"]")).tolist() == [list(one) for one in expected]


@pytest.mark.parametrize(
    "between",
    [
        (",", ",  ", ", "),  # two spaces a piece on the average
        (", ", " ,", ", "),
        (",\n\n", ",", ",\n"),
        ("   ,", ",", ","),
    ],
)
def test_gaps_that_only_look_alike_as_a_sum(between):
    value = '{"a":"{"}'
    text = f"[{value}" + "".join(gap + value for gap in between) + "]"
    found = ranges_of(*split(text.encode()))
    assert [text[start : start + size] for start, size in found.tolist()] == [value] * 4
    assert found[:, 0].tolist() == sorted(found[:, 0].tolist())


def test_none_and_one():
    assert ranges_of(*split(b"[]")).shape == (0, 2)
    assert ranges_of(*split(b" [ {} ]")).tolist() == [[3, 2]]
