"""One sample made again: the bytes of its tar for all kinds of labels and pictures, and what is said if not."""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
from pathlib import Path

import datasets
import pytest
from builders import coco, image, object_xml, row, voc_xml, write_json, write_picture, write_voc
from command_line import call, lines
from runs import recipe_of, run, samples

from augpipe.core.errors import UsageError
from augpipe.pixels.codec.image import PictureFormat
from augpipe.replay import replay

MOVED = recipe_of(
    "version: 1\nlabels: {min_visibility: 0.2}\nsteps:\n- affine: {rotate: [-30, 30]}\n- gaussian_noise: {std: 9}\n"
)
MAKERS = {
    "voc": lambda folder: datasets.make_voc(folder, 2),
    "coco": lambda folder: datasets.make_coco(folder, 3),
    "masks": lambda folder: datasets.make_masks(folder, 2),
    "classes": lambda folder: datasets.make_classes(folder, 1),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """For each kind of dataset: its folder, and the shards made of it."""
    root = tmp_path_factory.mktemp("replay")
    made = {}
    for (name, make), picture in zip(MAKERS.items(), ("auto", "png", "webp", "jpg"), strict=True):
        source = make(root / name)
        options = {"format": "imagefolder"} if name == "classes" else {}
        how = {"copies": 2, "originals": True, "sources_per_shard": 2, "picture": PictureFormat(picture), **options}
        run(source, root / f"{name}-shards", MOVED, **how)
        made[name] = (source, root / f"{name}-shards")
    return made


@pytest.mark.parametrize("kind", MAKERS)
def test_every_sample_is_made_again_as_it_is(folders, kind):
    _, shards = folders[kind]
    there = samples(shards)
    assert {key.rpartition("-")[2] for key in there} == {"orig", "c000", "c001"}
    for key, files in there.items():
        made = replay(shards, key)
        assert dict(made.members) == files
        assert made.is_same
        assert set(made.outcomes.values()) == {"same"}


def test_copies_that_were_added_are_made_again(folders, tmp_path):
    source, _ = folders["voc"]
    run(source, tmp_path / "out", MOVED, copies=1)
    run(source, tmp_path / "out", MOVED, copies=2, extend=True)
    for key, files in samples(tmp_path / "out").items():
        assert dict(replay(tmp_path / "out", key).members) == files


@pytest.mark.parametrize("command", [("tile", "--size", 40), ("crops", "--margin", 0.1)], ids=lambda c: c[0])
def test_windows_of_pictures_are_made_again(command, tmp_path):
    source = datasets.make_coco(tmp_path / "coco", 2)
    cut = call(command[0], source, tmp_path / "out", *command[1:], "-w", 0)
    assert cut.exit_code == 0, cut.output
    there = samples(tmp_path / "out")
    assert len(there) >= 5
    for key, files in there.items():
        assert dict(replay(tmp_path / "out", key).members) == files


def test_the_command_writes_the_picture_or_all_files(folders, tmp_path):
    _, shards = folders["masks"]
    key, files = next(iter(samples(shards).items()))
    done = call("replay", shards, f"{key}.json", "-o", tmp_path / "a.webp")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "a.webp").read_bytes() == files["webp"]
    assert "the same bytes" in done.stdout
    assert call("replay", shards, key, "-o", tmp_path / "a.tar").exit_code == 0
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert {m.name: tar.extractfile(m).read() for m in tar} == {
            f"{key}.{name}": data for name, data in files.items()
        }


def test_a_moved_source_is_named(folders, tmp_path):
    source, shards = folders["coco"]
    copied = shutil.copytree(shards, tmp_path / "shards")
    state = json.loads((copied / "run.json").read_text())
    state["request"]["source"] = "/nowhere/coco"
    (copied / "run.json").write_text(json.dumps(state))
    key = next(iter(samples(shards)))
    done = call("replay", copied, key)
    assert done.exit_code == 2
    assert "--against SRC" in done.stderr
    moved = shutil.copytree(source, tmp_path / "moved")
    assert call("replay", copied, key, "--against", moved).exit_code == 0


