"""A source that has changed is seen: sizes and times are a quick look, contents decide, and one sentence tells."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import contents
from command_line import call
from format_checker import check_folder
from runs import promised, run
from web import serving

from augpipe.formats.base import Entry
from augpipe.run import task as task_module
from augpipe.run.config import Execution
from augpipe.run.retry import retry

RUN = {"copies": 2, "seed": 7}
PICTURE = Path("JPEGImages/img_003.jpg")


@pytest.fixture(scope="module")
def whole(voc, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "out"
    run(voc, folder, **RUN)
    return folder


@pytest.fixture
def source(voc, tmp_path) -> Path:
    """A copy with the times of the original."""
    return Path(shutil.copytree(voc, tmp_path / "voc"))


@pytest.fixture
def folder(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "out"))


def repainted(path: Path, *, keep_time: bool = False) -> None:
    """Another picture of the same size in bytes: its last pixels are others."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    place = len(data) - 40
    while data[place] in (0xFF, 0xFE, 0) or data[place - 1] == 0xFF:
        place -= 1
    data[place] ^= 1
    path.write_bytes(data)
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
    time = before.st_mtime_ns if keep_time else before.st_mtime_ns + 10**9
    os.utime(path, ns=(time, time))
    assert path.stat().st_size == before.st_size


def augmented(source: Path | str, folder: Path, *more: str):
    words = [str(source), str(folder), "-r", "detection", "--copies", "2", "--seed", "7", "-w", "0"]
    return call("augment", *words, *more)


def refused(done, said: str) -> None:
    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 4


# --- the same command ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("finished", [True, False])
def test_a_picture_of_the_same_size_that_has_changed_is_named_with_the_way_out(source, folder, finished):
    if not finished:
        for name in ("manifest.json", "all-000000.json"):
            (folder / name).unlink()
    repainted(source / PICTURE)
    before = contents(folder)
    done = augmented(source, folder)
    refused(done, f"{folder}: its source is not what it was made of: {PICTURE.name} has changed\n")
    assert "--overwrite" in done.stderr
    assert "choose another DST" in done.stderr
    assert {k: v for k, v in contents(folder).items() if not k.startswith(".augpipe")} == before
    assert augmented(source, folder, "--overwrite").exit_code == 0
    assert augmented(source, folder).stdout.endswith("nothing to do, the run is finished\n")


def test_a_resumed_run_never_mixes_old_and_new(source, folder, tmp_path):
    """A picture whose shard is yet to be made is taken as it is now, as by a run from the beginning."""
    record = next(p for p in folder.glob("all-*.json") if PICTURE.name in json.loads(p.read_text())["task"]["sources"])
    for name in ("manifest.json", record.name):
        (folder / name).unlink()
    repainted(source / PICTURE)
    assert augmented(source, folder).exit_code == 0
    run(source, tmp_path / "calm", **RUN)
    assert promised(folder) == promised(tmp_path / "calm")


def longer(source: Path) -> None:
    with open(source / PICTURE, "ab") as file:
        file.write(b"\0")


def renamed(source: Path) -> None:
    (source / PICTURE).rename(source / "JPEGImages" / "x.jpg")
    text = (source / "Annotations" / "img_003.xml").read_text().replace("img_003.jpg", "x.jpg")
    (source / "Annotations" / "img_003.xml").unlink()
    (source / "Annotations" / "x.xml").write_text(text)


def relabelled(source: Path) -> None:
    path = source / "Annotations" / "img_003.xml"
    path.write_text(path.read_text().replace("</annotation>", " </annotation>"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (longer, "its source is not what it was made of: img_003.jpg has changed\n"),
        (relabelled, "its source is not what it was made of: img_003.jpg has other labels\n"),
        (lambda s: (s / PICTURE).unlink(), "its source is not what it was made of: img_003.jpg is missing\n"),
        (renamed, "holds a run of another configuration (source: img_003.jpg is gone, and 1 picture more)\n"),
        (
            lambda s: [repainted(s / "JPEGImages" / f"img_00{i}.jpg") for i in (6, 2, 4)],
            "img_002.jpg has changed",
        ),
    ],
)
def test_what_has_become_of_a_source_is_said_of_the_first_picture(source, folder, change, said):
    change(source)
    refused(augmented(source, folder), said)
    refused(augmented(source, folder, "--check"), said)
    both = call("augment", str(source), str(folder), "-r", "detection", "--copies", "2", "--seed", "8", "-w", "0")
    refused(both, "holds a run of another configuration (source: ")
    assert "; seed: 7 → 8" in both.stderr


