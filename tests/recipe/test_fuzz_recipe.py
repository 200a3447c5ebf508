"""Recipes that are almost right, or not at all, and overrides of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fuzzing import FACTOR, ODD_NUMBERS, ODD_TEXTS, damaged, fuzzed, mutated, only_our_errors
from hypothesis import given
from hypothesis import strategies as st
from recipe_tools import frame_of

from augpipe.core.canvas import follow
from augpipe.recipe import yaml_reader
from augpipe.recipe.load import compiled, shipped
from augpipe.recipe.ops import OPERATIONS
from augpipe.recipe.planner import draw
from augpipe.recipe.reference_docs import example

TEXTS = tuple(shipped().values())
EXAMPLES = tuple(f"version: 1\nsteps:\n  - {example(name).replace(chr(10), chr(10) + '    ')}\n" for name in OPERATIONS)
DOCUMENTS = tuple(yaml_reader.read("x.yaml", text).value for text in (*TEXTS, *EXAMPLES))
FILES = tuple(text.encode() for text in (*TEXTS, *EXAMPLES))
SNIPPETS = (
    "!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!x", "!!binary aGVsbG8=", "!!set {a}",
    "!!timestamp 2001-01-01", "!!int x", "!!float x", "&a [*a]", "*a", "&a", "<<: *a", "? [a]", "|", ">-", "---", "...",
    "%YAML 9.9", "{", "]", "\t", "- - - - -", "'", '"\\x1b[31m"', '"\\uD800"', "1_000", "0x7f", "1:30", ".nan", "-.inf",
    "2001-13-45", "=", "~", "yes", "os.path:join", "\x85", "\u2028", "\ufeff",
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, *ODD_NUMBERS, *(t for t in ODD_TEXTS if "\ud800" not in t), [], {}, [[]], [0, 0], [1, -1],
    [0.5, 1e308], ["a", "b"], {"x": 1}, "affine", {"affine": {}}, [{"horizontal_flip": {"p": 2}}],
)  # fmt: skip


MISTAKES = 11  # ten, and how many more there are


def use(text: str, *overrides: str) -> None:
    """Read a recipe, and where it is one, draw from it."""
    recipe = compiled(yaml_reader.read("x.yaml", text), "x", overrides)
    for size in ((20, 10), (640, 480)):
        plan = draw(recipe, frame_of(size, [(1, 1, 9, 8)]), 0, 0)
        json.dumps(follow(plan.steps, size).size_wh)


@pytest.mark.parametrize("text", [*TEXTS, *EXAMPLES])
def test_the_documents_that_are_changed_are_read(text):
    use(text)


@given(value=st.sampled_from(range(len(DOCUMENTS))).flatmap(lambda i: mutated(DOCUMENTS[i], ODD)))
@fuzzed(150)
def test_recipes_of_which_a_little_is_changed(value: Any):
    """JSON is YAML."""
    only_our_errors(lambda: use(json.dumps(value)), MISTAKES)


@given(data=damaged((*FILES, *(s.encode() for s in SNIPPETS))))
@fuzzed(90)
def test_files_of_which_bytes_are_changed(tmp_path_factory, data: bytes):
    path = Path(tmp_path_factory.getbasetemp()) / "x.yaml"
    path.write_bytes(data)
    only_our_errors(lambda: compiled(yaml_reader.read_file(path), "x"), MISTAKES)


@given(
    text=st.sampled_from((*TEXTS, *EXAMPLES)),
    snippets=st.lists(st.tuples(st.floats(0, 1), st.sampled_from(SNIPPETS), st.booleans()), min_size=1, max_size=3),
)
@fuzzed(90)
def test_yaml_of_other_kinds_put_in(text: str, snippets: list[tuple[float, str, bool]]):
    for at, snippet, behind_colon in snippets:
        place = int(at * len(text))
        place = text.find(": ", place) + 2 if behind_colon else place
        text = text[:place] + snippet + text[place:]
    only_our_errors(lambda: use(text), MISTAKES)


@given(
    text=st.sampled_from((*TEXTS, *EXAMPLES)),
    name=st.sampled_from(("steps.affine.rotate", "steps.one_of.p", "labels.min_side", "steps", "version", "x", "a..b"))
    | st.text(max_size=20),
    value=st.sampled_from(ODD).map(json.dumps) | st.sampled_from(SNIPPETS) | st.text(max_size=20),
)
@fuzzed(60)
def test_overrides(text: str, name: str, value: str):
    only_our_errors(lambda: use(text, f"{name}={value}"), MISTAKES)


@given(text=st.text(max_size=200))
@fuzzed(40)
def test_any_text(text: str):
    only_our_errors(lambda: use(text), MISTAKES)


def test_the_long_form_is_longer():
    assert FACTOR == 0 or test_any_text._hypothesis_internal_use_settings.max_examples > 40
