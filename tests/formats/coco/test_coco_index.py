"""Finding COCO data: layouts, splits, files that are none, and categories."""

from __future__ import annotations

import json
import os

import pytest
from builders import coco as document
from builders import image, keys, opened, read_all, row, write_json
from builders import write_picture as picture
from command_line import call

from augpipe.core.errors import DatasetError
from augpipe.formats.coco import index

TWO = [image(1, "a.jpg"), image(2, "b.jpg")]


def found(source) -> list[str | None]:
    """The picture's file of each entry, below the source's folder."""
    base = source.root if source.root.is_dir() else source.root.parent
    paths = [entry.picture and os.path.relpath(entry.picture.path, base) for entry in source.entries]
    return [path and path.replace(os.sep, "/") for path in paths]


def refused(src, **options) -> str:
    with pytest.raises(DatasetError) as caught:
        opened(src, **options)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


# --- layouts ---------------------------------------------------------------------------------------------------------


def test_the_official_layout(tmp_path):
    for split, number in (("train2017", 1), ("val2017", 2)):
        images = [image(number, f"{number}.jpg")]
        picture(tmp_path / split / f"{number}.jpg")
        for kind in ("instances", "person_keypoints"):
            write_json(tmp_path / "annotations" / f"{kind}_{split}.json", document(images, [row(number, number)]))
        captions = {"images": images, "annotations": [{"id": 1, "image_id": number, "caption": split}]}
        write_json(tmp_path / "annotations" / f"captions_{split}.json", captions)
    source = opened(tmp_path, split="val2017")
    assert (keys(source), found(source)) == (["2.jpg"], ["val2017/2.jpg"])
    assert [(len(a.objects), a.captions) for a in read_all(source)] == [(1, ("val2017",))]
    assert [entry.file for entry in source.entries] == ["annotations/captions_val2017.json"]
    assert found(opened(tmp_path / "annotations" / "instances_train2017.json")) == ["../train2017/1.jpg"]
    assert "there are train2017, val2017" in refused(tmp_path, split="test")
    for name in ("val", "valid", "val2017"):
        assert found(opened(tmp_path, split=name)) == ["val2017/2.jpg"]


def test_a_root_of_several_splits_is_read_whole(tmp_path):
    for split, number in (("train2017", 1), ("val2017", 2)):
        images = [image(number, "1.jpg")]
        picture(tmp_path / split / "1.jpg")
        for kind in ("instances", "person_keypoints"):
            write_json(tmp_path / "annotations" / f"{kind}_{split}.json", document(images, [row(number, number)]))
    source = opened(tmp_path)
    assert keys(source) == ["train2017/1.jpg", "val2017/1.jpg"]
    assert found(source) == ["train2017/1.jpg", "val2017/1.jpg"]
    assert [entry.split for entry in source.entries] == ["train", "val"]
    assert source.splits == {"train": 1, "val": 1}
    assert [a.image_id for a in read_all(source)] == [1, 2]
    assert [f.id for a in read_all(source) for f in a.objects.facts] == [1, 2]


def test_a_picture_that_two_splits_list_belongs_to_the_first(tmp_path):
    for split in ("val", "train"):
        write_json(tmp_path / "annotations" / f"{split}.json", document([image(1, "a.jpg")], [row()]))
    picture(tmp_path / "images" / "a.jpg")
    source = opened(tmp_path)
    assert [(entry.key, entry.split) for entry in source.entries] == [("a.jpg", "train")]
    assert source.remarks == ("1 picture listed by two splits, taken for the first: a.jpg, train and val",)


def test_files_without_a_split_stand_apart(tmp_path):
    write_json(tmp_path / "train.json", document([image(1, "a.jpg")], [row()]))
    write_json(tmp_path / "more.json", document([image(1, "b.jpg")], [row()]))
    for name in ("a.jpg", "b.jpg"):
        picture(tmp_path / name)
    assert [(entry.key, entry.split) for entry in opened(tmp_path).entries] == [("a.jpg", "train"), ("b.jpg", "")]


