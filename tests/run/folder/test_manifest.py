"""The verdict on a run: what is counted, which limit it breaks, and what fails whatever the limits are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from format_checker import check_folder
from runs import promised, recipe_of, records, run

from augpipe.core.errors import Reject, UsageError
from augpipe.run import outputs, task
from augpipe.run.folder.manifest import Limits, Summary, summary_of
from augpipe.run.folder.state import RunState


def reject(source: str, error: str = "truncated", copy: int = 0, *, transient: bool = False) -> dict:
    return {"source": source, "stage": "decode", "error": error, "copies": [copy], "transient": transient}


def verdict(folder: Path, rows: list[dict], limits: Limits) -> Summary:
    """On a folder of a hundred pictures and four copies that has one shard, with these rejects."""
    config = {"source": {"pictures": 100}, "sources_per_shard": 100, "copies": 4, "originals": False, "split": None}
    record = {"samples": 400 - len(rows), "rejected": len(rows), "bytes": 1, "objects": 0, "rejects": rows}
    record |= {"dropped": {}, "notes": {}, "label_kinds": {}}
    return summary_of(folder, RunState(config, (4,)), {0: record}, limits)


# --- rejects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "fails"), [("1%", True), ("3", True), ("4", False), ("50%", False), ("0", True), ("44%", True)]
)
def test_the_limit_of_rejects(voc, tmp_path, limit, fails):
    folder = tmp_path / "set"
    shutil.copytree(voc, folder)
    for i in range(4):
        (folder / "JPEGImages" / f"img_{i:03d}.jpg").unlink()
    summary = run(folder, tmp_path / "out", max_rejects=limit)
    assert (summary.failed is not None) == fails
    assert (tmp_path / "out" / "manifest.json").is_file()


def test_the_limit_counts_pictures_not_rows(tmp_path):
    """A picture that two errors take two copies from is one picture with a loss."""
    rows = [reject("a.jpg", "truncated", 0), reject("a.jpg", "too-large", 1), reject("a.jpg", "fault", 2)]
    summary = verdict(tmp_path, rows, Limits("1"))
    assert (summary.rejected_pictures, summary.rejected) == (1, 3)
    assert summary.failed is None
    assert verdict(tmp_path, rows, Limits("0")).failed.startswith("1 of 100 pictures were rejected")
    two = verdict(tmp_path, [*rows, reject("b.jpg")], Limits("1%")).failed
    assert two.startswith("2 of 100 pictures were rejected; at most 1 were allowed; see ")


@pytest.mark.parametrize("limit", ["1", "100", "100%"])
def test_what_may_pass_fails_whatever_the_limit(tmp_path, limit):
    failed = verdict(tmp_path, [reject("a.jpg", "memory", transient=True)], Limits(limit)).failed
    assert failed.startswith("1 of 100 pictures failed for reasons that may pass (crash, time, memory, I/O); see ")
    assert f"'augpipe retry {tmp_path}' does them again" in failed
    assert verdict(tmp_path, [reject("a.jpg", "memory")], Limits(limit)).failed is None


def test_a_picture_that_memory_did_not_suffice_for_fails_the_run(voc, tmp_path, monkeypatch):
    real = task.read_picture

    def scarce(entry):
        if entry.key == "img_004.jpg":
            raise MemoryError
        return real(entry)

    monkeypatch.setattr(task, "read_picture", scarce)
    summary = run(voc, tmp_path / "out", max_rejects="100%")
    assert (summary.rejects, summary.rejected_pictures) == ({"memory": 1}, 1)
    assert "may pass" in summary.failed
    assert check_folder(tmp_path / "out") == []


def test_copies_that_are_lost_by_one_error_are_one_row(voc, tmp_path, monkeypatch):
    """A row a (source, stage, error): other copies of a picture may be lost at the same stage by another error."""
    real = outputs.draw

    def failing(recipe, frame, seed, copy):
        if frame.key == "img_004.jpg" and copy != 1:
            raise Reject("plan", "odd" if copy == 3 else "even", f"copy {copy}")
        return real(recipe, frame, seed, copy)

    monkeypatch.setattr(outputs, "draw", failing)
    summary = run(voc, tmp_path / "out", copies=5, max_rejects="1")
    rows = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert [(row["source"], row["error"], row["copies"]) for row in rows] == [
        ("img_004.jpg", "even", [0, 2, 4]),
        ("img_004.jpg", "odd", [3]),
    ]
    assert (summary.rejected, summary.rejected_pictures, summary.written) == (4, 1, 9 * 5 - 4)
    assert summary.failed is None
    assert check_folder(tmp_path / "out") == []


def test_one_rejected_picture_is_always_allowed_by_a_share(voc, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(voc, folder)
    (folder / "JPEGImages" / "img_001.jpg").unlink()
    assert run(folder, tmp_path / "a", max_rejects="1%").failed is None
    assert run(folder, tmp_path / "b", max_rejects="0").failed is not None


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "%", "1%%"])
@pytest.mark.parametrize("limit", ["max_rejects", "max_dropped"])
def test_a_limit_that_is_none_is_refused(voc, tmp_path, limit, text):
    with pytest.raises(UsageError, match=f"--{limit.replace('_', '-')}"):
        run(voc, tmp_path / "out", **{limit: text})
    assert not (tmp_path / "out").exists()


# --- objects ---------------------------------------------------------------------------------------------------------

SHIFTED = "version: 1\nsteps:\n- affine: {translate: 0.6}\n"


@pytest.fixture(scope="module")
def shifted(voc, tmp_path_factory) -> Path:
    """A run in which objects are cut and dropped."""
    folder = tmp_path_factory.mktemp("shifted") / "out"
    run(voc, folder, recipe_of(SHIFTED), copies=2, seed=3)
    return folder


def test_objects_that_the_frame_cuts_or_drops_are_counted(shifted):
    objects = [o for record in records(shifted).values() for o in record["objects"]]
    totals = json.loads((shifted / "manifest.json").read_text())["totals"]
    assert totals["truncated"] == sum(o.get("truncated", 0) for o in objects) > 5
    assert sum(totals["dropped"].values()) == 9 * 2 * 3 - len(objects) > 5
    of_shards = [json.loads(p.read_text())["truncated"] for p in shifted.glob("all-*.json")]
    assert sum(of_shards) == totals["truncated"]
    assert len(of_shards) > 1
    assert check_folder(shifted) == []


def test_the_limit_of_dropped_objects(voc, shifted):
    dropped = sum(json.loads((shifted / "manifest.json").read_text())["totals"]["dropped"].values())
    before = promised(shifted)
    share = 100 * dropped / 54
    for limit, fails in (
        (None, False), (str(dropped), False), (str(dropped - 1), True), ("0", True),
        (f"{share + 0.1:.3f}%", False), (f"{share - 1:.3f}%", True), ("100%", False),
    ):  # fmt: skip
        summary = run(voc, shifted, recipe_of(SHIFTED), copies=2, seed=3, max_dropped=limit)
        assert (summary.failed is not None) == fails, limit
        assert not fails or f"{dropped} of 54 objects were dropped" in summary.failed
    assert promised(shifted) == before


def test_what_a_share_allows():
    assert [Limits(max_dropped=limit).dropped(50) for limit in ("0.001%", "10%", "7", "0", None)] == [1, 5, 7, 0, 50]
