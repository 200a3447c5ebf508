"""``augpipe recipes`` as a user meets it."""

from __future__ import annotations

import json

import pytest
from command_line import call

from augpipe.cli import shared
from augpipe.recipe.groups import GROUPS, POLICIES
from augpipe.recipe.load import load, shipped
from augpipe.recipe.ops import OPERATIONS
from augpipe.recipe.reference_docs import usual_step
from augpipe.recipe.schema import recipe_schema


@pytest.fixture(autouse=True)
def no_traceback(monkeypatch):
    """``--debug`` is asked for once a process, and other tests ask."""
    monkeypatch.setattr(shared, "_debug", False)


def fine(*arguments: str) -> str:
    result = call("recipes", *arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def refused(*arguments: str) -> str:
    result = call("recipes", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("augpipe: ")
    assert len(result.stderr.splitlines()) <= 2
    return result.stderr


def test_list():
    lines = fine("list").splitlines()
    assert [line.split()[0] for line in lines] == list(shipped())
    assert all(len(line.split()) > 4 for line in lines)


@pytest.mark.parametrize("name", shipped())
def test_show_prints_a_recipe_that_can_be_loaded_again(name, tmp_path):
    path = tmp_path / f"{name}.yaml"
    path.write_text(fine("show", name))
    assert load(str(path)).digest == load(name).digest
    assert path.read_text() == shipped()[name]


def test_check_says_what_a_recipe_costs(tmp_path):
    assert fine("check", "detection") == "detection: fine, 5 operations, at most 1 warp a picture\n"
    path = tmp_path / "my.yaml"
    path.write_text("version: 1\nsteps: [to_gray]\n")
    assert fine("check", str(path)) == f"{path}: fine, 1 operation, at most 0 warps a picture\n"
    path.write_text("version: 1\nsteps: [horizontal_flip, jpeg: {quality: 9}, vertical_flip]\n")
    first, second = fine("check", str(path)).splitlines()
    assert first == f"{path}: fine, 3 operations, at most 2 warps a picture"
    assert (
        second == "a move behind blur, noise, erase, jpeg or 'cut: true' resamples the picture again; put moves first"
    )
    path.write_text("version: 1\nsteps: [perspective, elastic]\n")
    first, _, third = fine("check", str(path)).splitlines()
    assert first == f"{path}: fine, 2 operations, at most 2 warps a picture"
    assert third == "so does a mesh (elastic and the like) behind another, beside a perspective, or behind bars"


def test_check_with_overrides():
    fine("check", "detection", "--set", "steps.affine.rotate=[-5, 5]", "--set", "labels.min_side=4")
    assert "--set steps.affin.rotate=5: no step 'affin' in steps; did you mean 'affine'?" in refused(
        "check", "detection", "--set", "steps.affin.rotate=5"
    )


def test_check_names_file_and_line(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("version: 1\nsteps:\n  - rotate: {degree: 5}\n")
    message = refused("check", str(path))
    assert message == f"augpipe: {path}:3: unknown name 'degree' in rotate; did you mean 'degrees'?\n"


def test_an_unknown_recipe():
    assert "unknown recipe 'detect'; did you mean 'detection'?" in refused("show", "detect")
    assert "cannot read the recipe: no such file" in refused("check", "./none.yaml")


def test_operations_lists_all_in_a_line_each():
    head, *lines = fine("operations").splitlines()
    assert head.split() == ["NAME", "CATEGORY", "WHAT", "IT", "DOES"]
    assert sorted(line.split()[0] for line in lines) == sorted([*OPERATIONS, *GROUPS, *POLICIES])
    assert all(line.endswith(".") for line in lines)
    categories = [line.split()[1] for line in lines]
    assert [a for a, b in zip(categories, [*categories[1:], ""], strict=True) if a != b] == [
        "move", "color", "light", "blur", "noise", "compression", "paint", "group", "policy",
    ]  # fmt: skip


def test_operations_of_a_name_tells_its_parameters():
    text = fine("operations", "affine")
    assert text.startswith(
        "affine: Stretch, scale, shear, turn and shift about the centre, in that order; the canvas stays.\n"
    )
    for name in OPERATIONS["affine"].model_fields:
        assert f"\n  {name} " in text
    assert "a number, or [low, high], from 0.01 to 100 (default 1)" in text
    assert text.endswith(f"\nExample:\n  - {OPERATIONS['affine'].example}\n")
    assert "(required)" in fine("operations", "letterbox")
    assert "Expected: exactly one of size, longest and shortest." in fine("operations", "resize")


@pytest.mark.parametrize("name", [*OPERATIONS, *GROUPS, *POLICIES])
def test_the_example_that_is_printed_can_be_pasted(name, tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("version: 1\nsteps:" + fine("operations", name).partition("\nExample:")[2])
    assert any(leaf.path.startswith(name) for leaf in load(str(path)).leaves())


def test_operations_of_an_unknown_name():
    assert "unknown operation 'blur'; did you mean 'box_blur'?" in refused("operations", "blur")


def test_operations_of_ones_own_are_described_in_their_file():
    assert "an operation of one's own: its parameters are in its file" in refused("operations", "custom.scratches")


def test_schema():
    assert json.loads(fine("schema")) == recipe_schema()


def test_help_has_an_example():
    text = " ".join(call("recipes", "operations", "--help").output.split())
    assert "Example: augpipe recipes operations affine" in text


def test_check_tells_steps_that_do_nothing_with_their_lines(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("version: 1\nsteps:\n- affine: {rotate: 0}\n- to_gray: {p: 0}\n- horizontal_flip\n")
    first, *remarks = fine("check", str(path)).splitlines()
    assert first == f"{path}: fine, 3 operations, at most 1 warp a picture"
    assert remarks == [
        f"{path}:3: affine changes nothing (rotate: 0); '- affine' alone means {usual_step('affine')}",
        f"{path}:4: to_gray never takes part (p: 0); give p a value above 0, or leave the step out",
    ]


def test_operations_tells_what_a_bare_name_means():
    text = fine("operations", "affine")
    assert "By its name alone:\n  - affine: {rotate: 10, scale: [0.8, 1.2], translate: 0.1}\n" in text
    assert "By its name alone" not in fine("operations", "rotate")
    assert "(default [-15, 15])" in fine("operations", "rotate")
    assert "ratio" in fine("operations", "bbox_safe_crop")
    assert "default [0.5, 2]" in fine("operations", "bbox_safe_crop")
    assert "\nLabels:\n  boxed           boxes and parts\n" in fine("operations", "rotate")
    assert "\nLabels:\n  untouched       all\n" in fine("operations", "gamma")
    assert "only" in fine("operations", "resize")
    assert "fill_after" in fine("operations", "letterbox")


def test_check_of_several_recipes_tells_the_mistakes_of_all(tmp_path):
    good, bad, worse = (tmp_path / f"{name}.yaml" for name in ("good", "bad", "worse"))
    good.write_text("version: 1\nsteps: [to_gray]\n")
    bad.write_text("version: 1\nsteps:\n- rotate: {limit: 5}\n- CLAHE\n")
    worse.write_text("steps: [to_gray]\n")
    assert len(fine("check", str(good), "detection").splitlines()) == 2
    result = call("recipes", "check", str(bad), str(good), str(worse))
    assert result.exit_code == 2
    assert result.stdout == f"{good}: fine, 1 operation, at most 0 warps a picture\n"
    places = [line.removeprefix("augpipe: ").split(": ")[0].strip() for line in result.stderr.splitlines()]
    assert places == [f"{bad}:3", f"{bad}:4", f"{worse}:1"]
