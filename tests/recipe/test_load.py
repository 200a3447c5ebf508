"""Finding recipes, and overriding values of them; and what holds of every recipe that comes with augpipe."""

from __future__ import annotations

import json

import pytest
from recipe_tools import frame_of, recipe_of

from augpipe.core.errors import RecipeError
from augpipe.pixels.steps.warp import Warp
from augpipe.recipe.fuse import most_warps
from augpipe.recipe.load import load, shipped
from augpipe.recipe.planner import draw

STEPS = """- rotate: {degrees: 5}
- to_gray
- one_of:
    - gaussian_blur: {sigma: 1}
    - gaussian_blur: {sigma: 2}
    - all_of: [gamma: {amount: 2, id: dark}]
  p: 0.5
- rotate: {degrees: 6}
- some_of: [to_gray, jpeg: {quality: 9}]
  id: mess
  n: 1
"""


def overridden(*overrides, **head):
    return json.loads(recipe_of(STEPS, *overrides, **head).canonical)


def refused(*overrides, steps=STEPS, **head) -> str:
    with pytest.raises(RecipeError) as caught:
        recipe_of(steps, *overrides, **head)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 350
    return message


# --- names and files -------------------------------------------------------------------------------------------------


def test_a_name_is_shipped_and_anything_else_a_file(tmp_path, monkeypatch):
    assert load("detection").name == "detection"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text("version: 1\nsteps: [to_gray]\n")
    (tmp_path / "detection").write_text("version: 1\nsteps: [to_gray]\n")
    for name in ("my.yaml", "./my.yaml", str(tmp_path / "my.yaml")):
        assert load(name).name == "my"
        assert load(name, ["steps.to_gray.p=0.5"]).nodes[0].p == 0.5
    assert [leaf.path for leaf in load("./detection").leaves()] == ["to_gray"]
    assert len(list(load("detection").leaves())) > 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("detecton", "unknown recipe 'detecton'; did you mean 'detection'?"),
        ("Segmentation", "did you mean 'segmentation'?"),
        ("my", "; known are classification, detection, gentle"),
        ("my", "a file is given with its ending .yaml"),
        ("", "unknown recipe ''; known are"),
        ("none.yaml", "none.yaml: cannot read the recipe: no such file"),
        ("a/b", "a/b: cannot read the recipe: no such file"),
        ("a\x1b[31m\n" + "b" * 500, "unknown recipe 'a\\x1b[31m\\nbbb"),
    ],
)
def test_no_such_recipe(name, expected):
    with pytest.raises(RecipeError) as caught:
        load(name)
    assert expected in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_mistake_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("version: 1\nsteps:\n  - rotate: {degree: 5}\n")
    with pytest.raises(RecipeError) as caught:
        load(str(path))
    assert str(caught.value) == f"{path}:3: unknown name 'degree' in rotate; did you mean 'degrees'?"


# --- the recipes that come with augpipe ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shipped())
def test_shipped_recipes(name):
    recipe = load(name)
    top = recipe.text.splitlines()
    assert top[0].startswith("# ")
    assert any(line.startswith("description: ") for line in top)
    assert most_warps(recipe) == 1
    assert recipe.border == "constant"  # the others make objects without labels
    assert name == "classification" or recipe.rules.min_visibility == 0.1
    sizes = [(640, 480), (37, 23), (1, 1), (1, 500)]
    for copy in range(40):
        steps = draw(recipe, frame_of(sizes[copy % 4]), 0, copy).steps
        assert sum(isinstance(step, Warp) for step in steps) <= 1


def test_shipped_recipes_are_sorted_and_known():
    assert list(shipped()) == ["classification", "detection", "gentle", "keypoints", "segmentation"]


# --- overrides: what they reach --------------------------------------------------------------------------------------