def test_names_and_pictures_that_were_moved_too(tmp_path):
    images = [image(1, "a.jpg", (40, 30))]
    write_picture(tmp_path / "pictures" / "a.jpg", (40, 30))
    write_json(tmp_path / "a.json", coco(images, [row(bbox=[9, 9, 20, 12], area=240.0, iscrowd=0)]))
    run(tmp_path / "a.json", tmp_path / "out", MOVED, images=tmp_path / "pictures")
    (tmp_path / "pictures").rename(tmp_path / "moved")
    key = next(iter(samples(tmp_path / "out")))
    assert call("replay", tmp_path / "out", key).exit_code == 2
    assert call("replay", tmp_path / "out", key, "--images", tmp_path / "moved").exit_code == 0

    (tmp_path / "names.txt").write_text("dog\ncat\n")
    source = write_voc(tmp_path / "voc", {"a": voc_xml(object_xml("cat", (3, 2, 18, 9)))})
    run(source, tmp_path / "named", MOVED, classes=tmp_path / "names.txt")
    (tmp_path / "names.txt").rename(tmp_path / "renamed.txt")
    key = next(iter(samples(tmp_path / "named")))
    assert call("replay", tmp_path / "named", key).exit_code == 2
    assert call("replay", tmp_path / "named", key, "--classes", tmp_path / "renamed.txt").exit_code == 0


def broken(folders, tmp_path: Path) -> tuple[Path, Path, str]:
    """A copy of source and shards that may be damaged, and the KEY of the first copy of a picture."""
    source, shards = (shutil.copytree(place, tmp_path / place.name) for place in folders["voc"])
    return source, shards, next(key for key in samples(shards) if key.endswith("c000"))


def picture_of(source: Path, shards: Path, key: str) -> Path:
    return source / "JPEGImages" / json.loads(samples(shards)[key]["json"])["source"]["key"]


def test_another_picture_or_none(folders, tmp_path):
    source, shards, key = broken(folders, tmp_path)
    picture = picture_of(source, shards, key)
    picture.write_bytes(picture.read_bytes() + b"\0")
    with pytest.raises(UsageError, match=r"is not the file that the sample was made of.*sha256") as caught:
        replay(shards, key, source)
    assert "--against" in str(caught.value)
    picture.unlink()
    with pytest.raises(UsageError, match=r"no picture .* was found"):
        replay(shards, key, source)
    (source / "Annotations" / f"{picture.stem}.xml").unlink()
    with pytest.raises(UsageError, match=r"has no picture .*did you mean"):
        replay(shards, key, source)


def test_other_labels_are_told_and_differ_in_the_record_alone(folders, tmp_path):
    source, shards, key = broken(folders, tmp_path)
    xml = source / "Annotations" / f"{picture_of(source, shards, key).stem}.xml"
    xml.write_text(xml.read_text().replace("<difficult>0</difficult>", "<difficult>1</difficult>", 1))
    done = call("replay", shards, key, "--against", source)
    assert done.exit_code == 1
    assert "labels of the picture have changed" in done.stderr
    assert lines(done.stdout)[-1] == "made again: json not as in the shard"


def test_what_is_in_no_shard(folders, tmp_path):
    source, shards, key = broken(folders, tmp_path)
    with pytest.raises(UsageError, match=rf"no sample .*did you mean '{key}'"):
        replay(shards, key[:-6] + "-c007", source)
    with pytest.raises(UsageError, match=rf"no sample .*did you mean '{key}'"):
        replay(shards, key.replace("-", "-0", 1), source)
    for odd in ("", ".", "x", "../../etc/passwd", "a" * 5000, "x-c" + "9" * 50, "\0"):
        with pytest.raises(UsageError, match=r"no sample"):
            replay(shards, odd, source)
    for tar in shards.glob("*.tar"):
        tar.unlink()
    with pytest.raises(UsageError, match=r"its tar is gone.*augment into this folder again"):
        replay(shards, key, source)
    for record in shards.glob("*-0*.json"):
        record.unlink()
    with pytest.raises(UsageError, match=r"has no shard yet"):
        replay(shards, key, source)
    assert "holds no run" in call("replay", tmp_path, key).stderr
    assert call("replay", tmp_path / "none", key).exit_code == 2


