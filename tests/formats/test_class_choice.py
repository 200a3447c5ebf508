"""Classes that are chosen, merged and renamed: every kind of label follows, and what goes is counted and named."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from augpipe.core.annotations import Annotations, Category, Dropped, ObjectRow, objects_of
from augpipe.core.errors import DatasetError
from augpipe.formats.base import Dataset, Entry, SourceOptions, read_labels
from augpipe.formats.class_choice import ClassChoice, chosen


@dataclass(frozen=True)
class Given:
    """A reader whose entries carry their labels."""

    def annotations(self, entry: Entry) -> Annotations:
        return entry.annotation


EYES = ("left", "right")
CATEGORIES = (
    Category(2, 1, "cat", supercategory="animal", keypoints=EYES, skeleton=((1, 2),), flip_pairs=((0, 1),)),
    Category(5, 2, "dog", supercategory="animal", keypoints=("nose", *EYES[::-1])),
    Category(9, 3, "car", supercategory="vehicle"),
)


def row(index: int, category_id: int, **columns) -> ObjectRow:
    return ObjectRow(index, category_id, (index, 0.0, index + 1.0, 1.0), **columns)


def labels(*rows: ObjectRow, **kinds) -> Annotations:
    return Annotations(objects=objects_of(rows), **kinds)


def dataset(*pictures: Annotations, format: str = "coco", categories=CATEGORIES) -> Dataset:
    entries = [Entry(f"{i}.jpg", None, a, f"{i}.json") for i, a in enumerate(pictures)]
    return Dataset.of(format, "root", categories, entries, Given(), SourceOptions(format=format))


def read(made: Dataset) -> list[Annotations]:
    reader = pickle.loads(pickle.dumps(made.reader))  # as it goes to workers
    return [read_labels(reader, entry) for entry in made.entries]


def told(made: Dataset) -> list[tuple[int, int, str]]:
    return sorted((c.label, c.id, c.name) for c in made.categories)


def test_labels_follow_the_order_that_is_asked_and_ids_stay_those_of_the_source():
    source = dataset(labels(row(0, 2), row(1, 5), row(2, 9)), labels(row(0, 5)))
    made = chosen(source, ClassChoice(("car", "cat")))
    assert told(made) == [(1, 9, "car"), (2, 2, "cat")]
    first, second = read(made)
    assert first.objects.category_id.tolist() == [2, 9]
    assert first.objects.index.tolist() == [0, 2]
    assert len(second.objects) == 0


def test_what_is_left_out_is_counted_by_class_with_an_example():
    source = dataset(labels(row(0, 2), row(1, 5), row(2, 9)), labels(row(0, 5), dropped=(Dropped(1, 5, "degenerate"),)))
    (remark,) = chosen(source, ClassChoice(("cat",))).remarks
    assert remark == (
        "left out: 2 classes that are not chosen; objects: 3 of 'dog' (as in 0.jpg), 1 of 'car' (as in 0.jpg)"
    )
    assert read(chosen(source, ClassChoice(("cat",))))[1].dropped == ()
    unused = dataset(labels(row(0, 2)), categories=CATEGORIES[:2])
    (remark,) = chosen(unused, ClassChoice(("cat",))).remarks
    assert remark == "left out: 1 class that is not chosen, of which there is no object"


def test_a_format_without_ids_counts_them_from_1():
    categories = [Category(i, i, name) for i, name in enumerate(("a", "b", "c"), start=1)]
    source = dataset(labels(row(0, 1), row(1, 2), row(2, 3)), format="yolo", categories=categories)
    made = chosen(source, ClassChoice(("c", "a")))
    assert told(made) == [(1, 1, "c"), (2, 2, "a")]
    assert read(made)[0].objects.category_id.tolist() == [2, 1]


def test_classes_of_one_name_become_one_with_the_id_of_the_one_that_had_it():
    source = dataset(labels(row(0, 2), row(1, 9), dropped=(Dropped(2, 9, "degenerate"),)))
    made = chosen(source, ClassChoice(rename={"car": "cat"}))
    assert told(made) == [(1, 2, "cat"), (2, 5, "dog")]
    assert made.categories[0].supercategory is None  # they had two
    (found,) = read(made)
    assert found.objects.category_id.tolist() == [2, 2]
    assert [d.category_id for d in found.dropped] == [2]
    new = chosen(source, ClassChoice(("thing",), {"car": "thing", "dog": "thing", "cat": "thing"}))
    assert told(new) == [(1, 2, "thing")]


def test_names_change_at_once_and_not_one_after_the_other():
    made = chosen(dataset(labels()), ClassChoice(rename={"cat": "dog", "dog": "cat"}))
    assert told(made) == [(1, 2, "dog"), (2, 5, "cat"), (3, 9, "car")]


def test_classes_that_share_a_name_stay_apart_until_the_name_is_asked_for():
    twice = (Category(1, 1, "cat"), Category(2, 2, "cat"), Category(3, 3, "dog"))
    source = dataset(labels(row(0, 1), row(1, 2), row(2, 3)), categories=twice)
    apart = chosen(source, ClassChoice(rename={"dog": "hound"}))
    assert told(apart) == [(1, 1, "cat"), (2, 2, "cat"), (3, 3, "hound")]
    one = chosen(source, ClassChoice(("dog", "cat")))
    assert told(one) == [(1, 3, "dog"), (2, 1, "cat")]
    assert read(one)[0].objects.category_id.tolist() == [1, 1, 3]


def test_keypoints_of_a_merged_class_keep_their_names():
    points = np.array([[1.0, 1.0, 2.0], [2.0, 2.0, 2.0], [3.0, 3.0, 1.0]])  # nose, right, left
    own = np.array([[7.0, 7.0, 2.0], [8.0, 8.0, 2.0]])
    source = dataset(labels(row(0, 2, keypoints=own), row(1, 5, keypoints=points)))
    made = chosen(source, ClassChoice(rename={"dog": "cat"}))
    assert (made.categories[0].keypoints, made.categories[0].flip_pairs) == (EYES, ((0, 1),))
    (found,) = read(made)
    assert found.objects.keypoints[0] is own
    assert found.objects.keypoints[1].tolist() == [[3.0, 3.0, 1.0], [2.0, 2.0, 2.0]]
    assert found.notes == ("keypoints-left-out",)  # the nose


def test_tags_follow():
    source = dataset(labels(tags=("dog", "cat", "sunny")), labels(tags=("car",)))
    made = chosen(source, ClassChoice(("animal",), {"dog": "animal", "cat": "animal"}))
    assert [found.tags for found in read(made)] == [("animal", "sunny"), ()]
    assert "1 of 'car' (as in 1.jpg)" in made.remarks[0]


def test_semantic_masks_follow_and_pixels_that_go_are_background():
    raster = np.array([[0, 2, 5], [9, 7, 255]], np.uint8)
    made = chosen(dataset(labels(semantic=raster)), ClassChoice(("dog", "cat"), {}))
    assert read(made)[0].semantic.tolist() == [[0, 2, 5], [0, 7, 255]]
    merged = chosen(dataset(labels(semantic=raster)), ClassChoice(rename={"car": "cat"}))
    assert read(merged)[0].semantic.tolist() == [[0, 2, 5], [2, 7, 255]]
    assert "1 of 'car' (as in 0.jpg)" in made.remarks[0]


def test_values_that_are_no_class_do_not_become_one_where_ids_are_counted_anew():
    categories = (Category(2, 1, "a"), Category(3, 2, "b"))
    raster = np.array([[0, 1, 2, 3, 255]], np.uint8)
    source = dataset(labels(semantic=raster), format="voc", categories=categories)
    made = chosen(source, ClassChoice(("b", "a")))
    assert told(made) == [(1, 1, "b"), (2, 2, "a")]
    assert read(made)[0].semantic.tolist() == [[0, 255, 2, 1, 255]]


def test_instance_masks_lose_the_objects_that_go():
    instance = np.array([[0, 1, 2], [1, 2, 255]], np.uint8)
    source = dataset(labels(row(0, 2, instance=1), row(1, 9, instance=2), instance=instance))
    (found,) = read(chosen(source, ClassChoice(("cat",))))
    assert found.instance.tolist() == [[0, 1, 0], [1, 0, 255]]
    semantic = np.array([[0, 2, 9], [2, 9, 255]], np.uint8)  # no objects: the classes are in the other mask
    (found,) = read(chosen(dataset(labels(semantic=semantic, instance=instance)), ClassChoice(("cat",))))
    assert found.instance.tolist() == [[0, 1, 0], [1, 0, 255]]


def test_segments_of_panoptic_masks_follow():
    raster = np.array([[10, 20], [30, 0]], np.uint32)
    segments = ({"id": 10, "category_id": 2}, {"id": 20, "category_id": 9}, {"id": 30, "category_id": "?"})
    source = dataset(labels(panoptic=raster, segments_info=segments))
    (found,) = read(chosen(source, ClassChoice(("pet", "dog"), {"cat": "pet"})))
    assert found.panoptic.tolist() == [[10, 0], [30, 0]]
    assert found.segments_info == (segments[0], segments[2])
    (found,) = read(chosen(source, ClassChoice(rename={"car": "cat"})))
    assert [s["category_id"] for s in found.segments_info] == [2, 2, "?"]


@pytest.mark.parametrize(("choice", "message"), [
    (ClassChoice(("cat", "dgo")), "root: no class 'dgo'; did you mean 'dog'?"),
    (ClassChoice(("Cat",)), "root: no class 'Cat'; did you mean 'cat'?"),
    (ClassChoice(rename={"zzz": "cat"}), "root: no class 'zzz' to rename; there are cat, dog, car"),
    (ClassChoice(("cat", "cat")), "root: the class 'cat' is chosen twice"),
    (ClassChoice(("cat",), {"cat": "feline"}), "root: no class 'cat'; did you mean 'feline'?"),
    (ClassChoice(("boat",), spare=True), "root: has none of the classes that are chosen; there are cat, dog, car"),
])  # fmt: skip
def test_a_name_that_no_class_has_is_refused_with_the_nearest(choice, message):
    with pytest.raises(DatasetError, match=r"^root: ") as error:
        chosen(dataset(labels()), choice)
    assert str(error.value) == message


def test_spare_names_are_classes_without_objects():
    made = chosen(dataset(labels(row(0, 9))), ClassChoice(("boat", "car"), spare=True))
    assert told(made) == [(1, 10, "boat"), (2, 9, "car")]


def test_nothing_asked_changes_nothing():
    source = dataset(labels(row(0, 9)))
    assert chosen(source, ClassChoice()) is source
