"""Drawing: plans that are the same everywhere, and steps that keep their numbers whatever happens around them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import HELPERS
from recipe_tools import NOTHING, drawn, frame_of, plan_of, recipe_of

from augpipe.core.annotations import Frame
from augpipe.core.canvas import follow
from augpipe.core.errors import Reject
from augpipe.core.plan import Plan, from_json, to_json
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.color import Color
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.jpeg_compress import JpegCompress
from augpipe.pixels.steps.noise import Noise
from augpipe.pixels.steps.warp import Warp
from augpipe.recipe import planner as drawing
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


# --- chance ----------------------------------------------------------------------------------------------------------


def shares(steps, count=3000):
    recipe = recipe_of(steps)
    counts = Counter()
    for copy in range(count):
        counts[tuple(drawn(draw(recipe, frame_of((9, 7)), 11, copy)))] += 1
    return {names: n / count for names, n in counts.items()}


def about(share):
    return pytest.approx(share, abs=0.03)


def test_one_of_follows_its_weights():
    steps = "  - to_gray: {weight: 1}\n  - gamma: {amount: 1, weight: 3}\n  - jpeg: {quality: 9, weight: 0}"
    got = shares(f"- one_of:\n{steps}")
    assert got == {("one_of/to_gray",): about(0.25), ("one_of/gamma",): about(0.75)}


def test_a_group_takes_part_by_its_p():
    assert shares("- one_of: [to_gray]\n  p: 0.3") == {(): about(0.7), ("one_of/to_gray",): about(0.3)}
    both = ("all_of/to_gray", "all_of/gamma")
    assert shares("- all_of: [to_gray, gamma: {amount: 1}]\n  p: 0.4") == {(): about(0.6), both: about(0.4)}


def test_all_of_gives_each_its_own_p():
    got = shares("- all_of: [to_gray: {p: 0.5}, gamma: {amount: 1, p: 0.2}]")
    assert got[()] == about(0.4)
    assert got["all_of/to_gray", "all_of/gamma"] == about(0.1)


def test_some_of_takes_as_many_as_n_in_recipe_order():
    steps = "- some_of: [to_gray, gamma: {amount: 1}, jpeg: {quality: 9}]\n  n: [0, 2]"
    names = ["some_of/to_gray", "some_of/gamma", "some_of/jpeg"]
    got = shares(steps)
    assert set(got) == {(), *((n,) for n in names), *((names[a], names[b]) for a, b in [(0, 1), (0, 2), (1, 2)])}
    for length, share in [(0, 1 / 3), (1, 1 / 9), (2, 1 / 9)]:
        assert all(got[names] == about(share) for names in got if len(names) == length)
    assert set(shares(steps.replace("[0, 2]", "3"), 50)) == {tuple(names)}
    assert set(shares(steps.replace("[0, 2]", "0"), 50)) == {()}


def test_groups_in_groups():
    got = shares("- one_of:\n  - all_of: [to_gray, gamma: {amount: 1, p: 0.5}]\n    weight: 3\n  - jpeg: {quality: 9}")
    assert got == {
        ("one_of/all_of/to_gray",): about(0.375),
        ("one_of/all_of/to_gray", "one_of/all_of/gamma"): about(0.375),
        ("one_of/jpeg",): about(0.25),
    }


def test_a_new_child_changes_the_choice_only_where_it_wins():
    before = recipe_of("- one_of: [to_gray, gamma: {amount: 1}, jpeg: {quality: 9}]")
    after = recipe_of("- one_of: [gaussian_blur: {sigma: 1}, to_gray, gamma: {amount: 1}, jpeg: {quality: 9}]")
    won = 0
    for copy in range(400):
        (a,), (b,) = (list(drawn(draw(r, frame_of(), 0, copy))) for r in (before, after))
        won += b == "one_of/gaussian_blur"
        assert b in (a, "one_of/gaussian_blur")
    assert 70 < won < 130


# --- plans as data ---------------------------------------------------------------------------------------------------


def is_json(value) -> bool:
    if isinstance(value, dict):
        return all(type(k) is str and is_json(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(is_json, value))
    return value is None or type(value) in (str, int, float, bool)


@pytest.mark.parametrize("name", [*shipped(), *OPERATIONS])
def test_plans_survive_json_exactly(name):
    recipe = load(name) if name in shipped() else recipe_of(f"- {OPERATIONS[name].example}")
    for copy in range(25):
        for size in [(640, 480), (37, 23), (1, 1)]:
            plan = draw(recipe, frame_of(size, [(0, 0, 1, 1)]), -3, copy)
            value = to_json(plan)
            assert is_json(value)
            text = json.dumps(value, allow_nan=False)
            assert from_json(json.loads(text)) == plan
            assert json.dumps(to_json(from_json(json.loads(text)))) == text
            assert not re.search(r"-0\.0(?!\d)", text)


# --- parameters ------------------------------------------------------------------------------------------------------

CANVASES = [(1, 1), (1, 500), (37, 23), (640, 480)]
SMALL = st.integers(1, 700)


def pairs(low: float, high: float) -> st.SearchStrategy:
    numbers = st.floats(low, high).map(lambda v: round(v, 3)).filter(lambda v: low <= v <= high)
    return numbers | st.lists(numbers, min_size=2, max_size=2).map(sorted)


def whole_pairs(low: int, high: int) -> st.SearchStrategy:
    numbers = st.integers(low, high)
    return numbers | st.lists(numbers, min_size=2, max_size=2).map(sorted)


SIZES = SMALL | st.tuples(SMALL, SMALL).map(list)
FILLS = st.integers(0, 255) | st.lists(st.integers(0, 255), min_size=3, max_size=3)


def just_one(**options) -> st.SearchStrategy:
    return st.one_of(*[strategy.map(lambda v, name=name: {name: v}) for name, strategy in options.items()])


PARAMETERS = {
    "rotate90": {"times": st.lists(st.integers(0, 3), min_size=1, max_size=4)},
    "rotate": {"degrees": pairs(-360, 360)},
    "affine": {
        "rotate": pairs(-360, 360), "scale": pairs(0.05, 20), "translate": pairs(-1, 1), "shear": pairs(-40, 40),
        "shear_y": pairs(-40, 40),
    },
    "perspective": {"scale": pairs(0, 0.24)},
    "resize": just_one(size=SIZES, longest=SMALL, shortest=st.integers(1, 60)),
    "pad": just_one(size=SIZES, multiple=SMALL, sides=st.integers(0, 9)),
    "letterbox": {"size": SIZES, "enlarge": st.booleans(), "fill": FILLS},
    "random_crop": {"size": SIZES},
    "random_resized_crop": {"size": SIZES, "scale": pairs(0.001, 1), "ratio": pairs(0.01, 100)},
    "bbox_safe_crop": {"size": SIZES, "least": st.floats(0, 1)},
    "brightness_contrast": {"brightness": pairs(-10, 10), "contrast": pairs(-10, 10)},
    "color_jitter": {
        "brightness": pairs(-10, 10), "contrast": pairs(-10, 10), "saturation": pairs(-10, 10), "hue": pairs(-0.5, 0.5),
    },
    "gamma": {"amount": pairs(0.05, 20)},
    "gaussian_blur": {"sigma": pairs(0.1, 50)},
    "gaussian_noise": {"std": pairs(0, 128)},
    "erase": {"count": whole_pairs(0, 9), "area": pairs(0, 1), "ratio": pairs(0.01, 100), "fill": FILLS},
    "jpeg": {"quality": whole_pairs(1, 100)},
    "center_crop": {"size": SIZES},
    "crop": {"box_xyxy": st.sampled_from([[0, 0, 9, 5], [-3, 2, 70, 4], [0.2, 0.1, 0.9, 1.0], [0.0, 0.0, 0.1, 0.1]])},
    "scale_jitter": {"size": SIZES, "scale": pairs(0.01, 4)},
    "random_scale": {"scale": pairs(0.01, 4)},
    "zoom_out": {"scale": pairs(1, 9)},
    "hsv": {"hue": pairs(-0.5, 0.5), "saturation": pairs(-10, 10), "value": pairs(-10, 10)},
    "rgb_shift": {"red": pairs(-255, 255), "green": pairs(-255, 255), "blue": pairs(-255, 255)},
    "color_temperature": {"kelvin": pairs(1667, 25000)},
    "sepia": {"amount": pairs(0, 1)},
    "posterize": {"bits": whole_pairs(1, 8)},
    "solarize": {"threshold": pairs(0, 256)},
    "tone_curve": {"strength": pairs(-0.3, 0.3)},
    "motion_blur": {"length": pairs(1, 62), "angle": pairs(0, 360), "lean": pairs(-1, 1)},
    "defocus": {"radius": pairs(0.5, 16)},
    "sharpen": {"amount": pairs(0, 5), "sigma": st.floats(0.3, 5)},
    "emboss": {"amount": pairs(0, 5)},
    "downscale": {"factor": whole_pairs(1, 64)},
    "shot_noise": {"strength": pairs(0, 64)},
    "iso_noise": {"strength": pairs(0, 32)},
    "speckle_noise": {"std": pairs(0, 0.5)},
    "salt_and_pepper": {"amount": pairs(0, 1), "salt": st.floats(0, 1)},
    "pixel_dropout": {"amount": pairs(0, 1)},
    "clahe": {"clip": pairs(0.1, 40), "tiles": st.integers(1, 32)},
    "autocontrast": {"cutoff": st.floats(0, 49.9)},
    "grid_dropout": {"unit": pairs(0.02, 1), "ratio": st.floats(0, 1)},
    "fog": {"strength": pairs(0, 1), "patchiness": st.floats(0, 1)},
    "rain": {"amount": pairs(0, 20), "length": pairs(0.001, 0.5), "angle": pairs(-80, 80), "width": pairs(0.25, 20)},
    "snow": {"amount": pairs(0, 20), "size": pairs(0.5, 50), "whiten": pairs(0, 0.33)},
    "shadow": {"count": whole_pairs(1, 10), "strength": pairs(0, 1)},
    "sun_flare": {"strength": pairs(0, 1), "size": pairs(0.02, 1), "circles": whole_pairs(0, 20)},
    "vignette": {"strength": pairs(0, 1)},
    "illumination": {"strength": pairs(0, 1)},
}  # fmt: skip
RANGES = {
    "rotate": ["degrees"], "affine": ["rotate", "scale", "translate", "shear", "shear_y"], "jpeg": ["quality"],
    "brightness_contrast": ["brightness", "contrast"], "color_jitter": ["brightness", "contrast", "saturation", "hue"],
    "gamma": ["amount"], "gaussian_blur": ["sigma"], "gaussian_noise": ["std"], "random_scale": ["scale"],
    "scale_jitter": ["scale"], "rgb_shift": ["red", "green", "blue"], "color_temperature": ["kelvin"],
    "sepia": ["amount"], "posterize": ["bits"], "solarize": ["threshold"], "motion_blur": ["length", "angle", "lean"],
    "defocus": ["radius"], "sharpen": ["amount"], "emboss": ["amount"], "downscale": ["factor"],
    "shot_noise": ["strength"], "iso_noise": ["strength"], "speckle_noise": ["std"], "salt_and_pepper": ["amount"],
    "pixel_dropout": ["amount"], "clahe": ["clip"], "fog": ["strength"], "snow": ["amount", "whiten"],
    "rain": ["amount", "length", "angle", "width"], "shadow": ["strength"], "sun_flare": ["strength"],
    "vignette": ["strength"], "illumination": ["strength"],
}  # fmt: skip
FACTORS = {("brightness_contrast", "brightness"), ("brightness_contrast", "contrast")}
FACTORS |= {("color_jitter", name) for name in ("brightness", "contrast", "saturation")}


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_drawn_lies_in_its_range_on_every_canvas(name):
    kinds = PARAMETERS.get(name, {})
    strategy = st.fixed_dictionaries(kinds) if isinstance(kinds, dict) else kinds

    @settings(max_examples=25, deadline=None)
    @given(strategy, st.sampled_from(CANVASES), st.integers(0, 10**6))
    def check(parameters, size_wh, copy):
        recipe = recipe_of([{name: parameters}])
        operation = recipe.nodes[0].operation
        plan = draw(recipe, frame_of(size_wh), 0, copy)
        for parameter, value in plan.drawn[0].parameters.items():
            if parameter not in RANGES.get(name, ()):
                continue
            low, high = getattr(operation, parameter)
            if (name, parameter) in FACTORS:
                low, high = max(0.0, 1.0 + low), max(0.0, 1.0 + high)
            for number in value if isinstance(value, list) else [value]:
                assert low - 1e-6 <= number <= high + 1e-6
        if name == "rotate90":
            assert plan.drawn[0].parameters["times"] in parameters["times"]
        check_steps(plan, size_wh)

    check()


def check_steps(plan: Plan, size_wh: tuple[int, int]) -> None:
    """What every plan must be, whatever drew it."""
    canvas = size_wh
    for step in plan.steps:
        if isinstance(step, Warp):
            assert all(type(v) is float and np.isfinite(v) for v in step.matrix)
            assert abs(np.linalg.det(np.array(step.matrix).reshape(3, 3))) > 0
            canvas = step.size_wh
            assert all(type(v) is int and v >= 1 for v in (*canvas, *step.reduce))
        elif isinstance(step, Cutout):
            for x0, y0, x1, y1 in step.boxes_xyxy:
                assert 0 <= x0 < x1 <= canvas[0]
                assert 0 <= y0 < y1 <= canvas[1]
        elif isinstance(step, Color):
            assert all(np.isfinite(v) for s in step.stages for v in getattr(s, "rows", (getattr(s, "amount", 1.0),)))
        elif isinstance(step, Blur):
            assert 0.1 <= step.sigma <= 50
        elif isinstance(step, Noise):
            assert 0 <= step.std <= 128
            assert 0 <= step.offset < 2**31
        elif isinstance(step, JpegCompress):
            assert 1 <= step.quality <= 100
        assert step.fault(10**9) is None
    assert canvas == follow(plan.steps, size_wh).size_wh


# --- canvases that cannot be -----------------------------------------------------------------------------------------


def test_a_canvas_that_is_too_large_is_a_reject():
    for steps, size_wh, expected in [
        ("- resize: {size: 8001}", (10, 10), "resize makes a canvas of 8001×8001; expected at most 64 megapixels"),
        ("- to_gray\n- resize: {shortest: 100, id: mine}", (1, 500), "mine makes a canvas of 100×50000"),
        ("- pad: {sides: 16000}", (1000, 10), "pad makes a canvas of 33000×32010; expected at most 64 megapixels and"),
    ]:
        with pytest.raises(Reject) as caught:
            draw(recipe_of(steps), frame_of(size_wh), 0, 0)
        assert expected in caught.value.message
        assert (caught.value.stage, caught.value.code, caught.value.transient) == ("plan", "too-large", False)


def test_a_large_source_may_keep_its_size():
    """Who lets larger pictures in than a canvas may be made, can flip them, and shrink them."""
    size = (10_000, 8_000)
    assert size[0] * size[1] > drawing.MOST_PIXELS
    assert draw(recipe_of("- horizontal_flip\n- to_gray\n- random_crop: {size: 512}"), frame_of(size), 0, 0).steps
    with pytest.raises(Reject):
        draw(recipe_of("- pad: {sides: 1}"), frame_of(size), 0, 0)


@pytest.mark.parametrize("end", ["", "- gaussian_blur: {sigma: 1}", "- bbox_safe_crop"])
def test_moves_that_shrink_a_picture_to_nothing_are_a_reject(end):
    steps = "- affine: {scale: 0.01}\n" * 4 + end
    with pytest.raises(Reject) as caught:
        draw(recipe_of(steps), frame_of(boxes=[(0, 0, 640, 480)]), 0, 0)
    assert (caught.value.stage, caught.value.code) == ("plan", "degenerate")
    assert caught.value.message == "the moves of 'x' shrink the picture to nothing"
