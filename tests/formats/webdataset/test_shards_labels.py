"""Labels in tars that others wrote: XML, class numbers and JSON, and what a sample holds."""

from __future__ import annotations

import json

import numpy as np
import pytest
from builders import (
    decode,
    encoded,
    keys,
    object_xml,
    opened,
    photo,
    read_all,
    rejected,
    rle_json,
    row,
    voc_xml,
    write_picture,
    write_tar,
)
from runs import records, run

from augpipe.core.errors import DatasetError, Reject
from augpipe.formats.base import read_picture
from augpipe.formats.voc.read import TWENTY

JPEG = encoded(photo((20, 10)))


def tar_of(tmp_path, *samples: dict[str, object], name: str = "x.tar"):
    """A tar of samples: ending → bytes, text or JSON."""
    members = []
    for number, sample in enumerate(samples):
        for ending, value in {"jpg": JPEG, **sample}.items():
            if value is None:
                continue
            data = value.encode() if isinstance(value, str) else value
            data = data if isinstance(data, bytes) else json.dumps(data).encode()
            members.append((f"s{number}.{ending}", data))
    return write_tar(tmp_path / name, members)


def classes(source) -> list[tuple[int, int, str]]:
    return [(c.id, c.label, c.name) for c in source.categories]


# --- XML, class numbers ----------------------------------------------------------------------------------------------


def test_xml_beside_the_picture(tmp_path):
    source = opened(tar_of(tmp_path, {"xml": voc_xml(object_xml("dog"))}, {"xml": voc_xml(object_xml("cat"))}))
    assert [c.name for c in source.categories] == list(TWENTY)
    first, _ = read_all(source)
    assert first.objects.boxes_xyxy.tolist() == [[0, 0, 10, 8]]
    assert (keys(source), [e.file for e in source.entries]) == (["s0", "s1"], ["x.tar/s0", "x.tar/s1"])
    assert read_picture(source.entries[0]) == JPEG


def test_xml_that_counts_from_zero(tmp_path):
    source = opened(tar_of(tmp_path, {"xml": voc_xml(object_xml("ant"))}), voc_origin=0)
    assert classes(source) == [(1, 1, "ant")]
    assert read_all(source)[0].objects.boxes_xyxy.tolist() == [[1, 1, 11, 9]]


def test_class_numbers(tmp_path):
    source = opened(tar_of(tmp_path, {"cls": "3"}, {"cls": b" 0\n"}))
    assert classes(source) == [(0, 1, "0"), (1, 2, "1"), (2, 3, "2"), (3, 4, "3")]
    assert [labels.tags for labels in read_all(source)] == [("3",), ("0",)]
    (tmp_path / "names.txt").write_text("cat\ndog\nowl\nant\n")
    named = opened(tmp_path / "x.tar", classes=tmp_path / "names.txt")
    assert [labels.tags for labels in read_all(named)] == [("ant",), ("cat",)]


@pytest.mark.parametrize("content", ["", "x", "-1", "1.5", "9" * 12, "１", b"\xff", "1 2"])
def test_class_numbers_that_are_none(tmp_path, content):
    source = opened(tar_of(tmp_path, {"cls": content}, {"cls": "1"}))
    assert classes(source) == [(0, 1, "0"), (1, 2, "1")]
    reject = rejected(source)
    assert (reject.code, reject.message.partition(",")[0]) == (
        "bad-class", "x.tar/s0: expected a class number from 0 on"
    )  # fmt: skip


