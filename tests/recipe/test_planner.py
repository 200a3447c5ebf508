"""Drawing: plans that are the same everywhere, and steps that keep their numbers whatever happens around them."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import HELPERS
from recipe_tools import NOTHING, drawn, frame_of, plan_of, recipe_of

from augpipe.core.annotations import Frame
from augpipe.core.plan import Plan, from_json
from augpipe.recipe.load import load, shipped
from augpipe.recipe.ops import OPERATIONS
from augpipe.recipe.planner import ORIGINAL, draw

# One of each kind; the canvas stays, so that what is drawn for one does not depend on another.
STEPS = {
    "horizontal_flip": {"p": 0.5},
    "vertical_flip": {"p": 0.5},
    "rotate": {"degrees": 15, "p": 0.7},
    "affine": {"rotate": [-15, 15], "scale": [0.8, 1.2], "translate": 0.1, "shear": 5, "shear_y": [-3, 4]},
    "perspective": {"scale": [0.02, 0.1], "p": 0.8},
    "brightness_contrast": {"brightness": 0.2, "contrast": 0.2},
    "color_jitter": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.05},
    "gamma": {"amount": [0.7, 1.4], "p": 0.6},
    "to_gray": {"p": 0.3},
    "gaussian_blur": {"sigma": [0.3, 1.5], "p": 0.5},
    "gaussian_noise": {"std": [2, 12]},
    "erase": {"count": [1, 3]},
    "jpeg": {"quality": [40, 90]},
}


def weighted(name: str) -> dict:
    return {name: {k: v for k, v in STEPS[name].items() if k != "p"}}


@st.composite
def step_lists(draw_from) -> list[dict]:
    """Steps of different kinds, some of them in groups, which have ids."""
    names = draw_from(st.permutations(list(STEPS)))[: draw_from(st.integers(2, 9))]
    out, rest = [], list(names)
    while rest:
        kind = draw_from(st.sampled_from(["step", "step", "one_of", "some_of", "all_of"]))
        size = draw_from(st.integers(1, 3))
        taken, rest = rest[:size], rest[size:]
        if kind == "step":
            out.extend({name: STEPS[name]} for name in taken)
            continue
        children = [{name: STEPS[name]} if kind == "all_of" else weighted(name) for name in taken]
        group = {kind: children, "id": f"g{len(out)}", "p": draw_from(st.sampled_from([1.0, 0.6]))}
        out.append({**group, "n": [0, len(taken)]} if kind == "some_of" else group)
    return out


def samples(steps: list[dict], count: int = 12) -> list[dict]:
    recipe = recipe_of(steps)
    return [drawn(draw(recipe, frame_of(key=f"{i}.jpg"), 3, i % 3)) for i in range(count)]


# --- the promise: a step keeps its numbers ---------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(step_lists(), st.data())
def test_deleting_or_inserting_a_step_leaves_the_others_alone(steps, data):
    at = data.draw(st.integers(0, len(steps) - 1))
    without = steps[:at] + steps[at + 1 :]
    if not without:
        return
    gone = next(k for k in steps[at] if k in STEPS or k.endswith("_of"))
    prefix = steps[at].get("id", gone)
    for before, after in zip(samples(steps), samples(without), strict=True):
        kept = {path: p for path, p in before.items() if path != prefix and not path.startswith(f"{prefix}/")}
        assert kept == after


@settings(max_examples=40, deadline=None)
@given(step_lists(), st.randoms(use_true_random=False))
def test_reordering_leaves_every_step_alone(steps, random):
    shuffled = list(steps)
    random.shuffle(shuffled)
    for before, after in zip(samples(steps), samples(shuffled), strict=True):
        assert before == after


@settings(max_examples=40, deadline=None)
@given(step_lists(), st.data())
def test_editing_a_step_leaves_the_others_alone(steps, data):
    at = data.draw(st.integers(0, len(steps) - 1))
    name = next(iter(steps[at]))
    if name not in STEPS:
        return
    edited = [*steps[:at], {name: {**STEPS[name], "p": 0.9, "cut": True}}, *steps[at + 1 :]]
    for before, after in zip(samples(steps), samples(edited), strict=True):
        before.pop(name, None)
        after.pop(name, None)
        assert before == after


def test_children_of_a_group_may_be_reordered():
    names = ["gamma", "to_gray", "color_jitter", "jpeg"]
    for kind, extra in [("one_of", {}), ("some_of", {"n": 2}), ("all_of", {})]:
        forwards = samples([{kind: [weighted(n) for n in names], **extra}], 60)
        backwards = samples([{kind: [weighted(n) for n in reversed(names)], **extra}], 60)
        assert forwards == backwards
        assert len({tuple(sorted(s)) for s in forwards}) > 1 or kind == "all_of"


def test_siblings_of_one_name_count_among_themselves_and_an_id_is_immune():
    one = "- rotate: {degrees: 5}\n- rotate: {degrees: 7, id: mine}\n- rotate: {degrees: 9}"
    more = "- rotate: {degrees: 1}\n" + one
    mine_first = "- rotate: {degrees: 7, id: mine}\n- rotate: {degrees: 5}\n- rotate: {degrees: 9}"
    a, b, c = (drawn(plan_of(steps)) for steps in (one, more, mine_first))
    assert list(a) == ["rotate", "mine", "rotate#2"]
    assert list(b) == ["rotate", "rotate#2", "mine", "rotate#3"]
    assert a["mine"] == b["mine"]
    assert {**c} == a
    # The same number in [0, 1) of the same name, for another range.
    assert a["rotate#2"]["degrees"] / 9 == pytest.approx(b["rotate#2"]["degrees"] / 5, abs=1e-6)
    assert a["rotate#2"]["degrees"] / 9 != pytest.approx(a["rotate"]["degrees"] / 5, abs=1e-2)


def test_a_higher_p_keeps_the_samples_that_took_part():
    def took(p):
        return {i for i, s in enumerate(samples([{"to_gray": {"p": p}}], 300)) if s}

    assert took(0.0) == set()
    assert took(0.2) < took(0.3) < took(1.0) == set(range(300))
    assert 40 < len(took(0.2)) < 80


# --- the same plan ---------------------------------------------------------------------------------------------------

PROGRAM = """
import hashlib, json, sys
sys.path.insert(0, {tests!r})
from recipe_tools import frame_of
from augpipe.core.plan import to_json
from augpipe.recipe.planner import draw
from augpipe.recipe.load import load
digest = hashlib.blake2b()
for name in ("segmentation", "classification"):
    recipe = load(name)
    digest.update(recipe.digest.encode())
    for i in range(40):
        plan = draw(recipe, frame_of((161, 99), key=f"\\u00fc/{{i}}.jpg"), 7, i % 3)
        digest.update(json.dumps(to_json(plan)).encode())