def test_the_layout_of_roboflow(tmp_path):
    for number, split in enumerate(("train", "valid"), start=1):
        categories = [{"id": 0, "name": "things"}, {"id": number, "name": f"class {number}"}]
        doc = document([image(0, "a.jpg")], [row(0, 0, category_id=number)], categories)
        write_json(tmp_path / split / "_annotations.coco.json", doc)
        picture(tmp_path / split / "a.jpg")
    assert [(e.key, e.split) for e in opened(tmp_path).entries] == [("train/a.jpg", "train"), ("valid/a.jpg", "val")]
    source = opened(tmp_path, split="valid")
    assert (found(source), source.splits) == (["valid/a.jpg"], {"val": 1})
    assert [(c.id, c.label, c.name) for c in source.categories] == [
        (0, 1, "things"), (1, 2, "class 1"), (2, 3, "class 2")
    ]  # fmt: skip
    assert "no split 'test'; there are" in refused(tmp_path, split="test")


@pytest.mark.parametrize(
    ("json_at", "pictures_at", "split"),
    [
        ("x.json", ".", None),
        ("x.json", "images", None),
        ("annotations/x.json", "images", None),
        ("annotations/x.json", ".", None),
        ("annotations/instances_train.json", "train", None),
        ("annotations/instances_train.json", "images/train", None),
        ("annotations/instances.json", "images", None),
        ("train.json", "images/train", None),
        ("annotations/some_x.json", "x", "some_x"),
    ],
)
def test_where_pictures_are(tmp_path, json_at, pictures_at, split):
    write_json(tmp_path / json_at, document())
    picture(tmp_path / pictures_at / "a.jpg")
    assert found(opened(tmp_path, split=split)) == [os.path.normpath(f"{pictures_at}/a.jpg")]


def test_the_place_with_most_pictures_is_taken(tmp_path):
    write_json(tmp_path / "annotations" / "x.json", document([image(i, f"{i}.jpg") for i in range(4)]))
    picture(tmp_path / "annotations" / "0.jpg")
    for i in range(3):
        picture(tmp_path / "images" / f"{i}.jpg")
    source = opened(tmp_path)
    assert found(source) == ["images/0.jpg", "images/1.jpg", "images/2.jpg", None]
    assert source.remarks == ()


def test_pictures_by_option(tmp_path):
    write_json(tmp_path / "set" / "x.json", document())
    picture(tmp_path / "far" / "a.jpg")
    assert found(opened(tmp_path / "set" / "x.json", images=tmp_path / "far")) == ["../far/a.jpg"]
    assert refused(tmp_path / "set" / "x.json", images=tmp_path / "no").endswith("no: no such folder (--images)")


def test_no_picture_at_all_is_told(tmp_path):
    source = opened(write_json(tmp_path / "x.json", document(TWO)))
    assert source.remarks == ("none of the pictures of x.json was found; say where they are with --images DIR",)
    assert [(e.key, e.picture, e.file) for e in source.entries] == [("a.jpg", None, "a.jpg"), ("b.jpg", None, "b.jpg")]


@pytest.mark.parametrize(
    ("file_name", "at"),
    [("train/a.jpg", "images/train/a.jpg"), ("train\\a.jpg", "images/train/a.jpg"), ("./a.jpg", "images/a.jpg"),
     ("/data/set/a.jpg", "images/a.jpg"), ("C:\\x\\a.jpg", "images/a.jpg"), ("../images/a.jpg", "images/a.jpg")],
)  # fmt: skip
def test_file_names_with_folders(tmp_path, file_name, at):
    picture(tmp_path / "set" / at)
    source = opened(write_json(tmp_path / "set" / "annotations" / "x.json", document([image(1, file_name)])))
    assert found(source) == [f"../{at}"]
    assert str(tmp_path) not in source.entries[0].key