REACHED = [
    ("steps.rotate.degrees=[-1, 2]", lambda v: v["steps"][0]["degrees"] == [-1.0, 2.0]),
    ("steps.rotate.p=0", lambda v: v["steps"][0]["p"] == 0.0),
    ("steps.rotate#2.degrees=7", lambda v: v["steps"][3]["degrees"] == [-7.0, 7.0]),
    ("steps.to_gray.p=0.25", lambda v: v["steps"][1]["p"] == 0.25),  # written without braces
    ("steps.to_gray.cut=yes", lambda v: v["steps"][1]["cut"] is True),
    ("steps.one_of.p=1", lambda v: v["steps"][2]["p"] == 1.0),
    ("steps.one_of.gaussian_blur.sigma=3", lambda v: v["steps"][2]["steps"][0]["sigma"] == [3.0, 3.0]),
    ("steps.one_of.gaussian_blur#2.weight=0", lambda v: v["steps"][2]["weights"] == [1.0, 0.0, 1.0]),
    ("steps.one_of.all_of.weight=9", lambda v: v["steps"][2]["weights"][2] == 9.0),
    ("steps.one_of.all_of.dark.amount=1", lambda v: v["steps"][2]["steps"][2]["steps"][0]["amount"] == [1.0, 1.0]),
    ("steps.mess.n=2", lambda v: v["steps"][4]["n"] == [2, 2]),
    ("steps.mess.to_gray.weight=0.5", lambda v: v["steps"][4]["weights"] == [0.5, 1.0]),
    ("steps.mess.id=other", lambda v: v["steps"][4]["path"] == "other"),
    ("steps=[to_gray]", lambda v: [s["path"] for s in v["steps"]] == ["to_gray"]),
    ("labels.min_side=9", lambda v: v["labels"]["min_side"] == 9.0),
    ("labels={min_area: 1}", lambda v: v["labels"]["min_area"] == 1.0),
    ("border=wrap", lambda v: v["border"] == "wrap"),
    ("fill=[1, 2, 3]", lambda v: v["fill"] == [1, 2, 3]),
    (" fill =9", lambda v: v["fill"] == [9, 9, 9]),
    ("steps.rotate.degrees=1e1", lambda v: v["steps"][0]["degrees"] == [-10.0, 10.0]),
]


@pytest.mark.parametrize(("override", "holds"), REACHED, ids=[override for override, _ in REACHED])
def test_an_override_reaches_its_value_and_nothing_else(override, holds):
    before, after = overridden(), overridden(override)
    assert not holds(before)
    assert holds(after)
    if override.startswith("steps."):
        changed = [i for i in range(5) if before["steps"][i] != after["steps"][i]]
        assert len(changed) == 1
        assert {k: v for k, v in before.items() if k != "steps"} == {k: v for k, v in after.items() if k != "steps"}


def test_overrides_follow_each_other():
    value = overridden("steps.rotate.degrees=1", "steps.rotate.id=a", "steps.a.p=0.5", "steps.rotate.degrees=9")
    assert (value["steps"][0]["degrees"], value["steps"][0]["p"]) == ([-1.0, 1.0], 0.5)
    assert value["steps"][3]["degrees"] == [-9.0, 9.0]  # which is the first rotate now
    assert overridden("fill=1", "fill=2")["fill"] == [2, 2, 2]


def test_labels_that_are_not_there_are_made():
    assert overridden("labels.min_side=9", labels={"min_area": 1})["labels"]["min_area"] == 1.0
    assert overridden("labels.min_side=9", labels=None)["labels"]["min_side"] == 9.0


def test_an_override_changes_one_of_two_aliases():
    steps = "- rotate: &a {degrees: 5}\n- rotate: *a"
    value = json.loads(recipe_of(steps, "steps.rotate.degrees=1").canonical)
    assert [step["degrees"] for step in value["steps"]] == [[-1.0, 1.0], [-5.0, 5.0]]


def test_a_value_may_hold_an_equals_sign():
    assert "fill: expected a level" in refused("fill=a=b")


# --- overrides: what they cannot do ----------------------------------------------------------------------------------

