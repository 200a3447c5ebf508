"""Reading YAML: lines of values, what is refused, and quickly."""

from __future__ import annotations

import math
import os
import time

import pytest

from augpipe.core.errors import RecipeError
from augpipe.recipe.yaml_reader import Document, parse_value, read, read_file


def refused(text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        read("x.yaml", text)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    return message


# --- values and places -----------------------------------------------------------------------------------------------


def test_values_know_their_lines():
    document = read("x.yaml", "version: 1\nsteps:\n  - rotate:\n      degrees: [1,\n        2]\n\n  - to_gray\n")
    assert document.value == {"version": 1, "steps": [{"rotate": {"degrees": [1, 2]}}, "to_gray"]}
    assert document.place(()) == "x.yaml:1"
    assert document.place(("steps",)) == "x.yaml:2"
    assert document.place(("steps", 0, "rotate", "degrees")) == "x.yaml:4"
    assert document.place(("steps", 0, "rotate", "degrees", 1)) == "x.yaml:5"
    assert document.place(("steps", 1)) == "x.yaml:7"


def test_the_place_of_what_is_not_there_is_what_would_hold_it():
    document = read("x.yaml", "version: 1\nsteps:\n  - rotate: {}\n")
    assert document.place(("steps", 0, "rotate", "degrees", 7)) == "x.yaml:3"
    assert Document("x.yaml", "", None).place(("steps",)) == "x.yaml"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5), ("-5.5", -5.5), ("+3", 3), ("0", 0), ("0.5", 0.5), (".5", 0.5), ("1_000", 1000), ("0x1F", 31),
        ("1e3", 1000.0), ("1e-3", 0.001), ("-2.5E+2", -250.0), (".5e1", 5.0), ("1.5e+3", 1500.0),
        ("010", "010"), ("-017", "-017"), ("1:30", "1:30"), ("1:30.5", "1:30.5"), ("'5'", "5"), ("'1e3'", "1e3"),
        ("true", True), ("yes", True), ("off", False), ("null", None), ("~", None), ("", None),
        ("2020-01-01", "2020-01-01"), ("=", "="), ("e3", "e3"), ("1e", "1e"), ("!!str 5", "5"), ("!!float 5", 5.0),
        ("!!bool perhaps", "perhaps"), ("!!int ''", ""), ("!!float x", "x"), ("[a, {b: 1}]", ["a", {"b": 1}]),
    ],
)  # fmt: skip
def test_scalars_are_what_they_look_like(text, value):
    got = read("x.yaml", f"k: {text}").value["k"]
    assert got == value
    assert type(got) is type(value)


def test_not_a_number_is_read_and_left_to_the_parameters():
    a, b = read("x.yaml", "[.nan, -.inf]").value
    assert math.isnan(a)
    assert b == float("-inf")


def test_keys_are_text():
    assert read("x.yaml", "1: a\nnull: b\ntrue: c\n'2': d\n").value == {"1": "a", "null": "b", "true": "c", "2": "d"}


def test_aliases_are_followed_and_not_shared():
    value = read("x.yaml", "a: &a {b: [1]}\nc: *a\n").value
    assert value == {"a": {"b": [1]}, "c": {"b": [1]}}
    assert value["a"] is not value["c"]
    assert value["a"]["b"] is not value["c"]["b"]


def test_the_text_is_kept():
    assert read("x.yaml", "# comment\nversion: 1\n").text == "# comment\nversion: 1\n"


# --- what is refused -------------------------------------------------------------------------------------------------

