"""Shards as a source: augpipe's own, and pictures beside .xml, .json or .cls."""

from __future__ import annotations

import json
import shutil

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
    write_mask,
    write_picture,
    write_tar,
    write_voc,
)
from command_line import call
from runs import records, run

from augpipe.core.errors import DatasetError, Reject
from augpipe.formats.base import read_picture
from augpipe.formats.voc.read import TWENTY
from augpipe.labels.normalize import aligned
from augpipe.pixels.codec.header import read_header
from augpipe.train.dataset import ShardDataset

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


# --- our own ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A finished run over a Pascal VOC set with masks, and the set."""
    base = tmp_path_factory.mktemp("own")
    xml = voc_xml(object_xml("cat", (3, 2, 9, 4), "<pose>Left</pose><truncated>1</truncated><free>x</free>"),
                  object_xml("person", (13, 4, 18, 9), "<part><name>head</name><bndbox><xmin>13</xmin><ymin>4</ymin>"
                                                       "<xmax>15</xmax><ymax>6</ymax></bndbox></part>"),
                  more="<folder>f</folder>")  # fmt: skip
    root = write_voc(base / "voc", {"a": xml, "b": voc_xml()})
    values = np.zeros((10, 20), np.uint8)
    values[1:4, 2:9], values[3:9, 12:18] = 1, 2
    write_mask(root / "SegmentationObject" / "a.png", values)
    write_mask(root / "SegmentationClass" / "a.png", np.choose(values, (0, 8, 15)))
    run(root, base / "out", "gentle", copies=1, originals=True)
    return base / "out", root


def test_a_finished_folder_is_read_back(own):
    folder, root = own
    source, before = opened(folder), opened(root)
    assert source.format == "shards"
    assert source.categories == before.categories
    written = records(folder)
    assert sorted(keys(source)) == sorted(written)
    original = dict(zip(keys(before), before.entries, strict=True))
    for entry, labels in zip(source.entries, read_all(source), strict=True):
        record = written[entry.key]
        assert [f.attributes for f in labels.objects.facts] == [o.get("attributes", {}) for o in record["objects"]]
        assert labels.objects.boxes_xyxy.tolist() == [o["box_xyxy"] for o in record["objects"]]
        assert labels.size_wh == (record["width"], record["height"])
        if record["copy"] == -1:
            expected = aligned(before.reader.annotations(original[record["source"]["key"]]),
                               read_header(read_picture(original[record["source"]["key"]])))  # fmt: skip
            assert same(labels.objects, expected.objects)
            assert labels.attributes == expected.attributes
            for name in ("semantic", "instance"):
                one, other = getattr(labels, name), getattr(expected, name)
                assert (one is None) == (other is None)
                assert one is None or np.array_equal(one, other)


def same(one, other) -> bool:
    arrays = [(getattr(one, name), getattr(other, name)) for name in ("index", "boxes_xyxy", "instance")]
    return (
        [s and decode(s).tolist() for s in one.segmentation] == [s and decode(s).tolist() for s in other.segmentation]
        and (one.facts, one.parts) == (other.facts, other.parts)
        and all(np.array_equal(a, b) for a, b in arrays)
    )


def test_shards_of_shards(own, tmp_path):
    folder, _ = own
    run(folder, tmp_path / "out", "gentle", copies=1)
    assert {r["source"]["key"] for r in records(tmp_path / "out").values()} == set(records(folder))


def test_a_record_of_another_major_version(tmp_path):
    for more in ({"objects": []}, {"objects": [{"category_id": 3}], "tags": ["a"]}):
        source = opened(tar_of(tmp_path, {"json": {"schema": "augpipe/2", **more}}))
        assert rejected(source).code == "unsupported"


def test_a_record_that_is_none_is_a_reject(tmp_path):
    for more in ({"tags": 5}, {"objects": 5}, {"objects": [{"category": "cat"}]}):
        source = opened(tar_of(tmp_path, record(**more)))
        assert rejected(source).code == "bad-json"


def copied(own, target):
    """A copy of the finished folder that may be spoilt, and its tars."""
    shutil.copytree(own[0], target)
    tars = sorted(target.glob("*.tar"))
    assert len(tars) > 1
    return target, tars


def test_a_manifest_of_another_version_is_refused(own, tmp_path):
    folder, _ = copied(own, tmp_path / "out")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "schema": "augpipe/10"}))
    with pytest.raises(DatasetError, match="schema 'augpipe/10', but this augpipe reads 'augpipe/1'"):
        opened(folder)


