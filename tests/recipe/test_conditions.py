"""Steps that take part only under a condition, and groups in a drawn order."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import replace

import pytest
from builders import coco, row, write_json, write_picture
from recipe_tools import drawn, frame_of, recipe_of

from augpipe.core.annotations import Annotations, Frame
from augpipe.core.errors import RecipeError
from augpipe.formats.registry import open_dataset
from augpipe.recipe.compatibility import check
from augpipe.recipe.fuse import most_warps
from augpipe.recipe.load import load, shipped
from augpipe.recipe.planner import draw

NAMES = {1: "cat"}
SMALL_CAT = replace(frame_of((100, 80), [(10, 10, 20, 20)]), class_names=NAMES)
TWO_CATS = replace(frame_of((100, 80), [(10, 10, 20, 20), (50, 10, 90, 50)]), class_names=NAMES)
NO_OBJECT = frame_of((100, 80))
TAGGED = Frame("photo.jpg", (100, 80), Annotations(tags=("night",)), NAMES, "train")


@pytest.mark.parametrize(
    ("when", "frame", "takes_part"),
    [
        ({"classes": ["cat"]}, SMALL_CAT, True),
        ({"classes": ["dog", "cat"]}, SMALL_CAT, True),
        ({"classes": ["dog"]}, SMALL_CAT, False),
        ({"classes": ["cat"]}, NO_OBJECT, False),
        ({"objects": 2}, TWO_CATS, True),
        ({"objects": 2}, SMALL_CAT, False),
        ({"objects": [1, 2]}, SMALL_CAT, True),
        ({"objects": 0}, NO_OBJECT, True),
        ({"objects": 0}, SMALL_CAT, False),
        ({"size": [0, 32]}, SMALL_CAT, True),  # a box of 10 by 10 pixels
        ({"size": [10.5, 32]}, SMALL_CAT, False),
        ({"size": [32, 64]}, TWO_CATS, True),  # one of 40 by 40
        ({"size": [32, 64], "objects": 2}, TWO_CATS, False),
        ({"size": [0, 64], "objects": 2, "classes": ["cat"]}, TWO_CATS, True),
        ({"tags": "night"}, TAGGED, True),
        ({"tags": ["day", "night"]}, TAGGED, True),
        ({"tags": "day"}, TAGGED, False),
        ({"split": "train"}, TAGGED, True),
        ({"split": ["val", "test"]}, TAGGED, False),
        ({"split": "train", "tags": "day"}, TAGGED, False),
    ],
)
def test_a_step_and_a_group_take_part_where_the_labels_are_as_they_say(when, frame, takes_part):
    step = recipe_of([{"to_gray": {"when": when}}])
    group = recipe_of([{"all_of": ["to_gray"], "when": when}])
    assert bool(draw(step, frame, 5, 0).drawn) is takes_part
    assert bool(draw(group, frame, 5, 0).drawn) is takes_part


def test_what_counts_can_be_seen_on_the_canvas_so_far():
    left_half = {"crop": {"box_xyxy": [0, 0, 50, 80]}}
    asked = {"to_gray": {"when": {"objects": 2}}}
    assert "to_gray" in drawn(draw(recipe_of([asked, left_half]), TWO_CATS, 5, 0))
    assert "to_gray" not in drawn(draw(recipe_of([left_half, asked]), TWO_CATS, 5, 0))


def test_random_numbers_stay_those_of_p():
    plain = recipe_of([{"rotate": {"p": 0.5}}, {"gamma": {"p": 0.5}}])
    asked = recipe_of([{"rotate": {"p": 0.5, "when": {"classes": ["cat"]}}}, {"gamma": {"p": 0.5}}])
    for copy in range(20):
        assert draw(asked, SMALL_CAT, 5, copy) == draw(plain, SMALL_CAT, 5, copy)
        left = {name: value for name, value in drawn(draw(plain, NO_OBJECT, 5, copy)).items() if name != "rotate"}
        assert drawn(draw(asked, NO_OBJECT, 5, copy)) == left


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("{}", "expected at least one of classes, objects, size, tags, split"),
        ("", "expected what must hold"),
        ("{class: [cat]}", "unknown name 'class' in to_gray.when; did you mean 'classes'?"),
        ("{objects: many}", "to_gray.when.objects: expected a whole number"),
        ("{size: [9, 3]}", "expected the lower bound first"),
    ],
)
def test_mistakes_in_a_condition_are_told_with_the_way_out(when, message):
    with pytest.raises(RecipeError) as error:
        recipe_of(f"- to_gray:\n    when: {when}")
    assert message in str(error.value)


def test_a_condition_can_be_set_for_one_run():
    recipe = recipe_of("- to_gray\n- all_of: [gamma]", "steps.to_gray.when.objects=1", "steps.all_of.when.tags=night")
    leaf, group = recipe.nodes
    assert leaf.when.objects == (1, 1)
    assert group.when.tags == ("night",)


def test_recipes_without_the_new_words_have_none_of_them_in_their_canonical_form():
    assert all("when" not in load(name).canonical for name in shipped())
    row = json.loads(recipe_of([{"one_of": ["to_gray"], "when": {"objects": 1}}]).canonical)["steps"][0]
    assert row["when"] == {"objects": [1, 1]}


def test_names_that_the_dataset_does_not_have_are_refused_with_the_nearest(tmp_path):
    write_picture(tmp_path / "a.jpg")
    dataset = open_dataset(str(write_json(tmp_path / "x.json", coco(rows=[row()]))))
    steps = [{"one_of": [{"to_gray": {"when": {"classes": ["cta"]}}}, "invert"], "when": {"tags": "nigth"}}]
    refusals = check(recipe_of(steps), dataset).refusals
    assert len(refusals) == 2
    assert "one_of.when: no tag 'nigth' in the dataset" in refusals[0]
    assert "one_of/to_gray.when: no class 'cta' in the dataset; did you mean 'cat'?" in refusals[1]
    assert check(recipe_of([{"to_gray": {"when": {"classes": ["cat"]}}}]), dataset).refusals == ()


# --- shuffled --------------------------------------------------------------------------------------------------------

STEPS = ["to_gray", "invert", "equalize"]


def orders(steps, copies):
    recipe = recipe_of([{"shuffled": steps}])
    names = [[d.name.rpartition("/")[2] for d in draw(recipe, NO_OBJECT, 5, copy).drawn] for copy in range(copies)]
    return [tuple(row) for row in names]


def test_every_order_is_as_likely():
    counts = Counter(orders(STEPS, 1200))
    assert counts.keys() == set(itertools.permutations(STEPS))
    assert all(abs(count - 200) < 65 for count in counts.values())  # 5 standard deviations of a binomial


def test_a_step_that_is_added_keeps_the_others_in_order():
    more = [tuple(name for name in row if name != "jpeg") for row in orders([*STEPS, "jpeg"], 100)]
    assert more == orders(STEPS, 100)


def test_each_step_takes_part_by_its_own_p():
    rows = orders([{"to_gray": {"p": 0.25}}, "invert"], 800)
    assert all("invert" in row for row in rows)
    assert 145 < sum("to_gray" in row for row in rows) < 255  # 200 in the mean, 4.5 standard deviations


def test_the_cost_is_that_of_the_worst_order():
    turns = [{"rotate": {"degrees": [5, 5], "id": name}} for name in "abc"]
    assert most_warps(recipe_of([{"all_of": [*turns, "gaussian_blur"]}])) == 1
    assert most_warps(recipe_of([{"shuffled": [*turns, "gaussian_blur"]}])) == 2
    assert most_warps(recipe_of([{"shuffled": [*turns, "gaussian_blur", "jpeg"]}])) == 3
    many = [{"rotate": {"degrees": [5, 5], "id": f"t{i}"}} for i in range(12)]
    assert most_warps(recipe_of([{"shuffled": [*many, "gaussian_blur"]}])) >= 2
