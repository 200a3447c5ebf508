"""Which files a device's decoder is given: libjpeg's own verdict is the oracle, and what the CPU's codec rejects."""

from __future__ import annotations

import io
import struct
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from builders import SHARED, encoded, needs, photo
from pictures import GRAY, PHOTO, PICTURE, SIZE, WRITTEN, read, resized
from PIL import Image

from augpipe.core.annotations import Header
from augpipe.core.errors import Reject
from augpipe.pixels.codec import captured_stderr
from augpipe.pixels.codec.baseline_jpeg import is_plain, whole
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.codec.image import PictureFormat, encode

NOISE = encoded(np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8), "JPEG")


@pytest.fixture(scope="module")
def cores():
    with ThreadPoolExecutor(4) as pool:
        yield pool


def plain(data: bytes) -> bool:
    return is_plain(data, read_header(data))


def segment(data: bytes, marker: int) -> int:
    """Place of the content of the first such segment."""
    return data.index(bytes([0xFF, marker])) + 4


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_what_cameras_and_libraries_write_is_plain(subsampling):
    for quality in (30, 90, 100):
        assert plain(encoded(PHOTO, "JPEG", subsampling=subsampling, quality=quality))
    assert plain(encoded(PHOTO, "JPEG", optimize=True))
    assert plain(encoded(PHOTO, "JPEG", restart_marker_blocks=1))
    assert plain(encoded(PHOTO, "JPEG", dpi=(72, 72), comment=b"\xff\xd9 in a comment"))
    assert plain(encode(np.ascontiguousarray(PHOTO[:, :, ::-1]), PictureFormat()))
    assert plain(encode(PHOTO[:, :, 1].copy(), PictureFormat()))


@pytest.mark.parametrize("name", [name for name in WRITTEN if name not in ("jpeg", "jpeg gray")])
def test_no_other_kind_of_picture_is(name):
    assert not plain(WRITTEN[name])


def test_jpegs_out_of_the_ordinary_are_not():
    jpeg = encoded(PHOTO, "JPEG")
    second = jpeg[:2] + jpeg[segment(jpeg, 0xE0) - 4 :]
    assert plain(second)
    assert not plain(jpeg + b"\0\0")
    assert not plain(jpeg + jpeg)  # as a camera appends a preview
    assert not plain(resized(jpeg, (SIZE[0], SIZE[1] + 1))[:-2])
    assert not is_plain(jpeg, Header("JPEG", (SIZE[1], SIZE[0]), 1, "RGB"))
    assert not is_plain(jpeg, Header("JPEG", SIZE, 1, "L"))
    assert not is_plain(jpeg, Header("MPO", SIZE, 1, "RGB"))
    assert not is_plain(WRITTEN["jpeg gray"], Header("JPEG", SIZE, 1, "RGB"))
    rgb = io.BytesIO()
    PICTURE.save(rgb, "JPEG", keep_rgb=True)
    assert not plain(rgb.getvalue())


@pytest.mark.parametrize(
    ("marker", "at", "value"),
    [
        (0xC0, 0, 12),  # bits a sample
        (0xC0, 7, 0x12),  # 4:4:0
        (0xC0, 7, 0x41),  # 4:1:1
        (0xC0, 10, 0x21),  # chroma finer than luma's half
        (0xC0, 6, ord("R")),  # a channel called R
        (0xDB, 0, 0x10),  # 16-bit tables
        (0xDA, -1, 0x01),  # less than all coefficients at once
        (0xDA, 1, 2),  # channels in another order
    ],
)
def test_a_byte_that_says_something_unusual_is_enough(marker, at, value):
    data = bytearray(encoded(PHOTO, "JPEG"))
    place = segment(data, marker)
    if at < 0:
        place += struct.unpack_from(">H", data, place - 2)[0] - 2
    header = read_header(bytes(data))
    assert is_plain(bytes(data), header)
    assert data[place + at] != value
    data[place + at] = value
    assert not is_plain(bytes(data), header)


