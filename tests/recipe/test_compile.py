"""From a document to a recipe: every mistake is named with its line, what was expected, what came and the way out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from recipe_tools import frame_of, recipe_of

from augpipe.core.errors import RecipeError
from augpipe.labels.transform import LabelRules
from augpipe.recipe.compile import compile_recipe
from augpipe.recipe.nodes import Leaf
from augpipe.recipe.planner import draw
from augpipe.recipe.yaml_reader import read

S = "version: 1\nsteps:\n"  # the steps begin on line 3
LABELS = "version: 1\nlabels: %s\nsteps: [to_gray]\n"

MISTAKES = [
    # the top
    ("---\n", ":2: expected a recipe, with 'version: 1' and 'steps:', got null"),
    ("- to_gray\n", ":1: expected a recipe, with 'version: 1' and 'steps:', got [\"to_gray\"]"),
    ("hello\n", ':1: expected a recipe, with \'version: 1\' and \'steps:\', got "hello"'),
    ("# one\nsteps:\n- to_gray\n", ":2: the recipe needs 'version: 1', the format that it is written in"),
    ("version: 2\nsteps: [to_gray]\n", ":1: version: expected 1, got 2"),
    ("version: '1'\nsteps: [to_gray]\n", ':1: version: expected 1, got "1"'),
    ("version: true\nsteps: [to_gray]\n", ":1: version: expected 1, got true"),
    ("version: 1.0\nsteps: [to_gray]\n", ":1: version: expected 1, got 1.0"),
    ("version:\nsteps: [to_gray]\n", ":1: version: expected 1, got null"),
    ("version: 1\n", ":1: the recipe needs 'steps'"),
    ("version: 1\nstep:\n- to_gray\n", ":2: unknown name 'step' in the recipe; did you mean 'steps'?"),
    ("version: 1\nauthor: me\nsteps: [to_gray]\n", ":2: unknown name 'author' in the recipe; known are version, desc"),
    ("version: 1\nsteps:\n", ":2: steps: expected a list of steps, each on a line that begins with '- ', got null"),
    ("version: 1\nsteps: to_gray\n", ':2: steps: expected a list of steps, each on a line that begins with'),
    ("version: 1\nsteps: {to_gray: {}}\n", ':2: steps: expected a list of steps'),
    ("version: 1\ndescription: 5\nsteps: [to_gray]\n", ":2: description: expected text, got 5"),
    ("version: 1\nborder: refect\nsteps: [to_gray]\n", ":2: border: expected constant, replicate, reflect or wrap, go"),
    ("version: 1\nborder: refect\nsteps: [to_gray]\n", "got \"refect\"; did you mean 'reflect'?"),
    ("version: 1\nborder: 5\nsteps: [to_gray]\n", ":2: border: expected constant, replicate, reflect or wrap, got 5"),
    ("version: 1\nfill: [1, 2]\nsteps: [to_gray]\n", ":2: fill: expected a level, or [red, green, blue], from 0 to 25"),
    ("version: 1\nfill: [1, 2, 256]\nsteps: [to_gray]\n", "got [1, 2, 256]"),
    ("version: 1\nfill: [1, 2, true]\nsteps: [to_gray]\n", "got [1, 2, true]"),
    ("version: 1\nfill: red\nsteps: [to_gray]\n", 'got "red"'),
    ("version: 1\nlabels:\nsteps: [to_gray]\n", ":2: labels: expected names with values, as in {name: value}, got nul"),
    ("version: 1\nlabels: 5\nsteps: [to_gray]\n", ":2: labels: expected names with values"),
    ("version: 1\nlabels:\n  min_siide: 2\nsteps: [to_gray]\n", ":3: unknown name 'min_siide' in labels; did you mean"),
    ("version: 1\nlabels: {min_side: -2}\nsteps: [to_gray]\n", ":2: labels.min_side: expected a number from 0 to 1000"),
    ("version: 1\nlabels: {box: round}\nsteps: [to_gray]\n", ':2: labels.box: expected corners or ellipse, got "round'),
    # names of operations
    (S + "- rotatee: {degrees: 5}\n", ":3: unknown operation 'rotatee'; did you mean 'rotate'?"),
    (S + "- HorizontalFlip\n", ":3: unknown operation 'HorizontalFlip'; did you mean 'horizontal_flip'?"),
    (S + "- ROTATE: {degrees: 5}\n", ":3: unknown operation 'ROTATE'; did you mean 'rotate'?"),
    (S + "- gausian_blur: {sigma: 1}\n", ":3: unknown operation 'gausian_blur'; did you mean 'gaussian_blur'?"),
    (S + "- flip\n", ":3: unknown operation 'flip'; did you mean 'horizontal_flip' or 'vertical_flip'?"),
    (S + "- ColourJitter: {hue: 0.1}\n", "did you mean 'color_jitter'?"),
    (S + "- oneof: [to_gray]\n", "did you mean 'one_of'?"),
    (S + "- xyz\n", ":3: unknown operation 'xyz'; 'augpipe recipes operations' lists the "),
    (S + "- to_gray\n- one_of:\n  - weight: 5\n", ":5: unknown operation 'weight'"),
    (S + "- '': {}\n", ":3: unknown operation ''"),
    # what a step is
    (S + "- 5\n", ":3: expected a step such as 'horizontal_flip: {p: 0.5}', got 5"),
    (S + "- {}\n", ":3: expected a step such as 'horizontal_flip: {p: 0.5}', got {}"),
    (S + "-\n", ":3: expected a step such as 'horizontal_flip: {p: 0.5}', got null"),
    (S + "- [to_gray]\n", ":3: expected a step such as"),
    (S + "- to_gray: {}\n  gamma: {amount: 1}\n", ":3: expected one step, got to_gray and gamma; begin each with '- '"),
    (S + "- to_gray: {}\n  p: 0.5\n", ":4: 'p' belongs to to_gray: write it in its braces, or indent it more"),
    (S + "- rotate:\n  degrees: 5\n", ":4: 'degrees' belongs to rotate: write it in its braces, or indent it more"),
    (S + "- rotate: 5\n", ":3: rotate: expected its parameters in braces, as in 'rotate: {degrees: 15}', got 5"),
    (S + "- rotate: [5]\n", ":3: rotate: expected its parameters in braces"),
    # labels
    (LABELS % "{trunkated: drop}", ":2: unknown name 'trunkated' in labels; did you mean 'truncated'?"),
    (LABELS % "{truncated: dorp}", ":2: labels.truncated: expected clip or drop, got \"dorp\"; did you mean 'drop'?"),
    (LABELS % "{erased: both}", ':2: labels.erased: expected lower or cut, got "both"'),
    (LABELS % "{obb: drop_center}", ':2: labels.obb: expected clip, keep or drop_centre, got "drop_center"; did you'),
    (LABELS % "{obb: true}", ":2: labels.obb: expected clip, keep or drop_centre, got true"),
    (LABELS % "{below: ignored}", ":2: labels.below: expected drop or ignore, got \"ignored\"; did you mean 'ignore'?"),
    (LABELS % "{bellow: ignore}", ":2: unknown name 'bellow' in labels; did you mean 'below'?"),
    (LABELS % "{classes: {cat: {below: ignore}}}", "unknown name 'below' in labels.classes.cat; known are"),
    (LABELS % "{classes: [cat]}", ":2: labels.classes: expected names with values, as in {name: value}, got"),
    (LABELS % "{classes: {cat: 5}}", ":2: labels.classes.cat: expected names with values, as in {name: value}, got 5"),
    (LABELS % "{classes: {cat: {min_sied: 5}}}", "unknown name 'min_sied' in labels.classes.cat; did you mean 'mi"),
    (LABELS % "{classes: {cat: {erased: cut}}}", "unknown name 'erased' in labels.classes.cat; known are"),
    (LABELS % "{classes: {cat: {min_side: -1}}}", "labels.classes.cat.min_side: expected a number from 0 to 10"),
    (LABELS % "{classes: {cat: {min_side: null}}}", "expected a number from 0 to 100000, got null"),
    (LABELS % "{classes: {cat: {box: round}}}", 'labels.classes.cat.box: expected corners or ellipse, got "round"'),
    (LABELS % "{flip_pairs: [a, b]}", ":2: labels.flip_pairs: expected names with values"),
    (LABELS % "{flip_pairs: {cat: [a, b]}}", "labels.flip_pairs.cat: expected a list of pairs of names, as in [["),
    (LABELS % "{flip_pairs: {cat: [[a, 5]]}}", "labels.flip_pairs.cat: expected a list of pairs of names"),
    (LABELS % "{flip_pairs: {cat: [[a, b], [b, c]]}}", "labels.flip_pairs.cat: expected each name once"),
    # parameters
    (S + "- letterbox\n", ":3: letterbox needs 'size', as in 'letterbox: {size: 640}'"),
    (S + "- letterbox: {}\n", ":3: letterbox needs 'size'"),
    (S + "- letterbox:\n", ":3: letterbox needs 'size'"),
    (S + "- rotate:\n    degree: 5\n", ":4: unknown name 'degree' in rotate; did you mean 'degrees'?"),
    (S + "- rotate: {degrees: 5, q: 1}\n", "unknown name 'q' in rotate; known are p, id, cut, weight, when, degrees"),
    (S + "- rotate:\n    degrees: abc\n", ":4: rotate.degrees: expected a number s for [-s, s], or [low, high], withi"),
    (S + "- rotate: {degrees: 500}\n", "within -360 to 360, got 500"),
    (S + "- rotate: {degrees: [-5, 361]}\n", "got [-5, 361]"),
    (S + "- rotate: {degrees: [5, 1]}\n", ":3: rotate.degrees: expected the lower bound first, got [5, 1]"),
    (S + "- rotate: {degrees: [5]}\n", "got [5]"),
    (S + "- rotate: {degrees: [1, 2, 3]}\n", "got [1, 2, 3]"),
    (S + "- rotate: {degrees: {low: 1}}\n", 'got {"low": 1}'),
    (S + "- rotate: {degrees: true}\n", "got true"),
    (S + "- rotate: {degrees: [false, true]}\n", "got [false, true]"),
    (S + "- rotate: {degrees: null}\n", "got null"),
    (S + "- rotate: {degrees: '5'}\n", 'got "5"'),
    (S + "- rotate: {degrees: .nan}\n", "got NaN"),
    (S + "- rotate: {degrees: [-.inf, .inf]}\n", "got [-Infinity, Infinity]"),
    (S + "- rotate: {degrees: 999999999999999999999}\n", "got 999999999999999999999"),
    (S + "- rotate: {degrees: 2020-01-01}\n", 'got "2020-01-01"'),
    (S + "- rotate: {degrees: 1:30}\n", 'got "1:30"'),
    (S + "- rotate: {degrees: 010}\n", 'got "010"'),
    (S + "- gamma: {amount: 0}\n", ":3: gamma.amount: expected a number, or [low, high], from 0.05 to 20, got 0"),
    (S + "- affine: {scale: -1}\n", ":3: affine.scale: expected a number, or [low, high], from 0.01 to 100, got -1"),
    (S + "- affine: {shear: [-10, 50], shear_y: [-40, 0]}\n", ":3: affine: expected shear and shear_y of at most 80 d"),
    (S + "- jpeg: {quality: 50.5}\n", ":3: jpeg.quality: expected a whole number, or [low, high], from 1 to 100, got"),
    (S + "- jpeg: {quality: [0, 50]}\n", "got [0, 50]"),
    (S + "- rotate90: {times: 4}\n", ":3: rotate90.times: expected a whole number from 0 to 3, or a list of them to c"),
    (S + "- rotate90: {times: []}\n", "got []"),
    (S + "- resize: {}\n", ":3: resize: expected exactly one of size, longest, shortest, got none"),
    (S + "- resize: {size: 5, longest: 5}\n", ":3: resize: expected exactly one of size, longest, shortest, got size"),
    (S + "- resize: {longest: 0}\n", ":3: resize.longest: expected a whole number from 1 to 32766, got 0"),
    (S + "- resize: {longest: null}\n", ":3: resize.longest: expected a whole number from 1 to 32766, got null"),
    (S + "- resize: {size: [5, 5, 5]}\n", ":3: resize.size: expected a side in pixels, or [width, height], from 1 to"),
    (S + "- pad: {sides: [1, 2]}\n", ":3: pad.sides: expected pixels, or [left, top, right, bottom], from 0 to 16000"),
    (S + "- pad: {size: 9, place: top}\n", ':3: pad.place: expected centre or top_left, got "top"'),
    (S + "- letterbox: {size: 9, enlarge: 1}\n", ":3: letterbox.enlarge: expected true or false, got 1"),
    # p, id, cut, weight
    (S + "- to_gray: {p: 1.5}\n", ":3: to_gray.p: expected a number from 0 to 1, got 1.5"),
    (S + "- to_gray: {p: 50%}\n", ':3: to_gray.p: expected a number from 0 to 1, got "50%"'),
    (S + "- to_gray: {id: a b}\n", ":3: to_gray.id: expected a name of letters, digits, '_' and '-' that begins with"),
    (S + "- to_gray: {id: a/b}\n", 'got "a/b"'),
    (S + "- to_gray: {id: 'a#2'}\n", 'got "a#2"'),
    (S + "- to_gray: {id: 5}\n", "got 5"),
    (S + "- to_gray: {id: " + "a" * 61 + "}\n", "at most 60"),
    (S + "- to_gray: {id: null}\n", "got null"),
    (S + "- to_gray: {cut: 1}\n", ":3: to_gray.cut: expected true or false, got 1"),
    (S + "- to_gray:\n    weight: 2\n", ":4: 'weight' has a meaning directly inside one_of and some_of alone; elsewhe"),
    (S + "- all_of:\n  - to_gray: {}\n  - to_gray: {weight: 2}\n", ":5: 'weight' has a meaning directly inside one_of"),
    (S + "- one_of: [to_gray]\n  weight: 2\n", ":4: 'weight' has a meaning directly inside one_of and some_of alone"),
    (S + "- one_of:\n  - to_gray:\n      p: 1\n", ":5: a step of one_of takes 'weight', its share of the choice, not"),
    (S + "- some_of:\n  - to_gray: {p: 0.5}\n  n: 1\n", ":4: a step of some_of takes 'weight'"),
    (S + "- one_of:\n  - all_of: [to_gray]\n    p: 0.5\n", ":5: a step of one_of takes 'weight'"),
    (S + "- one_of:\n  - to_gray: {weight: -1}\n", ":4: to_gray.weight: expected a number from 0 to 1000000, got -1"),
    # groups
    (S + "- one_of: []\n", ":3: one_of: expected at least one step"),
    (S + "- one_of:\n", ":3: one_of: expected a list of steps, each on a line that begins with '- ', got null"),
    (S + "- one_of: {to_gray: {}}\n", ":3: one_of: expected a list of steps"),
    (S + "- one_of\n", ":3: one_of: expected a list of steps"),
    (S + "- one_of:\n  - to_gray: {weight: 0}\n", ":3: one_of: all weights are 0, so nothing could be chosen"),
    (S + "- one_of: [to_gray]\n  n: 1\n", ":4: 'n' has no meaning in one_of; it belongs to some_of"),
    (S + "- all_of: [to_gray]\n  n: 1\n", ":4: 'n' has no meaning in all_of; it belongs to some_of"),
    (S + "- some_of: [to_gray]\n", ":3: some_of needs 'n: 2' or 'n: [1, 3]' beside it: how many steps to take"),
    (S + "- some_of: [to_gray]\n  n: 2\n", ":4: some_of.n: expected a whole number, or [low, high], from 0 to 1, as t"),
    (S + "- some_of:\n  - to_gray: {weight: 0}\n  - gamma: {amount: 1}\n  n: 2\n", ":6: some_of.n: expected"),
    (S + "- some_of: [to_gray]\n  n: [1, 0]\n", ":4: some_of.n: expected the lower bound first"),
    (S + "- some_of: [to_gray]\n  n: 0.5\n", "got 0.5"),
    (S + "- one_of: [to_gray]\n  q: 1\n", ":4: unknown name 'q' in one_of; known are p, id, cut, weight, when and n"),
    (S + "- one_of: [to_gray]\n  p: 3\n", ":4: one_of.p: expected a number from 0 to 1, got 3"),
    (S + "- one_of: [to_gray]\n  all_of: [to_gray]\n", ":3: expected one step, got one_of and all_of"),
    (S + "- to_gray: {id: a}\n- gamma: {id: a, amount: 1}\n", ":4: the step at x.yaml:3 is called 'a' too; they would"),
    (S + "- rotate: {degrees: 5}\n- affine: {id: rotate}\n", ":4: the step at x.yaml:3 is called 'rotate' too"),
    (S + "- affine: {id: rotate}\n- rotate: {degrees: 5}\n", ":4: the step at x.yaml:3 is called 'rotate' too"),
    (S + "- one_of: [to_gray]\n  id: a\n- to_gray:\n    id: a\n", ":6: the step at x.yaml:4 is called 'a' too"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), MISTAKES)
def test_mistakes(text, expected):
    with pytest.raises(RecipeError) as caught:
        compile_recipe(read("x.yaml", text), "x")
    message = str(caught.value)
    assert message.startswith("x.yaml:")
    assert expected in message
    assert "\n" not in message
    assert len(message) < 300


def test_ten_levels_of_groups_are_read_and_eleven_are_not():
    def nested(levels):
        return "".join("  " * i + "- one_of:\n" for i in range(levels)) + "  " * levels + "- to_gray"

    (leaf,) = recipe_of(nested(10)).leaves()
    assert leaf.path == "one_of/" * 10 + "to_gray"
    with pytest.raises(RecipeError, match=r"x.yaml:13: groups are nested more than 10 deep"):
        recipe_of(nested(11))


def test_what_came_is_safe_for_a_terminal():
    with pytest.raises(RecipeError) as caught:
        compile_recipe(read("x.yaml", S + '- "a\\e[31m\\n' + "b" * 900 + '"\n'), "x")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


# --- what is made ----------------------------------------------------------------------------------------------------


def test_a_recipe():
    text = (
        "version: 1\ndescription: all of it\nlabels: {min_visibility: 0.1, min_side: 3, min_area: 0.5, box: ellipse}\n"
        "border: reflect\nfill: 7\nsteps:\n- to_gray\n- one_of:\n  - gamma: {amount: 2, weight: 3}\n"
        "  - all_of: [to_gray]\n    weight: 0.5\n  p: 0.25\n  cut: true\n"
    )
    recipe = compile_recipe(read("x.yaml", text), "mine")
    assert recipe.name == "mine"
    assert recipe.text == text
    assert recipe.rules == LabelRules(0.1, 0.5, 3.0, "ellipse")
    assert (recipe.border, recipe.fill) == ("reflect", (7, 7, 7))
    gray, group = recipe.nodes
    assert isinstance(gray, Leaf)
    assert (gray.p, gray.weight, gray.operation.cut) == (1.0, 1.0, False)
    assert (group.kind, group.p, group.cut, group.count, group.weights) == ("one_of", 0.25, True, (1, 1), (3.0, 0.5))
    assert [leaf.path for leaf in recipe.leaves()] == ["to_gray", "one_of/gamma", "one_of/all_of/to_gray"]


def test_a_recipe_may_have_no_steps():
    """Then copies are the picture, decoded and written again, with its labels."""
    recipe = compile_recipe(read("x.yaml", "version: 1\nsteps: []\n"), "x")
    assert recipe.nodes == ()
    assert draw(recipe, frame_of((64, 48)), 3, 0).steps == ()


def test_what_a_recipe_says_of_classes():
    own = {"cat": {"min_side": 8, "truncated": "drop"}, "dog": {"box": "corners", "min_visibility": 1}, "cow": {}}
    pairs = {"cat": [["a", "b"], ["c", "d"]], "dog": []}
    labels = {"min_visibility": 0.1, "box": "ellipse", "erased": "cut", "classes": own, "flip_pairs": pairs}
    recipe = recipe_of("- to_gray", labels=labels)
    top = LabelRules(0.1, 4.0, 2.0, "ellipse", "clip", "cut")
    assert recipe.rules == replace(top, classes={
        "cat": replace(top, min_side=8.0, truncated="drop"),
        "dog": replace(top, box="corners", min_visibility=1.0),
        "cow": top,
    })  # fmt: skip
    assert recipe.flip_pairs == {"cat": (("a", "b"), ("c", "d")), "dog": ()}
    assert recipe_of("- to_gray", "labels.classes.cat.min_side=5").rules.classes["cat"].min_side == 5.0
    hash(recipe.rules)


def test_what_can_take_part():
    text = (
        "- to_gray: {p: 0}\n- rotate: {degrees: 5}\n- one_of:\n  - gamma: {amount: 1, weight: 0}\n"
        "  - all_of: [jpeg: {quality: 5, p: 0}, horizontal_flip]\n- some_of: [vertical_flip]\n  n: 0\n"
        "- all_of: [to_gray]\n  p: 0"
    )
    assert [leaf.operation.name() for leaf in recipe_of(text).possible()] == ["rotate", "horizontal_flip"]


def test_defaults():
    recipe = recipe_of("- to_gray:")
    assert recipe.rules == LabelRules()
    assert (recipe.border, recipe.fill) == ("constant", (0, 0, 0))
    assert (recipe.nodes[0].p, recipe.nodes[0].weight) == (1.0, 1.0)


def test_names_of_siblings():
    steps = """
