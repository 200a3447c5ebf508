"""augpipe.formats.webdataset.folder, through the dataset that reads with it: what is refused, and in which words."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import numpy as np
import pytest
import webdataset as wds
from shard_folder import (
    CATEGORIES,
    ids,
    numbered_folder,
    sample,
    tar_of,
    write_folder,
)

from augpipe.core.errors import DatasetError
from augpipe.formats.webdataset.folder import open_folder
from augpipe.train.dataset import ShardDataset

SHARDS = (2, 0, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return numbered_folder(tmp_path / "numbered", SHARDS)


def test_folders_that_are_not_finished_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no such folder"):
        ShardDataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"has no manifest\.json$"):
        ShardDataset(tmp_path)
    root = numbered_folder(tmp_path / "dst", [2])
    (root / "manifest.json").unlink()
    with pytest.raises(DatasetError, match=r"is not finished, .* run the same `augpipe augment SRC .* again"):
        ShardDataset(root)


@pytest.mark.parametrize(("schema", "accepted"), [("augpipe/1", True), ("augpipe/1.7", True), ("augpipe/2", False)])
def test_only_another_major_schema_is_refused(tmp_path: Path, schema: str, accepted: bool) -> None:
    root = write_folder(tmp_path / "dst", [sample(0)], schema=schema)
    if accepted:
        assert len(ShardDataset(root)) == 1
    else:
        with pytest.raises(DatasetError, match="schema 'augpipe/2', but this augpipe reads 'augpipe/1'"):
            ShardDataset(root)


def test_a_manifest_may_name_shards_by_their_files(folder: Path, tmp_path: Path) -> None:
    root = numbered_folder(tmp_path / "dst", SHARDS)
    manifest = json.loads((root / "manifest.json").read_bytes())
    for shard in manifest["shards"]:
        shard["name"] += ".tar"
    (root / "manifest.json").write_text(json.dumps(manifest))
    assert ids(ShardDataset(root)) == ids(ShardDataset(folder))


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema": "augpipe/1"}', b'{"schema": 1}'])
def test_a_damaged_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    root = numbered_folder(tmp_path / "dst", [2])
    (root / "manifest.json").write_bytes(content)
    with pytest.raises(DatasetError, match=r"manifest\.json: "):
        ShardDataset(root)


@pytest.mark.parametrize(
    ("categories", "difference"),
    [
        ([CATEGORIES[0], {"id": 8, "label": 2, "name": "cow"}], r"label 2 = 'cow' .* where that has label 2 = 'dog'"),
        (CATEGORIES[:1], "nothing where that has label 2 = 'dog'"),
        ([CATEGORIES[0], {**CATEGORIES[1], "keypoints": ["nose"]}], "with 1 keypoints where"),
    ],
)
def test_folders_of_other_classes_are_refused(folder: Path, tmp_path: Path, categories: list, difference: str) -> None:
    other = write_folder(tmp_path / "other", [sample(0)], categories=categories)
    with pytest.raises(DatasetError, match=difference):
        ShardDataset([folder, other])


def test_a_shard_of_another_length_or_none_is_refused_at_once(tmp_path: Path) -> None:
    root = numbered_folder(tmp_path / "dst", [2, 3])
    shard = root / "all-000001.tar"
    shard.write_bytes(shard.read_bytes()[:-512])
    with pytest.raises(DatasetError, match=r"all-000001\.tar: damaged: 6656 bytes, the manifest says 7168; copy .*"):
        ShardDataset(root)
    shard.unlink()
    with pytest.raises(DatasetError, match=r"all-000001\.tar: the manifest names this shard, but No such file"):
        ShardDataset(root)


def damaged_header(data: bytearray) -> None:
    data[3] ^= 1


def with_checksum(data: bytearray) -> None:
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + sum(data[156:512]) + 8 * 32)


def no_ustar(data: bytearray) -> None:
    data[257:265] = bytes(8)
    with_checksum(data)


def no_regular_file(data: bytearray) -> None:
    data[156] = ord("2")
    with_checksum(data)


def size_beyond_the_end(data: bytearray) -> None:
    data[124:136] = b"%011o\0" % 10**6
    with_checksum(data)


def one_sample_less(data: bytearray) -> None:
    other = tar_of([sample(0)])
    data[:] = other + bytes(len(data) - len(other))


def no_json(data: bytearray) -> None:
    stored = [sample(0), sample(1)]
    short = tar_of(
        [(key, {ext: content for ext, content in members.items() if ext != "json"}) for key, members in stored]
    )
    data[:] = short + bytes(len(data) - len(short))


def damaged_json(data: bytearray) -> None:
    start = data.index(b'"box') if b'"box' in data else data.index(b'"height"')
    data[start] = ord("{")


def damaged_picture(data: bytearray) -> None:
    data[512:600] = bytes(88)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damaged_header, r"all-000000\.tar: damaged at byte 0: "),
        (no_ustar, r"all-000000\.tar: damaged at byte 0: "),
        (no_regular_file, r"all-000000\.tar: damaged at byte 0: "),
        (size_beyond_the_end, r"all-000000\.tar: damaged at byte 0: "),
        (one_sample_less, r"all-000000\.tar: damaged: 1 samples, the manifest says 2"),
        (no_json, r"all-000000\.tar: p000-.*: no p000-.*\.json beside \['png'\]"),
        (damaged_json, r"all-000000\.tar: p000-.*\.json: not as docs/format\.md has it"),
        (damaged_picture, r"all-000000\.tar: p000-.*: expected an 8-bit .* of 17×11, got none"),
    ],
)
def test_a_damaged_shard_of_the_right_length_is_named(tmp_path: Path, damage, message: str) -> None:
    root = numbered_folder(tmp_path / "dst", [2])
    shard = root / "all-000000.tar"
    data = bytearray(shard.read_bytes())
    length = len(data)
    damage(data)
    assert len(data) == length
    shard.write_bytes(data)
    with pytest.raises(DatasetError, match=message):
        ids(ShardDataset(root))


def test_more_shards_than_files_may_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augpipe.formats.webdataset.folder._OPEN_FILES", 2)
    dataset = ShardDataset(numbered_folder(tmp_path / "dst", [2] * 6), shuffle=12)
    assert sorted(ids(dataset)) == list(range(12))
    assert len(dataset._stored._reader._files) == 2


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset leaves tars to the garbage collector
def test_plain_webdataset_reads_the_same_samples(folder: Path) -> None:
    urls = [shard.path for shard in open_folder(folder).shards]
    plain = wds.WebDataset(urls, shardshuffle=False, empty_check=False).decode("rgb8")
    theirs = {stored["__key__"]: stored["png"] for stored in plain}
    gc.collect()
    ours = {target["key"]: image for image, target in ShardDataset(folder)}
    assert theirs.keys() == ours.keys()
    assert all(np.array_equal(theirs[key], image.permute(1, 2, 0).numpy()) for key, image in ours.items())


def test_bytes_that_are_no_text_are_damage(folder: Path) -> None:
    path = folder / "all-000000.tar"
    path.write_bytes(path.read_bytes().replace(b'"key": "p000', b'"key": "p\x8000'))
    with pytest.raises(DatasetError, match=r"all-000000\.tar: .*\.json: not as docs/format\.md has it: .*utf-8"):
        list(ShardDataset(folder))
    manifest = folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"all-000000"', b'"all-\xff00000"'))
    with pytest.raises(DatasetError, match=r"not as docs/format\.md has it: .*utf-8"):
        open_folder(folder)


@pytest.mark.parametrize("far", [1e300, 1e9, -2e9])
def test_a_polygon_that_no_picture_holds_is_damage(tmp_path: Path, far: float) -> None:
    """pycocotools would not return from it, and the training with it."""
    thing = {"label": 1, "box_xyxy": [0, 0, 2, 2], "segmentation": [[0, 0, far, 0, 0, far]]}
    root = write_folder(tmp_path / "dst", [sample(0, objects=[thing])])
    with pytest.raises(DatasetError, match=r"a segmentation is not of the picture: .* cannot be drawn"):
        list(ShardDataset(root))


@pytest.mark.parametrize("samples", [-1, 99, 2**40, 2**63])
def test_a_number_of_samples_that_no_tar_holds_is_damage(folder: Path, samples: int) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["shards"][0]["samples"] = samples
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match=rf"bytes, but the manifest says {samples} samples"):
        ShardDataset(folder)


def test_a_box_that_is_nowhere_is_damage(tmp_path: Path) -> None:
    for number, thing in enumerate(({"box_xyxy": [0, 0, 1e300, 2]}, {"box_xyxy": [0, 0, 2, 2], "area": 1e300})):
        root = write_folder(tmp_path / str(number), [sample(0, objects=[{"label": 1, **thing}])])
        with pytest.raises(DatasetError, match="an object lies further from the picture"):
            list(ShardDataset(root))


@pytest.mark.parametrize("name", ["../x", "/x", "\x1b[31m", "x" * 300, ""])
def test_a_name_that_is_no_shards_is_damage(folder: Path, name: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["shards"][0]["name"] = name
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match=r"is no name of a shard, such as all-000000$"):
        ShardDataset(folder)