# --- no false alarm --------------------------------------------------------------------------------------------------


def touched(source: Path) -> Path:
    for path in source.rglob("*.*"):
        os.utime(path, ns=(1, 1))
    return source


def unpacked(source: Path) -> Path:
    with tarfile.open(source.with_suffix(".tar"), "w") as tar:
        tar.add(source, source.name)
    place = source.parent / "unpacked"
    with tarfile.open(source.with_suffix(".tar")) as tar:
        tar.extractall(place, filter="data")
    return touched(place / source.name)


@pytest.mark.parametrize(
    "elsewhere",
    [touched, unpacked, lambda s: Path(shutil.copytree(s, s.parent / "copy", copy_function=shutil.copyfile))],
    ids=["touched", "unpacked", "copied"],
)
@pytest.mark.parametrize("options", [(), ("--check",)], ids=["plain", "check"])
def test_the_same_contents_with_other_times_are_the_same_source(source, folder, elsewhere, options):
    there = elsewhere(source)
    before = contents(folder)
    done = augmented(there, folder, *options)
    assert (done.exit_code, done.stdout) == (0, f"{folder}: nothing to do, the run is finished\n")
    assert contents(folder) == before
    assert call("retry", str(folder), "--source", str(there), "-w", "0").exit_code == 0
    repainted(there / PICTURE)
    refused(augmented(there, folder, *options), f"{PICTURE.name} has changed\n")


def as_before(folder: Path) -> None:
    """Records as versions wrote them that knew of no times."""
    for path in folder.glob("all-*.json"):
        record = json.loads(path.read_text())
        del record["run"]["sources"]
        path.write_text(json.dumps(record))


def test_a_folder_that_was_made_before_times_were_kept_goes_on(source, folder):
    as_before(folder)
    before = contents(folder)
    assert augmented(touched(source), folder).stdout.endswith("nothing to do, the run is finished\n")
    assert augmented(source, folder, "--check").exit_code == 0
    assert contents(folder) == before
    repainted(source / PICTURE)
    assert augmented(source, folder).exit_code == 0, "nothing in the folder could tell"
    refused(augmented(source, folder, "--check"), f"{PICTURE.name} has changed\n")  # its samples have the sha256
    longer(source)
    refused(augmented(source, folder), "source: pictures or labels have changed")


def test_without_a_new_time_check_alone_sees_it(source, folder):
    repainted(source / PICTURE, keep_time=True)
    assert augmented(source, folder).exit_code == 0
    refused(augmented(source, folder, "--check"), f"{PICTURE.name} has changed\n")


# --- archives and servers --------------------------------------------------------------------------------------------


def as_tar(source: Path, place: Path) -> None:
    with tarfile.open(place, "w") as tar:
        tar.add(source, ".")


def as_zip(source: Path, place: Path) -> None:
    with zipfile.ZipFile(place, "w") as file:
        for path in sorted(source.rglob("*.*")):
            file.write(path, path.relative_to(source))


@pytest.mark.parametrize(("ending", "pack"), [("tar", as_tar), ("zip", as_zip)])
def test_a_member_of_an_archive_that_has_changed_is_named(source, tmp_path, ending, pack):
    place, folder = tmp_path / f"voc.{ending}", tmp_path / "out"
    pack(source, place)
    run(place, folder, **RUN)
    os.utime(place, ns=(1, 1))
    assert augmented(place, folder).stdout.endswith("nothing to do, the run is finished\n")
    repainted(source / PICTURE)
    pack(source, place)
    refused(augmented(place, folder), f"{PICTURE.name} has changed\n")


