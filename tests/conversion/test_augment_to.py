"""A dataset made of a dataset by one command: what is written, and that it is there whole and to the same bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import split_layouts
import yaml
from builders import coco, contents, image, row, write_json, write_picture
from command_line import call
from conversions import coco_boxes, voc_boxes, yolo_boxes
from dataset_folders import HERE, HIDDEN, PLAIN, dataset, made, stamps
from stopped import Stop, stopping

from augpipe.conversion.augmented import augment_to, retry_to
from augpipe.formats.base import SourceOptions
from augpipe.run import task
from augpipe.run.augment import RunOptions

# --- what is written -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["yolo", "coco", "voc", "dota"])
def test_one_command_writes_what_two_do(unsplit, to, tmp_path):
    """The bytes of `augment` and then `convert`, whatever the number of workers."""
    assert call("augment", unsplit, tmp_path / "shards", *PLAIN).exit_code == 0
    assert call("convert", f"shards-to-{to}", tmp_path / "shards", tmp_path / "two").exit_code == 0
    said = made(unsplit, tmp_path / "one", to)
    assert dataset(tmp_path / "one") == contents(tmp_path / "two")
    assert "8 pictures, " in said
    made(unsplit, tmp_path / "three", to, "--workers", 2)
    assert dataset(tmp_path / "three") == contents(tmp_path / "two")


def test_all_boxes_of_the_shards_are_in_each_format(unsplit, tmp_path):
    for to in ("yolo", "coco", "voc"):
        made(unsplit, tmp_path / to, to)
    found = coco_boxes(tmp_path / "coco" / "annotations" / "instances_all.json", 3)
    assert sum(map(len, found.values())) > 12
    assert yolo_boxes(tmp_path / "yolo") == found
    voc = {
        stem: [(name, *(round(v, 3) for v in box)) for name, *box in rows]
        for stem, rows in voc_boxes(tmp_path / "voc").items()
    }
    assert voc == found


def test_nothing_but_the_dataset_is_seen_and_no_tar_is_kept(yolo):
    assert sorted(path.name for path in yolo.iterdir()) == [HIDDEN, "data.yaml", "images", "labels"]
    assert not list(yolo.rglob("*.tar"))
    kept = {path.name for path in (yolo / HIDDEN / "shards").iterdir()}
    assert {"run.json", "manifest.json", "rejects.jsonl", "all-000000.json"} <= kept
    rows = [json.loads(line) for line in (yolo / HIDDEN / "files.jsonl").read_text().splitlines()]
    assert {row["name"] for row in rows} == set(dataset(yolo))


def test_originals_have_the_names_and_the_bytes_of_their_sources(unsplit, tmp_path):
    made(unsplit, tmp_path / "set", "yolo", "--copies", 1, "--originals")
    files = dataset(tmp_path / "set")
    for picture in (unsplit / "JPEGImages").iterdir():
        assert files[f"images/{picture.name}"] == picture.read_bytes()
        assert f"labels/{picture.stem}.txt" in files
    assert len([name for name in files if name.startswith("images/")]) == 8


def test_originals_whose_names_would_not_do_keep_their_key(tmp_path):
    """Two that share a stem, and one that formats would not find; the sample's own key stands for them."""
    names = ["a.jpg", "a.png", ".b.jpg", "c.jpg"]
    for name in names:
        write_picture(tmp_path / "images" / name)
    rows = [row(n, n) for n in range(1, 5)]
    document = coco([image(n, name) for n, name in enumerate(names, 1)], rows)
    write_json(tmp_path / "a.json", document)
    made(tmp_path / "a.json", tmp_path / "set", "yolo", "--images", tmp_path / "images", "--copies", 0, "--originals")
    found = sorted(path.name for path in (tmp_path / "set" / "images").iterdir())
    assert [name.partition("-")[0] for name in found] == ["_b", "a", "a", "c.jpg"]
    assert sum(name.endswith("-orig.jpg") for name in found) == 2
    assert yolo_boxes(tmp_path / "set").keys() == {Path(name).stem for name in found}


