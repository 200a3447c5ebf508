"""Damaged pictures are whole or rejected, whatever is wrong with them; and stderr, where codecs mutter, comes back."""

from __future__ import annotations

import csv
import errno
import io
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from builders import SHARED, encoded, needs
from pictures import WRITTEN, by_pillow, read, rejected, resized
from PIL import Image, ImageFile

from augpipe.core.annotations import Header
from augpipe.core.errors import Reject
from augpipe.core.opencv import cv2
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.codec.image import decode

RNG = np.random.default_rng(0)
NOISE = encoded(RNG.integers(0, 256, (200, 300, 3), np.uint8), "JPEG")
CUT = NOISE[: len(NOISE) // 2]  # far behind its header
ODD = SHARED / "odd_images"


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_that_is_cut_is_whole_or_rejected(name, capfd):
    data = WRITTEN[name]
    whole, codes = read(data), set()
    for length in sorted({*range(0, len(data), max(1, len(data) // 150)), *range(len(data) - 30, len(data))}):
        try:
            assert np.array_equal(read(data[:length]), whole), length
        except Reject as reject:
            codes.add(reject.code)
    assert codes <= {"empty-file", "unsupported", "truncated"}
    assert rejected(data[: len(data) * 3 // 4]) == "truncated"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["jpeg", "progressive", "jpeg gray", "png", "pnm", "gif"])
def test_a_file_that_is_cut_is_kept_on_demand(name):
    data = WRITTEN[name]
    part = read(data[: len(data) * 9 // 10], keep_truncated=True)
    assert np.array_equal(part[:4, :8], read(data)[:4, :8]) or name == "progressive"  # coarse all over


def test_a_jpeg_that_was_cut_and_closed_again_is_truncated():
    """Pillow takes it for whole and paints the rest gray."""
    with Image.open(io.BytesIO(CUT + b"\xff\xd9")) as image:
        assert np.ptp(np.asarray(image)[-1]) == 0
    assert rejected(CUT + b"\xff\xd9") == rejected(CUT) == "truncated"


def test_a_cut_jpeg_is_rejected_wherever_it_is_cut_and_whatever_pillow_is_set_to(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for length in range(len(NOISE) - 1, 700, -len(NOISE) // 50):
        assert rejected(NOISE[:length]) == "truncated"
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_jpeg_with_more_pixels_in_its_header_is_truncated():
    assert rejected(resized(WRITTEN["jpeg"], (370, 230))) == "truncated"


def test_a_cut_jpeg_2000_is_never_black():
    data = WRITTEN["jpeg 2000"]
    cut = data[: data.index(b"\xff\x93")]  # before its only tile: OpenJPEG is content
    codes = {rejected(data[:length]) for length in range(len(cut) - 14, len(cut) + 40)}
    assert codes == {"truncated"}


@pytest.mark.parametrize("name", WRITTEN)
def test_bad_bytes_in_the_middle_are_read_as_pillow_reads_them_or_rejected(name, capfd):
    data, codes, agreed = WRITTEN[name], set(), 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        places = rng.integers(len(data) // 3, len(data), 1 + seed % 3)
        bad = bytearray(data)
        for place in places:
            bad[place] = rng.integers(0, 256)
        try:
            pixels = read(bytes(bad))
        except Reject as reject:
            codes.add(reject.code)
            continue
        agreed += np.array_equal(pixels, by_pillow(bytes(bad)))
    assert codes <= {"truncated", "unsupported", "too-large", "size-mismatch"}
    assert agreed > 0 or name in ("png palette", "webp lossless", "tiff lzw")
    assert capfd.readouterr() == ("", "")


def test_pixels_that_are_not_what_the_header_says_are_a_size_mismatch():
    for name in ("png", "jpeg", "tiff", "pnm"):
        true = read_header(WRITTEN[name])
        with pytest.raises(Reject, match="the header says 23×37, the pixels are 37×23") as caught:
            decode(WRITTEN[name], Header(true.format, (23, 37), 1, true.mode))
        assert caught.value.code == "size-mismatch"


def test_what_opencv_cannot_take_at_all_goes_to_pillow(monkeypatch):
    def refuse(*args):
        raise cv2.error("no")

    monkeypatch.setattr(cv2, "imdecode", refuse)
    for name in ("png", "jpeg"):
        assert np.array_equal(read(WRITTEN[name]), by_pillow(WRITTEN[name]))


def outcome(data: bytes) -> tuple[np.ndarray | None, str]:
    """(pixels, ``read``) or (``None``, the reject's code)."""
    try:
        return read(data), "read"
    except Reject as reject:
        return None, reject.code


def manifest() -> list[dict[str, str]]:
    with open(ODD / "MANIFEST.tsv", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@needs("odd_images")
def test_odd_pictures_of_other_projects(capfd):
    """The manifest tells what Pillow made of each; where it has pixels, ours are the same."""
    changed = {"broken_data_stream.png", "truncated_end_chunk.png"}  # read by the Pillow of the manifest, not by all
    half_gray = {  # closed before their end, which Pillow lets pass
        "dc-predictor-overflow.jpg",
        "7997b6b229f25315d33f5c7085e37500.jpg",
        "8e5e74dbf9b68a322fbb9512db837329.jpg",
    }
    counted: Counter[str] = Counter()
    for row in manifest():
        data, name = (ODD / row["file"]).read_bytes(), Path(row["file"]).name
        pixels, code = outcome(data)
        counted[code] += 1
        assert (code == "too-large") == ("Bomb" in row["pil_load"]), name
        if pixels is None:
            assert row["pil_load"] != "ok" or name in changed | half_gray, (name, code)
            continue
        assert row["pil_load"] == "ok", name
        if "12bit" not in name:
            deep = row["cv2_unchanged"].endswith("uint16")  # Pillow cuts 16 bits of colour where we round
            assert np.abs(pixels.astype(int) - by_pillow(data)).max() <= deep, name
    assert sum(counted.values()) >= 368
    assert counted["read"] >= 240
    assert set(counted) == {"read", "truncated", "unsupported", "too-large", "empty-file"}
    assert capfd.readouterr() == ("", "")


# --- stderr ----------------------------------------------------------------------------------------------------------


def descriptors() -> list[str]:
    return sorted(os.listdir("/dev/fd"))


def _forbidden(name: str) -> int:
    raise PermissionError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("memory", ["there", "missing", "forbidden"])
def test_stderr_comes_back_and_no_descriptor_is_left(memory, monkeypatch, capfd):
    """Some systems have no files in memory, and a sandbox may forbid them."""
    if memory == "missing":
        monkeypatch.delattr(os, "memfd_create", raising=False)
    elif memory == "forbidden":
        monkeypatch.setattr(os, "memfd_create", _forbidden, raising=False)
    before = descriptors()
    for _ in range(3):
        assert rejected(CUT) == "truncated"
    os.write(2, b"still here\n")
    assert descriptors() == before
    assert capfd.readouterr().err == "still here\n"


@pytest.mark.parametrize("also_stdin", [False, True], ids=["the file gets its number", "it does not"])
def test_damage_is_seen_where_stderr_is_closed(also_stdin):
    kept = {number: os.dup(number) for number in ((0, 2) if also_stdin else (2,))}
    try:
        for number in kept:
            os.close(number)
        before = descriptors()
        assert rejected(CUT) == "truncated"
        assert descriptors() == before
        with pytest.raises(OSError, match="descriptor"):
            os.fstat(2)
    finally:
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)


def test_two_threads_do_not_take_each_others_stderr(capfd):
    found: list[str] = []

    def work(name: str) -> None:
        for _ in range(60):
            found.append(rejected(CUT))
            read(WRITTEN[name])

    threads = [threading.Thread(target=work, args=(name,)) for name in ("jpeg", "tiff", "progressive", "jpeg cmyk")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"still here\n")
    assert found == ["truncated"] * 240
    assert capfd.readouterr().err == "still here\n"


ALONE = """
import os, sys
from pictures import WRITTEN
from augpipe.core.errors import Reject
from augpipe.pixels.codec.image import decode
from augpipe.pixels.codec.header import read_header
header = read_header(WRITTEN["jpeg"])
for _ in range(2):
    try:
        decode(WRITTEN["jpeg"][:-200], header)
    except Reject as reject:
        print(reject.code, flush=True)
"""


@pytest.mark.parametrize("closed", ["", "2>&-"])
def test_nothing_is_left_behind_at_the_end_of_a_process(closed):
    command = f'exec "$0" -X dev -W error::ResourceWarning -c "$1" {closed}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, ALONE],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": "tests/helpers:."},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("truncated\ntruncated\n", "")