@pytest.mark.parametrize("file_name", ["../secret.jpg", "../../secret.jpg", "ABSOLUTE"])
def test_a_file_name_never_reaches_outside(tmp_path, file_name):
    picture(tmp_path / "secret.jpg")
    name = str(tmp_path / "secret.jpg") if file_name == "ABSOLUTE" else file_name
    folder = tmp_path / "a" / "b" / "set"
    (folder.parent / "secret.jpg").parent.mkdir(parents=True)
    picture(folder.parent.parent / "secret.jpg")
    (entry,) = opened(write_json(folder / "x.json", document([image(1, name)]))).entries
    assert (entry.key, entry.picture) == ("secret.jpg", None)


# --- several files ---------------------------------------------------------------------------------------------------


def test_files_that_list_the_images_in_another_order(tmp_path):
    write_json(tmp_path / "one.json", document(TWO, [row(1, 1), row(2, 2)]))
    write_json(tmp_path / "two.json", document(TWO[::-1], [row(3, 1, category_id=2), row(4, 2, category_id=2)],
                                               [{"id": 2, "name": "dog"}]))  # fmt: skip
    first, second = read_all(opened(tmp_path))
    assert [f.id for f in first.objects.facts] == [1, 3]
    assert [f.id for f in second.objects.facts] == [2, 4]


@pytest.mark.parametrize("other", [[image(1, "a.jpg")], [image(1, "b.jpg"), image(2, "a.jpg")],
                                   [image(1, "a.jpg"), image(3, "b.jpg")]])  # fmt: skip
def test_files_about_other_images_are_refused(tmp_path, other):
    write_json(tmp_path / "one.json", document(TWO))
    write_json(tmp_path / "two.json", document(other))
    assert "not about the same images: one.json (2 images), two.json" in refused(tmp_path)
    assert keys(opened(tmp_path / "one.json")) == ["a.jpg", "b.jpg"]


def test_json_that_is_not_coco_is_not_looked_at(tmp_path):
    write_json(tmp_path / "x.json", document())
    write_json(tmp_path / "settings.json", {"images_per_batch": 3, "annotations": "none"})
    write_json(tmp_path / "list.json", [{"images": 1, "annotations": 2, "image_id": 3}])
    assert keys(opened(tmp_path)) == ["a.jpg"]


def test_lists_behind_very_long_categories_are_found(tmp_path):
    long = [{"id": i, "name": f"{i}" * 40} for i in range(1, 3000)]
    doc = {"categories": long, "images": [image()], "annotations": [row()]}
    assert index.looks_like_coco(write_json(tmp_path / "x.json", doc))
    assert not index.looks_like_coco(write_json(tmp_path / "y.json", {"categories": long}))


# --- files that are none ---------------------------------------------------------------------------------------------

WHOLE = json.dumps(document(rows=[row()])).encode()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "the file is empty; expected a COCO JSON"),
        (b"{", "not a COCO JSON: Input data was truncated"),
        (WHOLE[:-20], "not a COCO JSON: Input data was truncated"),
        (b"[]", "not a COCO JSON: Expected `object`, got `array`"),
        (b'{"annotations": []}', "missing required field `images`"),
        (b'{"images": {}}', "not a COCO JSON: Expected `array`, got `object`"),
        (b'{"images": [5]}', "not a COCO JSON: Expected `object`, got `int`"),
        (b'{"images": []}', "no annotated pictures found"),
        (json.dumps(document([{"id": 1}])).encode(), "no image has an id and a file name: id 1, file_name None"),
        (json.dumps(document([{"id": True, "file_name": "a"}])).encode(), "no image has an id"),
        (json.dumps(document([{"id": 1.5, "file_name": "a"}])).encode(), "no image has an id and a file name: id 1.5"),
        (json.dumps(document([{"id": 1, "file_name": ""}])).encode(), "no image has an id and a file name: id 1"),
        (json.dumps(document([{"id": 1, "file_name": "a\0"}])).encode(), "no image has an id and a file name"),
        (json.dumps(document([image(1), image("1", "b.jpg")])).encode(), "image id 1 is given twice, for 'a.jpg'"),
        (json.dumps(document(rows=[{"id": 1}])).encode(), "no annotation is for an image that it lists"),
        (json.dumps(document(rows=[row(1, 9)])).encode(), "no annotation is for an image that it lists"),
        (json.dumps(document(categories=[{"id": True, "name": "a"}])).encode(), "needs an integer 'id'"),
        (json.dumps(document(categories=[{"id": 1, "name": "a"}] * 2)).encode(), "category id 1 is given twice"),
        (json.dumps(document(rows=[row(area=float("nan"))])).encode()[:-1], "Input data was truncated"),
        (b'{"images": [{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]}", "nested too deep for a COCO JSON"),
        (b'{"images": [{"id": 1, "file_name": "\xff"}]}', "cannot be read: 'utf-8' codec can't decode byte 0xff"),
        ("{}".encode("utf-16"), "is UTF-16, and JSON is UTF-8"),
    ],
)
def test_files_that_are_no_coco(tmp_path, data, expected):
    path = write_json(tmp_path / "x.json", data)
    assert expected in refused(path)
    assert str(path) in refused(path)


