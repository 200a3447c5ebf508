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
    voc_xml,
    write_mask,
    write_tar,
    write_voc,
)
from command_line import call
from runs import records, run

from augpipe.core.errors import DatasetError
from augpipe.formats.base import read_picture
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
