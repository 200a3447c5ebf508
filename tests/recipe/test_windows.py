"""Windows of a drawn shape, by arithmetic: inside the canvas, around what they must hold, and never a sliver."""

from __future__ import annotations

import json

import numpy as np
import pytest
from recipe_tools import drawn, frame_of, outcome_of, recipe_of

from augpipe.core.errors import RecipeError
from augpipe.recipe.planner import draw


def crops(steps, frame, count=300):
    recipe = recipe_of(steps)
    name = recipe.nodes[-1].path
    return np.array([drawn(draw(recipe, frame, 0, copy))[name]["box_xyxy"] for copy in range(count)])


def sides(boxes):
    return boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]


def windows(name, size_wh, count=300, **parameters):
    return np.array([outcome_of(name, size_wh, copy, **parameters).parameters["box_xyxy"] for copy in range(count)])


def check_inside(boxes, size_wh):
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= size_wh).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()


# --- bbox_safe_crop --------------------------------------------------------------------------------------------------

SIZES = [(640, 480), (480, 640), (1920, 1080), (333, 331)]
SMALL = (0.4, 0.4, 0.5, 0.55)  # of the canvas


def small_box(size_wh):
    w, h = size_wh
    return tuple(f * side for f, side in zip(SMALL, (w, h, w, h), strict=True))


@pytest.mark.parametrize("size_wh", SIZES)
@pytest.mark.parametrize("with_object", [True, False])
def test_a_bare_safe_crop_gives_no_slivers(size_wh, with_object):
    boxes = crops("- bbox_safe_crop", frame_of(size_wh, [small_box(size_wh)] if with_object else []))
    check_inside(boxes, size_wh)
    w, h = sides(boxes)
    assert (2 * w >= h).all()
    assert (w <= 2 * h).all()


@pytest.mark.parametrize("ratio", [1, [1, 1], [0.9, 1.1], [1.5, 3], [0.3, 0.4]])
@pytest.mark.parametrize("size_wh", SIZES)
def test_a_safe_crop_has_the_shape_asked_for_and_holds_the_objects(size_wh, ratio):
    box = small_box(size_wh)
    boxes = crops(f"- bbox_safe_crop: {{ratio: {ratio}}}", frame_of(size_wh, [box]))
    check_inside(boxes, size_wh)
    assert (boxes[:, :2] <= box[:2]).all()
    assert (boxes[:, 2:] >= box[2:]).all()
    w, h = sides(boxes)
    low, high = ratio if isinstance(ratio, list) else (ratio, ratio)
    assert (w >= low * h - 1e-6).all()
    assert (w <= high * h + 1e-6).all()
    assert len(set(map(tuple, boxes.tolist()))) > 200


def test_a_shape_that_objects_leave_no_room_for_is_the_nearest_that_is_possible():
    wide, tall = (0, 200, 640, 210), (300, 0, 310, 480)
    w, h = sides(crops("- bbox_safe_crop", frame_of((640, 480), [wide]), 60))
    assert set(w) == {640}
    assert h.min() >= 320
    assert set(map(tuple, crops("- bbox_safe_crop: {ratio: 0.5}", frame_of((640, 480), [wide]), 9).tolist())) == {
        (0, 0, 640, 480)
    }
    w, h = sides(crops("- bbox_safe_crop: {ratio: 3}", frame_of((640, 480), [tall]), 60))
    assert set(h) == {480}
    assert set(w) == {640}
    both = frame_of((640, 480), [(0, 0, 640, 480)])
    assert set(map(tuple, crops("- bbox_safe_crop: {ratio: 0.1}", both, 9).tolist())) == {(0, 0, 640, 480)}


