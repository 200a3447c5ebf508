"""The recipe meets the dataset: what is refused before any work, what is remarked, and which keypoints are pairs."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
from builders import CAT, coco, image, row, write_json, write_picture
from command_line import call
from recipe_tools import recipe_of
from runs import records, run

from augpipe.core.annotations import Annotations, Category
from augpipe.core.errors import RecipeError
from augpipe.formats.registry import open_dataset
from augpipe.recipe.compatibility import check, kinds_of
from augpipe.recipe.nodes import Leaf
from augpipe.recipe.operation.base import Operation, OpResult
from augpipe.recipe.operation.label_effects import LABEL_KINDS, LabelEffects
from augpipe.recipe.ops import OPERATIONS
from augpipe.run.compatibility import checked
from augpipe.run.dry_run import plans, samples

HAND = Category(1, 1, "hand", keypoints=("wrist", "thumb_a", "thumb_b", "palm_a", "palm_b"))
FACE = Category(2, 2, "face", keypoints=("nose", "left_eye", "right_eye"), flip_pairs=((1, 2),))
CLASSES = (HAND, FACE, Category(3, 3, "car"))


# --- classes and pairs that the recipe names -------------------------------------------------------------------------


@dataclass(frozen=True)
class Labelled:
    """A dataset in memory, as the check sees one."""

    categories: tuple[Category, ...] = CLASSES
    pictures: tuple[tuple[str, Annotations], ...] = ()
    has_places: bool = True
    may_lack_keypoint_names: bool = True

    def labels(self, most=None):
        return iter(self.pictures[:most])


def test_given_pairs_are_instead_of_those_that_the_names_tell():
    pairs = {"hand": [["thumb_a", "thumb_b"], ["palm_b", "palm_a"]], "face": []}
    hand, face, car = check(recipe_of("- to_gray", labels={"flip_pairs": pairs}), Labelled()).categories
    assert hand == replace(HAND, flip_pairs=((1, 2), (4, 3)))
    assert face == replace(FACE, flip_pairs=())
    assert car is CLASSES[2]


@pytest.mark.parametrize(("labels", "expected"), [
    ({"classes": {"hadn": {}}}, "x: labels.classes: no class 'hadn' in the dataset; did you mean 'hand'?"),
    ({"classes": {"hand": {}, "xyz": {}}}, "no class 'xyz' in the dataset; known are hand, face and car"),
    ({"flip_pairs": {"Face": []}}, "x: labels.flip_pairs: no class 'Face' in the dataset; did you mean 'face'?"),
    ({"flip_pairs": {"hand": [["thumb_a", "thumb_c"]]}}, "labels.flip_pairs.hand: no keypoint 'thumb_c'; did you mean"),
    ({"flip_pairs": {"car": [["a", "b"]]}}, "labels.flip_pairs.car: the keypoints of this class have no names in the"),
])  # fmt: skip
def test_names_that_are_not_there(labels, expected):
    found = check(recipe_of("- to_gray", labels=labels), Labelled())
    assert expected in found.refusals[0]
    assert found.categories == CLASSES
    with pytest.raises(RecipeError) as caught:
        found.require()
    assert str(caught.value) == "\n".join(found.refusals[:2])


def test_all_names_that_are_not_there_are_refused_at_once():
    labels = {"classes": {"x1": {}, "x2": {}}, "flip_pairs": {"hand": [["a", "b"]]}}
    found = check(recipe_of("- to_gray", labels=labels), Labelled())
    assert [refusal.partition("; ")[0] for refusal in found.refusals] == [
        "x: labels.classes: no class 'x1' in the dataset",
        "x: labels.classes: no class 'x2' in the dataset",
        "x: labels.flip_pairs.hand: no keypoint 'a'",
        "x: labels.flip_pairs.hand: no keypoint 'b'",
    ]


def test_two_classes_of_one_name_have_one_rule():
    both = (FACE, replace(FACE, id=9, label=3))
    found = check(recipe_of("- to_gray", labels={"flip_pairs": {"face": []}}), Labelled(both))
    assert [c.flip_pairs for c in found.categories] == [(), ()]
    recipe = recipe_of("- to_gray", labels={"flip_pairs": {"face": [["left_eye", "right_eye"]]}})
    found = check(recipe, Labelled((FACE, replace(FACE, id=9, label=3, keypoints=("nose", "left_eye")))))
    assert [refusal.partition("; ")[0] for refusal in found.refusals] == [
        "x: labels.flip_pairs.face: no keypoint 'right_eye'"
    ]


# --- left and right --------------------------------------------------------------------------------------------------


def test_which_recipes_mirror():
    mirroring = {"horizontal_flip", "vertical_flip", "transpose", "symmetry"}
    assert {name for name, cls in OPERATIONS.items() if cls.mirrors} == mirroring
    sided = Labelled((replace(FACE, flip_pairs=()),))
    assert check(recipe_of("- one_of: [to_gray, {all_of: [vertical_flip]}]"), sided).remarks != ()
    assert check(recipe_of("- horizontal_flip: {p: 0}\n- rotate: {degrees: 180}"), sided).remarks == ()


@pytest.mark.parametrize(("names", "told"), [
    (("nose", "tail"), None),
    (("left_eye", "right_eye"), None),
    (("left_eye", "nose"), "(left_eye)"),
    (("eyeL", "eyeR", "LEye", "REye", "l1", "r1", "l_2", "r_2"), None),
    (("eyeL", "LEye", "l1"), "(eyeL, LEye, l1)"),
    (("LEY", "REY"), "(LEY, REY)"),
    (("r_hand", "hand_R"), "(r_hand, hand_R)"),
    (("upper left", "lower left", "left one", "left two"), "(upper left, lower left, left one, …)"),
    (("leaf", "roof", "collar", "pillar"), None),
])  # fmt: skip
def test_which_classes_look_left_and_right(names, told):
    from augpipe.labels.keypoints import flip_pairs_of

    category = Category(1, 1, "thing", keypoints=names, flip_pairs=flip_pairs_of(names))
    found = check(recipe_of("- horizontal_flip"), Labelled((category,))).remarks
    assert len(found) == (told is not None)
    if told is not None:
        assert found[0].startswith(f"class 'thing': keypoints look left/right but have no pairs {told}; a mirrored pic")
    given = recipe_of("- horizontal_flip", labels={"flip_pairs": {"thing": []}})
    assert check(given, Labelled((category,))).remarks == ()


def dataset_of(tmp_path, category, **more):
    fields = {"keypoints": [4, 2, 2, 9, 3, 2], "num_keypoints": 2, **more}
    write_picture(tmp_path / "a.jpg")
    return write_json(tmp_path / "x.json", coco(rows=[row(**fields)], categories=[{**CAT, **category}]))


FLIP = "- horizontal_flip"


@pytest.mark.parametrize(("category", "steps", "labels", "expected"), [
    ({"keypoints": ["LEY", "REY"]}, FLIP, {}, ["class 'cat': keypoints look left/right but have no pairs (LEY, REY)"]),
    ({"keypoints": ["LEY", "REY"]}, "- to_gray", {}, []),
    ({"keypoints": ["LEY", "REY"]}, FLIP, {"flip_pairs": {"cat": [["LEY", "REY"]]}}, []),
    ({"keypoints": ["left_a", "right_a"]}, FLIP, {}, []),
    ({}, FLIP, {}, ["class 'cat': keypoints have no names, so none are known to be pairs"]),
    ({}, "- to_gray", {}, []),
])  # fmt: skip
def test_what_a_run_remarks_of_keypoints(tmp_path, category, steps, labels, expected):
    dataset = checked(open_dataset(str(dataset_of(tmp_path, category))), recipe_of(steps, labels=labels))
    assert len(dataset.remarks) == len(expected)
    assert all(remark.startswith(said) for remark, said in zip(dataset.remarks, expected, strict=True))


def test_a_class_without_keypoints_is_not_remarked(tmp_path):
    dataset = open_dataset(str(dataset_of(tmp_path, {}, keypoints=None, num_keypoints=None)))
    assert checked(dataset, recipe_of(FLIP)).remarks == ()


def test_given_pairs_are_swapped_and_in_the_manifest(tmp_path):
    source = dataset_of(tmp_path / "in", {"keypoints": ["L", "R"]})
    for name, pairs, expected in (
        ("given", [["L", "R"]], [11, 3, 2, 16, 2, 2]),
        ("none", [], [16, 2, 2, 11, 3, 2]),
    ):
        run(source, tmp_path / name, recipe_of(FLIP, labels={"flip_pairs": {"cat": pairs}}))
        (record,) = records(tmp_path / name).values()
        assert record["objects"][0]["keypoints"] == expected
        config = json.loads((tmp_path / name / "manifest.json").read_text())["config"]
        assert config["categories"][0].get("flip_pairs", []) == ([[0, 1]] if pairs else [])


@pytest.mark.parametrize(("border", "places", "told"), [
    ("constant", True, False), ("reflect", True, True), ("reflect", False, False),
])  # fmt: skip
def test_a_border_that_invents_picture_is_remarked_where_objects_have_places(border, places, told):
    found = check(recipe_of("- to_gray", border=border), Labelled(has_places=places))
    assert found.remarks == (
        ("border: reflect invents picture beyond the edge, whose objects have no labels",) if told else ()
    )


# --- steps that cannot carry a label ---------------------------------------------------------------------------------


class Smear(Operation):
    """An operation that is lost on polygons and crowds."""

    example = "smear"
    label_effects = LabelEffects(polygon="cannot", crowd="cannot")

    def draw(self, rng, canvas):
        return OpResult((), {})


del OPERATIONS["smear"]  # known to these tests alone


def smeared(p=1.0):
    return replace(recipe_of("- to_gray"), nodes=(Leaf("smear", Smear(p=p)),))


RING = {"segmentation": [[2, 1, 7, 1, 7, 5]]}
REFUSED = "smear cannot carry polygons, which a.jpg has; leave the step out"


def test_a_step_that_cannot_carry_a_label_is_refused_before_any_work(tmp_path):
    dataset = open_dataset(str(dataset_of(tmp_path / "in", {}, **RING)))
    for work in (
        lambda: checked(dataset, smeared()),
        lambda: next(plans(dataset, smeared(), 0, 1)),
        lambda: next(samples(dataset, smeared(), 0, 1)),
        lambda: run(tmp_path / "in" / "x.json", tmp_path / "out", smeared()),
    ):
        with pytest.raises(RecipeError) as caught:
            work()
        assert str(caught.value) == REFUSED
    assert not (tmp_path / "out").exists()


def test_the_commands_say_so_in_one_line(tmp_path, monkeypatch):
    source = dataset_of(tmp_path / "in", {}, **RING)
    monkeypatch.setattr("augpipe.recipe.load.load", lambda name, overrides=(): smeared())
    for command in (
        ["augment", source, tmp_path / "out"],
        ["plan", source],
        ["preview", source, "-o", tmp_path / "p.png"],
    ):
        result = call(*[*map(str, command), "-r", "x"])
        assert result.exit_code == 2
        assert [line for line in result.stderr.splitlines() if "augpipe" in line] == [f"augpipe: {REFUSED}"]
        assert result.stdout == ""


@pytest.mark.parametrize("more", [{}, {"segmentation": None}, {"bbox": "none"}])
def test_a_step_is_not_refused_where_nothing_hinders_it(tmp_path, more):
    dataset = open_dataset(str(dataset_of(tmp_path, {}, **more)))
    assert checked(dataset, smeared()).entries == dataset.entries


def test_a_step_that_never_takes_part_hinders_nothing(tmp_path):
    checked(open_dataset(str(dataset_of(tmp_path, {}, **RING))), smeared(p=0.0))


def test_the_kind_is_found_in_any_picture(tmp_path):
    images = [image(i, f"{i}.jpg") for i in range(60)]
    document = coco(images, [row(1, 0), row(2, 47, iscrowd=1)])
    with pytest.raises(RecipeError, match=r"smear cannot carry crowd flags, which 47\.jpg has"):
        checked(open_dataset(str(write_json(tmp_path / "x.json", document))), smeared())


def test_the_kinds_of_a_picture():
    from scenes import scene

    assert kinds_of(Annotations()) == set()
    assert kinds_of(scene(1)) == set(LABEL_KINDS)
