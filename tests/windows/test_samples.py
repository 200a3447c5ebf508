"""Labels of windows beside labels that were shifted and clipped by hand; what is in none; which empty tiles stay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augpipe.core.annotations import (
    Annotations,
    Category,
    Dropped,
    Frame,
    ObjectAttributes,
    ObjectRow,
    Rings,
    Rle,
    objects_of,
)
from augpipe.core.plan import to_json
from augpipe.labels.rle import rasterise
from augpipe.labels.rules import LabelRules
from augpipe.windows.samples import PlannedSamples, Rules, chosen, samples_of
from augpipe.windows.spec import ObjectWindows, Tiles, WindowSpec

CATEGORIES = {1: Category(1, 1, "ship"), 7: Category(7, 2, "person", keypoints=("nose", "tail"))}
Box = tuple[float, float, float, float]


def cut(
    spec: WindowSpec,
    annotations: Annotations,
    size_wh: tuple[int, int] = (250, 100),
    labels: LabelRules = LabelRules(min_area=0.0, min_side=0.0),  # noqa: B008 - frozen
    key: str = "a.png",
) -> PlannedSamples:
    return samples_of(spec, Frame(key, size_wh, annotations), 5, Rules(labels, CATEGORIES, 255))


def boxes(found: PlannedSamples) -> dict[int, list[tuple[int, list[float]]]]:
    """Number of a window → (index, box) of its objects."""
    return {
        s.number: [
            (i, b)
            for i, b in zip(
                s.labels.annotations.objects.index.tolist(),
                s.labels.annotations.objects.boxes_xyxy.tolist(),
                strict=True,
            )
        ]
        for s in found.samples
    }


def plain(*found: Box, **other: Any) -> Annotations:
    return Annotations(objects=objects_of([ObjectRow(i, 1, box) for i, box in enumerate(found)]), **other)


TILES = Tiles((100, 100), (20, 20))  # of 250×100: at x = 0, 80, 150


def test_boxes_are_shifted_and_clipped() -> None:
    found = cut(TILES, plain((10, 10, 30, 30), (70, 50, 95, 60), (90, 0, 240, 100)))
    assert boxes(found) == {
        0: [(0, [10, 10, 30, 30]), (1, [70, 50, 95, 60]), (2, [90, 0, 100, 100])],
        1: [(1, [0, 50, 15, 60]), (2, [10, 0, 100, 100])],
        2: [(2, [0, 0, 90, 100])],
    }
    shapes = {s.number: [round(shape.visible, 4) for shape in s.labels.shapes] for s in found.samples}
    assert shapes == {0: [1, 1, round(10 / 150, 4)], 1: [0.6, 0.6], 2: [0.6]}
    facts = {s.number: [f.truncated for f in s.labels.annotations.objects.facts] for s in found.samples}
    assert facts == {0: [None, None, 1], 1: [1, 1], 2: [1]}
    assert not found.lost


def test_the_plan_names_the_window() -> None:
    found = cut(TILES, plain())
    assert [list(to_json(s.plan)["drawn"]) for s in found.samples] == [
        [{"name": "tile", "parameters": {"number": n, "window_xyxy": [x, 0, x + 100, 100]}}]
        for n, x in enumerate((0, 80, 150))
    ]
    whole = cut(TILES, plain(), (60, 40))
    assert [(s.plan.steps, s.labels.size_wh) for s in whole.samples] == [((), (60, 40))]


def test_pieces_below_the_limit_are_told_by_the_tile_that_shows_them_and_nothing_else_is() -> None:
    found = cut(TILES, plain((10, 10, 30, 30), (70, 50, 95, 60)), labels=LabelRules(min_visibility=0.7))
    assert {s.number: [(d.index, d.reason, d.value) for d in s.labels.dropped] for s in found.samples} == {
        0: [],
        1: [(1, "min_visibility", 0.6)],
        2: [],
    }
    assert not found.lost


def test_an_object_in_no_tile_is_lost_with_the_reason_of_the_tile_that_shows_most() -> None:
    source = plain((0, 0, 250, 100), (10, 10, 20, 20), dropped=(Dropped(2, 1, "degenerate"),))
    found = cut(TILES, source, labels=LabelRules(min_visibility=0.5))
    assert [(d.index, d.reason, d.value) for d in found.lost] == [
        (0, "min_visibility", 0.4),
        (2, "degenerate", None),
    ]
    assert all(d.index != 2 for s in found.samples for d in s.labels.dropped)


def test_polygons_masks_keypoints_and_rasters_by_hand() -> None:
    square = Rings((np.array([[90.0, 10], [130, 10], [130, 30], [90, 30]]),))
    bitmap = np.zeros((100, 250), np.uint8)
    bitmap[40:60, 95:120] = 1
    mask = Rle((100, 250), _rle(bitmap))
    points = np.array([[105.0, 70, 2], [79, 70, 2]])
    rows = [
        ObjectRow(0, 1, (90, 10, 130, 30), segmentation=square),
        ObjectRow(1, 1, (95, 40, 120, 60), segmentation=mask, instance=3),
        ObjectRow(2, 7, (70, 60, 120, 80), keypoints=points, facts=ObjectAttributes(attributes={"text": "x"})),
    ]
    values = np.arange(250 * 100, dtype=np.int64).reshape(100, 250)
    semantic, instance = (values % 5).astype(np.uint8), bitmap * 3
    source = Annotations(objects=objects_of(rows), semantic=semantic, instance=instance)
    _, middle, _ = cut(TILES, source).samples
    picture = middle.labels.annotations
    assert picture.objects.index.tolist() == [0, 1, 2]
    assert picture.objects.boxes_xyxy.tolist() == [[10, 10, 50, 30], [15, 40, 40, 60], [0, 60, 40, 80]]
    ring = picture.objects.segmentation[0]
    assert isinstance(ring, Rings)
    assert sorted(map(tuple, ring.rings[0].tolist())) == [(10, 10), (10, 30), (50, 10), (50, 30)]
    seen = picture.objects.segmentation[1]
    assert isinstance(seen, Rle)
    np.testing.assert_array_equal(rasterise(seen, (100, 100)), bitmap[:, 80:180])
    known = picture.objects.keypoints[2]
    assert known is not None
    assert known.tolist() == [[25, 70, 2], [0, 0, 0]]
    assert picture.objects.facts[2].attributes == {"text": "x"}
    np.testing.assert_array_equal(picture.semantic, semantic[:, 80:180])
    np.testing.assert_array_equal(picture.instance, instance[:, 80:180])


def _rle(bitmap: np.ndarray) -> bytes:
    from pycocotools import mask

    counts: bytes = mask.encode(np.asfortranarray(bitmap))["counts"]
    return counts


def test_padded_tiles_have_the_full_size_and_void_beside_the_picture() -> None:
    source = plain((10, 10, 30, 30), semantic=np.ones((40, 60), np.uint8))
    (sample,) = cut(Tiles((100, 80), (0, 0), pad=True), source, (60, 40)).samples
    assert sample.labels.size_wh == (100, 80)
    assert boxes(cut(Tiles((100, 80), (0, 0), pad=True), source, (60, 40))) == {0: [(0, [10, 10, 30, 30])]}
    expected = np.full((80, 100), 255, np.uint8)
    expected[:40, :60] = 1
    np.testing.assert_array_equal(sample.labels.annotations.semantic, expected)


spans = st.tuples(st.floats(0, 249), st.floats(0.5, 120), st.floats(0, 99), st.floats(0.5, 60))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(spans, max_size=12),
    st.integers(20, 120),
    st.integers(0, 60),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_every_object_is_in_a_tile_or_lost(
    found: list[tuple[float, float, float, float]], side: int, overlap: int, visible: float, keep: float
) -> None:
    source = plain(*((x, y, min(250.0, x + w), min(100.0, y + h)) for x, w, y, h in found))
    spec = Tiles((side, side), (min(overlap, side // 2),) * 2, keep)
    made = cut(spec, source, labels=LabelRules(min_visibility=visible))
    kept = {index for rows in boxes(made).values() for index, _ in rows}
    lost = [d.index for d in made.lost]
    assert sorted([*kept, *lost]) == list(range(len(found)))
    for sample in made.samples:
        x0, y0, _, _ = sample.plan.drawn[0].parameters["window_xyxy"]
        w, h = sample.labels.size_wh
        for index, box in boxes(made)[sample.number]:
            a, b, c, d = source.objects.boxes_xyxy[index].tolist()
            by_hand = [max(a - x0, 0), max(b - y0, 0), min(c - x0, w), min(d - y0, h)]
            assert box == pytest.approx(by_hand, abs=1e-9)


# --- empty tiles -----------------------------------------------------------------------------------------------------


def test_empty_tiles_stay_by_their_share_and_pieces_are_no_background() -> None:
    wide = plain((0, 0, 30, 30), (985, 40, 1005, 60))  # of 20 tiles, the second one is cut by the border at 1000
    spec = Tiles((100, 100), (0, 0))
    assert [s.number for s in cut(spec, wide, (2000, 100)).samples] == list(range(20))
    none = cut(Tiles((100, 100), (0, 0), 0.0), wide, (2000, 100), LabelRules(min_visibility=0.3))
    assert [s.number for s in none.samples] == [0, 9]
    half = cut(Tiles((100, 100), (0, 0), 0.5), wide, (2000, 100), LabelRules(min_visibility=0.3))
    numbers = [s.number for s in half.samples]
    assert len(numbers) == 2 + 8 + (len(numbers) - 10)
    assert 10 <= len(numbers) <= 11  # half of 17, up or down
    assert 10 not in numbers  # shows a quarter of the second object
    assert half.left_out == 20 - len(numbers)


def test_the_share_of_empty_tiles_is_exact_over_many_pictures_and_grows_by_adding() -> None:
    counts = [len(chosen(range(7), 0.1, f"{n}.jpg", 0)) for n in range(2000)]
    assert {0, 1} == set(counts)
    assert sum(counts) == pytest.approx(1400, abs=3 * (2000 * 0.7 * 0.3) ** 0.5)
    assert all(len(chosen(range(40), 0.25, f"{n}", 3)) == 10 for n in range(50))  # a whole number is met
    for n in range(50):
        assert chosen(range(40), 0.1, f"{n}", 0) <= chosen(range(40), 0.3, f"{n}", 0)
    assert chosen(range(9), 0.0, "a", 0) == set()
    assert chosen(range(9), 1.0, "a", 0) == set(range(9))


@pytest.mark.parametrize(
    "other",
    [
        {"semantic": np.full((100, 250), 2, np.uint8)},
        {"panoptic": np.full((100, 250), 300, np.uint32)},
        {"tags": ("harbor",)},
    ],
)
def test_tiles_with_labels_of_other_kinds_are_not_empty(other: dict[str, Any]) -> None:
    assert len(cut(Tiles((100, 100), (20, 20), 0.0), plain(**other)).samples) == 3


def test_void_and_background_are_empty() -> None:
    semantic = np.zeros((100, 250), np.uint8)
    semantic[:, 150:] = 255
    assert not cut(Tiles((100, 100), (20, 20), 0.0), plain(semantic=semantic)).samples


# --- objects ---------------------------------------------------------------------------------------------------------


def _scene(others: Iterable[ObjectRow] = ()) -> Annotations:
    square = Rings((np.array([[90.0, 10], [130, 10], [130, 30], [90, 30]]),))
    rows = [
        ObjectRow(0, 1, (90, 10, 130, 30), segmentation=square, facts=ObjectAttributes(id=11, attributes={"a": 1})),
        ObjectRow(2, 7, (100, 20, 120, 80), keypoints=np.array([[105.0, 25, 2], [119, 79, 1]])),
        *others,
    ]
    return Annotations(objects=objects_of(rows), tags=("sunny",), captions=("two",), image_id=4)


def test_a_window_around_each_object_has_that_object_alone_and_its_class_as_tag() -> None:
    found = cut(ObjectWindows(0.1), _scene())
    assert [(s.number, s.labels.size_wh, s.labels.annotations.tags) for s in found.samples] == [
        (0, (48, 24), ("ship",)),
        (2, (24, 72), ("person",)),
    ]
    assert boxes(found) == {0: [(0, [4, 2, 44, 22])], 2: [(2, [2, 6, 22, 66])]}
    ship, person = (s.labels.annotations for s in found.samples)
    assert isinstance(ship.objects.segmentation[0], Rings)
    assert sorted(map(tuple, ship.objects.segmentation[0].rings[0].tolist())) == [(4, 2), (4, 22), (44, 2), (44, 22)]
    assert ship.objects.facts[0].id == 11
    assert ship.objects.facts[0].attributes == {"a": 1}
    assert ship.objects.facts[0].truncated is None
    assert person.objects.keypoints[0] is not None
    assert person.objects.keypoints[0].tolist() == [[7, 11, 2], [21, 65, 1]]
    assert (ship.captions, ship.image_id) == ((), 4)
    assert [s.plan.drawn[0].parameters["window_xyxy"] for s in found.samples] == [[86, 8, 134, 32], [98, 14, 122, 86]]
    assert not any(s.labels.dropped for s in found.samples)


def test_other_objects_of_the_window_are_kept_on_request() -> None:
    found = cut(ObjectWindows(0.0, others=True), _scene())
    assert boxes(found) == {
        0: [(0, [0, 0, 40, 20]), (2, [10, 10, 30, 20])],
        2: [(0, [0, 0, 20, 10]), (2, [0, 0, 20, 60])],
    }


def test_margins_in_pixels_and_squares() -> None:
    assert [s.labels.size_wh for s in cut(ObjectWindows(5.0, "pixels"), _scene()).samples] == [(50, 30), (30, 70)]
    assert [s.labels.size_wh for s in cut(ObjectWindows(0.0, square=True), _scene()).samples] == [(40, 40), (60, 60)]


def test_crowds_and_small_objects_get_no_window_and_are_named() -> None:
    others = [ObjectRow(3, 1, (0, 0, 50, 50), iscrowd=1), ObjectRow(4, 1, (0, 0, 50, 3.5))]
    found = cut(ObjectWindows(0.1, min_side=4.0), _scene(others))
    assert [s.number for s in found.samples] == [0, 2]
    assert [(d.index, d.reason, d.value) for d in found.lost] == [(3, "crowd", None), (4, "min_side", 3.5)]


def test_a_crowd_beside_an_object_is_in_a_sample_where_others_are_kept() -> None:
    crowd = [ObjectRow(3, 1, (0, 0, 250, 100), iscrowd=1)]
    assert [d.index for d in cut(ObjectWindows(), _scene(crowd)).lost] == [3]
    assert not cut(ObjectWindows(others=True), _scene(crowd)).lost


def test_only_its_own_pixels_of_an_instance_mask_stay() -> None:
    instance = np.zeros((100, 250), np.uint8)
    instance[10:30, 90:130], instance[20:80, 100:120] = 1, 2
    rows = [ObjectRow(0, 1, (90, 10, 130, 30), instance=1), ObjectRow(1, 1, (100, 20, 120, 80), instance=2)]
    found = cut(ObjectWindows(0.0), Annotations(objects=objects_of(rows), instance=instance))
    for number, sample in enumerate(found.samples, start=1):
        x0, y0, x1, y1 = sample.plan.drawn[0].parameters["window_xyxy"]
        own = instance[y0:y1, x0:x1]
        expected = np.where((own == number) | (own == 0), own, 255)
        np.testing.assert_array_equal(sample.labels.annotations.instance, expected)