def test_ids_of_originals_stay_in_coco(tmp_path):
    write_picture(tmp_path / "images" / "a.jpg")
    write_json(tmp_path / "a.json", coco([image(17, "a.jpg")], [row(23, 17)]))
    made(tmp_path / "a.json", tmp_path / "set", "coco", "--images", tmp_path / "images", "--copies", 0, "--originals")
    document = json.loads((tmp_path / "set" / "annotations" / "instances_all.json").read_bytes())
    assert ([i["id"] for i in document["images"]], [a["id"] for a in document["annotations"]]) == ([17], [23])


# --- again, and on ---------------------------------------------------------------------------------------------------


def test_the_same_command_again_changes_nothing(unsplit, yolo):
    before = stamps(yolo)
    assert "nothing to do" in made(unsplit, yolo, "yolo")
    assert "nothing to do" in made(unsplit, yolo, "yolo", "--check")
    assert stamps(yolo) == before


def test_stopped_before_any_change_of_a_file_it_goes_on_to_the_same_bytes(tmp_path):
    """Every third change: of the run, of the stage, of the list, of the moves, of the tars that go."""
    write_picture(tmp_path / "images" / "a.jpg", (40, 30))
    source = write_json(tmp_path / "a.json", coco([image(1, "a.jpg", (40, 30))], [row(1, 1)]))
    options = RunOptions(copies=2, originals=True, source=SourceOptions(images=tmp_path / "images"))

    def carried_out(folder: Path, after: int) -> int:
        with stopping(folder, after) as changes:
            augment_to(source, folder, "detection", "voc", options, execution=HERE)
        return changes.seen

    total = carried_out(tmp_path / "whole", -1)
    wanted = dataset(tmp_path / "whole")
    assert total > 30
    for after in [*range(0, total, 3), total - 1]:
        folder = tmp_path / f"stopped{after}"
        with pytest.raises(Stop):
            carried_out(folder, after)
        carried_out(folder, -1)
        assert dataset(folder) == wanted, after
        assert not list(folder.rglob("*.tar")), after
        assert {p.name for p in (folder / HIDDEN).iterdir()} == {
            p.name for p in (tmp_path / "whole" / HIDDEN).iterdir()
        }
        shutil.rmtree(folder)


def test_a_lost_and_a_damaged_file_are_made_again(unsplit, yolo, tmp_path):
    """A file that is gone or of another size is seen at once, another content with --check."""
    folder = Path(shutil.copytree(yolo, tmp_path / "set"))
    picture, label = sorted((folder / "images").iterdir())[0], sorted((folder / "labels").iterdir())[-1]
    label.unlink()
    assert f"{label}: is gone; it is made again" in made(unsplit, folder, "yolo")
    assert dataset(folder) == dataset(yolo)
    data = bytearray(picture.read_bytes())
    data[-3] ^= 1
    picture.write_bytes(data)
    assert "nothing to do" in made(unsplit, folder, "yolo")
    assert "another sha256 than when it was written" in made(unsplit, folder, "yolo", "--check")
    assert dataset(folder) == dataset(yolo)


@pytest.mark.parametrize("name", ["dataset.json", "files.jsonl", "shards/manifest.json", "shards/all-000001.json"])
def test_damaged_books_are_made_again(unsplit, yolo, tmp_path, name):
    folder = Path(shutil.copytree(yolo, tmp_path / "set"))
    (folder / HIDDEN / name).write_text("{}")
    made(unsplit, folder, "yolo")
    assert dataset(folder) == dataset(yolo)
    assert "nothing to do" in made(unsplit, folder, "yolo", "--check")