@pytest.mark.parametrize(
    "broken",
    [
        {"config": {}},
        {"config": {"categories": [5]}},
        {"config": {"categories": [{"id": float("inf"), "label": 1, "name": "a"}]}},
        {"config": {"categories": [{"id": 1, "label": 1, "name": ["a"]}]}},
        {
            "config": {
                "categories": [{"id": 1, "label": 1, "name": "a", "keypoints": ["x", "y"], "flip_pairs": [[0, 2]]}]
            }
        },
        {"config": {"categories": [{"id": 1, "label": 1, "name": "a", "skeleton": [[1, float("inf")]]}]}},
        {"shards": [3]},
        {"shards": [{"name": "../../x", "samples": 1}]},
    ],
)
def test_a_manifest_that_is_none_is_refused(own, tmp_path, broken):
    folder, _ = copied(own, tmp_path / "out")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **broken}))
    with pytest.raises(DatasetError, match=r"manifest\.json: not as augpipe writes it"):
        opened(folder)


def test_a_tar_or_a_pattern_of_a_finished_folder_has_its_classes(own):
    folder, root = own
    found = keys(opened(folder))
    tars = sorted(folder.glob("*.tar"))
    for src in (*tars, f"{folder}/all-{{{tars[0].stem[4:]}..{tars[-1].stem[4:]}}}.tar"):
        source = opened(src)
        assert source.categories == opened(root).categories
        assert (set(keys(source)) <= set(found), source.remarks) == (True, ())
    assert sorted(key for tar in tars for key in keys(opened(tar))) == found


def test_shards_of_two_folders_with_one_class_map(own, tmp_path):
    one, _ = copied(own, tmp_path / "0")
    two, tars = copied(own, tmp_path / "1")
    src = f"{tmp_path}/{{0/{tars[0].name},1/{tars[1].name}}}"
    assert opened(src).categories == opened(one).categories
    manifest = json.loads((two / "manifest.json").read_text())
    manifest["config"]["categories"].pop()
    (two / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match=r"1/manifest\.json has other classes than .*0/manifest\.json"):
        opened(src)


# --- folders of ours that are not whole ------------------------------------------------------------------------------


def test_an_unfinished_run_is_refused(own, tmp_path):
    folder, tars = copied(own, tmp_path / "out")
    (folder / "manifest.json").unlink()
    tars[0].unlink()
    with pytest.raises(DatasetError, match="out: an unfinished run; finish it first"):
        opened(folder)
    sheet, recipe = str(tmp_path / "x.png"), ["-r", "gentle"]
    shown = call(*["inspect", str(folder)])
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert f"{folder}: unfinished run, " in shown.stdout
    for command in (["plan", *recipe], ["preview", *recipe, "-o", sheet], ["augment", *recipe]):
        dst = [str(tmp_path / "dst")] if command[0] == "augment" else []
        result = call(*[command[0], str(folder), *dst, *command[1:]])
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{folder}: an unfinished run; " in result.stderr
    with pytest.raises(DatasetError, match="is not finished, it has no manifest"):
        ShardDataset(folder)


def test_tars_that_are_named_of_an_unfinished_run_are_read(own, tmp_path):
    folder, tars = copied(own, tmp_path / "out")
    (folder / "manifest.json").unlink()
    for src in (tars[0], f"{folder}/{{{tars[0].name},{tars[1].name}}}"):
        source = opened(src)
        assert source.categories == opened(own[0]).categories
        assert source.remarks == (f"{folder}: an unfinished run; only the tars that are named are read",)
        read_all(source)
    tars[1].with_suffix(".json").unlink()
    with pytest.raises(DatasetError, match=f"{tars[1].name}: the unfinished run .* has no record of it"):
        opened(tars[1])


def test_a_missing_shard_is_an_error(own, tmp_path):
    folder, tars = copied(own, tmp_path / "out")
    tars[0].unlink()
    with pytest.raises(DatasetError, match=f"{tars[0].name}: the manifest names it, but there is no such file; copy"):
        opened(folder)
    assert keys(opened(tars[1]))
    for tar in tars[1:]:
        tar.unlink()
    with pytest.raises(DatasetError, match=f"{tars[0].name}: the manifest names it"):
        opened(folder, format="shards")


def test_a_shard_of_another_size_is_an_error(own, tmp_path):
    folder, tars = copied(own, tmp_path / "out")
    size = tars[0].stat().st_size
    tars[0].write_bytes(tars[0].read_bytes()[:-512])
    for src in (folder, tars[0]):
        with pytest.raises(DatasetError, match=f"{tars[0].name}: {size - 512} bytes, the manifest says {size}; copy"):
            opened(src)
    assert keys(opened(tars[1]))


def test_tars_that_the_manifest_does_not_name_are_left_out(own, tmp_path):
    folder, tars = copied(own, tmp_path / "out")
    shutil.copy(tars[0], folder / "all-000099.tar")
    source = opened(folder)
    assert keys(source) == keys(opened(own[0]))
    assert source.remarks == ("left out: all-000099.tar, which the manifest does not name",)
    for i in range(4):
        shutil.copy(tars[0], folder / f"x{i}.tar")
    (remark,) = opened(folder).remarks
    assert remark == "left out: all-000099.tar, x0.tar, x1.tar and 2 more, which the manifest does not name"
    with pytest.raises(DatasetError, match=r"x0\.tar: the manifest beside it does not name it; read it apart"):
        opened(folder / "x0.tar")


