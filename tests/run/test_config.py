"""The configuration of a run: what is refused, what it names, and how two of them are told apart for people."""

from __future__ import annotations

import json
import zlib
from importlib import metadata

import pytest
import shapely
from runs import recipe_of, run

from augpipe.core.errors import UsageError
from augpipe.formats.registry import open_dataset
from augpipe.recipe.load import load
from augpipe.recipe.nodes import Recipe
from augpipe.run import config
from augpipe.run.config import RunOptions, config_of, differences, sources_per_shard, versions

RECIPE = """version: 1
labels: {min_visibility: 0.1}
steps:
- horizontal_flip: {p: 0.5}
- affine: {rotate: [-15, 15], scale: [0.8, 1.2]}
- one_of:
  - gaussian_blur: {sigma: [0.3, 1.5]}
  - gaussian_noise: {std: [2, 12]}
  p: 0.3
"""


def configured(voc, recipe: Recipe, **options) -> dict:
    """As it is read back from run.json."""
    return json.loads(json.dumps(config_of(open_dataset(str(voc)), recipe, RunOptions(**options))))


def after(voc, changed: str, recipe: str = RECIPE, **options) -> list[str]:
    return differences(configured(voc, recipe_of(recipe)), configured(voc, recipe_of(changed), **options))


@pytest.mark.parametrize(
    ("copies", "pictures", "expected"),
    [(1, 1, 1), (1, 16, 1), (1, 17, 2), (1, 33, 3), (1, 40_000, 1000), (4, 40_000, 250), (2000, 40_000, 1), (0, 99, 7)],
)
def test_a_shard_has_about_a_thousand_samples_and_a_set_sixteen_shards(copies, pictures, expected):
    assert sources_per_shard(RunOptions(copies=copies), pictures) == expected
    assert sources_per_shard(RunOptions(copies=copies, sources_per_shard=5), pictures) == 5


# --- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pixels", [0, -1])
def test_a_limit_of_pixels_that_allows_none_is_refused(voc, tmp_path, pixels):
    with pytest.raises(UsageError, match=f"--max-pixels {pixels}: expected 1 or more"):
        run(voc, tmp_path / "out", max_pixels=pixels)
    assert not (tmp_path / "out").exists()
    RunOptions(max_pixels=1).check()


# --- versions --------------------------------------------------------------------------------------------------------


def test_versions_name_every_library_that_bytes_pass_through():
    found = versions()
    assert set(found) == {
        "augpipe", "numpy", "opencv", "jpeg", "pillow", "shapely", "geos", "pycocotools", "zlib"
    }  # fmt: skip
    assert all(found.values())
    for package in ("pillow", "shapely", "pycocotools"):
        assert found[package] == metadata.version(package)
    assert found["geos"] == shapely.geos_version_string
    assert found["zlib"] == zlib.ZLIB_RUNTIME_VERSION


def test_a_package_without_metadata_does_not_stop_a_run(monkeypatch):
    def missing(package):
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", missing)
    monkeypatch.setattr(config, "_version", config._version.__wrapped__)
    assert versions()["pillow"] == "unknown"


# --- what differs ----------------------------------------------------------------------------------------------------


def test_equal_configurations_differ_in_nothing(voc):
    assert after(voc, RECIPE) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("rotate: [-15, 15]", "rotate: [-5, 5]", ["recipe steps.affine.rotate: [-15, 15] → [-5, 5]"]),
        ("sigma: [0.3, 1.5]", "sigma: 2", ["recipe steps.one_of.gaussian_blur.sigma: [0.3, 1.5] → [2, 2]"]),
        ("p: 0.3", "p: 1", ["recipe steps.one_of.p: 0.3 → 1"]),
        ("visibility: 0.1", "visibility: 0.2", ["recipe labels.min_visibility: 0.1 → 0.2"]),
        ("- horizontal_flip: {p: 0.5}\n", "", ["recipe steps.horizontal_flip: removed"]),
        ("- one_of:", "- gamma: {amount: [0.8, 1.2]}\n- one_of:", ["recipe steps.gamma: added"]),
        ("affine: {", "affine: {id: turn, ", ["recipe steps.affine: removed", "recipe steps.turn: added"]),
        ("horizontal_flip: {p", "vertical_flip: {id: horizontal_flip, p",
         ["recipe steps.horizontal_flip: horizontal_flip → vertical_flip"]),
        ("version: 1\n", "# mine\nversion: 1\n", ["recipe text: has changed, its steps have not"]),
    ],
)  # fmt: skip
def test_recipes_are_compared_step_by_step(voc, old, new, expected):
    assert RECIPE.count(old) == 1
    assert after(voc, RECIPE.replace(old, new)) == expected


def test_steps_in_another_order_are_said_to_be(voc):
    one, two = "- horizontal_flip: {p: 0.5}\n", "- affine: {rotate: [-15, 15], scale: [0.8, 1.2]}\n"
    assert after(voc, RECIPE.replace(one + two, two + one)) == ["recipe steps: in another order"]


def test_another_recipe_is_named_and_comes_last(voc):
    found = differences(
        configured(voc, load("gentle")), configured(voc, load("detection"), seed=3, copies=2, max_pixels=9)
    )
    assert found[:3] == ["copies: 1 → 2", "reading.max_pixels: 64000000 → 9", "seed: 0 → 3"]
    assert found[3] == "recipe: gentle → detection"
    assert len(found) > 4
    assert all(line.startswith("recipe ") for line in found[4:])


def test_nothing_internal_is_shown(voc):
    changed = RECIPE.replace("15]", "5]").replace("gaussian_noise: {std: [2, 12]}", "jpeg: {quality: 50}")
    found = after(voc, changed)
    assert len(found) == 3
    assert not [line for line in found if "canonical" in line or "digest" in line or "\\" in line or len(line) > 110]


def test_a_recipe_of_another_version_is_no_traceback(voc):
    now = configured(voc, recipe_of(RECIPE))
    for canonical in (None, 3, "{", "[]", '{"steps": 3}', '{"steps": [3]}', '{"steps": [{}]}'):
        before = {**now, "recipe": {**now["recipe"], "canonical": canonical}}
        assert differences(before, now) == ["recipe: has changed"]
    assert differences({}, now)


def test_long_values_are_cut_where_they_part(voc):
    now = configured(voc, recipe_of(RECIPE))
    before = json.loads(json.dumps(now))
    before["categories"][-1]["name"] = "okapi"
    (line,) = differences(before, now)
    old, new = line.split(" → ")
    assert old.startswith("categories: …")
    assert "okapi" in old
    assert "okapi" not in new
    assert max(len(old), len(new)) < 60


def test_other_pictures_are_said_without_digests(voc):
    now = configured(voc, recipe_of(RECIPE))
    before = {**now, "source": {**now["source"], "fingerprint": "0" * 128}, "split": "train"}
    assert differences(before, now) == ["source: pictures or labels have changed", "split: train → none"]


def test_a_run_of_another_recipe_is_refused_with_the_step(voc, tmp_path):
    run(voc, tmp_path / "out", recipe_of(RECIPE))
    with pytest.raises(UsageError) as caught:
        run(voc, tmp_path / "out", recipe_of(RECIPE.replace("15", "5").replace("-5", "-6")))
    assert "(recipe steps.affine.rotate: [-15, 15] → [-6, 5])" in str(caught.value)