def test_a_sample_that_was_rejected(tmp_path):
    source = datasets.make_voc(tmp_path / "voc", 3)
    picture = sorted((source / "JPEGImages").iterdir())[0]
    picture.write_bytes(picture.read_bytes()[:300])
    run(source, tmp_path / "out", MOVED, max_rejects="100%")
    row = json.loads((tmp_path / "out" / "rejects.jsonl").read_text().splitlines()[0])
    there = {key.rpartition("-")[0] for key in samples(tmp_path / "out")}
    run(datasets.make_voc(tmp_path / "whole", 3), tmp_path / "all", MOVED)
    key = next(key for key in samples(tmp_path / "all") if key.rpartition("-")[0] not in there)
    with pytest.raises(UsageError, match=rf"was rejected, {row['error']}.*\n.*retry"):
        replay(tmp_path / "out", key)


def test_a_dataset_instead_of_shards(tmp_path):
    source = datasets.make_voc(tmp_path / "voc", 2)
    done = call("augment", source, tmp_path / "out", "-r", "detection", "--to", "yolo", "-w", 0)
    assert done.exit_code == 0, done.output
    done = call("replay", tmp_path / "out", "img_000-1c51094366-c000.jpg")
    assert done.exit_code == 2
    assert "plans are kept in shards alone" in done.stderr


def rewritten(shards: Path, key: str, change) -> None:
    """Put another record of a sample into its tar."""
    path = next(path for path in shards.glob("*.tar") if key.encode() in path.read_bytes())
    with tarfile.open(path) as tar:
        members = [(m.name, tar.extractfile(m).read()) for m in tar]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            now = change(data) if name == f"{key}.json" else data
            assert name != f"{key}.json" or now != data
            member = tarfile.TarInfo(name)
            member.size = len(now)
            tar.addfile(member, io.BytesIO(now))
    record = path.with_suffix(".json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "bytes": path.stat().st_size}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.replace(b'"version":1', b'"version":9'), "plan version 9.*augpipe that made"),
        (lambda r: r.replace(b'"kind":"warp"', b'"kind":"wrap"'), "no kind of step"),
        (lambda r: r.replace(b'"copy":0', b'"copy":5'), "docs/format.md"),
        (lambda r: b"{" + b"[" * 900, "docs/format.md"),
        (lambda r: r.replace(b'"size_wh":[', b'"size_wh":[99999', 1), "cannot be followed|not a plan"),
        (lambda r: r.replace(b'"difficult":0', b'"difficult":1', 1), ""),
    ],
)
def test_records_that_are_damaged(folders, tmp_path, change, said):
    source, shards, key = broken(folders, tmp_path)
    rewritten(shards, key, change)
    done = call("replay", shards, key, "--against", source)
    assert done.exit_code == (2 if said else 1), done.output
    assert "Traceback" not in done.output
    assert re.search(said, done.stderr.replace("\n", " "))
    assert len(lines(done.stderr)) <= 2


def test_it_writes_nowhere_but_where_it_may(folders, tmp_path):
    source, shards = folders["voc"]
    key = next(iter(samples(shards)))
    before = sorted(p for place in (source, shards) for p in place.rglob("*"))
    for place in (source / "a.jpg", shards / "a.jpg", tmp_path, tmp_path / "none" / "a.jpg"):
        assert call("replay", shards, key, "-o", place).exit_code == 2
    done = call("replay", shards, key, "-o", tmp_path / "a.png")
    assert done.exit_code == 2
    assert "ends so" in done.stderr
    assert not (tmp_path / "a.png").exists()
    assert sorted(p for place in (source, shards) for p in place.rglob("*")) == before
