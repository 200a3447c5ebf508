"""A dataset made of a dataset by one command: what is written, and that it is there whole and to the same bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import datasets
import pytest
from builders import coco, contents, image, row, write_json, write_picture
from command_line import call
from conversions import coco_boxes, voc_boxes, yolo_boxes
from stopped import Stop, stopping

from augpipe.conversion import dataset_folder, retry_to
from augpipe.conversion.augmented import augment_to
from augpipe.core.errors import RunError
from augpipe.formats.base import SourceOptions
from augpipe.run import task
from augpipe.run.augment import Execution, RunOptions

HERE = Execution(workers=0)
PLAIN = ("--recipe", "detection", "--copies", 2, "--seed", 7, "--workers", 0)
HIDDEN = ".augpipe-run"


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """VOC without lists, hence without splits."""
    root = datasets.make_voc(tmp_path_factory.mktemp("source") / "voc", 4)
    shutil.rmtree(root / "ImageSets")
    return root


def made(source: Path, folder: Path, to: str, *more: object, code: int = 0) -> str:
    result = call("augment", source, folder, *PLAIN, "--to", to, *more)
    assert result.exit_code == code, result.output
    return result.stdout + result.stderr


def refused(source: Path, folder: Path, to: str, *more: object) -> str:
    before = contents(folder) if folder.is_dir() else None
    said = made(source, folder, to, *more, code=2)
    complaint = said[said.index("augpipe: ") :]
    assert len(complaint.splitlines()) <= 2
    assert (contents(folder) if folder.is_dir() else None) == before
    return complaint


def dataset(folder: Path) -> dict[str, bytes]:
    """The files of the dataset alone."""
    return {name: data for name, data in contents(folder).items() if not name.startswith(f"{HIDDEN}/")}


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    return {p.as_posix(): (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def yolo(source, tmp_path_factory) -> Path:
    """A finished dataset; tests work on copies."""
    folder = tmp_path_factory.mktemp("yolo") / "set"
    made(source, folder, "yolo")
    return folder


# --- what is written -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["yolo", "coco", "voc", "dota"])
def test_one_command_writes_what_two_do(source, to, tmp_path):
    """The bytes of `augment` and then `convert`, whatever the number of workers."""
    assert call("augment", source, tmp_path / "shards", *PLAIN).exit_code == 0
    assert call("convert", f"shards-to-{to}", tmp_path / "shards", tmp_path / "two").exit_code == 0
    said = made(source, tmp_path / "one", to)
    assert dataset(tmp_path / "one") == contents(tmp_path / "two")
    assert "8 pictures, " in said
    made(source, tmp_path / "three", to, "--workers", 2)
    assert dataset(tmp_path / "three") == contents(tmp_path / "two")


def test_all_boxes_of_the_shards_are_in_each_format(source, tmp_path):
    for to in ("yolo", "coco", "voc"):
        made(source, tmp_path / to, to)
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


def test_originals_have_the_names_and_the_bytes_of_their_sources(source, tmp_path):
    made(source, tmp_path / "set", "yolo", "--copies", 1, "--originals")
    files = dataset(tmp_path / "set")
    for picture in (source / "JPEGImages").iterdir():
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


def test_the_same_command_again_changes_nothing(source, yolo):
    before = stamps(yolo)
    assert "nothing to do" in made(source, yolo, "yolo")
    assert "nothing to do" in made(source, yolo, "yolo", "--check")
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


def test_a_lost_and_a_damaged_file_are_made_again(source, yolo, tmp_path):
    """A file that is gone or of another size is seen at once, another content with --check."""
    folder = Path(shutil.copytree(yolo, tmp_path / "set"))
    picture, label = sorted((folder / "images").iterdir())[0], sorted((folder / "labels").iterdir())[-1]
    label.unlink()
    assert f"{label}: is gone; it is made again" in made(source, folder, "yolo")
    assert dataset(folder) == dataset(yolo)
    data = bytearray(picture.read_bytes())
    data[-3] ^= 1
    picture.write_bytes(data)
    assert "nothing to do" in made(source, folder, "yolo")
    assert "another sha256 than when it was written" in made(source, folder, "yolo", "--check")
    assert dataset(folder) == dataset(yolo)


@pytest.mark.parametrize("name", ["dataset.json", "files.jsonl", "shards/manifest.json", "shards/all-000001.json"])
def test_damaged_books_are_made_again(source, yolo, tmp_path, name):
    folder = Path(shutil.copytree(yolo, tmp_path / "set"))
    (folder / HIDDEN / name).write_text("{}")
    made(source, folder, "yolo")
    assert dataset(folder) == dataset(yolo)
    assert "nothing to do" in made(source, folder, "yolo", "--check")


def test_a_file_of_somebody_else_stays(source, yolo, tmp_path):
    """Beside the dataset, as Ultralytics' cache; one in the place of a file of the dataset is not written over."""
    folder = Path(shutil.copytree(yolo, tmp_path / "set"))
    (folder / "labels.cache").write_text("x")
    (folder / "data.yaml").unlink()
    made(source, folder, "yolo")
    assert dataset(folder) == {**dataset(yolo), "labels.cache": b"x"}
    made(source, folder, "yolo", "--overwrite", "--seed", 8)
    assert (folder / "labels.cache").read_text() == "x"
    other = tmp_path / "other"
    with pytest.raises(Stop), stopping(other / HIDDEN / "stage", 0):
        made(source, other, "yolo")
    (other / "data.yaml").write_text("mine")
    assert "is not of this dataset" in made(source, other, "yolo", code=1)
    assert (other / "data.yaml").read_text() == "mine"
    (other / "data.yaml").unlink()
    made(source, other, "yolo")
    assert dataset(other) == dataset(yolo)


