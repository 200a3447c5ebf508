"""Pixels in and out of files, judged by Pillow, NumPy and numbers from the formats' own pages."""

from __future__ import annotations

import io

import numpy as np
import pytest
from builders import encoded, exif
from hostile_pictures import flat_png
from pictures import GRAY, PHOTO, PICTURE, SIZE, WRITTEN, by_pillow, png, read, rejected, tiff
from PIL import Image, JpegImagePlugin

from augpipe.core.errors import Reject
from augpipe.pixels.codec.image import PictureFormat, encode
from augpipe.pixels.codec.label_png import decode_raster, encode_raster, narrowed

RNG = np.random.default_rng(0)
RGBA = np.dstack([PHOTO, np.tile(np.arange(37, dtype=np.uint8) * 7, (23, 1))])  # alpha 0 in the first column


# --- what is read, and how -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("picture", [PICTURE, GRAY], ids=["colour", "gray"])
def test_pictures_are_turned_as_exif_transpose_does(picture, form, orientation):
    data = encoded(picture, form, exif=exif(orientation))
    assert np.array_equal(read(data), by_pillow(data))


@pytest.mark.parametrize("name", WRITTEN)
def test_every_kind_has_pillows_pixels(name):
    assert np.array_equal(read(WRITTEN[name]), by_pillow(WRITTEN[name]))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "GIF"])
def test_one_bit_is_black_and_white(form):
    bits = RNG.integers(0, 2, (23, 37)).astype(bool)
    pixels = read(encoded(Image.fromarray(bits), form))
    assert np.array_equal(pixels if pixels.ndim == 2 else pixels[:, :, 0], bits * np.uint8(255))


@pytest.mark.parametrize(("depth", "white"), [(1, 1), (2, 3), (4, 15)])
def test_gray_png_of_few_bits_is_spread_to_255(depth, white):
    row = np.arange(8) % (white + 1)
    packed = int("".join(f"{v:0{depth}b}" for v in row), 2).to_bytes(depth, "big")
    assert read(png((8, 1), depth, 0, packed)).tolist() == [(row * 255 // white).tolist()]


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_dropped_and_the_colors_below_it_stay(form):
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    assert np.array_equal(read(encoded(RGBA, form, **options)), PHOTO)


def test_gray_with_alpha_is_gray():
    gray = np.asarray(GRAY)
    with_alpha = Image.merge("LA", (GRAY, Image.fromarray(RGBA[:, :, 3])))
    wide = np.dstack([gray, gray, RGBA[:, :, 3], RGBA[:, :, 3]])  # 16 bits: v·257 has the byte v twice
    for data in (encoded(with_alpha, "PNG"), encoded(with_alpha, "TIFF"), png(SIZE, 16, 4, wide.tobytes())):
        assert np.array_equal(read(data), gray)
    assert np.array_equal(read(encoded(GRAY, "PNG", transparency=3)), gray)


def test_palettes_become_colors_also_where_entries_are_transparent():
    palette = PICTURE.quantize(16)
    for form, options in (
        ("PNG", {}),
        ("PNG", {"transparency": 3}),
        ("GIF", {"transparency": 3}),
        ("TIFF", {}),
        ("BMP", {}),
    ):
        assert np.array_equal(read(encoded(palette, form, **options)), np.asarray(palette.convert("RGB")))


WIDE = RNG.integers(0, 65536, (23, 37, 4)).astype(np.uint16)
WIDE[0, :6] = np.array([0, 128, 129, 385, 386, 65535])[:, None]  # where rounding turns
NARROW = np.rint(WIDE.astype(float) / 257).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_divided_by_257_in_png(channels):
    pixels = WIDE[:, :, 0] if channels == 1 else WIDE[:, :, :channels]
    data = png(SIZE, 16, {1: 0, 3: 2, 4: 6}[channels], pixels.astype(">u2").tobytes())
    assert np.array_equal(read(data), NARROW[:, :, 0] if channels == 1 else NARROW[:, :, :3])


@pytest.mark.parametrize("order", "<>")
def test_sixteen_bits_are_divided_by_257_in_tiff_pnm_and_jpeg_2000(order):
    gray, narrow = WIDE[:, :, 0], NARROW[:, :, 0]
    assert np.array_equal(read(tiff(gray, order)), narrow)
    assert np.array_equal(read(tiff(gray, order, orientation=6)), np.rot90(narrow, -1))
    assert np.array_equal(read(b"P5 37 23 65535\n" + gray.astype(">u2").tobytes()), narrow)
    assert np.array_equal(read(encoded(Image.fromarray(gray), "JPEG2000")), narrow)


def test_what_does_not_count_to_16_bits_is_white_at_its_own_white():
    twelve = WIDE[:, :, 0] >> 4
    want = np.rint(twelve.astype(float) * 255 / 4095)
    assert np.abs(read(tiff(twelve, bits=12)) - want).max() == 0
    assert np.abs(read(b"P5 37 23 4095\n" + twelve.astype(">u2").tobytes()) - want).max() <= 1  # Pillow goes by 65535
    assert read(b"P2 3 1 100\n0 50 100\n").tolist() == [[0, 128, 255]]


def test_a_16_bit_tiff_that_counts_from_white():
    assert np.array_equal(read(tiff(WIDE[:, :, 0], photometric=0)), 255 - NARROW[:, :, 0])


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bits_have_no_white(mode):
    assert rejected(encoded(GRAY.convert(mode), "TIFF")) == "unsupported"


INKS = {(0, 0, 0, 0): (255, 255, 255), (255, 0, 0, 0): (0, 255, 255), (0, 255, 0, 0): (255, 0, 255),
        (0, 0, 0, 255): (0, 0, 0), (0, 0, 255, 128): (127, 127, 0)}  # fmt: skip


@pytest.mark.parametrize("ink", INKS)
@pytest.mark.parametrize("adobe", [True, False], ids=["inverted", "plain"])
def test_cmyk_jpeg_is_the_right_way_round(ink, adobe):
    stored = ink if adobe else tuple(255 - v for v in ink)  # with Adobe's marker 255 is no ink, which Pillow writes
    data = encoded(Image.new("CMYK", (16, 16), stored), "JPEG", quality=100)
    if not adobe:
        start = data.index(b"\xff\xee")
        data = data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4], "big") :]
    assert np.abs(read(data)[8, 8].astype(int) - INKS[ink]).max() <= 3


