"""There and back again, for every pair: what a format can hold comes back, and all else is told by number.

A small world is drawn, written in format A by a few plain lines, converted to B and back. After each conversion the
files are read by other plain lines, and must hold what the model of that format (trip_model.py) says is left; the
report must list what the model says is lost, each with its number, and nothing else.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import EXAMPLES as ONLY_READ
from command_line import call
from conversions import yolo_of
from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st
from runs import samples
from trip_files import READ, WRITE
from trip_model import NEW, Class, Points, Shot, Thing, World, held, region
from trip_worlds import WORLDS, within

from augpipe.conversion import convert
from augpipe.core.errors import RunError
from augpipe.formats.base import SourceOptions
from augpipe.formats.catalogue import pairs, targets
from augpipe.formats.writer import WriteOptions

FORMS = tuple(READ)
WITHOUT_KEYPOINTS = ("voc", "dota", "yolo:detect", "yolo:segment", "yolo:obb")
TRIPS = [
    (a, b)
    for a in FORMS
    for b in FORMS
    if a.partition(":")[0] != b.partition(":")[0] and not (b == "yolo:pose" and a in WITHOUT_KEYPOINTS)
]


def test_every_pair_has_a_trip():
    """Of formats of annotation tools ``check_commands`` converts a set to every target."""
    forms = {(a.partition(":")[0], b.partition(":")[0]) for a, b in TRIPS}
    forms |= {("shards", b.partition(":")[0]) for b in FORMS}
    one_way = {(name, target) for name in ONLY_READ for target in targets() if target != name}
    assert not forms & one_way
    one_way |= {("masks", target) for target in targets() if target != "masks"}  # test_mask_objects
    beside_their_writers = ("masks", "labelme", "csv", "kitti")  # tests/formats/NAME/test_write_*.py
    one_way |= {(a, b) for a in {a.partition(":")[0] for a in FORMS} | {"shards"} for b in beside_their_writers}
    to_shards = {pair for pair in pairs() if pair.endswith("-to-shards")}  # test_convert_to_shards
    assert {f"{a}-to-{b}" for a, b in forms | one_way} == set(pairs()) - to_shards


def turned(source: Path, before: str, target: Path, after: str) -> dict[str, int]:
    """Convert, and give the losses that were told."""
    to, _, kind = after.partition(":")
    report = convert(
        str(source), target, to, SourceOptions(format=before.partition(":")[0]), write=WriteOptions(kind=kind or None)
    )
    assert (report.lost, report.unseen, report.dropped) == ([], [], 0)
    assert not report.notes
    return dict(report.losses)


def all_lost(world: World, left: World) -> bool:
    """Whether there were objects, or labels of pictures alone, and none is left: then nothing is written."""
    kinds = [tuple(any(map(has, w.shots)) for has in (_has_things, _has_labels_alone)) for w in (world, left)]
    (things, others), (things_left, others_left) = kinds
    return not things_left if things else others and not others_left


def _has_things(shot: Shot) -> bool:
    return bool(shot.things)


def _has_labels_alone(shot: Shot) -> bool:
    return bool(shot.captions) or shot.semantic


def is_refused(source: Path, before: str, target: Path, after: str) -> None:
    with pytest.raises(RunError, match=r"none of \d+ objects? can be written|no label can be written"):
        turned(source, before, target, after)
    assert not target.exists()


def way_back(before: str, by: str) -> str:
    """Where the keypoints stayed behind, rows hold boxes."""
    return "yolo:detect" if before == "yolo:pose" and by in WITHOUT_KEYPOINTS else before


@pytest.mark.parametrize(("before", "by"), TRIPS, ids=[f"{a}-{b}-{a}" for a, b in TRIPS])
def test_there_and_back(before, by, tmp_path_factory):
    @fuzzed(8)
    @given(data=st.data())
    def trip(data: Any) -> None:
        world = data.draw(WORLDS[before].filter(lambda w: has_keypoints(w) or by != "yolo:pose"))
        folder = tmp_path_factory.mktemp("trip")
        WRITE[before](world, folder / "one", lambda n: data.draw(st.integers(0, n - 1)))
        there, lost = held(by, world)
        if all_lost(world, there):
            is_refused(folder / "one", before, folder / "two", by)
            return
        assert turned(folder / "one", before, folder / "two", by) == lost
        require_same(READ[by](folder / "two"), there)
        back = way_back(before, by)
        again, lost = held(back, there)
        if all_lost(there, again):
            is_refused(folder / "two", by, folder / "three", back)
            return
        assert turned(folder / "two", by, folder / "three", back) == lost
        require_same(READ[back](folder / "three"), again)

    trip()


def test_a_mask_with_a_hole_of_one_pixel(tmp_path):
    """YOLO has one ring for it, which goes to the hole and back."""
    mask = np.ones((29, 42), bool)
    mask[11, 17] = False
    thing = Thing("cat", (0.0, 0.0, 42.0, 29.0), mask=mask, id=1, class_id=1)
    world = World((Class(1, "cat"),), (Shot("a.jpg", (42, 29), (thing,), id=1),))
    WRITE["coco"](world, tmp_path / "one", lambda n: 0)
    there, lost = held("yolo:segment", world)
    assert turned(tmp_path / "one", "coco", tmp_path / "two", "yolo:segment") == lost
    (found,) = READ["yolo:segment"](tmp_path / "two").shots[0].things
    for thing in (there.shots[0].things[0], found):
        assert region(thing).area == pytest.approx(29 * 42 - 1)


# --- by way of shards ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", FORMS)
def test_originals_in_shards_go_to_every_format(after, tmp_path_factory):
    """Pictures as they are, written by ``augment`` and turned into a dataset again."""
    befores = [form for form in FORMS if after != "yolo:pose" or form not in WITHOUT_KEYPOINTS]

    @fuzzed(5)
    @given(data=st.data())
    def trip(data: Any) -> None:
        before = data.draw(st.sampled_from(befores))
        world = data.draw(
            WORLDS[before].map(partial(within, before)).filter(lambda w: has_keypoints(w) or after != "yolo:pose")
        )
        folder = tmp_path_factory.mktemp("trip")
        WRITE[before](world, folder / "one", lambda n: data.draw(st.integers(0, n - 1)))
        run = call(
            "augment", folder / "one", folder / "run", "--from", before.partition(":")[0], "-r", "gentle",
            "--copies", 0, "--originals", "-w", 0, "--max-rejects", 0,
        )  # fmt: skip
        assert run.exit_code == 0, run.output
        run_world = in_shards(world, folder / "run")
        there, lost = held(after, without_ids(run_world) if after == "coco" else run_world)  # copies would share them
        if all_lost(run_world, there):
            is_refused(folder / "run", "shards", folder / "two", after)
            return
        assert turned(folder / "run", "shards", folder / "two", after) == lost
        require_same(READ[after](folder / "two"), there)

    trip()


def has_keypoints(world: World) -> bool:
    return any(one.keypoints for one in world.classes)


def in_shards(world: World, folder: Path) -> World:
    """The same under the names of samples, which are the source's files and so have its endings.

    A record has three decimals, and no nulls: what is unknown is not there.
    """
    records = [json.loads(members["json"]) for members in samples(folder).values()]
    keys = {record["source"]["key"]: record["key"] for record in records}
    shots = []
    for shot in world.shots:
        things = tuple(replace(t, fields=without_nulls(t.fields), rings=rounded(t.rings)) for t in shot.things)
        name = f"{keys[shot.name]}.{shot.name.rpartition('.')[2].lower()}"
        shots.append(replace(shot, name=name, things=things, fields=without_nulls(shot.fields)))
    return World(world.classes, tuple(shots))


def rounded(rings: tuple[Points, ...]) -> tuple[Points, ...]:
    return tuple(tuple((round(x, 3), round(y, 3)) for x, y in ring) for ring in rings)


def without_ids(world: World) -> World:
    shots = (replace(s, id=None, things=tuple(replace(t, id=None) for t in s.things)) for s in world.shots)
    return replace(world, shots=tuple(shots))


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(v) for v in value if v is not None] if isinstance(value, list) else value


# --- comparing -------------------------------------------------------------------------------------------------------


def require_same(found: World, expected: World) -> None:
    assert {s.name for s in found.shots} == {s.name for s in expected.shots}
    by_name = {s.name: s for s in found.shots}
    for shot in expected.shots:
        same_shot(by_name[shot.name], shot)
    if any(one.keypoints or one.supercategory for one in expected.classes):
        assert [vars(c) for c in sorted(found.classes, key=lambda c: c.id)] == [
            vars(c) for c in sorted(expected.classes, key=lambda c: c.id)
        ]


def same_shot(found: Shot, expected: Shot) -> None:
    assert found.size_wh == expected.size_wh
    assert found.fields == expected.fields
    assert expected.id in (found.id, NEW, None)
    assert [t.name for t in found.things] == [t.name for t in expected.things]
    for one, other in zip(found.things, expected.things, strict=True):
        same_thing(one, other)


def same_thing(found: Thing, expected: Thing) -> None:
    assert found.box == pytest.approx(expected.box, abs=1e-6)
    for facet in ("crowd", "flags", "pose", "fields"):
        assert getattr(found, facet) == getattr(expected, facet), facet
    near = {"keypoints": 3, "corners": 2}
    for facet, width in near.items():
        one, other = getattr(found, facet), getattr(expected, facet)
        assert (one is None) == (other is None), facet
        if one is not None:
            assert np.reshape(one, (-1, width)) == pytest.approx(np.reshape(other, (-1, width)), abs=1e-6)
    assert [name for name, _ in found.parts] == [name for name, _ in expected.parts]
    for (_, one), (_, other) in zip(found.parts, expected.parts, strict=True):
        assert one == pytest.approx(other, abs=1e-6)
    assert (found.mask is None) == (expected.mask is None)
    if expected.mask is not None:
        assert np.array_equal(found.mask, expected.mask)
    assert bool(found.rings) == bool(expected.rings)
    if expected.rings:
        assert (region(found) ^ region(expected)).area < 1e-3


def test_a_kind_that_was_asked_for_is_that_of_the_whole_run(tmp_path):
    """What rows hold is part of the format's name in a run, so verify and a resumed run read them alike."""
    source = yolo_of(tmp_path / "set", a="0 .1 .1 .5 .1 .5 .5 .1 .5\n")
    for kind, label in (("segment", "polygons"), ("obb", "obb")):
        out: Path = tmp_path / kind
        command = ["augment", source, out, "-r", "detection", "-w", 0, "--from", f"yolo:{kind}"]
        assert call(*command).exit_code == 0
        assert "nothing to do" in call(*command).output
        assert f'"{label}":' in call("inspect", out, "--from", "shards", "--json").output
        result = call("verify", out, "--against", source)
        assert result.exit_code == 0, result.output