- rotate: {degrees: 1}
- rotate: {degrees: 2, id: mine}
- rotate: {degrees: 3}
- one_of: [to_gray, to_gray, gamma: {amount: 1}]
- one_of: [to_gray]
- rotate: {degrees: 4}
- all_of: [to_gray]
  id: last
"""
    assert [leaf.path for leaf in recipe_of(steps).leaves()] == [
        "rotate", "mine", "rotate#2", "one_of/to_gray", "one_of/to_gray#2", "one_of/gamma", "one_of#2/to_gray",
        "rotate#3", "last/to_gray",
    ]  # fmt: skip


def test_an_id_may_return_in_another_list():
    steps = "- one_of: [to_gray: {id: a}]\n- all_of: [to_gray: {id: a}]\n- to_gray: {id: a}"
    assert [leaf.path for leaf in recipe_of(steps).leaves()] == ["one_of/a", "all_of/a", "a"]


def test_what_some_of_takes():
    def count(n):
        return recipe_of(f"- some_of: [to_gray, to_gray, to_gray: {{weight: 0}}]\n  n: {n}").nodes[0].count

    assert [count(n) for n in ("0", "2", "[0, 1]", "[2, 2]")] == [(0, 0), (2, 2), (0, 1), (2, 2)]
    assert recipe_of("- all_of: [to_gray, to_gray]").nodes[0].count == (2, 2)


# --- the canonical form and its digest -------------------------------------------------------------------------------

SAME = [
    ("- rotate: {degrees: 15}", "- rotate: {degrees: [-15, 15]}"),
    ("- rotate: {degrees: 15}", "- rotate:\n    degrees: -15.0\n    p: 1\n    cut: false"),
    ("- rotate: {degrees: 0}", "- rotate: {degrees: -0.0}"),
    ("- rotate: {degrees: 0}", "- rotate: {degrees: [-0.0, 0]}"),
    ("- gamma: {amount: 2}", "- gamma: {amount: [2, 2.0]}"),
    ("- to_gray", "- to_gray:\n# comment"),
    ("- rotate90", "- rotate90: {times: [1, 2, 3]}"),
    ("- letterbox: {size: 9}", "- letterbox: {size: [9, 9], fill: 114, enlarge: true}"),
    ("- one_of: [to_gray]", "- one_of:\n  - to_gray: {weight: 1}\n  p: 1.0"),
    ("- to_gray", "- to_gray: {id: to_gray}"),
]
OTHER = [
    ("- rotate: {degrees: 15}", "- rotate: {degrees: [-15, 15.5]}"),
    ("- to_gray", "- to_gray: {id: gray}"),
    ("- to_gray", "- to_gray: {p: 0.5}"),
    ("- to_gray", "- to_gray: {cut: true}"),
    ("- to_gray\n- rotate90", "- rotate90\n- to_gray"),
    ("- one_of: [to_gray, rotate90]", "- one_of: [to_gray, rotate90: {weight: 2}]"),
    ("- one_of: [to_gray]", "- all_of: [to_gray]"),
    ("- some_of: [to_gray]\n  n: 1", "- some_of: [to_gray]\n  n: [0, 1]"),
    ("- one_of: [to_gray]", "- one_of: [to_gray]\n  cut: true"),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_one_meaning_has_one_digest(a, b):
    assert recipe_of(a).canonical == recipe_of(b).canonical
    assert recipe_of(a).digest == recipe_of(b, description="other words").digest


@pytest.mark.parametrize(("a", "b"), OTHER)
def test_another_meaning_has_another_digest(a, b):
    assert recipe_of(a).digest != recipe_of(b).digest


def test_the_top_is_in_the_digest():
    plain = recipe_of("- to_gray")
    said = [{"min_side": 1}, {"box": "ellipse"}, {"truncated": "drop"}, {"erased": "cut"}]
    said += [{"obb": "keep"}, {"obb": "drop_centre"}, {"below": "ignore"}]
    said += [{"classes": {"cat": {"min_side": 1}}}, {"flip_pairs": {"cat": [["a", "b"]]}}]
    tops = [{"border": "wrap"}, {"fill": 1}, *({"labels": labels} for labels in said)]
    assert len({plain.digest, *(recipe_of("- to_gray", **top).digest for top in tops)}) == 1 + len(tops)


def test_options_that_came_later_leave_the_digest_of_recipes_without_them():
    """So that a folder of before goes on, and its recipe is the same."""
    plain = recipe_of("- to_gray")
    same = recipe_of("- to_gray", labels={"obb": "clip", "below": "drop"})
    assert (same.canonical, same.digest) == (plain.canonical, plain.digest)
    other = recipe_of("- to_gray", labels={"obb": "keep", "below": "ignore"})
    assert json.loads(other.canonical)["labels"]["obb"] == "keep"
    assert json.loads(other.canonical)["labels"]["below"] == "ignore"
    assert (other.rules.obb, other.rules.below) == ("keep", "ignore")


def test_the_canonical_form_is_json_with_everything_in_it():
    value = json.loads(recipe_of("- affine: {rotate: 5, id: turn}\n- one_of: [to_gray]").canonical)
    affine, group = value["steps"]
    assert affine == {
        "path": "turn", "operation": "affine", "p": 1.0, "cut": False, "rotate": [-5.0, 5.0], "scale": [1.0, 1.0],
        "translate": [0.0, 0.0], "shear": [0.0, 0.0], "shear_y": [0.0, 0.0],
    }  # fmt: skip
    assert group["weights"] == [1.0]
    assert value["labels"] == {
        "min_visibility": 0.0, "min_area": 4.0, "min_side": 2.0, "box": "corners", "truncated": "clip",
        "erased": "lower", "classes": {}, "flip_pairs": {},
    }  # fmt: skip
    assert "description" not in value