def test_a_file_of_somebody_else_stays(unsplit, yolo, tmp_path):
    """Beside the dataset, as Ultralytics' cache; one in the place of a file of the dataset is not written over."""
    folder = Path(shutil.copytree(yolo, tmp_path / "set"))
    (folder / "labels.cache").write_text("x")
    (folder / "data.yaml").unlink()
    made(unsplit, folder, "yolo")
    assert dataset(folder) == {**dataset(yolo), "labels.cache": b"x"}
    made(unsplit, folder, "yolo", "--overwrite", "--seed", 8)
    assert (folder / "labels.cache").read_text() == "x"
    other = tmp_path / "other"
    with pytest.raises(Stop), stopping(other / HIDDEN / "stage", 0):
        made(unsplit, other, "yolo")
    (other / "data.yaml").write_text("mine")
    assert "is not of this dataset" in made(unsplit, other, "yolo", code=1)
    assert (other / "data.yaml").read_text() == "mine"
    (other / "data.yaml").unlink()
    made(unsplit, other, "yolo")
    assert dataset(other) == dataset(yolo)


def test_a_link_out_of_the_folder_is_not_followed(unsplit, tmp_path):
    folder, elsewhere = tmp_path / "set", tmp_path / "elsewhere"
    with pytest.raises(Stop), stopping(folder / HIDDEN / "stage", 0):
        made(unsplit, folder, "yolo")
    elsewhere.mkdir()
    (folder / "images").symlink_to(elsewhere)
    assert "is a link" in made(unsplit, folder, "yolo", code=1)
    assert not list(elsewhere.iterdir())


def test_overwrite_leaves_nothing_of_the_dataset_before(unsplit, yolo, tmp_path):
    folder = Path(shutil.copytree(yolo, tmp_path / "set"))
    made(unsplit, folder, "coco", "--overwrite")
    made(unsplit, tmp_path / "coco", "coco")
    assert dataset(folder) == dataset(tmp_path / "coco")
    assert not (folder / "labels").exists()


def test_copies_can_be_added(unsplit, yolo, tmp_path):
    folder = Path(shutil.copytree(yolo, tmp_path / "set"))
    made(unsplit, folder, "yolo", "--extend", 3)
    made(unsplit, tmp_path / "three", "yolo", "--copies", 3)
    assert dataset(folder) == dataset(tmp_path / "three")
    assert "nothing to do" in made(unsplit, folder, "yolo", "--extend", 3)


def test_pieces_of_several_machines_become_one_dataset(unsplit, yolo, tmp_path):
    folder = tmp_path / "set"
    said = made(unsplit, folder, "yolo", "--tasks", "0..1/2")
    assert "shards are there" in said
    assert dataset(folder) == {}
    shutil.copytree(folder, tmp_path / "finished")
    made(unsplit, folder, "yolo", "--tasks", "1..2/2")
    assert dataset(folder) == dataset(yolo)
    result = call("finish", tmp_path / "finished")
    assert result.exit_code == 2
    assert "shards are missing" in result.stderr
    shutil.copytree(folder, tmp_path / "again")
    (tmp_path / "again" / "data.yaml").unlink()
    result = call("finish", tmp_path / "again")
    assert (result.exit_code, "its tars are gone" in result.stderr) == (2, True)


# --- rejects ---------------------------------------------------------------------------------------------------------


def test_what_may_pass_is_done_again(unsplit, yolo, tmp_path, monkeypatch):
    read = task.read_picture

    def scarce(entry):
        if entry.key == "img_002.jpg":
            raise MemoryError
        return read(entry)

    folder = tmp_path / "set"
    with monkeypatch.context() as patch:
        patch.setattr(task, "read_picture", scarce)
        said = made(unsplit, folder, "yolo", code=1)
    assert f"'augpipe retry {folder}' does them again" in said
    assert f"see {folder / HIDDEN / 'shards' / 'rejects.jsonl'}" in said
    assert len([name for name in dataset(folder) if name.startswith("images/")]) == 6
    result = call("retry", folder, "--workers", 0)
    assert result.exit_code == 0, result.output
    assert dataset(folder) == dataset(yolo)
    assert "nothing to do" in call("retry", folder, "--workers", 0).stdout


