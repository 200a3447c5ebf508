"""A dataset parted into splits: by plain hashing here, the same again, in the places of every format."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from builders import object_xml, voc_xml, write_picture, write_voc
from command_line import call, lines
from conversions import yolo_rows
from split_layouts import voc_by_lists, yolo_by_folders

from augpipe.formats.layout.parted import plain_name


def unit(name: str) -> float:
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") // 2**11) / 2**53


def by_hand(name: str, val: float, test: float = 0.0) -> str:
    return "val" if unit(name) < val else "test" if unit(name) < val + test else "train"


def done(*arguments: object) -> str:
    result = call("dataset", "split", *arguments)
    assert result.exit_code == 0, result.output
    return result.output


STEMS = [f"p{i // 3}_{i % 3}" for i in range(30)]


@pytest.fixture
def voc(tmp_path) -> Path:
    return write_voc(tmp_path / "voc", {stem: voc_xml(object_xml()) for stem in STEMS})


def lists(root: Path) -> dict[str, set[str]]:
    return {
        p.stem: set(p.read_text().split()) for p in (root / "ImageSets" / "Main").glob("*.txt") if "_" not in p.stem
    }


def test_every_format_puts_the_splits_where_they_belong(voc, tmp_path):
    expected = {
        split: {s for s in STEMS if by_hand(f"{s}.jpg", 0.2, 0.2) == split} for split in ("train", "val", "test")
    }
    said = done(voc, tmp_path / "out", "--val", "20%", "--test", "20%")
    assert {name: stems for name, stems in lists(tmp_path / "out").items() if name in expected} == expected
    counts = ", ".join(f"{name} {len(stems)}" for name, stems in expected.items())
    assert f"parted by a hash of names: {counts}" in said
    done(voc, tmp_path / "yolo", "--val", "20%", "--test", "20%", "--to", "yolo")
    assert set(yolo_rows(tmp_path / "yolo")) == {f"{name}/{s}.jpg" for name, stems in expected.items() for s in stems}
    done(voc, tmp_path / "coco", "--val", "20%", "--test", "20%", "--to", "coco")
    for name, stems in expected.items():
        document = json.loads((tmp_path / "coco" / "annotations" / f"instances_{name}.json").read_text())
        assert {Path(i["file_name"]).stem for i in document["images"]} == stems


def test_what_was_parted_and_written_is_parted_the_same_again(voc, tmp_path):
    done(voc, tmp_path / "one", "--val", "20%", "--to", "yolo")
    done(tmp_path / "one", tmp_path / "two", "--val", "20%", "--again")
    assert set(yolo_rows(tmp_path / "two")) == set(yolo_rows(tmp_path / "one"))
    done(tmp_path / "one", tmp_path / "three", "--val", "50%", "--again")
    assert set(yolo_rows(tmp_path / "three")) == {f"{by_hand(f'{s}.jpg', 0.5)}/{s}.jpg" for s in STEMS}


def test_groups_stay_together(voc, tmp_path):
    done(voc, tmp_path / "out", "--val", "30%", "--group-by", r"^(p\d+)_")
    found = lists(tmp_path / "out")
    assert found["val"] == {s for s in STEMS if unit("\0" + s.partition("_")[0]) < 0.3}
    assert found["val"] | found["train"] == set(STEMS)
    assert len(found["val"]) < 30


def test_a_pattern_that_matches_nothing_leaves_each_alone(voc, tmp_path):
    said = done(voc, tmp_path / "out", "--val", "20%", "--group-by", "q")
    assert "parted by a hash of groups" in said
    assert lists(tmp_path / "out")["val"] == {s for s in STEMS if by_hand(f"{s}.jpg", 0.2) == "val"}


def test_only_train_is_parted_unless_asked(tmp_path):
    yolo_by_folders(tmp_path / "yolo")
    for i in range(12):
        write_picture(tmp_path / "yolo" / "images" / "train" / f"t{i}.jpg")
        (tmp_path / "yolo" / "labels" / "train" / f"t{i}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    said = done(tmp_path / "yolo", tmp_path / "out", "--test", "30%")
    names = ["train.jpg", *(f"t{i}.jpg" for i in range(12))]
    expected = {f"{'test' if unit(n) < 0.3 else 'train'}/{n}" for n in names} | {"val/valid.jpg", "test/test.jpg"}
    assert set(yolo_rows(tmp_path / "out")) == expected
    assert "2 pictures stay in val, test" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--val 10%"),
        (("--val", "0%"), "--val 0"),
        (("--val", "60%", "--test", "40%"), "less than 100%"),
        (("--group-by", "p"), "--val or --test"),
        (("--val", "10%", "--group-by", "(a+)+$"), "a repeat"),
        (("--val", "a lot"), "expected a share"),
        (("--val", "0.1%"), "falls into val"),
        (("--val", "10%", "--group-by", "("), "no regular expression"),
    ],
)
def test_what_cannot_be(voc, tmp_path, words, said):
    result = call("dataset", "split", voc, tmp_path / "out", *words)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert len(lines(result.stderr)) <= 2
    assert not (tmp_path / "out").exists()


def test_a_set_without_train_is_parted_already(tmp_path):
    voc_by_lists(tmp_path / "voc")
    for split in ("train", "trainval"):
        (tmp_path / "voc" / "ImageSets" / "Main" / f"{split}.txt").unlink()
    (tmp_path / "voc" / "Annotations" / "train.xml").unlink()
    result = call("dataset", "split", tmp_path / "voc", tmp_path / "out", "--val", "10%")
    assert result.exit_code == 2
    assert "is parted already: val, test" in result.stderr


def test_a_name_is_hashed_without_the_folder_of_its_split():
    assert plain_name("val/a.jpg", "val") == plain_name("train2017/a.jpg", "train") == "a.jpg"
    assert plain_name("val/a.jpg", "train") == "val/a.jpg"
    assert plain_name("val/a.jpg", "") == "val/a.jpg"


def test_augment_parts_a_folder_of_train_alike(tmp_path):
    """Though the names in the source have the folder of their split."""
    root = tmp_path / "yolo"
    for stem in STEMS:
        write_picture(root / "images" / "train" / f"{stem}.jpg")
        (root / "labels" / "train").mkdir(parents=True, exist_ok=True)
        (root / "labels" / "train" / f"{stem}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (root / "data.yaml").write_text("train: images/train\nnames: [cat]\n")
    result = call("augment", root, tmp_path / "out", "-r", "gentle", "--val", "30%", "--to", "voc", "-w", 0)
    assert result.exit_code == 0, result.output
    found = {
        Path(stem).name.partition("-")[0]: name for name, stems in lists(tmp_path / "out").items() for stem in stems
    }
    assert found == {stem: by_hand(f"{stem}.jpg", 0.3) for stem in STEMS}


def test_where_train_would_be_empty_smaller_shares_help(tmp_path):
    stem = next(f"p{i}" for i in range(99) if by_hand(f"p{i}.jpg", 0.5) == "val")
    source = write_voc(tmp_path / "voc", {stem: voc_xml(object_xml())})
    result = call("dataset", "split", source, tmp_path / "out", "--val", "50%")
    assert (result.exit_code, "falls into train; give smaller shares" in result.stderr) == (2, True)


def test_shares_that_are_more_than_all_are_named_as_they_were_given(voc, tmp_path):
    result = call("dataset", "split", voc, tmp_path / "out", "--val", "60%", "--test", "50%")
    assert "--val 60%, --test 50%: expected more than 0% and less than 100% together" in result.stderr