def test_ycck_jpeg_is_turned_into_cmyk_first():
    data = encoded(Image.new("CMYK", (16, 16), (55, 127, 127, 255)), "JPEG", quality=100)  # inverted: 200, 128, 128, 0
    place = data.index(b"Adobe") + 11
    assert data[place] == 0
    for black, want in ((255, 0), (0, 55)):  # Y = 200 is 55 of Adobe's C, which is 200 of ink
        data = encoded(Image.new("CMYK", (16, 16), (55, 127, 127, black)), "JPEG", quality=100)
        pixel = read(data[:place] + b"\x02" + data[place + 1 :])[8, 8].astype(int)
        assert np.abs(pixel - want).max() <= 3


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("picture", [PICTURE, GRAY], ids=["colour", "gray"])
def test_color_profiles_change_nothing(picture, form):
    profile = b"\0\0\x02\0" + b"not a profile" * 40
    assert np.array_equal(read(encoded(picture, form, icc_profile=profile)), read(encoded(picture, form)))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_of_many_frames_the_first_is_read(form):
    other = Image.fromarray(255 - PHOTO)
    options = {"lossless": True} if form == "WEBP" else {}
    data = encoded(PICTURE, form, save_all=True, append_images=[other, other], **options)
    want = np.asarray(
        Image.open(io.BytesIO(encoded(PICTURE, "JPEG" if form == "MPO" else form, **options))).convert("RGB")
    )
    assert np.abs(read(data).astype(int) - want).max() <= (3 if form == "GIF" else 0)


def test_the_picture_of_an_animated_png_may_stand_apart_from_its_frames():
    other = Image.fromarray(255 - PHOTO)
    data = encoded(PICTURE, "PNG", save_all=True, append_images=[other, other], default_image=True)
    assert np.array_equal(read(data), PHOTO)


def test_neither_trailing_rubbish_nor_padding_hurts_a_jpeg():
    for name in ("jpeg", "progressive", "jpeg gray"):
        for tail in (b"\0" * 100, b"rubbish" * 20, WRITTEN["png"]):
            assert np.array_equal(read(WRITTEN[name] + tail), by_pillow(WRITTEN[name]))


def test_a_progressive_jpeg_has_the_pixels_of_its_baseline_twin():
    assert np.array_equal(read(WRITTEN["progressive"]), read(WRITTEN["jpeg"]))


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quality", [30, 90, 100])
def test_jpeg_is_baseline_at_its_quality_and_420(quality):
    data = encode(PHOTO[:, :, ::-1], PictureFormat("jpg", quality))
    with Image.open(io.BytesIO(data)) as image, Image.open(io.BytesIO(encoded(PHOTO, quality=quality))) as pillow:
        assert image.quantization == pillow.quantization
        assert JpegImagePlugin.get_sampling(image) == 2  # 4:2:0
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", SIZE)
        assert not {"progressive", "exif", "icc_profile"} & set(image.info)
        assert np.abs(np.asarray(image).astype(int) - np.asarray(pillow)).max() <= 2
    assert np.array_equal(read(data), by_pillow(data))


def test_gray_is_written_as_gray_and_png_is_exact():
    for pixels in (PHOTO, np.asarray(GRAY)):
        written = pixels if pixels.ndim == 2 else pixels[:, :, ::-1]
        with Image.open(io.BytesIO(encode(written, PictureFormat("png")))) as image:
            assert np.array_equal(np.asarray(image), pixels)
    with Image.open(io.BytesIO(encode(np.asarray(GRAY), PictureFormat()))) as image:
        assert image.mode == "L"


