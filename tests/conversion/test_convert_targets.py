"""Where a conversion writes: what is not overwritten, what must lie apart, and two at once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conversions import (
    call,
    done,
    refused,
)

from augpipe.conversion import convert
from augpipe.conversion import run as run_module
from augpipe.core.errors import UsageError
from augpipe.core.progress import Progress
from augpipe.formats.base import SourceOptions

# --- the target ------------------------------------------------------------------------------------------------------


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_is_there_is_not_overwritten_silently(voc, coco, tmp_path):
    (tmp_path / "out.json").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    before = snapshot(tmp_path)
    assert "exists already; choose another DST, or --overwrite" in refused("voc-to-coco", voc, tmp_path / "out.json")
    assert "exists already" in refused("voc-to-coco", voc, tmp_path / "out")
    assert "exists already" in refused("coco-to-voc", coco, tmp_path / "out")
    assert "is a file; expected a folder" in refused("coco-to-voc", coco, tmp_path / "out" / "mine.txt")
    assert snapshot(tmp_path) == before


def test_overwrite_replaces_its_own_files_and_counts_the_others(voc, tmp_path):
    done("voc-to-coco", voc, tmp_path / "out")
    (tmp_path / "out" / "images" / "img_000.jpg").write_bytes(b"old")
    (tmp_path / "out" / "images" / "other.jpg").write_bytes(b"other")
    (tmp_path / "out" / "mine.txt").write_text("mine")
    out = done("voc-to-coco", voc, tmp_path / "out", "--overwrite")
    assert "note: 1 file of before in the target: not written again, and still there" in out
    found = snapshot(tmp_path / "out")
    assert found["images/img_000.jpg"] == (voc / "JPEGImages" / "img_000.jpg").read_bytes()
    assert (found["images/other.jpg"], found["mine.txt"]) == (b"other", b"mine")


def test_source_and_target_must_be_apart(voc, coco, tmp_path):
    shutil.copytree(voc, tmp_path / "voc")
    shutil.copytree(coco, tmp_path / "coco")
    before = snapshot(tmp_path)
    for source, target in (("voc", "voc"), ("voc", "voc/out"), ("voc", "voc/out.json"), ("voc/Annotations", "voc")):
        for more in ((), ("--overwrite",)):
            err = refused("voc-to-coco", tmp_path / source, tmp_path / target, *more)
            assert "lies in the source" in err or "holds the source" in err
    listed = tmp_path / "coco" / "annotations" / "instances.json"
    elsewhere = shutil.copy(listed, tmp_path / "elsewhere.json")
    os.rename(tmp_path / "coco" / "images", tmp_path / "coco" / "JPEGImages")
    images = ("--images", tmp_path / "coco" / "JPEGImages", "--overwrite")
    assert "holds pictures of the source" in refused("coco-to-voc", elsewhere, tmp_path / "coco", *images)
    os.rename(tmp_path / "coco" / "JPEGImages", tmp_path / "coco" / "images")
    Path(elsewhere).unlink()
    assert snapshot(tmp_path) == before


def test_a_link_in_the_target_does_not_reach_the_source(voc, tmp_path):
    shutil.copytree(voc, tmp_path / "voc")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "images").symlink_to(tmp_path / "voc" / "JPEGImages")
    assert "lies in the source" in refused("voc-to-coco", tmp_path / "voc", tmp_path / "out", "--overwrite")
    (tmp_path / "out" / "images").unlink()
    (tmp_path / "out" / "images").mkdir()
    (tmp_path / "out" / "images" / "img_000.jpg").symlink_to(tmp_path / "voc" / "JPEGImages" / "img_001.jpg")
    done("voc-to-coco", tmp_path / "voc", tmp_path / "out", "--overwrite")
    assert snapshot(tmp_path / "voc") == snapshot(voc)


def test_the_source_is_only_read(voc, coco, tmp_path):
    before = snapshot(voc), snapshot(coco)
    done("voc-to-coco", voc, tmp_path / "a")
    done("coco-to-voc", coco, tmp_path / "b")
    assert (snapshot(voc), snapshot(coco)) == before


@pytest.mark.parametrize("target", ["out.json", "out", "deep/er/out"])
def test_a_conversion_that_stops_leaves_nothing(voc, tmp_path, monkeypatch, target):
    for error, code in ((OSError(28, "No space left on device"), 1), (KeyboardInterrupt(), 130)):

        def stop(*arguments, error=error):
            raise error

        monkeypatch.setattr("augpipe.conversion.report.ConversionReport.count", stop)
        found, _, err = call("voc-to-coco", voc, tmp_path / target)
        assert found == code
        assert len(err.splitlines()) <= 2
        assert "No space left" in err or "stopped; DST is whole, or as it was" in err
        assert list(tmp_path.iterdir()) == []


def test_a_conversion_that_stops_leaves_what_was_there(voc, tmp_path, monkeypatch):
    done("voc-to-coco", voc, tmp_path / "out")
    before = snapshot(tmp_path)

    def stop(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("augpipe.conversion.run.put_picture", stop)
    assert call("voc-to-coco", voc, tmp_path / "out", "--overwrite")[0] == 1
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("target", ["out.json", "out"])
def test_a_killed_conversion_leaves_no_dataset_and_can_be_done_again(voc, tmp_path, target):
    code = (
        "import sys, time\nfrom augpipe.conversion import run as part\nfrom augpipe.cli.main import app\n"
        "count = part.ConversionReport.count\n"
        "def slow(*a):\n    count(*a)\n    print('counted', flush=True)\n    time.sleep(60)\n"
        "part.ConversionReport.count = slow\napp(['convert', 'voc-to-coco', *sys.argv[1:]])"
    )
    process = subprocess.Popen([sys.executable, "-c", code, voc, tmp_path / target], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"counted\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not [
        p
        for p in tmp_path.rglob("*")
        if not any(part.startswith(".") for part in p.relative_to(tmp_path).parts) and p.is_file()
    ]
    done("voc-to-coco", voc, tmp_path / target)
    assert sorted(p.name for p in tmp_path.iterdir()) == [target]
    assert not list(tmp_path.rglob("*.part"))


def test_a_target_that_cannot_be_written(voc, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = call("voc-to-coco", voc, tmp_path / "file" / "out.json")
    assert code == 2
    assert "cannot be written to: its folder is a file, or a link that leads nowhere; choose another DST" in err


# --- two at once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out", "out.json"])
def test_two_conversions_into_one_place_are_refused(voc, coco, tmp_path, name):
    """They would share a hidden folder, and what one has written would be read with the labels of the other."""
    target, refused = tmp_path / name, []

    class Meanwhile(Progress):
        def update(self, count, rejected=0):
            if not refused:
                with pytest.raises(UsageError, match="another conversion is writing to it") as caught:
                    convert(str(voc), target, "coco", SourceOptions("voc"))
                refused.append(caught.value)

    convert(str(coco), target, "coco", SourceOptions("coco"), progress=Meanwhile())
    assert refused
    left = [path.name for path in tmp_path.rglob("*") if ".part" in path.name]
    assert left == []
    with pytest.raises(UsageError, match="exists already"):
        convert(str(voc), target, "coco", SourceOptions("voc"))


def test_a_target_that_was_filled_meanwhile_is_not_written_over(voc, tmp_path, monkeypatch):
    target = tmp_path / "out"
    opened = run_module.open_dataset

    def filling(*arguments):
        target.mkdir()
        (target / "mine.txt").write_text("mine")
        return opened(*arguments)

    monkeypatch.setattr(run_module, "open_dataset", filling)
    with pytest.raises(UsageError, match="exists already"):
        convert(str(voc), target, "coco", SourceOptions("voc"))
    assert [path.name for path in target.iterdir()] == ["mine.txt"]