def test_a_link_out_of_the_folder_is_not_followed(source, tmp_path):
    folder, elsewhere = tmp_path / "set", tmp_path / "elsewhere"
    with pytest.raises(Stop), stopping(folder / HIDDEN / "stage", 0):
        made(source, folder, "yolo")
    elsewhere.mkdir()
    (folder / "images").symlink_to(elsewhere)
    assert "is a link" in made(source, folder, "yolo", code=1)
    assert not list(elsewhere.iterdir())


def test_overwrite_leaves_nothing_of_the_dataset_before(source, yolo, tmp_path):
    folder = Path(shutil.copytree(yolo, tmp_path / "set"))
    made(source, folder, "coco", "--overwrite")
    made(source, tmp_path / "coco", "coco")
    assert dataset(folder) == dataset(tmp_path / "coco")
    assert not (folder / "labels").exists()


def test_copies_can_be_added(source, yolo, tmp_path):
    folder = Path(shutil.copytree(yolo, tmp_path / "set"))
    made(source, folder, "yolo", "--extend", 3)
    made(source, tmp_path / "three", "yolo", "--copies", 3)
    assert dataset(folder) == dataset(tmp_path / "three")
    assert "nothing to do" in made(source, folder, "yolo", "--extend", 3)


def test_pieces_of_several_machines_become_one_dataset(source, yolo, tmp_path):
    folder = tmp_path / "set"
    said = made(source, folder, "yolo", "--tasks", "0..1/2")
    assert "shards are there" in said
    assert dataset(folder) == {}
    shutil.copytree(folder, tmp_path / "finished")
    made(source, folder, "yolo", "--tasks", "1..2/2")
    assert dataset(folder) == dataset(yolo)
    result = call("finish", tmp_path / "finished")
    assert result.exit_code == 2
    assert "shards are missing" in result.stderr
    shutil.copytree(folder, tmp_path / "again")
    (tmp_path / "again" / "data.yaml").unlink()
    result = call("finish", tmp_path / "again")
    assert (result.exit_code, "its tars are gone" in result.stderr) == (2, True)


# --- rejects ---------------------------------------------------------------------------------------------------------


def test_what_may_pass_is_done_again(source, yolo, tmp_path, monkeypatch):
    read = task.read_picture

    def scarce(entry):
        if entry.key == "img_002.jpg":
            raise MemoryError
        return read(entry)

    folder = tmp_path / "set"
    with monkeypatch.context() as patch:
        patch.setattr(task, "read_picture", scarce)
        said = made(source, folder, "yolo", code=1)
    assert f"'augpipe retry {folder}' does them again" in said
    assert f"see {folder / HIDDEN / 'shards' / 'rejects.jsonl'}" in said
    assert len([name for name in dataset(folder) if name.startswith("images/")]) == 6
    result = call("retry", folder, "--workers", 0)
    assert result.exit_code == 0, result.output
    assert dataset(folder) == dataset(yolo)
    assert "nothing to do" in call("retry", folder, "--workers", 0).stdout


def test_mended_files_are_taken_up(source, tmp_path):
    root = Path(shutil.copytree(source, tmp_path / "voc"))
    (root / "JPEGImages" / "img_001.jpg").write_bytes(b"no picture")
    made(root, tmp_path / "set", "coco")
    assert len(coco_boxes(tmp_path / "set" / "annotations")) == 6
    shutil.copy(source / "JPEGImages" / "img_001.jpg", root / "JPEGImages")
    made_again = retry_to(tmp_path / "set", everything=True, execution=HERE)
    assert (made_again.summary.rejected, made_again.report.pictures) == (0, 8)
    made(source, tmp_path / "right", "coco")
    assert dataset(tmp_path / "set") == dataset(tmp_path / "right")