def test_a_file_with_a_byte_order_mark(tmp_path):
    path = write_json(tmp_path / "x.json", b"\xef\xbb\xbf" + WHOLE)
    assert [len(a.objects) for a in read_all(opened(path))] == [1]
    assert keys(opened(tmp_path)) == ["a.jpg"]


def test_an_image_list_alone_is_enough(tmp_path):
    source = opened(write_json(tmp_path / "x.json", {"images": TWO}))
    assert [len(a.objects) for a in read_all(source)] == [0, 0]


def test_annotations_of_unlisted_images_are_left_out_and_told(tmp_path):
    path = write_json(tmp_path / "x.json", document(rows=[row(1), row(2, 8), row(3, 9)]))
    picture(tmp_path / "a.jpg")
    source = opened(path)
    assert [f.id for f in read_all(source)[0].objects.facts] == [1]
    assert source.remarks == ("x.json: 2 annotations of images that it does not list are left out",)


# --- categories ------------------------------------------------------------------------------------------------------


def test_ids_are_kept_and_labels_count_from_one(tmp_path):
    categories = [{"id": 90, "name": "b"}, {"id": 0, "name": "a"}, {"id": 7, "name": "a"}, {"id": -1, "name": "z"}]
    source = opened(write_json(tmp_path / "x.json", document(categories=categories)))
    assert [(c.id, c.label, c.name) for c in source.categories] == [
        (-1, 1, "z"), (0, 2, "a"), (7, 3, "a"), (90, 4, "b")
    ]  # fmt: skip


def test_files_that_call_one_id_by_two_names(tmp_path):
    write_json(tmp_path / "one.json", document(categories=[{"id": 1, "name": "cat"}]))
    write_json(tmp_path / "two.json", document(categories=[{"id": 1, "name": "dog"}]))
    assert "two.json: category 1 is 'dog' here and 'cat' in one.json" in refused(tmp_path)


def test_a_classes_file_chooses_and_ids_stay(tmp_path):
    path = write_json(tmp_path / "x.json", document(categories=[{"id": 5, "name": "cat"}]))
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    assert [(c.id, c.name) for c in opened(path, classes=tmp_path / "classes.txt").categories] == [(5, "cat")]
    (tmp_path / "classes.txt").write_text("dog\n")
    assert "has none of the classes that are chosen; there are cat" in refused(path, classes=tmp_path / "classes.txt")


# --- order and the fingerprint ---------------------------------------------------------------------------------------


def test_entries_are_sorted_by_name_and_can_be_limited(tmp_path):
    path = write_json(tmp_path / "x.json", document([image(1, "c.jpg"), image(2, "a.jpg"), image(3, "b.jpg")]))
    assert keys(opened(path)) == ["a.jpg", "b.jpg", "c.jpg"]
    assert keys(opened(path, limit=2)) == ["a.jpg", "b.jpg"]