def test_a_shard_of_which_all_is_rejected_has_no_tar(own, tmp_path):
    folder, _ = copied(own, tmp_path / "out")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"].append({"name": "all-000777", "samples": 0, "bytes": 0, "sha256": None})
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert opened(folder).remarks == ()


def test_a_run_json_of_somebody_else_is_nothing_to_us(tmp_path):
    tar_of(tmp_path, {"cls": "0"})
    for content in ("[1]", '{"schema": "other/1"}', "no JSON", "[" * 100_000):
        (tmp_path / "run.json").write_text(content)
        (tmp_path / "manifest.json").write_text(content)
        assert (keys(opened(tmp_path, format="shards")), opened(tmp_path / "x.tar").remarks) == (["s0"], ())


# --- tars of ours alone ----------------------------------------------------------------------------------------------

ALONE = (
    "no manifest.json of augpipe beside the tars: classes are those that the records name, with their ids and labels; "
    "others are called unknown_N"
)


def thing(**more: object) -> dict[str, object]:
    return {"category": "cat", "category_id": 8, "label": 3, "box_xyxy": [1, 1, 5, 5], **more}


def record(*objects: object, **more: object) -> dict[str, object]:
    return {"json": {"schema": "augpipe/1", "width": 20, "height": 10, "objects": list(objects), **more}}


def test_a_tar_of_ours_alone_keeps_ids_and_labels(own, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    for tar in own[0].glob("*.tar"):
        shutil.copy(tar, alone)
    source = opened(alone)
    assert source.remarks == (ALONE,)
    known = [c for c in classes(source) if not c[2].startswith("unknown_")]
    assert known == [(8, 8, "cat"), (15, 15, "person")]
    assert [label for _, label, _ in classes(source)] == list(range(1, 16))
    read_all(source)
    run(alone, tmp_path / "out", "gentle")
    written = {(o["category"], o["category_id"], o["label"]) for r in records(tmp_path / "out").values()
               for o in r["objects"]}  # fmt: skip
    assert written == {("cat", 8, 8), ("person", 15, 15)}


def test_labels_between_are_unknown(tmp_path):
    source = opened(tar_of(tmp_path, record(thing()), record(thing(category="dog", category_id=90, label=5))))
    assert classes(source) == [
        (6, 1, "unknown_1"), (7, 2, "unknown_2"), (8, 3, "cat"), (89, 4, "unknown_4"), (90, 5, "dog")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        ([thing(), thing(label=4)], "label of category 8 is 4 here and 3"),
        ([thing(), thing(category="dog", category_id=9)], "labels are not in the order of the ids"),
        ([thing(), thing(category="dog", category_id=9, label=2)], "labels are not in the order of the ids"),
        ([thing(), thing(category="dog", category_id=9, label=5)], "labels are not in the order of the ids"),
        ([thing(label=None)], "category 8 has no label"),
        ([thing(label=10**9)], "category 8 has no label"),
        ([thing(), thing(category="dog")], "an id must have one name"),
    ],
)
def test_records_of_other_class_maps_are_refused(tmp_path, objects, said):
    path = tar_of(tmp_path, *(record(o) for o in objects))
    with pytest.raises(DatasetError, match=said):
        opened(path)


def test_keypoints_without_their_names_are_refused(tmp_path):
    path = tar_of(tmp_path, record(thing()), record(thing(keypoints=[1, 1, 2, 3, 3, 2])))
    with pytest.raises(DatasetError, match=r"x.tar/s1: .*keypoints.*; put manifest\.json beside the tars"):
        opened(path)


def test_tags_without_their_labels_are_refused(tmp_path):
    path = tar_of(tmp_path, record(tags=["owl"]), record(tags=["ant"]))
    with pytest.raises(DatasetError, match=r"the tag 'ant' has no label; put manifest\.json beside the tars, or"):
        opened(path)
    (tmp_path / "names.txt").write_text("bee\nowl\nant\n")
    source = opened(path, classes=tmp_path / "names.txt")
    assert classes(source) == [(1, 1, "bee"), (2, 2, "owl"), (3, 3, "ant")]
    named = opened(tar_of(tmp_path, record(thing(), tags=["cat"])))
    assert [labels.tags for labels in read_all(named)] == [("cat",)]
    with pytest.raises(DatasetError, match="the tag 'owl' has no label"):
        opened(tar_of(tmp_path, record(thing(), tags=["owl"])), classes=tmp_path / "names.txt")


def test_ours_and_others_together_are_refused(tmp_path):
    path = tar_of(tmp_path, record(thing()), {"cls": "0"})
    with pytest.raises(DatasetError, match="samples of augpipe and others together"):
        opened(path)


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
