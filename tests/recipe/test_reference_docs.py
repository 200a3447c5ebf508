"""What is said of operations is made from them, and the page of the documentation holds just that."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml
from places import DOCS
from recipe_tools import recipe_of

from augpipe.recipe import reference_docs
from augpipe.recipe.groups import GROUPS, POLICIES
from augpipe.recipe.load import compiled
from augpipe.recipe.operation.params import ParamType
from augpipe.recipe.ops import OPERATIONS
from augpipe.recipe.yaml_reader import read

PAGE = DOCS / "recipes.md"


def test_the_page_holds_the_tables_that_the_code_makes():
    """To make them anew: python -m augpipe.recipe.reference_docs docs/recipes.md"""
    text = PAGE.read_text("utf-8")
    assert reference_docs.updated(text) == text
    for name, made in reference_docs.BLOCKS.items():
        assert text.count(f"<!-- begin {name} -->\n{made()}\n<!-- end {name} -->") == 1


def test_every_yaml_block_of_the_page_is_a_recipe():
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        assert compiled(read("recipes.md", block), "recipes").nodes


def test_the_command_rewrites_the_blocks_and_nothing_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "a | b\n<!-- begin labels -->\nold\n<!-- end labels -->\nc <!-- begin other -->\n<!-- end other -->\n"
    )
    subprocess.run([sys.executable, "-m", "augpipe.recipe.reference_docs", str(page)], check=True)
    text = page.read_text("utf-8")
    assert "old" not in text
    assert text.startswith("a | b\n<!-- begin labels -->\n| name |")
    assert text.endswith("|\n<!-- end labels -->\nc <!-- begin other -->\n<!-- end other -->\n")


def test_the_tables_are_tables():
    for made in reference_docs.BLOCKS.values():
        lines = made().splitlines()
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
        assert set(lines[1]) == set("| -")
    rows = reference_docs.operations_markdown().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(OPERATIONS)


@pytest.mark.parametrize("name", [*OPERATIONS, *GROUPS, *POLICIES])
def test_everything_is_told(name):
    assert re.fullmatch(r"[A-Za-z].{5,120}\.", reference_docs.summary(name))
    recipe_of(f"- {reference_docs.example(name)}")
    for parameter in reference_docs.parameters(name):
        assert parameter.meaning
        assert parameter.written


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_told_of_a_parameter_is_so(name):
    """Each default can be written as told, and means the default; what is told required is required."""
    (given,) = yaml.safe_load(OPERATIONS[name].example).values()
    for parameter in reference_docs.parameters(name):
        field = OPERATIONS[name].model_fields[parameter.name]
        notes = [note for note in field.metadata if isinstance(note, ParamType)]
        assert not notes or parameter.written == notes[0].words
        assert (parameter.default == "required") == field.is_required()
        if parameter.default.startswith("default "):
            value = yaml.safe_load(parameter.default.removeprefix("default "))
            got = getattr(OPERATIONS[name].model_validate({**given, parameter.name: value}), parameter.name)
            assert got == field.default or got == pytest.approx(field.default, rel=1e-3)


def test_the_words_of_some_parameters():
    rotate, canvas = reference_docs.parameters("rotate")
    assert canvas[2:] == ("keep or fit or inside", "")
    assert rotate == (
        "degrees",
        "angle",
        "a number s for [-s, s], or [low, high], within -360 to 360",
        "default [-15, 15]",
    )
    pad = {p.name: p for p in reference_docs.parameters("pad")}
    assert pad["place"].written == "centre or top_left"
    assert pad["place"].default == "default centre"
    assert pad["size"].default == ""
    assert pad["fill_after"][2:] == ("true or false", "")
    assert reference_docs.usual_step("affine") == "affine: {rotate: 10, scale: [0.8, 1.2], translate: 0.1}"
    assert reference_docs.usual_step("gamma") == "gamma: {amount: [0.7, 1.4]}"
    assert [reference_docs.usual_step(name) for name in ("to_gray", "pad", "letterbox", "random_crop")] == [""] * 4
    assert reference_docs.exactly_one("pad") == "exactly one of size, multiple and sides"
    assert reference_docs.exactly_one("rotate") == reference_docs.exactly_one("one_of") == ""
    assert [p.name for p in reference_docs.common_parameters()] == ["p", "id", "cut", "weight", "when"]
    labels = {p.name: p for p in reference_docs.label_parameters()}
    assert list(labels)[:4] == ["min_visibility", "min_area", "min_side", "box"]
    assert labels["truncated"][2:] == ("clip or drop", "default clip")
    assert labels["classes"][2:] == ("as in {person: {min_area: 64}}", "")
    assert "n" in {p.name for p in reference_docs.parameters("some_of")}
    assert "n" not in {p.name for p in reference_docs.parameters("one_of")}