print(digest.hexdigest())
"""


def test_the_same_plan_in_every_process():
    """Whatever the hash seed, the locale or the folder."""
    program = PROGRAM.format(tests=str(HELPERS))
    answers = set()
    for seed, locale, folder in [("0", "C", "/"), ("4711", "de_DE.UTF-8", ".")]:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "LANG": locale}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, cwd=folder, capture_output=True, text=True, check=True
        )
        answers.add(done.stdout.strip())
    import contextlib
    import io

    here = io.StringIO()
    with contextlib.redirect_stdout(here):
        exec(program, {})
    answers.add(here.getvalue().strip())
    assert len(answers) == 1


def test_seed_key_and_copy_each_make_another_plan():
    recipe = load("segmentation")
    plan = draw(recipe, frame_of(key="a.jpg"), 1, 0)
    assert draw(recipe, frame_of(key="a.jpg"), 1, 0) == plan
    assert plan.seed == 1
    others = [
        draw(recipe, frame_of(key="b.jpg"), 1, 0),
        draw(recipe, frame_of(key="a.jpg"), 2, 0),
        draw(recipe, frame_of(key="a.jpg"), 1, 1),
    ]
    assert all(other.drawn != plan.drawn for other in others)


def test_an_original_has_an_empty_plan():
    assert draw(load("segmentation"), frame_of(), 7, ORIGINAL) == Plan(7)


@pytest.mark.parametrize("name", [*shipped(), *OPERATIONS])
def test_labels_change_nothing_where_a_size_is_enough(name):
    recipe = load(name) if name in shipped() else recipe_of(f"- {OPERATIONS[name].example}")
    asking = {"bbox_safe_crop", "iou_crop", "object_crop", "object_cutout"}
    if not asking.isdisjoint(leaf.operation.name() for leaf in recipe.leaves()):
        return
    semantic = np.zeros((480, 640), np.uint8)
    semantic[100:200, 300:400] = 3
    frames = [
        frame_of(),
        frame_of(boxes=[(10, 20, 110, 120), (0, 0, 5, 5)]),
        Frame("photo.jpg", (640, 480), NOTHING.__class__(semantic=semantic)),
    ]
    for copy in range(20):
        first, *others = [draw(recipe, frame, 0, copy) for frame in frames]
        assert all(other == first for other in others)


# --- a frozen plan ---------------------------------------------------------------------------------------------------


def test_a_frozen_plan():
    assert draw(load("detection"), frame_of(), 0, 4) == from_json(FROZEN_PLAN)


FROZEN_PLAN = {
    "version": 1,
    "seed": 0,
    "steps": [
        {
            "kind": "warp",
            "matrix": [
                0.9072675704956055, -0.025710105895996094, -3.03403377532959,
                0.025710105895996094, 0.9072675704956055, 48.77960968017578, 0.0, 0.0, 1.0,
            ],
            "size_wh": [640, 480], "border": "constant", "fill": [0, 0, 0], "reduce": [1, 1],
        },
        {
            "kind": "colour",
            "stages": [
                {
                    "stage": "matrix",
                    "rows": [
                        1.1142578125, 0.0, 0.0, 0.0, 0.0, 1.1142578125, 0.0, 0.0, 0.0, 0.0, 1.1142578125, 0.0,
                    ],
                },
                {"stage": "contrast", "factor": 0.9429616125546956, "about": "mean"},
                {
                    "stage": "matrix",
                    "rows": [
                        1.0234375, -0.095703125, 0.072265625, 0.0, 0.03125, 1.0244140625, -0.0556640625, 0.0,
                        -0.2236328125, 0.1259765625, 1.09765625, 0.0,
                    ],
                },
            ],
        },
        {
            "kind": "noise",
            "std": 7.339931679787874,
            "reads": [[3767410, 430778, 2156819], [1015587, 515837, 930644]],
        },
    ],
    "drawn": [
        {
            "name": "affine",
            "parameters": {
                "rotate": 1.623186, "scale": 0.907631, "shear": 0.0, "shear_y": 0.0, "translate": [-0.060748, 0.072398],
            },
        },
        {
            "name": "color_jitter",
            "parameters": {"brightness": 1.113927, "contrast": 0.942962, "saturation": 1.08489, "hue": 0.023793},
        },
        {"name": "one_of/gaussian_noise", "parameters": {"std": 7.339932}},
    ],
}  # fmt: skip


def about(share):
    return pytest.approx(share, abs=0.03)