def test_windows_whose_shape_was_fine_are_those_of_any_shape():
    """A range moves only the windows that lie outside it."""
    frame = frame_of((640, 480), [small_box((640, 480))])
    any_shape, narrow = (crops(f"- bbox_safe_crop: {{ratio: [{r}]}}", frame) for r in ("0.01, 100", "0.5, 2"))
    w, h = sides(any_shape)
    fine = (2 * w >= h) & (w <= 2 * h)
    assert 0.5 < fine.mean() < 0.95
    assert (any_shape[fine] == narrow[fine]).all()
    assert (any_shape[~fine] != narrow[~fine]).any(axis=1).all()


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 500), (500, 1), (3, 2), (30_000, 4)])
def test_safe_crops_of_odd_canvases(size_wh):
    for ratio in (0.01, 1, 100, [0.99, 1.01]):
        check_inside(windows("bbox_safe_crop", size_wh, 30, ratio=ratio), size_wh)


def test_the_canonical_form_of_a_run_from_before_there_was_a_ratio_draws_as_it_did():
    from augpipe import __version__
    from augpipe.verification.plan_checks import recipe_of as recipe_of_config

    recipe = recipe_of("- bbox_safe_crop")
    head = json.loads(recipe.canonical)
    assert head["steps"][0].pop("ratio") == [0.5, 2.0]
    older = json.dumps(head)
    config = {"versions": {"augpipe": __version__}, "recipe": {"canonical": older}}
    redrawn, frame = recipe_of_config(config), frame_of((640, 480), [(300, 200, 320, 230)])
    any_shape = recipe_of("- bbox_safe_crop: {ratio: [0.01, 100]}")
    for copy in range(60):
        assert draw(redrawn, frame, 0, copy) == draw(any_shape, frame, 0, copy)


# --- random_crop -----------------------------------------------------------------------------------------------------


def test_a_share_of_the_canvas():
    boxes = windows("random_crop", (1000, 1000), 500, scale=[0.1, 0.4], ratio=[0.5, 2])
    check_inside(boxes, (1000, 1000))
    w, h = sides(boxes)
    area = w * h / 1e6
    assert (area.min(), area.max()) == pytest.approx((0.1, 0.4), abs=0.006)
    assert area.mean() == pytest.approx(0.25, abs=0.01)
    assert (w >= 0.5 * h).all()
    assert (w <= 2 * h).all()
    assert np.median(w / h) == pytest.approx(1.0, abs=0.1)  # evenly in the logarithm
    assert np.quantile(w / h, 0.25) == pytest.approx(2**-0.5, abs=0.06)


def test_a_share_without_a_ratio_has_the_usual_shapes():
    w, h = sides(windows("random_crop", (640, 480), scale=[0.2, 0.6]))
    assert (w >= 0.75 * h).all()
    assert (w <= 4 / 3 * h).all()


def test_other_shapes_of_one_area():
    boxes = windows("random_crop", (640, 480), size=[200, 100], ratio=[0.5, 2])
    check_inside(boxes, (640, 480))
    w, h = sides(boxes)
    assert w * h == pytest.approx(20_000, rel=0.015)  # half a pixel of each side
    assert w.min() == pytest.approx(100, abs=2)
    assert w.max() == pytest.approx(200, abs=2)


def test_a_window_with_a_ratio_never_leaves_the_canvas():
    boxes = windows("random_crop", (64, 48), 40, size=640, ratio=[0.5, 2])
    assert set(map(tuple, boxes.tolist())) == {(0, 0, 64, 48)}
    boxes = windows("random_crop", (64, 48), 40, size=640, ratio=1)
    check_inside(boxes, (64, 48))
    assert set(map(tuple, np.transpose(sides(boxes)).tolist())) == {(48, 48)}
    w, h = sides(windows("random_crop", (640, 100), scale=1, ratio=[0.5, 2]))
    assert set(w) == {200}
    assert set(h) == {100}


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 500), (500, 1), (3, 2), (30_000, 4)])
def test_shares_of_odd_canvases(size_wh):
    for ratio in (0.01, 1, 100, [0.99, 1.01]):
        check_inside(windows("random_crop", size_wh, 30, scale=[0.0001, 1], ratio=ratio), size_wh)