def test_the_fingerprint_covers_every_annotation(tmp_path):
    path = tmp_path / "x.json"
    prints = set()
    for rows in ([row()], [row(score=1)], [row(), row(2)], []):
        prints.add(opened(write_json(path, document(rows=rows))).fingerprint())
    assert len(prints) == 4
    spaced = json.dumps({"info": {"x": 1}, **document()}).encode()
    assert opened(write_json(path, spaced)).fingerprint() in prints


def test_a_list_of_anything_but_objects_is_not_held(tmp_path):
    for name in ("images", "annotations"):
        text = json.dumps({**document(), name: ["@"]}).replace('"@"', "0," * 50_000 + "0").encode()
        assert "Expected `object`, got `int`" in refused(write_json(tmp_path / f"{name}.json", text))


# --- how often a JSON is read ----------------------------------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch) -> dict[str, list[str]]:
    """Names of the JSONs that were indexed, and of those that were only asked for their classes."""
    names: dict[str, list[str]] = {"index_file": [], "categories_in": []}
    for function, called in names.items():
        before = getattr(index, function)
        monkeypatch.setattr(
            index, function, lambda path, before=before, called=called: (called.append(path.name), before(path))[1]
        )
    return names


@pytest.mark.parametrize(
    "command",
    [
        ["convert", "coco-to-voc", "SRC", "DST"],
        ["augment", "SRC", "DST", "-r", "gentle", "-w", "0"],
        ["inspect", "SRC"],
        ["plan", "SRC", "-r", "gentle", "--limit", "1"],
    ],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize("option", [[], ["--classes", "CLASSES"]], ids=["own classes", "classes file"])
@pytest.mark.parametrize("splits", [["train"], ["train", "val"]], ids=["one split", "two splits"])
def test_each_json_is_read_once_and_of_other_splits_the_classes_alone(command, option, splits, reads, tmp_path):
    places = {"SRC": tmp_path / "set", "DST": tmp_path / "out", "CLASSES": tmp_path / "classes.txt"}
    places["CLASSES"].write_text("cat\ndog\n")
    for split in splits:
        for kind in ("instances", "captions"):
            name = f"{split}.jpg"
            picture(places["SRC"] / "images" / name)
            rows = [row(1, 1)] if kind == "instances" else [{"id": 2, "image_id": 1, "caption": "x"}]
            write_json(places["SRC"] / "annotations" / f"{kind}_{split}.json", document([image(1, name)], rows))
    words = [
        str(places.get(word, word)) for word in (*command, *(["--split", "train"] if len(splits) > 1 else []), *option)
    ]
    result = call(*words)
    assert result.exit_code == 0, result.output
    assert sorted(reads["index_file"]) == ["captions_train.json", "instances_train.json"]
    assert sorted(reads["categories_in"]) == (["captions_val.json", "instances_val.json"] if len(splits) > 1 else [])


def test_classes_come_from_every_split(tmp_path):
    for split, name in (("train", "cat"), ("val", "dog")):
        rows, classes = [row(1, 1, category_id=len(split))], [{"id": len(split), "name": name}]
        write_json(tmp_path / f"{split}.json", document([image(1, f"{split}.jpg")], rows, classes))
    assert [(c.id, c.name) for c in opened(tmp_path, split="train").categories] == [(3, "dog"), (5, "cat")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"images": [', "not a COCO JSON"),
        (b'{"images": [], "categories": [{"id": "x"}]}', "a category needs an integer 'id'"),
        (b'{"images": [], "categories": [{"id": 1, "name": "cat"}, {"id": 1, "name": "cat"}]}', "is given twice"),
    ],
)
def test_a_broken_json_of_another_split_is_an_error(text, said, tmp_path):
    write_json(tmp_path / "train.json", document([image(1, "a.jpg")], [row(1, 1)]))
    (tmp_path / "val.json").write_bytes(text)
    assert said in refused(tmp_path, split="train")