def test_a_class_number_beyond_the_names(tmp_path):
    (tmp_path / "names.txt").write_text("cat\n")
    source = opened(tar_of(tmp_path, {"cls": "0"}, {"cls": "1"}), classes=tmp_path / "names.txt")
    assert rejected(source, "s1").code == "unknown-class"


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_objects_as_coco_has_them(tmp_path):
    mask = np.zeros((10, 20), np.uint8)
    mask[2:5, 2:5] = 1
    rows = [{"bbox": [1, 2, 3, 4], "category_id": 7, "category": "dog", "id": 5, "score": 1},
            {"bbox": [0, 0, 2, 2], "category_id": 7.0, "segmentation": rle_json(mask), "iscrowd": 1}]  # fmt: skip
    forms = [rows, {"annotations": rows, "width": 20, "height": 10, "split": "a"},
             {"objects": rows, "image": {"id": 3, "width": 20, "height": 10, "file_name": "x.jpg"}}]  # fmt: skip
    source = opened(tar_of(tmp_path, *({"json": form} for form in forms)))
    assert classes(source) == [(7, 1, "dog")]
    read = read_all(source)
    for labels in read:
        assert labels.objects.boxes_xyxy.tolist() == [[1, 2, 4, 6], [0, 0, 2, 2]]
        assert labels.objects.iscrowd.tolist() == [0, 1]
        assert np.array_equal(decode(labels.objects.segmentation[1]), mask)
        assert labels.objects.facts[0].attributes == {"category": "dog", "score": 1}
    assert [a.size_wh for a in read] == [None, (20, 10), (20, 10)]
    assert [a.image_id for a in read] == [None, None, 3]
    assert read[1].attributes == {"split": "a"}


@pytest.mark.parametrize("name", ["category", "category_name", "class", "label", "name"])
def test_classes_by_name(tmp_path, name):
    source = opened(tar_of(tmp_path, {"json": [{"bbox": [1, 1, 2, 2], name: n} for n in ("owl", "ant", "owl")]}))
    assert classes(source) == [(1, 1, "ant"), (2, 2, "owl")]
    assert read_all(source)[0].objects.category_id.tolist() == [2, 1, 2]


def test_ids_and_names_mixed(tmp_path):
    rows = [{"bbox": [1, 1, 2, 2], "category_id": 4}, {"bbox": [1, 1, 2, 2], "category_id": 2, "category": "owl"},
            {"bbox": [1, 1, 2, 2], "category": "ant"}, {"bbox": [1, 1, 2, 2], "category": "owl"}]  # fmt: skip
    source = opened(tar_of(tmp_path, {"json": rows}))
    assert classes(source) == [(2, 1, "owl"), (4, 2, "class_4"), (5, 3, "ant")]
    assert read_all(source)[0].objects.category_id.tolist() == [4, 2, 5, 2]


def test_true_is_no_category(tmp_path):
    source = opened(tar_of(tmp_path, {"json": [row(category_id=1, category="cat")]}, {"json": [row(category_id=True)]}))
    assert classes(source) == [(1, 1, "cat")]
    assert rejected(source, "s1").code == "unknown-class"


def test_an_id_with_two_names_is_refused(tmp_path):
    rows = [[row(category="cat")], [row(category="dog")]]
    with pytest.raises(DatasetError, match="category 1 is 'dog' here and 'cat' in another sample"):
        opened(tar_of(tmp_path, *({"json": r} for r in rows)))


def test_a_classes_file_chooses_and_ids_stay(tmp_path):
    (tmp_path / "names.txt").write_text("cat\n")
    path = tar_of(tmp_path, {"json": [row(category_id=5, category="cat")]})
    assert classes(opened(path, classes=tmp_path / "names.txt")) == [(5, 1, "cat")]
    path = tar_of(tmp_path, {"json": [row(category_id=5, category="dog"), row(category_id=7, category="cat")]})
    source = opened(path, classes=tmp_path / "names.txt")
    assert classes(source) == [(7, 1, "cat")]
    assert read_all(source)[0].objects.category_id.tolist() == [7]


