"""Policies against the published tables: those of torchvision, and of the paper on detection, written out here."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from oracles import import_torchvision, oracle
from PIL import Image, ImageEnhance
from recipe_tools import drawn, frame_of, outcome_of, recipe_of

from augpipe.core.errors import RecipeError
from augpipe.core.plan import Plan
from augpipe.pixels.reference import apply
from augpipe.recipe.idle import idle_steps
from augpipe.recipe.nodes import Group
from augpipe.recipe.planner import draw
from augpipe.recipe.policies.tables import sub_policies

oracle(import_torchvision)

from torchvision.transforms import autoaugment as outside  # noqa: E402

SIZE = (331, 240)
NAMES = {
    "shear": "Shear", "translate": "Translate", "rotate": "Rotate", "brightness": "Brightness", "color": "Color",
    "contrast": "Contrast", "sharpness": "Sharpness", "posterize": "Posterize", "solarize": "Solarize",
    "autocontrast": "AutoContrast", "equalize": "Equalize", "invert": "Invert",
}  # fmt: skip


def theirs(kind):
    name, _, axis = kind.rpartition("_")
    return NAMES[name] + axis.upper() if name else NAMES[kind]


def magnitude(leaf):
    """The magnitude of a step in torchvision's units, as (least, most)."""
    operation, kind = leaf.operation, leaf.operation.name()
    if kind in ("shear", "translate"):
        pair = max(operation.x, operation.y, key=lambda p: abs(p[1]))
        by_side = SIZE[0 if pair is operation.x else 1] if kind == "translate" and operation.unit == "share" else 1.0
        return tuple(v * by_side for v in pair)
    if kind == "brightness_contrast":
        return max(operation.brightness, operation.contrast, key=lambda p: abs(p[1]))
    fields = {"rotate": "degrees", "color_jitter": "saturation", "sharpness": "change", "posterize": "bits",
              "solarize": "threshold"}  # fmt: skip
    return getattr(operation, fields[kind]) if kind in fields else (0.0, 0.0)


def chosen(group):
    """(kind of theirs, magnitude) → probability under one choice, whose rest is the identity."""
    table, total = Counter(), sum(child.weight for child in group.children)
    for child in group.children:
        kind = child.path.rpartition("/")[2].partition("-")[0]
        table[theirs(kind), tuple(np.round(magnitude(child), 6))] += group.p * child.weight / total
    return table


@pytest.mark.parametrize("strength", [1, 9, 17, 30])
def test_rand_augment_is_torchvisions(strength):
    (policy,) = recipe_of([{"rand_augment": {"n": 3, "magnitude": strength}}]).nodes
    assert len(policy.children) == 3
    space = outside.RandAugment()._augmentation_space(31, (SIZE[1], SIZE[0]))
    expected, identity = Counter(), 0.0
    for name, (values, signed) in space.items():
        value = float(values[strength]) if values.ndim else 0.0
        if name == "Identity" or (name == "Posterize" and value == 8):
            identity += 1 / 14
        for sign in (1, -1) if signed else (1,):
            if name != "Identity" and not (name == "Posterize" and value == 8):
                expected[name, round(sign * value, 3)] += 1 / 14 / (2 if signed else 1)
    for group in policy.children:
        ours = chosen(group)
        assert 1 - sum(ours.values()) == pytest.approx(identity, abs=1e-6)
        assert {(k, round(v[0], 3)): p for (k, v), p in ours.items()} == pytest.approx(dict(expected), abs=1e-6)
        assert all(low == high for _, (low, high) in ours)


def test_trivial_augment_is_torchvisions():
    ((choice,),) = (node.children for node in recipe_of(["trivial_augment"]).nodes)
    space, ours = outside.TrivialAugmentWide()._augmentation_space(31), chosen(choice)
    by_kind = Counter()
    for (name, _), p in ours.items():
        by_kind[name] += p
    by_kind["Posterize"] += 3 / 31 / 14  # of eight bits, which is the identity
    assert by_kind == pytest.approx({name: 1 / 14 for name in space if name != "Identity"}, abs=1e-6)
    for name, (values, signed) in space.items():
        if name == "Posterize":
            bits = Counter(int(v) for v in values)
            assert {v[0]: p for (k, v), p in ours.items() if k == name} == pytest.approx(
                {b: n / 31 / 14 for b, n in bits.items() if b < 8}, abs=1e-6
            )
        elif values.ndim:
            ((low, high),) = [v for k, v in ours if k == name]
            assert sorted((low, high)) == pytest.approx(
                [-float(values.max()), float(values.max())] if signed else [float(values.min()), float(values.max())],
                abs=1e-4,
            )