def test_of_a_server_the_size_alone_is_known_and_check_reads_it_again(source, tmp_path):
    (tmp_path / "web").mkdir()
    place, folder = tmp_path / "web" / "voc.tar", tmp_path / "out"
    as_tar(source, place)
    with serving(tmp_path / "web") as web:
        run(f"{web.url}/voc.tar", folder, **RUN)
        assert augmented(f"{web.url}/voc.tar", folder).exit_code == 0
        assert augmented(f"{web.url}/voc.tar", folder, "--check").exit_code == 0
        repainted(source / PICTURE)
        as_tar(source, place)
        assert augmented(f"{web.url}/voc.tar", folder).exit_code == 0
        refused(augmented(f"{web.url}/voc.tar", folder, "--check"), f"{PICTURE.name} has changed\n")
        longer(source)
        as_tar(source, place)
        refused(augmented(f"{web.url}/voc.tar", folder), f"{PICTURE.name} has changed\n")


# --- retry -----------------------------------------------------------------------------------------------------------


def test_retry_refuses_and_with_all_makes_the_shards_of_what_has_changed(source, folder, tmp_path):
    repainted(source / PICTURE)
    before = contents(folder)
    done = call("retry", str(folder), "--source", str(source), "-w", "0")
    refused(done, f"{source}: {PICTURE.name} has changed since the run; --all takes them up")
    assert contents(folder) == before
    done = call("retry", str(folder), "--source", str(source), "--all", "-w", "0")
    assert done.exit_code == 0
    assert "the source has changed; 8 of 9 shards are as they would be made now, and stay" in done.stderr
    run(source, tmp_path / "calm", **RUN)
    assert promised(folder) == promised(tmp_path / "calm")
    assert check_folder(folder) == []
    assert augmented(source, folder).stdout.endswith("nothing to do, the run is finished\n")


def test_what_is_retried_is_compared_by_contents(source, tmp_path, monkeypatch):
    """The rest of the folder has the old picture, so its new one may not come in unsaid."""
    options = {**RUN, "sources_per_shard": 3}
    picture = next(name for name in shard_of(source, tmp_path, options) if name != "img_000.jpg")
    (source / "JPEGImages" / picture).chmod(0o644)
    lost: Callable[[Entry], bytes] = task_module.read_picture

    def unreadable(entry: Entry) -> bytes:
        if entry.key == "img_000.jpg":
            raise task_module.Reject("read", "io", "cannot be read", transient=True)
        return lost(entry)

    monkeypatch.setattr(task_module, "read_picture", unreadable)
    run(source, tmp_path / "out", **options)
    monkeypatch.setattr(task_module, "read_picture", lost)
    repainted(source / "JPEGImages" / picture, keep_time=True)
    refused(call("retry", str(tmp_path / "out"), "-w", "0"), f"{picture} has changed since the run; --all takes")


def shard_of(source: Path, place: Path, options: dict) -> list[str]:
    """The sources of the shard that img_000.jpg is in."""
    run(source, place / "look", **options)
    tasks = [json.loads(p.read_text())["task"]["sources"] for p in (place / "look").glob("all-*.json")]
    return next(sources for sources in tasks if "img_000.jpg" in sources)


# --- in the middle of a run ------------------------------------------------------------------------------------------


def changing(monkeypatch, harm: Callable[[], None], *, before: str = "", after: str = "") -> None:
    """Do harm to the source once, before a picture is read or after it was."""
    read, left = task_module.read_picture, [harm]

    def reading(entry: Entry) -> bytes:
        if entry.key == before and left:
            left.pop()()
        data = read(entry)
        if entry.key == after and left:
            left.pop()()
        return data

    monkeypatch.setattr(task_module, "read_picture", reading)


