"""The checker accepts a folder that is right and names what is wrong: one corruption, one message that has its word."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import format_checker
import numpy as np
import pytest
from checker import handmade as hand
from checker import spoilt
from checker.keys import make_key
from checker.objects import cut, run_lengths
from checker.spoilt import Files, edit, put
from format_checker import check_folder
from pycocotools import mask as coco

ABSURD: list[Any] = [None, -1, "x", [], {}, [[1]], 10**12]


def lay(files: Files, folder: Path) -> Path:
    """Write the files."""
    for name, data in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def assert_reported(folder: Path, word: str) -> None:
    """Assert that some message has the word."""
    problems = check_folder(folder, sources=hand.sources())
    assert any(word in problem for problem in problems), problems


def test_accepts_the_handmade_folder(tmp_path: Path) -> None:
    assert check_folder(lay(hand.files(hand.model()), tmp_path), sources=hand.sources()) == []


@pytest.mark.parametrize(("path", "value", "word"), spoilt.IN_THE_SAMPLE)
def test_reports_a_wrong_field_of_a_sample(path: tuple[Any, ...], value: Any, word: str, tmp_path: Path) -> None:
    run = hand.model()
    put(run.first["json"], path, value)
    assert_reported(lay(hand.files(run), tmp_path), word)


@pytest.mark.parametrize(("name", "path", "value", "word"), spoilt.IN_THE_FILES)
def test_reports_a_wrong_field_of_a_file(
    name: str, path: tuple[Any, ...], value: Any, word: str, tmp_path: Path
) -> None:
    files = hand.files(hand.model())
    edit(files, name, path, value)
    assert_reported(lay(files, tmp_path), word)


@pytest.mark.parametrize(("change", "word"), spoilt.OF_THE_MODEL.values(), ids=spoilt.OF_THE_MODEL)
def test_reports_a_wrong_sample(change: Callable[[hand.Model], None], word: str, tmp_path: Path) -> None:
    run = hand.model()
    change(run)
    assert_reported(lay(hand.files(run), tmp_path), word)


@pytest.mark.parametrize(("change", "word"), spoilt.OF_THE_FILES.values(), ids=spoilt.OF_THE_FILES)
def test_reports_wrong_files(change: Callable[[Files], None], word: str, tmp_path: Path) -> None:
    files = hand.files(hand.model())
    change(files)
    assert_reported(lay(files, tmp_path), word)


def flat_obb(run: hand.Model) -> None:
    """Write every obb as one list of eight numbers."""
    for parts in (parts for _, parts in run.shards[0].samples[:3]):
        parts["json"]["objects"][2]["obb"] = [[10, 20, 16, 20, 16, 26, 10, 26]]


def without_objects(run: hand.Model) -> None:
    """Leave objects and dropped away everywhere, as for pictures that only have tags."""
    for shard in run.shards:
        for _, parts in shard.samples:
            for name in ("objects", "dropped", "segments_info"):
                parts["json"].pop(name, None)
            for name in ("instance.png", "panoptic.png"):
                parts.pop(name, None)


def gray(run: hand.Model) -> None:
    """Let the first picture be gray."""
    run.first["jpg"] = hand.image_bytes(hand.photo(1)[..., 0], "JPEG", quality=90)


def png(run: hand.Model) -> None:
    """Write all pictures as PNG."""
    run.config["picture"] = {"format": "png"}
    for shard in run.shards:
        shard.samples = [(key, {"png": hand.image_bytes(hand.photo(1)), **parts}) for key, parts in shard.samples]
        assert all(parts.pop("jpg") for _, parts in shard.samples)


def other_jpeg(run: hand.Model) -> None:
    """Write the one shard's pictures as the manifest then says."""
    run.config["picture"] = {"format": "jpg", "quality": 75, "subsampling": "4:4:4"}
    for _, parts in (sample for shard in run.shards for sample in shard.samples):
        parts["jpg"] = hand.jpeg(1, quality=75, subsampling="4:4:4")


@pytest.mark.parametrize("change", [flat_obb, without_objects, gray, png, other_jpeg])
def test_accepts_other_readings(change: Callable[[hand.Model], None], tmp_path: Path) -> None:
    run = hand.model()
    change(run)
    assert check_folder(lay(hand.files(run), tmp_path), sources=hand.sources()) == []


