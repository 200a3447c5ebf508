"""Headers: size, mode and orientation against Pillow's own view, and what is no picture or too large a one."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from builders import encoded, exif
from pictures import BOMBS, GRAY, PHOTO, PICTURE, SIZE, WRITTEN, chunk, gif, png, resized, tiff
from PIL import Image, ImageFile, ImageOps

from augpipe.core.annotations import Header
from augpipe.core.errors import Reject
from augpipe.pixels.codec.header import MAX_PIXELS, opened, read_header

ORIENTED = ("JPEG", "PNG", "WEBP", "TIFF")
ORIENTATION_6 = b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"  # tag, type, count and value, as Pillow writes them


def rejected(data: bytes, **options) -> Reject:
    with pytest.raises(Reject) as caught:
        read_header(data, **options)
    assert (caught.value.stage, caught.value.transient) == ("decode", False)
    return caught.value


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ORIENTED)
def test_the_upright_size_is_that_of_exif_transpose(form, orientation):
    data = encoded(PHOTO, form, exif=exif(orientation))
    header = read_header(data)
    with Image.open(io.BytesIO(data)) as image:
        assert header.upright_wh == ImageOps.exif_transpose(image).size
    assert header == Header(form, SIZE, orientation, "RGB")


@pytest.mark.parametrize("value", [0, 9, 65535])
@pytest.mark.parametrize("form", ORIENTED)
def test_orientations_that_do_not_exist_count_as_1(form, value):
    tags = Image.Exif()
    tags[274] = value
    header = read_header(encoded(PHOTO, form, exif=tags))
    assert (header.orientation, header.upright_wh) == (1, SIZE)


@pytest.mark.parametrize("damage", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0XX*\0\x08\0\0\0"])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif_counts_as_none(form, damage):
    assert read_header(encoded(PHOTO, form, exif=damage)) == Header(form, SIZE, 1, "RGB")


def test_the_exif_of_a_png_may_stand_behind_the_pixels():
    data, block = WRITTEN["png"], exif(6).tobytes().removeprefix(b"Exif\0\0")
    end = data.index(b"IEND") - 4
    assert read_header(data[:end] + chunk(b"eXIf", block) + data[end:]).orientation == 6


def test_xmp_turns_where_there_is_no_exif():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="8"/></x:xmpmeta>'
    assert read_header(encoded(PHOTO, "JPEG", xmp=xmp)).orientation == 8
    assert read_header(encoded(PHOTO, "JPEG", xmp=xmp, exif=exif(3))).orientation == 3


@pytest.mark.parametrize(
    ("data", "form", "mode"),
    [
        (WRITTEN["jpeg"], "JPEG", "RGB"),
        (WRITTEN["progressive"], "JPEG", "RGB"),
        (WRITTEN["jpeg gray"], "JPEG", "L"),
        (WRITTEN["jpeg cmyk"], "JPEG", "CMYK"),
        (encoded(PHOTO, "MPO", save_all=True, append_images=[PICTURE]), "MPO", "RGB"),
        (WRITTEN["png palette"], "PNG", "P"),
        (encoded(PICTURE.convert("1"), "PNG"), "PNG", "1"),
        (encoded(PICTURE.convert("LA"), "PNG"), "PNG", "LA"),
        (encoded(PICTURE.convert("RGBA"), "PNG"), "PNG", "RGBA"),
        (png((37, 23), 16, 4, bytes(37 * 23 * 4)), "PNG", "LA"),
        (encoded(GRAY.point(lambda v: v * 256, "I").convert("I;16"), "PNG"), "PNG", "I;16"),
        (tiff(np.zeros((23, 37)), ">"), "TIFF", "I;16B"),
        (WRITTEN["webp"], "WEBP", "RGB"),
        (WRITTEN["bmp"], "BMP", "RGB"),
        (WRITTEN["pnm"], "PPM", "RGB"),
        (WRITTEN["gif"], "GIF", "P"),
        (WRITTEN["jpeg 2000"], "JPEG2000", "RGB"),
    ],
)
def test_format_and_mode(data, form, mode):
    header = read_header(data)
    assert (header.format, header.mode, header.stored_wh) == (form, mode, SIZE)


@pytest.mark.parametrize(
    "data",
    [
        b"hello, this is text\n",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>",
        b"<!doctype html><html><body>404</body></html>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"\0" * 1000,
        b"\xff\xd8\xff",
        encoded(PHOTO, "TGA"),
        encoded(PHOTO, "ICO"),
    ],
)
def test_what_is_no_picture_that_is_read_is_unsupported(data):
    reject = rejected(data)
    assert reject.code == "unsupported"
    assert "JPEG, PNG, WEBP, BMP, TIFF, PPM, GIF, JPEG2000" in reject.message


def test_an_empty_file_says_so():
    assert rejected(b"").code == "empty-file"


@pytest.mark.parametrize("data", [WRITTEN["webp"], tiff(np.zeros((23, 37))), tiff(np.zeros((23, 37)), ">")])
def test_a_header_that_is_cut_off_is_truncated(data):
    assert read_header(data).stored_wh == SIZE
    assert rejected(data[:-150]).code == "truncated"


def test_a_picture_without_pixels_is_unsupported():
    empty = (
        png((0, 5), 8, 2, b""), gif((0, 0), (0, 0)), resized(WRITTEN["jpeg"], (0, 7)), resized(WRITTEN["jpeg"], (7, 0)),
        b"P6 0 5 255\n", tiff(np.zeros((5, 0))), tiff(np.zeros((0, 5)), orientation=6),
    )  # fmt: skip
    for data in empty:
        assert rejected(data).code == "unsupported"


def test_the_limit_on_pixels_is_exact_and_the_message_names_the_way_out():
    assert read_header(WRITTEN["png"], 37 * 23).stored_wh == SIZE
    reject = rejected(WRITTEN["png"], max_pixels=37 * 23 - 1)
    assert (reject.code, reject.message) == ("too-large", "37×23 pixels; expected at most 850 (--max-pixels)")
    assert MAX_PIXELS == 64_000_000
    assert rejected(BOMBS["png"]).message == "3600000000 pixels; expected at most 64000000 (--max-pixels)"


def test_the_limit_can_be_raised_beyond_pillows():
    data = png((20000, 20000), 1, 0, bytes(2500) * 20000)
    assert rejected(data).code == "too-large"
    assert read_header(data, 400_000_000).stored_wh == (20000, 20000)


WEIGH = """
import resource, sys
from pictures import BOMBS
from augpipe.core.errors import Reject
from augpipe.pixels.codec.header import read_header
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 << 20 if sys.platform == "darwin" else 1 << 10)
for name, data in BOMBS.items():
    before, code = peak(), "read"
    try:
        read_header(data)
    except Reject as reject:
        code = reject.code
    print(f"{name}|{code}|{peak() - before < 70}")