@pytest.mark.parametrize("policy", ["imagenet", "cifar10", "svhn"])
def test_auto_augment_is_torchvisions(policy):
    auto = outside.AutoAugment(outside.AutoAugmentPolicy(policy))
    space = auto._augmentation_space(10, (SIZE[1], SIZE[0]))
    ((choice,),) = (node.children for node in recipe_of([{"auto_augment": {"policy": policy}}]).nodes)
    number = {child.path.rpartition("/")[2]: child for child in choice.children}
    for i, row in enumerate(auto.policies):
        expected = []
        for name, p, index in row:
            values, signed = space[name]
            value = float(values[index]) if index is not None else 0.0
            if p and not (name == "Posterize" and value == 8) and not (signed and value == 0.0):
                expected.append((name, p, sorted({value, -value} if signed else {value})))
        got = []
        for step in number[f"sub{i + 1}"].children if expected else ():
            kind = theirs(step.path.rpartition("/")[2].partition("-")[0])
            leaves = step.children if isinstance(step, Group) else (step,)
            got.append((kind, step.p, sorted(magnitude(leaf)[0] for leaf in leaves)))
        assert [(k, p) for k, p, _ in got] == [(k, p) for k, p, _ in expected]
        assert [v for *_, vs in got for v in vs] == pytest.approx([v for *_, vs in expected for v in vs], abs=1e-3)
    assert choice.p == pytest.approx(len(number) / 25)


# The paper's appendix and code: operation, probability, magnitude of 10.
V3 = [
    ("posterize", 0.8, 2, "translate_x", 1.0, 8), ("object_cutout", 0.2, 10, "sharpness", 1.0, 8),
    ("rotate", 0.6, 8, "rotate", 0.8, 10), ("equalize", 0.8, 10, "autocontrast", 0.2, 10),
    ("solarize_add", 0.2, 2, "translate_y", 0.2, 8), ("sharpness", 0.0, 2, "color", 0.4, 8),
    ("equalize", 1.0, 8, "translate_y", 1.0, 8), ("posterize", 0.6, 2, "rotate", 0.0, 10),
    ("autocontrast", 0.6, 0, "rotate", 1.0, 6), ("equalize", 0.0, 4, "cutout", 0.8, 10),
    ("brightness", 1.0, 2, "translate_y", 1.0, 6), ("contrast", 0.0, 2, "shear_y", 0.8, 0),
    ("autocontrast", 0.8, 10, "contrast", 0.2, 10), ("rotate", 1.0, 10, "cutout", 1.0, 10),
    ("solarize_add", 0.8, 6, "equalize", 0.8, 8),
]  # fmt: skip


def test_the_table_for_detection_is_the_papers():
    assert [tuple(value for member in row for value in member) for row in sub_policies("detection_v3")] == V3
    assert [len(row) for row in sub_policies("detection_v2")] == [3, 3, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]


def test_detection_magnitudes():
    ((choice,),) = (node.children for node in recipe_of([{"auto_augment": {"policy": "detection_v3"}}]).nodes)
    assert choice.p == pytest.approx(14 / 15)  # contrast with p 0, and a shear by nothing
    leaves = {leaf.path.partition("draw1/")[2]: leaf.operation for leaf in recipe_of(
        [{"auto_augment": {"policy": "detection_v3"}}]).leaves()}  # fmt: skip
    assert leaves["sub1/translate_x/translate_x-1"].x == (200.0, 200.0)
    assert leaves["sub1/translate_x/translate_x-2"].x == (-200.0, -200.0)
    assert leaves["sub2/sharpness"].change == pytest.approx((0.54, 0.54))  # a factor of 0.1 + 1.8·0.8
    assert leaves["sub2/object_cutout"].area == pytest.approx((0.5625, 0.5625))  # 0.75 of each side
    assert leaves["sub3/rotate/rotate-1"].degrees == (24.0, 24.0)
    assert leaves["sub10/cutout"].side == (200, 200)
    assert leaves["sub15/solarize_add"].add == (66, 66)


