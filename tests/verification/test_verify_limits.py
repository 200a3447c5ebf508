"""`augpipe verify` on oriented boxes at the frame, on limits and on crowds: what is right, and what is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import photo
from forge import forged
from runs import recipe_of, run
from shard_folder import sample as shard_sample
from shard_folder import thing, write_folder
from verifying import first, problems, verified

MOVES = """
version: 1
labels: {%s}
steps:
  - horizontal_flip: {p: 0.5}
  - affine: {rotate: [-40, 40], scale: [0.6, 1.4], translate: 0.3%s}
  - erase: {count: 1, area: [0.02, 0.1], p: 0.4}
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Ships at any angle and their plain boxes, some of them tiny, one a crowd, some over the edge of the source."""
    rows = []
    for i in range(4):
        rng, things = np.random.default_rng(i), []
        for k in range(9):
            angle = rng.uniform(0, 2 * np.pi)
            turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
            half = rng.uniform((6, 3), (30, 12)) if k % 3 else rng.uniform(1.5, 3.0, 2)
            corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half @ turn + rng.uniform((10, 10), (90, 70))
            low, high = corners.min(axis=0), corners.max(axis=0)
            box = [*np.maximum(low, 0).tolist(), *np.minimum(high, (100, 80)).tolist()]
            more = {"obb": corners.tolist()} if k % 2 else {}
            things.append(thing(1 + k % 2, box, index=k, iscrowd=int(k == 4), **more))
        rows.append(shard_sample(i, photo((100, 80), i), objects=things))
    return write_folder(tmp_path_factory.mktemp("source") / "src", rows)


@pytest.mark.parametrize(("rules", "shear"), [
    ("min_visibility: 0.3, min_side: 4, min_area: 30", ""),
    ("obb: keep, min_side: 4", ", shear: 12"),
    ("obb: drop_centre, box: ellipse, min_area: 30", ""),
    ("below: ignore, min_visibility: 0.5, min_side: 6", ", shear: 12"),
    ("below: ignore, truncated: drop, min_area: 50", ""),
])  # fmt: skip
def test_what_augment_writes_is_accepted(source, tmp_path, rules, shear):
    run(source, tmp_path / "out", recipe_of(MOVES % (rules, shear)), copies=3, seed=3, originals=True)
    verdict = verified(tmp_path / "out", source)
    assert problems(verdict) == []
    assert {row.kind for row in verdict.rows} >= {"obb", "box obb"}


def test_a_recipe_of_color_drops_nothing(source, tmp_path):
    """Nor does an original, whatever the limits are."""
    recipe = "version: 1\nlabels: {min_side: 40, min_area: 9000, min_visibility: 1}\nsteps: [{gamma: {amount: 2}}]\n"
    out = run(source, tmp_path / "out", recipe_of(recipe), copies=2, seed=3, originals=True)
    assert (out.objects, out.dropped) == (4 * 9 * 3, {})
    assert problems(verified(tmp_path / "out", source)) == []


LIMITS = "min_visibility: 0.4, min_side: 5"


def a_copy_of(samples, has):
    return first(samples, lambda row: row["box_from"] != "source" and has(row))


def corners_at_the_frame_as_they_were(samples):
    _, row = a_copy_of(samples, lambda r: "obb" in r and r["visible"] < 0.7)
    middle = np.mean(row["obb"], axis=0)
    row["obb"] = np.round(middle + (np.array(row["obb"]) - middle) * 1.4, 3).tolist()


def another_first_side(samples):
    _, row = a_copy_of(samples, lambda r: "obb" in r and r.get("truncated", 0) == 0 and r["visible"] > 0.6)
    row["obb"] = [*row["obb"][1:], row["obb"][0]]


def another_first_side_of_the_rest(samples):
    def is_long(row):
        sides = np.hypot(*np.diff(row["obb"], axis=0).T) if "obb" in row else (1.0, 1.0)
        return "obb" in row and row["visible"] < 0.8 and max(sides) > 1.5 * min(sides)

    _, row = a_copy_of(samples, is_long)
    row["obb"] = [*row["obb"][2:], *row["obb"][:2]]


def moved_out(samples, has, reason, value):
    record, row = first(samples, has)
    record["objects"].remove(row)
    entry = {"index": row["index"], "category": row["category"], "reason": reason}
    record["dropped"].append(entry if value is None else {**entry, "value": value})
    record["dropped"].sort(key=lambda d: d["index"])


def a_crowd_dropped(samples):
    moved_out(samples, lambda r: r["iscrowd"] and r["visible"] > 0.2, "min_visibility", 0.3)


def a_small_one_of_the_source_dropped(samples):
    moved_out(samples, lambda r: r["box_from"] == "source" and r["area"] < 30, "min_side", 4.2)


def ignored_without_a_reason(samples):
    _, row = a_copy_of(samples, lambda r: r["visible"] == 1 and not r["iscrowd"])
    row.update(iscrowd=1, ignored="min_visibility")


def ignored_where_all_is_dropped(samples):
    _, row = a_copy_of(samples, lambda r: r["visible"] < 0.9 and not r["iscrowd"])
    row.update(iscrowd=1, ignored="min_visibility")


@pytest.mark.parametrize(("change", "rules", "said"), [
    (corners_at_the_frame_as_they_were, LIMITS, "obb: "),
    (another_first_side, LIMITS, "its oriented box begins at a"),
    (another_first_side_of_the_rest, LIMITS, "its oriented box begins at a side that points another way"),
    (a_crowd_dropped, LIMITS, "and it is a crowd"),
    (a_small_one_of_the_source_dropped, LIMITS, "was dropped as min_side, but"),
    (ignored_without_a_reason, f"{LIMITS}, below: ignore", "is to be ignored for min_visibility, but"),
    (ignored_where_all_is_dropped, LIMITS, "ignored is 'min_visibility', in the source None"),
])  # fmt: skip
def test_what_is_wrong_is_noticed(source, tmp_path, change, rules, said):
    run(source, tmp_path / "out", recipe_of(MOVES % (rules, "")), copies=2, seed=3, originals=True)
    found = problems(verified(forged(tmp_path / "out", tmp_path / "forged", change), source))
    assert [line for line in found if said in line] != [], found


def test_a_drop_where_regions_are_to_be_ignored_is_noticed(source, tmp_path):
    rules = f"{LIMITS}, below: ignore"
    recipe = (MOVES % (rules, "")).replace("p: 0.4", "p: 0")
    run(source, tmp_path / "out", recipe_of(recipe), copies=3, seed=3)

    def change(samples):
        def has(row):
            return row.get("ignored") == "min_visibility" and row["visible"] < 0.3 and row["area"] > 40

        moved_out(samples, has, "min_visibility", 0.2)

    found = problems(verified(forged(tmp_path / "out", tmp_path / "forged", change), source))
    assert [line for line in found if "what is below a limit is to be ignored" in line] != [], found


def test_a_limit_of_another_name_is_noticed_without_the_source(source, tmp_path):
    run(source, tmp_path / "out", recipe_of(MOVES % ("below: ignore, min_visibility: 0.5", "")), copies=3, seed=3)

    def change(samples):
        first(samples, lambda r: "ignored" in r)[1]["ignored"] = "min_depth"

    found = problems(verified(forged(tmp_path / "out", tmp_path / "forged", change)))
    assert [line for line in found if "ignored is min_depth, iscrowd 1, expected a limit and 1" in line] != [], found