def test_mended_files_are_taken_up(unsplit, tmp_path):
    root = Path(shutil.copytree(unsplit, tmp_path / "voc"))
    (root / "JPEGImages" / "img_001.jpg").write_bytes(b"no picture")
    made(root, tmp_path / "set", "coco")
    assert len(coco_boxes(tmp_path / "set" / "annotations")) == 6
    shutil.copy(unsplit / "JPEGImages" / "img_001.jpg", root / "JPEGImages")
    made_again = retry_to(tmp_path / "set", everything=True, execution=HERE)
    assert (made_again.summary.rejected, made_again.report.pictures) == (0, 8)
    made(unsplit, tmp_path / "right", "coco")
    assert dataset(tmp_path / "set") == dataset(tmp_path / "right")


# --- splits ----------------------------------------------------------------------------------------------------------


def names_in(folder: Path) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in folder.iterdir())


def test_every_split_lies_where_its_format_has_it(tmp_path):
    """One DST of all splits; val and test are the pictures of before under their names."""
    split_layouts.coco_2017(tmp_path / "in")
    for to in ("yolo", "coco", "voc", "dota"):
        made(tmp_path / "in", tmp_path / to, to)
    for split in ("train", "val", "test"):
        name = {"val": "valid"}.get(split, split)
        original = (tmp_path / "in" / f"{split}2017" / f"{name}.jpg").read_bytes()
        kept = 2 if split == "train" else 1
        for folder in (tmp_path / "yolo" / "images" / split, tmp_path / "dota" / "images" / split):
            assert len(names_in(folder)) == kept
        document = json.loads((tmp_path / "coco" / "annotations" / f"instances_{split}.json").read_bytes())
        listed = (tmp_path / "voc" / "ImageSets" / "Main" / f"{split}.txt").read_text().split()
        assert len(document["images"]) == len(listed) == kept
        if split != "train":
            assert (tmp_path / "yolo" / "images" / split / f"{name}.jpg").read_bytes() == original
            assert [image["file_name"].rpartition("/")[2] for image in document["images"]] == [f"{name}.jpg"]
            assert (tmp_path / "coco" / "images" / document["images"][0]["file_name"]).read_bytes() == original
    data = yaml.safe_load((tmp_path / "yolo" / "data.yaml").read_text())
    assert [data[split] for split in ("train", "val", "test")] == ["images/train", "images/val", "images/test"]


def test_the_layout_of_the_source_is_not_repeated(tmp_path):
    """Roboflow's valid/images/x.jpg is images/val/x.jpg; names that are in two splits stay apart."""
    split_layouts.yolo_by_yaml(tmp_path / "in")
    for split in ("train", "valid"):
        shutil.copy(tmp_path / "in" / split / "images" / f"{split}.jpg", tmp_path / "in" / split / "images" / "b.jpg")
    for to in ("yolo", "coco", "voc"):
        made(tmp_path / "in", tmp_path / to, to, "--originals")
    assert sorted(p.name for p in (tmp_path / "yolo" / "images" / "val").iterdir()) == ["b.jpg", "valid.jpg"]
    assert not list((tmp_path / "yolo" / "images").rglob("images"))
    for to, folder in (("coco", "images"), ("voc", "JPEGImages")):
        found = {p.relative_to(tmp_path / to / folder).as_posix() for p in (tmp_path / to / folder).rglob("*.jpg")}
        apart = {"train/images/b.jpg", "valid/images/b.jpg"}
        assert {name for name in found if "-" not in name} == {*apart, "train.jpg", "test.jpg", "valid.jpg"}


def test_ids_of_what_is_passed_through_stay_in_coco(tmp_path):
    """So that results for the validation set can be compared with those of before."""
    split_layouts.coco_2017(tmp_path / "in")
    made(tmp_path / "in", tmp_path / "out", "coco")
    found = {}
    for split in ("train", "val"):
        for place, name in ((tmp_path / "in", f"instances_{split}2017"), (tmp_path / "out", f"instances_{split}")):
            document = json.loads((place / "annotations" / f"{name}.json").read_bytes())
            found[place.name, split] = {row["id"] for kind in ("images", "annotations") for row in document[kind]}
    assert found["in", "val"] == found["out", "val"]
    assert not found["in", "train"] & found["out", "train"]