@pytest.mark.parametrize(
    ("value", "code"),
    [(b"{", "bad-json"), (b"", "bad-json"), (5, "bad-json"), ({}, "bad-json"), ({"annotations": 3}, "bad-json"),
     ([5], "bad-json"), ({"annotations": None}, "bad-json"), ([{"bbox": [1, 1, 2, 2]}], "unknown-class"),
     ("[" * 100_000, "bad-json"), ("[" * 70 + "]" * 70, "bad-json"), (b'["\xff"]', "bad-json")],
)  # fmt: skip
def test_json_that_is_none_rejects_its_sample(tmp_path, value, code):
    source = opened(tar_of(tmp_path, {"json": [row(category="cat")]}, {"json": value}))
    assert classes(source) == [(1, 1, "cat")]
    reject = rejected(source, "s1")
    assert (reject.stage, reject.code, reject.file) == ("labels", code, "x.tar/s1")
    assert reject.message.startswith("x.tar/s1: ")


# --- samples ---------------------------------------------------------------------------------------------------------


def test_a_class_number_is_taken_before_json(tmp_path):
    (labels,) = read_all(opened(tar_of(tmp_path, {"cls": "0", "json": {"camera": "x"}})))
    assert (labels.tags, len(labels.objects)) == (("0",), 0)


def test_samples_without_labels_are_left_out_and_told(tmp_path):
    source = opened(tar_of(tmp_path, {"txt": "a caption"}, {"cls": "0"}, {}))
    assert (keys(source), source.remarks) == (["s1"], ("left out: 2 samples without .json, .xml or .cls",))
    with pytest.raises(DatasetError, match=r"1 sample, none with .json, .xml or .cls beside the picture"):
        opened(tar_of(tmp_path, {"txt": "a"}))


@pytest.mark.parametrize(
    "ending", ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "ppm", "pgm", "gif", "jfif", "JPG"]
)
def test_endings_of_pictures(tmp_path, ending):
    source = opened(tar_of(tmp_path, {"jpg": None, ending: JPEG, "cls": "0"}))
    assert read_picture(source.entries[0]) == JPEG


def test_a_sample_without_a_picture_is_a_reject(tmp_path):
    (entry,) = opened(tar_of(tmp_path, {"jpg": None, "cls": "0"})).entries
    with pytest.raises(Reject, match=r"no picture x\.tar/s0 was found") as caught:
        read_picture(entry)
    assert caught.value.code == "missing-picture"


def test_splits_are_beginnings_of_names_and_share_their_classes(tmp_path):
    for i, (name, cls) in enumerate((("train-0", "1"), ("train-1", "0"), ("val-0", "2"))):
        write_tar(tmp_path / f"{name}.tar", [(f"{i}.jpg", JPEG), (f"{i}.cls", cls.encode())])
    source = opened(tmp_path, split="train")
    assert keys(source) == ["0", "1"]
    assert classes(source) == classes(opened(tmp_path)) == [(i, i + 1, str(i)) for i in range(3)]
    with pytest.raises(DatasetError, match="no tar shards of split 'tra'"):
        opened(tmp_path, split="tra")


def test_a_run_over_names_that_lead_outside(tmp_path):
    path = write_tar(tmp_path / "x.tar", [("/etc/a.jpg", JPEG), ("/etc/a.cls", b"0"), ("../../b.jpg", JPEG),
                                          ("../../b.cls", b"0")])  # fmt: skip
    run(path, tmp_path / "out", "gentle")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "x.tar"]
    assert {r["source"]["key"] for r in records(tmp_path / "out").values()} == {"/etc/a", "../../b"}


def test_a_member_cut_short_after_indexing(tmp_path):
    path = tar_of(tmp_path, {"json": [row(category="cat")]})
    source = opened(path)
    path.write_bytes(path.read_bytes()[:600])
    assert rejected(source).code == "truncated"


def test_a_folder_of_pictures_beside_a_tar_is_a_folder_of_shards(tmp_path):
    tar_of(tmp_path, {"cls": "0"})
    write_picture(tmp_path / "preview.jpg")
    assert opened(tmp_path).format == "shards"