REFUSED = [
    ("steps.rotate.degrees", "expected path=value, such as steps.affine.rotate='[-5, 5]'"),
    ("=5", "expected path=value"),
    ("", "expected path=value"),
    ("steps..p=5", "expected path=value"),
    ("steps.=5", "expected path=value"),
    ("steps.affine.rotate=5", "no step 'affine' in steps; known are rotate, to_gray, one_of, rotate#2 and mess"),
    ("steps.rotat.degrees=5", "no step 'rotat' in steps; did you mean 'rotate'?"),
    ("steps.rotate#3.degrees=5", "no step 'rotate#3' in steps; did you mean 'rotate"),
    ("steps.some_of.n=1", "no step 'some_of' in steps"),
    ("steps.0.degrees=5", "no step '0' in steps"),
    ("steps.one_of.gaussian_noise.std=5", "no step 'gaussian_noise' in one_of; did you mean 'gaussian_blur"),
    ("steps.one_of.all_of.gamma.amount=5", "no step 'gamma' in all_of; known are dark"),
    ("steps.rotate=5", "expected one name behind 'rotate': p, id, cut, weight, when, degrees"),
    ("steps.rotate.degrees.low=5", "expected one name behind 'rotate': "),
    ("steps.one_of=[to_gray]", "expected one name behind 'one_of': p, id, cut, weight, when or n"),
    ("steps.rotate.degree=5", "unknown name 'degree' in rotate; did you mean 'degrees'?"),
    ("steps.rotate.degrees=abc", "rotate.degrees: expected a number s for [-s, s], or [low, high], within -360 to 360"),
    ("steps.rotate.degrees=", "got null"),
    ("steps.one_of.gaussian_blur.p=0.5", "a step of one_of takes 'weight', its share of the choice, not 'p'"),
    ("steps.one_of.n=1", "'n' has no meaning in one_of"),
    ("steps.one_of.q=1", "no step 'q' in one_of"),
    ("steps.mess.n=5", "some_of.n: expected a whole number, or [low, high], from 0 to 2"),
    ("steps=5", "steps: expected a list of steps"),
    ("steps=[to_grey]", "unknown operation 'to_grey'; did you mean 'to_gray'?"),
    ("stesp.rotate.p=1", "unknown name 'stesp' in the recipe; did you mean 'steps'?"),
    ("labels.min_sied=5", "unknown name 'min_sied' in labels; did you mean 'min_side'?"),
    ("labels.box.x=5", 'labels.box: expected corners or ellipse, got {"x": 5}'),
    ("labels.min_side=big", 'labels.min_side: expected a number from 0 to 100000, got "big"'),
    ("version=2", "version: expected 1, got 2"),
    ("version.x=2", "'version' has no names below it"),
    ("border=[", "not YAML"),
    ("border=!x 5", "the tag !x is not read"),
    ("fill={a: 1, a: 2}", "'a' is given twice"),
]


@pytest.mark.parametrize(("override", "expected"), REFUSED)
def test_a_bad_override_is_named(override, expected):
    message = refused(override)
    assert message.startswith(f"--set {override}: ")
    assert expected in message


def test_the_place_of_a_mistake_is_the_override_or_the_line_that_made_it():
    assert refused("steps.rotate.degrees=x").startswith("--set steps.rotate.degrees=x: ")
    assert refused("steps.rotate.p=0.5", steps="- to_gray\n- rotate: {degrees: x}").startswith("x.yaml:4: ")
    assert refused("steps.letterbox.p=0.5", steps="- to_gray\n- letterbox").startswith(
        "x.yaml:4: letterbox needs 'size'"
    )
    assert refused("steps=[{rotate: {degrees: x}}]").startswith("--set steps=[{rotate: {degrees: x}}]: ")
    assert refused("fill=1", "fill=[1]").startswith("--set fill=[1]: ")
    assert refused("fill=[1]", "border=wrap").startswith("--set fill=[1]: ")
    assert refused("labels.a.b=1").startswith("--set labels.a.b=1: unknown name 'a' in labels")
    assert refused("steps.rotate#2.id=mess").startswith(
        "x.yaml:12: the step at --set steps.rotate#2.id=mess is called 'mess' too"
    )


def test_overrides_of_what_is_no_recipe():
    from augpipe.recipe.load import compiled
    from augpipe.recipe.yaml_reader import read

    for text, expected in [
        ("[1]", "--set fill=1: there is nothing to set in x.yaml, which is no recipe"),
        ("version: 1\nsteps: 5", "x.yaml:2: steps: expected a list of steps"),
    ]:
        with pytest.raises(RecipeError) as caught:
            compiled(read("x.yaml", text), "x", ["fill=1"])
        assert str(caught.value).startswith(expected)
    for steps in ("5", "[5]", "[{one_of: 5}]"):
        with pytest.raises(RecipeError, match=r"^--set steps.one_of.to_gray.p=1: "):
            compiled(read("x.yaml", f"version: 1\nsteps: {steps}"), "x", ["steps.one_of.to_gray.p=1"])


def test_a_long_override_is_cut_in_its_error():
    assert len(refused("fill=" + "x" * 5000)) < 350