# --- resize in one direction -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size_wh", "parameters", "shrunk", "grown"),
    [
        ((640, 480), {"longest": 320}, (320, 240), (640, 480)),
        ((640, 480), {"longest": 1280}, (640, 480), (1280, 960)),
        ((640, 480), {"longest": 640}, (640, 480), (640, 480)),
        ((640, 480), {"shortest": 240}, (320, 240), (640, 480)),
        ((640, 480), {"shortest": 960}, (640, 480), (1280, 960)),
        ((640, 480), {"size": [64, 48]}, (64, 48), (640, 480)),
        ((640, 480), {"size": [800, 480]}, (640, 480), (800, 480)),
        ((640, 480), {"size": [800, 300]}, (640, 480), (640, 480)),  # one side each way
        ((640, 480), {"size": [640, 300]}, (640, 300), (640, 480)),
    ],
)
def test_resize_in_one_direction(size_wh, parameters, shrunk, grown):
    for only, expected in (("shrink", shrunk), ("grow", grown)):
        outcome = outcome_of("resize", size_wh, only=only, **parameters)
        assert outcome.parameters == {"size": list(expected)}
        assert [effect.size_wh for effect in outcome.effects] in ([expected], [])
        plan = draw(recipe_of([{"resize": {**parameters, "only": only}}]), frame_of(size_wh), 0, 0)
        assert bool(plan.steps) == (expected != size_wh)
    assert outcome_of("resize", size_wh, **parameters).effects[0].size_wh in (shrunk, grown, (800, 300))


# --- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (
            "bbox_safe_crop: {ratio: 0}",
            "x.yaml:3: bbox_safe_crop.ratio: expected a number, or [low, high], from 0.01",
        ),
        (
            "bbox_safe_crop: {ratio: [2, 1]}",
            "bbox_safe_crop.ratio: expected the lower bound first, got [2, 1]",
        ),
        ("random_crop: {size: 9, ratio: '4:3'}", "x.yaml:3: random_crop.ratio: expected a number, or [low, high]"),
        ("random_crop: {ratio: 1}", "x.yaml:3: random_crop: expected exactly one of size, scale, got none"),
        ("random_crop", "x.yaml:3: random_crop: expected exactly one of size, scale, got none"),
        (
            "random_crop: {size: 9, scale: 1}",
            "random_crop: expected exactly one of size, scale, got size a",
        ),
        ("random_crop: {scale: 2}", "random_crop.scale: expected a number, or [low, high], from 0.0001 to 1"),
        ("resize: {longest: 9, only: down}", 'x.yaml:3: resize.only: expected shrink or grow, got "down"'),
        ("resize: {longest: 9, only: shirnk}", "got \"shirnk\"; did you mean 'shrink'?"),
        ("resize: {only: shrink}", "x.yaml:3: resize: expected exactly one of size, longest, shortest, got none"),
        (
            "letterbox: {size: 9, fill_after: yes please}",
            'letterbox.fill_after: expected true or false, got "yes pleas',
        ),
        ("pad: {sides: 9, fill_after: 1}", "x.yaml:3: pad.fill_after: expected true or false, got 1"),
        ("pad: {sides: 9, fil_after: true}", "unknown name 'fil_after' in pad; did you mean 'fill_after'?"),
    ],
)
def test_mistakes_are_named_with_line_and_way_out(step, expected):
    with pytest.raises(RecipeError) as caught:
        recipe_of(f"- {step}")
    assert expected in str(caught.value)


def test_what_uses_nothing_new_has_the_digest_that_it_had():
    """New parameters that are not given leave no trace in the canonical form, which a run's digest is made of."""
    recipe = recipe_of(
        "- random_crop: {size: 9}\n- resize: {longest: 9}\n- pad: {sides: 1, fill_after: false}\n- letterbox: {size: 9}"
    )
    for word in ("ratio", "scale", "only", "fill_after"):
        assert f'"{word}"' not in recipe.canonical
    assert recipe.digest == recipe_of(
        "- random_crop: {size: 9}\n- resize: {longest: 9}\n- pad: {sides: 1}\n- letterbox: {size: 9}"
    ).digest  # fmt: skip
