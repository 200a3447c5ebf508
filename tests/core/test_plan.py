"""The JSON of plans: version 1 for one picture, version 2 where others are put on it."""

from __future__ import annotations

import json

import pytest

from augpipe.core import geometry as g
from augpipe.core.canvas import follow
from augpipe.core.plan import Drawn, Layer, Plan, from_json, to_json
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.field import Field
from augpipe.pixels.steps.warp import Warp

FLIP = Warp(matrix=g.mirror_x(40), size_wh=(40, 30))
HALF = Warp(matrix=g.scaling(0.5, 0.5), size_wh=(20, 15))
ALONE = Plan(7, (FLIP, Blur(sigma=1.5)), (Drawn("horizontal_flip", {}),))
COMPOSED = Plan(7, (FLIP,), (), (Layer("b.jpg", (HALF, Blur(sigma=1.0))), Layer("c.jpg")))


def test_a_plan_of_one_picture_is_written_as_version_1():
    text = json.dumps(to_json(ALONE))
    assert text == (
        '{"seed": 7, "steps": [{"kind": "warp", "matrix": [-1.0, 0.0, 40.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], '
        '"size_wh": [40, 30], "border": "constant", "fill": [0, 0, 0], "reduce": [1, 1]}, '
        '{"kind": "filter", "sigma": 1.5}], "drawn": [{"name": "horizontal_flip", "parameters": {}}], "version": 1}'
    )
    assert from_json(json.loads(text)) == ALONE
    assert ALONE.steps_alone() == ALONE.steps


def test_a_plan_with_layers_goes_there_and_back_as_version_2():
    value = json.loads(json.dumps(to_json(COMPOSED)))
    assert value["version"] == 2
    assert [layer["key"] for layer in value["layers"]] == ["b.jpg", "c.jpg"]
    assert from_json(value) == COMPOSED
    assert to_json(from_json(value)) == to_json(COMPOSED)


def test_a_plan_with_a_mesh_is_written_as_version_2():
    plan = Plan(7, (FLIP, Field(mesh_wh=(40, 30), grid_wh=(4, 4), control=(9,) * 32, size_wh=(40, 30))))
    value = json.loads(json.dumps(to_json(plan)))
    assert value["version"] == 2
    assert from_json(value) == plan
    with pytest.raises(ValueError, match="what is in it has version 2, it says 1"):
        from_json({**value, "version": 1})


def test_each_layer_has_a_canvas_of_its_own():
    first, second = (follow(layer.steps, (40, 30)) for layer in from_json(to_json(COMPOSED)).layers)
    assert (first.size_wh, first.map.matrix) == ((20, 15), HALF.matrix)
    assert (second.size_wh, second.moved) == ((40, 30), False)


def test_code_for_one_picture_refuses_layers():
    with pytest.raises(
        ValueError, match=r"^it has layers of other pictures \(b\.jpg, c\.jpg\), which is not supported"
    ):
        COMPOSED.steps_alone()


@pytest.mark.parametrize(("change", "message"), [
    ({"version": 3}, "plan version 3, expected 1 or 2"),
    ({"version": 3, "steps": [{"kind": "field"}]}, "plan version 3, expected 1 or 2"),
    ({"version": "x\ny"}, r"plan version x\\ny, expected 1 or 2"),
    ({"version": 1}, "not a plan: what is in it has version 2, it says 1"),
    ({"layers": [{"steps": []}]}, "not a plan: a layer lacks 'key'"),
    ({"seed": "a"}, "not a plan: "),
])  # fmt: skip
def test_what_is_no_plan_is_refused(change, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        from_json({**to_json(COMPOSED), **change})


@pytest.mark.parametrize("value", [None, [], "plan", {}])
def test_other_values_are_no_plan(value):
    with pytest.raises(ValueError, match=r"^not a plan: "):
        from_json(value)