def extended() -> hand.Model:
    """Return the run made in two parts: the originals and one copy, and later the second copy."""
    run = hand.model()
    again = [hand.Shard(shard.sources, [], [], (1, 2)) for shard in run.shards]
    for number, (early, late) in enumerate(zip(run.shards, again, strict=True)):
        late.samples = [sample for sample in early.samples if sample[1]["json"]["copy"] == 1]
        early.samples = [sample for sample in early.samples if sample[1]["json"]["copy"] < 1]
        early.copies = (0, 1)
        for row in early.rejects:
            late.rejects.append(row | {"copies": [1], "shard": f"all-{number + 3:06d}"})
            row["copies"] = [copy for copy in row["copies"] if copy < 1]
        early.rejects = [row for row in early.rejects if row["copies"]]
    run.shards += again
    return run


def test_accepts_a_run_that_was_extended(tmp_path: Path) -> None:
    files = hand.files(extended())
    assert check_folder(lay(files, tmp_path)) == []
    for n in range(3):
        edit(files, f"all-{n:06d}.json", ("config",), "ab" * 64)  # the digest of its day
        edit(files, f"all-{n + 3:06d}.json", ("task", "index"), n)
    merged = hand.reject(hand.GONE, [-1, 0, 1], "all-000002")
    files["rejects.jsonl"] = hand.to_json(merged) + b"\n" + files["rejects.jsonl"].splitlines()[-1]
    assert check_folder(lay(files, tmp_path)) == []


def test_reports_an_extension_with_another_digest_or_a_gap(tmp_path: Path) -> None:
    files = hand.files(extended())
    edit(files, "all-000004.json", ("config",), "ab" * 64)
    edit(files, spoilt.MANIFEST, ("parts", 1, "copies"), [2, 3])
    assert_reported(lay(files, tmp_path), "digest of part 2")
    assert_reported(tmp_path, "do not cover")


def test_accepts_the_name_of_the_tar_and_unknown_fields(tmp_path: Path) -> None:
    files = hand.files(hand.model())
    for n in range(3):
        edit(files, f"all-{n:06d}.json", ("name",), f"all-{n:06d}.tar")
        edit(files, f"all-{n:06d}.json", ("zebra",), [None])
        edit(files, spoilt.MANIFEST, ("shards", n, "name"), f"all-{n:06d}.tar")
        edit(files, f"all-{n:06d}.json", ("task", "copies"), [-1, 2])
    edit(files, spoilt.MANIFEST, ("parts", 0, "copies"), [-1, 2])
    assert check_folder(lay(files, tmp_path)) == []


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the path to everything in a document."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in steps:
        yield (*path, step)
        yield from places(item, (*path, step))


@pytest.mark.parametrize("value", ABSURD)
def test_never_raises_on_an_absurd_file(value: Any, tmp_path: Path) -> None:
    right = hand.files(hand.model())
    for name in (spoilt.RECORD, "all-000001.json", spoilt.MANIFEST, "run.json"):
        for path in list(places(json.loads(right[name])))[::11]:
            files = dict(right)
            edit(files, name, path, value)
            assert isinstance(check_folder(lay(files, tmp_path)), list)


def test_never_raises_on_an_absurd_sample(tmp_path: Path) -> None:
    run = hand.model()
    for n, path in enumerate(list(places(run.first["json"]))[::2]):
        run = hand.model()
        put(run.first["json"], path, ABSURD[n % 7])
        run.first["json"] = hand.to_json(run.first["json"])
        assert isinstance(check_folder(lay(hand.files(run), tmp_path)), list)


def test_key_is_made_of_the_source_key_and_the_copy() -> None:
    assert (
        make_key("a/caf\u00e9 1.tar.jpg", 7)
        == "caf__1_tar-" + hashlib.blake2b("a/caf\u00e9 1.tar.jpg".encode()).hexdigest()[:10] + "-c007"
    )
    assert make_key("x" * 99, -1).startswith("x" * 60 + "-")
    assert make_key("x", 1234).endswith("-c1234")


def test_run_lengths_are_those_of_pycocotools() -> None:
    pixels = np.random.default_rng(1).integers(0, 5, (97, 61)) == 0
    rle = coco.encode(np.asfortranarray(pixels.astype(np.uint8)))
    runs = run_lengths(rle["counts"].decode())
    assert np.array_equal(np.repeat(np.arange(len(runs)) % 2, runs).reshape(61, 97).T, pixels)


def test_cut_keeps_what_lies_in_the_picture() -> None:
    assert set(cut([(-4, 2), (4, 2), (4, 12), (-4, 12)], (8, 10))) == {(0, 2), (4, 2), (4, 10), (0, 10)}
    assert cut([(-4, 2), (-1, 2), (-1, 4)], (8, 10)) == []


def test_command_prints_problems_and_exits_with_1(tmp_path: Path) -> None:
    lay(hand.files(hand.model()), tmp_path)
    command = [sys.executable, format_checker.__file__, str(tmp_path)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    (tmp_path / "notes.txt").touch()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "notes.txt: does not belong in a finished folder\n")