@pytest.mark.parametrize("shape", [(1, 65501, 3), (0, 5, 3)])
def test_what_cannot_be_written_is_rejected_in_silence(shape, capfd):
    with pytest.raises(Reject, match="cannot be written as jpg") as caught:
        encode(np.zeros(shape, np.uint8), PictureFormat())
    assert (caught.value.stage, caught.value.code) == ("encode", "encode")
    assert capfd.readouterr() == ("", "")


# --- rasters of labels -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "most"), [(np.uint8, 255), (np.uint16, 65535), (np.uint32, (1 << 24) - 1)])
def test_label_rasters_come_back_exactly(kind, most):
    raster = RNG.integers(0, most, (23, 37), endpoint=True).astype(kind)
    raster[0, :2] = 0, most
    data = encode_raster(raster)
    with Image.open(io.BytesIO(data)) as image:
        image.verify()  # the checksums
    with Image.open(io.BytesIO(data)) as image:
        values = np.asarray(image).astype(np.uint32)
    assert np.array_equal(values if kind != np.uint32 else values @ np.array([1, 256, 65536], np.uint32), raster)
    again = decode_raster(data, "a.png")
    assert (again.dtype, again.tolist()) == (kind, raster.tolist())


def test_a_raster_is_narrowed_only_if_nothing_is_lost():
    for values, kind in (([[0, 255]], np.uint8), ([[0, 256]], np.uint16)):
        out = narrowed(np.array(values, np.uint16))
        assert (out.dtype, out.tolist()) == (kind, values)
    wide = np.zeros((2, 2), np.uint32)
    assert narrowed(wide) is wide


MASK = RNG.integers(0, 4, (23, 37)).astype(np.uint8)


def test_masks_are_values_and_palettes_are_indexes():
    palette = Image.fromarray(MASK)
    palette.putpalette(RNG.integers(0, 256, 768).tolist())
    alpha = Image.fromarray(RGBA[:, :, 3])
    for picture in (Image.fromarray(MASK), palette, Image.merge("LA", (Image.fromarray(MASK), alpha))):
        assert np.array_equal(decode_raster(encoded(picture, "PNG"), "a.png"), MASK)
    assert np.array_equal(decode_raster(encoded(palette, "PNG", transparency=bytes(4)), "a.png"), MASK)
    assert np.array_equal(decode_raster(encoded(palette, "TIFF"), "a.tif"), MASK)
    bits = Image.fromarray(MASK > 1)
    assert np.array_equal(decode_raster(encoded(bits, "PNG"), "a.png"), (MASK > 1) * 255)


def test_masks_of_16_bits_and_of_three_colors_are_numbers():
    assert np.array_equal(decode_raster(tiff(WIDE[:, :, 0]), "a.tif"), WIDE[:, :, 0])
    assert np.array_equal(
        decode_raster(b"P5 37 23 65535\n" + WIDE[:, :, 0].astype(">u2").tobytes(), "a"), WIDE[:, :, 0]
    )
    ids = PHOTO.astype(np.uint32) @ np.array([1, 256, 65536], np.uint32)
    for pixels in (PHOTO, RGBA):
        assert np.array_equal(decode_raster(encoded(pixels, "PNG"), "a.png"), ids)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a mask: no picture that is known$"),
        (b"no picture", "not a mask: no picture that is known$"),
        (encode_raster(MASK)[:-40], "not a mask"),
        (encoded(GRAY.convert("F"), "TIFF"), "mode F"),
        (encoded(PICTURE.convert("CMYK"), "TIFF"), "mode CMYK"),
        (encoded(Image.fromarray(np.full((2, 2), -1, np.int32)), "TIFF"), "mode I"),
        (encoded(Image.fromarray(np.full((2, 2), 70000, np.int32)), "TIFF"), "mode I"),
        (png((20000, 20000), 1, 0, bytes(2500) * 20000), "not a mask|20000×20000 pixels are too many"),
    ],
)
def test_what_is_no_mask_is_rejected_with_its_name(data, words, capfd):
    with pytest.raises(Reject, match=words) as caught:
        decode_raster(data, "masks/a.png")
    assert (caught.value.stage, caught.value.code, caught.value.file) == ("labels", "bad-mask", "masks/a.png")
    assert "masks/a.png: " in caught.value.message
    assert capfd.readouterr() == ("", "")


def test_a_mask_has_a_limit_on_pixels():
    assert decode_raster(encode_raster(MASK), "a", 37 * 23).shape == MASK.shape
    with pytest.raises(Reject, match="a: 37×23 pixels are too many"):
        decode_raster(encode_raster(MASK), "a", 37 * 23 - 1)


def test_a_mask_has_a_limit_on_memory_that_depends_on_its_kind():
    with pytest.raises(Reject, match="6000×6000 pixels are too many") as caught:
        decode_raster(flat_png((6000, 6000), 8, 2), "x.png")
    assert caught.value.code == "bad-mask"
    assert decode_raster(flat_png((6000, 6000), 8, 0), "x.png").shape == (6000, 6000)
    tall = np.arange(3 * 2_000_000, dtype=np.uint32).reshape(2000, 3000) & 0xFFFFFF  # more than is converted at a time
    assert np.array_equal(decode_raster(encode_raster(tall), "x.png"), tall)