def test_tables_must_be_there_and_markers_must_not():
    data = encoded(PHOTO, "JPEG")
    header = read_header(data)
    for marker in (0xC4, 0xDB):
        changed = data
        while (at := changed.find(bytes([0xFF, marker]), 0, segment(changed, 0xDA))) >= 0:
            changed = changed[:at] + b"\xff\xfe" + changed[at + 2 :]  # a comment now
        assert not is_plain(changed, header)
    middle = len(data) - 20
    for marker in (0xDA, 0xD8, 0xC4, 0xD9, 0x01):
        assert not is_plain(data[:middle] + bytes([0xFF, marker]) + data[middle:], header)


def adobe(transform: int) -> bytes:
    jpeg = encoded(PHOTO, "JPEG")
    return jpeg[:2] + b"\xff\xee" + struct.pack(">H5sHHHB", 14, b"Adobe", 100, 0, 0, transform) + jpeg[2:]


def test_adobe_must_say_ycc():
    assert plain(adobe(1))
    assert not is_plain(adobe(0), Header("JPEG", SIZE, 1, "RGB"))
    assert not is_plain(adobe(2), Header("JPEG", SIZE, 1, "RGB"))


@pytest.mark.parametrize("name", ["jpeg", "jpeg gray"])
def test_nothing_that_is_cut_is_plain(name):
    data = WRITTEN[name]
    header = read_header(data)
    assert not any(is_plain(data[:length], header) for length in range(len(data)))


def rejects(data: bytes) -> bool:
    try:
        read(data)
    except Reject:
        return True
    return False


def quiet(data: bytes) -> bool:
    """Whether libjpeg decodes it in full size and colour without a word."""
    import cv2

    with captured_stderr.alone() as heard:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return found is not None and not heard.text


@pytest.mark.parametrize("restarts", [0, 4])
def test_a_jpeg_that_was_cut_and_closed_again_is_not_whole(cores, restarts):
    data = encoded(photo((200, 150)), "JPEG", restart_marker_blocks=restarts)
    scan = segment(data, 0xDA) + 12
    cut = [data[:length].rstrip(b"\xff") + b"\xff\xd9" for length in range(scan, len(data) - 8, 41)]
    assert len(cut) > 20
    assert all(map(plain, cut)) or restarts
    assert not any(whole(cut, cores))
    assert whole([data, *cut, data], cores) == [True] + [False] * len(cut) + [True]


def test_what_is_whole_is_what_libjpeg_reads_in_full_without_a_word(cores):
    """Bits are turned in the codes; an eighth of the size must complain wherever the whole size does."""
    files = []
    for data in (NOISE, encoded(photo((96, 64)), "JPEG"), encoded(GRAY, "JPEG"), WRITTEN["jpeg"]):
        scan = segment(data, 0xDA)
        for seed in range(150):
            rng = np.random.default_rng(seed)
            bad = bytearray(data)
            bad[rng.integers(scan, len(data) - 2)] ^= 1 << rng.integers(8)
            files.append(bytes(bad))
    files = [data for data in files if plain(data)]
    found = whole(files, cores)
    assert found == [quiet(data) for data in files]
    assert 50 < sum(found) < len(files) - 100  # both happen
    assert not any(rejects(data) for data, good in zip(files, found, strict=True) if good)


def test_what_is_said_of_one_file_is_not_held_against_the_others(cores, capfd):
    data = encoded(photo((64, 48)), "JPEG")
    cut = data[: len(data) // 2].rstrip(b"\xff") + b"\xff\xd9"
    assert whole([], cores) == []
    assert whole([data] * 20 + [cut] + [data] * 20, cores) == [True] * 20 + [False] + [True] * 20
    assert capfd.readouterr() == ("", "")


@needs("odd_images")
def test_of_odd_pictures_only_those_are_taken_that_the_cpu_reads_without_a_doubt(cores):
    counted: Counter[str] = Counter()
    for path in sorted((SHARED / "odd_images").rglob("*")):
        if path.suffix.lower() not in (".jpg", ".jpeg"):
            continue
        data = path.read_bytes()
        try:
            header = read_header(data)
        except Reject:
            continue
        taken = is_plain(data, header) and whole([data], cores) == [True]
        counted[f"taken {taken}"] += 1
        if taken:
            with Image.open(io.BytesIO(data)) as image:
                assert not image.info.get("progressive"), path
            assert quiet(data), path
            assert not rejects(data), path
    assert counted["taken True"] >= 40
    assert counted["taken False"] >= 40