# --- what cannot be --------------------------------------------------------------------------------------------------


def test_another_request_for_the_same_folder_is_refused(source, yolo, tmp_path):
    assert "holds a dataset of --to yolo, which is not --to coco" in refused(source, yolo, "coco")
    assert "--to yolo --kind obb" in refused(source, yolo, "yolo", "--kind", "obb")
    assert f"{yolo}: holds a run of another configuration" in refused(source, yolo, "yolo", "--seed", 8)
    shards = call("augment", source, yolo, *PLAIN)
    assert shards.exit_code == 2
    assert "is not empty and holds no run" in shards.stderr


def test_a_folder_of_something_else_is_refused(source, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("x")
    assert "is not empty and holds no dataset" in refused(source, tmp_path / "mine", "yolo")
    assert "is a file" in refused(source, tmp_path / "mine" / "a.txt", "yolo")
    call("augment", source, tmp_path / "shards", *PLAIN)
    assert "holds the shards of a run" in refused(source, tmp_path / "shards", "yolo")
    assert "lies in the source" in refused(source, source / "out", "yolo")
    assert not (source / "out").exists()


def test_what_the_format_cannot_hold_is_refused_before_any_work(classes_folder, masks_folder, tmp_path):
    out = tmp_path / "set"
    for to in ("yolo", "coco", "voc", "dota"):
        assert f"{to} has no place for what imagefolder holds" in refused(
            classes_folder, out, to, "--recipe", "classification"
        )
    assert "yolo has no place for what masks holds" in refused(masks_folder, out, "yolo", "--recipe", "segmentation")
    made(masks_folder, out, "voc", "--recipe", "segmentation")
    assert len(list((out / "SegmentationClass").iterdir())) == 2 * len(list((masks_folder / "masks").iterdir()))
    out = tmp_path / "other"
    write_picture(tmp_path / "images" / "a.jpg")
    two = [{"id": 1, "name": "a b"}, {"id": 2, "name": "a-b"}]
    write_json(tmp_path / "a.json", coco([image(1, "a.jpg")], [row(1, 1)], categories=two))
    images = ("--images", tmp_path / "images")
    assert "would both be 'a-b'" in refused(tmp_path / "a.json", out, "dota", *images)
    assert "has no keypoints to write" in refused(tmp_path / "a.json", out, "yolo", "--kind", "pose", *images)
    assert not out.exists()


def test_options_of_other_formats_are_refused(source, tmp_path):
    assert "--kind says what YOLO's rows hold" in refused(source, tmp_path / "a", "coco", "--kind", "obb")
    assert "--ids says what ids COCO gets" in refused(source, tmp_path / "a", "yolo", "--ids", "sequential")
    assert "--to csv: expected" in refused(source, tmp_path / "a", "csv")
    for command in ("retry", "finish"):
        assert "holds no run of augpipe" in call(command, tmp_path / "a").stderr
    assert not (tmp_path / "a").exists()


def test_options_of_the_format_are_given_on(tmp_path):
    write_picture(tmp_path / "images" / "a.jpg")
    source = write_json(
        tmp_path / "a.json", coco([image(17, "a.jpg")], [row(23, 17, segmentation=[[2, 1, 7, 1, 7, 5]])])
    )
    images = ("--images", tmp_path / "images", "--copies", 0, "--originals")
    made(source, tmp_path / "boxes", "yolo", "--kind", "detect", *images)
    (label,) = (tmp_path / "boxes" / "labels").iterdir()
    assert len(label.read_text().split()) == 5
    made(source, tmp_path / "counted", "coco", "--ids", "sequential", *images)
    document = json.loads((tmp_path / "counted" / "annotations" / "instances_all.json").read_bytes())
    assert ([i["id"] for i in document["images"]], [a["id"] for a in document["annotations"]]) == ([1], [1])


def test_a_disk_without_room_is_refused_before_the_dataset_is_written(source, yolo, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(dataset_folder.HiddenStore, "free_bytes", lambda store: 1000)
        said = made(source, tmp_path / "set", "yolo", code=1)
    assert "there is room for 0.0 MB; its shards stay" in said
    assert dataset(tmp_path / "set") == {}
    made(source, tmp_path / "set", "yolo")
    assert dataset(tmp_path / "set") == dataset(yolo)


def test_a_disk_that_fails_loses_nothing(source, yolo, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(dataset_folder, "_rows_of", full)
        with pytest.raises(RunError, match="cannot be written: No space left on device; its shards stay"):
            augment_to(source, tmp_path / "set", "detection", "yolo", RunOptions(copies=2, seed=7), execution=HERE)
    assert dataset(tmp_path / "set") == {}
    made(source, tmp_path / "set", "yolo")
    assert dataset(tmp_path / "set") == dataset(yolo)