REFUSED = [
    ("", "x.yaml: the file is empty; expected a recipe"),
    ("# nothing\n", "x.yaml: the file is empty"),
    ("a: 1\nb: [1, 2\n", "x.yaml:3: not YAML: while parsing a flow sequence: expected ',' or ']'"),
    ("a:\n\t- b\n", "x.yaml:2: not YAML"),
    ("a:\n\t- b\n", "indent with spaces, not tabs"),
    ("a: b: c\n", "x.yaml:1: not YAML: mapping values are not allowed here; is a line not indented as it should be"),
    ("steps:\n  - a\n - b\n", "x.yaml:3: not YAML"),
    ("steps:\n  - a\n - b\n", "does a line begin further left or right than its neighbours?"),
    ("a: 1\n---\nb: 2\n", "x.yaml:2: not YAML: expected a single document"),
    ("a: 1\n---\nb: 2\n", "one file holds one recipe"),
    ("a: 1\nb: 2\na: 3\n", "x.yaml:3: 'a' is given twice"),
    ("a: {b: 1, b: 2}\n", "x.yaml:1: 'b' is given twice"),
    ("a: *nowhere\n", "x.yaml:1: not YAML: found undefined alias 'nowhere'"),
    ("a: &x 1\nb: &x 2\n", "x.yaml:2: not YAML: found duplicate anchor 'x'"),
    ("a: &x [*x]\n", "x.yaml:1: nested too deeply; expected at most 50 levels"),
    ("a: &x {b: 1}\nc: {<<: *x}\n", "x.yaml:2: merge keys ('<<') are not read; write the values out"),
    ("? [a, b]\n: c\n", "x.yaml:1: expected a plain name before the ':'"),
    ("a: !!python/object/apply:os.system ['true']\n", "x.yaml:1: the tag !!python/object/apply:os.system is not read"),
    ("a: !!python/name:os.system\n", "x.yaml:1: the tag !!python/name:os.system is not read"),
    ("!!python/object:x.Y {a: 1}\n", "x.yaml:1: the tag !!python/object:x.Y is not read"),
    ("a: !mine {b: 1}\n", "x.yaml:1: the tag !mine is not read; a recipe is plain YAML"),
    ("a: !mine 1\n", "x.yaml:1: the tag !mine is not read"),
    ("!mine a: 1\n", "x.yaml:1: the tag !mine is not read"),
    ("a: !!set {b}\n", "x.yaml:1: the tag !!set is not read"),
    ("a: !!omap [b: 1]\n", "x.yaml:1: the tag !!omap is not read"),
    ("a: !!binary aGVsbG8=\n", "x.yaml:1: the tag !!binary is not read"),
    ("a: !!map [1]\n", "x.yaml:1: the tag !!map is not read"),
    ("a: 1\nb: \x00\n", "x.yaml:2: not YAML: the character U+0000 is not text"),
    ("a: 1\nb: \x1b[31m\n", "x.yaml:2: not YAML: the character U+001B is not text"),
    ("a: " + "9" * 31, "x.yaml:1: a number of more than 30 digits"),
    ("a: 0x" + "f" * 6000, "x.yaml:1: a number of more than 30 digits"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_refused(text, expected):
    assert expected in refused(text)


def test_a_number_too_long_to_be_read_is_text():
    assert read("x.yaml", "a: " + "9" * 6000).value["a"] == "9" * 6000


LEVELS = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a0: &a0 [x]\n" + LEVELS, "more than 20000 values; that is no recipe"),
        ("- 1\n" * 24_000, "more than 20000 values"),
        ("[" * 90_000, "nested too deeply; expected at most 50 levels"),
        ("{a: " * 60 + "1" + "}" * 60, "nested too deeply"),
        ("a: " + "x" * 200_000, "more than 100 kB; that is no recipe"),
        ("é" * 50_001, "more than 100 kB"),
    ],
    ids=["a billion laughs", "many values", "deep and open", "deep", "huge", "huge in bytes"],
)
def test_what_could_do_harm_is_refused_quickly(text, expected):
    started = time.process_time()
    assert expected in refused(text)
    assert time.process_time() - started < 5.0


def test_fifty_levels_are_read():
    value = read("x.yaml", "[" * 50 + "]" * 50).value
    for _ in range(49):
        (value,) = value
    assert value == []


# --- values of overrides ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"), [("[-5, 5]", [-5, 5]), ("0.5", 0.5), ("", None), ("  # nothing", None), ("a", "a")]
)
def test_parse_value(text, value):
    assert parse_value("--set a=b", text) == value


@pytest.mark.parametrize("text", ["[1", "!x 1", "{a: 1, a: 2}", "\x00", "[" * 5000, "a: b: c"])
def test_parse_value_names_the_override_and_no_line(text):
    with pytest.raises(RecipeError, match=r"^--set a=b: "):
        parse_value("--set a=b", text)


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_bytes("version: 1\r\ndescription: Übung\r\n".encode())
    document = read_file(path)
    assert document.value == {"version": 1, "description": "Übung"}
    assert document.text == "version: 1\ndescription: Übung\n"
    assert document.place(("description",)) == f"{path}:2"


def test_a_byte_order_mark_is_no_matter(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_bytes(b"\xef\xbb\xbfversion: 1\n")
    assert read_file(path).value == {"version": 1}


def test_what_is_no_file_of_text(tmp_path):
    def message(path) -> str:
        with pytest.raises(RecipeError) as caught:
            read_file(path)
        assert str(caught.value).startswith(f"{path}: ")
        return str(caught.value)

    assert "cannot read the recipe: no such file; 'augpipe recipes list' names the shipped" in message(
        tmp_path / "none.yaml"
    )
    assert "Is a directory; expected a .yaml file" in message(tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("a: é\n".encode("latin-1"))
    assert "not UTF-8 text (byte 3); save the file as UTF-8" in message(latin)
    wide = tmp_path / "wide.yaml"
    wide.write_bytes("version: 1\n".encode("utf-16"))
    assert "not UTF-8 text (byte 0)" in message(wide)
    empty = tmp_path / "empty.yaml"
    empty.write_bytes(b"")
    assert "the file is empty" in message(empty)


@pytest.mark.parametrize("content", [b"a" * 10_000_000, "é".encode() * 200_000, b"a" + "é".encode() * 200_000])
def test_a_huge_file_is_not_read_to_its_end(tmp_path, content):
    path = tmp_path / "huge.yaml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match="more than 100 kB"):
        read_file(path)


def test_a_file_without_an_end_in_sight_is_read_in_part(tmp_path):
    path = tmp_path / "sparse.yaml"
    path.touch()
    try:
        os.truncate(path, 1 << 42)  # four terabytes of nothing
    except OSError:
        pytest.skip("a file system without sparse files")
    with pytest.raises(RecipeError, match="more than 100 kB"):
        read_file(path)