"""


def test_no_bomb_is_unpacked():
    """Each refused by its header, at less than 70 MB in a process of its own; some used to take 4 GB."""
    command = [sys.executable, "-c", WEIGH]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": "tests/helpers:."})
    assert done.stdout.splitlines() == [f"{name}|too-large|True" for name in BOMBS]
    assert done.stderr == ""


def settings() -> tuple:
    return Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)


def test_pillows_settings_are_given_back(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    before = settings()
    with opened(WRITTEN["png"], 10_000, keep_truncated=True):
        assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == (5001, True)
    with opened(WRITTEN["png"], 10):
        assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == (1000, False)  # never made stricter
    rejected(b"rubbish")
    assert settings() == before
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert rejected(BOMBS["png"]).message.startswith("60000×60000 pixels")
    assert Image.MAX_IMAGE_PIXELS is None


def test_importing_leaves_pillows_limit_alone():
    code = "from PIL import Image as i; a = i.MAX_IMAGE_PIXELS; import augpipe.pixels.codec.image as _; "
    code += "print(a, i.MAX_IMAGE_PIXELS)"
    before, after = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout.split()
    assert before == after


def test_what_pillow_warns_of_stays_inside(capfd):
    tags = exif(6).tobytes()
    assert tags.count(ORIENTATION_6) == 1
    text = encoded(PHOTO, "JPEG", exif=tags.replace(ORIENTATION_6, b"\x01\x12\0\x02\0\0\0\x026\0\0\0"))
    long = encoded(PHOTO, "JPEG", exif=tags.replace(ORIENTATION_6, b"\x01\x12\0\x03\0\0\0\x02\0\x06\0\x06"))
    with pytest.warns(UserWarning, match="too many entries"), Image.open(io.BytesIO(long)) as image:
        image.getexif().get(274)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [read_header(data).orientation for data in (text, long)] == [1, 6]  # as in Pillow
    assert capfd.readouterr() == ("", "")


def test_two_threads_do_not_mix_the_settings():
    before, entered = settings(), threading.Event()

    def other() -> None:
        with opened(WRITTEN["png"], 400_000_000, keep_truncated=True):
            entered.set()

    thread = threading.Thread(target=other)
    with opened(WRITTEN["jpeg"]):
        thread.start()
        assert not entered.wait(0.1)
        assert not ImageFile.LOAD_TRUNCATED_IMAGES
    thread.join()
    assert entered.is_set()
    assert settings() == before
