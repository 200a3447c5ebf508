"""Going on: with more copies, on several machines, after damage, under other versions; and refusing to."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from builders import contents
from format_checker import check_folder
from runs import hashes, promised, run, samples

from augpipe.core.errors import RunError, UsageError
from augpipe.formats.base import SourceOptions
from augpipe.recipe.load import load
from augpipe.run import config as config_module
from augpipe.run.augment import Execution, RunOptions, Watcher, augment
from augpipe.run.config import Slice, parse_slice
from augpipe.run.folder.inventory import take_stock
from augpipe.run.folder.run_folder import RunFolder
from augpipe.run.folder.store import open_store
from augpipe.run.retry import finish
from augpipe.train.dataset import ShardDataset
from augpipe.verification import verify

SEED = {"seed": 7}


@pytest.fixture(scope="module")
def two(voc, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("two") / "out"
    run(voc, folder, copies=2, **SEED)
    return folder


@pytest.fixture
def folder(two, tmp_path) -> Path:
    """A copy of a finished run of two copies."""
    return Path(shutil.copytree(two, tmp_path / "out"))


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


# --- more copies -----------------------------------------------------------------------------------------------------


def test_copies_are_added_without_touching_what_is_there(voc, folder):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("all-*")}
    summary = run(voc, folder, copies=5, extend=True, **SEED)
    assert (summary.written, summary.made) == (9 * 5, 9 * 3)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before
    assert manifest(folder)["parts"] == [{"copies": [0, 2], "shards": 9}, {"copies": [2, 5], "shards": 9}]
    assert check_folder(folder) == []


def test_samples_that_are_added_are_those_of_a_fresh_run_in_other_shards(voc, folder, tmp_path):
    run(voc, folder, copies=3, extend=True, **SEED)
    run(voc, tmp_path / "fresh", copies=3, **SEED)
    assert samples(folder) == samples(tmp_path / "fresh")
    assert hashes(folder) != hashes(tmp_path / "fresh")


def test_originals_come_with_the_first_part_alone(voc, tmp_path):
    run(voc, tmp_path / "out", copies=1, originals=True, **SEED)
    run(voc, tmp_path / "out", copies=2, originals=True, extend=True, **SEED)
    assert check_folder(tmp_path / "out") == []
    assert len(samples(tmp_path / "out")) == 9 * 3


def test_an_extended_run_is_trained_from_and_verified_whole(voc, folder):
    run(voc, folder, copies=3, extend=True, **SEED)
    assert len(ShardDataset(folder)) == 27
    assert verify(folder, workers=0).faults == ()


def test_an_extension_that_was_stopped_goes_on(voc, folder, tmp_path):
    run(voc, folder, copies=4, extend=True, **SEED)
    whole = promised(folder)
    for index in (3, 11, 14):
        (folder / f"all-{index:06d}.json").unlink()
    (folder / "manifest.json").unlink()
    assert not (folder / "manifest.json").exists()
    summary = run(voc, folder, copies=4, extend=True, **SEED)
    assert summary.made == 3 * 2
    assert promised(folder) == whole
    assert run(voc, folder, copies=4, extend=True, **SEED).already_done


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"copies": 1, "extend": True}, "has 2 copies already; --extend expects 2 or more"),
        ({"copies": 3, "extend": True, "seed": 8}, "seed: 7 → 8"),
        ({"copies": 3}, "copies: 2 → 3"),
        ({"copies": 3, "extend": True, "sources_per_shard": 2}, "sources_per_shard: 1 → 2"),
        ({"copies": 3, "extend": True, "overwrite": True}, "--overwrite deletes the run in DST, --extend goes on"),
    ],
)
def test_what_is_no_extension_is_refused_and_changes_nothing(voc, folder, options, said):
    before = contents(folder)
    with pytest.raises(UsageError) as caught:
        run(voc, folder, **{**SEED, **options})
    assert said in str(caught.value)
    assert contents(folder) == before


def test_nothing_can_be_extended_where_nothing_is(voc, tmp_path):
    with pytest.raises(UsageError, match="holds no run that --extend could add copies to"):
        run(voc, tmp_path / "out", copies=3, extend=True)


@pytest.mark.parametrize("copies", [2, 3])
def test_an_extended_run_is_not_taken_for_one_of_as_many_copies(voc, folder, copies):
    run(voc, folder, copies=3, extend=True, **SEED)
    with pytest.raises(UsageError, match=r"was extended to 3 copies(.|\n)*--extend 3 goes on"):
        run(voc, folder, copies=copies, **SEED)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"seed": 8}, "seed: 7 → 8"), ({"limit": 5}, "limit: none → 5"), ({"recipe": "gentle"}, "recipe")],
)
def test_of_an_extended_run_too_what_differs_is_said(voc, folder, options, said):
    run(voc, folder, copies=3, extend=True, **SEED)
    with pytest.raises(UsageError, match="another configuration") as caught:
        run(voc, folder, **{"copies": 3, **SEED, **options})
    assert said in str(caught.value)


# --- several machines ------------------------------------------------------------------------------------------------


def test_parts_of_the_tasks_in_any_order_come_to_the_same_bytes(voc, two, tmp_path):
    out = tmp_path / "out"
    for i, (first, end) in enumerate([(3, 4), (0, 2), (2, 3)]):
        summary = run(voc, out, copies=2, tasks=Slice(first, end, 4), **SEED)
        assert summary.finished == (i == 2)
        assert (out / "manifest.json").exists() == (i == 2)
    assert promised(out) == promised(two)
    assert check_folder(out) == []
    assert not (out / ".augpipe").exists()


def test_shards_that_were_made_apart_are_brought_together_and_finished(voc, two, tmp_path):
    """Each machine with a disk of its own: what they made is copied into one folder, in which finish closes the run."""
    for i in range(3):
        run(voc, tmp_path / str(i), copies=2, tasks=Slice(i, i + 1, 3), **SEED)
        if i:
            with pytest.raises(UsageError, match=rf"{9 - 3 * i} of 9 shards are missing; all-00000.: is not there yet"):
                finish(tmp_path / "0")
            for path in (tmp_path / str(i)).glob("all-*"):
                shutil.copy(path, tmp_path / "0")
    summary = finish(tmp_path / "0")
    assert (summary.written, summary.already_done) == (18, False)
    assert promised(tmp_path / "0") == promised(two)
    assert check_folder(tmp_path / "0") == []
    assert finish(tmp_path / "0").already_done


def test_parts_that_meet_are_refused_while_they_run(voc, tmp_path):
    with RunFolder(open_store(tmp_path / "out")) as other:
        other.lock(Slice(0, 2, 3).of(9))
        with pytest.raises(UsageError, match="another run is writing to it"):
            run(voc, tmp_path / "out", copies=2, tasks=Slice(1, 2, 3), **SEED)
        summary = run(voc, tmp_path / "out", copies=2, tasks=Slice(2, 3, 3), **SEED)
        assert (summary.finished, summary.shards) == (False, 3)


def test_temporaries_of_others_are_left_to_them(voc, tmp_path):
    out = tmp_path / "out"
    run(voc, out, copies=2, tasks=Slice(0, 1, 3), **SEED)
    (out / ".augpipe").mkdir(exist_ok=True)
    for name in ("all-000004.tar.other.1.2.tmp", "all-000008.tar.other.1.2.tmp", "run.json.other.1.2.tmp"):
        (out / ".augpipe" / name).write_bytes(b"half")
    (out / "all-000005.tar").write_bytes(b"renamed, not yet recorded")
    run(voc, out, copies=2, tasks=Slice(2, 3, 3), **SEED)
    left = {path.name for path in (out / ".augpipe").glob("*.tmp")}
    assert left == {"all-000004.tar.other.1.2.tmp", "run.json.other.1.2.tmp"}
    assert (out / "all-000005.tar").read_bytes() == b"renamed, not yet recorded"
    run(voc, out, copies=2, **SEED)
    assert check_folder(out) == []


def test_pieces_cover_every_task_once():
    for tasks in (1, 2, 9, 16, 17):
        for pieces in (1, 2, 3, 7, 20):
            covered = [i for n in range(pieces) for i in Slice(n, n + 1, pieces).of(tasks)]
            assert covered == list(range(tasks))


@pytest.mark.parametrize("text", ["", "1/4", "1..1/4", "2..1/4", "0..5/4", "0..1/0", "-1..2/4", "0..1/4 ", "a..b/c"])
def test_pieces_that_are_none(text):
    with pytest.raises(UsageError, match=r"--tasks .*expected FIRST\.\.END/PIECES"):
        parse_slice(text)


# --- damage ----------------------------------------------------------------------------------------------------------


def damaged(folder: Path) -> dict[str, str]:
    """Harm shards in several ways; gives what is said of each."""
    record = json.loads((folder / "all-000005.json").read_text())
    (folder / "all-000000.tar").unlink()
    with open(folder / "all-000001.tar", "ab") as file:
        file.write(b"more")
    (folder / "all-000002.json").write_text("{")
    (folder / "all-000003.json").write_text(json.dumps({**record, "name": "all-000003.tar"}))
    other = json.loads((folder / "all-000004.json").read_text())
    (folder / "all-000004.json").write_text(json.dumps({**other, "config": "0" * 128}))
    (folder / "all-000005.json").write_text(json.dumps({**record, "samples": 1}))
    return {
        "all-000000": "its tar is gone",
        "all-000001": r"its tar has [\d,]+ bytes, [\d,]+ were written",
        "all-000002": "its record cannot be read",
        "all-000003": "its record is not as docs/format.md has it",
        "all-000004": "it was made under another configuration",
        "all-000005": "its record has lost samples",
    }


@pytest.mark.parametrize("finished", [True, False])
def test_shards_that_are_not_what_their_records_say_are_made_again(voc, two, folder, finished):
    said = damaged(folder)
    if not finished:
        (folder / "manifest.json").unlink()
    watcher = Watcher()
    options = RunOptions(copies=2, seed=7)
    augment(str(voc), folder, load("detection"), options, execution=Execution(workers=0), watcher=watcher)
    assert promised(folder) == promised(two)
    assert check_folder(folder) == []
    told = [remark for remark in watcher.remarks if "made again" in remark]
    assert told[0].startswith("all-000000: its tar is gone; it is made again")
    assert told[3:] == ["3 more shards are made again for such reasons"]
    assert len(said) == 6


@pytest.mark.parametrize("shard", range(6))
def test_every_kind_of_damage_is_named(folder, shard):
    said = damaged(folder)
    stock = take_stock(open_store(folder), RunFolder(open_store(folder)).state())
    assert set(stock.done) == {6, 7, 8}
    assert re.fullmatch(said[f"all-00000{shard}"], stock.broken[shard])


def test_check_finds_a_bit_that_has_turned_and_nothing_else_does(voc, two, folder):
    path = folder / "all-000004.tar"
    data = bytearray(path.read_bytes())
    data[700] ^= 1
    path.write_bytes(data)
    assert run(voc, folder, copies=2, **SEED).already_done
    assert run(voc, folder, copies=2, check=True, **SEED).made == 2
    assert promised(folder) == promised(two)
    assert run(voc, folder, copies=2, check=True, **SEED).already_done


@pytest.mark.parametrize(
    "harm",
    [
        lambda run: run.update(schema="augpipe-run/2"),
        lambda run: run.clear(),
        lambda run: run.update(config=[]),
        lambda run: run["config"].pop("copies"),
        lambda run: run["config"].update(sources_per_shard=0),
        lambda run: run["config"].update(split="../../x"),
        lambda run: run.update(parts=[{"copies": [0, 1]}]),
        lambda run: run.update(parts="x"),
    ],
)
def test_a_run_json_that_is_none_is_refused_in_a_sentence(voc, folder, harm):
    value = json.loads((folder / "run.json").read_text())
    harm(value)
    (folder / "run.json").write_text(json.dumps(value))
    before = contents(folder)
    for overwrite in (False, True):
        with pytest.raises(
            UsageError, match=r"run\.json: (expected the schema|not as docs/format\.md has it).*\n?.*DST"
        ):
            run(voc, folder, copies=2, overwrite=overwrite, **SEED)
    with pytest.raises(UsageError, match=r"run\.json: "):
        finish(folder)
    assert contents(folder) == before


# --- other versions --------------------------------------------------------------------------------------------------


@pytest.fixture
def other_versions(monkeypatch) -> dict[str, str]:
    now = {**config_module.versions(), "opencv": "99.0"}
    monkeypatch.setattr(config_module, "versions", lambda: now)
    return now


def test_other_versions_are_refused_with_the_way_to_accept_them(voc, folder, other_versions):
    (folder / "manifest.json").unlink()
    with pytest.raises(UsageError, match=r"begun by other versions \(versions.opencv: .* → 99.0\)\n--accept-version"):
        run(voc, folder, copies=2, **SEED)


def test_a_run_that_is_finished_under_other_versions_says_so_shard_by_shard(voc, folder, other_versions):
    first = json.loads((folder / "run.json").read_text())["config"]["versions"]
    for index in (2, 5):
        (folder / f"all-{index:06d}.json").unlink()
    (folder / "manifest.json").unlink()
    run(voc, folder, copies=2, accept_version=True, **SEED)
    done = manifest(folder)
    assert done["same_bytes"] is False
    assert done["parts"] == [{"copies": [0, 2], "shards": 9, "versions": [first, other_versions]}]
    assert done["config"]["versions"] == first
    made_by = [json.loads(p.read_text())["run"].get("versions") for p in sorted(folder.glob("all-*.json"))]
    assert [i for i, versions in enumerate(made_by) if versions == other_versions] == [2, 5]
    assert check_folder(folder) == []
    # Once accepted, going on needs no flag.
    (folder / "all-000003.json").unlink()
    assert run(voc, folder, copies=2, **SEED).made == 2


def test_accepting_versions_where_nothing_is_left_to_do_changes_nothing(voc, folder, other_versions):
    before = contents(folder)
    assert run(voc, folder, copies=2, accept_version=True, **SEED).already_done
    assert contents(folder) == before


def test_accepting_versions_accepts_nothing_else(voc, folder, other_versions):
    with pytest.raises(UsageError, match="seed: 7 → 8"):
        run(voc, folder, copies=2, accept_version=True, seed=8)


# --- what the source is ----------------------------------------------------------------------------------------------


def test_a_source_that_is_gone_ends_the_run_and_not_each_of_its_pictures(voc, two, tmp_path, monkeypatch):
    source, away = tmp_path / "set", tmp_path / "away"
    shutil.copytree(voc, source)

    class Unmounting(Watcher):
        def progress(self, pictures, rejected):
            if not away.exists():
                os.rename(source, away)
                source.mkdir()  # the place of a disk is there without it

    def go(watcher: Watcher | None = None):
        options = RunOptions(copies=2, seed=7, source=SourceOptions())
        how = Execution(workers=0)
        return augment(str(source), tmp_path / "out", load("detection"), options, execution=how, watcher=watcher)

    with pytest.raises(RunError, match=r"set: the source is gone; finished shards are kept\nbring it back"):
        go(Unmounting())
    assert not (tmp_path / "out" / "manifest.json").exists()
    source.rmdir()
    os.rename(away, source)
    assert go().failed is None
    assert promised(tmp_path / "out") == promised(two)