def test_a_picture_that_grows_before_it_is_read_is_a_reject_that_may_pass(source, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    changing(monkeypatch, lambda: longer(source), before=PICTURE.name)
    done = augmented(source, folder)
    assert done.exit_code == 1
    assert "1 of 9 pictures failed for reasons that may pass" in done.stderr
    (row,) = map(json.loads, (folder / "rejects.jsonl").read_text().splitlines())
    assert (row["source"], row["stage"], row["error"], row["transient"]) == (PICTURE.name, "read", "changed", True)
    size = (source / PICTURE).stat().st_size
    assert row["message"] == f"changed while the run was at work: {size:,} bytes, {size - 1:,} when the run began"
    assert check_folder(folder) == []
    assert call("retry", str(folder), "--all", "-w", "0").exit_code == 0
    run(source, tmp_path / "calm", **RUN)
    assert promised(folder) == promised(tmp_path / "calm")


def test_a_picture_that_changes_after_it_was_read_is_told(source, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    changing(monkeypatch, lambda: repainted(source / PICTURE), after=PICTURE.name)
    done = augmented(source, folder)
    assert done.exit_code == 1
    said = f"the source has changed while the run was at work: {PICTURE.name} has changed; the shards have it as it was"
    assert said in done.stderr
    assert check_folder(folder) == []
    refused(augmented(source, folder), f"{PICTURE.name} has changed\n")
    assert call("retry", str(folder), "--all", "-w", "0").exit_code == 0
    run(source, tmp_path / "calm", **RUN)
    assert promised(folder) == promised(tmp_path / "calm")


def test_a_picture_that_changes_before_it_is_read_is_taken_as_it_is(source, tmp_path, monkeypatch):
    changing(monkeypatch, lambda: repainted(source / PICTURE), before=PICTURE.name)
    assert augmented(source, tmp_path / "out").exit_code == 0
    run(source, tmp_path / "calm", **RUN)
    assert promised(tmp_path / "out") == promised(tmp_path / "calm")


def test_parts_of_a_folder_are_looked_at_alike(source, folder):
    run(source, folder, copies=3, seed=7, extend=True)
    repainted(source / PICTURE)
    words = ["augment", str(source), str(folder), "-r", "detection", "--seed", "7", "-w", "0", "--extend", "4"]
    before = contents(folder)
    refused(call(*words), f"{PICTURE.name} has changed\n")
    assert contents(folder) == before
    assert retry(folder, everything=True, source=source, execution=Execution(workers=0)).made == 3


@pytest.mark.parametrize("options", [(), ("--all",)], ids=["plain", "all"])
def test_a_picture_that_came_or_went_is_named_by_retry(source, folder, options):
    """It is another run, and the way out is one that works."""
    command = ["retry", str(folder), "--source", str(source), "-w", "0", *options]
    for harm, words in ((added, "img_099.jpg is new"), (taken_away, "img_003.jpg is gone, and 1 picture more")):
        harm(source)
        done = call(*command)
        assert done.exit_code == 2
        said, way = done.stderr.splitlines()[-2:] if options else done.stderr.splitlines()[-1].split("; ")
        assert words in said
        assert "choose another DST" in way
    assert augmented(source, folder, "--overwrite").exit_code == 0


def added(source: Path) -> None:
    shutil.copy(source / PICTURE, source / "JPEGImages" / "img_099.jpg")
    label = (source / "Annotations" / "img_003.xml").read_text()
    (source / "Annotations" / "img_099.xml").write_text(label.replace("img_003", "img_099"))
    for file in (source / "ImageSets" / "Main").glob("*.txt"):
        text = file.read_text()
        file.write_text(text + "img_099\n" if "img_003" in text else text)


def taken_away(source: Path) -> None:
    for name in ("JPEGImages/img_004.jpg", "Annotations/img_004.xml", PICTURE.as_posix(), "Annotations/img_003.xml",
                 "JPEGImages/img_099.jpg", "Annotations/img_099.xml"):  # fmt: skip
        (source / name).unlink()
    for file in (source / "ImageSets" / "Main").glob("*.txt"):
        gone = ("img_003", "img_004", "img_099")
        kept = [line for line in file.read_text().splitlines() if line.split()[0] not in gone]
        file.write_text("\n".join(kept) + "\n")