def test_boxes_follow_the_moves_of_a_policy():
    recipe = recipe_of([{"rand_augment": {"magnitude": 30}}])
    moved = [draw(recipe, frame_of((100, 80), [(40, 30, 60, 50)]), 5, copy) for copy in range(40)]
    assert any(step.__class__.__name__ == "Warp" for plan in moved for step in plan.steps)


@pytest.mark.parametrize("name", ["rand_augment", "trivial_augment", "auto_augment"])
def test_no_step_of_a_policy_is_idle(name):
    assert list(idle_steps(recipe_of([name]).nodes)) == []


@pytest.mark.parametrize("space", ["no_moves", "pixels"])
@pytest.mark.parametrize("policy", ["rand_augment", "trivial_augment"])
def test_spaces_without_moves_move_nothing(policy, space):
    recipe = recipe_of([{policy: {"space": space}}])
    assert not any(leaf.operation.label_effects.moves for leaf in recipe.leaves())


def test_a_policy_takes_what_groups_take_and_its_words_are_checked():
    recipe = recipe_of([{"one_of": [{"rand_augment": {"weight": 3, "id": "mine"}}, "to_gray"]}])
    paths = [(child.path, child.weight) for child in recipe.nodes[0].children]
    assert paths == [("one_of/mine", 3), ("one_of/to_gray", 1)]
    assert [n.path for n in recipe_of(["auto_augment", "auto_augment"]).nodes] == ["auto_augment", "auto_augment-2"]
    assert recipe_of("- rand_augment", "steps.rand_augment.n=1").nodes[0].children[1:] == ()
    for steps, message in (
        ([{"auto_augment": {"policy": "detection_v0"}}], "auto_augment.policy: expected imagenet, cifar10, svhn"),
        ([{"rand_augment": {"N": 2}}], "unknown name 'N' in rand_augment; did you mean 'n'?"),
        ([{"rand_augment": {"magnitude": 31}}], "rand_augment.magnitude: expected a whole number from 0 to 30"),
        (["rand_augmnt"], "did you mean 'rand_augment'?"),
        (["auto_augment", {"to_gray": {"id": "auto_augment"}}], "is called 'auto_augment' too"),
    ):
        with pytest.raises(RecipeError) as error:
            recipe_of(steps)
        assert message in str(error.value)


@pytest.mark.parametrize("factor", [0.1, 0.5, 1.4, 1.9])
def test_sharpness_is_pils(factor):
    picture = np.random.default_rng(3).integers(0, 256, (21, 17, 3), np.uint8)
    (effect,) = outcome_of("sharpness", (17, 21), change=[factor - 1, factor - 1]).effects
    ours = apply(picture, Plan(0, (effect.step,)).steps_alone())
    pils = np.asarray(ImageEnhance.Sharpness(Image.fromarray(picture)).enhance(factor))
    assert np.abs(ours[1:-1, 1:-1].astype(int) - pils[1:-1, 1:-1]).max() <= 1  # PIL leaves the outermost pixels


def test_members_in_units_of_the_papers():
    shear = outcome_of("shear", (100, 80), x=[0.3, 0.3]).effects[0].matrix
    assert shear[:3] == pytest.approx((1.0, 0.3, -0.3 * 40))  # the middle row stays
    shift = outcome_of("translate", (100, 80), y=[-7, -7], unit="pixels").effects[0].matrix
    assert (shift[2], shift[5]) == (0.0, -7.0)
    share = outcome_of("translate", (100, 80), x=[0.25, 0.25]).effects[0].matrix
    assert (share[2], share[5]) == (25.0, 0.0)
    for copy in range(20):
        (box,) = outcome_of("cutout", (100, 80), copy, side=20).effects[0].step.boxes_xyxy
        assert 10 <= box[2] - box[0] <= 20
        assert 0 <= box[0] < box[2] <= 100
    assert drawn(draw(recipe_of([{"cutout": {"side": 4}}]), frame_of(), 5, 0))["cutout"]["box_xyxy"]
